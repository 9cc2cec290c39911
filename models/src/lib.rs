//! Text in; vectors, scores or text out. Knows no database and no server.

pub mod anthropic;
pub mod budget;
pub mod cache;
pub mod chat;
pub mod embed;
pub mod error;
pub mod fake;
pub mod ledger;
pub mod local;
pub mod money;
pub mod openai;
pub mod price;
pub mod prompt;
pub mod pull;
pub mod registry;
pub mod remote;
pub mod replies;
pub mod rerank;
pub mod router;
pub mod secret;
pub mod structured;
pub mod text;
pub mod tokens;
pub mod tools;
mod traced;

pub use chat::{
    ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Message, Role, ToolChoice, Usage,
};
pub use embed::{Embedder, EmbedderInfo, Embedding, Fingerprint, TextKind, TokenEmbedder, TokenVectors};
pub use error::{ErrorKind, ModelError, Result};
pub use ledger::{Account, Ledger, Refusal, Statement, Work};
pub use money::Money;
pub use price::Price;
pub use registry::{ModelsConfig, Purpose, Registry};
pub use rerank::Reranker;
pub use router::RoutedChat;
pub use secret::Secret;
pub use tokens::TokenCounter;
pub use tools::{OutputSchema, ToolCall, ToolResult, ToolSpec, ToolTurn};

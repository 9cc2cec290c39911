//! Text in; vectors, scores or text out. Knows no database and no server.

pub mod cache;
pub mod chat;
pub mod embed;
pub mod error;
pub mod fake;
pub mod local;
pub mod openai;
pub mod pull;
pub mod registry;
pub mod rerank;
pub mod secret;
pub mod text;
pub mod tokens;

pub use chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Message, Role, Usage};
pub use embed::{Embedder, EmbedderInfo, Embedding, Fingerprint, TextKind};
pub use error::{ErrorKind, ModelError, Result};
pub use registry::{ModelsConfig, Registry};
pub use rerank::Reranker;
pub use secret::Secret;
pub use tokens::TokenCounter;

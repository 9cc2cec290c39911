//! Text in; vectors, scores or text out. Knows no database and no server.

pub mod chat;
pub mod embed;
pub mod error;
pub mod rerank;
pub mod tokens;

pub use chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Message, Role, Usage};
pub use embed::{Embedder, EmbedderInfo, Embedding, Fingerprint, TextKind};
pub use error::{ErrorKind, ModelError, Result};
pub use rerank::Reranker;
pub use tokens::TokenCounter;

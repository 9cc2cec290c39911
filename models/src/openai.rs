//! Models behind an OpenAI-compatible HTTP endpoint: OpenAI itself, vLLM, Ollama, llama.cpp, LM Studio and others.

mod approximate;
mod chat;
mod embedder;
mod tools;
mod wire;

pub use approximate::ApproximateCounter;
pub use chat::OpenAiChat;
pub use embedder::OpenAiEmbedder;

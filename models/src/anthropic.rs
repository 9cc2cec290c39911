//! Chat models behind Anthropic's Messages API.

mod chat;
mod wire;

pub use chat::AnthropicChat;

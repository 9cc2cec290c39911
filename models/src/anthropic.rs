//! Chat models behind Anthropic's Messages API.

mod chat;
mod tools;
mod wire;

pub use chat::AnthropicChat;

//! A local provider that speaks OpenAI's and Anthropic's formats and fails on request, for trying clients against it:
//! `provider 127.0.0.1:9999`, then ask for a model named after a fault (`429`, `stop`, `close`, …) or `ok`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "its address is its output; it shares the tests' code"
)]

#[path = "../tests/provider/mod.rs"]
mod provider;

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let provider = provider::Provider::listen(&address).await;
    println!("{}", provider.url);
    std::future::pending::<()>().await;
}

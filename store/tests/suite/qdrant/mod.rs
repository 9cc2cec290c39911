//! Qdrant, where `QDRANT_URL` names a server (and `QDRANT_API_KEY` its key): the vector contract, recall, a whole store on it,
//! and what happens while it is away. What needs no server is tried everywhere.

mod index;
mod proxy;
mod whole;

use wellspring_store::vector::choice::QdrantConfig;

/// The server under a prefix of one test, or `None`, said aloud.
fn server(test: &str) -> Option<QdrantConfig> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = named("QDRANT_URL") else {
        eprintln!("skipped: QDRANT_URL names no server");
        return None;
    };
    let prefix = format!("test-{test}-{}", uuid());
    Some(QdrantConfig { api_key: named("QDRANT_API_KEY"), prefix, ..QdrantConfig::new(url) })
}

/// Unlike that of any other run.
fn uuid() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}-{}", std::process::id(), now.as_nanos())
}

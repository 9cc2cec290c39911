//! Vectors in Qdrant: the vector contract, whole stores, and what happens while the server is away. A stand-in that speaks
//! the protocol is always there; where `QDRANT_URL` names a server (and `QDRANT_API_KEY` its key), all of it is run there too,
//! and recall, which only a real one can show.

mod index;
mod proxy;
mod stand_in;
mod whole;

use wellspring_store::vector::choice::QdrantConfig;

/// The named server, under a prefix of one test, or `None`, said aloud.
fn real(test: &str) -> Option<QdrantConfig> {
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = named("QDRANT_URL") else {
        eprintln!("skipped: QDRANT_URL names no server");
        return None;
    };
    let prefix = format!("test-{test}-{}", unlike_others());
    Some(QdrantConfig { api_key: named("QDRANT_API_KEY"), prefix, ..QdrantConfig::new(url) })
}

/// A stand-in, and the named server.
fn servers(test: &str) -> Vec<QdrantConfig> {
    let mut servers = vec![stand_in("1.18.3")];
    servers.extend(real(test));
    servers
}

fn stand_in(version: &str) -> QdrantConfig {
    let api_key = Some(stand_in::KEY.to_owned());
    QdrantConfig { api_key, ..QdrantConfig::new(format!("http://{}", stand_in::start(version))) }
}

/// Unlike that of any other run.
fn unlike_others() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}-{}", std::process::id(), now.as_nanos())
}

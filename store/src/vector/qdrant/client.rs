//! The connection to a Qdrant server: settings, which versions will do, and what its failures mean.

use std::sync::OnceLock;
use std::time::Duration;

use qdrant_client::config::QdrantConfig as Settings;
use qdrant_client::{Qdrant, QdrantError};
use tonic::Code;

use crate::error::{ErrorKind, Result, StoreError};
use crate::vector::choice::QdrantConfig;

/// The oldest minor release of the server that was tried.
const OLDEST: (u64, u64) = (1, 18);
/// The major release that this client speaks with.
const MAJOR: u64 = 1;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// Connections, so that a long write does not hold up searches behind it.
const CONNECTIONS: usize = 4;

/// A server, connected to at the first call.
pub(super) struct Client {
    pub(super) api: Qdrant,
    url: String,
    version: OnceLock<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    /// `Invalid` for a URL that is none. Nothing is sent.
    pub(super) fn new(config: &QdrantConfig) -> Result<Self> {
        let scheme = config.url.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("http" | "https")) {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                format!("`{}` is no address of Qdrant's: it begins with http:// or https://", config.url),
            ));
        }
        let mut settings = Settings::from_url(&config.url)
            .timeout(Duration::from_secs(u64::from(config.timeout_seconds.max(1))))
            .connect_timeout(CONNECT)
            .skip_compatibility_check();
        settings.set_pool_size(CONNECTIONS);
        if let Some(key) = &config.api_key {
            settings.set_api_key(key);
        }
        let api = settings.build().map_err(|e| failed("connect", e))?;
        Ok(Self { api, url: config.url.clone(), version: OnceLock::new() })
    }

    /// The server's version, asked once. `Invalid` for one that is too old, or of another major release.
    pub(super) async fn version(&self) -> Result<&str> {
        if let Some(version) = self.version.get() {
            return Ok(version);
        }
        let found = self.api.health_check().await.map_err(|e| failed("use the indexes", e))?;
        check(&found.version)?;
        Ok(self.version.get_or_init(|| found.version))
    }

    /// In words, for statistics.
    pub(super) fn place(&self) -> String {
        match self.version.get() {
            Some(version) => format!("Qdrant {version} at {}", self.url),
            None => format!("Qdrant at {}", self.url),
        }
    }
}

fn check(version: &str) -> Result<()> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let found = (next(), next());
    if found >= OLDEST && found.0 == MAJOR {
        return Ok(());
    }
    let (major, minor) = OLDEST;
    Err(StoreError::new(
        ErrorKind::Invalid,
        format!(
            "this is Qdrant {version}; {major}.{minor} or a newer {major}.x is needed: change the server"
        ),
    ))
}

/// A failure while we tried to do something (`"search"`).
pub(super) fn failed(doing: &str, error: QdrantError) -> StoreError {
    let (kind, why, wait) = match &error {
        QdrantError::ResponseError { status } => {
            let (kind, why) = classify(status.code(), status.message());
            (kind, why, None)
        }
        QdrantError::ResourceExhaustedError { retry_after_seconds, .. } => {
            let wait = Duration::from_secs(*retry_after_seconds);
            (ErrorKind::RateLimited, "it is asked too much: send less at once".to_owned(), Some(wait))
        }
        QdrantError::InvalidUri(_) => (ErrorKind::Invalid, "its address is wrong".to_owned(), None),
        QdrantError::Io(_) => (ErrorKind::Unavailable, UNREACHABLE.to_owned(), None),
        _ => (ErrorKind::Internal, "its answer can't be read".to_owned(), None),
    };
    let failure = StoreError::new(kind, format!("cannot {doing} in Qdrant: {why}")).with_retry_after(wait);
    match &error {
        // Its own words name every header.
        QdrantError::ResponseError { status } => {
            failure.with_source(format!("{:?}: {}", status.code(), status.message()))
        }
        _ => failure.with_source(error),
    }
}

const UNREACHABLE: &str = "the server can't be reached: check that it runs, and `vectors.qdrant.url`";

fn classify(code: Code, message: &str) -> (ErrorKind, String) {
    match code {
        Code::NotFound => (ErrorKind::NotFound, "the index is gone".to_owned()),
        Code::DeadlineExceeded | Code::Cancelled => {
            (ErrorKind::Timeout, "it took longer than `vectors.qdrant.timeout_seconds` allows".to_owned())
        }
        Code::ResourceExhausted => (ErrorKind::RateLimited, format!("it has no room: {message}")),
        // The operator's to mend, not the caller's: what waits goes on once it is.
        Code::Unauthenticated | Code::PermissionDenied => {
            (ErrorKind::Unavailable, "it refused the key: check `vectors.qdrant.api_key`".to_owned())
        }
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => {
            (ErrorKind::Internal, format!("it refused the request: {message}"))
        }
        // The client says so of a connection that does not come about.
        Code::Internal if !message.starts_with("Failed to connect") => {
            (ErrorKind::Unavailable, format!("it failed: {message}"))
        }
        _ => (ErrorKind::Unavailable, UNREACHABLE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for version in ["1.18.0", "1.18.3", "1.19.0-dev", "1.20.1", "1.100.0"] {
            check(version).unwrap();
        }
        for version in ["1.17.9", "1.9.0", "0.11.7", "2.0.0", "", "dev"] {
            let refused = check(version).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{version}");
            assert!(refused.to_string().contains("1.18 or a newer 1.x"), "{refused}");
        }
    }

    #[test]
    fn failures_say_what_can_be_done() {
        assert_eq!(classify(Code::NotFound, "Collection doesn't exist").0, ErrorKind::NotFound);
        assert_eq!(classify(Code::Unavailable, "").0, ErrorKind::Unavailable);
        assert_eq!(classify(Code::Internal, "Failed to connect to http://x/").1, UNREACHABLE);
        assert_eq!(classify(Code::Cancelled, "Timeout expired").0, ErrorKind::Timeout);
        let (kind, why) = classify(Code::Unauthenticated, "");
        assert_eq!(kind, ErrorKind::Unavailable);
        assert!(why.contains("api_key"));
    }

    #[test]
    fn an_address_is_one_of_the_web() {
        for url in ["", "127.0.0.1:6334", "ftp://x", "http"] {
            let refused = Client::new(&QdrantConfig::new(url)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{url}");
        }
        Client::new(&QdrantConfig::new("http://127.0.0.1:6334")).unwrap();
    }
}

//! Talks to a model hub: what a repository holds, and its files, resumed where they were cut.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use crate::error::{ErrorKind, ModelError, Result};
use crate::remote::{client_builder, transport_error};
use crate::secret::Secret;

/// Tries after the first for a download that breaks off; each goes on where the last one ended.
const RETRIES: u32 = 3;
/// A connection must be there after this.
const CONNECT: Duration = Duration::from_secs(10);
/// Something must arrive at least this often.
const IDLE: Duration = Duration::from_secs(60);

/// Which hub, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// The hub's address.
    pub endpoint: String,
    /// For models that ask for one.
    pub token: Option<Secret>,
    /// Refuse every download.
    pub offline: bool,
    /// The first wait before a broken download is tried again; doubled each time, with jitter.
    pub retry_wait: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            retry_wait: Duration::from_secs(1),
        }
    }
}

impl HubConfig {
    /// The default, changed by the hub's own variables `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    fn from_vars(get: impl Fn(&str) -> Option<String>) -> Self {
        let set =
            |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let default = Self::default();
        Self {
            endpoint: set("HF_ENDPOINT").unwrap_or(default.endpoint),
            token: set("HF_TOKEN").map(Secret::new),
            offline: set("HF_HUB_OFFLINE")
                .is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on")),
            retry_wait: default.retry_wait,
        }
    }
}

/// One revision of a repository.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) revision: String,
    pub(super) license: Option<String>,
    repository: String,
    files: Vec<HubFile>,
}

/// A file as the hub describes it.
#[derive(Debug)]
pub(super) struct HubFile {
    path: String,
    pub(super) bytes: u64,
    /// Known for large files.
    pub(super) sha256: Option<String>,
}

impl Snapshot {
    pub(super) fn file(&self, path: &str) -> Result<&HubFile> {
        self.files.iter().find(|file| file.path == path).ok_or_else(|| {
            ModelError::new(
                ErrorKind::NotFound,
                format!("the hub's {} has no file {path}; choose another model", self.repository),
            )
        })
    }
}

#[derive(Deserialize)]
struct WireModel {
    sha: String,
    siblings: Vec<WireFile>,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct WireFile {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    lfs: Option<WireLfs>,
}

#[derive(Deserialize)]
struct WireLfs {
    sha256: String,
    size: u64,
}

/// A connection to a hub.
pub(super) struct Hub {
    client: Client,
    config: HubConfig,
}

impl Hub {
    pub(super) fn new(config: &HubConfig) -> Result<Self> {
        if config.offline {
            return Err(ModelError::new(
                ErrorKind::Unavailable,
                "downloads are switched off by HF_HUB_OFFLINE; unset it to fetch a model",
            ));
        }
        let invalid = || {
            ModelError::new(ErrorKind::Invalid, "HF_ENDPOINT is no http or https URL; correct or unset it")
        };
        let url = Url::parse(&config.endpoint).map_err(|error| invalid().with_source(error))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid());
        }
        let client =
            client_builder(&url).connect_timeout(CONNECT).read_timeout(IDLE).build().map_err(|error| {
                ModelError::new(
                    ErrorKind::Invalid,
                    "no HTTP client could be made; check this machine's certificates",
                )
                .with_source(error)
            })?;
        Ok(Self { client, config: config.clone() })
    }

    /// The newest revision of `repository`.
    pub(super) async fn snapshot(&self, repository: &str) -> Result<Snapshot> {
        let response = self.get(&format!("api/models/{repository}/revision/main?blobs=true"), None).await?;
        let model: WireModel = response.json().await.map_err(|error| {
            ModelError::new(ErrorKind::Corrupt, "the hub described the model in a way that is not understood")
                .with_source(error.without_url())
        })?;
        let describe = |file: WireFile| HubFile {
            bytes: file.lfs.as_ref().map(|lfs| lfs.size).or(file.size).unwrap_or_default(),
            sha256: file.lfs.map(|lfs| lfs.sha256),
            path: file.rfilename,
        };
        Ok(Snapshot {
            license: model.tags.iter().find_map(|tag| tag.strip_prefix("license:")).map(str::to_owned),
            revision: model.sha,
            repository: repository.to_owned(),
            files: model.siblings.into_iter().map(describe).collect(),
        })
    }

    /// Brings `file` to `path`, in its full size. `report` is told the bytes that are there.
    pub(super) async fn download(
        &self,
        repository: &str,
        revision: &str,
        file: &str,
        promised: &HubFile,
        path: &Path,
        report: &mut (dyn FnMut(u64) + Send),
    ) -> Result<()> {
        let url = format!("{repository}/resolve/{revision}/{file}");
        let mut attempt = 0;
        loop {
            match self.go_on(&url, promised.bytes, path, report).await {
                Err(error) if error.is_transient() && attempt < RETRIES => {
                    let wait = self.config.retry_wait * 2_u32.pow(attempt);
                    tracing::debug!(%error, "the download is tried again");
                    tokio::time::sleep(wait.mul_f64(fastrand::f64())).await;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// One try, from where `path` ends.
    async fn go_on(
        &self,
        url: &str,
        total: u64,
        path: &Path,
        report: &mut (dyn FnMut(u64) + Send),
    ) -> Result<()> {
        let disk = |error| super::disk(path, error);
        let mut there = fs_err::tokio::metadata(path).await.map_or(0, |found| found.len());
        if there > total {
            fs_err::tokio::remove_file(path).await.map_err(disk)?;
            there = 0;
        }
        report(there);
        if there == total && total > 0 {
            return Ok(());
        }
        let mut response = self.get(url, (there > 0).then_some(there)).await?;
        let resumed = response.status() == StatusCode::PARTIAL_CONTENT && starts_at(&response, there);
        if !resumed {
            there = 0;
        }
        let mut options = fs_err::tokio::OpenOptions::new();
        options.create(true).write(true).append(resumed).truncate(!resumed);
        let mut file = options.open(path).await.map_err(disk)?;
        while let Some(piece) = response.chunk().await.map_err(|error| transport_error("the hub", error))? {
            file.write_all(&piece).await.map_err(disk)?;
            there += piece.len() as u64;
            report(there);
        }
        file.sync_all().await.map_err(disk)?;
        if there == total {
            return Ok(());
        }
        Err(ModelError::new(
            ErrorKind::Unavailable,
            format!("the hub sent {there} of {total} bytes; run the command again to go on"),
        ))
    }

    async fn get(&self, path: &str, from: Option<u64>) -> Result<Response> {
        let mut request = self.client.get(format!("{}/{path}", self.config.endpoint.trim_end_matches('/')));
        if let Some(token) = &self.config.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(from) = from {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        let response = request.send().await.map_err(|error| transport_error("the hub", error))?;
        let (kind, fix) = match response.status().as_u16() {
            200..=299 => return Ok(response),
            401 | 403 => (ErrorKind::Unauthorized, "set HF_TOKEN to a token that may read it"),
            404 => (ErrorKind::NotFound, "it may have moved; choose another model"),
            429 => (ErrorKind::RateLimited, "try again later"),
            500..=599 => (ErrorKind::Unavailable, "try again later"),
            _ => (ErrorKind::Invalid, "check HF_ENDPOINT"),
        };
        Err(ModelError::new(
            kind,
            format!("the hub answered {} for {path}; {fix}", response.status().as_u16()),
        ))
    }
}

/// Whether a partial reply begins at the byte that was asked for.
fn starts_at(response: &Response, byte: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_own_variables_are_respected() {
        let config = HubConfig::from_vars(|name| match name {
            "HF_ENDPOINT" => Some("https://mirror.example ".to_owned()),
            "HF_TOKEN" => Some("hf_1".to_owned()),
            "HF_HUB_OFFLINE" => Some("1".to_owned()),
            _ => None,
        });
        assert_eq!(config.endpoint, "https://mirror.example");
        assert!(config.offline && !format!("{config:?}").contains("hf_1"));
        assert_eq!(HubConfig::from_vars(|_| Some(String::new())), HubConfig::default());
        assert_eq!(Hub::new(&config).err().map(|error| error.kind()), Some(ErrorKind::Unavailable));
    }
}

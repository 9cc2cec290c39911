//! Public keys that tokens are checked with (RFC 7517): from a file or an address of the configuration, read again in time.

use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;
use url::Url;

use super::config::{Algorithm, JwtConfig};

/// Most bytes of a key set.
const LARGEST: usize = 256 << 10;
/// Most keys of a set.
const MOST: usize = 64;
/// Least bytes of an RSA modulus: 2048 bits (RFC 7518, 3.3).
const LEAST_MODULUS: usize = 256;
/// How long an address may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a set stands before a key that is missing from it makes us read it again.
const LULL: Duration = Duration::from_secs(30);

/// Where a set comes from.
enum Source {
    File(std::path::PathBuf),
    Address(reqwest::Client, Url),
}

struct Held {
    keys: Vec<(Option<String>, DecodingKey)>,
    read_at: Option<Instant>,
}

/// A key set that is kept up to date.
pub(super) struct KeySet {
    source: Source,
    algorithm: Algorithm,
    refresh: Duration,
    held: RwLock<Held>,
    /// One reader of the source at a time.
    reading: Mutex<()>,
}

impl KeySet {
    /// Reads the set. A file that can't be read is an error; an address that does not answer is tried again when a token
    /// comes.
    pub(super) async fn new(config: &JwtConfig) -> anyhow::Result<Self> {
        let source = match (&config.jwks_file, &config.jwks_url) {
            (Some(file), _) => Source::File(file.clone()),
            (None, Some(url)) => address(url)?,
            (None, None) => bail!("the configuration is wrong at `auth.jwt`: there is no key set"),
        };
        let set = Self {
            algorithm: config.algorithm,
            refresh: Duration::from_secs(config.jwks_refresh_seconds.max(1)),
            held: RwLock::new(Held { keys: Vec::new(), read_at: None }),
            reading: Mutex::new(()),
            source,
        };
        match (set.read().await, &set.source) {
            (Ok(keys), _) => *set.held.write().await = Held { keys, read_at: Some(Instant::now()) },
            (Err(error), Source::File(_)) => return Err(error),
            (Err(error), Source::Address(..)) => {
                tracing::warn!(%error, "the key set of auth.jwt.jwks_url can't be read yet; tokens are refused until it can");
            }
        }
        Ok(set)
    }

    /// The key of this id; without an id, the only key there is.
    pub(super) async fn key(&self, id: Option<&str>) -> Option<DecodingKey> {
        let age = self.held.read().await.read_at.map(|at| at.elapsed());
        if age.is_none_or(|age| age >= self.refresh) {
            self.renew(self.refresh).await;
        }
        if let Some(key) = self.look(id).await {
            return Some(key);
        }
        // A key that was made since; strangers who make up ids cause one reading per lull.
        self.renew(LULL).await;
        self.look(id).await
    }

    async fn look(&self, id: Option<&str>) -> Option<DecodingKey> {
        let held = self.held.read().await;
        match id {
            Some(id) => {
                held.keys.iter().find(|(own, _)| own.as_deref() == Some(id)).map(|(_, key)| key.clone())
            }
            None => match held.keys.as_slice() {
                [(_, only)] => Some(only.clone()),
                _ => None,
            },
        }
    }

    /// Reads the set again unless it was read within this time. A set that can't be read leaves the old one in force.
    async fn renew(&self, older_than: Duration) {
        let _alone = self.reading.lock().await;
        if self.held.read().await.read_at.is_some_and(|at| at.elapsed() < older_than) {
            return;
        }
        let read = self.read().await;
        let mut held = self.held.write().await;
        held.read_at = Some(Instant::now());
        match read {
            Ok(keys) => held.keys = keys,
            Err(error) => {
                tracing::warn!(%error, "the key set of auth.jwt can't be read; the former one stays in force")
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Vec<(Option<String>, DecodingKey)>> {
        let text = match &self.source {
            Source::File(path) => {
                let text = fs_err::tokio::read(path)
                    .await
                    .context("the file of auth.jwt.jwks_file can't be read")?;
                if text.len() > LARGEST {
                    bail!("{} is larger than {LARGEST} bytes, the limit of a key set", path.display());
                }
                text
            }
            Source::Address(client, url) => tokio::time::timeout(PATIENCE, fetch(client, url))
                .await
                .with_context(|| format!("{url} did not answer within {} s", PATIENCE.as_secs()))??,
        };
        keys(&text, self.algorithm)
    }
}

fn address(url: &str) -> anyhow::Result<Source> {
    let url = Url::parse(url).context("the configuration is wrong at `auth.jwt.jwks_url`")?;
    let local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(local && url.scheme() == "http") {
        bail!("the configuration is wrong at `auth.jwt.jwks_url`: it must be an https address");
    }
    // An error means that another part of the program installed a provider first: just as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    let builder = if local { builder.no_proxy() } else { builder };
    Ok(Source::Address(builder.build().context("no HTTP client can be made")?, url))
}

async fn fetch(client: &reqwest::Client, url: &Url) -> anyhow::Result<Vec<u8>> {
    let mut response = client.get(url.clone()).send().await?.error_for_status()?;
    if !response.status().is_success() {
        bail!("{url} answered {}", response.status());
    }
    let mut text = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if text.len() + piece.len() > LARGEST {
            bail!("{url} sent more than {LARGEST} bytes, the limit of a key set");
        }
        text.extend_from_slice(&piece);
    }
    Ok(text)
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

/// What we need of a key; private members are not even read.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Keys of the set that fit the algorithm; others are left out. A set without any, or with a weak one, is refused.
fn keys(text: &[u8], algorithm: Algorithm) -> anyhow::Result<Vec<(Option<String>, DecodingKey)>> {
    let set: Set =
        serde_json::from_slice(text).context("the key set is not JSON of the form {\"keys\": […]}")?;
    let mut keys = Vec::new();
    for jwk in set.keys.into_iter().take(MOST) {
        let foreign = jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig")
            || jwk.alg.as_deref().is_some_and(|alg| alg != format!("{algorithm:?}"));
        if foreign {
            continue;
        }
        let key = match (algorithm, jwk.kty.as_str(), jwk.crv.as_deref()) {
            (Algorithm::RS256, "RSA", _) => {
                let (Some(n), Some(e)) = (&jwk.n, &jwk.e) else { bail!("an RSA key lacks `n` or `e`") };
                let modulus =
                    BASE64_URL_SAFE_NO_PAD.decode(n).context("an RSA key's `n` is not base64url")?;
                if modulus.iter().skip_while(|byte| **byte == 0).count() < LEAST_MODULUS {
                    bail!("an RSA key has fewer than 2048 bits: it can be broken");
                }
                DecodingKey::from_rsa_components(n, e)?
            }
            (Algorithm::ES256, "EC", Some("P-256")) => {
                let (Some(x), Some(y)) = (&jwk.x, &jwk.y) else { bail!("an EC key lacks `x` or `y`") };
                DecodingKey::from_ec_components(x, y)?
            }
            _ => continue,
        };
        keys.push((jwk.kid, key));
    }
    if keys.is_empty() {
        bail!("the key set has no key for {algorithm:?}");
    }
    Ok(keys)
}

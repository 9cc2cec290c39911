//! `[auth]`: whether callers are asked who they are, and which tokens are believed.

use std::path::PathBuf;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use wellspring_models::Secret;

use super::sign_in::UsersConfig;

/// Least length of a shared secret in bytes: that of HS256's own output (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;
/// Least bits a secret has to hold, by the frequencies of its own bytes.
const LEAST_BITS: f64 = 128.0;
/// What stands in examples, and must stand in no deployment.
const PLACEHOLDERS: [&str; 8] =
    ["secret", "changeme", "change-me", "change_me", "password", "example", "your-256", "placeholder"];

/// Who may come in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AuthConfig {
    /// `off` (on loopback only) or `keys`.
    pub(crate) mode: Mode,
    /// Whether `/metrics` is shown to everybody, then without figures of tenants. Else an operator's key is needed.
    pub(crate) open_metrics: bool,
    /// Whether `/ready` tells everybody what is wrong. Else whoever has no key hears only whether something is.
    pub(crate) open_readiness: bool,
    /// Users who sign in with a name and a password.
    pub(crate) users: UsersConfig,
    /// JSON Web Tokens that are believed beside keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwt: Option<JwtConfig>,
}

/// Whether callers are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Everybody who reaches the port is the administrator of the tenant `default`.
    #[default]
    Off,
    /// API keys, and tokens where `[auth.jwt]` is set.
    Keys,
}

/// The one algorithm that tokens are signed with: a token that names another is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    /// HMAC with SHA-256: whoever can check tokens can make them.
    HS256,
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
}

/// Which tokens are believed, and what their claims mean here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwtConfig {
    /// See [`Algorithm`].
    pub(crate) algorithm: Algorithm,
    /// For HS256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Secret>,
    /// A JSON Web Key Set on this machine, for RS256 and ES256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_file: Option<PathBuf>,
    /// The same from an `https` address (`http` on loopback). Never taken from a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_url: Option<String>,
    /// Seconds until the key set is read again; sooner where a token names a key that is not in it.
    #[serde(default = "refresh")]
    pub(crate) jwks_refresh_seconds: u64,
    /// What `iss` must be.
    pub(crate) issuer: String,
    /// What `aud` must be or hold.
    pub(crate) audience: String,
    /// Seconds by which clocks may differ.
    #[serde(default = "leeway")]
    pub(crate) leeway_seconds: u64,
    /// Longest time from now to `exp` in seconds: a token can't be revoked.
    #[serde(default = "lifetime")]
    pub(crate) max_lifetime_seconds: u64,
    /// The claim that names the tenant.
    #[serde(default = "tenant")]
    pub(crate) tenant_claim: String,
    /// The claim that lists the groups.
    #[serde(default = "groups")]
    pub(crate) groups_claim: String,
    /// The claim with the rights, a list or words: `read`, `write`, `admin`; others are left alone.
    #[serde(default = "scope")]
    pub(crate) scope_claim: String,
}

fn refresh() -> u64 {
    600
}
fn leeway() -> u64 {
    30
}
fn lifetime() -> u64 {
    86_400
}
fn tenant() -> String {
    "tenant".to_owned()
}
fn groups() -> String {
    "groups".to_owned()
}
fn scope() -> String {
    "scope".to_owned()
}

impl JwtConfig {
    /// Refuses what would believe too much: weak secrets, missing or several sources of keys, nobody's tokens.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            bail!("the configuration is wrong at `auth.jwt`: `issuer` and `audience` can't be empty");
        }
        let sources = (self.secret.as_ref(), self.jwks_file.is_some(), self.jwks_url.is_some());
        match (self.algorithm, sources) {
            (Algorithm::HS256, (Some(secret), false, false)) => check_secret(secret.expose()),
            (Algorithm::HS256, _) => bail!(
                "the configuration is wrong at `auth.jwt`: HS256 needs `secret`, and neither `jwks_file` nor `jwks_url`"
            ),
            (_, (None, true, false) | (None, false, true)) => Ok(()),
            (algorithm, _) => bail!(
                "the configuration is wrong at `auth.jwt`: {algorithm:?} needs one of `jwks_file` and `jwks_url`, and no \
                 `secret`"
            ),
        }
    }
}

/// Refuses secrets that can be guessed. The message never holds the secret.
fn check_secret(secret: &str) -> anyhow::Result<()> {
    let at = "the configuration is wrong at `auth.jwt.secret`";
    let fix = "make one with `openssl rand -base64 48`";
    if secret.len() < SHORTEST_SECRET {
        bail!("{at}: {} bytes are too few, {SHORTEST_SECRET} are needed; {fix}", secret.len());
    }
    let lower = secret.to_ascii_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        bail!("{at}: it looks like a placeholder; {fix}");
    }
    if bits(secret.as_bytes()) < LEAST_BITS || repeats(secret.as_bytes()) {
        bail!("{at}: it can be guessed, since it repeats itself; {fix}");
    }
    Ok(())
}

/// Shannon's estimate of the bits in these bytes, from their own frequencies: an upper bound for a repeated pattern.
fn bits(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a secret's length is far below 2^52")]
    let length = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) * (length / f64::from(*count)).log2())
        .sum()
}

/// Whether it is a shorter text over and over.
fn repeats(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 2).any(|period| bytes[period..].iter().eq(&bytes[..bytes.len() - period]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_refused_and_never_shown() {
        for weak in [
            "",
            "short-but-random-8fj2kd9",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd",
            "0123456789abcdefghijklmn0123456789abcdefghijklmn",
            "this-is-the-very-secret-key-of-our-production-server",
            "your-256-bit-key-goes-here-0987654321-abcdefghij",
            "CHANGEME-fR4x1oZb8vQm2LhK9wYtD5sNc7UeJ3gA6pXiB0yE",
        ] {
            let error = check_secret(weak).unwrap_err().to_string();
            assert!(weak.is_empty() || !error.contains(weak), "{error}");
        }
        check_secret("fR4x1oZb8vQm2LhK9wYtD5sNc7UeJ3gA6pXiB0yE").unwrap();
        check_secret("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08").unwrap();
    }

    #[test]
    fn keys_come_from_one_place_that_fits_the_algorithm() {
        let of = |text: &str| {
            let config: JwtConfig = toml::from_str(&format!("issuer = 'i'\naudience = 'a'\n{text}")).unwrap();
            config.check()
        };
        let good = "secret = 'fR4x1oZb8vQm2LhK9wYtD5sNc7UeJ3gA6pXiB0yE'";
        of(&format!("algorithm = 'HS256'\n{good}")).unwrap();
        of("algorithm = 'RS256'\njwks_file = 'k.json'").unwrap();
        of("algorithm = 'ES256'\njwks_url = 'https://id.example/jwks'").unwrap();
        for bad in [
            "algorithm = 'HS256'".to_owned(),
            "algorithm = 'RS256'".to_owned(),
            format!("algorithm = 'RS256'\n{good}\njwks_file = 'k.json'"),
            format!("algorithm = 'HS256'\n{good}\njwks_url = 'https://id.example/jwks'"),
            "algorithm = 'RS256'\njwks_file = 'k.json'\njwks_url = 'https://id.example/jwks'".to_owned(),
        ] {
            assert!(of(&bad).is_err(), "{bad}");
        }
        let empty = "issuer = ''\naudience = 'a'\nalgorithm = 'RS256'\njwks_file = 'k.json'";
        assert!(toml::from_str::<JwtConfig>(empty).unwrap().check().is_err());
        assert!(toml::from_str::<JwtConfig>("algorithm = 'none'\nissuer = 'i'\naudience = 'a'").is_err());
    }
}

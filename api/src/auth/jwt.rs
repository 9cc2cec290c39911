//! JSON Web Tokens (RFC 7519): signature, header and claims checked by the configuration's rules, never by the token's own.

use std::collections::BTreeSet;

use anyhow::bail;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Map, Value};
use wellspring_store::accounts::{Grant, Right, Rights};
use wellspring_store::{Access, Collections, Scope, TenantId};

use super::config::{Algorithm, JwtConfig};
use super::jwks::KeySet;

/// Longest token in bytes.
const LONGEST: usize = 8 << 10;
/// Longest header, and longest key id, in bytes.
const LONGEST_HEADER: usize = 1 << 10;
const LONGEST_ID: usize = 256;
/// Most groups of a token.
const MOST_GROUPS: usize = 512;

/// Why a token is not believed; a word for metrics.
type Reason = &'static str;

/// Checks tokens.
pub(super) struct Verifier {
    config: JwtConfig,
    keys: Keys,
}

enum Keys {
    Shared(DecodingKey),
    Set(Box<KeySet>),
}

impl Verifier {
    /// Refuses a weak secret and a key set that can't be read.
    pub(super) async fn new(config: JwtConfig) -> anyhow::Result<Self> {
        config.check()?;
        let keys = match (config.algorithm, &config.secret) {
            (Algorithm::HS256, Some(secret)) => {
                Keys::Shared(DecodingKey::from_secret(secret.expose().as_bytes()))
            }
            (Algorithm::HS256, None) => {
                bail!("the configuration is wrong at `auth.jwt`: HS256 needs `secret`")
            }
            _ => Keys::Set(Box::new(KeySet::new(&config).await?)),
        };
        Ok(Self { config, keys })
    }

    /// What the token grants, its subject, and when it ends, leeway included. Times are in seconds since 1970.
    pub(super) async fn verify(&self, token: &str, now: i64) -> Result<(Grant, String, i64), Reason> {
        if token.len() > LONGEST {
            return Err("oversized");
        }
        let id = self.check_header(token)?;
        let key = match &self.keys {
            Keys::Shared(key) => key.clone(),
            Keys::Set(set) => set.key(id.as_deref()).await.ok_or("unknown-key")?,
        };
        let algorithm = match self.config.algorithm {
            Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        };
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.config.issuer]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // Times are compared below, with the caller's clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims =
            jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation).map_err(reason)?.claims;
        let until = self.check_times(&claims, now)?;
        let (grant, subject) = self.grant(&claims)?;
        Ok((grant, subject, until))
    }

    /// Refuses headers that try to choose how they are checked; returns the key's id.
    fn check_header(&self, token: &str) -> Result<Option<String>, Reason> {
        let (header, rest) = token.split_once('.').ok_or("malformed")?;
        if rest.split('.').count() != 2 || header.len() > LONGEST_HEADER {
            return Err("malformed");
        }
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| "malformed")?;
        let header: Map<String, Value> = serde_json::from_slice(&header).map_err(|_| "malformed")?;
        if header.get("alg").and_then(Value::as_str) != Some(&format!("{:?}", self.config.algorithm)) {
            return Err("algorithm");
        }
        for name in header.keys() {
            // Keys, and places to fetch keys from, come from the configuration; extensions that must be understood are not.
            if !matches!(name.as_str(), "alg" | "typ" | "kid" | "cty" | "x5t" | "x5t#S256") {
                return Err("header");
            }
        }
        let kind = header.get("typ").map(|kind| kind.as_str().unwrap_or_default().to_ascii_lowercase());
        if kind.is_some_and(|kind| !matches!(kind.as_str(), "jwt" | "at+jwt" | "application/at+jwt")) {
            return Err("header");
        }
        match header.get("kid") {
            None => Ok(None),
            Some(Value::String(id)) if (1..=LONGEST_ID).contains(&id.len()) => Ok(Some(id.clone())),
            Some(_) => Err("header"),
        }
    }

    /// When the token ends, leeway included.
    fn check_times(&self, claims: &Map<String, Value>, now: i64) -> Result<i64, Reason> {
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).filter(|at| *at >= 0);
        let leeway = signed(self.config.leeway_seconds);
        let (Some(expires), Some(starts)) = (time("exp"), time("nbf")) else { return Err("claims") };
        if expires <= now.saturating_sub(leeway) {
            return Err("expired");
        }
        if starts > now.saturating_add(leeway) {
            return Err("not-yet");
        }
        if expires > now.saturating_add(signed(self.config.max_lifetime_seconds)).saturating_add(leeway) {
            return Err("long-lived");
        }
        match claims.get("iat") {
            Some(_) if time("iat").is_none_or(|at| at > now.saturating_add(leeway)) => Err("not-yet"),
            _ => Ok(expires.saturating_add(leeway)),
        }
    }

    /// What the claims mean: an administrator sees its tenant, everybody else what its principals see.
    fn grant(&self, claims: &Map<String, Value>) -> Result<(Grant, String), Reason> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        // A list of issuers is none.
        if text("iss") != Some(self.config.issuer.as_str()) {
            return Err("claims");
        }
        let subject = text("sub").filter(|subject| is_label(subject)).ok_or("claims")?.to_owned();
        let tenant = text(&self.config.tenant_claim).ok_or("claims")?;
        let tenant = TenantId::new(tenant).map_err(|_| "claims")?;
        let rights: Rights = words(claims.get(&self.config.scope_claim))?
            .iter()
            .filter_map(|word| match word.as_str() {
                "read" => Some(Right::Read),
                "write" => Some(Right::Write),
                "admin" => Some(Right::Admin),
                _ => None,
            })
            .collect();
        let groups = words(claims.get(&self.config.groups_claim))?;
        if groups.len() > MOST_GROUPS || !groups.iter().all(|group| is_label(group)) {
            return Err("claims");
        }
        let principals: BTreeSet<String> = std::iter::once(format!("user:{subject}"))
            .chain(groups.iter().map(|group| format!("group:{group}")))
            .collect();
        let access =
            if rights.permit(Right::Admin) { Access::Everything } else { Access::Principals(principals) };
        Ok((Grant { scope: Scope::new(tenant, access, Collections::All), rights, tools: None }, subject))
    }
}

fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// 1–200 bytes without control characters: with its prefix it is a principal.
fn is_label(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A list of words, or words in one text; none if there is no such claim.
fn words(claim: Option<&Value>) -> Result<Vec<String>, Reason> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        Some(Value::Array(list)) => {
            list.iter().map(|word| word.as_str().map(str::to_owned).ok_or("claims")).collect()
        }
        Some(_) => Err("claims"),
    }
}

fn reason(error: jsonwebtoken::errors::Error) -> Reason {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => "signature",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => "algorithm",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => {
            "claims"
        }
        _ => "malformed",
    }
}

#[cfg(test)]
#[path = "jwt/tests.rs"]
mod tests;

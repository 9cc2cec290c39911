//! Who sends a request, whatever door it comes through: a credential in headers becomes a [`Sender`] with typed rights.

mod config;
mod jwks;
mod jwt;
pub(crate) mod key;
pub(crate) mod password;
pub(crate) mod sign_in;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, header};
use uuid::Uuid;
use wellspring_models::Account;
use wellspring_store::accounts::{Accounts, Grant, NewKey, Right};
use wellspring_store::{Scope, Store, StoreError, TenantId, Users};

pub(crate) use config::{AuthConfig, Mode};
use jwt::Verifier;
use key::Minted;

/// Where clients that know no bearer tokens put their key.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The cookie in which browsers bring it.
pub(crate) const COOKIE: &str = "wellspring";
/// How often the key of an open stream is looked at.
const RECHECK: Duration = Duration::from_millis(750);
/// Longest credential that is looked at, in bytes.
const LONGEST: usize = 8 << 10;

/// Whoever sends a request, and what that allows.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    grant: Grant,
    identity: Identity,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// Nobody was asked: authentication is off.
    Local,
    /// The id of an API key.
    Key(String),
    /// The subject of a token, and when that ends, in seconds since 1970.
    User { subject: String, until: i64 },
    /// A user of our own, and the id of its sign-in.
    Account { name: String, sign_in: String },
}

impl Sender {
    /// Everybody, on a server without authentication.
    pub(crate) fn local() -> Self {
        Self { grant: Grant::operator(TenantId::default_tenant()), identity: Identity::Local }
    }

    /// Tenant, visible documents, collections.
    pub(crate) fn scope(&self) -> &Scope {
        &self.grant.scope
    }

    /// The id of the API key, or `user:` and the subject of the token, or `account:` and the user's name; `None` on a server
    /// without authentication.
    pub(crate) fn key(&self) -> Option<String> {
        match &self.identity {
            Identity::Local => None,
            Identity::Key(id) => Some(id.clone()),
            Identity::User { .. } | Identity::Account { .. } => Some(self.actor()),
        }
    }

    /// The tools that its credential allows; `None`: all.
    pub(crate) fn tools(&self) -> Option<&BTreeSet<String>> {
        self.grant.tools.as_ref()
    }

    /// Whether its credential allows this tool.
    pub(crate) fn may_use(&self, tool: &str) -> bool {
        self.grant.may_use(tool)
    }

    /// Who pays for one request of the sender.
    pub(crate) fn account(&self) -> Account {
        Account::new(self.scope().tenant().as_str(), self.key(), Uuid::now_v7().to_string())
    }

    /// The name in the audit log and of the rate limits: `key:…`, `user:…`, `account:…` or `local`. Never a secret.
    pub(crate) fn actor(&self) -> String {
        match &self.identity {
            Identity::Local => "local".to_owned(),
            Identity::Key(id) => format!("key:{id}"),
            Identity::User { subject, .. } => format!("user:{subject}"),
            Identity::Account { name, .. } => format!("account:{name}"),
        }
    }

    /// The id of the sign-in that its token is of, if it is of one.
    pub(crate) fn sign_in(&self) -> Option<&str> {
        match &self.identity {
            Identity::Account { sign_in, .. } => Some(sign_in),
            Identity::Local | Identity::Key(_) | Identity::User { .. } => None,
        }
    }

    /// Whether it was let in without being asked.
    pub(crate) fn is_local(&self) -> bool {
        self.identity == Identity::Local
    }

    /// Whether it may do this.
    pub(crate) fn permits(&self, right: Right) -> bool {
        self.grant.rights.permit(right)
    }

    /// All that it allows.
    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }
}

/// Why nobody was let in. What a client is told is the same for all but the first.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no credential.
    Missing,
    /// There is one, and it is not good; the reason is for metrics and logs and holds nothing of the credential.
    Bad(&'static str),
    /// It could not be looked up.
    Unavailable(StoreError),
}

/// Turns credentials into senders.
#[derive(Clone)]
pub(crate) struct Authenticator {
    mode: Mode,
    accounts: Arc<dyn Accounts>,
    users: Arc<dyn Users>,
    tokens: Option<Arc<Verifier>>,
}

impl Authenticator {
    /// Refuses a weak secret, and key sets that can't be read.
    pub(crate) async fn new(config: &AuthConfig, store: &Store) -> anyhow::Result<Self> {
        let tokens = match &config.jwt {
            Some(jwt) if config.mode == Mode::Keys => Some(Arc::new(Verifier::new(jwt.clone()).await?)),
            _ => None,
        };
        let (accounts, users) = (Arc::clone(&store.accounts), Arc::clone(&store.users));
        Ok(Self { mode: config.mode, accounts, users, tokens })
    }

    /// Whether anybody is asked at all.
    pub(crate) fn is_on(&self) -> bool {
        self.mode == Mode::Keys
    }

    /// Who sends these headers. A key that was revoked is refused from the next request on: nothing is cached.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Sender, Refusal> {
        if self.mode == Mode::Off {
            return Ok(Sender::local());
        }
        self.identify_text(credential(headers)?).await
    }

    /// Who has this credential.
    pub(crate) async fn identify_text(&self, credential: &str) -> Result<Sender, Refusal> {
        if credential.len() > LONGEST {
            return Err(Refusal::Bad("oversized"));
        }
        if let Some(presented) = key::parse(credential) {
            return self.of_key(&presented).await;
        }
        if let Some(presented) = key::parse_as(sign_in::ACCESS, credential) {
            return self.of_sign_in(&presented).await;
        }
        match &self.tokens {
            Some(verifier) => {
                let now = jiff::Timestamp::now().as_second();
                let (grant, subject, until) = verifier.verify(credential, now).await.map_err(Refusal::Bad)?;
                Ok(Sender { grant, identity: Identity::User { subject, until } })
            }
            None => Err(Refusal::Bad("malformed")),
        }
    }

    async fn of_key(&self, presented: &key::Presented<'_>) -> Result<Sender, Refusal> {
        let found = self.accounts.living_key(presented.id).await.map_err(Refusal::Unavailable)?;
        let (key, hash) = match found {
            Some((key, hash)) => (Some(key), hash),
            // Compared all the same, so that an unknown id takes as long as a wrong secret.
            None => (None, [0; 32]),
        };
        match key {
            Some(key) if presented.is_of(&hash) => {
                Ok(Sender { grant: key.grant(), identity: Identity::Key(key.id) })
            }
            _ => Err(Refusal::Bad("unknown")),
        }
    }

    async fn of_sign_in(&self, presented: &key::Presented<'_>) -> Result<Sender, Refusal> {
        let found = self.users.signed_in(presented.id).await.map_err(Refusal::Unavailable)?;
        let (user, hash) = match found {
            Some((user, hash)) => (Some(user), hash),
            None => (None, [0; 32]),
        };
        match user {
            Some(user) if presented.is_of(&hash) => {
                let (name, sign_in) = (user.name.to_string(), presented.id.to_owned());
                Ok(Sender { grant: user.grant(), identity: Identity::Account { name, sign_in } })
            }
            _ => Err(Refusal::Bad("unknown")),
        }
    }

    /// Resolves when the sender's key has been revoked or has expired, or its sign-in was ended, at most a second later, or
    /// its token has ended: for streams, which outlive the look at their credential.
    pub(crate) async fn revocation(self, sender: Sender) {
        if let Identity::User { until, .. } = &sender.identity {
            let left = until.saturating_sub(jiff::Timestamp::now().as_second());
            return tokio::time::sleep(Duration::from_secs(u64::try_from(left).unwrap_or(0))).await;
        }
        loop {
            tokio::time::sleep(RECHECK).await;
            let lives = match &sender.identity {
                Identity::Key(id) => self.accounts.living_key(id).await.map(|key| key.is_some()),
                Identity::Account { sign_in, .. } => self.users.is_signed_in(sign_in).await,
                Identity::Local | Identity::User { .. } => return std::future::pending().await,
            };
            match lives {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = error.chain(), "a stream's credential could not be looked up")
                }
            }
        }
    }

    /// The first key of a deployment, an operator's; `None` if there ever was a key. The only time that it can be read.
    pub(crate) async fn first_key(&self) -> anyhow::Result<Option<String>> {
        let Minted { id, hash, token } = key::mint()?;
        let key = NewKey {
            id,
            hash,
            name: "made at the first start".to_owned(),
            grant: Grant::operator(TenantId::default_tenant()),
            created_by: None,
            expires_at: None,
        };
        Ok(self.accounts.create_first_key(key).await?.map(|_| token))
    }
}

/// The credential among the headers: `Authorization: Bearer …` or `X-Api-Key: …`, at most one of them; without either, the
/// cookie of a browser that is on a page of ours.
fn credential(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut bearer = headers.get_all(header::AUTHORIZATION).iter();
    let mut plain = headers.get_all(API_KEY).iter();
    let (value, is_bearer) = match (bearer.next(), plain.next()) {
        (None, None) => return cookie(headers, COOKIE).ok_or(Refusal::Missing),
        (Some(value), None) => (value, true),
        (None, Some(value)) => (value, false),
        (Some(_), Some(_)) => return Err(Refusal::Bad("several")),
    };
    if bearer.next().is_some() || plain.next().is_some() {
        return Err(Refusal::Bad("several"));
    }
    if value.len() > LONGEST {
        return Err(Refusal::Bad("oversized"));
    }
    let text = value.to_str().map_err(|_| Refusal::Bad("malformed"))?;
    if !is_bearer {
        return Ok(text.trim());
    }
    match text.split_once(' ') {
        Some((scheme, credential)) if scheme.eq_ignore_ascii_case("bearer") => Ok(credential.trim()),
        _ => Err(Refusal::Bad("malformed")),
    }
}

/// The cookie's value. Requests that another site caused are left without it, whatever the browser thinks of `SameSite`.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let site = headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return None;
    }
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    let value = found.next().filter(|value| !value.is_empty())?;
    // Two of them: somebody planted one.
    found.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn exactly_one_credential_is_read() {
        assert_eq!(credential(&headers(&[("authorization", "Bearer abc")])).unwrap(), "abc");
        assert_eq!(credential(&headers(&[("authorization", "bEARER  abc ")])).unwrap(), "abc");
        assert_eq!(credential(&headers(&[("x-api-key", "abc")])).unwrap(), "abc");
        assert_eq!(credential(&headers(&[("cookie", "a=b; wellspring=abc; c=d")])).unwrap(), "abc");
        assert_eq!(
            credential(&headers(&[("cookie", "wellspring=abc"), ("x-api-key", "mine")])).unwrap(),
            "mine"
        );
        for none in [
            &[][..],
            &[("cookie", "wellspring=")],
            &[("cookie", "xwellspring=abc; wellspring2=abc")],
            &[("cookie", "wellspring=abc"), ("sec-fetch-site", "cross-site")],
            &[("cookie", "wellspring=abc"), ("sec-fetch-site", "same-site")],
            &[("cookie", "wellspring=abc; wellspring=def")],
        ] {
            assert!(matches!(credential(&headers(none)), Err(Refusal::Missing)), "{none:?}");
        }
        for bad in [
            &[("authorization", "Basic abc")][..],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            &[("authorization", "Bearer a"), ("x-api-key", "a")],
            &[("x-api-key", "a"), ("x-api-key", "b")],
        ] {
            assert!(matches!(credential(&headers(bad)), Err(Refusal::Bad(_))), "{bad:?}");
        }
        let long = HeaderValue::from_str(&format!("Bearer {}", "x".repeat(LONGEST))).unwrap();
        let long = HeaderMap::from_iter([(header::AUTHORIZATION, long)]);
        assert!(matches!(credential(&long), Err(Refusal::Bad("oversized"))));
    }

    #[tokio::test]
    async fn a_key_lets_in_until_it_is_revoked_and_nothing_near_it_does() {
        let store = wellspring_store::Store::in_memory().await.unwrap();
        let config = AuthConfig { mode: Mode::Keys, ..AuthConfig::default() };
        let authenticator = Authenticator::new(&config, &store).await.unwrap();
        let token = authenticator.first_key().await.unwrap().unwrap();
        assert!(authenticator.first_key().await.unwrap().is_none(), "there is one first key");
        let ask = async |token: &str| {
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            authenticator.identify(&HeaderMap::from_iter([(header::AUTHORIZATION, value)])).await
        };
        let sender = ask(&token).await.unwrap();
        assert!(sender.permits(Right::Operator));
        let id = key::parse(&token).unwrap().id.to_owned();
        assert_eq!((sender.key(), sender.actor()), (Some(id.clone()), format!("key:{id}")));
        let last = if token.ends_with('0') { "1" } else { "0" };
        let near = format!("{}{last}", &token[..token.len() - 1]);
        for wrong in
            [near.as_str(), &token[..token.len() - 1], &token.to_uppercase(), &format!("{token}0"), ""]
        {
            assert!(matches!(ask(wrong).await, Err(Refusal::Bad(_))), "{wrong}");
        }
        store.accounts.revoke_key(None, &id).await.unwrap();
        assert!(matches!(ask(&token).await, Err(Refusal::Bad("unknown"))));
    }
}

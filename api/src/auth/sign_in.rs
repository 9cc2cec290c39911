//! Sign-ins: an access token for minutes and a refresh token for days, both replaced each time one is gone on with.
//!
//! The tokens are random like keys and kept as hashes, so that a sign-in can be ended at once and nothing signs anything.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wellspring_store::ErrorKind;
use wellspring_store::users::{Renewal, TokenHash, User, UserName, Users};

use super::Refusal;
use super::key::{self, Minted};
use crate::limits::Rate;
use crate::problem::{Code, Problem};

/// What an access token begins with.
pub(super) const ACCESS: &str = "wa";
/// What a refresh token begins with.
const REFRESH: &str = "wr";

/// Users who sign in with a name and a password.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UsersConfig {
    /// Whether everybody who reaches the server may make an account, which reads what has no access list.
    pub(crate) registration: bool,
    /// The tenant of such accounts.
    pub(crate) registration_tenant: String,
    /// Minutes that an access token is good for.
    pub(crate) access_minutes: u32,
    /// Days that a sign-in lasts after it was last gone on with.
    pub(crate) refresh_days: u32,
    /// Attempts to sign in: per name, and of all names together.
    pub(crate) logins: Rate,
}

impl Default for UsersConfig {
    fn default() -> Self {
        Self {
            registration: false,
            registration_tenant: "default".to_owned(),
            access_minutes: 15,
            refresh_days: 14,
            logins: Rate { key_per_minute: 10, tenant_per_minute: 300 },
        }
    }
}

impl UsersConfig {
    /// Refuses lives of nothing and of more than a day or a year.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for (key, value, most) in
            [("access_minutes", self.access_minutes, 1_440), ("refresh_days", self.refresh_days, 365)]
        {
            anyhow::ensure!(
                (1..=most).contains(&value),
                "the configuration is wrong at `auth.users.{key}`: it is {value} and must be 1 to {most}"
            );
        }
        Ok(())
    }

    /// How long an access token is good.
    pub(crate) fn access_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.access_minutes) * 60)
    }

    /// How long a refresh token is good.
    pub(crate) fn refresh_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.refresh_days) * 86_400)
    }
}

/// What a client gets, the only place where the secrets stand.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// Makes sign-ins and goes on with them.
#[derive(Clone)]
pub(crate) struct SignIns {
    users: Arc<dyn Users>,
    config: UsersConfig,
}

impl SignIns {
    pub(crate) fn new(users: Arc<dyn Users>, config: UsersConfig) -> Self {
        Self { users, config }
    }

    /// Begins one for a user whose password was right, and has this hash. `None` if the user was meanwhile disabled, removed or
    /// given another password.
    pub(crate) async fn begin(&self, name: &UserName, password: &str) -> Result<Option<Tokens>, Problem> {
        let id = key::mint()?.id;
        let (tokens, access, refresh) = self.pair(&id)?;
        match self.users.sign_in(name, password, &id, access, refresh).await {
            Ok(()) => Ok(Some(tokens)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the tokens. A refresh token that was replaced before ends the sign-in: two have it.
    pub(crate) async fn renew(&self, token: &str) -> Result<(User, Tokens), Refusal> {
        let presented = key::parse_as(REFRESH, token).ok_or(Refusal::Bad("malformed"))?;
        let (tokens, access, refresh) = self.pair(presented.id).map_err(|_| Refusal::Bad("unknown"))?;
        let renewal = self.users.renew(presented.id, presented.hash(), access, refresh).await;
        match renewal.map_err(Refusal::Unavailable)? {
            Renewal::Renewed(user) => Ok((user, tokens)),
            Renewal::Reused(name) => {
                tracing::warn!(user = name.as_str(), "a refresh token was used twice; the sign-in was ended");
                Err(Refusal::Bad("reused"))
            }
            Renewal::Unknown => Err(Refusal::Bad("unknown")),
        }
    }

    /// Ends the sign-in that this refresh token is of, if it is of one.
    pub(crate) async fn end(&self, token: &str) -> Result<(), Refusal> {
        match self.renew(token).await {
            // Nobody else gets what it was replaced with.
            Ok((_, tokens)) => match key::parse_as(REFRESH, &tokens.refresh) {
                Some(latest) => self.users.sign_out(latest.id).await.map_err(Refusal::Unavailable),
                None => Ok(()),
            },
            Err(Refusal::Unavailable(error)) => Err(Refusal::Unavailable(error)),
            // An older token has ended it.
            Err(_) => Ok(()),
        }
    }

    fn pair(&self, id: &str) -> Result<(Tokens, TokenHash, TokenHash), Problem> {
        let now = jiff::Timestamp::now();
        let until = |life: Duration| {
            let end = now
                .checked_add(life)
                .map_err(|_| Problem::new(Code::Internal, "the clock is out of range"))?;
            Ok::<_, Problem>(end.as_microsecond())
        };
        let Minted { hash, token: access, .. } = key::mint_as(ACCESS, Some(id))?;
        let access_hash = TokenHash { hash, expires_at: until(self.config.access_life())? };
        let Minted { hash, token: refresh, .. } = key::mint_as(REFRESH, Some(id))?;
        let refresh_hash = TokenHash { hash, expires_at: until(self.config.refresh_life())? };
        Ok((Tokens { access, refresh }, access_hash, refresh_hash))
    }
}

//! People who sign in with a name and a password, and who is signed in.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Serialize;

use crate::accounts::{Grant, Right, Rights};
use crate::catalog::Page;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Collections, Scope, TenantId};

/// Longest name in bytes.
const LONGEST: usize = 128;
/// Sign-ins that a user has at once; one more ends the oldest.
pub const MOST_SIGN_INS: u32 = 32;

/// A name that somebody signs in with: 1–128 bytes without white space and control characters, in lower case, one in the
/// whole deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct UserName(String);

impl UserName {
    /// The name as it is kept; `Invalid` for what is none.
    pub fn new(name: &str) -> Result<Self> {
        let name = name.trim().to_lowercase();
        let good =
            (1..=LONGEST).contains(&name.len()) && !name.chars().any(|c| c.is_control() || c.is_whitespace());
        if !good {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                "a user's name is 1-128 bytes without white space and control characters",
            ));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user to be kept.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// What it signs in with.
    pub name: UserName,
    /// Its tenant.
    pub tenant: TenantId,
    /// The password's hash with salt and costs, as a PHC string.
    pub password: String,
    /// What it may do.
    pub rights: Rights,
    /// The groups whose documents it sees beside its own, without `group:`.
    pub groups: BTreeSet<String>,
}

impl NewUser {
    /// What every implementation refuses.
    pub(crate) fn check(&self) -> Result<()> {
        let user = User {
            name: self.name.clone(),
            tenant: self.tenant.clone(),
            rights: self.rights.clone(),
            groups: self.groups.clone(),
            created_at: String::new(),
            disabled_at: None,
        };
        user.grant().check()
    }
}

/// A user as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// What it signs in with.
    pub name: UserName,
    /// Its tenant.
    pub tenant: TenantId,
    /// What it may do.
    pub rights: Rights,
    /// The groups it is in.
    pub groups: BTreeSet<String>,
    /// RFC 3339.
    pub created_at: String,
    /// Since when it is not let in, RFC 3339; `None` for whoever is.
    pub disabled_at: Option<String>,
}

impl User {
    /// What it may do and see: an administrator every document of its tenant, anybody else those without an access list and
    /// those whose list names `user:` and its name, or `group:` and one of its groups.
    pub fn grant(&self) -> Grant {
        let scope = if self.rights.permit(Right::Admin) {
            Scope::administrator(self.tenant.clone())
        } else {
            let groups = self.groups.iter().map(|group| format!("group:{group}"));
            let own = groups.chain([format!("user:{}", self.name)]).collect();
            Scope::restricted(self.tenant.clone(), own, Collections::All)
        };
        Grant { scope, rights: self.rights.clone(), tools: None }
    }
}

/// One of a sign-in's two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash {
    /// BLAKE3 of the secret.
    pub hash: [u8; 32],
    /// Microseconds since 1970; from then on it is worth nothing.
    pub expires_at: i64,
}

/// What became of an attempt to go on with a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// Both tokens were replaced.
    Renewed(User),
    /// The token had been replaced before: somebody else has it, too. The sign-in was ended.
    Reused(UserName),
    /// There is no such sign-in, or it has expired.
    Unknown,
}

/// The rows behind passwords and sign-ins. Every method is one transaction.
#[async_trait]
pub trait Users: Send + Sync + 'static {
    /// Keeps a user; `Conflict` if the name is taken.
    async fn create_user(&self, user: NewUser) -> Result<User>;

    /// The user of this name and the hash of its password.
    async fn user(&self, name: &UserName) -> Result<Option<(User, String)>>;

    /// Users of a tenant, or of all, by tenant and name; at most `limit` (1–1000) after `cursor`.
    async fn users(&self, tenant: Option<&TenantId>, cursor: Option<&str>, limit: u32) -> Result<Page<User>>;

    /// Replaces the password's hash and ends every sign-in. `NotFound` if there is no such user.
    async fn set_password(&self, name: &UserName, password: String) -> Result<()>;

    /// Shuts a user out and ends every sign-in, or lets it in again. `NotFound` if there is no such user.
    async fn set_disabled(&self, name: &UserName, disabled: bool) -> Result<()>;

    /// Removes a user and ends every sign-in. `NotFound` if there is no such user.
    async fn remove_user(&self, name: &UserName) -> Result<()>;

    /// Keeps a sign-in, removes those that have expired, and the user's oldest beyond [`MOST_SIGN_INS`]. `password` is the
    /// hash that the password was compared with: `NotFound` if the user has another one by now, was disabled or is not there.
    /// `Conflict` if the id is taken.
    async fn sign_in(
        &self,
        name: &UserName,
        password: &str,
        id: &str,
        access: TokenHash,
        refresh: TokenHash,
    ) -> Result<()>;

    /// The user of a sign-in and the hash of its access token; `None` if it was ended or the access token has expired.
    async fn signed_in(&self, id: &str) -> Result<Option<(User, [u8; 32])>>;

    /// Whether a sign-in was neither ended nor has expired as a whole.
    async fn is_signed_in(&self, id: &str) -> Result<bool>;

    /// Replaces both tokens of a sign-in if `presented` is the hash of its latest refresh token; ends it if it is not.
    async fn renew(
        &self,
        id: &str,
        presented: [u8; 32],
        access: TokenHash,
        refresh: TokenHash,
    ) -> Result<Renewal>;

    /// Ends a sign-in. Ending it again changes nothing.
    async fn sign_out(&self, id: &str) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Access;

    #[test]
    fn names_are_one_whatever_their_case() {
        assert_eq!(UserName::new(" Ada@Example.org ").unwrap().as_str(), "ada@example.org");
        let long = "a".repeat(129);
        for bad in ["", "  ", "a b", "a\u{0}", "a\tb", "\u{202f}x\u{2003}y", &long] {
            assert!(UserName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_user_sees_its_own_and_its_groups_documents() {
        let mut user = User {
            name: UserName::new("ada").unwrap(),
            tenant: TenantId::default_tenant(),
            rights: [Right::Read].into_iter().collect(),
            groups: BTreeSet::from(["ops".to_owned()]),
            created_at: String::new(),
            disabled_at: None,
        };
        let own = BTreeSet::from(["group:ops".to_owned(), "user:ada".to_owned()]);
        assert_eq!(*user.grant().scope.access(), Access::Principals(own));
        user.rights = [Right::Admin].into_iter().collect();
        assert_eq!(*user.grant().scope.access(), Access::Everything);
    }
}

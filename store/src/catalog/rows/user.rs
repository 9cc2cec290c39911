//! Users and sign-ins as both catalogs keep them.

use sqlx::FromRow;

use super::values::parsed;
use crate::clock::rfc3339;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;
use crate::users::{User, UserName};

#[derive(FromRow)]
pub(crate) struct UserRow {
    name: String,
    tenant: String,
    password: String,
    rights: String,
    groups: String,
    created_at: i64,
    disabled_at: Option<i64>,
}

impl UserRow {
    /// The user and the hash of its password.
    pub(crate) fn user(self) -> Result<(User, String)> {
        let user = User {
            name: UserName::new(&self.name)?,
            tenant: TenantId::new(self.tenant)?,
            rights: parsed(&self.rights)?,
            groups: parsed(&self.groups)?,
            created_at: rfc3339(self.created_at),
            disabled_at: self.disabled_at.map(rfc3339),
        };
        Ok((user, self.password))
    }
}

/// A sign-in's user, and the token's hash that was asked for.
#[derive(FromRow)]
pub(crate) struct SignInRow {
    #[sqlx(flatten)]
    user: UserRow,
    hash: Vec<u8>,
}

impl SignInRow {
    pub(crate) fn signed_in(self) -> Result<(User, [u8; 32])> {
        let hash = self.hash.try_into().map_err(|_| {
            StoreError::new(
                ErrorKind::Corrupt,
                "the catalog holds a token's hash of the wrong size: run verify",
            )
        })?;
        Ok((self.user.user()?.0, hash))
    }
}

/// Nobody has the name.
pub(crate) fn unknown(name: &UserName) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no user {:?}", name.as_str()))
}

/// Nobody with this name, who may come in, has that password now.
pub(crate) fn shut_out(name: &UserName) -> StoreError {
    StoreError::new(
        ErrorKind::NotFound,
        format!("the user {:?} was removed, disabled or given another password meanwhile", name.as_str()),
    )
}

/// Somebody else has the name.
pub(crate) fn taken(name: &UserName) -> StoreError {
    StoreError::new(ErrorKind::Conflict, format!("the name {:?} is taken", name.as_str()))
}

/// Where the page after this user begins: tenant and name, neither of which has a space.
pub(crate) fn cursor(user: &User) -> String {
    format!("{} {}", user.tenant.as_str(), user.name)
}

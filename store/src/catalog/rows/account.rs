//! API keys as both catalogs keep them.

use sqlx::FromRow;

use super::values::{json, parsed};
use crate::accounts::{ApiKey, Grant};
use crate::clock::rfc3339;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, Collections, TenantId};

#[derive(FromRow)]
pub(crate) struct KeyRow {
    id: String,
    hash: Vec<u8>,
    tenant: String,
    name: String,
    rights: String,
    collections: Option<String>,
    tools: Option<String>,
    principals: Option<String>,
    created_by: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl KeyRow {
    pub(crate) fn key(self) -> Result<(ApiKey, [u8; 32])> {
        let hash = self.hash.try_into().map_err(|_| {
            StoreError::new(
                ErrorKind::Corrupt,
                "the catalog holds a key's hash of the wrong size: run verify",
            )
        })?;
        let key = ApiKey {
            id: self.id,
            tenant: TenantId::new(self.tenant)?,
            name: self.name,
            rights: parsed(&self.rights)?,
            collections: self.collections.as_deref().map(parsed).transpose()?,
            tools: self.tools.as_deref().map(parsed).transpose()?,
            principals: self.principals.as_deref().map(parsed).transpose()?,
            created_by: self.created_by,
            created_at: rfc3339(self.created_at),
            expires_at: self.expires_at.map(rfc3339),
            revoked_at: self.revoked_at.map(rfc3339),
        };
        Ok((key, hash))
    }
}

/// Collections and principals of a grant as their columns have them.
pub(crate) fn limits(grant: &Grant) -> Result<(Option<String>, Option<String>)> {
    let collections = match grant.scope.collections() {
        Collections::All => None,
        Collections::Only(names) => Some(json(names)?),
    };
    let principals = match grant.scope.access() {
        Access::Everything => None,
        Access::Principals(own) => Some(json(own)?),
    };
    Ok((collections, principals))
}

//! Who asks and what they may touch: typed values that every store call takes.
//!
//! A [`Scope`] comes from a credential and can only be narrowed. A [`CollectionScope`] is a scope plus one collection
//! that this scope was checked against; only the catalog makes one, so an unscoped query can't be written down.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::document::{CollectionKey, CollectionName};
use crate::error::{ErrorKind, Result, StoreError};

/// A tenant: 1–64 characters of `a-z 0-9 _ -`, starting with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(String);

impl TenantId {
    /// Checks the name; anything else is `Invalid`.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        if crate::document::is_plain_name(&name) {
            Ok(Self(name))
        } else {
            Err(StoreError::new(
                ErrorKind::Invalid,
                "a tenant is 1-64 characters of a-z, 0-9, _ or -, starting with a letter or digit",
            ))
        }
    }

    /// The tenant of a server without authentication: `default`.
    pub fn default_tenant() -> Self {
        Self("default".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = StoreError;
    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.0
    }
}

/// Which documents of a tenant a scope sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Every document: the tenant's administrator, and internal work done for the tenant as a whole.
    Everything,
    /// Documents without an access list, and those whose list names one of these principals (`user:ada`, `group:ops`).
    Principals(BTreeSet<String>),
}

/// Which collections of a tenant a scope may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collections {
    /// All of the tenant's.
    All,
    /// These only.
    Only(BTreeSet<CollectionName>),
}

/// Tenant, visible documents and collections of one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    tenant: TenantId,
    access: Access,
    collections: Collections,
}

impl Scope {
    /// A tenant's documents as far as `access` and `collections` go.
    pub fn new(tenant: TenantId, access: Access, collections: Collections) -> Self {
        Self { tenant, access, collections }
    }

    /// Everything of one tenant.
    pub fn administrator(tenant: TenantId) -> Self {
        Self { tenant, access: Access::Everything, collections: Collections::All }
    }

    /// A caller with an identity.
    pub fn restricted(tenant: TenantId, principals: BTreeSet<String>, collections: Collections) -> Self {
        Self { tenant, access: Access::Principals(principals), collections }
    }

    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Which documents it sees.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Which collections it may touch.
    pub fn collections(&self) -> &Collections {
        &self.collections
    }

    /// Whether it may touch the collection of this name.
    pub fn permits(&self, collection: &CollectionName) -> bool {
        match &self.collections {
            Collections::All => true,
            Collections::Only(names) => names.contains(collection),
        }
    }

    /// Whether a document with this access list is visible. `None` means no list: everybody of the tenant.
    pub fn sees(&self, acl: Option<&[String]>) -> bool {
        match (&self.access, acl) {
            (Access::Everything, _) | (_, None) => true,
            (Access::Principals(own), Some(listed)) => listed.iter().any(|principal| own.contains(principal)),
        }
    }
}

/// A scope and one collection it was checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionScope {
    scope: Scope,
    key: CollectionKey,
    name: CollectionName,
}

impl CollectionScope {
    /// Only a catalog makes one, after looking the collection up under the scope.
    pub(crate) fn new(scope: Scope, key: CollectionKey, name: CollectionName) -> Self {
        Self { scope, key, name }
    }

    /// Who asks.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.scope.tenant
    }

    /// The collection's key in the catalog.
    pub fn key(&self) -> CollectionKey {
        self.key
    }

    /// The collection's name.
    pub fn name(&self) -> &CollectionName {
        &self.name
    }
}

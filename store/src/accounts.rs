//! Who may come in: API keys, what each may do, and what a tenant holds against its quotas.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::catalog::Page;
use crate::document::CollectionName;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, Collections, Scope, TenantId};

/// Longest name of a key, tool or principal in bytes.
const LONGEST: usize = 256;

/// What a caller may do, beside what it may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Search, ask, read documents and jobs.
    Read,
    /// Add, replace and delete documents, change their access lists, make collections.
    Write,
    /// Both, and: delete collections, make and revoke keys of the tenant, read its audit log.
    Admin,
    /// All of it, for every tenant, and the metrics of the whole server.
    Operator,
}

impl Right {
    /// Every right, least first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Admin, Self::Operator];
}

/// A set of rights.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(BTreeSet<Right>);

impl Rights {
    /// Whether this right is among them or comes with one that is.
    pub fn permit(&self, right: Right) -> bool {
        match right {
            Right::Read | Right::Write => {
                self.0.contains(&right) || self.0.contains(&Right::Admin) || self.0.contains(&Right::Operator)
            }
            Right::Admin => self.0.contains(&Right::Admin) || self.0.contains(&Right::Operator),
            Right::Operator => self.0.contains(&Right::Operator),
        }
    }

    /// Whether whoever has these may give those to another.
    pub fn cover(&self, other: &Self) -> bool {
        other.0.iter().all(|right| self.permit(*right))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rights, least first.
    pub fn iter(&self) -> impl Iterator<Item = Right> {
        self.0.iter().copied()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().collect())
    }
}

/// What a credential allows, whatever kind it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Tenant, visible documents, collections.
    pub scope: Scope,
    /// What may be done there.
    pub rights: Rights,
    /// Tools that agents may call with it; `None` for all.
    pub tools: Option<BTreeSet<String>>,
}

impl Grant {
    /// Everything of one tenant, and of the server.
    pub fn operator(tenant: TenantId) -> Self {
        Self { scope: Scope::administrator(tenant), rights: Right::ALL.into_iter().collect(), tools: None }
    }

    /// Whether an agent may call this tool with it.
    pub fn may_use(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|tools| tools.contains(tool))
    }

    /// Whether it makes sense: `Invalid` without rights, for an administrator that would not see all it administers, and
    /// for principals or tools that could not be compared faithfully.
    pub fn check(&self) -> Result<()> {
        let invalid = |message: &str| Err(StoreError::new(ErrorKind::Invalid, message));
        if self.rights.is_empty() {
            return invalid("a key without rights is of no use: give it read, write or admin");
        }
        let limited =
            *self.scope.access() != Access::Everything || *self.scope.collections() != Collections::All;
        if self.rights.permit(Right::Admin) && limited {
            return invalid(
                "an administrator's key sees every document and collection of its tenant: leave out `principals` and \
                 `collections`, or the right `admin`",
            );
        }
        let names = match self.scope.access() {
            Access::Everything => None,
            Access::Principals(own) => Some(own),
        };
        if names.into_iter().chain(&self.tools).flatten().any(|name| !is_label(name)) {
            return invalid("a principal or tool is 1-256 bytes without control characters");
        }
        Ok(())
    }
}

/// Whether text of a client may stand in lists and logs: 1–256 bytes, no control characters.
fn is_label(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A key to be kept. The secret is not part of it.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Public, unique, never used again: 1–64 characters of `a-z 0-9 _ -`.
    pub id: String,
    /// BLAKE3 of the secret.
    pub hash: [u8; 32],
    /// For people.
    pub name: String,
    /// What it allows.
    pub grant: Grant,
    /// Who made it.
    pub created_by: Option<String>,
    /// Microseconds since 1970; from then on it is as good as revoked.
    pub expires_at: Option<i64>,
}

impl NewKey {
    /// What every implementation refuses.
    pub(crate) fn check(&self) -> Result<()> {
        if !crate::document::is_plain_name(&self.id) || !is_label(&self.name) {
            return Err(StoreError::new(
                ErrorKind::Invalid,
                "a key's name is 1-256 bytes without control characters",
            ));
        }
        self.grant.check()
    }
}

/// A key as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// The public part.
    pub id: String,
    /// Its tenant.
    pub tenant: TenantId,
    /// For people.
    pub name: String,
    /// What may be done with it.
    pub rights: Rights,
    /// Collections it may touch; `None` for all.
    pub collections: Option<BTreeSet<CollectionName>>,
    /// Tools that agents may call with it; `None` for all.
    pub tools: Option<BTreeSet<String>>,
    /// Whose documents it sees; `None` for every document.
    pub principals: Option<BTreeSet<String>>,
    /// Who made it.
    pub created_by: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: Option<String>,
    /// RFC 3339.
    pub revoked_at: Option<String>,
}

impl ApiKey {
    /// What it allows.
    pub fn grant(&self) -> Grant {
        let access = self.principals.clone().map_or(Access::Everything, Access::Principals);
        let collections = self.collections.clone().map_or(Collections::All, Collections::Only);
        Grant {
            scope: Scope::new(self.tenant.clone(), access, collections),
            rights: self.rights.clone(),
            tools: self.tools.clone(),
        }
    }
}

/// What a tenant holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Documents, those that wait to be indexed included.
    pub documents: u64,
    /// Their original bytes, every kept version counted.
    pub bytes: u64,
    /// Chunks of visible documents.
    pub chunks: u64,
}

/// The rows behind credentials and quotas. Every method is one transaction.
#[async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Keeps a key; `Conflict` if the id was ever used.
    async fn create_key(&self, key: NewKey) -> Result<ApiKey>;

    /// Keeps a key if there never was any; `None` if there was.
    async fn create_first_key(&self, key: NewKey) -> Result<Option<ApiKey>>;

    /// The key of this id and the hash of its secret; `None` if there is none, it was revoked or has expired.
    async fn living_key(&self, id: &str) -> Result<Option<(ApiKey, [u8; 32])>>;

    /// Keys of a tenant, or of all, revoked and expired ones included, by tenant and id; at most `limit` (1–1000) after
    /// `cursor`.
    async fn keys(&self, tenant: Option<&TenantId>, cursor: Option<&str>, limit: u32)
    -> Result<Page<ApiKey>>;

    /// Ends a key: the next request with it is refused. `NotFound` if the tenant has none of this id. Revoking again
    /// changes nothing.
    async fn revoke_key(&self, tenant: Option<&TenantId>, id: &str) -> Result<ApiKey>;

    /// What a tenant holds now; zeros for one that is not known.
    async fn usage(&self, tenant: &TenantId) -> Result<Usage>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(list: &[Right]) -> Rights {
        list.iter().copied().collect()
    }

    #[test]
    fn rights_bring_lesser_ones_and_never_greater_ones() {
        use Right::{Admin, Operator, Read, Write};
        for (have, permitted) in [
            (vec![], vec![]),
            (vec![Read], vec![Read]),
            (vec![Write], vec![Write]),
            (vec![Admin], vec![Read, Write, Admin]),
            (vec![Operator], vec![Read, Write, Admin, Operator]),
        ] {
            let have = rights(&have);
            let got: Vec<Right> = Right::ALL.into_iter().filter(|right| have.permit(*right)).collect();
            assert_eq!(got, permitted, "{have:?}");
        }
        assert!(rights(&[Admin]).cover(&rights(&[Read, Write, Admin])));
        assert!(!rights(&[Write]).cover(&rights(&[Read])));
        assert!(!rights(&[Admin]).cover(&rights(&[Operator])));
    }

    #[test]
    fn an_administrator_sees_all_it_administers() {
        let tenant = TenantId::default_tenant();
        let limited =
            Scope::restricted(tenant.clone(), BTreeSet::from(["user:a".to_owned()]), Collections::All);
        let grant =
            |scope: &Scope, list: &[Right]| Grant { scope: scope.clone(), rights: rights(list), tools: None };
        assert!(grant(&limited, &[Right::Read]).check().is_ok());
        assert!(grant(&limited, &[Right::Admin]).check().is_err());
        assert!(grant(&limited, &[]).check().is_err());
        let mut all = grant(&Scope::administrator(tenant), &[Right::Admin]);
        assert!(all.check().is_ok());
        assert!(all.may_use("search"));
        all.tools = Some(BTreeSet::from(["search".to_owned()]));
        assert!(all.may_use("search") && !all.may_use("ask"));
    }
}

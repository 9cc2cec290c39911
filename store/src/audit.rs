//! The audit log: who did what to which document, collection or key, and how it ended; never any content.

use async_trait::async_trait;
use serde::Serialize;

use crate::catalog::Page;
use crate::error::Result;
use crate::scope::TenantId;

/// Something that was done or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// Whose data it was about.
    pub tenant: TenantId,
    /// `key:…`, `user:…`, `account:…`, `local` (a server without authentication), `command` (somebody at the data folder) or
    /// `retention`.
    pub actor: String,
    /// A verb of ours, such as `addDocument`.
    pub action: String,
    /// The collection, where there is one.
    pub collection: Option<String>,
    /// The document, job or key, by id.
    pub object: Option<String>,
    /// An HTTP status: 2xx was done, 4xx refused, 5xx failed.
    pub outcome: u16,
    /// The request's id.
    pub request: Option<String>,
}

/// An entry as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its number, ascending with time.
    pub seq: i64,
    /// RFC 3339.
    pub at: String,
    /// See [`NewAuditEntry`].
    pub tenant: TenantId,
    /// See [`NewAuditEntry`].
    pub actor: String,
    /// See [`NewAuditEntry`].
    pub action: String,
    /// See [`NewAuditEntry`].
    pub collection: Option<String>,
    /// See [`NewAuditEntry`].
    pub object: Option<String>,
    /// See [`NewAuditEntry`].
    pub outcome: u16,
    /// See [`NewAuditEntry`].
    pub request: Option<String>,
}

/// Which entries are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// By this actor.
    pub actor: Option<String>,
    /// About this document, job or key.
    pub object: Option<String>,
}

/// An append-only log, of which only what is old is ever removed.
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// Adds an entry, durable when it returns. Texts longer than 1024 bytes are cut.
    async fn append(&self, entry: NewAuditEntry) -> Result<()>;

    /// Entries, newest first, at most `limit` (1–1000) after `cursor`.
    async fn entries(
        &self,
        filter: AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>>;

    /// Removes at most `limit` (1–1000) of the oldest entries, made before `before` (microseconds since 1970), and says how many.
    async fn forget(&self, before: i64, limit: u32) -> Result<u64>;
}

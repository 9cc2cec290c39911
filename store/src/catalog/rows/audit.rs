//! Entries of the audit log as both catalogs keep them.

use sqlx::FromRow;

use super::values::unsigned;
use crate::audit::AuditEntry;
use crate::clock::rfc3339;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::TenantId;

/// Longest text of an entry in bytes.
const LONGEST: usize = 1024;

#[derive(FromRow)]
pub(crate) struct AuditRow {
    key: i64,
    at: i64,
    tenant: String,
    actor: String,
    action: String,
    collection: Option<String>,
    object: Option<String>,
    outcome: i64,
    request: Option<String>,
}

impl AuditRow {
    pub(crate) fn entry(self) -> Result<AuditEntry> {
        Ok(AuditEntry {
            seq: self.key,
            at: rfc3339(self.at),
            tenant: TenantId::new(self.tenant)?,
            actor: self.actor,
            action: self.action,
            collection: self.collection,
            object: self.object,
            outcome: unsigned(self.outcome)?,
            request: self.request,
        })
    }
}

/// The text, cut at a character's border.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// The key that a page's cursor stands before.
pub(crate) fn before(cursor: Option<&str>) -> Result<i64> {
    match cursor {
        None => Ok(i64::MAX),
        Some(cursor) => cursor.parse().map_err(|e: std::num::ParseIntError| {
            StoreError::new(
                ErrorKind::Invalid,
                "the cursor is not one that this listing gave out: start from the beginning",
            )
            .with_source(e)
        }),
    }
}

//! Access lists: who may set which, and changing one where it stands, without touching chunks or vectors.

use sqlx::PgConnection;

use super::accept::{live_versions, living_document};
use super::failure::During;
use super::scoped::staying;
use crate::catalog::rows::values::{check_writer, json, no_document, parsed};
use crate::document::DocumentId;
use crate::error::Result;
use crate::scope::{CollectionScope, Scope};

/// Replaces the list of the document's versions that the scope sees, visible or still to come, and of its jobs.
pub(super) async fn set(
    connection: &mut PgConnection,
    now: i64,
    scope: CollectionScope,
    id: DocumentId,
    acl: Option<Vec<String>>,
) -> Result<()> {
    staying(connection, &scope).await?;
    let document = living_document(connection, &scope, &id).await?.ok_or_else(|| no_document(id.as_str()))?;
    let live = live_versions(connection, document).await?;
    let mut seen = Vec::new();
    let mut visible_is_seen = None;
    for (key, state, old) in live {
        let sees = sees(scope.scope(), old.as_deref())?;
        if state == "visible" {
            visible_is_seen = Some(sees);
        }
        if sees {
            seen.push(key);
        }
    }
    if seen.is_empty() || visible_is_seen == Some(false) {
        return Err(no_document(id.as_str()));
    }
    check_writer(scope.scope(), acl.as_deref())?;
    for key in seen {
        sqlx::query("UPDATE versions SET acl = $1 WHERE key = $2")
            .bind(&acl)
            .bind(key)
            .execute(&mut *connection)
            .await
            .during("change the access list")?;
    }
    sqlx::query("UPDATE documents SET restricted = (visible IS NOT NULL AND $2) WHERE key = $1")
        .bind(document)
        .bind(acl.is_some())
        .execute(&mut *connection)
        .await
        .during("change the access list")?;
    let acl = acl.as_deref().map(json).transpose()?;
    // Jobs that ended say what the document is called, too.
    let jobs: Vec<(i64, Option<String>)> =
        sqlx::query_as("SELECT key, acl FROM jobs WHERE document_key = $1 ORDER BY key")
            .bind(document)
            .fetch_all(&mut *connection)
            .await
            .during("change the access list")?;
    for (key, old) in jobs {
        if sees(scope.scope(), old.as_deref())? {
            sqlx::query("UPDATE jobs SET acl = $1, updated_at = $2 WHERE key = $3")
                .bind(&acl)
                .bind(now)
                .bind(key)
                .execute(&mut *connection)
                .await
                .during("change the access list")?;
        }
    }
    Ok(())
}

fn sees(scope: &Scope, acl: Option<&str>) -> Result<bool> {
    let acl: Option<Vec<String>> = acl.map(parsed).transpose()?;
    Ok(scope.sees(acl.as_deref()))
}

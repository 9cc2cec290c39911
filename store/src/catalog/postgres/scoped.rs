//! The one condition that every query of documents carries: tenant, collection, visibility, access list.

use std::borrow::Cow;

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, PgConnection};

use super::failure::During;
use crate::catalog::rows::values::no_collection;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, CollectionScope};

/// Stands for every document in place of a list of principals. No access list can name it, for it is a control character.
const EVERYTHING: &str = "\u{1}";

/// Narrows `visible v` to a scope. Takes parameters 1 to 3, which are those of [`arguments`]. A missing third one
/// would let through only what has no access list.
macro_rules! asked {
    () => {
        "v.collection_key = $1 AND v.tenant = $2 AND ($3::text[] = ARRAY[E'\\x01'] OR v.acl IS NULL OR v.acl && $3::text[])"
    };
}
pub(super) use asked;

/// Parameters 1 to 3 of a scoped query: collection, tenant, principals.
pub(super) fn arguments(scope: &CollectionScope) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    bind(&mut arguments, scope.key().0)?;
    bind(&mut arguments, scope.tenant().as_str().to_owned())?;
    bind(&mut arguments, principals(scope.scope().access()))?;
    Ok(arguments)
}

/// Appends a parameter.
pub(super) fn bind<'t, T>(arguments: &mut PgArguments, value: T) -> Result<()>
where
    T: sqlx::Encode<'t, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + 't,
{
    arguments.add(value).map_err(|e| {
        StoreError::new(ErrorKind::Internal, "a value cannot be given to the catalog").with_source(e)
    })
}

/// The principals of a caller. Those with control characters are left out: none is ever listed (see `check_acl`).
fn principals(access: &Access) -> Vec<String> {
    match access {
        Access::Everything => vec![EVERYTHING.to_owned()],
        Access::Principals(own) => {
            own.iter().filter(|name| !name.chars().any(char::is_control)).cloned().collect()
        }
    }
}

/// Text as PostgreSQL can hold it, which is any but NUL: shown as U+FFFD instead.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// `NotFound` if the scope's collection was deleted.
pub(super) async fn living(connection: &mut PgConnection, scope: &CollectionScope) -> Result<()> {
    found(
        sqlx::query("SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL"),
        connection,
        scope,
    )
    .await
}

/// Like [`living`], and it stays so until the transaction ends: whoever deletes the collection waits.
pub(super) async fn staying(connection: &mut PgConnection, scope: &CollectionScope) -> Result<()> {
    found(
        sqlx::query(
            "SELECT 1 FROM collections WHERE key = $1 AND tenant = $2 AND deleted_at IS NULL FOR KEY SHARE",
        ),
        connection,
        scope,
    )
    .await
}

async fn found<'q>(
    query: sqlx::query::Query<'q, sqlx::Postgres, PgArguments>,
    connection: &mut PgConnection,
    scope: &'q CollectionScope,
) -> Result<()> {
    query
        .bind(scope.key().0)
        .bind(scope.tenant().as_str())
        .fetch_optional(connection)
        .await
        .during("look up the collection")?
        .map(|_| ())
        .ok_or_else(|| no_collection(scope.name().as_str()))
}

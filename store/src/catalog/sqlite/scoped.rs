//! The one condition that every query of documents carries: tenant, collection, visibility, access list.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};

use super::failure::During;
use crate::catalog::rows::values::{no_collection, principals};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;

/// Narrows `visible v` to a scope. Takes parameters 1 to 3, which are those of [`arguments`]. A missing third one
/// would let through only what has no access list.
macro_rules! asked {
    () => {
        "v.collection_key = ?1 AND v.tenant = ?2 AND (?3 = 'true' OR v.acl IS NULL OR EXISTS ( \
            SELECT 1 FROM json_each(v.acl) listed JOIN json_each(?3) own ON own.value = listed.value))"
    };
}
pub(super) use asked;

/// Parameters 1 to 3 of a scoped query: collection, tenant, principals.
pub(super) fn arguments(scope: &CollectionScope) -> Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    bind(&mut arguments, scope.key().0)?;
    bind(&mut arguments, scope.tenant().as_str().to_owned())?;
    bind(&mut arguments, principals(scope.scope().access())?)?;
    Ok(arguments)
}

/// Appends a parameter.
pub(super) fn bind<'t, T>(arguments: &mut SqliteArguments, value: T) -> Result<()>
where
    T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + 't,
{
    arguments.add(value).map_err(|e| {
        StoreError::new(ErrorKind::Internal, "a value cannot be given to the catalog").with_source(e)
    })
}

/// `NotFound` if the scope's collection was deleted.
pub(super) async fn living(connection: &mut SqliteConnection, scope: &CollectionScope) -> Result<()> {
    sqlx::query("SELECT 1 FROM collections WHERE key = ? AND tenant = ? AND deleted_at IS NULL")
        .bind(scope.key().0)
        .bind(scope.tenant().as_str())
        .fetch_optional(connection)
        .await
        .during("look up the collection")?
        .map(|_| ())
        .ok_or_else(|| no_collection(scope.name().as_str()))
}

//! The one condition that every query of documents carries: tenant, collection, visibility, access list.

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};

use super::failure::During;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, CollectionScope};

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

/// The principals as JSON: `true` for all, else an array. SQLite's JSON ends a string at a NUL, so principals with
/// control characters are left out: none is ever listed (see [`check_acl`]).
pub(super) fn principals(access: &Access) -> Result<String> {
    match access {
        Access::Everything => Ok("true".to_owned()),
        Access::Principals(own) => json(&own.iter().filter(|name| plain(name)).collect::<Vec<_>>()),
    }
}

fn plain(principal: &str) -> bool {
    !principal.chars().any(char::is_control)
}

/// Refuses an access list that could not be compared faithfully.
pub(super) fn check_acl(acl: Option<&[String]>) -> Result<()> {
    if acl.unwrap_or_default().iter().all(|name| plain(name) && (1..=256).contains(&name.len())) {
        Ok(())
    } else {
        Err(StoreError::new(
            ErrorKind::Invalid,
            "a principal in an access list is 1-256 bytes without control characters",
        ))
    }
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

/// The error for a collection that is not there, or not for this caller.
pub(super) fn no_collection(name: &str) -> StoreError {
    let fix = match name {
        "default" => "the first document added to it makes it",
        _ => "create it first",
    };
    StoreError::new(ErrorKind::NotFound, format!("there is no collection {name:?}: {fix}"))
}

/// The error for a document that is not there, or not for this caller.
pub(super) fn no_document(id: &str) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no document {id:?} in this collection"))
}

/// A value as JSON text.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::new(ErrorKind::Internal, "a value cannot be written as JSON").with_source(e))
}

/// JSON text from the catalog.
pub(super) fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "the catalog holds JSON that cannot be read: run verify")
            .with_source(e)
    })
}

/// A count or offset from the catalog, where it is never negative.
pub(super) fn unsigned<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| {
        StoreError::new(
            ErrorKind::Corrupt,
            format!("the catalog holds the count or offset {value}: run verify"),
        )
    })
}

/// A count or offset for the catalog.
pub(super) fn signed<T: TryInto<i64>>(value: T) -> Result<i64> {
    value.try_into().map_err(|_| StoreError::new(ErrorKind::Invalid, "a count or offset is over 2^63"))
}

//! Values between the rows of a catalog and the store's types, and the errors that every catalog gives alike.

use roaring::RoaringTreemap;

use crate::catalog::IdempotencyKey;
use crate::document::ContentHash;
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::{Access, Scope};

/// The principals as JSON: `true` for all, else an array. SQLite's JSON ends a string at a NUL, so principals with
/// control characters are left out: none is ever listed (see [`check_acl`]).
pub(crate) fn principals(access: &Access) -> Result<String> {
    match access {
        Access::Everything => Ok("true".to_owned()),
        Access::Principals(own) => json(&own.iter().filter(|name| plain(name)).collect::<Vec<_>>()),
    }
}

pub(crate) fn plain(principal: &str) -> bool {
    !principal.chars().any(char::is_control)
}

/// Refuses an access list that could not be compared faithfully.
pub(crate) fn check_acl(acl: Option<&[String]>) -> Result<()> {
    if acl.unwrap_or_default().iter().all(|name| plain(name) && (1..=256).contains(&name.len())) {
        Ok(())
    } else {
        Err(StoreError::new(
            ErrorKind::Invalid,
            "a principal in an access list is 1-256 bytes without control characters",
        ))
    }
}

/// Refuses a list that would hide a document from whoever writes it: a caller with an identity hands nothing into rooms it
/// can't enter itself.
pub(crate) fn check_writer(scope: &Scope, acl: Option<&[String]>) -> Result<()> {
    if scope.sees(acl) {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Unauthorized,
        "the access list names none of your own principals: add one of them, or ask an administrator",
    ))
}

/// The error for a collection that is not there, or not for this caller.
pub(crate) fn no_collection(name: &str) -> StoreError {
    let fix = match name {
        "default" => "the first document added to it makes it",
        _ => "create it first",
    };
    StoreError::new(ErrorKind::NotFound, format!("there is no collection {name:?}: {fix}"))
}

/// The error for a document that is not there, or not for this caller.
pub(crate) fn no_document(id: &str) -> StoreError {
    StoreError::new(ErrorKind::NotFound, format!("there is no document {id:?} in this collection"))
}

/// A value as JSON text.
pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::new(ErrorKind::Internal, "a value cannot be written as JSON").with_source(e))
}

/// JSON text from the catalog.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "the catalog holds JSON that cannot be read: run verify")
            .with_source(e)
    })
}

/// A count or offset from the catalog, where it is never negative.
pub(crate) fn unsigned<T: TryFrom<i64>>(value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| {
        StoreError::new(
            ErrorKind::Corrupt,
            format!("the catalog holds the count or offset {value}: run verify"),
        )
    })
}

/// A count or offset for the catalog.
pub(crate) fn signed<T: TryInto<i64>>(value: T) -> Result<i64> {
    value.try_into().map_err(|_| StoreError::new(ErrorKind::Invalid, "a count or offset is over 2^63"))
}

/// Refuses an idempotency key that no client should send.
pub(crate) fn check_key(idempotency: Option<&IdempotencyKey>) -> Result<()> {
    match idempotency {
        Some(IdempotencyKey { key, .. })
            if !(1..=255).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Err(StoreError::new(ErrorKind::Invalid, "an idempotency key is 1-255 visible ASCII characters"))
        }
        _ => Ok(()),
    }
}

/// A stored hash.
pub(crate) fn hash(bytes: &[u8]) -> Result<ContentHash> {
    bytes.try_into().map(ContentHash).map_err(|_| {
        StoreError::new(
            ErrorKind::Corrupt,
            "the catalog holds a content hash of the wrong length: run verify",
        )
    })
}

/// Components from their stored form.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// The set of chunks in ranges of first key and count.
pub(crate) fn keys(ranges: Vec<(i64, i64)>) -> Result<RoaringTreemap> {
    let mut keys = RoaringTreemap::new();
    for (first, count) in ranges {
        let first: u64 = unsigned(first)?;
        keys.insert_range(first..first + unsigned::<u64>(count)?);
    }
    Ok(keys)
}

/// The positions around an ordinal.
pub(crate) fn around(ordinal: u32, before: u32, after: u32) -> std::ops::RangeInclusive<u32> {
    ordinal.saturating_sub(before)..=ordinal.saturating_add(after)
}

/// A limit for a listing.
pub(crate) fn limit(limit: u32) -> Result<u32> {
    if (1..=1000).contains(&limit) {
        Ok(limit)
    } else {
        Err(StoreError::new(
            ErrorKind::Invalid,
            format!("a page of {limit} is not possible: ask for 1 to 1000"),
        ))
    }
}

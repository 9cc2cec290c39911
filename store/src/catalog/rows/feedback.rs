//! Feedback as both catalogs keep it, and who may give and read it.

use super::values::parsed;
use crate::catalog::Page;
use crate::clock::rfc3339;
use crate::error::{ErrorKind, Result, StoreError};
use crate::feedback::{Feedback, NewFeedback};
use crate::scope::{Access, CollectionScope};

/// Key, id, event, time.
pub(crate) type FeedbackRow = (i64, String, String, i64);

/// Refuses what could not be told from others later.
pub(crate) fn check(feedback: &NewFeedback) -> Result<()> {
    let plain = feedback.id.bytes().all(|byte| byte.is_ascii_graphic());
    if (1..=255).contains(&feedback.id.len()) && plain && feedback.event.is_object() {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Invalid,
        "feedback is a JSON object with an id of 1-255 visible ASCII characters",
    ))
}

/// Feedback is everybody's.
pub(crate) fn check_reader(scope: &CollectionScope) -> Result<()> {
    if *scope.scope().access() == Access::Everything {
        return Ok(());
    }
    Err(StoreError::new(
        ErrorKind::Unauthorized,
        "feedback is shown to the tenant's administrator only: it is everybody's",
    ))
}

/// The key that a page's cursor stands after.
pub(crate) fn after(cursor: Option<&str>) -> Result<i64> {
    match cursor {
        None => Ok(0),
        Some(cursor) => cursor.parse().map_err(|_| {
            StoreError::new(ErrorKind::Invalid, "the cursor is not one that a page gave: take its `next`")
        }),
    }
}

/// A page out of up to one row more than it holds.
pub(crate) fn page(mut rows: Vec<FeedbackRow>, limit: u32) -> Result<Page<Feedback>> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = rows.last().filter(|_| more).map(|row| row.0.to_string());
    let items = rows
        .into_iter()
        .map(|(_, id, event, at)| Ok(Feedback { id, event: parsed(&event)?, at: rfc3339(at) }))
        .collect::<Result<_>>()?;
    Ok(Page { items, next })
}

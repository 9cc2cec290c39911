//! Named points of the write path at which the crash suite makes the process die, as a power cut would.
//!
//! Nothing here reads the environment: the binary arms one point at start-up if it is told to. An unarmed point costs
//! one atomic load.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{ErrorKind, Result, StoreError};

/// Every point, in the order in which a document passes them.
pub const POINTS: &[&str] = &[
    "blobs.put.before_sync",
    "blobs.put.after_rename",
    "ingest.submit.after_blob",
    "catalog.accept.before_commit",
    "catalog.accept.after_commit",
    "ingest.submit.after_accept",
    "ingest.lease.after",
    "ingest.extract.after",
    "ingest.chunk.after",
    "ingest.embed.after",
    "catalog.store_version.before_commit",
    "catalog.store_version.after_commit",
    "ingest.store.after",
    "index.apply.before",
    "index.apply.after",
    "index.flush.before",
    "index.flush.after",
    "catalog.record_watermark.before_commit",
    "catalog.record_watermark.after_commit",
    "ingest.index.after",
    "catalog.publish.before_commit",
    "catalog.publish.after_commit",
    "ingest.publish.after",
    "catalog.delete.before_commit",
    "catalog.delete.after_commit",
    "catalog.purge.before_commit",
    "catalog.purge.after_commit",
    "catalog.swap_generation.before_commit",
    "catalog.swap_generation.after_commit",
];

struct Armed {
    name: String,
    left: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Makes the process abort at its `nth` passage (from 1) of the point `name`. Once per process; an unknown point, a
/// second call and `nth` 0 are `Invalid`.
pub fn arm(name: &str, nth: u64) -> Result<()> {
    if !POINTS.contains(&name) {
        let known = POINTS.join(", ");
        return Err(StoreError::new(
            ErrorKind::Invalid,
            format!("no crash point is named {name:?}; there are: {known}"),
        ));
    }
    if nth == 0 {
        return Err(StoreError::new(ErrorKind::Invalid, "passages of a crash point are counted from 1"));
    }
    ARMED.set(Armed { name: name.to_owned(), left: AtomicU64::new(nth) }).map_err(|_| {
        StoreError::new(ErrorKind::Invalid, "a crash point is armed already; there can be one per process")
    })
}

/// Passes a point: does nothing, or ends the process without unwinding, flushing or answering anybody.
pub fn point(name: &str) {
    if let Some(armed) = ARMED.get()
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arming_refuses_what_is_no_point() {
        assert_eq!(arm("catalog.accept", 1).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(arm("catalog.accept.before_commit", 0).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn names_are_unique() {
        let unique: std::collections::BTreeSet<_> = POINTS.iter().collect();
        assert_eq!(unique.len(), POINTS.len());
    }
}

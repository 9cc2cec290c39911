//! What each catalog does for a backup: show one moment of all its rows, and take rows in.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::tables::Table;
use super::value::Row;
use crate::error::Result;

/// The moment that a backup shows.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    /// `sqlite` or `postgres`.
    pub(crate) engine: &'static str,
    /// The last key that each counter gave out, by table.
    pub(crate) counters: BTreeMap<String, i64>,
}

/// A document as another catalog, or the same one later, knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: String,
    pub(crate) deleted: bool,
}

/// All rows of a catalog at one moment, whatever is written meanwhile. Nothing is written through it.
#[async_trait]
pub(crate) trait Cut: Send {
    /// Which moment.
    fn moment(&self) -> &Moment;

    /// Sends the rows of a table; ends early where nobody listens any more.
    async fn rows(&mut self, table: &'static Table, to: mpsc::Sender<Row>) -> Result<()>;

    /// The documents of these keys, deleted ones included until they are purged.
    async fn known(&mut self, keys: &[i64]) -> Result<HashMap<i64, Known>>;

    /// Keys of documents of which versions were purged with a number above `after`, with the hashes of their ids.
    async fn purged(&mut self, after: i64) -> Result<HashMap<i64, HashSet<Vec<u8>>>>;

    /// Keys of the collections that were not deleted.
    async fn living_collections(&mut self) -> Result<HashSet<i64>>;
}

/// What a restored catalog remembers of where it came from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Microseconds since 1970.
    pub(crate) cut_at: i64,
    pub(crate) software: String,
    /// Microseconds since 1970.
    pub(crate) begun_at: i64,
}

/// An empty catalog that rows are put into. Nothing of it counts before [`Target::finish`].
#[async_trait]
pub(crate) trait Target: Send {
    /// Puts rows into a table.
    async fn load(&mut self, table: &'static Table, rows: Vec<Row>) -> Result<()>;

    /// Sets the counters, gives jobs that were under way back to the queue (due at `now`), checks that rows fit together, and
    /// keeps everything.
    async fn finish(
        self: Box<Self>,
        counters: &BTreeMap<String, i64>,
        origin: &Origin,
        now: i64,
    ) -> Result<()>;
}

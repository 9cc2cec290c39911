//! Rows of kept searches.

use sqlx::FromRow;

use super::values::parsed;
use crate::clock::rfc3339;
use crate::document::ChunkId;
use crate::error::Result;
use crate::queries::{NewQuery, RecordedQuery};
use crate::scope::Access;

#[derive(FromRow)]
pub(crate) struct QueryRow {
    pub(crate) key: i64,
    pub(crate) principals: String,
    pub(crate) request: String,
    pub(crate) settings: String,
    pub(crate) chunks: String,
    pub(crate) at: i64,
}

impl QueryRow {
    pub(crate) fn query(self) -> Result<RecordedQuery> {
        let access = match self.principals.as_str() {
            "true" => Access::Everything,
            own => Access::Principals(parsed(own)?),
        };
        let chunks: Vec<ChunkId> = parsed(&self.chunks)?;
        let query = NewQuery { request: parsed(&self.request)?, settings: self.settings, chunks };
        Ok(RecordedQuery { key: self.key, access, query, at: rfc3339(self.at) })
    }
}

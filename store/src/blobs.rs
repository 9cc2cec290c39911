//! The original bytes of documents, kept under the hash of their content.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::catalog::Catalog;
use crate::document::ContentHash;
use crate::error::Result;
use crate::scope::TenantId;

mod local;
mod postgres;

pub use local::LocalBlobs;
pub use postgres::PostgresBlobs;

/// A content-addressed store of bytes, one name space per tenant: equal bytes of two tenants are two blobs, so that
/// neither learns what the other holds.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Stores a stream of at most `max_bytes` and returns hash and length after the bytes are synced to disk and their
    /// name is durable. Storing what is there already is harmless. More than `max_bytes` is `Invalid` and leaves
    /// nothing behind; a full disk is `Unavailable`.
    async fn put(
        &self,
        tenant: &TenantId,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
        max_bytes: u64,
    ) -> Result<(ContentHash, u64)>;

    /// The bytes, checked against the hash: `NotFound` if absent, `Corrupt` if they changed.
    async fn get(&self, tenant: &TenantId, hash: &ContentHash) -> Result<Bytes>;

    /// Removes a blob; one that is not there is removed already.
    async fn delete(&self, tenant: &TenantId, hash: &ContentHash) -> Result<()>;

    /// Removes a blob to which no document version refers and which was stored at least this long ago, and says whether it
    /// is gone. Where blobs and catalog are one database no document comes to refer to it in between; elsewhere the caller
    /// sees to it that none is accepted, and a blob's age is not known.
    async fn delete_unused(
        &self,
        catalog: &dyn Catalog,
        tenant: &TenantId,
        hash: &ContentHash,
        age: Duration,
    ) -> Result<bool> {
        let _ = age;
        if catalog.blob_in_use(tenant, hash).await? {
            return Ok(false);
        }
        self.delete(tenant, hash).await?;
        Ok(true)
    }

    /// Every blob of a tenant, in ascending order of hash.
    async fn list(&self, tenant: &TenantId) -> Result<Vec<ContentHash>>;
}

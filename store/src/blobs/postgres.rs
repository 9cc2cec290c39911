//! Blobs in the catalog's PostgreSQL database, so that it can be the only service.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgConnection;

use super::Blobs;
use crate::catalog::Catalog;
use crate::catalog::postgres::{Database, During, PostgresCatalog, PostgresConfig, referred_to};
use crate::clock::{Clock, SystemClock};
use crate::document::ContentHash;
use crate::error::{ErrorKind, Result, StoreError};
use crate::fault;
use crate::scope::TenantId;

/// Bytes of a part, the last one excepted.
const PART: usize = 1 << 20;

/// See the module.
#[derive(Debug, Clone)]
pub struct PostgresBlobs {
    database: Database,
}

impl PostgresBlobs {
    /// In the database of a catalog that somebody else has opened.
    pub(crate) async fn at(config: &PostgresConfig) -> Result<Self> {
        Ok(Self { database: Database::attach(config).await? })
    }

    /// In the database of this catalog, which from now on accepts no document whose bytes are not there.
    pub fn of(catalog: &PostgresCatalog) -> Self {
        let database = catalog.database().clone();
        database.keep_blobs();
        Self { database }
    }
}

/// What was received: whole, and with its hash, before the database hears of it, so that a slow client holds no
/// transaction.
#[derive(Debug)]
struct Received {
    hash: ContentHash,
    length: u64,
    kept: Kept,
}

#[derive(Debug, Clone)]
enum Kept {
    /// Up to one part.
    Memory(Bytes),
    /// In a file without a name, gone with its last handle.
    File(Arc<std::fs::File>),
}

impl Received {
    async fn from(mut bytes: BoxStream<'static, std::io::Result<Bytes>>, max: u64) -> Result<Self> {
        let (mut hasher, mut length) = (blake3::Hasher::new(), 0_u64);
        let (mut memory, mut file) = (BytesMut::new(), None);
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|e| {
                StoreError::new(ErrorKind::Invalid, "the document was not received whole: send it again")
                    .with_source(e)
            })?;
            length = length.saturating_add(piece.len() as u64);
            if length > max {
                let message =
                    format!("the document has more than {max} bytes: send a smaller one, or raise the limit");
                return Err(StoreError::new(ErrorKind::Invalid, message));
            }
            hasher.update(&piece);
            memory.extend_from_slice(&piece);
            if memory.len() > PART {
                let open = match file.take() {
                    Some(open) => open,
                    None => Arc::new(blocking(tempfile::tempfile).await?),
                };
                let (part, written) = (memory.split().freeze(), Arc::clone(&open));
                blocking(move || std::io::Write::write_all(&mut &*written, &part)).await?;
                file = Some(open);
            }
        }
        let kept = match file {
            None => Kept::Memory(memory.freeze()),
            Some(open) => {
                let (rest, written) = (memory.freeze(), Arc::clone(&open));
                blocking(move || std::io::Write::write_all(&mut &*written, &rest)).await?;
                Kept::File(open)
            }
        };
        Ok(Self { hash: ContentHash(*hasher.finalize().as_bytes()), length, kept })
    }

    /// The part of this number, from 0; `None` behind the last one.
    async fn part(&self, number: u64) -> Result<Option<Bytes>> {
        let start = number.saturating_mul(PART as u64);
        if start >= self.length {
            return Ok(None);
        }
        match self.kept.clone() {
            Kept::Memory(bytes) => Ok(Some(bytes)),
            Kept::File(file) => {
                let size = usize::try_from(self.length - start).unwrap_or(PART).min(PART);
                let read = blocking(move || {
                    let mut part = vec![0; size];
                    file.read_exact_at(&mut part, start).map(|()| part)
                });
                read.await.map(|part| Some(Bytes::from(part)))
            }
        }
    }
}

/// Runs file work off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StoreError::new(ErrorKind::Internal, "work on a blob did not finish").with_source(e))?
        .map_err(|e| {
            StoreError::new(
                ErrorKind::Unavailable,
                format!("cannot keep what is received in a temporary file: check the disk of TMPDIR ({e})"),
            )
            .with_source(e)
        })
}

async fn store(connection: &mut PgConnection, now: i64, received: Arc<Received>) -> Result<()> {
    let hash = received.hash.0;
    // One that is there is as good as new: somebody is about to refer to it. `xmax` is 0 in a row that was inserted.
    let new: bool = sqlx::query_scalar(
        "INSERT INTO blobs (hash, bytes, put_at) VALUES ($1, $2, $3) \
         ON CONFLICT (tenant, hash) DO UPDATE SET put_at = $3 RETURNING xmax = 0",
    )
    .bind(hash.as_slice())
    .bind(i64::try_from(received.length).unwrap_or(i64::MAX))
    .bind(now)
    .fetch_one(&mut *connection)
    .await
    .during("store a blob")?;
    if !new {
        // Stored whole, for it was stored in one transaction.
        return Ok(());
    }
    for number in 0.. {
        let Some(part) = received.part(number).await? else { break };
        sqlx::query("INSERT INTO blob_parts (hash, number, part) VALUES ($1, $2, $3)")
            .bind(hash.as_slice())
            .bind(i64::try_from(number).unwrap_or(i64::MAX))
            .bind(part.as_ref())
            .execute(&mut *connection)
            .await
            .during("store a blob")?;
    }
    Ok(())
}

async fn load(connection: &mut PgConnection, tenant: TenantId, hash: ContentHash) -> Result<Bytes> {
    let length: Option<i64> = sqlx::query_scalar("SELECT bytes FROM blobs WHERE tenant = $1 AND hash = $2")
        .bind(tenant.as_str())
        .bind(hash.0.as_slice())
        .fetch_optional(&mut *connection)
        .await
        .during("read a blob")?;
    let length = length.ok_or_else(|| {
        StoreError::new(ErrorKind::NotFound, format!("there is no blob {}: run verify", hash.to_hex()))
    })?;
    let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
    let mut parts = sqlx::query_scalar::<_, Vec<u8>>(
        "SELECT part FROM blob_parts WHERE tenant = $1 AND hash = $2 ORDER BY number",
    )
    .bind(tenant.as_str())
    .bind(hash.0.as_slice())
    .fetch(connection);
    while let Some(part) = parts.try_next().await.during("read a blob")? {
        whole.extend_from_slice(&part);
    }
    let whole = whole.freeze();
    let same = {
        let whole = whole.clone();
        blocking(move || Ok(ContentHash::of(&whole))).await? == hash
    };
    if same {
        Ok(whole)
    } else {
        let message = format!(
            "the blob {} is not what was stored: restore it, or add its document again",
            hash.to_hex()
        );
        Err(StoreError::new(ErrorKind::Corrupt, message))
    }
}

async fn remove(connection: &mut PgConnection, tenant: TenantId, hash: ContentHash) -> Result<()> {
    sqlx::query("DELETE FROM blobs WHERE tenant = $1 AND hash = $2")
        .bind(tenant.as_str())
        .bind(hash.0.as_slice())
        .execute(connection)
        .await
        .during("delete a blob")?;
    Ok(())
}

/// Locks the blob first: whoever is about to refer to it has done so by then, or will find it gone.
async fn remove_unused(
    connection: &mut PgConnection,
    tenant: TenantId,
    hash: ContentHash,
    before: i64,
) -> Result<bool> {
    let put_at: Option<i64> =
        sqlx::query_scalar("SELECT put_at FROM blobs WHERE tenant = $1 AND hash = $2 FOR UPDATE")
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .fetch_optional(&mut *connection)
            .await
            .during("delete a blob")?;
    match put_at {
        None => Ok(true),
        Some(put_at) if put_at > before => Ok(false),
        Some(_) if referred_to(connection, tenant.clone(), hash).await? => Ok(false),
        Some(_) => remove(connection, tenant, hash).await.map(|()| true),
    }
}

async fn all(connection: &mut PgConnection, tenant: TenantId) -> Result<Vec<ContentHash>> {
    let hashes: Vec<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM blobs WHERE tenant = $1 ORDER BY hash")
        .bind(tenant.as_str())
        .fetch_all(connection)
        .await
        .during("list the blobs")?;
    hashes
        .into_iter()
        .map(|hash| {
            hash.try_into().map(ContentHash).map_err(|_| {
                StoreError::new(ErrorKind::Corrupt, "a blob has a hash of the wrong length: run verify")
            })
        })
        .collect()
}

#[async_trait]
impl Blobs for PostgresBlobs {
    async fn put(
        &self,
        tenant: &TenantId,
        bytes: BoxStream<'static, std::io::Result<Bytes>>,
        max_bytes: u64,
    ) -> Result<(ContentHash, u64)> {
        let received = Arc::new(Received::from(bytes, max_bytes).await?);
        let (hash, length) = (received.hash, received.length);
        fault::point("blobs.put.before_sync");
        let now = SystemClock.now();
        self.database
            .write(tenant.into(), None, move |connection| {
                Box::pin(store(connection, now, Arc::clone(&received)))
            })
            .await?;
        fault::point("blobs.put.after_rename");
        Ok((hash, length))
    }

    async fn get(&self, tenant: &TenantId, hash: &ContentHash) -> Result<Bytes> {
        let (whose, tenant, hash) = (tenant.into(), tenant.clone(), *hash);
        self.database.read(whose, move |connection| Box::pin(load(connection, tenant.clone(), hash))).await
    }

    async fn delete(&self, tenant: &TenantId, hash: &ContentHash) -> Result<()> {
        let (whose, tenant, hash) = (tenant.into(), tenant.clone(), *hash);
        self.database
            .write(whose, None, move |connection| Box::pin(remove(connection, tenant.clone(), hash)))
            .await
    }

    async fn delete_unused(
        &self,
        _catalog: &dyn Catalog,
        tenant: &TenantId,
        hash: &ContentHash,
        age: Duration,
    ) -> Result<bool> {
        let (whose, tenant, hash) = (tenant.into(), tenant.clone(), *hash);
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let before = SystemClock.now().saturating_sub(age);
        self.database
            .write(whose, None, move |connection| {
                Box::pin(remove_unused(connection, tenant.clone(), hash, before))
            })
            .await
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<ContentHash>> {
        let (whose, tenant) = (tenant.into(), tenant.clone());
        self.database.read(whose, move |connection| Box::pin(all(connection, tenant.clone()))).await
    }
}

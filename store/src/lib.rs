//! What is kept, and how it is found by key, by word and by vector.
//!
//! The catalog is the truth: it keeps text, metadata and vectors. The vector and keyword indexes are derived from it
//! and can be lost, corrupted or replaced; `sync` brings them up to the catalog's change sequence.

pub mod accounts;
pub mod audit;
pub mod backup;
pub mod blobs;
pub mod catalog;
pub mod clock;
pub mod conversations;
pub mod document;
pub mod error;
pub mod export;
pub mod fault;
pub mod feedback;
pub mod filter;
pub mod folder;
pub mod jobs;
pub mod keyword;
pub mod ledger;
pub mod names;
mod pulse;
pub mod queries;
pub mod replies;
pub mod runs;
pub mod scope;
pub mod sync;
pub mod users;
pub mod vector;
pub mod verify;
pub mod webhooks;

pub use accounts::Accounts;
pub use audit::AuditLog;
pub use blobs::Blobs;
pub use catalog::Catalog;
pub use document::*;
pub use error::{ErrorKind, Result, StoreError};
pub use filter::Filter;
pub use ledger::Ledger;
pub use replies::Replies;
pub use scope::{Access, CollectionScope, Collections, Scope, TenantId};
pub use users::Users;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backup::hold::Hold;
use blobs::{LocalBlobs, PostgresBlobs};
use catalog::Purged;
use catalog::postgres::{PostgresCatalog, PostgresConfig, Replica};
use catalog::sqlite::SqliteCatalog;
use clock::{Clock, SystemClock};
use conversations::Conversations;
use folder::DataFolder;
use pulse::Pulse;
use runs::Runs;
use sync::{Indexes, Remotes, SyncConfig};
use vector::choice::VectorsConfig;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The data folder; made if it is not there.
    pub folder: PathBuf,
    /// What other processes are told about this one while it holds the folder: `server`, `ingest`.
    pub role: String,
    /// How indexes are kept.
    pub sync: SyncConfig,
    /// Which engine keeps vectors.
    pub vectors: VectorsConfig,
    /// The database that keeps catalog and blobs; the data folder where `None`.
    pub postgres: Option<PostgresConfig>,
    /// Whether this process keeps indexes. One without them, a worker of a database that others serve from, needs no data
    /// folder either.
    pub indexes: bool,
    /// How often the other processes of a database are told that this one is there. One that is not heard of for five
    /// minutes is given up.
    pub pulse: Duration,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
}

impl StoreConfig {
    /// The data folder with default settings and the system's clock.
    pub fn new(folder: impl Into<PathBuf>, role: impl Into<String>) -> Self {
        Self {
            folder: folder.into(),
            role: role.into(),
            sync: SyncConfig::default(),
            vectors: VectorsConfig::default(),
            postgres: None,
            indexes: true,
            pulse: Duration::from_secs(15),
            clock: Arc::new(SystemClock),
        }
    }
}

/// The parts of one data folder, opened together.
#[derive(Clone)]
pub struct Store {
    /// The truth.
    pub catalog: Arc<dyn Catalog>,
    /// Keys and quotas.
    pub accounts: Arc<dyn Accounts>,
    /// People who sign in.
    pub users: Arc<dyn Users>,
    /// What was done.
    pub audit: Arc<dyn AuditLog>,
    /// What was asked and answered in turn.
    pub conversations: Arc<dyn Conversations>,
    /// Runs of an agent that wait for a person.
    pub runs: Arc<dyn Runs>,
    /// The original bytes.
    pub blobs: Arc<dyn Blobs>,
    /// What is derived from the catalog.
    pub indexes: Arc<Indexes>,
    /// What calls of paid models cost.
    pub ledger: Arc<dyn Ledger>,
    /// Replies kept to be given again.
    pub replies: Arc<dyn Replies>,
    hold: Hold,
    home: Home,
    /// Where other processes wait for this one's indexes.
    pulse: Option<Arc<Pulse>>,
}

/// What must live as long as the store does.
#[derive(Clone)]
enum Home {
    /// Holds the lock.
    Folder(Arc<DataFolder>),
    /// There is nothing on this disk.
    Database,
    /// Removed with the store.
    Temporary { _blobs: Arc<tempfile::TempDir> },
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("folder", &self.folder().map(|folder| folder.root()))
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Locks the data folder and opens everything in it. `Conflict` if another process holds it or it is of a newer
    /// format; the message names who or which.
    ///
    /// With a database the folder holds indexes only, and every process that uses the database has a folder of its own.
    pub async fn open(config: StoreConfig) -> Result<Self> {
        match config.postgres.clone() {
            // Boxed: callers hold this future in theirs.
            Some(postgres) if config.indexes => Box::pin(Self::open_postgres(config, postgres)).await,
            Some(postgres) => Box::pin(Self::open_without_indexes(config, postgres)).await,
            None if !config.indexes => Err(StoreError::new(
                ErrorKind::Invalid,
                "a process without indexes works on a catalog that others have open, and a data folder has one process at \
                 a time: name a PostgreSQL database (`postgres.url`)",
            )),
            None => Box::pin(Self::open_sqlite(config)).await,
        }
    }

    async fn open_postgres(config: StoreConfig, postgres: PostgresConfig) -> Result<Self> {
        let StoreConfig { folder, role, sync, vectors, pulse, clock, .. } = config;
        let folder = blocking(move || DataFolder::open(folder, &role)).await?;
        let catalog = PostgresCatalog::open(&postgres, clock).await?;
        let hold = Hold::Postgres(Box::new(catalog.database().clone()));
        let identity = catalog.identity().await?;
        let remotes = Remotes::open(&vectors, &identity, Some(&catalog))?;
        let replica = Replica::new(&folder.replica()?);
        let replica = if remotes.shares() { replica.sharing_vectors() } else { replica };
        let catalog = catalog.for_replica(Some(replica));
        let blobs = PostgresBlobs::of(&catalog);
        // The folder may have served another catalog, whose keys mean other chunks.
        let indexes = folder.indexes().join(format!("postgres-{identity}"));
        charge(&catalog).await?;
        let rows = Rows::of(Arc::new(catalog));
        // Before an index is opened, so that purges wait for it.
        rows.catalog.beat().await?;
        let indexes = Indexes::open_with(Arc::clone(&rows.catalog), Some(indexes), sync, remotes).await?;
        let folder = Arc::new(folder);
        let mut store = Self::new(rows, Arc::new(blobs), indexes, hold, Home::Folder(folder));
        store.pulse =
            Some(Arc::new(Pulse::start(pulse, Arc::clone(&store.catalog), Arc::clone(&store.indexes))));
        Ok(store)
    }

    async fn open_without_indexes(config: StoreConfig, postgres: PostgresConfig) -> Result<Self> {
        let catalog = PostgresCatalog::open(&postgres, config.clock).await?.for_replica(None);
        let hold = Hold::Postgres(Box::new(catalog.database().clone()));
        let blobs = PostgresBlobs::of(&catalog);
        charge(&catalog).await?;
        let rows = Rows::of(Arc::new(catalog));
        let indexes = Indexes::none(Arc::clone(&rows.catalog), config.sync)?;
        Ok(Self::new(rows, Arc::new(blobs), indexes, hold, Home::Database))
    }

    async fn open_sqlite(config: StoreConfig) -> Result<Self> {
        let StoreConfig { folder, role, sync, vectors, clock, .. } = config;
        let (folder, blobs) = blocking(move || {
            let folder = DataFolder::open(folder, &role)?;
            let blobs = LocalBlobs::open(folder.blobs())?;
            Ok((folder, blobs))
        })
        .await?;
        let catalog = SqliteCatalog::open(folder.catalog(), clock).await?;
        // We hold the folder's lock, so whoever leased a job before is gone.
        catalog.end_leases().await?;
        let remotes = Remotes::open(&vectors, &catalog.identity().await?, None)?;
        charge(&catalog).await?;
        let rows = Rows::of(Arc::new(catalog));
        let folders = Some(folder.indexes());
        let indexes = Indexes::open_with(Arc::clone(&rows.catalog), folders, sync, remotes).await?;
        let hold = Hold::of_folder(folder.root());
        Ok(Self::new(rows, Arc::new(blobs), indexes, hold, Home::Folder(Arc::new(folder))))
    }

    fn new(rows: Rows, blobs: Arc<dyn Blobs>, indexes: Indexes, hold: Hold, home: Home) -> Self {
        let Rows { catalog, accounts, users, audit, conversations, runs, ledger, replies } = rows;
        let indexes = Arc::new(indexes);
        let pulse = None;
        Self {
            catalog,
            accounts,
            users,
            audit,
            conversations,
            runs,
            blobs,
            indexes,
            ledger,
            replies,
            hold,
            home,
            pulse,
        }
    }

    /// An empty store that is gone when its last clone is dropped: catalog and indexes in memory, blobs in a temporary
    /// folder.
    pub async fn in_memory() -> Result<Self> {
        Self::in_memory_with(SyncConfig::default(), Arc::new(SystemClock)).await
    }

    /// Like [`Store::in_memory`], with settings and a clock.
    pub async fn in_memory_with(sync: SyncConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let (folder, blobs) = blocking(|| {
            let folder = tempfile::tempdir().map_err(|e| {
                StoreError::new(
                    ErrorKind::Unavailable,
                    "can't make a temporary folder for blobs; check its disk",
                )
                .with_source(e)
            })?;
            let blobs = LocalBlobs::open(folder.path())?;
            Ok((folder, blobs))
        })
        .await?;
        let rows = Rows::of(Arc::new(SqliteCatalog::open_in_memory(clock).await?));
        let indexes = Indexes::open(Arc::clone(&rows.catalog), None, sync).await?;
        let home = Home::Temporary { _blobs: Arc::new(folder) };
        Ok(Self::new(rows, Arc::new(blobs), indexes, Hold::None, home))
    }

    /// The locked data folder; `None` for a store in memory, or in a database alone.
    pub fn folder(&self) -> Option<&DataFolder> {
        match &self.home {
            Home::Folder(folder) => Some(folder),
            Home::Database | Home::Temporary { .. } => None,
        }
    }

    /// Removes for good at most `limit` versions that nobody sees any more, and the blobs that nobody refers to any
    /// more. Call again while it returns versions.
    pub async fn purge_once(&self, limit: u32) -> Result<Purged> {
        let purged = self.catalog.purge(limit).await?;
        for (tenant, hash) in &purged.blobs {
            if self.delete_unused_blob(tenant, hash, Duration::ZERO).await? {
                self.catalog.blob_deleted(tenant, hash).await?;
            }
        }
        Ok(purged)
    }

    /// Deletes bytes that no version refers to and that were stored at least this long ago ([`Blobs::delete_unused`]), and says
    /// whether they are gone: the same bytes may have been accepted again, and a backup that is under way may still copy them.
    /// Those of a purge are named again by the next one.
    pub async fn delete_unused_blob(
        &self,
        tenant: &TenantId,
        hash: &ContentHash,
        age: Duration,
    ) -> Result<bool> {
        self.hold.unless_held(self.blobs.delete_unused(self.catalog.as_ref(), tenant, hash, age)).await
    }

    /// Ends index work in good order. The catalog needs no ending.
    pub async fn close(&self) -> Result<()> {
        if let Some(pulse) = &self.pulse {
            pulse.stop();
            // One that cannot say so is given up after a while.
            if let Err(error) = self.catalog.leave().await {
                tracing::debug!(%error, "the end of this process was not recorded");
            }
        }
        self.indexes.close().await
    }
}

/// One catalog, seen as each of the things that it keeps.
struct Rows {
    catalog: Arc<dyn Catalog>,
    accounts: Arc<dyn Accounts>,
    users: Arc<dyn Users>,
    audit: Arc<dyn AuditLog>,
    conversations: Arc<dyn Conversations>,
    runs: Arc<dyn Runs>,
    ledger: Arc<dyn Ledger>,
    replies: Arc<dyn Replies>,
}

impl Rows {
    fn of<C>(catalog: Arc<C>) -> Self
    where
        C: Catalog + Accounts + Users + AuditLog + Conversations + Runs + Ledger + Replies,
    {
        Self {
            accounts: Arc::clone(&catalog) as _,
            users: Arc::clone(&catalog) as _,
            audit: Arc::clone(&catalog) as _,
            conversations: Arc::clone(&catalog) as _,
            runs: Arc::clone(&catalog) as _,
            ledger: Arc::clone(&catalog) as _,
            replies: Arc::clone(&catalog) as _,
            catalog,
        }
    }
}

/// Settles what an earlier process left open.
async fn charge(ledger: &impl Ledger) -> Result<()> {
    let open = ledger.settle_open().await?;
    if open > 0 {
        tracing::warn!(
            calls = open,
            "calls that an earlier process left open are charged at their worst case"
        );
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        StoreError::new(ErrorKind::Internal, "opening the data folder stopped in the middle; see the log")
            .with_source(e)
    })?
}

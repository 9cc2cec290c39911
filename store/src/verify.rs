//! Compares every index and blob with the catalog, and mends what differs.
//!
//! Nothing is mended silently: what opening an index already put right is reported too. Damage to an index is mended by
//! building it anew from the catalog beside the one in use, with zero embedding calls; damage to the catalog or to the
//! original bytes can only be reported, for they are the truth.

use std::time::Duration;

use serde::Serialize;

use crate::catalog::IndexKind;
use crate::error::{ErrorKind, Result};
use crate::scope::CollectionScope;
use crate::{Store, sync};

mod blobs;
mod indexes;

/// Most examples kept per finding.
const EXAMPLES: usize = 5;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The catalog has it, the index or blob store does not.
    Missing,
    /// The index has it, the catalog does not.
    Extra,
    /// The index holds something else than the catalog under the same key.
    Stale,
    /// An index's files are damaged.
    Unreadable,
    /// Damage that opening the index found and put right.
    MendedAtOpening,
    /// A blob's bytes are not those of its hash.
    Corrupt,
    /// A blob that no document version refers to.
    Orphaned,
    /// The catalog contradicts itself.
    Catalog,
}

/// One kind of damage in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `vector`, `keyword`, `blobs` or `catalog`.
    pub part: &'static str,
    /// The tenant, where it is one's.
    pub tenant: Option<String>,
    /// The collection, where it is one's.
    pub collection: Option<String>,
    /// What.
    pub kind: FindingKind,
    /// How many entries, blobs or lines.
    pub count: u64,
    /// A few of them.
    pub examples: Vec<String>,
    /// Whether it is right now.
    pub mended: bool,
}

/// What `verify` looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Collections looked at.
    pub collections: u64,
    /// Index entries compared, both indexes together.
    pub entries: u64,
    /// Blobs whose bytes were read and compared with their hash.
    pub blobs: u64,
    /// Empty if everything is as it should be.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Nothing is wrong now.
    pub fn is_mended(&self) -> bool {
        self.findings.iter().all(|finding| finding.mended)
    }
}

/// What to do about damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Whether to mend indexes and to delete orphaned blobs.
    pub repair: bool,
    /// How long a blob must have been seen as orphaned before it is deleted: an upload in progress stores its bytes before
    /// its document is accepted. 0 is safe where nothing else uses the store. `verify` waits for it only if there are
    /// orphans to delete.
    pub orphan_grace: Duration,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { repair: false, orphan_grace: Duration::from_secs(60) }
    }
}

/// Looks at one collection, or at everything with `None` (then at orphaned blobs too). `progress` is told collections done
/// and to do. Writers may go on: what they change meanwhile is looked at again before it is called damage.
pub async fn verify(
    store: &Store,
    only: Option<&CollectionScope>,
    options: VerifyOptions,
    progress: Option<sync::Progress>,
) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    if only.is_none() {
        let damage = store.catalog.check().await?;
        report.note(Finding {
            part: "catalog",
            tenant: None,
            collection: None,
            kind: FindingKind::Catalog,
            count: damage.len() as u64,
            examples: damage.into_iter().take(EXAMPLES).collect(),
            mended: false,
        });
    }
    let mut scopes: Vec<CollectionScope> =
        store.catalog.all_collections().await?.into_iter().map(|(scope, _)| scope).collect();
    if let Some(only) = only {
        scopes.retain(|scope| scope.key() == only.key());
    }
    for (done, scope) in scopes.iter().enumerate() {
        match collection(store, scope, options, &mut report).await {
            // Deleted while we looked at others.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            result => result?,
        }
        if let Some(progress) = &progress {
            progress(done as u64 + 1, scopes.len() as u64);
        }
    }
    if only.is_none() {
        blobs::orphans(store, options, &mut report).await?;
    }
    Ok(report)
}

async fn collection(
    store: &Store,
    scope: &CollectionScope,
    options: VerifyOptions,
    report: &mut VerifyReport,
) -> Result<()> {
    report.collections += 1;
    for damage in store.indexes.mended_at_opening(scope).await? {
        let (kind, examples) = (FindingKind::MendedAtOpening, vec![damage.what]);
        report.note(Finding {
            mended: true,
            ..finding(scope, damage.index, kind, damage.entries.max(1), examples)
        });
    }
    for kind in [IndexKind::Vector, IndexKind::Keyword] {
        let mut findings = indexes::compare(store, scope, kind, &mut report.entries).await?;
        if options.repair && !findings.is_empty() {
            store.indexes.rebuild(scope, kind, None).await?;
            let left = indexes::compare(store, scope, kind, &mut 0).await?;
            findings.iter_mut().for_each(|finding| finding.mended = left.is_empty());
        }
        findings.into_iter().for_each(|finding| report.note(finding));
    }
    blobs::referred(store, scope, report).await
}

impl VerifyReport {
    fn note(&mut self, finding: Finding) {
        if finding.count > 0 {
            self.findings.push(finding);
        }
    }
}

fn finding(
    scope: &CollectionScope,
    part: &'static str,
    kind: FindingKind,
    count: u64,
    examples: impl IntoIterator<Item = String>,
) -> Finding {
    Finding {
        part,
        tenant: Some(scope.tenant().as_str().to_owned()),
        collection: Some(scope.name().as_str().to_owned()),
        kind,
        count,
        examples: examples.into_iter().take(EXAMPLES).collect(),
        mended: false,
    }
}

/// The part's name of an index.
fn part(kind: IndexKind) -> &'static str {
    match kind {
        IndexKind::Vector => "vector",
        IndexKind::Keyword => "keyword",
    }
}

/// The index as `sync` handles it.
async fn index_of(store: &Store, scope: &CollectionScope, kind: IndexKind) -> Result<sync::AnyIndex> {
    Ok(match kind {
        IndexKind::Vector => sync::AnyIndex::Vector(store.indexes.vector(scope).await?),
        IndexKind::Keyword => sync::AnyIndex::Keyword(store.indexes.keyword(scope).await?),
    })
}

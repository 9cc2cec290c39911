//! What catalog tests share: an opened catalog, documents made of lines, and the whole way of one.

#![allow(dead_code, reason = "each test program uses another part of it")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wellspring_store::catalog::{Accepted, IdempotencyKey};
use wellspring_store::clock::TestClock;
use wellspring_store::jobs::Lease;
use wellspring_store::*;

/// A catalog under test.
pub(crate) struct Fixture {
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) clock: TestClock,
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn administrator() -> Scope {
    Scope::administrator(TenantId::default_tenant())
}

pub(crate) fn user(principals: &[&str]) -> Scope {
    let principals: BTreeSet<String> = principals.iter().map(|p| (*p).to_owned()).collect();
    Scope::restricted(TenantId::default_tenant(), principals, Collections::All)
}

pub(crate) fn id(id: &str) -> DocumentId {
    DocumentId::new(id).unwrap()
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

pub(crate) fn ids(page: &[Document]) -> Vec<&str> {
    page.iter().map(|document| document.id.as_str()).collect()
}

/// A document whose bytes are its text.
pub(crate) fn document(name: &str, text: &str) -> NewDocument {
    NewDocument {
        id: id(name),
        blob: ContentHash::of(text.as_bytes()),
        bytes: text.len() as u64,
        source: format!("{name}.txt"),
        media_type: None,
        title: None,
        metadata: Metadata::new(),
        acl: None,
        trace: None,
    }
}

pub(crate) fn restricted(name: &str, text: &str, acl: &[&str]) -> NewDocument {
    NewDocument { acl: Some(acl.iter().map(|p| (*p).to_owned()).collect()), ..document(name, text) }
}

/// One chunk per line, with a vector made from its text.
pub(crate) fn processed(key: DocumentKey, version: Version, text: &str) -> ProcessedDocument {
    let mut chunks = Vec::new();
    let mut start = 0;
    for (ordinal, line) in text.split_inclusive('\n').enumerate() {
        let end = start + line.len();
        chunks.push(NewChunk {
            id: ChunkId(
                ContentHash::of(format!("{}/{version}/{ordinal}", key.0).as_bytes()).to_hex()[..32]
                    .to_owned(),
            ),
            ordinal: ordinal as u32,
            start,
            end,
            page: Some(1),
            headings: vec!["Top".to_owned(), format!("Part {ordinal}")],
            section: Some((0, text.len())),
            // A line has a link where it begins with "to ".
            links: line
                .strip_prefix("to ")
                .map(|to| vec![to.trim().to_owned(), "\u{e9}?a=1&b".to_owned()])
                .unwrap_or_default(),
            embedded_text: line.to_owned(),
            content_hash: ContentHash::of(line.as_bytes()),
            tokens: line.split_whitespace().count() as u32,
            language: Some("en".to_owned()),
            vector: vector(line),
        });
        start = end;
    }
    ProcessedDocument {
        text: text.to_owned(),
        title: Some("A title".to_owned()),
        media_type: "text/plain".to_owned(),
        metadata: Metadata::new(),
        pages: vec![PageSpan { page: 1, start: 0, end: text.len() }],
        offsets: json!({"identity": true}),
        warnings: vec!["a warning".to_owned()],
        pipeline: "test/1".to_owned(),
        chunks,
    }
}

pub(crate) fn vector(text: &str) -> Vec<f32> {
    let hash = ContentHash::of(text.as_bytes()).0;
    let raw: Vec<f32> = hash[..4].iter().map(|byte| f32::from(*byte) + 1.0).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt();
    raw.iter().map(|x| x / norm).collect()
}

impl Fixture {
    pub(crate) async fn make(&self, scope: &Scope, name: &str) -> CollectionScope {
        let name = CollectionName::new(name).unwrap();
        let new = NewCollection {
            name: name.clone(),
            model: "hash".to_owned(),
            fingerprint: "hash/4".to_owned(),
            dimension: 4,
            settings: json!({"overlap": 0}),
        };
        self.catalog.create_collection(scope, new).await.unwrap();
        self.catalog.collection(scope, &name).await.unwrap().0
    }

    /// A collection `docs` of the default tenant.
    pub(crate) async fn docs(&self) -> CollectionScope {
        self.make(&administrator(), "docs").await
    }

    /// The same collection for another caller of the tenant.
    pub(crate) async fn as_seen_by(&self, scope: &Scope) -> CollectionScope {
        self.catalog.collection(scope, &CollectionName::new("docs").unwrap()).await.unwrap().0
    }

    pub(crate) async fn accept(&self, scope: &CollectionScope, document: NewDocument) -> Accepted {
        self.catalog.accept(scope, document, None).await.unwrap()
    }

    pub(crate) async fn lease(&self) -> Lease {
        self.catalog.lease("worker", MINUTE).await.unwrap().expect("a job is due")
    }

    /// Accepts and leases a document, and stores its text.
    pub(crate) async fn stored(&self, scope: &CollectionScope, new: NewDocument, text: &str) -> Lease {
        let metadata = new.metadata.clone();
        self.accept(scope, new).await;
        let lease = self.lease().await;
        let mut made = processed(lease.document_key, lease.version, text);
        made.metadata = metadata;
        self.catalog.store_version(&lease, made).await.unwrap();
        lease
    }

    /// The whole way.
    pub(crate) async fn published(&self, scope: &CollectionScope, new: NewDocument, text: &str) -> Document {
        let name = new.id.clone();
        let lease = self.stored(scope, new, text).await;
        let administrator =
            self.catalog.collection(&Scope::administrator(scope.tenant().clone()), scope.name()).await;
        self.catalog.publish(&lease, json!({"chunks": 1})).await.unwrap();
        self.catalog.document(&administrator.unwrap().0, &name).await.unwrap()
    }

    /// Says that both indexes have followed every change.
    pub(crate) async fn flushed(&self, scope: &CollectionScope) {
        use wellspring_store::catalog::IndexKind;
        let seq = self.catalog.last_seq(scope).await.unwrap();
        for index in [IndexKind::Vector, IndexKind::Keyword] {
            let (generation, _) = self.catalog.index_state(scope, index).await.unwrap();
            self.catalog.record_watermark(scope, index, generation, seq).await.unwrap();
        }
    }

    /// Texts of the visible chunks of every version ever made.
    pub(crate) async fn texts(&self, scope: &CollectionScope) -> Vec<String> {
        let keys: Vec<ChunkKey> = (1..200).map(ChunkKey).collect();
        let mut chunks = self.catalog.visible_chunks(scope, &keys, None).await.unwrap();
        chunks.sort_by_key(|chunk| chunk.key);
        chunks.into_iter().map(|chunk| chunk.text).collect()
    }
}

pub(crate) fn key(key: &str, request: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key: key.to_owned(), request: ContentHash::of(request.as_bytes()) })
}

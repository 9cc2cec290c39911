//! Rows of collections and of visible documents.

use sqlx::FromRow;

use super::values::{hash, parsed, unsigned};
use crate::clock::rfc3339;
use crate::document::{
    Collection, CollectionKey, CollectionName, Document, DocumentId, DocumentKey, Version,
};
use crate::error::Result;

#[derive(FromRow)]
pub(crate) struct CollectionRow {
    pub(crate) key: i64,
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) fingerprint: String,
    pub(crate) dimension: i64,
    pub(crate) settings: String,
    pub(crate) documents: i64,
    pub(crate) chunks: i64,
    pub(crate) created_at: i64,
}

impl CollectionRow {
    pub(crate) fn collection(self) -> Result<Collection> {
        Ok(Collection {
            key: CollectionKey(self.key),
            name: CollectionName::new(self.name)?,
            model: self.model,
            fingerprint: self.fingerprint,
            dimension: unsigned(self.dimension)?,
            settings: parsed(&self.settings)?,
            created_at: rfc3339(self.created_at),
            documents: unsigned(self.documents)?,
            chunks: unsigned(self.chunks)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct DocumentRow {
    pub(crate) document_key: i64,
    pub(crate) document_id: String,
    pub(crate) version: Version,
    pub(crate) title: Option<String>,
    pub(crate) source: String,
    pub(crate) media_type: String,
    pub(crate) metadata: String,
    pub(crate) acl: Option<String>,
    pub(crate) bytes: i64,
    pub(crate) blob: Vec<u8>,
    pub(crate) pipeline: String,
    pub(crate) page_count: i64,
    pub(crate) chunks: i64,
    pub(crate) warnings: String,
    pub(crate) document_created_at: i64,
    pub(crate) visible_at: i64,
}

impl DocumentRow {
    pub(crate) fn document(self) -> Result<Document> {
        Ok(Document {
            key: DocumentKey(self.document_key),
            id: DocumentId::new(self.document_id)?,
            version: self.version,
            title: self.title,
            source: self.source,
            media_type: self.media_type,
            metadata: parsed(&self.metadata)?,
            acl: self.acl.as_deref().map(parsed).transpose()?,
            bytes: unsigned(self.bytes)?,
            content_hash: hash(&self.blob)?.to_hex(),
            pipeline: self.pipeline,
            pages: unsigned(self.page_count)?,
            chunks: unsigned(self.chunks)?,
            warnings: parsed(&self.warnings)?,
            created_at: rfc3339(self.document_created_at),
            updated_at: rfc3339(self.visible_at),
        })
    }
}

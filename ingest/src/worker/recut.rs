//! Shows how a document that is there would be cut with other settings, without storing anything.

use serde_json::{Map, Value};
use wellspring_models::Account;
use wellspring_store::{CollectionScope, DocumentId};

use super::Ingestor;
use crate::chunk::Chunker;
use crate::config::CollectionSettings;
use crate::error::Result;
use crate::preview::{Preview, preview};

impl Ingestor {
    /// The document's visible version, read anew and cut with the collection's settings, `chunk` laid over them. Nothing is
    /// stored; sentences are embedded, and `account` pays for it, with semantic boundaries only.
    ///
    /// # Errors
    /// `NotFound` where the scope has no such document, `Invalid` for settings that can't be, and those of [`preview`].
    pub async fn recut(
        &self,
        scope: &CollectionScope,
        id: &DocumentId,
        chunk: &Map<String, Value>,
        account: &Account,
    ) -> Result<Preview> {
        let inner = &self.inner;
        let (_, collection) = inner.store.catalog.collection(scope.scope(), scope.name()).await?;
        let settings = CollectionSettings::read(&collection.settings)?.with_chunk(chunk)?;
        let document = inner.store.catalog.document(scope, id).await?;
        let embedder = inner.embedders.paid_embedder(&collection.model, account).await?;
        settings.suits(embedder.as_ref())?;
        let chunker = Chunker::new(settings.chunk, embedder.counter(), embedder.info().max_tokens)?;
        let hash = inner.store.catalog.blob(scope, id).await?;
        // Reading takes as much memory as a job does, and waits for it as one.
        let _room = inner.memory.share(document.bytes).await;
        let bytes = inner.store.blobs.get(scope.tenant(), &hash).await?;
        let cut = |title| {
            preview(inner.extractor.as_ref(), &chunker, &embedder, bytes.clone(), &document.source, title)
        };
        let shown = cut(None).await?;
        // A title that the text does not give was given by a person, and is embedded as such.
        match document.title.as_deref() {
            Some(title) if shown.title.as_deref() != Some(title) => cut(Some(title)).await,
            _ => Ok(shown),
        }
    }
}

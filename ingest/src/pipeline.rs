//! What a document passes through, and the seams to the models and the extractor.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use wellspring_models::{Account, Embedder, Registry, Work};
use wellspring_store::{Collection, Metadata, NewDocument};

use crate::chunk::{ChunkConfig, Markup};
use crate::detect::Format;
use crate::extract::{Extracted, Failure, Libraries, Limits, Reason};
use crate::sandbox::Sandbox;

pub(crate) mod attempt;
pub(crate) mod chunkers;
pub(crate) mod cut;
pub(crate) mod drift;
pub(crate) mod late;
pub(crate) mod memory;
mod vectors;

/// Changes whenever the same bytes give another stored text, title or metadata.
const EXTRACTION: u32 = 2;

/// Finds the embedder of a collection.
#[async_trait]
pub trait Embedders: Send + Sync + 'static {
    /// The embedder of this name; `NotFound` where there is none. Called for every document: cheap when it is loaded.
    async fn embedder(&self, name: &str) -> wellspring_models::Result<Arc<dyn Embedder>>;

    /// The same for documents that `account` pays for, where calls cost money.
    async fn paid_embedder(
        &self,
        name: &str,
        _account: &Account,
    ) -> wellspring_models::Result<Arc<dyn Embedder>> {
        self.embedder(name).await
    }

    /// Whether `account` could pay now for embedding so many tokens; the error is that of a refused call.
    async fn affords(&self, _name: &str, _tokens: u64, _account: &Account) -> wellspring_models::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Embedders for Registry {
    async fn embedder(&self, name: &str) -> wellspring_models::Result<Arc<dyn Embedder>> {
        Self::embedder(self, name).await
    }

    async fn paid_embedder(
        &self,
        name: &str,
        account: &Account,
    ) -> wellspring_models::Result<Arc<dyn Embedder>> {
        self.embedder_for(name, Work::DOCUMENTS, account).await
    }

    async fn affords(&self, name: &str, tokens: u64, account: &Account) -> wellspring_models::Result<()> {
        self.affords_embedding(name, tokens, account).await
    }
}

/// Turns bytes into text.
#[async_trait]
pub trait Extract: Send + Sync + 'static {
    /// Reads one document. `name` is its file name and `declared` its media type, for where the content does not decide.
    /// Dropping the future stops the work as soon as it can be stopped.
    async fn extract(
        &self,
        bytes: Bytes,
        name: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Extracted, Failure>;

    /// Called now and then: lets go of what is kept for the next document, if none has come for long.
    fn rest(&self) {}
}

#[async_trait]
impl Extract for Sandbox {
    async fn extract(
        &self,
        bytes: Bytes,
        name: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Extracted, Failure> {
        Self::extract(self, &bytes, name, declared).await
    }

    fn rest(&self) {
        Self::rest(self);
    }
}

/// Extracts on a thread of this process: for documents that are trusted, and for tests. Limits on memory and time are
/// not enforced, and a document that makes a native library crash takes the process with it.
#[derive(Debug, Clone, Default)]
pub struct InProcess {
    /// Limits on sizes, counts and depth.
    pub limits: Limits,
    /// Native libraries.
    pub libraries: Libraries,
}

#[async_trait]
impl Extract for InProcess {
    async fn extract(
        &self,
        bytes: Bytes,
        name: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Extracted, Failure> {
        let (limits, libraries) = (self.limits.clone(), self.libraries.clone());
        let (name, declared) = (name.map(str::to_owned), declared.map(str::to_owned));
        let read = move || {
            crate::extract::extract(&bytes, name.as_deref(), declared.as_deref(), &limits, &libraries)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(result) => result,
            Err(e) => Err(Failure::new(Reason::Crashed, format!("the extractor stopped unexpectedly: {e}"))),
        }
    }
}

/// How the stored text of a format is to be read: source code and light markup are kept as they were written.
pub(crate) fn markup(format: Format) -> Markup {
    match format {
        Format::Text | Format::Code(_) | Format::AsciiDoc | Format::ReStructuredText | Format::Tex => {
            Markup::Plain
        }
        _ => Markup::Markdown,
    }
}

/// What a client said about a document: everything besides the bytes that decides what becomes of it.
pub(crate) struct Given<'a> {
    pub(crate) source: &'a str,
    pub(crate) media_type: Option<&'a str>,
    pub(crate) title: Option<&'a str>,
    pub(crate) metadata: &'a Metadata,
    pub(crate) acl: Option<&'a [String]>,
}

impl<'a> Given<'a> {
    pub(crate) fn of(document: &'a NewDocument) -> Self {
        Self {
            source: &document.source,
            media_type: document.media_type.as_deref(),
            title: document.title.as_deref(),
            metadata: &document.metadata,
            acl: document.acl.as_deref(),
        }
    }

    fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: Option<&str>| {
            // Lengths keep neighbouring parts apart; absent differs from empty.
            hasher.update(&part.map_or(u64::MAX, |p| p.len() as u64).to_le_bytes());
            hasher.update(part.unwrap_or_default().as_bytes());
        };
        add(Some(self.source));
        add(self.media_type);
        add(self.title);
        for (key, value) in self.metadata {
            add(Some(key));
            add(Some(&canonical(value)));
        }
        add(None);
        let mut acl: Vec<&str> = self.acl.unwrap_or_default().iter().map(String::as_str).collect();
        acl.sort_unstable();
        acl.dedup();
        add(self.acl.map(|_| "acl"));
        acl.into_iter().for_each(|principal| add(Some(principal)));
        hasher.finalize().to_hex().chars().take(16).collect()
    }
}

/// JSON with the keys of objects in order, whatever order they came in.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| key.as_str());
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        scalar => scalar.to_string(),
    }
}

/// What makes text, chunks and vectors out of a document's bytes. A document whose bytes and pipeline are those of its
/// visible version needs no work; what the client said about it is part of the pipeline.
pub(crate) fn identity(collection: &Collection, chunk: &ChunkConfig, given: &Given<'_>) -> String {
    format!(
        "extract={EXTRACTION};chunk={};embed={};given={}",
        chunk.fingerprint(),
        collection.fingerprint,
        given.fingerprint()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_counts_and_the_order_it_says_it_in_does_not() {
        let metadata = |text: &str| serde_json::from_str::<Metadata>(text).unwrap();
        let (one, same, other) = (
            metadata(r#"{"a":{"x":1,"y":[2]},"b":3}"#),
            metadata(r#"{"b":3,"a":{"y":[2],"x":1}}"#),
            metadata(r#"{"a":{"x":1,"y":[2]}}"#),
        );
        let given =
            |metadata, acl| Given { source: "s", media_type: None, title: None, metadata, acl }.fingerprint();
        assert_eq!(given(&one, None), given(&same, None));
        assert_ne!(given(&one, None), given(&other, None));
        assert_ne!(given(&one, None), given(&one, Some(&[])));
        let acl = ["user:b".to_owned(), "user:a".to_owned()];
        let sorted = ["user:a".to_owned(), "user:b".to_owned()];
        assert_eq!(given(&one, Some(&acl)), given(&one, Some(&sorted)));
        assert_ne!(given(&one, Some(&acl)), given(&one, Some(&acl[..1])));
    }

    #[test]
    fn source_code_is_not_read_as_markdown() {
        assert_eq!(markup(Format::Markdown), Markup::Markdown);
        assert_eq!(markup(Format::Pdf), Markup::Markdown);
        assert_eq!(markup(Format::Text), Markup::Plain);
    }
}

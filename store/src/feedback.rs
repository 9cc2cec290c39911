//! What people did with what they were shown, kept to be made into judgements.

use async_trait::async_trait;
use serde_json::Value;

use crate::catalog::Page;
use crate::error::Result;
use crate::scope::CollectionScope;

/// One thing that was shown and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFeedback {
    /// Tells repeats apart from news: the same id in the same collection is kept once. 1–255 visible ASCII characters.
    pub id: String,
    /// What happened, a JSON object; opaque here.
    pub event: Value,
}

/// One that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// See [`NewFeedback::id`].
    pub id: String,
    /// See [`NewFeedback::event`].
    pub event: Value,
    /// RFC 3339: when it was received.
    pub at: String,
}

/// What a catalog keeps of it; each method is one transaction, like those of [`crate::Catalog`].
#[async_trait]
pub trait FeedbackRows {
    /// Keeps feedback, of which the newest `most` of the collection stay. Whether it is new: the same id again changes
    /// nothing. It is gone with the collection when its deletion returns.
    async fn record_feedback(
        &self,
        scope: &CollectionScope,
        feedback: NewFeedback,
        most: u32,
    ) -> Result<bool>;

    /// Feedback of the collection, oldest first, at most `limit` (1–1000) after `cursor`. `Unauthorized` for a scope that
    /// does not see everything.
    async fn feedback(
        &self,
        scope: &CollectionScope,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Feedback>>;
}

//! Conversations and their turns: who they belong to, and what is kept of an answer.

use async_trait::async_trait;
use uuid::Uuid;

use crate::catalog::Page;
use crate::error::Result;
use crate::scope::{CollectionScope, TenantId};

/// Who something belongs to: nobody else of the tenant reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The tenant.
    pub tenant: TenantId,
    /// The key or user that asks; `None` where the tenant's callers are not told apart.
    pub key: Option<String>,
}

impl Owner {
    /// As it stands in a row; no key has an empty name.
    pub(crate) fn column(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: Uuid,
    /// The collection it is about.
    pub collection: String,
    /// What its owner calls it.
    pub title: Option<String>,
    /// Questions asked so far.
    pub turns: u32,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339: the last turn's, or its making.
    pub updated_at: String,
}

/// A question and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTurn {
    /// As it was asked.
    pub question: String,
    /// As it was understood, where that differs.
    pub standalone: Option<String>,
    /// The answer as `answer` keeps it: ids and places of passages; opaque here.
    pub answer: serde_json::Value,
}

/// A turn that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Its place in the conversation, from 1.
    pub number: u32,
    /// See [`NewTurn`].
    pub turn: NewTurn,
    /// RFC 3339.
    pub at: String,
}

/// Keeps conversations. What is another owner's, or of a deleted collection, is `NotFound`. Every call is one
/// transaction, durable when it returns.
#[async_trait]
pub trait Conversations: Send + Sync + 'static {
    /// Makes one about a collection. `RateLimited` if the owner has `most` already.
    async fn create_conversation(
        &self,
        owner: &Owner,
        scope: &CollectionScope,
        title: Option<String>,
        most: u32,
    ) -> Result<Conversation>;

    /// One of the owner's.
    async fn conversation(&self, owner: &Owner, id: Uuid) -> Result<Conversation>;

    /// The owner's, newest first, at most `limit` (1–1000) after `cursor`.
    async fn conversations(
        &self,
        owner: &Owner,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Conversation>>;

    /// Deletes one with its turns and runs: nothing of it is left when this returns.
    async fn delete_conversation(&self, owner: &Owner, id: Uuid) -> Result<()>;

    /// Adds a turn and gives its number. `RateLimited` if the conversation has `most` already.
    async fn add_turn(&self, owner: &Owner, id: Uuid, turn: NewTurn, most: u32) -> Result<u32>;

    /// The last `most` turns, oldest first.
    async fn turns(&self, owner: &Owner, id: Uuid, most: u32) -> Result<Vec<Turn>>;

    /// Puts another answer in place of a turn's: what is left of it once documents are gone.
    async fn replace_answer(
        &self,
        owner: &Owner,
        id: Uuid,
        number: u32,
        answer: serde_json::Value,
    ) -> Result<()>;
}

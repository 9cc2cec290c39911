//! Runs of an agent: kept while they wait for a person, so that they go on after any restart, and their log after that.

use async_trait::async_trait;
use uuid::Uuid;

use crate::conversations::Owner;
use crate::error::Result;
use crate::scope::CollectionScope;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// For a person's decision.
    Waiting,
    /// Somebody decided and it goes on, or went on when the process ended.
    Running,
    /// It is over.
    Ended,
}

impl RunState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Running, Self::Ended].into_iter().find(|state| state.as_str() == name)
    }
}

/// A run to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Its id.
    pub id: Uuid,
    /// The conversation it belongs to; it goes with it.
    pub conversation: Option<Uuid>,
    /// What `answer` needs to go on with it; opaque here.
    pub body: serde_json::Value,
    /// Seconds until it is forgotten.
    pub seconds: u64,
}

/// A run that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// The collection it is about.
    pub collection: String,
    /// The conversation it belongs to.
    pub conversation: Option<Uuid>,
    /// Where it stands.
    pub state: RunState,
    /// Counts its changes, from 1.
    pub version: u64,
    /// See [`NewRun`].
    pub body: serde_json::Value,
    /// RFC 3339: from then on it is `NotFound`.
    pub expires_at: String,
}

/// Keeps runs. What is another owner's, of a deleted collection or expired is `NotFound`. Every call is one transaction,
/// durable when it returns.
#[async_trait]
pub trait Runs: Send + Sync + 'static {
    /// Keeps a run that waits. Runs that expired are removed.
    async fn keep_run(&self, owner: &Owner, scope: &CollectionScope, run: NewRun) -> Result<Run>;

    /// One of the owner's.
    async fn run(&self, owner: &Owner, id: Uuid) -> Result<Run>;

    /// Changes a run that stands at `version`; `Conflict` if it does not, so that of two decisions one counts.
    async fn change_run(
        &self,
        owner: &Owner,
        id: Uuid,
        version: u64,
        state: RunState,
        body: serde_json::Value,
    ) -> Result<Run>;
}

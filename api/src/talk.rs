//! Conversations and agents' runs as `answer` wants them, over the rows that `store` keeps.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wellspring_answer::{
    AnswerError, Asker, ConversationStore, ErrorKind, KeptAnswer, KeptRun, KeptTurn, RunStage, RunStore,
};
use wellspring_store::conversations::{Conversations, NewTurn, Owner};
use wellspring_store::runs::{NewRun, Run, RunState, Runs};
use wellspring_store::{CollectionScope, ErrorKind as StoreKind, Store, StoreError};

/// The section `conversations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConversationsConfig {
    /// Most conversations of one owner.
    pub(crate) most: u32,
    /// Most turns of one conversation.
    pub(crate) turns: u32,
}

impl Default for ConversationsConfig {
    fn default() -> Self {
        Self { most: 1_000, turns: 500 }
    }
}

/// The owner of what somebody asks to keep.
pub(crate) fn owner(asker: &Asker) -> Owner {
    Owner { tenant: asker.tenant.clone(), key: asker.key.clone() }
}

/// Both traits over one store.
pub(crate) struct Kept {
    conversations: Arc<dyn Conversations>,
    runs: Arc<dyn Runs>,
    limits: ConversationsConfig,
}

impl Kept {
    pub(crate) fn new(store: &Store, limits: ConversationsConfig) -> Self {
        Self { conversations: Arc::clone(&store.conversations), runs: Arc::clone(&store.runs), limits }
    }
}

fn failed(error: StoreError) -> AnswerError {
    let kind = match error.kind() {
        StoreKind::NotFound => ErrorKind::NotFound,
        StoreKind::Conflict => ErrorKind::Conflict,
        StoreKind::Invalid => ErrorKind::Invalid,
        StoreKind::Unauthorized => ErrorKind::Unauthorized,
        StoreKind::RateLimited => ErrorKind::RateLimited,
        StoreKind::Unavailable => ErrorKind::Unavailable,
        StoreKind::Timeout => ErrorKind::Timeout,
        StoreKind::Corrupt => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    };
    if matches!(kind, ErrorKind::Corrupt | ErrorKind::Internal) {
        tracing::error!(error = error.chain(), "what was kept can't be used");
    }
    AnswerError::new(kind, error.to_string())
}

fn json(answer: &KeptAnswer) -> Result<Value, AnswerError> {
    serde_json::to_value(answer)
        .map_err(|_| AnswerError::new(ErrorKind::Internal, "an answer can't be written as JSON"))
}

#[async_trait]
impl ConversationStore for Kept {
    async fn turns(&self, asker: &Asker, id: Uuid, most: u32) -> Result<Vec<(u32, KeptTurn)>, AnswerError> {
        let turns = self.conversations.turns(&owner(asker), id, most).await.map_err(failed)?;
        turns
            .into_iter()
            .map(|kept| {
                let NewTurn { question, standalone, answer } = kept.turn;
                let answer = KeptAnswer::read(answer)?;
                Ok((kept.number, KeptTurn { question, standalone, answer }))
            })
            .collect()
    }

    async fn add(&self, asker: &Asker, id: Uuid, turn: KeptTurn) -> Result<u32, AnswerError> {
        let KeptTurn { question, standalone, answer } = turn;
        let turn = NewTurn { question, standalone, answer: json(&answer)? };
        self.conversations.add_turn(&owner(asker), id, turn, self.limits.turns).await.map_err(failed)
    }

    async fn replace(
        &self,
        asker: &Asker,
        id: Uuid,
        number: u32,
        answer: KeptAnswer,
    ) -> Result<(), AnswerError> {
        let answer = json(&answer)?;
        self.conversations.replace_answer(&owner(asker), id, number, answer).await.map_err(failed)
    }
}

fn kept(run: Run) -> KeptRun {
    let stage = match run.state {
        RunState::Waiting => RunStage::Waiting,
        RunState::Running => RunStage::Running,
        RunState::Ended => RunStage::Ended,
    };
    let Run { id, conversation, version, body, expires_at, .. } = run;
    KeptRun { id, conversation, stage, version, body, expires_at }
}

#[async_trait]
impl RunStore for Kept {
    async fn keep(
        &self,
        asker: &Asker,
        scope: &CollectionScope,
        id: Uuid,
        conversation: Option<Uuid>,
        body: Value,
        seconds: u64,
    ) -> Result<KeptRun, AnswerError> {
        let run = NewRun { id, conversation, body, seconds };
        self.runs.keep_run(&owner(asker), scope, run).await.map(kept).map_err(failed)
    }

    async fn run(&self, asker: &Asker, id: Uuid) -> Result<KeptRun, AnswerError> {
        self.runs.run(&owner(asker), id).await.map(kept).map_err(failed)
    }

    async fn change(
        &self,
        asker: &Asker,
        id: Uuid,
        version: u64,
        stage: RunStage,
        body: Value,
    ) -> Result<KeptRun, AnswerError> {
        let state = match stage {
            RunStage::Waiting => RunState::Waiting,
            RunStage::Running => RunState::Running,
            RunStage::Ended => RunState::Ended,
        };
        self.runs.change_run(&owner(asker), id, version, state, body).await.map(kept).map_err(failed)
    }
}

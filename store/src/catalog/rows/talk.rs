//! Conversations, turns and runs as both catalogs keep them.

use sqlx::FromRow;
use uuid::Uuid;

use super::values::{parsed, unsigned};
use crate::clock::rfc3339;
use crate::conversations::{Conversation, NewTurn, Turn};
use crate::error::{ErrorKind, Result, StoreError};
use crate::runs::{Run, RunState};

#[derive(FromRow)]
pub(crate) struct ConversationRow {
    pub(crate) key: i64,
    pub(crate) id: String,
    pub(crate) collection: String,
    pub(crate) title: Option<String>,
    pub(crate) turns: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl ConversationRow {
    pub(crate) fn conversation(self) -> Result<Conversation> {
        Ok(Conversation {
            id: uuid(&self.id)?,
            collection: self.collection,
            title: self.title,
            turns: unsigned(self.turns)?,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        })
    }
}

fn uuid(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|e| {
        StoreError::new(ErrorKind::Corrupt, "the catalog holds an id that is none: run verify").with_source(e)
    })
}

/// The key that a page's cursor stands before.
pub(crate) fn before(cursor: Option<&str>) -> Result<i64> {
    match cursor {
        None => Ok(i64::MAX),
        Some(cursor) => cursor.parse().map_err(|_| {
            StoreError::new(ErrorKind::Invalid, "the cursor is none that a listing gave: leave it out")
        }),
    }
}

#[derive(FromRow)]
pub(crate) struct TurnRow {
    number: i64,
    question: String,
    standalone: Option<String>,
    answer: String,
    at: i64,
}

impl TurnRow {
    pub(crate) fn turn(self) -> Result<Turn> {
        let (question, standalone) = (self.question, self.standalone);
        let turn = NewTurn { question, standalone, answer: parsed(&self.answer)? };
        Ok(Turn { number: unsigned(self.number)?, turn, at: rfc3339(self.at) })
    }
}

#[derive(FromRow)]
pub(crate) struct RunRow {
    id: String,
    collection: String,
    conversation: Option<String>,
    state: String,
    version: i64,
    body: String,
    expires_at: i64,
}

impl RunRow {
    pub(crate) fn run(self) -> Result<Run> {
        let state = RunState::named(&self.state).ok_or_else(|| {
            StoreError::new(ErrorKind::Corrupt, "the catalog holds a run of no known state: run verify")
        })?;
        Ok(Run {
            id: uuid(&self.id)?,
            collection: self.collection,
            conversation: self.conversation.as_deref().map(uuid).transpose()?,
            state,
            version: unsigned(self.version)?,
            body: parsed(&self.body)?,
            expires_at: rfc3339(self.expires_at),
        })
    }
}

//! Conversations and their turns, under their owner.

use async_trait::async_trait;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::SqliteCatalog;
use super::failure::During;
use super::scoped::living;
use crate::catalog::Page;
use crate::catalog::rows::talk::{ConversationRow, TurnRow, before};
use crate::catalog::rows::values::{self, json, unsigned};
use crate::conversations::{Conversation, Conversations, NewTurn, Owner, Turn};
use crate::error::{ErrorKind, Result, StoreError};
use crate::scope::CollectionScope;

/// The columns of a conversation and the one condition under which it is seen: parameters 1 and 2 are tenant and owner.
macro_rules! seen {
    ($rest:literal) => {
        concat!(
            "SELECT v.key, v.id, c.name AS collection, v.title, v.turns, v.created_at, v.updated_at \
             FROM conversations v JOIN collections c ON c.key = v.collection_key AND c.deleted_at IS NULL \
             WHERE v.tenant = ?1 AND v.owner = ?2 AND ",
            $rest
        )
    };
}

async fn find(connection: &mut SqliteConnection, owner: &Owner, id: Uuid) -> Result<ConversationRow> {
    sqlx::query_as(seen!("v.id = ?3"))
        .bind(owner.tenant.as_str())
        .bind(owner.column())
        .bind(id.to_string())
        .fetch_optional(connection)
        .await
        .during("look up a conversation")?
        .ok_or_else(|| StoreError::new(ErrorKind::NotFound, format!("there is no conversation {id}")))
}

async fn create(
    connection: &mut SqliteConnection,
    now: i64,
    owner: Owner,
    scope: CollectionScope,
    title: Option<String>,
    most: u32,
) -> Result<Conversation> {
    living(connection, &scope).await?;
    if owner.tenant != *scope.tenant() {
        return Err(StoreError::new(ErrorKind::Internal, "a conversation was asked for by another tenant"));
    }
    let held: i64 = sqlx::query_scalar("SELECT count(*) FROM conversations WHERE tenant = ? AND owner = ?")
        .bind(owner.tenant.as_str())
        .bind(owner.column())
        .fetch_one(&mut *connection)
        .await
        .during("count the conversations")?;
    if held >= i64::from(most) {
        let message = format!("there are {held} conversations already, the limit here: delete some first");
        return Err(StoreError::new(ErrorKind::RateLimited, message));
    }
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO conversations (id, tenant, owner, collection_key, title, turns, created_at, updated_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6)",
    )
    .bind(id.to_string())
    .bind(owner.tenant.as_str())
    .bind(owner.column())
    .bind(scope.key().0)
    .bind(title)
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("make a conversation")?;
    find(connection, &owner, id).await?.conversation()
}

async fn list(
    connection: &mut SqliteConnection,
    owner: Owner,
    before: i64,
    limit: u32,
) -> Result<Page<Conversation>> {
    let mut rows: Vec<ConversationRow> = sqlx::query_as(seen!("v.key < ?3 ORDER BY v.key DESC LIMIT ?4"))
        .bind(owner.tenant.as_str())
        .bind(owner.column())
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await
        .during("list the conversations")?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| row.key.to_string());
    let items = rows.into_iter().map(ConversationRow::conversation).collect::<Result<_>>()?;
    Ok(Page { items, next })
}

async fn delete(connection: &mut SqliteConnection, owner: Owner, id: Uuid) -> Result<()> {
    let key = find(connection, &owner, id).await?.key;
    sqlx::query("DELETE FROM runs WHERE conversation = ?")
        .bind(id.to_string())
        .execute(&mut *connection)
        .await
        .during("delete a conversation's runs")?;
    sqlx::query("DELETE FROM conversations WHERE key = ?")
        .bind(key)
        .execute(connection)
        .await
        .during("delete a conversation")?;
    Ok(())
}

/// Forgets every conversation about a collection.
pub(super) async fn forget(connection: &mut SqliteConnection, collection: i64) -> Result<()> {
    for statement in
        ["DELETE FROM runs WHERE collection_key = ?", "DELETE FROM conversations WHERE collection_key = ?"]
    {
        sqlx::query(statement)
            .bind(collection)
            .execute(&mut *connection)
            .await
            .during("forget conversations")?;
    }
    Ok(())
}

async fn add(
    connection: &mut SqliteConnection,
    now: i64,
    owner: Owner,
    id: Uuid,
    turn: NewTurn,
    most: u32,
) -> Result<u32> {
    let row = find(connection, &owner, id).await?;
    if row.turns >= i64::from(most) {
        let message = format!("the conversation has {} turns, the limit here: begin another one", row.turns);
        return Err(StoreError::new(ErrorKind::RateLimited, message));
    }
    let number = row.turns + 1;
    sqlx::query(
        "INSERT INTO turns (conversation_key, number, question, standalone, answer, at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(row.key)
    .bind(number)
    .bind(&turn.question)
    .bind(&turn.standalone)
    .bind(json(&turn.answer)?)
    .bind(now)
    .execute(&mut *connection)
    .await
    .during("keep a turn")?;
    sqlx::query("UPDATE conversations SET turns = ?, updated_at = ? WHERE key = ?")
        .bind(number)
        .bind(now)
        .bind(row.key)
        .execute(connection)
        .await
        .during("keep a turn")?;
    unsigned(number)
}

async fn turns(connection: &mut SqliteConnection, owner: Owner, id: Uuid, most: u32) -> Result<Vec<Turn>> {
    let key = find(connection, &owner, id).await?.key;
    let mut rows: Vec<TurnRow> = sqlx::query_as(
        "SELECT number, question, standalone, answer, at FROM turns WHERE conversation_key = ? \
         ORDER BY number DESC LIMIT ?",
    )
    .bind(key)
    .bind(i64::from(most))
    .fetch_all(connection)
    .await
    .during("read a conversation")?;
    rows.reverse();
    rows.into_iter().map(TurnRow::turn).collect()
}

async fn replace(
    connection: &mut SqliteConnection,
    owner: Owner,
    id: Uuid,
    number: u32,
    answer: serde_json::Value,
) -> Result<()> {
    let key = find(connection, &owner, id).await?.key;
    let changed = sqlx::query("UPDATE turns SET answer = ? WHERE conversation_key = ? AND number = ?")
        .bind(json(&answer)?)
        .bind(key)
        .bind(i64::from(number))
        .execute(connection)
        .await
        .during("change a turn")?;
    match changed.rows_affected() {
        0 => Err(StoreError::new(ErrorKind::NotFound, format!("the conversation {id} has no turn {number}"))),
        _ => Ok(()),
    }
}

#[async_trait]
impl Conversations for SqliteCatalog {
    async fn create_conversation(
        &self,
        owner: &Owner,
        scope: &CollectionScope,
        title: Option<String>,
        most: u32,
    ) -> Result<Conversation> {
        let (now, owner, scope) = (self.now(), owner.clone(), scope.clone());
        self.database.write(None, move |c| Box::pin(create(c, now, owner, scope, title, most))).await
    }

    async fn conversation(&self, owner: &Owner, id: Uuid) -> Result<Conversation> {
        let owner = owner.clone();
        self.database.read(move |c| Box::pin(async move { find(c, &owner, id).await?.conversation() })).await
    }

    async fn conversations(
        &self,
        owner: &Owner,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Conversation>> {
        let (owner, limit) = (owner.clone(), values::limit(limit)?);
        let before = before(cursor)?;
        self.database.read(move |c| Box::pin(list(c, owner, before, limit))).await
    }

    async fn delete_conversation(&self, owner: &Owner, id: Uuid) -> Result<()> {
        let owner = owner.clone();
        self.database.write(None, move |c| Box::pin(delete(c, owner, id))).await
    }

    async fn add_turn(&self, owner: &Owner, id: Uuid, turn: NewTurn, most: u32) -> Result<u32> {
        let (now, owner) = (self.now(), owner.clone());
        self.database.write(None, move |c| Box::pin(add(c, now, owner, id, turn, most))).await
    }

    async fn turns(&self, owner: &Owner, id: Uuid, most: u32) -> Result<Vec<Turn>> {
        let owner = owner.clone();
        self.database.read(move |c| Box::pin(turns(c, owner, id, most))).await
    }

    async fn replace_answer(
        &self,
        owner: &Owner,
        id: Uuid,
        number: u32,
        answer: serde_json::Value,
    ) -> Result<()> {
        let owner = owner.clone();
        self.database.write(None, move |c| Box::pin(replace(c, owner, id, number, answer))).await
    }
}

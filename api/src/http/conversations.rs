//! `/v1/conversations`: make, list, show and delete conversations (`turns` asks in them).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use wellspring_answer::{Asker, KeptTurn, Recalled};
use wellspring_store::CollectionScope;
use wellspring_store::conversations::Conversation;

use super::Shared;
use super::asker::asker;
use super::caller::Identified;
use super::collections::{Deleted, find};
use super::extract::{ProblemJson, ProblemPath, ProblemQuery};
use super::schema::{self, ConversationDetail, ConversationList};
use super::search::default_collection;
use crate::auth::Sender;
use crate::problem::{Code, Problem};
use crate::talk::owner;

/// Turns that are shown of a conversation.
const SHOWN: u32 = 100;
/// Bytes of a title.
const MAX_TITLE: usize = 200;

/// A conversation to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewConversation {
    /// The collection it is about.
    #[serde(default = "default_collection")]
    #[schema(default = "default")]
    collection: String,
    /// What to call it, at most 200 bytes.
    #[schema(example = "Leave")]
    title: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

fn shown(conversation: &Conversation) -> Value {
    json!({
        "id": conversation.id, "collection": conversation.collection, "title": conversation.title,
        "turns": conversation.turns, "created_at": conversation.created_at, "updated_at": conversation.updated_at,
    })
}

/// A conversation of the caller's, and its collection.
pub(super) async fn place(
    server: &Shared,
    sender: &Sender,
    id: &str,
) -> Result<(Conversation, CollectionScope, Asker), Problem> {
    let asker = asker(sender);
    let none = || Problem::new(Code::NotFound, format!("there is no conversation {id}"));
    let parsed = Uuid::parse_str(id).map_err(|_| none())?;
    let conversation = server.app.store.conversations.conversation(&owner(&asker), parsed).await?;
    let collection = find(server, sender.scope(), &conversation.collection).await.map_err(|_| none())?;
    Ok((conversation, collection, asker))
}

/// The last turns as the caller may see them now. What documents that are gone had supported is removed from what is kept.
pub(super) async fn recall(
    server: &Shared,
    asker: &Asker,
    scope: &CollectionScope,
    id: Uuid,
    most: usize,
) -> Result<Vec<(u32, KeptTurn, Recalled)>, Problem> {
    let store = &server.app.conversations;
    let mut recalled = Vec::new();
    let mut lost = false;
    // All of them, since each question was understood from the answers before it.
    for (number, mut turn) in store.turns(asker, id, server.app.config.conversations.turns).await? {
        if lost {
            turn.standalone = None;
        }
        let (answer, left) = turn.answer.recall(&server.app.retriever, scope).await?;
        if let Some(left) = left {
            store.replace(asker, id, number, left).await?;
        }
        lost |= answer.lost;
        recalled.push((number, turn, answer));
    }
    let beyond = recalled.len().saturating_sub(most);
    Ok(recalled.split_off(beyond))
}

/// Begin a conversation
///
/// It belongs to whoever made it: nobody else reads it.
#[utoipa::path(
    post, path = "/v1/conversations", operation_id = "createConversation", tag = "conversations", request_body = NewConversation,
    responses(
        (status = 201, description = "Made; `Location` names it", body = schema::Conversation),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A title that is too long, an unknown member", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many conversations", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(NewConversation { collection, title }): ProblemJson<NewConversation>,
) -> Result<Response, Problem> {
    if title.as_ref().is_some_and(|title| title.len() > MAX_TITLE) {
        return Err(
            Problem::new(Code::Invalid, format!("`title` is longer than {MAX_TITLE} bytes")).at("title")
        );
    }
    let collection = find(&server, sender.scope(), &collection).await?;
    let most = server.app.config.conversations.most;
    let owner = owner(&asker(&sender));
    let made = server.app.store.conversations.create_conversation(&owner, &collection, title, most).await?;
    let mut response = (StatusCode::CREATED, Json(shown(&made))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/conversations/{}", made.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// List conversations
///
/// The caller's own, newest first, a page at a time.
#[utoipa::path(
    get, path = "/v1/conversations", operation_id = "listConversations", tag = "conversations", params(PageQuery),
    responses(
        (status = 200, description = "A page of them", body = ConversationList),
        (status = 422, description = "A bad cursor or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemQuery(query): ProblemQuery<PageQuery>,
) -> Result<Response, Problem> {
    let limit = super::page_size(query.limit)?;
    let owner = owner(&asker(&sender));
    let page = server.app.store.conversations.conversations(&owner, query.cursor.as_deref(), limit).await?;
    let conversations: Vec<Value> = page.items.iter().map(shown).collect();
    Ok(Json(json!({ "conversations": conversations, "next": page.next })).into_response())
}

/// Show a conversation
///
/// With its last 100 turns. Every citation is looked up again: a sentence whose documents were changed or deleted is not shown
/// any more (`withdrawn` counts them).
#[utoipa::path(
    get, path = "/v1/conversations/{conversation}", operation_id = "getConversation", tag = "conversations",
    params(("conversation" = String, Path, description = "Its id", example = "019a0000-0000-7000-8000-000000000000")),
    responses(
        (status = 200, description = "The conversation", body = ConversationDetail),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemPath(id): ProblemPath<String>,
) -> Result<Response, Problem> {
    let (conversation, collection, asker) = place(&server, &sender, &id).await?;
    let turns = recall(&server, &asker, &collection, conversation.id, SHOWN as usize).await?;
    let messages: Vec<Value> = turns
        .into_iter()
        .map(|(number, turn, answer)| {
            json!({
                "number": number, "question": turn.question, "standalone": turn.standalone, "answer": answer,
            })
        })
        .collect();
    let mut body = shown(&conversation);
    body["messages"] = messages.into();
    Ok(Json(body).into_response())
}

/// Delete a conversation
///
/// With its turns and runs: nothing of it is kept.
#[utoipa::path(
    delete, path = "/v1/conversations/{conversation}", operation_id = "deleteConversation", tag = "conversations",
    params(("conversation" = String, Path, description = "Its id", example = "019a0000-0000-7000-8000-000000000000")),
    responses(
        (status = 200, description = "Gone", body = Deleted),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemPath(id): ProblemPath<String>,
) -> Result<Json<Deleted>, Problem> {
    let (conversation, _, asker) = place(&server, &sender, &id).await?;
    server.app.store.conversations.delete_conversation(&owner(&asker), conversation.id).await?;
    Ok(Json(Deleted { deleted: true, seq: None }))
}

//! The tools: `search`, `fetch`, `ask` and `list_collections`, each under the caller's scope.

use std::any::Any;

use rmcp::ErrorData;
use rmcp::handler::server::tool::schema_for_input;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use rmcp::schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wellspring_answer::{AnswerRequest, suspicions};
use wellspring_retrieve::{ChunkId, Passage, SearchRequest};
use wellspring_store::{CollectionName, CollectionScope, DocumentId, ErrorKind, Filter};

use super::arguments::{Ask, Fetch, ListCollections, Search};
use crate::app::App;
use crate::auth::Sender;
use crate::footnotes::footnotes;
use crate::problem::{Code, Problem};

/// Most passages of one search.
const MOST_PASSAGES: usize = 50;
/// Bytes of text in one fetch, unless asked otherwise.
const FETCHED: usize = 20_000;
/// Most bytes of text in one fetch.
const MOST_FETCHED: usize = 100_000;

/// The tools as clients list them.
pub(crate) fn described() -> Result<Vec<Tool>, ErrorData> {
    Ok(vec![
        tool::<Search>(
            "search",
            "Find passages of the documents for a query, best first, with ids for `fetch`.",
        )?,
        tool::<Fetch>(
            "fetch",
            "Read a document's text, from a passage that `search` found or from its beginning.",
        )?,
        tool::<Ask>(
            "ask",
            "Answer a question from the documents. Every sentence is cited and was checked; where the documents do not \
             answer, the result says so.",
        )?,
        tool::<ListCollections>("list_collections", "List the collections that can be searched.")?,
    ])
}

fn tool<T: JsonSchema + Any>(name: &'static str, description: &'static str) -> Result<Tool, ErrorData> {
    let schema = schema_for_input::<T>().map_err(|error| ErrorData::internal_error(error, None))?;
    let annotations = ToolAnnotations::new().read_only(true).idempotent(true).open_world(false);
    Ok(Tool::new(name, description, schema).with_annotations(annotations))
}

/// Calls the tool of this name; a name that no tool has is `method-not-allowed`.
pub(super) async fn call(
    app: &App,
    sender: &Sender,
    name: &str,
    arguments: JsonObject,
) -> Result<CallToolResult, Problem> {
    let outcome = match name {
        "search" => search(app, sender, read(arguments)?).await,
        "fetch" => fetch(app, sender, read(arguments)?).await,
        "ask" => ask(app, sender, read(arguments)?).await,
        "list_collections" => list(app, sender, read(arguments)?).await,
        _ => return Err(Problem::new(Code::MethodNotAllowed, format!("there is no tool `{name}`"))),
    };
    let label = match name {
        "search" => "search",
        "fetch" => "fetch",
        "ask" => "ask",
        _ => "list_collections",
    };
    let result = if outcome.is_ok() { "good" } else { "refused" };
    metrics::counter!("wellspring_mcp_calls_total", "tool" => label, "outcome" => result).increment(1);
    outcome
}

fn read<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        Problem::new(Code::Invalid, format!("`{path}`: {}", error.inner())).at(path)
    })
}

async fn open(app: &App, sender: &Sender, name: Option<String>) -> Result<CollectionScope, Problem> {
    let name = CollectionName::new(name.as_deref().unwrap_or("default"))?;
    Ok(app.store.catalog.collection(sender.scope(), &name).await?.0)
}

fn filter(text: Option<String>) -> Result<Option<Filter>, Problem> {
    let parsed = text.as_deref().map(Filter::parse).transpose();
    parsed.map_err(|error| Problem::from(error).at("filter"))
}

async fn search(app: &App, sender: &Sender, asked: Search) -> Result<CallToolResult, Problem> {
    let Search { query, collection, k, mode, filter: input } = asked;
    let k = k.unwrap_or(wellspring_retrieve::query::DEFAULT_K);
    if !(1..=MOST_PASSAGES).contains(&k) {
        return Err(
            Problem::new(Code::Invalid, format!("`k` is {k}; it must be 1 to {MOST_PASSAGES}")).at("k")
        );
    }
    let scope = open(app, sender, collection).await?;
    let mode = mode.map(Into::into).unwrap_or_default();
    let request = SearchRequest {
        k,
        mode,
        filter: filter(input)?,
        account: Some(sender.account()),
        ..SearchRequest::new(query)
    };
    let found = app.retriever.search(&scope, request).await?;
    let results: Vec<Value> = found.hits.iter().map(passage).collect();
    let mut value = json!({ "results": results, "degraded": found.degraded });
    if let Some(meant) = found.did_you_mean {
        value["did_you_mean"] = json!(meant);
    }
    Ok(CallToolResult::structured(value))
}

/// A passage as agents expect it: `id`, `title`, `text` and `url`, then what is our own.
fn passage(hit: &Passage) -> Value {
    let mut value = json!({
        "id": hit.chunk_id, "title": hit.title.as_deref().unwrap_or(&hit.source), "text": hit.text, "url": hit.source,
        "document_id": hit.document_id, "version": hit.version, "score": hit.score, "page": hit.page, "start": hit.start,
        "end": hit.end, "headings": hit.headings, "metadata": hit.metadata,
    });
    let found = suspicions(&hit.text);
    if !found.is_empty() {
        value["suspicions"] = json!(found);
    }
    value
}

async fn fetch(app: &App, sender: &Sender, asked: Fetch) -> Result<CallToolResult, Problem> {
    let Fetch { id, collection, start, max_bytes } = asked;
    let most = max_bytes.unwrap_or(FETCHED);
    if !(1..=MOST_FETCHED).contains(&most) {
        let detail = format!("`max_bytes` is {most}; it must be 1 to {MOST_FETCHED}");
        return Err(Problem::new(Code::Invalid, detail).at("max_bytes"));
    }
    let scope = open(app, sender, collection).await?;
    let hits = app.retriever.fetch(&scope, &[ChunkId(id.clone())]).await?;
    let (document, begin) = match hits.into_iter().next() {
        Some(hit) => (hit.document_id, hit.start),
        None => (DocumentId::new(id.as_str()).map_err(|_| unknown(&id))?, 0),
    };
    let catalog = &app.store.catalog;
    let missing = |error: wellspring_store::StoreError| match error.kind() {
        ErrorKind::NotFound => unknown(&id),
        _ => error.into(),
    };
    let shown = catalog.document(&scope, &document).await.map_err(missing)?;
    let (text, pages, _) = catalog.text(&scope, &document).await.map_err(missing)?;
    let start = text.floor_char_boundary(start.unwrap_or(begin).min(text.len()));
    let end = match text.floor_char_boundary((start + most).min(text.len())) {
        // A limit of fewer bytes than one character has still gets on.
        end if end == start => text.ceil_char_boundary((start + 1).min(text.len())),
        end => end,
    };
    let part = &text[start..end];
    let page = pages.iter().find(|page| page.start <= start && start < page.end).map(|page| page.page);
    let mut value = json!({
        "id": id, "document_id": document, "version": shown.version,
        "title": shown.title.as_deref().unwrap_or(&shown.source), "url": shown.source, "text": part, "start": start,
        "end": end, "bytes": text.len(), "next": (end < text.len()).then_some(end), "page": page,
        "metadata": shown.metadata,
    });
    let found = suspicions(part);
    if !found.is_empty() {
        value["suspicions"] = json!(found);
    }
    Ok(CallToolResult::structured(value))
}

/// Unknown and forbidden look the same.
fn unknown(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no passage or document {id:?} in this collection"))
        .at("id")
}

async fn ask(app: &App, sender: &Sender, asked: Ask) -> Result<CallToolResult, Problem> {
    let Ask { question, collection, k, filter: input } = asked;
    let scope = open(app, sender, collection).await?;
    let request = AnswerRequest {
        k,
        filter: filter(input)?,
        account: Some(sender.account()),
        ..AnswerRequest::new(question)
    };
    let answer = app.answerer.answer(&scope, request).await?;
    let mut text = answer.answer.clone();
    if let Some(reason) = answer.reason.as_deref().filter(|_| answer.abstained) {
        text.push_str(&format!(" ({reason})"));
    }
    let notes = footnotes(&answer.citations);
    if !notes.is_empty() {
        text.push_str(&format!("\n\n{notes}"));
    }
    let value = json!({
        "answer": answer.answer, "abstained": answer.abstained, "reason": answer.reason, "complete": answer.complete,
        "citations": answer.citations, "warnings": answer.warnings, "degraded": answer.degraded, "model": answer.model,
    });
    let mut result = CallToolResult::structured(value);
    result.content = vec![ContentBlock::text(text)];
    Ok(result)
}

async fn list(app: &App, sender: &Sender, _asked: ListCollections) -> Result<CallToolResult, Problem> {
    let collections = app.store.catalog.collections(sender.scope()).await?;
    let listed: Vec<Value> = collections
        .iter()
        .map(|one| json!({ "name": one.name, "documents": one.documents, "chunks": one.chunks, "created_at": one.created_at }))
        .collect();
    Ok(CallToolResult::structured(json!({ "collections": listed })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_says_what_it_takes() {
        let tools = described().unwrap();
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, ["search", "fetch", "ask", "list_collections"]);
        for tool in &tools {
            let schema = tool.schema_as_json_value();
            assert_eq!(schema["type"], "object", "{}", tool.name);
            assert_eq!(schema["additionalProperties"], false, "{}", tool.name);
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{}.{name}: {property}", tool.name);
            }
        }
    }
}

//! Shapes of conversations, agents' runs, tools and answers in a schema of one's own.
#![expect(dead_code, reason = "shapes for openapi.json: described, never built")]

use serde_json::Value;
use utoipa::ToSchema;

use super::{Citation, Usage};

/// An earlier question and what was said to it.
#[derive(ToSchema)]
pub(crate) struct Exchange {
    /// As it was asked.
    question: String,
    /// The answer's text; may be empty or absent.
    answer: Option<String>,
}

/// A conversation.
#[derive(ToSchema)]
pub(crate) struct Conversation {
    id: String,
    /// The collection it is about.
    collection: String,
    #[schema(required)]
    title: Option<String>,
    /// Questions asked so far.
    turns: u32,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

/// A page of conversations.
#[derive(ToSchema)]
pub(crate) struct ConversationList {
    /// Newest first.
    conversations: Vec<Conversation>,
    /// Give it back as `cursor` for the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
}

/// A conversation with its last turns.
#[derive(ToSchema)]
pub(crate) struct ConversationDetail {
    id: String,
    /// The collection it is about.
    collection: String,
    #[schema(required)]
    title: Option<String>,
    /// Questions asked so far.
    turns: u32,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
    /// Oldest first.
    messages: Vec<Message>,
}

/// A question and what came of it.
#[derive(ToSchema)]
pub(crate) struct Message {
    /// From 1.
    number: u32,
    question: String,
    /// As it was understood, where that differs.
    #[schema(required)]
    standalone: Option<String>,
    answer: RecalledAnswer,
}

/// An answer as it may be seen now.
#[derive(ToSchema)]
pub(crate) struct RecalledAnswer {
    /// The text with `[n]` after each sentence; empty when nothing is left, or for a refusal.
    answer: String,
    /// Every one visible now.
    citations: Vec<Citation>,
    abstained: bool,
    /// Why it was a refusal.
    #[schema(required)]
    reason: Option<String>,
    /// Null for quoted sentences.
    #[schema(required)]
    model: Option<String>,
    /// False when the generation was cut short.
    complete: bool,
    /// Sentences that are not shown any more.
    withdrawn: u64,
    /// The agent's run that made it.
    run: Option<String>,
    /// Every step of the agent that made it; absent for others.
    steps: Option<Vec<Step>>,
}

/// A run that waits for a person.
#[derive(ToSchema)]
pub(crate) struct Paused {
    /// The run's id.
    run: String,
    approval: Approval,
    /// RFC 3339: the run is forgotten then.
    expires_at: String,
    steps: Vec<Step>,
    usage: Usage,
}

/// A call that waits for a person.
#[derive(ToSchema)]
pub(crate) struct Approval {
    /// The call's id within its run.
    call: String,
    tool: String,
    /// What it would be called with.
    #[schema(value_type = Object)]
    arguments: Value,
    /// Why it waits.
    why: String,
}

/// One step of an agent.
#[derive(ToSchema)]
pub(crate) struct Step {
    /// The turn of the model, from 1.
    turn: u64,
    kind: StepKind,
    /// The tool, as the model named it.
    name: String,
    /// As the model wrote them; anything.
    arguments: Value,
    /// Whether it did what was asked.
    ok: bool,
    /// In words.
    outcome: String,
    /// Numbers of the passages it found.
    passages: Vec<u64>,
    /// Milliseconds.
    ms: u64,
}

/// What kind of step it was.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum StepKind {
    Search,
    Fetch,
    Tool,
    Waiting,
    Decided,
}

/// An object in the schema that was asked for; any field may be null.
#[derive(ToSchema)]
pub(crate) struct Structured {
    #[schema(value_type = Object)]
    value: Value,
    /// Every field that is no object or array.
    fields: Vec<Field>,
}

/// One field, and what it hangs on.
#[derive(ToSchema)]
pub(crate) struct Field {
    /// Its JSON pointer in the object.
    #[schema(example = "/leave/days")]
    path: String,
    /// The sentence of the answer that says it; null for a field that is null.
    #[schema(required)]
    claim: Option<String>,
    /// How well the sentence's passages support it, 0-1.
    support: f64,
    citations: Vec<Citation>,
    /// Why it is null.
    #[schema(required)]
    reason: Option<String>,
}

/// The tools that a caller may use.
#[derive(ToSchema)]
pub(crate) struct ToolList {
    tools: Vec<Tool>,
}

/// A tool.
#[derive(ToSchema)]
pub(crate) struct Tool {
    name: String,
    description: String,
    /// The JSON schema of its arguments.
    #[schema(value_type = Object)]
    parameters: Value,
    /// Whether a model's call waits until a person approves it.
    needs_approval: bool,
}

/// What a call gave.
#[derive(ToSchema)]
pub(crate) struct ToolOutcome {
    name: String,
    /// Any JSON.
    result: Value,
}

/// What each call gave.
#[derive(ToSchema)]
pub(crate) struct ToolOutcomes {
    /// In the order of the calls.
    results: Vec<BatchOutcome>,
}

/// What one call of a batch gave: a result or a problem.
#[derive(ToSchema)]
pub(crate) struct BatchOutcome {
    name: String,
    /// Any JSON.
    result: Option<Value>,
    problem: Option<crate::problem::Problem>,
}

//! Agentic retrieval: a bounded loop in which a model searches, reads on and calls tools before it answers.
//!
//! The model sees only what the caller may see, calls only what the caller may call, and waits for a person where a tool
//! wants one. What it writes in the end passes the same checks as any answer.

mod finish;
mod look;
mod state;
mod telling;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wellspring_models::{Account, Usage};
use wellspring_retrieve::CollectionScope;

use crate::config::within;
use crate::conversation::Asker;
use crate::error::{AnswerError, ErrorKind, Result};
use crate::pipeline::Answerer;
use crate::reply::{Answer, AnswerEvent, AnswerRequest, PromptVersion};
use crate::run::{Events, Run};
use crate::tool::{AllowedTools, Toolbox};

use state::State;
use turns::Going;

pub use look::{FETCH, SEARCH};

const SYSTEM: &str = include_str!("prompts/agent.md");

/// Tools that every agent has, beside those registered.
pub(crate) const OWN_TOOLS: [&str; 2] = [SEARCH, FETCH];

/// Events made ahead of a slow reader; then the run waits.
const EVENTS_AHEAD: usize = 32;

/// Limits of one run, pauses for a person excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// Times the model is asked, 1 to 50; the last time it must answer.
    pub turns: usize,
    /// Calls in all, 1 to 500; later ones are refused.
    pub calls: usize,
    /// Milliseconds, 1 000 to 3 600 000.
    pub deadline_ms: u64,
    /// Tokens read and written in all, 1 000 to 10 000 000; with less than one reply's left, the model must answer.
    pub tokens: u64,
    /// Passages found in all, 1 to 200.
    pub passages: usize,
    /// Bytes of a tool's result that the model reads, 100 to 1 000 000.
    pub result_bytes: usize,
    /// Seconds that a call waits for a person, 1 to 2 592 000 (30 days).
    pub approval_seconds: u64,
    /// After a passage, or a tool's result, that looks as if it were written to steer a model, every call of a registered tool waits for a person.
    pub approve_after_suspicion: bool,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            turns: 10,
            calls: 40,
            deadline_ms: 180_000,
            tokens: 100_000,
            passages: 40,
            result_bytes: 8_000,
            approval_seconds: 86_400,
            approve_after_suspicion: true,
        }
    }
}

impl AgentConfig {
    /// Refuses values out of range with `Invalid`, naming the setting and its range.
    pub(crate) fn check(&self) -> Result<()> {
        within("agent.turns", self.turns as f64, 1.0, 50.0)?;
        within("agent.calls", self.calls as f64, 1.0, 500.0)?;
        within("agent.deadline_ms", self.deadline_ms as f64, 1e3, 3.6e6)?;
        within("agent.tokens", self.tokens as f64, 1e3, 1e7)?;
        within("agent.passages", self.passages as f64, 1.0, 200.0)?;
        within("agent.result_bytes", self.result_bytes as f64, 100.0, 1e6)?;
        within("agent.approval_seconds", self.approval_seconds as f64, 1.0, 2_592_000.0)
    }
}

/// What kind of step it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A search.
    Search,
    /// More of a document was read.
    Fetch,
    /// A registered tool was called, or would have been.
    Tool,
    /// A call waits for a person.
    Waiting,
    /// A person decided.
    Decided,
}

/// One step of a run, for people to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The turn of the model that it belongs to, from 1.
    pub turn: usize,
    /// What kind it is.
    pub kind: StepKind,
    /// The tool.
    pub name: String,
    /// What it was asked, as the model wrote it.
    pub arguments: Value,
    /// Whether it did what was asked.
    pub ok: bool,
    /// What came of it, in words; no text of documents.
    pub outcome: String,
    /// Numbers of the passages it found.
    pub passages: Vec<usize>,
    /// Milliseconds it took.
    pub ms: u64,
}

/// A call that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The call's id within its run.
    pub call: String,
    /// The tool.
    pub tool: String,
    /// What it would be called with.
    pub arguments: Value,
    /// Why it waits.
    pub why: String,
}

/// A run that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Paused {
    /// The run's id.
    pub run: Uuid,
    /// What is to be decided.
    pub approval: Approval,
    /// RFC 3339: the run is forgotten then.
    pub expires_at: String,
    /// Every step so far.
    pub steps: Vec<Step>,
    /// Tokens so far.
    pub usage: Usage,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The call's id: a verdict about another call is `Conflict`.
    pub call: String,
    /// Whether it may be made.
    pub approve: bool,
    /// What the model is told with a rejection.
    pub reason: Option<String>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStage {
    /// For a person.
    Waiting,
    /// Somebody decided.
    Running,
    /// It is over.
    Ended,
}

/// A run as it is kept. The body holds calls and ids of passages, no text of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRun {
    /// Its id.
    pub id: Uuid,
    /// Its conversation.
    pub conversation: Option<Uuid>,
    /// Where it stands.
    pub stage: RunStage,
    /// Counts its changes, from 1.
    pub version: u64,
    /// What is needed to go on.
    pub body: Value,
    /// RFC 3339.
    pub expires_at: String,
}

/// Keeps runs that wait. What is another asker's, or expired, is `NotFound`.
#[async_trait]
pub trait RunStore: Send + Sync + 'static {
    /// Keeps a run that waits, for so many seconds.
    async fn keep(
        &self,
        asker: &Asker,
        scope: &CollectionScope,
        id: Uuid,
        conversation: Option<Uuid>,
        body: Value,
        seconds: u64,
    ) -> Result<KeptRun>;

    /// The run.
    async fn run(&self, asker: &Asker, id: Uuid) -> Result<KeptRun>;

    /// Changes a run that stands at `version`; `Conflict` if it does not.
    async fn change(
        &self,
        asker: &Asker,
        id: Uuid,
        version: u64,
        stage: RunStage,
        body: Value,
    ) -> Result<KeptRun>;
}

/// A question for an agent.
#[derive(Debug, Clone)]
pub struct AgentRequest {
    /// The question; its filter, mode, `k` (per search) and model hold for the whole run.
    pub request: AnswerRequest,
    /// Registered tools that may be called.
    pub allowed: AllowedTools,
    /// Whose run it is.
    pub asker: Asker,
    /// The conversation it belongs to.
    pub conversation: Option<Uuid>,
    /// Whether it may wait for a person; else tools that want one are not offered.
    pub may_wait: bool,
}

/// Runs agents. Clones share everything.
#[derive(Clone)]
pub struct Agent {
    answerer: Answerer,
    toolbox: Arc<Toolbox>,
    runs: Arc<dyn RunStore>,
}

/// How a stretch of a run ended.
enum End {
    Answered(Box<Answer>),
    Paused(Box<Paused>),
}

/// The name and hash of the agent's prompt.
pub(crate) fn version() -> PromptVersion {
    PromptVersion { name: "agent", hash: wellspring_models::prompt::version(&[SYSTEM]) }
}

impl Agent {
    /// Nothing is called yet.
    pub fn new(answerer: Answerer, toolbox: Arc<Toolbox>, runs: Arc<dyn RunStore>) -> Self {
        Self { answerer, toolbox, runs }
    }

    /// The registered tools.
    pub fn toolbox(&self) -> &Arc<Toolbox> {
        &self.toolbox
    }

    /// The run as it happens: `step` events, then `retrieval` with all that was found, then as any answer; or `paused` as
    /// its end, see [`AnswerEvent`]. Dropping the stream stops the run. Without a chat model it is an error: `Invalid`.
    pub fn stream(&self, scope: &CollectionScope, request: AgentRequest) -> BoxStream<'static, AnswerEvent> {
        let AgentRequest { request, allowed, asker, conversation, may_wait } = request;
        let state = State::new(request, conversation);
        self.drive(scope.clone(), asker, allowed, may_wait, state, None)
    }

    /// Goes on with a run that waits. `NotFound` for a run that is not there, expired or another asker's; `Conflict` for
    /// one that was decided already, or that waits for another call. `allowed` is what the asker may call now. Gives the
    /// question as it was asked, too.
    pub async fn resume(
        &self,
        scope: &CollectionScope,
        asker: Asker,
        allowed: AllowedTools,
        id: Uuid,
        verdict: Verdict,
    ) -> Result<(String, BoxStream<'static, AnswerEvent>)> {
        let run = self.runs.run(&asker, id).await?;
        if run.stage != RunStage::Waiting {
            return Err(AnswerError::new(ErrorKind::Conflict, format!("the run {id} was decided already")));
        }
        let mut state = State::read(&run.body)?;
        state.decide(verdict)?;
        // Of two decisions at once, the one that gets through here counts.
        let run = self.runs.change(&asker, id, run.version, RunStage::Running, state.body()?).await?;
        let question = state.request.question.clone();
        Ok((question, self.drive(scope.clone(), asker, allowed, true, state, Some(run))))
    }

    fn drive(
        &self,
        scope: CollectionScope,
        asker: Asker,
        allowed: AllowedTools,
        may_wait: bool,
        mut state: State,
        kept: Option<KeptRun>,
    ) -> BoxStream<'static, AnswerEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS_AHEAD);
        let mut run = Run::new(self.answerer.clone(), scope, false, Events(sender));
        // A run that waited was read from a row, which names no account: whoever decided pays for the rest.
        let account = state.request.account.get_or_insert_with(|| {
            Account::new(asker.tenant.as_str(), asker.key.clone(), Uuid::now_v7().to_string())
        });
        run.account = account.clone();
        let mut going = Going { agent: self.clone(), run, asker, allowed, may_wait, state, kept };
        let work = async move {
            let last = match going.go().await {
                Ok(End::Answered(answer)) if answer.abstained => AnswerEvent::Refused(answer),
                Ok(End::Answered(answer)) => AnswerEvent::Done(answer),
                Ok(End::Paused(paused)) => AnswerEvent::Paused(paused),
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "an agent's run failed");
                    AnswerEvent::Error(error)
                }
            };
            going.run.events.send(last).await;
        };
        // Work and events are polled together: the run goes on only while somebody reads.
        stream::select(receiver, stream::once(work).filter_map(|()| std::future::ready(None))).boxed()
    }
}

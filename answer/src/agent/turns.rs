//! The loop: what was called is worked off, then the model is asked again, until it answers, must wait, or a limit is met.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;
use wellspring_models::prompt::as_data;
use wellspring_models::{ChatModel, ChatReply, ToolCall};

use super::look::{FETCH, Found, Looked, SEARCH, specs, wrong};
use super::state::{Outcome, State, Turn};
use super::telling::{cut, numbers};
use super::{Agent, AgentConfig, Approval, End, KeptRun, Paused, RunStage, Step, StepKind};
use crate::conversation::Asker;
use crate::error::{AnswerError, ErrorKind, Result};
use crate::reply::{Answer, AnswerEvent};
use crate::run::Run;
use crate::structured::UserForm;
use crate::suspicion::{Suspicion, suspicions};
use crate::tool::AllowedTools;

/// Calls of one turn; later ones are refused.
const CALLS_PER_TURN: usize = 8;
/// Characters of arguments in the log.
const LOGGED: usize = 2_000;

/// A run under way.
pub(super) struct Going {
    pub(super) agent: Agent,
    pub(super) run: Run,
    pub(super) asker: Asker,
    pub(super) allowed: AllowedTools,
    pub(super) may_wait: bool,
    pub(super) state: State,
    /// As it is kept, once it had to wait.
    pub(super) kept: Option<KeptRun>,
}

/// What becomes of a call.
enum Fate {
    /// It was made, or refused.
    Settled(Outcome),
    /// A person must decide.
    Waits(Approval),
}

impl Going {
    /// Goes on until the run is over or has to wait.
    pub(super) async fn go(&mut self) -> Result<End> {
        let end = self.stretch().await;
        // A run that failed is over, too; one that waits was kept already.
        if let Some(kept) = self.kept.as_ref().filter(|_| !matches!(end, Ok(End::Paused(_)))) {
            let body = self.state.body()?;
            let ended =
                self.agent.runs.change(&self.asker, kept.id, kept.version, RunStage::Ended, body).await;
            if let Err(error) = ended {
                tracing::warn!(error = &error as &dyn std::error::Error, "a run's end was not kept");
            }
        }
        end
    }

    pub(super) fn config(&self) -> AgentConfig {
        self.agent.answerer.config.agent
    }

    async fn stretch(&mut self) -> Result<End> {
        let start = Instant::now();
        let Some(model) = self.run.model_for(self.state.request.model.as_deref())? else {
            let message = "an agent needs a chat model, and none is configured: set `answer.model` or `models.routes.answer`";
            return Err(AnswerError::new(ErrorKind::Invalid, message));
        };
        // What is wrong with it is said before anything is spent.
        let form = self.state.request.schema.clone().map(UserForm::new).transpose()?;
        if self.kept.is_none() {
            let request = self.state.request.clone();
            self.state.standalone = self.run.understand(&request).await;
        }
        let config = self.config();
        let left = config.deadline_ms.saturating_sub(self.state.spent_ms);
        let limit = Duration::from_millis(left);
        let spent_before = self.state.spent_ms;
        // Tools that take longer than the run may last are left out of it.
        let _ = timeout(limit, self.agent.toolbox.refresh()).await;
        let retriever = Arc::clone(&self.agent.answerer.retriever);
        let mut found = Found::again(&retriever, &self.run.scope, &mut self.state).await?;
        loop {
            let remaining = limit.saturating_sub(start.elapsed());
            let late = || {
                let message = format!(
                    "the agent did not finish within {} ms (`answer.agent.deadline_ms`)",
                    config.deadline_ms
                );
                AnswerError::new(ErrorKind::Timeout, message)
            };
            if remaining.is_zero() {
                return Err(late());
            }
            let worked = timeout(remaining, self.work_off(&mut found)).await.map_err(|_| late())??;
            self.state.passages = found.0.iter().map(|passage| passage.chunk_id.clone()).collect();
            self.state.spent_ms = spent_before + millis(start);
            if let Some(approval) = worked {
                return self.pause(approval).await;
            }
            let remaining = limit.saturating_sub(start.elapsed());
            let asked = timeout(remaining, self.ask(model.as_ref(), &found)).await.map_err(|_| late())?;
            let (reply, must_answer) = asked?;
            self.state.spent_ms = spent_before + millis(start);
            if reply.calls.is_empty() || must_answer {
                let answer = match &form {
                    Some(form) => self.answer_in(start, model, form, found).await?,
                    None => self.answer(start, reply, found).await?,
                };
                return Ok(End::Answered(Box::new(answer)));
            }
            let calls = reply.calls.into_iter().map(|call| (call, None)).collect();
            self.state.turns.push(Turn { text: reply.text, calls });
        }
    }

    /// Makes the calls of the last turn that were not made yet, in order, up to one that must wait.
    async fn work_off(&mut self, found: &mut Found) -> Result<Option<Approval>> {
        let Some(turn) = self.state.turns.last() else { return Ok(None) };
        let open: Vec<(usize, ToolCall)> = turn
            .calls
            .iter()
            .enumerate()
            .filter(|(_, (_, outcome))| outcome.is_none())
            .map(|(place, (call, _))| (place, call.clone()))
            .collect();
        for (place, call) in open {
            match Box::pin(self.make(place, &call, found)).await? {
                Fate::Settled(outcome) => {
                    if let Some(turn) = self.state.turns.last_mut() {
                        turn.calls[place].1 = Some(outcome);
                    }
                }
                Fate::Waits(approval) => return Ok(Some(approval)),
            }
        }
        Ok(None)
    }

    async fn make(&mut self, place: usize, call: &ToolCall, found: &mut Found) -> Result<Fate> {
        let start = Instant::now();
        let config = self.config();
        // A decision is about the first call that is open, whatever becomes of it.
        let verdict = self.state.verdict.take();
        self.state.calls += 1;
        let arguments = match &call.arguments {
            Ok(arguments) => arguments.clone(),
            Err(_) => return Ok(self.refused(start, call, "the arguments are not JSON").await),
        };
        if place >= CALLS_PER_TURN || self.state.calls > config.calls {
            return Ok(self
                .refused(start, call, "there were too many calls; answer from what you have")
                .await);
        }
        if let Some(spec) = specs().iter().find(|spec| spec.name == call.name) {
            if let Some(why) = wrong(spec, &arguments) {
                return Ok(self.refused(start, call, &format!("the arguments are wrong: {why}")).await);
            }
            return self.look(start, call, &arguments, found).await;
        }
        if let Err(error) = self.agent.toolbox.check(&self.allowed, &call.name, &arguments) {
            return Ok(self.refused(start, call, &error.to_string()).await);
        }
        if let Some(why) = self.must_wait(&call.name) {
            match verdict {
                Some((true, _)) => {}
                Some((false, reason)) => {
                    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                    return Ok(self
                        .refused(start, call, &format!("a person rejected this call{reason}"))
                        .await);
                }
                None if !self.may_wait => {
                    return Ok(self
                        .refused(start, call, "this call needs a person, and nobody can be asked here")
                        .await);
                }
                None => {
                    let (tool, arguments) = (call.name.clone(), arguments);
                    let id = format!("{}-{place}", self.state.turns.len());
                    // It is counted when it is made.
                    self.state.calls -= 1;
                    return Ok(Fate::Waits(Approval { call: id, tool, arguments, why }));
                }
            }
        }
        self.call(start, call, arguments).await
    }

    /// Why a call of a registered tool must wait for a person; `None` if it need not.
    fn must_wait(&self, name: &str) -> Option<String> {
        let marked = self.agent.toolbox.info(&self.allowed, name).is_ok_and(|info| info.needs_approval);
        if marked {
            return Some("the tool needs approval".to_owned());
        }
        let wary = self.config().approve_after_suspicion && self.state.tainted;
        wary.then(|| "a passage that was read looks as if it were written to steer a model".to_owned())
    }

    async fn call(&mut self, start: Instant, call: &ToolCall, arguments: Value) -> Result<Fate> {
        let result = self.agent.toolbox.call(&self.allowed, &call.name, arguments).await;
        let (content, is_error) = match result {
            Ok(value) => {
                numbers(&value, &mut self.state.computed);
                (value.to_string(), false)
            }
            Err(error) => (error.to_string(), true),
        };
        let doubtful = suspicions(&content).iter().any(|suspicion| *suspicion != Suspicion::Request);
        self.state.tainted |= doubtful;
        let shown = as_data(&cut(&content, self.config().result_bytes));
        let outcome = if is_error { cut(&content, LOGGED) } else { format!("{} bytes", content.len()) };
        self.log(start, StepKind::Tool, call, !is_error, outcome, Vec::new()).await;
        Ok(Fate::Settled(Outcome::Text { content: shown, is_error }))
    }

    async fn look(
        &mut self,
        start: Instant,
        call: &ToolCall,
        arguments: &Value,
        found: &mut Found,
    ) -> Result<Fate> {
        let retriever = Arc::clone(&self.agent.answerer.retriever);
        let exclude = self.agent.answerer.config.injection.exclude;
        let searches = call.name == SEARCH;
        let looked = if searches {
            let limits = (self.config().passages, exclude);
            found.search(&retriever, &self.run.scope, &self.state, arguments, limits).await
        } else {
            found.fetch(&retriever, &self.run.scope, arguments).await
        };
        let kind = if searches { StepKind::Search } else { StepKind::Fetch };
        let Looked { outcome, numbers, doubtful, told, degraded } = match looked {
            Ok(looked) => looked,
            // What the model asked wrongly, it can ask rightly.
            Err(error) if error.kind() == ErrorKind::Invalid => {
                return Ok(self.refused(start, call, &error.to_string()).await);
            }
            Err(error) => return Err(error),
        };
        self.state.tainted |= doubtful;
        for part in degraded {
            if !self.run.degraded.contains(&part) {
                self.run.degraded.push(part);
            }
        }
        if call.name == FETCH && !numbers.is_empty() {
            self.state.wide.extend(&numbers);
        }
        let ok = matches!(outcome, Outcome::Passages { .. });
        self.log(start, kind, call, ok, told, numbers).await;
        Ok(Fate::Settled(outcome))
    }

    async fn refused(&mut self, start: Instant, call: &ToolCall, why: &str) -> Fate {
        self.log(start, StepKind::Tool, call, false, why.to_owned(), Vec::new()).await;
        Fate::Settled(Outcome::Text { content: why.to_owned(), is_error: true })
    }

    async fn log(
        &mut self,
        start: Instant,
        kind: StepKind,
        call: &ToolCall,
        ok: bool,
        outcome: String,
        passages: Vec<usize>,
    ) {
        let arguments = match &call.arguments {
            Ok(value) if value.to_string().len() <= LOGGED => value.clone(),
            _ => json!(cut(&call.arguments_text(), LOGGED)),
        };
        let (turn, name) = (self.state.turns.len(), cut(&call.name, 64));
        let step = Step { turn, kind, name, arguments, ok, outcome, passages, ms: millis(start) };
        self.step(step).await;
    }

    async fn step(&mut self, step: Step) {
        self.run.events.send(AnswerEvent::Step(Box::new(step.clone()))).await;
        self.state.steps.push(step);
    }

    /// Keeps the run until a person decides.
    async fn pause(&mut self, approval: Approval) -> Result<End> {
        let step = Step {
            turn: self.state.turns.len(),
            kind: StepKind::Waiting,
            name: approval.tool.clone(),
            arguments: approval.arguments.clone(),
            ok: true,
            outcome: approval.why.clone(),
            passages: Vec::new(),
            ms: 0,
        };
        self.step(step).await;
        self.state.approval = Some(approval.clone());
        let (body, id, runs) = (self.state.body()?, self.state.id, &self.agent.runs);
        let kept = match &self.kept {
            Some(kept) => runs.change(&self.asker, id, kept.version, RunStage::Waiting, body).await?,
            None => {
                let seconds = self.config().approval_seconds;
                runs.keep(&self.asker, &self.run.scope, id, self.state.conversation, body, seconds).await?
            }
        };
        Ok(End::Paused(Box::new(Paused {
            run: id,
            approval,
            expires_at: kept.expires_at,
            steps: self.state.steps.clone(),
            usage: self.state.usage,
        })))
    }

    /// The answer, checked like any other.
    async fn answer(&mut self, start: Instant, reply: ChatReply, found: Found) -> Result<Answer> {
        self.tell_of_it();
        let question = self.state.question().to_owned();
        self.run.answer_from(start, (found.0, &question), reply, self.state.usage, &self.state.computed).await
    }

    /// The answer in a schema of the asker's own, filled in from all that was found: what the agent would have said in
    /// plain words is left aside.
    async fn answer_in(
        &mut self,
        start: Instant,
        model: Arc<dyn ChatModel>,
        form: &UserForm,
        found: Found,
    ) -> Result<Answer> {
        self.tell_of_it();
        let question = self.state.question().to_owned();
        self.run.fill_in_from(start, model, (found.0, &question), form, self.state.usage).await
    }

    /// How it went, for the answer.
    fn tell_of_it(&mut self) {
        let details = &mut self.run.details;
        details.steps = self.state.steps.clone();
        details.run = self.kept.as_ref().map(|kept| kept.id);
        details.standalone = self.state.standalone.clone();
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

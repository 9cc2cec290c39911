//! What a run remembers, in a form that can wait for days: calls, and ids of passages in place of their text.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wellspring_models::{ToolCall, Usage};
use wellspring_retrieve::ChunkId;

use super::{Approval, Step, StepKind, Verdict};
use crate::error::{AnswerError, ErrorKind, Result};
use crate::reply::AnswerRequest;

/// The version of this form; another one is not read.
const VERSION: u32 = 1;

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    v: u32,
    pub(super) id: Uuid,
    pub(super) conversation: Option<Uuid>,
    pub(super) request: AnswerRequest,
    /// The question as it was understood, where that differs.
    pub(super) standalone: Option<String>,
    pub(super) turns: Vec<Turn>,
    /// Every passage found, by its number less one.
    pub(super) passages: Vec<ChunkId>,
    /// Numbers of passages of which more was read.
    pub(super) wide: BTreeSet<usize>,
    pub(super) steps: Vec<Step>,
    pub(super) usage: Usage,
    /// Milliseconds so far, pauses excepted.
    pub(super) spent_ms: u64,
    /// Calls so far.
    pub(super) calls: usize,
    /// A passage that looks as if it were written to steer a model was read.
    pub(super) tainted: bool,
    /// Numbers that tools gave.
    pub(super) computed: Vec<String>,
    /// What is being decided.
    pub(super) approval: Option<Approval>,
    /// What was decided and is not carried out yet: whether, and the reason of a rejection.
    pub(super) verdict: Option<(bool, Option<String>)>,
}

/// One turn of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Turn {
    pub(super) text: String,
    /// Each call, and what came of it once it was made.
    pub(super) calls: Vec<(ToolCall, Option<Outcome>)>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// These passages, by number, and a word about them.
    Passages { numbers: Vec<usize>, note: String },
    /// This, from elsewhere.
    Text { content: String, is_error: bool },
}

impl State {
    pub(super) fn new(request: AnswerRequest, conversation: Option<Uuid>) -> Self {
        Self {
            v: VERSION,
            id: Uuid::now_v7(),
            conversation,
            request,
            standalone: None,
            turns: Vec::new(),
            passages: Vec::new(),
            wide: BTreeSet::new(),
            steps: Vec::new(),
            usage: Usage::default(),
            spent_ms: 0,
            calls: 0,
            tainted: false,
            computed: Vec::new(),
            approval: None,
            verdict: None,
        }
    }

    pub(super) fn read(body: &Value) -> Result<Self> {
        let state: Self = serde_json::from_value(body.clone()).map_err(|_| unreadable())?;
        if state.v == VERSION { Ok(state) } else { Err(unreadable()) }
    }

    /// As it is kept: without the history, which is in the conversation.
    pub(super) fn body(&self) -> Result<Value> {
        let mut kept = self.clone();
        kept.request.history.clear();
        serde_json::to_value(kept)
            .map_err(|_| AnswerError::new(ErrorKind::Internal, "a run's state can't be written as JSON"))
    }

    /// The question as it is asked.
    pub(super) fn question(&self) -> &str {
        self.standalone.as_deref().unwrap_or(&self.request.question)
    }

    /// Takes a decision about the call that waits.
    pub(super) fn decide(&mut self, verdict: Verdict) -> Result<()> {
        let approval =
            self.approval.take().filter(|approval| approval.call == verdict.call).ok_or_else(|| {
                let message = format!("the run does not wait for the call {:?}", verdict.call);
                AnswerError::new(ErrorKind::Conflict, message)
            })?;
        let outcome = match (&verdict.approve, &verdict.reason) {
            (true, _) => "approved".to_owned(),
            (false, None) => "rejected".to_owned(),
            (false, Some(reason)) => format!("rejected: {reason}"),
        };
        self.steps.push(Step {
            turn: self.turns.len(),
            kind: StepKind::Decided,
            name: approval.tool,
            arguments: approval.arguments,
            ok: verdict.approve,
            outcome,
            passages: Vec::new(),
            ms: 0,
        });
        self.verdict = Some((verdict.approve, verdict.reason));
        Ok(())
    }

    /// Gives passages new numbers; those that are not there any more fall out.
    pub(super) fn renumber(&mut self, new: &BTreeMap<usize, usize>) {
        let renumbered = |numbers: &Vec<usize>| numbers.iter().filter_map(|n| new.get(n).copied()).collect();
        for (_, outcome) in self.turns.iter_mut().flat_map(|turn| &mut turn.calls) {
            if let Some(Outcome::Passages { numbers, note }) = outcome {
                let left: Vec<usize> = renumbered(numbers);
                if left.len() < numbers.len() {
                    note.push_str(" Some were withdrawn since.");
                }
                *numbers = left;
            }
        }
        for step in &mut self.steps {
            step.passages = renumbered(&step.passages);
        }
        self.wide = self.wide.iter().filter_map(|n| new.get(n).copied()).collect();
    }
}

fn unreadable() -> AnswerError {
    AnswerError::new(ErrorKind::Conflict, "the run was kept by another release and can't go on; ask again")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the first release kept of a run that waits; every later one must read it.
    fn first() -> Value {
        json!({
            "v": 1,
            "id": "019a0000-0000-7000-8000-000000000000",
            "conversation": null,
            "request": { "question": "How much?", "filter": null, "k": null, "mode": "hybrid", "model": null, "history": [], "schema": null },
            "standalone": null,
            "turns": [{ "text": "", "calls": [
                [{ "id": "t0", "name": "search", "arguments": { "query": "x" } }, { "passages": { "numbers": [1, 2], "note": "" } }],
                [{ "id": "t1", "name": "calculator", "arguments": {} }, { "text": { "content": "no", "is_error": true } }],
                [{ "id": "t2", "name": "send", "arguments": {} }, null],
            ] }],
            "passages": ["c1", "c2"],
            "wide": [2],
            "steps": [],
            "usage": { "input_tokens": 1, "output_tokens": 2 },
            "spent_ms": 3,
            "calls": 2,
            "tainted": false,
            "computed": [],
            "approval": { "call": "1-2", "tool": "send", "arguments": {}, "why": "the tool needs approval" },
            "verdict": null,
        })
    }

    #[test]
    fn the_first_form_is_still_read() {
        let state = State::read(&first()).unwrap();
        let mut again = first();
        // What later releases added is at its default.
        again["usage"] = json!({ "input_tokens": 1, "output_tokens": 2, "cached_input_tokens": 0, "cache_write_tokens": 0 });
        assert_eq!(state.body().unwrap(), again);
        let mut other = first();
        other["v"] = 2.into();
        assert_eq!(State::read(&other).unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_verdict_is_about_the_call_that_waits() {
        let verdict = |call: &str| Verdict { call: call.to_owned(), approve: true, reason: None };
        let mut state = State::read(&first()).unwrap();
        assert_eq!(state.clone().decide(verdict("1-1")).unwrap_err().kind(), ErrorKind::Conflict);
        state.decide(verdict("1-2")).unwrap();
        assert_eq!((state.verdict.as_ref().map(|given| given.0), state.steps.len()), (Some(true), 1));
        assert!(state.decide(verdict("1-2")).is_err(), "decided once");
    }

    #[test]
    fn what_is_gone_loses_its_number() {
        let mut state = State::read(&first()).unwrap();
        state.renumber(&BTreeMap::from([(2, 1)]));
        let Some(Outcome::Passages { numbers, note }) = &state.turns[0].calls[0].1 else { panic!() };
        assert_eq!((numbers.as_slice(), note.as_str()), (&[1][..], " Some were withdrawn since."));
        assert_eq!(state.wide, BTreeSet::from([1]));
    }
}

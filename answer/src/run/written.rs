//! The part of a run that a chat model writes: the prompt, the stream of its text, and each sentence checked as it comes.

use std::sync::Arc;
use std::time::Duration;

use wellspring_models::{ChatEvent, ChatModel, ChatRequest, ErrorKind, FinishReason, ModelError};
use wellspring_retrieve::{Degraded, Passage};

use super::{Checking, Run, Written};
use crate::claims::Claims;
use crate::config::AnswerConfig;
use crate::error::Result;
use crate::extractive::Placed;
use crate::generate::Generation;
use crate::ground::budget::Budget;
use crate::ground::{Checked, Grounds};
use crate::prompt::{self, NO_ANSWER};
use crate::reading::Reading;
use crate::reply::{AnswerEvent, Decision, Warning};

impl Run {
    /// A generated answer; a model that fails before anything was sent is replaced by quotes, if that is allowed.
    pub(super) async fn write(
        &mut self,
        model: Arc<dyn ChatModel>,
        question: &str,
        usable: &Arc<Vec<Placed>>,
        checking: Checking,
        reading: Reading,
    ) -> Result<Written> {
        let config = Arc::clone(&self.answerer.config);
        let shown = self.packed(model.as_ref(), usable).await;
        let model = self.remembered(model, question, &shown);
        let error = match self.generate(model.as_ref(), question, &shown, checking).await {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        // A refused budget is said: quotes in place of what was asked for would hide it.
        if !config.fall_back || !self.claims.is_empty() || error.refusal().is_some() {
            return Err(error.into());
        }
        let reason =
            format!("the chat model {} failed ({error}); sentences are quoted instead", model.name());
        tracing::warn!(error = &error as &dyn std::error::Error, "falling back to quoted sentences");
        self.degraded.push(Degraded { leg: "generate".to_owned(), reason: reason.clone() });
        self.warn(Warning { code: "fallback", message: reason }).await;
        (self.usage, self.complete, self.model) = (None, true, None);
        self.dropped.clear();
        self.quote(reading, usable).await
    }

    /// The passages that fit the model's prompt; the reader is told where some do not.
    pub(crate) async fn packed<'p>(
        &mut self,
        model: &dyn ChatModel,
        usable: &'p [Placed],
    ) -> Vec<(usize, &'p Passage)> {
        let config = Arc::clone(&self.answerer.config);
        let passages: Vec<(usize, &Passage)> =
            usable.iter().map(|(place, passage)| (*place, passage)).collect();
        let budget = config.prompt_tokens.min(room(model, &config));
        let fitting = prompt::fitting(&passages, budget, config.injection.source_share);
        if fitting.len() < passages.len() {
            let message = format!("only {} of {} passages fit the prompt", fitting.len(), passages.len());
            self.warn(Warning { code: "passages_left_out", message }).await;
        }
        passages.into_iter().filter(|(place, _)| fitting.contains(place)).collect()
    }

    /// Notes how a generation ended; the reader is told of one that was cut short.
    pub(crate) async fn ended(&mut self, finish: FinishReason) {
        self.complete = finish == FinishReason::Stop;
        if !self.complete {
            let why = match finish {
                FinishReason::Length => "it reached the largest number of tokens",
                FinishReason::ContentFilter => "its provider withheld the rest",
                _ => "its provider does not say why",
            };
            let message = format!("the generation was cut short: {why}");
            self.warn(Warning { code: "truncated", message }).await;
        }
    }

    async fn generate(
        &mut self,
        model: &dyn ChatModel,
        question: &str,
        passages: &[(usize, &Passage)],
        checking: Checking,
    ) -> Result<Written, ModelError> {
        let config = Arc::clone(&self.answerer.config);
        let request = asked(&config, question, passages, &uuid::Uuid::new_v4().simple().to_string());
        let budget = Duration::from_millis(config.generation_deadline_ms);
        let time = Arc::clone(&self.budget);
        let mut generation = Generation::start(model, &request, self.streamed, budget).await?;
        let grounds = self.grounds(checking, &time, passages).await?;
        let mut claims = Claims::default();
        // What waits for the judge.
        let mut waiting: Vec<Checked> = Vec::new();
        let mut written = String::new();
        let (finish, usage) = loop {
            match generation.next().await? {
                ChatEvent::Token(text) => {
                    written.push_str(&text);
                    for sentence in claims.push(&text) {
                        self.take_checked(&grounds, &sentence, &mut waiting).await?;
                    }
                }
                // Nothing can be called from an answer.
                ChatEvent::Call(_) => {}
                ChatEvent::Done { finish, usage, served_by } => {
                    self.model = Some(served_by);
                    break (finish, usage);
                }
            }
        };
        if let Some(usage) = usage {
            self.usage = Some(usage);
            self.events.send(AnswerEvent::Usage(usage)).await;
        }
        if written.trim().is_empty() {
            return Err(ModelError::new(ErrorKind::Corrupt, "the model's reply is empty"));
        }
        if says_no_answer(&written) {
            return Ok(Written::NoAnswer);
        }
        self.ended(finish).await;
        for sentence in claims.finish(self.complete) {
            self.take_checked(&grounds, &sentence, &mut waiting).await?;
        }
        for checked in self.judged(passages, waiting).await {
            self.take_decided(checked).await;
        }
        Ok(Written::Text)
    }

    /// What sentences are checked against; the answer tells where words alone must do.
    pub(crate) async fn grounds<'a>(
        &mut self,
        checking: Checking,
        time: &'a Budget,
        passages: &[(usize, &'a Passage)],
    ) -> Result<Grounds<'a>, ModelError> {
        let config = Arc::clone(&self.answerer.config);
        let (grounds, failure) =
            Grounds::new(checking.checker, time, passages, config.min_support, config.unsupported).await?;
        if let Some(error) = checking.failure.or(failure) {
            self.words_alone(&error);
        }
        Ok(grounds)
    }

    fn words_alone(&mut self, error: &ModelError) {
        tracing::warn!(error = error as &dyn std::error::Error, "claims are checked by their words alone");
        let reason = format!("claims were compared by their words alone: {error}");
        self.degraded.push(Degraded { leg: "support".to_owned(), reason });
    }

    /// Checks a sentence and takes it in, or keeps it waiting for the judge.
    async fn take_checked(
        &mut self,
        grounds: &Grounds<'_>,
        sentence: &str,
        waiting: &mut Vec<Checked>,
    ) -> Result<(), ModelError> {
        if says_no_answer(sentence) {
            return Ok(());
        }
        let checked = grounds.check(sentence).await?;
        match self.is_judged() {
            true => waiting.push(checked),
            false => self.take_decided(checked).await,
        }
        Ok(())
    }

    /// Takes a checked sentence in, or leaves it out, as was decided.
    pub(crate) async fn take_decided(&mut self, checked: Checked) {
        let Checked { claim, decision, warnings } = checked;
        for warning in warnings {
            self.warn(warning).await;
        }
        match (claim, decision) {
            (Some(claim), Decision::Dropped) => self.dropped.push(claim),
            (Some(claim), Decision::Kept | Decision::Marked) => self.take(claim).await,
            (None, _) => {}
        }
    }
}

/// What the model is asked. `fence` is new for every request.
pub(crate) fn asked(
    config: &AnswerConfig,
    question: &str,
    passages: &[(usize, &Passage)],
    fence: &str,
) -> ChatRequest {
    ChatRequest {
        messages: prompt::build(question, passages, fence),
        max_tokens: config.max_tokens,
        temperature: config.temperature,
        seed: config.seed,
        ..ChatRequest::default()
    }
}

/// Tokens that the model has left for passages beside the reply and the rest of the prompt.
fn room(model: &dyn ChatModel, config: &AnswerConfig) -> usize {
    const INSTRUCTIONS: usize = 600;
    model.context_tokens().saturating_sub(config.max_tokens as usize + INSTRUCTIONS)
}

/// Whether a text is only the agreed word for "not in the passages".
pub(crate) fn says_no_answer(text: &str) -> bool {
    text.trim().trim_matches(|c: char| matches!(c, '.' | '`' | '*' | '"' | '\'')) == NO_ANSWER
}

//! One answer in the making: search, strength, generation or quotes, the last look, and the events on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::SinkExt;
use futures::channel::mpsc;
use wellspring_models::{ChatEvent, ChatModel, ChatRequest, FinishReason, ModelError, Usage};
use wellspring_retrieve::{CollectionScope, Degraded, Passage, SearchRequest, SearchResponse, Timings};

use crate::claims::Claims;
use crate::config::{AnswerConfig, MAX_PASSAGES, within};
use crate::error::Result;
use crate::extractive;
use crate::generate::Generation;
use crate::ground::{Claim, Grounds};
use crate::pipeline::Answerer;
use crate::prompt::{self, NO_ANSWER};
use crate::recheck::{Rechecked, recheck};
use crate::reply::{Answer, AnswerEvent, AnswerRequest, EXTRACTIVE, NumberedPassage, Warning};
use crate::strength::Strength;

/// What a refusal says in place of an answer.
const REFUSAL: &str = "The documents do not answer this question.";

/// Where events go. A reader that went away is no failure: the run is dropped with the stream.
pub(crate) struct Events(pub(crate) mpsc::Sender<AnswerEvent>);

impl Events {
    pub(crate) async fn send(&mut self, event: AnswerEvent) {
        if self.0.send(event).await.is_err() {
            tracing::debug!("nobody reads the answer any more");
        }
    }
}

/// One answer in the making.
pub(crate) struct Run {
    answerer: Answerer,
    scope: CollectionScope,
    streamed: bool,
    pub(crate) events: Events,
    /// Sentences sent or ready to be sent.
    claims: Vec<Claim>,
    warnings: Vec<Warning>,
    degraded: Vec<Degraded>,
    timings: Timings,
    usage: Option<Usage>,
    complete: bool,
    model: Option<String>,
}

/// What a generation came to.
enum Written {
    /// Sentences were taken in, or every one was left out.
    Text,
    /// The model said that the passages do not answer.
    NoAnswer,
}

impl Run {
    pub(crate) fn new(answerer: Answerer, scope: CollectionScope, streamed: bool, events: Events) -> Self {
        Self {
            answerer,
            scope,
            streamed,
            events,
            claims: Vec::new(),
            warnings: Vec::new(),
            degraded: Vec::new(),
            timings: Timings::default(),
            usage: None,
            complete: true,
            model: None,
        }
    }

    /// The answer or refusal; every event but the terminal one was sent by then.
    pub(crate) async fn answer(&mut self, request: AnswerRequest) -> Result<Answer> {
        let start = Instant::now();
        let config = Arc::clone(&self.answerer.config);
        let model = self.model_for(request.model.as_deref())?;
        let (passages, strength) = self.search(&request).await?;
        if passages.is_empty() {
            return self.refuse(start, passages, "nothing was found for the question".to_owned()).await;
        }
        if let Some(reason) = strength.refusal(&config.refusal) {
            return self.refuse(start, passages, reason).await;
        }
        let stage = Instant::now();
        let written = match model {
            Some(model) => self.write(model, &request.question, &passages).await?,
            None => self.quote(&request.question, &passages).await,
        };
        self.timings.add("generate", stage);
        match written {
            Written::NoAnswer => {
                self.refuse(start, passages, "the model found no answer in the passages".to_owned()).await
            }
            Written::Text if self.claims.is_empty() => {
                let reason = "no sentence of the answer was supported by the passages".to_owned();
                self.refuse(start, passages, reason).await
            }
            Written::Text => self.finish(start, passages).await,
        }
    }

    fn model_for(&self, asked: Option<&str>) -> Result<Option<Arc<dyn ChatModel>>> {
        let name = asked.or(self.answerer.config.model.as_deref());
        if name == Some(EXTRACTIVE) {
            return Ok(None);
        }
        Ok(self.answerer.registry.chat(name)?)
    }

    async fn search(&mut self, request: &AnswerRequest) -> Result<(Vec<Passage>, Strength)> {
        let config = Arc::clone(&self.answerer.config);
        let k = request.k.unwrap_or(config.passages);
        within("k", k as f64, 1.0, MAX_PASSAGES as f64)?;
        let search = SearchRequest {
            k,
            mode: request.mode,
            filter: request.filter.clone(),
            // The dense leg's cosines are a sign of strength.
            explain: true,
            neighbours: config.neighbours,
            ..SearchRequest::new(request.question.clone())
        };
        let SearchResponse { mut hits, degraded, explain: _, timings } =
            self.answerer.retriever.search(&self.scope, search).await?;
        self.timings = timings;
        self.degraded = degraded;
        let strength = Strength::of(&request.question, &hits);
        for hit in &mut hits {
            hit.explain = None;
        }
        let numbered = hits.iter().cloned().enumerate();
        let passages = numbered.map(|(index, passage)| NumberedPassage { n: index + 1, passage }).collect();
        self.events.send(AnswerEvent::Retrieval { passages, degraded: self.degraded.clone() }).await;
        Ok((hits, strength))
    }

    /// An answer of quoted sentences.
    async fn quote(&mut self, question: &str, passages: &[Passage]) -> Written {
        for claim in extractive::answer(question, passages, self.answerer.config.sentences) {
            self.take(claim).await;
        }
        Written::Text
    }

    /// A generated answer; a model that fails before anything was sent is replaced by quotes, if that is allowed.
    async fn write(
        &mut self,
        model: Arc<dyn ChatModel>,
        question: &str,
        passages: &[Passage],
    ) -> Result<Written> {
        let config = Arc::clone(&self.answerer.config);
        let count = prompt::fitting(passages, config.prompt_tokens.min(room(model.as_ref(), &config)));
        if count < passages.len() {
            let message = format!("only {count} of {} passages fit the prompt", passages.len());
            self.warn(Warning { code: "passages_left_out", message }).await;
        }
        let passages = &passages[..count];
        let error = match self.generate(model.as_ref(), question, passages).await {
            Ok(written) => {
                self.model = Some(model.name().to_owned());
                return Ok(written);
            }
            Err(error) => error,
        };
        if !config.fall_back || !self.claims.is_empty() {
            return Err(error.into());
        }
        let reason =
            format!("the chat model {} failed ({error}); sentences are quoted instead", model.name());
        tracing::warn!(error = &error as &dyn std::error::Error, "falling back to quoted sentences");
        self.degraded.push(Degraded { leg: "generate".to_owned(), reason: reason.clone() });
        self.warn(Warning { code: "fallback", message: reason }).await;
        (self.usage, self.complete) = (None, true);
        Ok(self.quote(question, passages).await)
    }

    async fn generate(
        &mut self,
        model: &dyn ChatModel,
        question: &str,
        passages: &[Passage],
    ) -> Result<Written, ModelError> {
        let config = Arc::clone(&self.answerer.config);
        let request = ChatRequest {
            messages: prompt::build(question, passages, &uuid::Uuid::new_v4().simple().to_string()),
            max_tokens: config.max_tokens,
            temperature: config.temperature,
            seed: config.seed,
            stop: Vec::new(),
        };
        let grounds = Grounds::new(passages, config.min_support, config.unsupported);
        let budget = Duration::from_millis(config.generation_deadline_ms);
        let mut generation = Generation::start(model, &request, self.streamed, budget).await?;
        let mut claims = Claims::default();
        let mut written = String::new();
        let (finish, usage) = loop {
            match generation.next().await? {
                ChatEvent::Token(text) => {
                    written.push_str(&text);
                    for sentence in claims.push(&text) {
                        self.take_checked(&grounds, &sentence).await;
                    }
                }
                ChatEvent::Done { finish, usage } => break (finish, usage),
            }
        };
        if let Some(usage) = usage {
            self.usage = Some(usage);
            self.events.send(AnswerEvent::Usage(usage)).await;
        }
        if written.trim().is_empty() {
            return Err(ModelError::new(wellspring_models::ErrorKind::Corrupt, "the model's reply is empty"));
        }
        if says_no_answer(&written) {
            return Ok(Written::NoAnswer);
        }
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
        for sentence in claims.finish(self.complete) {
            self.take_checked(&grounds, &sentence).await;
        }
        Ok(Written::Text)
    }

    async fn take_checked(&mut self, grounds: &Grounds<'_>, sentence: &str) {
        if says_no_answer(sentence) {
            return;
        }
        let (claim, warnings) = grounds.check(sentence);
        for warning in warnings {
            self.warn(warning).await;
        }
        if let Some(claim) = claim {
            self.take(claim).await;
        }
    }

    /// Adds a sentence to the answer and sends it with its citations.
    async fn take(&mut self, mut claim: Claim) {
        if self.claims.is_empty() {
            claim.before = String::new();
        } else if claim.before.is_empty() {
            claim.before = " ".to_owned();
        }
        self.events.send(AnswerEvent::Token(claim.shown())).await;
        for citation in &claim.citations {
            self.events.send(AnswerEvent::Citation(Box::new(citation.clone()))).await;
        }
        self.claims.push(claim);
    }

    async fn warn(&mut self, warning: Warning) {
        self.events.send(AnswerEvent::Warning(warning.clone())).await;
        self.warnings.push(warning);
    }

    async fn finish(&mut self, start: Instant, passages: Vec<Passage>) -> Result<Answer> {
        let claims = std::mem::take(&mut self.claims);
        let passages = self.recheck(claims, passages).await?;
        if self.claims.iter().all(|claim| claim.citations.is_empty()) {
            let reason = "every supporting document was changed or deleted while the answer was made, or none supports it";
            return Ok(self.assemble(start, REFUSAL.to_owned(), passages, Some(reason.to_owned())));
        }
        let text: String = self.claims.iter().map(Claim::shown).collect();
        Ok(self.assemble(start, text.trim_start().to_owned(), passages, None))
    }

    async fn refuse(&mut self, start: Instant, passages: Vec<Passage>, reason: String) -> Result<Answer> {
        let passages = self.recheck(Vec::new(), passages).await?;
        Ok(self.assemble(start, REFUSAL.to_owned(), passages, Some(reason)))
    }

    async fn recheck(&mut self, claims: Vec<Claim>, passages: Vec<Passage>) -> Result<Vec<NumberedPassage>> {
        let stage = Instant::now();
        let Rechecked { claims, passages, warnings } =
            recheck(&self.answerer.retriever, &self.scope, claims, passages).await?;
        self.timings.add("recheck", stage);
        self.claims = claims;
        for warning in warnings {
            self.warn(warning).await;
        }
        Ok(passages)
    }

    fn assemble(
        &mut self,
        start: Instant,
        answer: String,
        passages: Vec<NumberedPassage>,
        refused: Option<String>,
    ) -> Answer {
        self.timings.0.remove("total");
        self.timings.add("total", start);
        let citations = match refused {
            Some(_) => Vec::new(),
            None => self.claims.iter().flat_map(|claim| claim.citations.clone()).collect(),
        };
        Answer {
            answer,
            citations,
            abstained: refused.is_some(),
            reason: refused,
            complete: self.complete,
            passages,
            usage: self.usage,
            prompt: self.model.as_ref().map(|_| prompt::version()),
            model: self.model.clone(),
            warnings: std::mem::take(&mut self.warnings),
            degraded: std::mem::take(&mut self.degraded),
            timings: std::mem::take(&mut self.timings),
        }
    }
}

/// Tokens that the model has left for passages beside the reply and the rest of the prompt.
fn room(model: &dyn ChatModel, config: &AnswerConfig) -> usize {
    const INSTRUCTIONS: usize = 600;
    model.context_tokens().saturating_sub(config.max_tokens as usize + INSTRUCTIONS)
}

/// Whether a text is only the agreed word for "not in the passages".
fn says_no_answer(text: &str) -> bool {
    text.trim().trim_matches(|c: char| matches!(c, '.' | '`' | '*' | '"' | '\'')) == NO_ANSWER
}

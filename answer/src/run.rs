//! One answer in the making: search, strength, generation or quotes, the last look, and the events on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::SinkExt;
use futures::channel::mpsc;
use wellspring_models::{
    Account, ChatEvent, ChatModel, ChatRequest, FinishReason, ModelError, Purpose, Usage,
};
use wellspring_retrieve::{CollectionScope, Degraded, Passage, SearchRequest, SearchResponse, Timings};

use crate::claims::Claims;
use crate::config::{AnswerConfig, DEFAULT_SUPPORT_MODEL, MAX_PASSAGES, WORDS, within};
use crate::conversation::understand;
use crate::error::Result;
use crate::extractive::{self, Quoted};
use crate::generate::Generation;
use crate::ground::support::SupportChecker;
use crate::ground::{Checked, Claim, Grounds};
use crate::pipeline::Answerer;
use crate::prompt::{self, NO_ANSWER};
use crate::recheck::{Rechecked, recheck};
use crate::reply::{
    Answer, AnswerEvent, AnswerRequest, Citation, Decision, Details, EXTRACTIVE, NumberedPassage,
    ShortAnswer, Warning,
};
use crate::strength::Strength;
use crate::structured::{self, NEEDS_MODEL, UNFIT, UserForm};

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
    pub(crate) answerer: Answerer,
    pub(crate) scope: CollectionScope,
    streamed: bool,
    pub(crate) events: Events,
    /// Sentences sent or ready to be sent.
    pub(crate) claims: Vec<Claim>,
    /// Sentences that were left out.
    dropped: Vec<Claim>,
    short: Option<ShortAnswer>,
    /// Numbers of passages that look as if they were written for a model.
    pub(crate) doubtful: Vec<usize>,
    warnings: Vec<Warning>,
    pub(crate) degraded: Vec<Degraded>,
    timings: Timings,
    pub(crate) usage: Option<Usage>,
    pub(crate) complete: bool,
    pub(crate) model: Option<String>,
    pub(crate) account: Account,
    pub(crate) details: Details,
    /// The object asked for as it was shown last.
    pub(crate) shown: Option<serde_json::Value>,
}

/// What a generation came to.
pub(crate) enum Written {
    /// Sentences were taken in, or every one was left out.
    Text,
    /// The model said that the passages do not answer.
    NoAnswer,
    /// The reply is not of the form that was asked for.
    Unfit,
}

impl Run {
    pub(crate) fn new(answerer: Answerer, scope: CollectionScope, streamed: bool, events: Events) -> Self {
        let account = Account::of_tenant(scope.tenant().as_str());
        Self {
            answerer,
            scope,
            streamed,
            events,
            claims: Vec::new(),
            dropped: Vec::new(),
            short: None,
            doubtful: Vec::new(),
            warnings: Vec::new(),
            degraded: Vec::new(),
            timings: Timings::default(),
            usage: None,
            complete: true,
            model: None,
            account,
            details: Details::default(),
            shown: None,
        }
    }

    /// The answer or refusal; every event but the terminal one was sent by then.
    pub(crate) async fn answer(&mut self, mut request: AnswerRequest) -> Result<Answer> {
        let start = Instant::now();
        let form = request.schema.take().map(UserForm::new).transpose()?;
        let config = Arc::clone(&self.answerer.config);
        if let Some(account) = &request.account {
            self.account = account.clone();
        }
        let model = self.model_for(request.model.as_deref())?;
        if let Some(question) = self.understand(&request).await {
            self.details.standalone = Some(question.clone());
            request.question = question;
        }
        let (passages, strength) = self.search(&request).await?;
        if passages.is_empty() {
            return self.refuse(start, passages, "nothing was found for the question".to_owned()).await;
        }
        if let Some(reason) = strength.refusal(&config.refusal) {
            return self.refuse(start, passages, reason).await;
        }
        let stage = Instant::now();
        let usable = self.usable(&passages).await;
        if usable.is_empty() {
            let reason = "every passage found looks as if it were written to mislead a model".to_owned();
            return self.refuse(start, passages, reason).await;
        }
        let written = match (model, &form) {
            (Some(model), Some(form)) => self.fill_in(model, &request.question, &usable, form).await?,
            (None, Some(_)) => return self.refuse(start, passages, NEEDS_MODEL.to_owned()).await,
            (Some(model), None) => self.write(model, &request.question, &usable).await?,
            (None, None) => self.quote(&request.question, &usable).await,
        };
        self.timings.add("generate", stage);
        match written {
            Written::NoAnswer => {
                self.refuse(start, passages, "the model found no answer in the passages".to_owned()).await
            }
            Written::Unfit => self.refuse(start, passages, UNFIT.to_owned()).await,
            Written::Text if self.claims.is_empty() => {
                let reason = "no sentence of the answer was supported by the passages".to_owned();
                self.refuse(start, passages, reason).await
            }
            Written::Text => self.finish(start, passages).await,
        }
    }

    /// The question as it is understood after its history; `None` where it stands alone.
    pub(crate) async fn understand(&mut self, request: &AnswerRequest) -> Option<String> {
        if request.history.is_empty() {
            return None;
        }
        // A model that is not there is told of where the answer needs it.
        let model = self.model_for(request.model.as_deref()).unwrap_or_default();
        let understood = understand(&request.question, &request.history, model.as_deref()).await?;
        if let Some(reason) = understood.failed {
            let reason = format!("the follow-up was understood by rules: {reason}");
            self.degraded.push(Degraded { leg: "follow_up".to_owned(), reason });
        }
        (understood.question != request.question).then_some(understood.question)
    }

    /// The one place where an answer, or an agent, gets its chat model.
    pub(crate) fn model_for(&self, asked: Option<&str>) -> Result<Option<Arc<dyn ChatModel>>> {
        let name = asked.or(self.answerer.config.model.as_deref());
        if name == Some(EXTRACTIVE) {
            return Ok(None);
        }
        let Answerer { registry, config, .. } = &self.answerer;
        Ok(match name {
            Some(name) => registry.chat_for(Some(name), Purpose::Answer, &self.account)?,
            None => {
                let within = Duration::from_millis(config.generation_deadline_ms);
                registry.route_for(Purpose::Answer, &self.account, within)?
            }
        })
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
            account: Some(self.account.clone()),
            ..SearchRequest::new(request.question.clone())
        };
        let SearchResponse { mut hits, degraded, did_you_mean: _, explain: _, timings } =
            self.answerer.retriever.search(&self.scope, search).await?;
        self.timings = timings;
        self.degraded.extend(degraded);
        let strength = Strength::of(&request.question, &hits);
        for hit in &mut hits {
            hit.explain = None;
        }
        let numbered = hits.iter().cloned().enumerate();
        let passages: Vec<NumberedPassage> =
            numbered.map(|(index, passage)| NumberedPassage::new(index, passage)).collect();
        self.doubtful = passages.iter().filter(|passage| passage.is_doubtful()).map(|p| p.n).collect();
        self.events.send(AnswerEvent::Retrieval { passages, degraded: self.degraded.clone() }).await;
        Ok((hits, strength))
    }

    /// The passages to answer from, each with its place; the reader is told of those that look doubtful.
    pub(crate) async fn usable<'p>(&mut self, passages: &'p [Passage]) -> Vec<(usize, &'p Passage)> {
        let exclude = self.answerer.config.injection.exclude;
        for n in self.doubtful.clone() {
            let done =
                if exclude { "it was not answered from" } else { "read what is cited from it with care" };
            let message = format!("[{n}] looks as if it were written to steer a model: {done}");
            self.warn(Warning { code: "suspicious_passage", message }).await;
        }
        let kept = |place: &usize| !exclude || !self.doubtful.contains(&(place + 1));
        passages.iter().enumerate().filter(|(place, _)| kept(place)).collect()
    }

    /// An answer of quoted sentences.
    async fn quote(&mut self, question: &str, passages: &[(usize, &Passage)]) -> Written {
        let Quoted { claims, short } = extractive::answer(question, passages, self.answerer.config.sentences);
        self.short = short;
        for claim in claims {
            self.take(claim).await;
        }
        Written::Text
    }

    /// A generated answer; a model that fails before anything was sent is replaced by quotes, if that is allowed.
    async fn write(
        &mut self,
        model: Arc<dyn ChatModel>,
        question: &str,
        passages: &[(usize, &Passage)],
    ) -> Result<Written> {
        let config = Arc::clone(&self.answerer.config);
        let budget = config.prompt_tokens.min(room(model.as_ref(), &config));
        let fitting = prompt::fitting(passages, budget, config.injection.source_share);
        if fitting.len() < passages.len() {
            let message = format!("only {} of {} passages fit the prompt", fitting.len(), passages.len());
            self.warn(Warning { code: "passages_left_out", message }).await;
        }
        let shown: Vec<(usize, &Passage)> =
            passages.iter().copied().filter(|(place, _)| fitting.contains(place)).collect();
        let model = self.remembered(model, question, &shown);
        let error = match self.generate(model.as_ref(), question, &shown).await {
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
        Ok(self.quote(question, passages).await)
    }

    async fn generate(
        &mut self,
        model: &dyn ChatModel,
        question: &str,
        passages: &[(usize, &Passage)],
    ) -> Result<Written, ModelError> {
        let config = Arc::clone(&self.answerer.config);
        let request = asked(&config, question, passages, &uuid::Uuid::new_v4().simple().to_string());
        let budget = Duration::from_millis(config.generation_deadline_ms);
        let checker = self.checker().await;
        let mut generation = Generation::start(model, &request, self.streamed, budget).await?;
        let (grounds, failure) =
            Grounds::new(checker, passages, config.min_support, config.unsupported).await;
        if let Some(error) = failure {
            self.words_alone(&error);
        }
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

    /// What checks sentences: the configured model where it is there, else words alone, which the answer then says.
    pub(crate) async fn checker(&mut self) -> SupportChecker {
        match self.answerer.config.support_model.as_deref().unwrap_or(DEFAULT_SUPPORT_MODEL) {
            WORDS => SupportChecker::words(),
            name => match self.answerer.registry.embedder(name).await {
                Ok(model) => SupportChecker::new(Some(model)),
                Err(error) => {
                    self.words_alone(&error);
                    SupportChecker::words()
                }
            },
        }
    }

    pub(crate) fn words_alone(&mut self, error: &ModelError) {
        tracing::warn!(error = error as &dyn std::error::Error, "claims are checked by their words alone");
        let reason = format!("claims were compared by their words alone: {error}");
        self.degraded.push(Degraded { leg: "support".to_owned(), reason });
    }

    async fn take_checked(&mut self, grounds: &Grounds<'_>, sentence: &str) {
        if says_no_answer(sentence) {
            return;
        }
        let checked = grounds.check(sentence).await;
        self.take_decided(checked).await;
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

    /// Adds a sentence to the answer and sends it with its citations.
    pub(crate) async fn take(&mut self, mut claim: Claim) {
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

    pub(crate) async fn warn(&mut self, warning: Warning) {
        self.events.send(AnswerEvent::Warning(warning.clone())).await;
        self.warnings.push(warning);
    }

    pub(crate) async fn finish(&mut self, start: Instant, passages: Vec<Passage>) -> Result<Answer> {
        let claims = std::mem::take(&mut self.claims);
        let passages = self.recheck(claims, passages).await?;
        if self.claims.iter().all(|claim| claim.citations.is_empty()) {
            let reason = "every supporting document was changed or deleted while the answer was made, or none supports it";
            return Ok(self.assemble(start, REFUSAL.to_owned(), passages, Some(reason.to_owned())));
        }
        let text: String = self.claims.iter().map(Claim::shown).collect();
        Ok(self.assemble(start, text.trim_start().to_owned(), passages, None))
    }

    pub(crate) async fn refuse(
        &mut self,
        start: Instant,
        passages: Vec<Passage>,
        reason: String,
    ) -> Result<Answer> {
        let passages = self.recheck(Vec::new(), passages).await?;
        Ok(self.assemble(start, REFUSAL.to_owned(), passages, Some(reason)))
    }

    async fn recheck(&mut self, claims: Vec<Claim>, passages: Vec<Passage>) -> Result<Vec<NumberedPassage>> {
        let stage = Instant::now();
        let found = passages.len();
        let Rechecked { claims, passages, warnings } =
            recheck(&self.answerer.retriever, &self.scope, claims, passages).await?;
        self.timings.add("recheck", stage);
        self.claims = claims;
        if !warnings.is_empty() || passages.len() < found {
            // A sentence that was left out may still tell of what is gone.
            self.dropped.clear();
        }
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
        structured::settle(&mut self.details, &self.claims, refused.as_deref());
        let citations: Vec<Citation> = match refused {
            Some(_) => Vec::new(),
            None => self.claims.iter().flat_map(|claim| claim.citations.clone()).collect(),
        };
        let shown = self.claims.iter().filter(|_| refused.is_none()).map(|claim| {
            claim.record(if claim.citations.is_empty() { Decision::Marked } else { Decision::Kept })
        });
        let claims = shown.chain(self.dropped.iter().map(|claim| claim.record(Decision::Dropped))).collect();
        Answer {
            answer,
            short_answer: self.short.take().filter(|short| {
                // Only where its sentence is still cited, and so was looked at once more.
                citations
                    .iter()
                    .any(|c: &Citation| c.n == short.n && c.start <= short.start && short.end <= c.end)
            }),
            citations,
            claims,
            abstained: refused.is_some(),
            reason: refused,
            complete: self.complete,
            passages,
            usage: self.usage,
            spending: self.account.statement(),
            prompt: self.model.as_ref().map(|_| self.details.prompt.take().unwrap_or_else(prompt::version)),
            model: self.model.clone(),
            warnings: std::mem::take(&mut self.warnings),
            degraded: std::mem::take(&mut self.degraded),
            timings: std::mem::take(&mut self.timings),
            details: std::mem::take(&mut self.details),
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
        stop: Vec::new(),
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

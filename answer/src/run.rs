//! One answer in the making: search, strength, reading, quotes or generation, and the events on the way.

mod ending;
mod written;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::SinkExt;
use futures::channel::mpsc;
use tracing::Instrument;
use wellspring_models::{Account, ChatModel, ModelError, Purpose, Usage};
use wellspring_retrieve::{CollectionScope, Degraded, Passage, SearchRequest, SearchResponse, Timings};

use crate::confidence::Confidence;
use crate::config::{DEFAULT_SUPPORT_MODEL, MAX_PASSAGES, WORDS, within};
use crate::conflict::{Conflict, Side};
use crate::conversation::understand;
use crate::error::Result;
use crate::extractive::{Placed, Quoted};
use crate::ground::Claim;
use crate::ground::budget::Budget;
use crate::ground::support::{SupportChecker, blocking};
use crate::pipeline::Answerer;
use crate::reading::{self, Reading};
use crate::reply::{
    Answer, AnswerEvent, AnswerRequest, Details, EXTRACTIVE, NumberedPassage, ShortAnswer, Warning,
};
use crate::spans;
use crate::strength::Strength;
use crate::structured::{NEEDS_MODEL, UNFIT, UserForm};

pub(crate) use written::{asked, says_no_answer};

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
    /// Time for all checks of this answer.
    pub(crate) budget: Arc<Budget>,
    /// Sentences sent or ready to be sent.
    pub(crate) claims: Vec<Claim>,
    /// Sentences that were left out.
    dropped: Vec<Claim>,
    short: Option<ShortAnswer>,
    confidence: Option<Confidence>,
    conflicts: Vec<Conflict>,
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

/// What checks sentences, and why words alone do where that was not wanted.
pub(crate) struct Checking {
    pub(crate) checker: SupportChecker,
    pub(crate) failure: Option<ModelError>,
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
        let budget = Arc::new(Budget::new(answerer.config.support_deadline_ms));
        let account = Account::of_tenant(scope.tenant().as_str());
        Self {
            answerer,
            scope,
            streamed,
            events,
            budget,
            claims: Vec::new(),
            dropped: Vec::new(),
            short: None,
            confidence: None,
            conflicts: Vec::new(),
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
        let usable = Arc::new(self.usable(&passages).await);
        if usable.is_empty() {
            let reason = "every passage found looks as if it were written to mislead a model".to_owned();
            return self.refuse(start, passages, reason).await;
        }
        let stage = Instant::now();
        let checking = self.checking().await;
        let span = spans::read(usable.len());
        let reading =
            self.read(&request.question, &usable, &checking.checker, strength).instrument(span).await?;
        self.timings.add("read", stage);
        if let Some(reason) = self.doubts() {
            return self.refuse(start, passages, reason).await;
        }
        self.tell_conflicts().await;
        let stage = Instant::now();
        let span = spans::generate(model.as_ref().map(|model| model.name()));
        let written = match (model, &form) {
            (Some(model), Some(form)) => {
                let filled = self.fill_in(model, &request.question, &usable, checking, form);
                filled.instrument(span).await?
            }
            (None, Some(_)) => return self.refuse(start, passages, NEEDS_MODEL.to_owned()).await,
            (Some(model), None) => {
                let written = self.write(model, &request.question, &usable, checking, reading);
                written.instrument(span).await?
            }
            (None, None) => self.quote(reading, &usable).instrument(span).await?,
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
    pub(crate) async fn usable(&mut self, passages: &[Passage]) -> Vec<Placed> {
        let exclude = self.answerer.config.injection.exclude;
        for n in self.doubtful.clone() {
            let done =
                if exclude { "it was not answered from" } else { "read what is cited from it with care" };
            let message = format!("[{n}] looks as if it were written to steer a model: {done}");
            self.warn(Warning { code: "suspicious_passage", message }).await;
        }
        let kept = |place: &usize| !exclude || !self.doubtful.contains(&(place + 1));
        passages.iter().cloned().enumerate().filter(|(place, _)| kept(place)).collect()
    }

    /// What checks sentences: the configured model where it is there, else words alone.
    pub(crate) async fn checking(&self) -> Checking {
        let config = &self.answerer.config;
        match config.support_model.as_deref().unwrap_or(DEFAULT_SUPPORT_MODEL) {
            WORDS => Checking { checker: SupportChecker::words(), failure: None },
            name => match self.answerer.registry.embedder(name).await {
                Ok(model) => Checking { checker: SupportChecker::new(Some(model)), failure: None },
                Err(error) => Checking { checker: SupportChecker::words(), failure: Some(error) },
            },
        }
    }

    /// Reads the passages, and judges whether they answer the question.
    async fn read(
        &mut self,
        question: &str,
        usable: &Arc<Vec<Placed>>,
        checker: &SupportChecker,
        strength: Strength,
    ) -> Result<Reading> {
        let reading = reading::read(question, usable, checker, &self.budget, strength).await?;
        let (weights, least) = (&self.answerer.weights, self.answerer.config.refusal.min_confidence);
        let by_model = reading.by_model && checker.model().is_some_and(|name| weights.fits(name));
        self.confidence = Some(weights.judge(reading.signals, by_model, least));
        if let Some(pair) = &reading.conflict {
            let sides = pair.places.iter().zip(&pair.values);
            let side = |(place, value): (&usize, &String)| {
                Some(Side::of(reading.candidates.list.get(*place)?, value, usable))
            };
            self.conflicts.push(Conflict { sides: sides.filter_map(side).collect() });
        }
        Ok(reading)
    }

    /// Why the question is refused after reading, or `None` if it is not.
    fn doubts(&self) -> Option<String> {
        let Confidence { score, threshold, .. } = self.confidence.as_ref()?;
        (score < threshold).then(|| {
            format!(
                "the passages found are about it, but none seems to answer it: confidence {score:.2} (at least {threshold:.2} needed)"
            )
        })
    }

    async fn tell_conflicts(&mut self) {
        for conflict in self.conflicts.clone() {
            let sides: Vec<String> =
                conflict.sides.iter().map(|side| format!("[{}] says {}", side.n, side.value)).collect();
            let message = format!("the documents contradict each other: {}", sides.join(", "));
            self.warn(Warning { code: "conflicting_passages", message }).await;
        }
    }

    /// An answer of quoted sentences.
    async fn quote(&mut self, reading: Reading, passages: &Arc<Vec<Placed>>) -> Result<Written> {
        let (most, among) = (self.answerer.config.sentences, Arc::clone(passages));
        let both = reading.conflict.map(|pair| pair.places);
        let Quoted { claims, short } = blocking(move || reading.candidates.quote(&among, most, both)).await?;
        self.short = short;
        for claim in claims {
            self.take(claim).await;
        }
        Ok(Written::Text)
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
}

//! Scores how well sentences of the documents support a claim, and names what in the claim they do not hold.
//!
//! The score is a logistic function of three things measured against at most ten of the sentences: how well the
//! claim's content words are matched (see `align`; by weighted coverage where no model gives token vectors), and how
//! many of its numbers and dates, and of its names, stand in none of them. Numbers, dates, names and denied words are
//! also compared exactly: each one missing is a [`Finding`], and a claim with a finding is not supported, whatever its
//! score. Weights and figures: `docs/measurements.md`, from `make measure-answers`.

mod compare;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use wellspring_models::text::word_places;
use wellspring_models::{Embedder, ErrorKind, ModelError, Result, TextKind, TokenVectors};

use super::align;
use super::facts::Facts;
use super::negation::denied;
use crate::terms::{Rarity, stem, terms};

use compare::{Compared, fit};

/// What in a claim its evidence does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "missing", content = "value")]
pub enum Finding {
    /// Numbers that stand in no sentence compared, as the claim has them by value.
    Number(String),
    /// Dates, as year, month, day where given.
    Date(String),
    /// Names, stemmed.
    Name(String),
    /// A word that the claim denies and the best sentence affirms, or the other way round.
    Negation(String),
}

/// How well some sentences support a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// 0–1: the share of claims with such features that people called fully supported by a page of text.
    pub score: f64,
    /// Mean similarity of the claim's content words with their best match; `None` without token vectors.
    pub alignment: Option<f64>,
    /// The share of the claim's content words, weighted by rarity, that the sentences hold.
    pub coverage: f64,
    /// What the sentences do not hold.
    pub findings: Vec<Finding>,
    /// The sentences compared, by their place, those that fit best first.
    pub evidence: Vec<usize>,
}

/// One sentence that claims may be checked against.
#[derive(Debug)]
struct Sentence {
    text: String,
    terms: HashSet<String>,
    facts: Facts,
    denied: BTreeSet<String>,
    vector: Option<Vec<f32>>,
    /// Made when the sentence is first compared.
    tokens: Mutex<Option<Arc<TokenVectors>>>,
}

/// Sentences prepared for checking many claims. Clones share everything.
#[derive(Debug, Clone)]
pub struct Evidence(Arc<Prepared>);

#[derive(Debug)]
struct Prepared {
    sentences: Vec<Sentence>,
    rarity: Rarity,
    /// Stems of all words that stand in lower case in any sentence.
    common: HashSet<String>,
}

/// Checks claims, with the token vectors of a local model where there is one.
#[derive(Clone)]
pub struct SupportChecker {
    model: Option<Arc<dyn Embedder>>,
}

impl SupportChecker {
    /// Without a model, or with one that has no token vectors, words alone are compared.
    pub fn new(model: Option<Arc<dyn Embedder>>) -> Self {
        Self { model: model.filter(|model| model.tokens().is_some()) }
    }

    /// Compares words alone.
    pub fn words() -> Self {
        Self { model: None }
    }

    /// The model's name; `None` where words alone are compared.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_ref().map(|model| model.info().name.as_str())
    }

    /// The vectors of a text's tokens; `None` without a model.
    pub(crate) async fn token_vectors(&self, text: &str) -> Result<Option<TokenVectors>> {
        match self.model.as_ref().and_then(|model| model.tokens()) {
            Some(model) => Ok(model.embed_tokens(&[text]).await?.pop()),
            None => Ok(None),
        }
    }

    /// The cosine (−1 to 1) of a question with each of the texts, in their order; `None` without a model.
    pub(crate) async fn cosines(&self, question: &str, texts: &[&str]) -> Result<Option<Vec<f64>>> {
        let Some(model) = &self.model else { return Ok(None) };
        let Some(question) = model.embed(TextKind::Query, &[question]).await?.pop() else { return Ok(None) };
        let embedded = model.embed(TextKind::Passage, texts).await?;
        let cosine =
            |other: &[f32]| question.vector.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        Ok(Some(embedded.iter().map(|text| cosine(&text.vector)).collect()))
    }

    /// Prepares sentences; their places are those of the slice. Embeds each once.
    pub async fn prepare(&self, sentences: &[&str]) -> Result<Evidence> {
        let owned: Vec<String> = sentences.iter().map(|text| (*text).to_owned()).collect();
        let mut prepared = blocking(move || Prepared::new(owned)).await?;
        if let Some(model) = &self.model {
            let embedded = model.embed(TextKind::Passage, sentences).await?;
            for (sentence, embedding) in prepared.sentences.iter_mut().zip(embedded) {
                sentence.vector = Some(embedding.vector);
            }
        }
        Ok(Evidence(Arc::new(prepared)))
    }

    /// The places of the sentences among `among` (all, if `None`) by how well they fit the claim, best first: coverage
    /// plus cosine, the earlier of equals.
    pub async fn rank(
        &self,
        claim: &str,
        evidence: &Evidence,
        among: Option<&[usize]>,
    ) -> Result<Vec<(usize, f64)>> {
        let vector = match &self.model {
            Some(model) => {
                model.embed(TextKind::Passage, &[claim]).await?.pop().map(|embedding| embedding.vector)
            }
            None => None,
        };
        let (prepared, claim, among) =
            (Arc::clone(&evidence.0), claim.to_owned(), among.map(<[usize]>::to_vec));
        blocking(move || fit(&claim, vector.as_deref(), &prepared, among.as_deref())).await
    }

    /// How well the sentences among `among` (all, if `None`) support the claim. Without sentences, or for a claim without
    /// content words, the score is that of a claim none of whose words is matched.
    pub async fn check(&self, claim: &str, evidence: &Evidence, among: Option<&[usize]>) -> Result<Support> {
        let ranked = self.rank(claim, evidence, among).await?;
        let (prepared, text) = (Arc::clone(&evidence.0), claim.to_owned());
        let compared = blocking(move || Compared::new(&text, &prepared, &ranked)).await?;
        let tokens = self.tokens(claim, &compared, &evidence.0).await?;
        let (prepared, text) = (Arc::clone(&evidence.0), claim.to_owned());
        blocking(move || {
            let spans: Vec<Range<usize>> = compared.words.iter().map(|(span, _)| span.clone()).collect();
            let similarities = tokens.map(|(claim, chosen)| align::words(&claim, &spans, &chosen));
            compared.support(&text, &prepared, similarities)
        })
        .await
    }

    /// The claim's token vectors and those of the sentences it is compared with; each sentence's are made once.
    async fn tokens(
        &self,
        claim: &str,
        compared: &Compared,
        evidence: &Prepared,
    ) -> Result<Option<(TokenVectors, Vec<Arc<TokenVectors>>)>> {
        let Some(model) = self.model.as_ref().and_then(|model| model.tokens()) else { return Ok(None) };
        let kept = |place: &usize| {
            let tokens = &evidence.sentences[*place].tokens;
            tokens.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let new: Vec<usize> = compared.chosen.iter().copied().filter(|place| kept(place).is_none()).collect();
        let mut texts = vec![claim];
        texts.extend(new.iter().map(|&place| evidence.sentences[place].text.as_str()));
        let mut made = model.embed_tokens(&texts).await?.into_iter();
        let Some(claim) = made.next() else { return Ok(None) };
        for (place, tokens) in new.into_iter().zip(made) {
            let slot = &evidence.sentences[place].tokens;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tokens));
        }
        Ok(Some((claim, compared.chosen.iter().filter_map(kept).collect())))
    }
}

/// Runs work of more than half a millisecond where it holds up no request.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        ModelError::new(ErrorKind::Internal, "comparing a text with its evidence failed").with_source(error)
    })
}

impl Prepared {
    fn new(texts: Vec<String>) -> Self {
        let rarity = Rarity::among(texts.iter().map(String::as_str));
        let common = texts.iter().flat_map(|text| lower_case(text)).collect();
        let sentences = texts.into_iter().map(|text| Sentence {
            terms: terms(&text),
            facts: Facts::of(&text),
            denied: denied(&text),
            vector: None,
            tokens: Mutex::default(),
            text,
        });
        Self { sentences: sentences.collect(), rarity, common }
    }
}

/// Stems of the words that stand in lower case.
fn lower_case(text: &str) -> impl Iterator<Item = String> {
    word_places(text).filter(|(_, word)| word.starts_with(char::is_lowercase)).map(|(_, word)| stem(word))
}

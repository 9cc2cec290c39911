//! Scores how well sentences of the documents support a claim, and names what in the claim they do not hold.
//!
//! The score is a logistic function of three things measured against at most [`MOST`] of the sentences: how well the
//! claim's content words are matched (see `align`; by weighted coverage where no model gives token vectors), and how
//! many of its numbers and dates, and of its names, stand in none of them. Numbers, dates, names and denied words are
//! also compared exactly: each one missing is a [`Finding`], and a claim with a finding is not supported, whatever its
//! score. Weights and figures: `docs/measurements.md`, from `make measure-answers`.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use wellspring_models::text::word_places;
use wellspring_models::{Embedder, ErrorKind, ModelError, Result, TextKind, TokenVectors};

use super::align;
use super::facts::{Facts, holds_date, holds_number};
use super::negation::denied;
use crate::terms::{Rarity, is_function_word, stem, terms};

/// Sentences a claim is compared with: the [`BEST`] that fit it best, and as many again that add words to those.
const MOST: usize = 10;
const BEST: usize = 5;
/// What a sentence's cosine counts beside the words it adds.
const COSINE_SHARE: f64 = 0.05;
/// A name whose own spelling is nowhere counts as held when a word of the evidence is at least this similar
/// (`American` for `U.S.`).
const SAME_NAME: f64 = 0.6;

/// A logistic model: score = 1 / (1 + exp(−(intercept + Σ weight · feature))).
struct Weights {
    intercept: f64,
    /// Of the match, 0–1.
    matched: f64,
    /// Of the square root of the number of missing numbers and dates.
    numbers: f64,
    /// Of the square root of the number of missing names.
    names: f64,
}

/// With token vectors of all-MiniLM-L6-v2: the match is the mean similarity of content words.
const ALIGNED: Weights = Weights { intercept: -6.925, matched: 9.451, numbers: -2.174, names: -1.392 };
/// With words alone: the match is the weighted coverage.
const COVERED: Weights = Weights { intercept: -1.853, matched: 3.056, numbers: -1.848, names: -1.269 };

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

/// The places by coverage plus cosine, best first, the earlier of equals.
fn fit(
    claim: &str,
    vector: Option<&[f32]>,
    evidence: &Prepared,
    among: Option<&[usize]>,
) -> Vec<(usize, f64)> {
    let wanted = terms(claim);
    let score = |place: usize| {
        let sentence = &evidence.sentences[place];
        let cosine = match (vector, &sentence.vector) {
            (Some(a), Some(b)) => f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()),
            _ => 0.0,
        };
        (place, evidence.rarity.coverage(&wanted, &sentence.terms) + cosine)
    };
    let mut ranked: Vec<(usize, f64)> = match among {
        Some(among) => among
            .iter()
            .filter(|place| **place < evidence.sentences.len())
            .map(|&place| score(place))
            .collect(),
        None => (0..evidence.sentences.len()).map(score).collect(),
    };
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

/// A claim and the sentences it is compared with.
struct Compared {
    chosen: Vec<usize>,
    /// Stems of all words of the chosen sentences.
    held: HashSet<String>,
    coverage: f64,
    /// The claim's content words: where they stand, and their stems.
    words: Vec<(Range<usize>, String)>,
}

impl Compared {
    fn new(claim: &str, evidence: &Prepared, ranked: &[(usize, f64)]) -> Self {
        let wanted = terms(claim);
        let chosen = choose(ranked, &wanted, evidence);
        let held: HashSet<String> =
            chosen.iter().flat_map(|&place| &evidence.sentences[place].terms).cloned().collect();
        let words = word_places(claim)
            .map(|(start, word)| (start..start + word.len(), word.to_lowercase()))
            .filter(|(_, word)| !is_function_word(word))
            .map(|(span, word)| (span, stem(&word)));
        Self { coverage: evidence.rarity.coverage(&wanted, &held), words: words.collect(), chosen, held }
    }

    fn support(self, claim: &str, evidence: &Prepared, similarities: Option<Vec<f64>>) -> Support {
        let similar = |name: &str| {
            let Some(similarities) = &similarities else { return false };
            let mut words = self.words.iter().zip(similarities);
            words.any(|((_, word), similarity)| word == name && *similarity >= SAME_NAME)
        };
        let findings = findings(claim, evidence, &self.chosen, &self.held, similar);
        let count =
            |is: fn(&Finding) -> bool| (findings.iter().filter(|finding| is(finding)).count() as f64).sqrt();
        let alignment = similarities.as_deref().map(mean);
        let (weights, matched) = match alignment {
            Some(alignment) => (&ALIGNED, alignment),
            None => (&COVERED, self.coverage),
        };
        let sum = weights.intercept
            + weights.matched * matched
            + weights.numbers * count(|finding| matches!(finding, Finding::Number(_) | Finding::Date(_)))
            + weights.names * count(|finding| matches!(finding, Finding::Name(_)));
        let score = 1.0 / (1.0 + (-sum).exp());
        Support { score, alignment, coverage: self.coverage, findings, evidence: self.chosen }
    }
}

/// The [`BEST`] sentences by fit, then those that each add most of the claim's weight to what is covered.
fn choose(ranked: &[(usize, f64)], wanted: &HashSet<String>, evidence: &Prepared) -> Vec<usize> {
    let mut chosen: Vec<usize> = ranked.iter().take(BEST).map(|(place, _)| *place).collect();
    let mut covered: HashSet<String> = HashSet::new();
    for _ in 0..MOST - BEST {
        let gain = |place: usize, fit: f64| {
            let terms = &evidence.sentences[place].terms;
            let new: HashSet<String> =
                terms.iter().filter(|term| !covered.contains(*term)).cloned().collect();
            let alone = evidence.rarity.coverage(wanted, terms);
            evidence.rarity.coverage(wanted, &new) + COSINE_SHARE * (fit - alone)
        };
        let best = ranked
            .iter()
            .map(|&(place, fit)| (gain(place, fit), place))
            .filter(|(_, place)| !chosen[BEST.min(chosen.len())..].contains(place))
            .reduce(|best, other| if other.0 > best.0 { other } else { best });
        let Some((_, place)) = best else { break };
        covered.extend(evidence.sentences[place].terms.intersection(wanted).cloned());
        chosen.push(place);
    }
    let mut seen = HashSet::new();
    chosen.retain(|place| seen.insert(*place));
    chosen
}

fn findings(
    claim: &str,
    evidence: &Prepared,
    chosen: &[usize],
    held: &HashSet<String>,
    similar: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let own = Facts::of(claim);
    let facts: Vec<Facts> = chosen.iter().map(|&place| evidence.sentences[place].facts.clone()).collect();
    let mut found = Vec::new();
    let numbers = own.numbers.iter().filter(|number| !holds_number(&facts, number));
    found.extend(numbers.map(|number| Finding::Number(number.to_string())));
    let dates = own.dates.iter().filter(|date| !holds_date(&facts, date));
    found.extend(dates.map(|date| Finding::Date(date.to_string())));
    // What the documents write in lower case is no name, wherever in a sentence the claim puts it.
    let openings = own.openings.iter().filter(|name| !evidence.common.contains(*name));
    let named: BTreeSet<&String> = own.names.iter().chain(openings).collect();
    let names = named.into_iter().filter(|name| !held.contains(*name) && !similar(name));
    found.extend(names.map(|name| Finding::Name(name.clone())));
    if let Some(&best) = chosen.first() {
        let (claim, best) = ((terms(claim), denied(claim)), &evidence.sentences[best]);
        let both = claim.0.iter().filter(|term| best.terms.contains(*term));
        let flipped: BTreeSet<&String> =
            both.filter(|term| claim.1.contains(*term) != best.denied.contains(*term)).collect();
        found.extend(flipped.into_iter().map(|term| Finding::Negation(term.clone())));
        let affirmed = |place: &usize| evidence.sentences[*place].denied.is_empty();
        if found.iter().all(|finding| !matches!(finding, Finding::Negation(_)))
            && chosen.iter().take(BEST).all(affirmed)
        {
            // A paraphrase of what is denied still denies something.
            found.extend(claim.1.into_iter().next().map(Finding::Negation));
        }
    }
    found
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

//! Checks a generated sentence against the passages it cites, and finds the sentence of each that supports it best.

pub(crate) mod align;
pub(crate) mod budget;
pub(crate) mod facts;
pub(crate) mod negation;
pub(crate) mod support;

use std::collections::HashMap;
use std::ops::Range;

use tracing::Instrument;
use wellspring_models::ModelError;
use wellspring_models::text::sentences;
use wellspring_retrieve::Passage;

use self::budget::Budget;
use self::support::{Evidence, Finding, Support, SupportChecker};
use crate::cite;
use crate::config::Unsupported;
use crate::markdown;
use crate::reply::{CheckedClaim, Citation, Decision, Warning};
use crate::safe;
use crate::spans;
use crate::terms::terms;

/// A citation that covers less than this part of what all citations cover is taken off its sentence.
const LEAST_SHARE: f64 = 0.4;
/// Passages tried, best first, for a sentence that its own citations do not support.
const TRIED: usize = 3;

/// A sentence of the answer, ready to be shown.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// White space that parts it from the sentence before.
    pub(crate) before: String,
    /// The sentence without markers.
    pub(crate) text: String,
    /// What it hangs on; empty only for a marked, unsupported sentence.
    pub(crate) citations: Vec<Citation>,
    /// How well its passages support it, 0–1.
    pub(crate) support: f64,
    /// What they do not hold.
    pub(crate) findings: Vec<Finding>,
    /// How well a judge found it supported, 0–1, where one was asked.
    pub(crate) judged: Option<f64>,
    /// Of a quoted sentence its place by how well it fits the question, from 1.
    pub(crate) rank: Option<usize>,
}

impl Claim {
    /// The sentence with its markers.
    pub(crate) fn shown(&self) -> String {
        let mut numbers: Vec<usize> = Vec::new();
        for citation in &self.citations {
            if !numbers.contains(&citation.n) {
                numbers.push(citation.n);
            }
        }
        let markers: String = match numbers.is_empty() {
            true => "[unsupported]".to_owned(),
            false => numbers.iter().map(|n| format!("[{n}]")).collect(),
        };
        format!("{}{} {markers}", self.before, self.text)
    }

    /// How it was checked, for the reader.
    pub(crate) fn record(&self, decision: Decision) -> CheckedClaim {
        let mut citations: Vec<usize> = self.citations.iter().map(|citation| citation.n).collect();
        citations.dedup();
        CheckedClaim {
            text: self.text.clone(),
            decision,
            support: rounded(self.support),
            findings: self.findings.clone(),
            judged: self.judged,
            citations,
            rank: self.rank,
        }
    }
}

/// The passages an answer may rest on, prepared for checking many sentences.
pub(crate) struct Grounds<'a> {
    /// Each with its place among all passages: its number is one more.
    passages: Vec<(usize, &'a Passage)>,
    evidence: Evidence,
    /// Of each sentence of the evidence: its passage, and its bytes in what is read of it (`None` for title and headings).
    places: Vec<(usize, Option<Range<usize>>)>,
    checker: SupportChecker,
    budget: &'a Budget,
    least: f64,
    unsupported: Unsupported,
}

/// What became of a sentence.
pub(crate) struct Checked {
    /// The sentence; `None` for one that says nothing.
    pub(crate) claim: Option<Claim>,
    pub(crate) decision: Decision,
    /// What the reader should know.
    pub(crate) warnings: Vec<Warning>,
}

impl<'a> Grounds<'a> {
    /// Prepares the passages. If the local model fails or `budget` is spent, words alone are compared, and the failure is
    /// returned, too. `Internal` if even that fails.
    pub(crate) async fn new(
        checker: SupportChecker,
        budget: &'a Budget,
        passages: &[(usize, &'a Passage)],
        least: f64,
        unsupported: Unsupported,
    ) -> Result<(Self, Option<ModelError>), ModelError> {
        let mut places = Vec::new();
        let mut shown = Vec::new();
        for (index, (_, passage)) in passages.iter().enumerate() {
            let text = passage.reading().0;
            for range in sentences(text) {
                shown.push(markdown::plain(text, &range));
                places.push((index, Some(range)));
            }
            for above in passage.title.iter().chain(&passage.headings) {
                shown.push(above.clone());
                places.push((index, None));
            }
        }
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let (checker, evidence, failure) = match budget.spend(checker.prepare(&shown)).await {
            Ok(evidence) => (checker, evidence, None),
            Err(error) => {
                let words = SupportChecker::words();
                let evidence = words.prepare(&shown).await?;
                (words, evidence, Some(error))
            }
        };
        let passages = passages.to_vec();
        Ok((Self { passages, evidence, places, checker, budget, least, unsupported }, failure))
    }

    /// The sentence with its checked citations, what is to be done with it, and what the reader should know. A sentence
    /// without a supporting citation gets the passage that supports it best, if one does.
    pub(crate) async fn check(&self, sentence: &str) -> Result<Checked, ModelError> {
        let span = spans::verify();
        let checked = self.checked(sentence).instrument(span.clone()).await?;
        if let Some(claim) = &checked.claim {
            span.record("answer.support", claim.support);
        }
        span.record("answer.decision", tracing::field::debug(checked.decision));
        Ok(checked)
    }

    async fn checked(&self, sentence: &str) -> Result<Checked, ModelError> {
        let cited = cite::split(sentence);
        let text = &safe::render(cited.text.trim());
        let before = cited.text[..cited.text.len() - cited.text.trim_start().len()].to_owned();
        let mut warnings = Vec::new();
        let (known, unknown): (Vec<usize>, Vec<usize>) =
            cited.numbers.iter().partition(|&&n| self.index(n).is_some());
        for n in unknown {
            warnings.push(Warning {
                code: "unknown_citation",
                message: format!("the model cited [{n}], which it was not shown"),
            });
        }
        if terms(text).is_empty() {
            // Nothing that could be true or false: a greeting, a rule, an empty bullet.
            return Ok(Checked { claim: None, decision: Decision::Dropped, warnings });
        }
        let (mut support, mut citations) = self.cited(text, &known).await?;
        if citations.is_empty()
            && let Some((n, better)) = self.find(text).await?
        {
            if !known.is_empty() && !known.contains(&n) {
                let message = format!("a sentence cited {known:?}, which do not support it; [{n}] does");
                warnings.push(Warning { code: "citation_corrected", message });
            }
            citations = self.cite(text, n, &better).await?.into_iter().collect();
            support = better;
        }
        let decision = match (citations.is_empty(), self.unsupported) {
            (false, _) => Decision::Kept,
            (true, Unsupported::Mark) => Decision::Marked,
            (true, Unsupported::Drop) => Decision::Dropped,
        };
        if decision != Decision::Kept {
            let why = reasons(&support.findings);
            let message = match self.unsupported {
                Unsupported::Drop => {
                    format!("a sentence was left out because no passage supports it{why}: {text}")
                }
                Unsupported::Mark => format!("no passage supports this sentence{why}: {text}"),
            };
            warnings.push(Warning { code: "unsupported_claim", message });
        }
        let Support { score, findings, .. } = support;
        let text = text.to_owned();
        let claim = Claim { before, text, citations, support: score, findings, judged: None, rank: None };
        Ok(Checked { claim: Some(claim), decision, warnings })
    }

    /// The number of the passage that a sentence of the evidence is from.
    fn number(&self, place: usize) -> usize {
        self.passages[self.places[place].0].0 + 1
    }

    /// Which of the passages goes by number `n`.
    fn index(&self, n: usize) -> Option<usize> {
        self.passages.iter().position(|(place, _)| place + 1 == n)
    }

    fn supported(&self, support: &Support) -> bool {
        support.score >= self.least && support.findings.is_empty()
    }

    /// How well the passages that a sentence cites support it together, and the citations that stay.
    async fn cited(&self, text: &str, known: &[usize]) -> Result<(Support, Vec<Citation>), ModelError> {
        let support = self.score(text, known).await?;
        let mut citations = Vec::new();
        if known.is_empty() || !self.supported(&support) {
            return Ok((support, citations));
        }
        for &n in known {
            let alone = if known.len() == 1 { support.clone() } else { self.score(text, &[n]).await? };
            if alone.coverage >= support.coverage * LEAST_SHARE {
                citations.extend(self.cite(text, n, &alone).await?);
            }
        }
        Ok((support, citations))
    }

    /// The passage that supports a sentence best, if one does.
    async fn find(&self, text: &str) -> Result<Option<(usize, Support)>, ModelError> {
        let mut likely: Vec<usize> = Vec::new();
        for place in self.rank(text, None).await? {
            let n = self.number(place);
            if !likely.contains(&n) {
                likely.push(n);
            }
            if likely.len() == TRIED {
                break;
            }
        }
        let mut best: Option<(usize, Support)> = None;
        for n in likely {
            let support = self.score(text, &[n]).await?;
            if self.supported(&support) && best.as_ref().is_none_or(|(_, most)| support.score > most.score) {
                best = Some((n, support));
            }
        }
        Ok(best)
    }

    /// Support by some passages together.
    async fn score(&self, text: &str, numbers: &[usize]) -> Result<Support, ModelError> {
        let among: Vec<usize> =
            (0..self.places.len()).filter(|&place| numbers.contains(&self.number(place))).collect();
        match self.budget.spend(self.checker.check(text, &self.evidence, Some(&among))).await {
            Ok(support) => Ok(support),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a claim was checked by its words alone"
                );
                SupportChecker::words().check(text, &self.evidence, Some(&among)).await
            }
        }
    }

    async fn rank(&self, text: &str, among: Option<&[usize]>) -> Result<Vec<usize>, ModelError> {
        let ranked = match self.budget.spend(self.checker.rank(text, &self.evidence, among)).await {
            Ok(ranked) => ranked,
            Err(_) => SupportChecker::words().rank(text, &self.evidence, among).await?,
        };
        Ok(ranked.into_iter().map(|(place, _)| place).collect())
    }

    /// A citation of the sentence of passage `n` that fits best; `None` only for a passage without sentences.
    async fn cite(&self, text: &str, n: usize, support: &Support) -> Result<Option<Citation>, ModelError> {
        let Some(index) = self.index(n) else { return Ok(None) };
        let passage = self.passages[index].1;
        let among: Vec<usize> = (0..self.places.len())
            .filter(|&place| self.places[place].0 == index && self.places[place].1.is_some())
            .collect();
        let best = self.rank(text, Some(&among)).await?.first().copied();
        let span = best.and_then(|best| self.places[best].1.clone());
        Ok(span.map(|span| citation(n, passage, span, support.score, text)))
    }
}

/// What was missing, in words; empty if nothing in particular was.
fn reasons(findings: &[Finding]) -> String {
    let mut kinds: HashMap<&str, Vec<&str>> = HashMap::new();
    for finding in findings {
        let (kind, value) = match finding {
            Finding::Number(value) => ("number", value),
            Finding::Date(value) => ("date", value),
            Finding::Name(value) => ("name", value),
            Finding::Negation(value) => ("denial", value),
        };
        kinds.entry(kind).or_default().push(value);
    }
    let parts = ["number", "date", "name", "denial"].iter().filter_map(|kind| {
        let values = kinds.get(kind)?;
        Some(format!("{kind} {}", values.join(", ")))
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { String::new() } else { format!(" (not found there: {})", parts.join("; ")) }
}

/// Three digits are more than such a score means.
fn rounded(score: f64) -> f64 {
    (score * 1000.0).round() / 1000.0
}

/// A citation of bytes `span` of what is read of the passage.
pub(crate) fn citation(
    n: usize,
    passage: &Passage,
    span: Range<usize>,
    support: f64,
    claim: &str,
) -> Citation {
    let (text, offset) = passage.reading();
    Citation {
        n,
        document_id: passage.document_id.clone(),
        chunk_id: passage.chunk_id.clone(),
        version: passage.version,
        start: offset + span.start,
        end: offset + span.end,
        page: passage.page,
        quote: text[span].to_owned(),
        title: passage.title.clone(),
        source: passage.source.clone(),
        support: rounded(support),
        claim: claim.to_owned(),
    }
}

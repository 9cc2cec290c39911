//! The support checker on WiCE (Kamoi et al. 2023): does its score tell supported claims from others, are its evidence
//! sentences the ones that people marked, and what becomes of supported claims that were falsified?

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use wellspring_answer::{AnswerConfig, Finding, Support, SupportChecker};
use wellspring_models::{Embedder, ModelsConfig, Registry, TextKind};

use crate::stats::{Random, auc, interval};
use crate::{Outcome, lines, logistic};

const FOLDS: usize = 5;
/// Cross-validations with different folds that are averaged.
const REPEATS: u64 = 5;

struct Claim {
    text: String,
    supported: bool,
    /// Sets of sentences, each enough to judge the claim.
    gold: Vec<Vec<usize>>,
    evidence: Vec<String>,
}

pub(crate) async fn measure(datasets: &Path) -> Outcome {
    let claims: Vec<Claim> = lines(&datasets.join("wice/dev.jsonl"))?.iter().map(read).collect();
    let labels: Vec<bool> = claims.iter().map(|claim| claim.supported).collect();
    let positive = labels.iter().filter(|label| **label).count();
    println!("WiCE dev: {} claims, {positive} supported", claims.len());
    let model = Registry::new(ModelsConfig::default())?.embedder("default").await?;
    let with = SupportChecker::new(Some(Arc::clone(&model)));
    let without = SupportChecker::words();
    let (mut aligned, mut worded, mut cosines, mut sums) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut evidence = Evidence::default();
    let mut changed = Changed::default();
    for claim in &claims {
        let sentences: Vec<&str> = claim.evidence.iter().map(String::as_str).collect();
        let cosine = best_cosine(model.as_ref(), &claim.text, &sentences).await?;
        cosines.push(cosine);
        sums.push(cosine + plain_shares(&claim.text, &sentences));
        let prepared = with.prepare(&sentences).await?;
        let support = with.check(&claim.text, &prepared, None).await?;
        let ranked = with.rank(&claim.text, &prepared, None).await?;
        evidence.add(claim, &ranked);
        if claim.supported && kept(&support) {
            changed.add(&with, &claim.text, &prepared).await?;
        }
        aligned.push(support);
        let words = without.prepare(&sentences).await?;
        worded.push(without.check(&claim.text, &words, None).await?);
    }
    println!("area under the ROC of supported against the rest, with its 95 % interval over claims:");
    area("plain cosine", &cosines, &labels);
    area("plain sum of coverage, names, numbers, cosine", &sums, &labels);
    for (name, supports) in [("words alone", &worded), ("with token vectors", &aligned)] {
        let committed: Vec<f64> = supports.iter().map(|support| support.score).collect();
        area(&format!("{name}, weights as committed"), &committed, &labels);
        cross_validated(name, supports, &labels);
        decisions(&claims, supports);
    }
    evidence.print();
    changed.print();
    Ok(())
}

fn read(line: &Value) -> Claim {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let set = |value: &Value| list(value).iter().filter_map(Value::as_u64).map(|n| n as usize).collect();
    Claim {
        text: text(&line["claim"]),
        supported: line["label"] == "supported",
        gold: list(&line["supporting_sentences"]).iter().map(set).collect(),
        evidence: list(&line["evidence"]).iter().map(text).collect(),
    }
}

async fn best_cosine(model: &dyn Embedder, claim: &str, sentences: &[&str]) -> Outcome<f64> {
    let claim = model.embed(TextKind::Passage, &[claim]).await?.remove(0).vector;
    let sentences = model.embed(TextKind::Passage, sentences).await?;
    let cosine = |other: &[f32]| claim.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    Ok(sentences.iter().map(|sentence| cosine(&sentence.vector)).reduce(f32::max).map_or(0.0, f64::from))
}

/// What one would write first: shares of words (by rarity on the page), capitalised words and numbers on the page.
fn plain_shares(claim: &str, sentences: &[&str]) -> f64 {
    let words = |text: &str| -> Vec<String> {
        let split = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        split.map(str::to_owned).collect()
    };
    let lower = |text: &str| -> Vec<String> { words(text).iter().map(|word| word.to_lowercase()).collect() };
    let page: Vec<Vec<String>> = sentences.iter().map(|sentence| lower(sentence)).collect();
    let held_by = |word: &String| page.iter().filter(|sentence| sentence.contains(word)).count() as f64;
    let weight =
        |word: &String| (1.0 + (page.len() as f64 - held_by(word) + 0.5) / (held_by(word) + 0.5)).ln();
    let share = |wanted: Vec<String>, weight: &dyn Fn(&String) -> f64| {
        let whole: f64 = wanted.iter().map(weight).sum();
        let held: f64 = wanted.iter().filter(|word| held_by(word) > 0.0).map(weight).sum();
        if whole == 0.0 { 1.0 } else { held / whole }
    };
    let own = words(claim);
    let names = own.iter().skip(1).filter(|word| word.starts_with(char::is_uppercase));
    let numbers = own.iter().filter(|word| word.contains(|c: char| c.is_ascii_digit()));
    share(lower(claim), &weight)
        + share(names.map(|word| word.to_lowercase()).collect(), &|_| 1.0)
        + share(numbers.map(|word| word.to_lowercase()).collect(), &|_| 1.0)
}

fn area(name: &str, scores: &[f64], labels: &[bool]) {
    let (low, high) = interval(scores, labels);
    println!("  {name}: {:.3} ({low:.3}–{high:.3})", auc(scores, labels));
}

/// Refits the weights on four fifths of the claims, scores the last fifth, and pools.
fn cross_validated(name: &str, supports: &[Support], labels: &[bool]) {
    let rows: Vec<Vec<f64>> = supports.iter().map(features).collect();
    let mut areas = Vec::new();
    let mut mean = vec![0.0; rows.len()];
    for seed in 0..REPEATS {
        let scores = logistic::held_out(&rows, labels, &Random(seed).folds(rows.len(), FOLDS));
        areas.push(auc(&scores, labels));
        mean.iter_mut().zip(&scores).for_each(|(mean, score)| *mean += score / REPEATS as f64);
    }
    area(&format!("{name}, {FOLDS}-fold, mean of {REPEATS} splits' scores"), &mean, labels);
    println!("    each split: {}", rounded(&areas));
    println!(
        "    weights on all claims (intercept, match, √numbers, √names): {}",
        rounded(&logistic::fit(&rows, labels))
    );
}

fn rounded(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" ")
}

fn features(support: &Support) -> Vec<f64> {
    let count = |is: fn(&Finding) -> bool| (support.findings.iter().filter(|f| is(f)).count() as f64).sqrt();
    vec![
        support.alignment.unwrap_or(support.coverage),
        count(|finding| matches!(finding, Finding::Number(_) | Finding::Date(_))),
        count(|finding| matches!(finding, Finding::Name(_))),
    ]
}

/// Whether an answer with default settings would keep the claim.
fn kept(support: &Support) -> bool {
    support.findings.is_empty() && support.score >= AnswerConfig::default().min_support
}

fn decisions(claims: &[Claim], supports: &[Support]) {
    let rate = |supported: bool| {
        let of: Vec<&Support> = claims
            .iter()
            .zip(supports)
            .filter(|(claim, _)| claim.supported == supported)
            .map(|(_, s)| s)
            .collect();
        of.iter().filter(|support| kept(support)).count() as f64 / of.len() as f64
    };
    println!("    kept by default: {:.3} of the supported, {:.3} of the others", rate(true), rate(false));
    let count = |is: fn(&Finding) -> bool| {
        let with: Vec<bool> = claims
            .iter()
            .zip(supports)
            .filter(|(_, support)| support.findings.iter().any(is))
            .map(|(claim, _)| claim.supported)
            .collect();
        format!("{} of {}", with.iter().filter(|supported| **supported).count(), with.len())
    };
    println!(
        "    supported all the same: with a missing number {}, date {}, name {}, with a denial {}",
        count(|f| matches!(f, Finding::Number(_))),
        count(|f| matches!(f, Finding::Date(_))),
        count(|f| matches!(f, Finding::Name(_))),
        count(|f| matches!(f, Finding::Negation(_))),
    );
}

/// Whether marked sentences are among the first five.
#[derive(Default)]
struct Evidence {
    claims: usize,
    first: usize,
    any: usize,
    recall: f64,
}

impl Evidence {
    fn add(&mut self, claim: &Claim, ranked: &[(usize, f64)]) {
        let sets: Vec<&Vec<usize>> = claim.gold.iter().filter(|set| !set.is_empty()).collect();
        if sets.is_empty() {
            return;
        }
        let top: Vec<usize> = ranked.iter().take(5).map(|(place, _)| *place).collect();
        let share = |set: &&Vec<usize>| {
            set.iter().filter(|place| top.contains(place)).count() as f64 / set.len() as f64
        };
        self.claims += 1;
        self.first +=
            usize::from(top.first().is_some_and(|first| sets.iter().any(|set| set.contains(first))));
        self.any += usize::from(sets.iter().any(|set| share(set) > 0.0));
        self.recall += sets.iter().map(share).fold(0.0, f64::max);
    }

    fn print(&self) {
        let share = |count: f64| count / self.claims as f64;
        println!(
            "evidence sentences of {} claims: first {:.3}, any@5 {:.3}, recall@5 of the best set {:.3}",
            self.claims,
            share(self.first as f64),
            share(self.any as f64),
            share(self.recall)
        );
    }
}

/// Supported claims that are kept, and what becomes of them when one thing in them is made wrong.
#[derive(Default)]
struct Changed {
    numbers: (usize, usize),
    negations: (usize, usize),
    names: (usize, usize),
}

impl Changed {
    async fn add(
        &mut self,
        checker: &SupportChecker,
        claim: &str,
        evidence: &wellspring_answer::Evidence,
    ) -> Outcome {
        let wrong = [
            (wrong_number(claim), &mut self.numbers),
            (denied(claim), &mut self.negations),
            (wrong_name(claim), &mut self.names),
        ];
        for (text, tally) in wrong {
            let Some(text) = text else { continue };
            tally.0 += 1;
            tally.1 += usize::from(kept(&checker.check(&text, evidence, None).await?));
        }
        Ok(())
    }

    fn print(&self) {
        let show = |(tried, kept): (usize, usize)| format!("{kept} of {tried}");
        println!(
            "supported claims, falsified and still kept: another number {}, denied {}, another name {}",
            show(self.numbers),
            show(self.negations),
            show(self.names)
        );
    }
}

/// The first number plus 7.
fn wrong_number(claim: &str) -> Option<String> {
    let start = claim.find(|c: char| c.is_ascii_digit())?;
    let end = claim[start..].find(|c: char| !c.is_ascii_digit()).map_or(claim.len(), |length| start + length);
    let number: u64 = claim[start..end].parse().ok()?;
    Some(format!("{}{}{}", &claim[..start], number + 7, &claim[end..]))
}

/// With `not` after the first auxiliary verb.
fn denied(claim: &str) -> Option<String> {
    let verb = [" was ", " is ", " were ", " are ", " has ", " had ", " will "];
    let (place, verb) = verb.iter().filter_map(|verb| Some((claim.find(verb)?, verb))).min()?;
    let end = place + verb.len();
    Some(format!("{}not {}", &claim[..end], &claim[end..]))
}

/// The last capitalised word inside the claim replaced by a name from nowhere.
fn wrong_name(claim: &str) -> Option<String> {
    let words: Vec<&str> = claim.split(' ').collect();
    let named = |word: &&str| word.chars().count() > 3 && word.starts_with(char::is_uppercase);
    let place = words.iter().rposition(named).filter(|place| *place > 0)?;
    let changed: Vec<&str> =
        words.iter().enumerate().map(|(at, word)| if at == place { "Varnholt" } else { word }).collect();
    Some(changed.join(" "))
}

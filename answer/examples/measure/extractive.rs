//! Answers of quoted sentences on SQuAD 2.0 (Rajpurkar et al. 2018): do they hold a gold span, what is the short answer
//! worth, and which questions are refused? Every question is asked over all paragraphs; what retrieval misses is a failure.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use wellspring_answer::{Answer, AnswerConfig, AnswerRequest, Answerer, EXTRACTIVE};
use wellspring_models::text::{sentences, words};
use wellspring_models::{Embedder, ModelsConfig, Registry};
use wellspring_retrieve::RetrieveConfig;

use crate::support_world::{Text, World};
use crate::{Outcome, lines};

/// One question of this many is asked.
const EVERY: usize = 3;

pub(crate) async fn measure(datasets: &Path) -> Outcome {
    let folder = datasets.join("squad2");
    let (corpus, queries) = (lines(&folder.join("corpus.jsonl"))?, lines(&folder.join("queries.jsonl"))?);
    let model = Registry::new(ModelsConfig::default())?.embedder("default").await?;
    let name = model.info().name.clone();
    let world = World::with_embedder(&name, model as Arc<dyn Embedder>).await;
    let text = |value: &'static Value| value.as_str().unwrap_or_default();
    let corpus: &'static [Value] = corpus.leak();
    let documents = corpus.iter().map(|line| Text {
        id: text(&line["_id"]),
        title: line["title"].as_str(),
        text: text(&line["text"]),
        ..Text::default()
    });
    world.put_all(documents.collect()).await;
    let retriever = world.retriever(RetrieveConfig { deadline_ms: 60_000, ..RetrieveConfig::default() });
    let answerer = Answerer::new(retriever, Arc::clone(&world.registry), AnswerConfig::default())?;
    let (mut answerable, mut unanswerable) = (Tally::default(), Tally::default());
    for query in queries.iter().step_by(EVERY) {
        let request = AnswerRequest {
            model: Some(EXTRACTIVE.to_owned()),
            ..AnswerRequest::new(query["text"].as_str().unwrap_or_default())
        };
        let answer = answerer.answer(&world.scope, request.clone()).await?;
        let gold: Vec<&str> =
            query["metadata"]["answers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let tally = if query["metadata"]["answerable"] == true { &mut answerable } else { &mut unanswerable };
        tally.add(&answer, &request.question, &gold);
    }
    answerable.print("answerable");
    unanswerable.print("unanswerable");
    Ok(())
}

#[derive(Default)]
struct Tally {
    questions: usize,
    refused: usize,
    first: usize,
    any: usize,
    sentences: usize,
    baseline: usize,
    short: usize,
    f1: f64,
}

impl Tally {
    fn add(&mut self, answer: &Answer, question: &str, gold: &[&str]) {
        self.questions += 1;
        self.refused += usize::from(answer.abstained);
        let holds = |text: &str| gold.iter().any(|gold| text.contains(gold));
        // Citations stand in the order of the text; the best sentence is the one of the best passage cited.
        let best = answer.citations.iter().min_by_key(|citation| citation.n);
        self.first += usize::from(best.is_some_and(|citation| holds(&citation.quote)));
        self.any += usize::from(answer.citations.iter().any(|citation| holds(&citation.quote)));
        self.sentences += answer.citations.len();
        self.baseline += usize::from(
            answer
                .passages
                .first()
                .is_some_and(|passage| overlapping(question, &passage.passage.text).is_some_and(&holds)),
        );
        if let Some(short) = &answer.short_answer {
            self.short += 1;
            self.f1 += gold.iter().map(|gold| f1(&short.text, gold)).fold(0.0, f64::max);
        }
    }

    fn print(&self, what: &str) {
        let share = |count: usize| count as f64 / self.questions as f64;
        println!(
            "{what}: {} questions, refused {:.3}; gold span in the sentences of the best passage cited first {:.3}, in any sentence {:.3} ({:.2} sentences); baseline (top passage's sentence of most common words) {:.3}; short answer for {:.3} of them, token F1 there {:.3}",
            self.questions,
            share(self.refused),
            share(self.first),
            share(self.any),
            share(self.sentences),
            share(self.baseline),
            share(self.short),
            self.f1 / self.short.max(1) as f64,
        );
    }
}

/// The sentence that shares most words with the question.
fn overlapping<'t>(question: &str, text: &'t str) -> Option<&'t str> {
    let asked: Vec<String> = words(question).collect();
    let common = |range: &std::ops::Range<usize>| {
        words(&text[range.clone()]).filter(|word| asked.contains(word)).count()
    };
    let mut best: Option<(usize, std::ops::Range<usize>)> = None;
    for range in sentences(text) {
        let count = common(&range);
        if best.as_ref().is_none_or(|(most, _)| count > *most) {
            best = Some((count, range));
        }
    }
    best.map(|(_, range)| &text[range])
}

/// Token F1 as in SQuAD's script: words without articles and punctuation, each as often as it stands.
fn f1(found: &str, gold: &str) -> f64 {
    let tokens = |text: &str| -> Vec<String> {
        words(text).filter(|word| !matches!(word.as_str(), "a" | "an" | "the")).collect()
    };
    let (found, gold) = (tokens(found), tokens(gold));
    let mut left = gold.clone();
    let common = found
        .iter()
        .filter(|word| left.iter().position(|other| other == *word).map(|at| left.swap_remove(at)).is_some())
        .count() as f64;
    if common == 0.0 { 0.0 } else { 2.0 * common / (found.len() + gold.len()) as f64 }
}

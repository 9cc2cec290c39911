//! How often the quoted sentences hold the answer, on questions of SQuAD 2.0 with known answers.
use std::sync::Arc;

use crate::support::{Text, World};
use serde_json::Value;
use wellspring_answer::config::WORDS;
use wellspring_answer::{AnswerConfig, AnswerRequest, Answerer, EXTRACTIVE, RefusalConfig};
use wellspring_retrieve::{Mode, RetrieveConfig};

/// One question of this many is asked.
const EVERY: usize = 15;

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn quoted_sentences_hold_the_answer() {
    let Some(shared) = std::env::var_os("WELLSPRING_TEST_SHARED") else {
        eprintln!("skipped: WELLSPRING_TEST_SHARED is not set");
        return;
    };
    let folder = std::path::Path::new(&shared).join("datasets/squad2");
    let (corpus, queries) = (lines(&folder.join("corpus.jsonl")), lines(&folder.join("queries.jsonl")));
    let world = World::new().await;
    let document = |line: &'static Value| Text {
        id: line["_id"].as_str().unwrap(),
        title: line["title"].as_str(),
        text: line["text"].as_str().unwrap(),
        ..Text::default()
    };
    let corpus: &'static [Value] = corpus.leak();
    world.put_all(corpus.iter().map(document).collect()).await;
    let answerable = queries.iter().filter(|query| query["metadata"]["answerable"] == true).step_by(EVERY);
    let asked: Vec<&Value> = answerable.collect();
    let mut rates = Vec::new();
    for sentences in [1, 2, 3] {
        // Words alone: no model is needed, and nothing is refused, so that every question counts.
        let refusal = RefusalConfig { min_coverage: 0.0, min_cosine: -1.0, min_confidence: Some(0.0) };
        let config = AnswerConfig {
            sentences,
            refusal,
            support_model: Some(WORDS.to_owned()),
            ..AnswerConfig::default()
        };
        let retriever = world.retriever(RetrieveConfig { deadline_ms: 60_000, ..RetrieveConfig::default() });
        let answerer = Answerer::new(retriever, Arc::clone(&world.registry), config).unwrap();
        let (mut hits, mut quoted) = (0, 0);
        for query in &asked {
            let model = Some(EXTRACTIVE.to_owned());
            let question = query["text"].as_str().unwrap();
            let request = AnswerRequest { mode: Mode::Keyword, model, ..AnswerRequest::new(question) };
            let answer = answerer.answer(&world.scope, request).await.unwrap();
            let gold = query["metadata"]["answers"].as_array().unwrap();
            let holds = |quote: &str| gold.iter().any(|gold| quote.contains(gold.as_str().unwrap()));
            hits += usize::from(answer.citations.iter().any(|citation| holds(&citation.quote)));
            quoted += answer.citations.len();
        }
        let rate = hits as f64 / asked.len() as f64;
        let length = quoted as f64 / asked.len() as f64;
        eprintln!("at most {sentences}: {rate:.3} of {} questions, {length:.2} sentences each", asked.len());
        rates.push(rate);
    }
    assert!(rates[0] > 0.70 && rates[2] > 0.82, "{rates:?}");
}

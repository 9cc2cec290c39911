//! Answers measured through the product's own code: what holds the answer, what is told apart, what contradicts itself.
use std::collections::BTreeMap;

use crate::rig::Rig;
use wellspring_answer::config::WORDS;
use wellspring_answer::{AnswerConfig, Answerer, RefusalConfig};
use wellspring_eval::answers::{AskOptions, Half, Question, ask, figures, never_refuses, snippets};
use wellspring_retrieve::Mode;

const FILES: &[(&str, &str)] = &[
    (
        "travel.md",
        "# Travel\n\nA hotel night outside a capital may cost at most 95 euros. Trains are booked by the office.\n",
    ),
    ("leave.md", "# Leave\n\nEverybody has thirty days of leave a year. Unused leave expires in March.\n"),
    ("gateway.md", "# Gateway\n\nError E-4312 means that the clock of the gateway is wrong.\n"),
    ("lunch.md", "# Lunch\n\nThe canteen opens at noon and closes at two.\n"),
];

fn answerer(rig: &Rig, refusal: RefusalConfig) -> Answerer {
    let config = AnswerConfig { support_model: Some(WORDS.to_owned()), refusal, ..AnswerConfig::default() };
    Answerer::new(rig.engine.retriever.clone(), rig.registry.clone(), config).unwrap()
}

fn question(id: &str, text: &str, gold: &[&str]) -> Question {
    Question {
        id: id.to_owned(),
        text: text.to_owned(),
        answerable: !gold.is_empty(),
        gold: gold.iter().map(|gold| (*gold).to_owned()).collect(),
        half: Half::Report,
    }
}

#[tokio::test]
async fn quoted_answers_are_judged_by_what_they_hold() {
    let rig = Rig::new().await;
    rig.holds(FILES, "question,document\nleave,leave.md\n").await;
    let questions = [
        question("1", "How many days of leave has everybody a year?", &["thirty days"]),
        question("2", "What may a hotel night outside a capital cost?", &["95 euros"]),
        question("3", "When does the canteen open?", &["midnight"]),
        question("4", "How many days of leave had Ada Lovelace in 1843?", &[]),
        question("5", "Which hotel night must not cost less than 200 dollars in Varnholt?", &[]),
    ];
    let options = AskOptions { mode: Mode::Hybrid, concurrency: 2 };
    let limits = RefusalConfig { min_confidence: Some(0.0), ..RefusalConfig::default() };
    let answerer = answerer(&rig, never_refuses());
    let asked = ask(&answerer, &rig.engine.collection, &questions, limits, options, &|_| {}).await.unwrap();
    let held: Vec<bool> = asked.iter().map(|asked| asked.any).collect();
    assert_eq!(held, [true, true, false, false, false]);
    assert!(asked[0].first && asked[0].baseline && asked[0].short_f1 == Some(1.0), "{:?}", asked[0]);
    assert_eq!((asked[3].signals.names, asked[3].signals.numbers), (2.0, 1.0), "{:?}", asked[3]);
    assert!(asked[4].signals.denied == 1.0 && asked[4].confidence < asked[1].confidence, "{:?}", asked[4]);
    let figures = figures(&asked, Half::Report, &BTreeMap::new(), 1).unwrap();
    assert!((figures.shares["gold_in_sentences"].value - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(figures.auroc["confidence"].value, 1.0, "{asked:?}");
}

#[tokio::test]
async fn contradicting_snippets_are_shown_and_irrelevant_ones_refused() {
    let rig = Rig::new().await;
    let lines = [
        serde_json::json!({
            "id": 1, "query": "Who leads project Heron?", "answer": "Ada Byron",
            "positive": ["Project Heron in Kiel is led by Ada Byron since the spring."],
            "positive_wrong": ["Project Heron in Kiel is led by Grace Murray since the spring."],
            "negative": ["The canteen serves fish on Fridays."],
        }),
        serde_json::json!({
            "id": 2, "query": "How much is a seat of the team plan?", "answer": ["49"],
            "positive": ["A seat of the team plan is 49 euros a month."],
            "positive_wrong": ["A seat of the team plan is 59 euros a month."],
            "negative": ["Herons stand in shallow water.", "Chairs are stacked at night."],
        }),
    ];
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    fs_err::write(rig.folder.path().join(snippets::FILE), text.join("\n")).unwrap();
    let questions = snippets::read(rig.folder.path()).unwrap();
    snippets::index(&rig.engine, &questions).await.unwrap();
    // Words alone decide: the stand-in for a model knows no meaning.
    let refusal = RefusalConfig { min_coverage: 0.2, min_cosine: 1.0, min_confidence: Some(0.0) };
    let answerer = answerer(&rig, refusal);
    let report = snippets::evaluate(&answerer, &rig.engine, &questions, "two", 1).await.unwrap();
    let rates = |over| &report.over[&over];
    assert_eq!(rates(snippets::Over::Irrelevant).refused.value, 1.0);
    assert_eq!(rates(snippets::Over::Right).refused.value, 0.0);
    assert_eq!(rates(snippets::Over::Right).right.value, 1.0);
    assert_eq!(rates(snippets::Over::Right).conflict.value, 0.0);
    // Not every contradiction is seen; docs/measurements.md has the share of a real set.
    assert!(rates(snippets::Over::RightAndFalsified).conflict.value >= 0.5);
    assert!(rates(snippets::Over::RightAndFalsified).right.value >= 0.5, "both are shown");
}

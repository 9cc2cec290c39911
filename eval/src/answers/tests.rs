//! Figures by hand, and weights that find what tells two kinds of questions apart.

use super::*;
use crate::answers::fit::{WORDS, logistic};
use crate::stats::Seeded;

fn asked(number: usize, half: Half, answerable: bool, signals: Signals) -> Asked {
    Asked {
        id: number.to_string(),
        half,
        answerable,
        confidence: signals.coverage,
        refused: signals.coverage < 0.3,
        first: answerable && number.is_multiple_of(2),
        any: answerable,
        sentences: 2,
        short_f1: (number.is_multiple_of(4)).then_some(0.5),
        baseline: false,
        baseline_overlap: 0.5,
        conflict: false,
        signals,
    }
}

fn many() -> Vec<Asked> {
    let mut seeded = Seeded::new(5);
    (0..400_usize)
        .map(|number| {
            let answerable = number.is_multiple_of(2);
            let chance = seeded.below(100) as f64 / 100.0;
            let coverage = if answerable { 0.3 + 0.7 * chance } else { 0.7 * chance };
            let names = f64::from(u8::from(!answerable && seeded.below(3) == 0));
            let half = if number % 4 < 2 { Half::Fit } else { Half::Report };
            asked(number, half, answerable, Signals { coverage, names, ..Signals::default() })
        })
        .collect()
}

#[test]
fn weights_find_what_tells_the_questions_apart() {
    let asked = many();
    let logistic = logistic(&asked, &WORDS).unwrap();
    assert!(logistic.weights["coverage"] > 1.0 && logistic.weights["names"] < -0.3, "{logistic:?}");
    assert!(!logistic.weights.contains_key("opposites"), "what never differs has no weight");
    let fitted = asked.iter().filter(|asked| asked.half == Half::Fit && asked.answerable);
    let scores: Vec<f64> = fitted.map(|asked| logistic.score(&asked.signals)).collect();
    let refused = scores.iter().filter(|score| **score < logistic.threshold).count() as f64;
    assert!(refused / scores.len() as f64 <= fit::REFUSED, "{refused} of {}", scores.len());
    let one_kind: Vec<Asked> = asked.into_iter().filter(|asked| asked.answerable).collect();
    assert!(fit::logistic(&one_kind, &WORDS).is_err());
}

#[test]
fn figures_are_of_one_half() {
    let asked = many();
    let extra = BTreeMap::from([("retrieval".to_owned(), vec![0.5; asked.len()])]);
    let figures = figures(&asked, Half::Report, &extra, 1).unwrap();
    assert_eq!((figures.answerable, figures.unanswerable), (100, 100));
    assert_eq!(figures.shares["gold_in_sentences"].value, 1.0);
    assert_eq!(figures.shares["baseline_gold"].value, 0.0);
    assert_eq!(figures.auroc["retrieval"].value, 0.5, "what says nothing is chance");
    assert!(figures.auroc["confidence"].value > 0.7);
    assert!(figures.risk_coverage["confidence"].area < figures.risk_coverage["retrieval"].area);
    assert!(
        (figures.risk_coverage["retrieval"].area - 0.5).abs() < 1e-12,
        "half of the questions have no answer"
    );
    assert!(super::figures(&asked[..1], Half::Report, &BTreeMap::new(), 1).is_none());
}

#[test]
fn questions_are_split_by_article() {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str, article: &str, answerable: bool| {
        let answers = if answerable { vec!["x"] } else { vec![] };
        serde_json::json!({"_id": id, "text": "Why?", "metadata": {"answerable": answerable, "answers": answers, "paragraph": format!("{article}#1")}})
            .to_string()
    };
    let text = [line("1", "B", true), line("2", "A", false), line("3", "C", true)].join("\n");
    fs_err::write(folder.path().join("queries.jsonl"), text).unwrap();
    let found = questions(folder.path()).unwrap();
    let halves: Vec<Half> = found.iter().map(|question| question.half).collect();
    assert_eq!(halves, [Half::Report, Half::Fit, Half::Fit]);
    assert_eq!((found[0].gold.as_slice(), found[1].gold.len()), (["x".to_owned()].as_slice(), 0));
    fs_err::write(folder.path().join("queries.jsonl"), r#"{"_id": "1", "text": "Why?"}"#).unwrap();
    assert!(questions(folder.path()).is_err());
    let unanswered = r#"{"_id": "1", "text": "Why?", "metadata": {"answerable": true}}"#;
    fs_err::write(folder.path().join("queries.jsonl"), unanswered).unwrap();
    assert!(questions(folder.path()).unwrap_err().to_string().contains("without `metadata.answers`"));
}

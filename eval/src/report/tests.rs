//! The page is whole, escapes what it quotes, and loads nothing.

use std::collections::BTreeMap;

use super::*;
use crate::dataset::Accepted;
use crate::engine::Switches;
use crate::failure::{Missed, Stage};
use crate::index::Indexed;
use crate::metrics::{Qrels, score};
use crate::retrieval::{Cost, Latency};
use wellspring_retrieve::Mode;

/// Forty queries; the relevant document's rank depends on query and mode.
pub(crate) fn evaluation() -> Evaluation {
    let qrels: Qrels = (0..40).map(|q| (query(q), [("<good>&".to_owned(), 1)].into())).collect();
    let dataset = Dataset {
        name: "a <set>".into(),
        documents: crate::dataset::Documents::Indexed,
        queries: (0..40).map(|q| (query(q), format!("what is <b>thing {q}</b>?"))).collect(),
        qrels: qrels.clone(),
        spans: BTreeMap::new(),
        types: BTreeMap::new(),
        accepted: Accepted::default(),
        checksum: "0".repeat(64),
    };
    let evaluated = [(Mode::Keyword, 5), (Mode::Dense, 3), (Mode::Hybrid, 2)]
        .into_iter()
        .map(|(mode, spread)| report(&dataset, mode, spread))
        .collect();
    let failures = FailureReport {
        k: 10,
        relevant: 40,
        found: 38,
        lost: Stage::ALL.iter().map(|stage| (*stage, usize::from(*stage == Stage::FusedOut) * 2)).collect(),
        missed: (0..2)
            .map(|q| Missed {
                query: query(q),
                text: "<script>alert(1)</script>".into(),
                document: "<good>&".into(),
                grade: 1,
                stage: Stage::FusedOut,
                dense: Some(3),
                keyword: None,
                fused: Some(14),
                rank: Some(14),
                first: Some("d0".into()),
            })
            .collect(),
    };
    let set = SetReport::of(&dataset, evaluated, Some(failures), Some("a <part> of it".into())).unwrap();
    Evaluation {
        version: VERSION,
        tool: "wellspring test".into(),
        command: "wellspring eval <report>".into(),
        made_at: "2026-01-01T00:00:00Z".into(),
        machine: "a machine".into(),
        seed: 1,
        sets: vec![set],
    }
}

fn query(number: usize) -> String {
    format!("q'{number:02}\"")
}

fn report(dataset: &Dataset, mode: Mode, spread: usize) -> (RetrievalReport, Run) {
    let run: Run = dataset
        .queries
        .keys()
        .enumerate()
        .map(|(number, query)| {
            let at = number * 7 % (spread * 2);
            let ranking = (0..12)
                .map(|rank| {
                    (if rank == at { "<good>&".into() } else { format!("d{rank}") }, 20.0 - rank as f32)
                })
                .collect();
            (query.clone(), ranking)
        })
        .collect();
    let scores = score(&dataset.qrels, &run, crate::measure::DEFAULT_MEASURES).unwrap().with_intervals(1);
    let per_query: BTreeMap<String, f64> =
        dataset.queries.keys().enumerate().map(|(n, q)| (q.clone(), 4.0 + (n % 9) as f64)).collect();
    let report = RetrievalReport {
        dataset: dataset.name.clone(),
        checksum: dataset.checksum.clone(),
        documents_checksum: "1".repeat(64),
        accepted: Accepted::default(),
        mode,
        fingerprint: "fake".into(),
        switches: Switches { mode, ..Switches::default() },
        depth: 100,
        seed: 1,
        scores,
        detectable: BTreeMap::from([("ndcg@10".to_owned(), 0.05)]),
        degraded: BTreeMap::new(),
        latency_ms: Latency { p50: 8.0, p95: 12.0, max: 12.0, queries: 40, per_query, ..Latency::default() },
        cost: Cost::default(),
        confidence: dataset
            .queries
            .keys()
            .enumerate()
            .map(|(n, q)| (q.clone(), 1.0 / (n + 1) as f64))
            .collect(),
        version: crate::retrieval::VERSION,
        asked: Default::default(),
        exclude_own_ids: false,
        own_ids_excluded: 0,
        indexed: Indexed { documents: 12, ..Indexed::default() },
        configuration: serde_json::json!({"retrieve": {"depth": 500}}),
    };
    (report, run)
}

#[test]
fn the_page_escapes_what_it_quotes_and_loads_nothing() {
    let page = html(&evaluation()).unwrap();
    assert!(page.contains("<h2>a &lt;set&gt;</h2>") && page.contains("a &lt;part&gt; of it"));
    for raw in [
        "<script",
        "<good>",
        "<set>",
        "<part>",
        "<b>thing",
        "<report>",
        "javascript:",
        "http:",
        "https:",
        "url(",
        "@import",
        " style=",
    ] {
        assert!(!page.contains(raw), "{raw}");
    }
    assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    assert_eq!(page.matches("<svg ").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<table ").count(), page.matches("</table>").count());
    assert!(page.matches("<svg ").count() >= 6, "overview, two differences, risk, latency, stages");
    assert!(!page.contains("NaN") && !page.contains("inf"), "every place is a number");
}

#[test]
fn the_json_reads_back_and_gives_the_same_page() {
    let before = evaluation();
    let text = serde_json::to_string(&before).unwrap();
    let back: Evaluation = serde_json::from_str(&text).unwrap();
    assert_eq!(html(&back).unwrap(), html(&before).unwrap());
    assert_eq!(markdown(&back, ""), markdown(&before, ""));
}

#[test]
fn markdown_has_a_row_per_mode_and_an_example_per_missed_document() {
    let text = markdown(&evaluation(), "Made by hand.");
    assert!(text.starts_with("# Results\n\nMade by hand.\n"));
    assert_eq!(text.matches("| a &lt;set> | 40 | 12 |").count(), 3, "{text}");
    assert_eq!(text.matches("| fused out | q'").count(), 2, "{text}");
    assert!(text.contains("a &lt;set>: a &lt;part> of it"), "{text}");
}

#[test]
fn refusing_the_uncertain_is_a_curve_that_ends_with_all() {
    let evaluation = evaluation();
    let main = evaluation.sets[0].main().unwrap();
    let (curve, area) = risk_coverage(main, MAIN);
    let last = curve.last().unwrap();
    assert_eq!((curve.len(), last.coverage), (40, 1.0));
    assert!((last.risk - (1.0 - main.scores.metrics[MAIN])).abs() < 1e-9);
    assert!((0.0..=1.0).contains(&area));

    let mut silent = main.clone();
    let most_confident = silent.confidence.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0.clone();
    silent.confidence.remove(&most_confident);
    let (curve, _) = risk_coverage(&silent, MAIN);
    assert_eq!(curve.last().unwrap().risk, last.risk, "what found nothing counts, at the end");
    silent.confidence.clear();
    assert!(risk_coverage(&silent, MAIN).0.is_empty());
}

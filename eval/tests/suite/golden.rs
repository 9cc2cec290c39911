//! Agreement with reference tools on committed files: measures with `ir_measures` and `pytrec_eval`, statistics with
//! `scipy`, `statsmodels` and `ranx`. `tests/golden/make.py` wrote them.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use wellspring_eval::dataset::{Accepted, read_qrels};
use wellspring_eval::measure::Measure;
use wellspring_eval::metrics::{Scores, score};
use wellspring_eval::run;
use wellspring_eval::stats::{Difference, Tested, holm, kendall_tau};

#[derive(Deserialize)]
struct Expected {
    mean: BTreeMap<String, f64>,
    per_query: BTreeMap<String, BTreeMap<String, f64>>,
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Scores a golden run and compares every value.
fn agrees(name: &str) -> Scores {
    let folder = golden().join(name);
    let qrels = read_qrels(&folder.join("qrels.txt"), &mut Accepted::default()).unwrap();
    let run = run::read(&folder.join("run.txt")).unwrap();
    let expected: Expected =
        serde_json::from_str(&fs_err::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let measures: Vec<Measure> = expected.mean.keys().map(|name| name.parse().unwrap()).collect();
    assert!(measures.len() >= 9);

    let scores = score(&qrels, &run, &measures).unwrap();

    assert_eq!(scores.queries, expected.per_query.len());
    for (query, values) in &expected.per_query {
        for (measure, value) in values {
            let ours = scores.per_query[query][measure];
            assert!((ours - value).abs() < 1e-6, "{name} {query} {measure}: {ours}, reference {value}");
        }
    }
    for (measure, value) in &expected.mean {
        let ours = scores.metrics[measure];
        assert!((ours - value).abs() < 1e-6, "{name} mean {measure}: {ours}, reference {value}");
    }
    scores
}

#[test]
fn measures_agree_with_the_references_to_a_millionth() {
    assert_eq!(agrees("mixed").missing, ["q17", "q3"]);
    assert_eq!(agrees("missing").missing, ["q1", "q7"]);
    for name in ["binary", "graded", "ties", "strange-ids", "long"] {
        assert!(agrees(name).missing.is_empty(), "{name}");
    }
}

#[test]
fn strange_ids_survive_a_round_trip_through_a_run_file() {
    let before = run::read(&golden().join("strange-ids/run.txt")).unwrap();
    assert!(before.values().flatten().any(|(id, _)| id.starts_with("Lilu (mythology) ")));
    assert!(before.values().flatten().any(|(id, _)| id.starts_with("100 % ")));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.trec");
    run::write(&path, &before, "again").unwrap();
    let sorted = |mut run: wellspring_eval::metrics::Run| {
        run.values_mut().for_each(wellspring_eval::metrics::sort_as_trec_eval);
        run
    };
    assert_eq!(sorted(run::read(&path).unwrap()), sorted(before));
}

#[derive(Deserialize)]
struct Statistics {
    pairs: Vec<Pair>,
    holm: Adjusted,
}

#[derive(Deserialize)]
struct Pair {
    a: Vec<f64>,
    b: Vec<f64>,
    exact: bool,
    mean: f64,
    p: f64,
    p_ranx: f64,
    low: f64,
    high: f64,
    effect: f64,
    tau: f64,
}

#[derive(Deserialize)]
struct Adjusted {
    raw: Vec<f64>,
    adjusted: Vec<f64>,
}

#[test]
fn tests_and_intervals_agree_with_scipy_ranx_and_statsmodels() {
    let text = fs_err::read_to_string(golden().join("statistics.json")).unwrap();
    let expected: Statistics = serde_json::from_str(&text).unwrap();
    assert!(expected.pairs.len() >= 6);
    for pair in &expected.pairs {
        let n = pair.a.len();
        let ours = Difference::of(&pair.a, &pair.b, 7).unwrap();
        assert!(
            (ours.mean - pair.mean).abs() < 1e-12 && (ours.effect.unwrap() - pair.effect).abs() < 1e-9,
            "{n}"
        );
        assert!((kendall_tau(&pair.a, &pair.b).unwrap() - pair.tau).abs() < 1e-9, "{n}");
        // Four standard errors of a share that was drawn 20 000 times, on both sides.
        let drawn =
            4.0 * 2.0_f64.sqrt() * (pair.p.max(1e-4) * (1.0 - pair.p).max(1e-4) / 20_000.0).sqrt() + 2e-4;
        if pair.exact {
            assert_eq!(ours.tested, Tested::Exact);
            assert!((ours.p - pair.p).abs() < 1e-9, "{n} queries: {}, scipy {}", ours.p, pair.p);
        } else {
            assert!((ours.p - pair.p).abs() < drawn, "{n} queries: {}, scipy {}", ours.p, pair.p);
        }
        assert!((ours.p - pair.p_ranx).abs() < drawn, "{n} queries: {}, ranx {}", ours.p, pair.p_ranx);
        // The ends of a bootstrap interval are drawn too.
        let width = pair.high - pair.low;
        for (end, reference) in [(ours.interval.low, pair.low), (ours.interval.high, pair.high)] {
            assert!((end - reference).abs() < 0.05 * width, "{n} queries: {end}, scipy {reference}");
        }
    }
    for (ours, reference) in holm(&expected.holm.raw).iter().zip(&expected.holm.adjusted) {
        assert!((ours - reference).abs() < 1e-12, "{ours}, statsmodels {reference}");
    }
}

//! The gate catches what is worse and lets pass what is not.

use super::*;
use crate::metrics::{Run, score};
use crate::stats::Seeded;

const QUERIES: usize = 100;

fn qrels() -> Qrels {
    (0..QUERIES).map(|q| (format!("q<{q:03}|"), [("good".to_owned(), 1)].into())).collect()
}

/// The relevant document at a rank drawn for each query, `worse` ranks further down in a share of the queries.
fn system(name: &str, seed: u64, worse: f64, qrels: &Qrels) -> System {
    let mut seeded = Seeded::new(seed);
    let run: Run = qrels
        .keys()
        .map(|query| {
            let mut at = seeded.below(8);
            if (seeded.below(1000) as f64) < worse * 1000.0 {
                at += 6;
            }
            let ranking = (0..15)
                .map(|rank| (if rank == at { "good".into() } else { format!("d{rank}") }, 20.0 - rank as f32))
                .collect();
            (query.clone(), ranking)
        })
        .collect();
    let measures = ["ndcg@10".parse().unwrap(), "recall@100".parse().unwrap()];
    System { name: name.into(), scores: score(qrels, &run, &measures).unwrap(), run: Some(run) }
}

#[test]
fn worse_fails_and_equal_passes() {
    let qrels = qrels();
    let baseline = system("baseline", 1, 0.0, &qrels);
    let broken = system("broken", 1, 0.4, &qrels);
    let verdict = gate(Some(&baseline), &broken, &Conditions::default(), Some(&qrels)).unwrap();
    assert!(!verdict.passed);
    assert_eq!(verdict.checks.iter().map(|check| check.passed).collect::<Vec<_>>(), [false, true]);
    let worst = &verdict.checks[0].worst;
    assert!(worst.len() == 10 && worst.iter().all(|moved| moved.system < moved.baseline), "{worst:?}");
    assert!(gate(Some(&baseline), &baseline, &Conditions::default(), None).unwrap().passed);
    let better = gate(Some(&broken), &baseline, &Conditions::default(), None).unwrap();
    assert!(better.passed, "significantly better is no failure");
}

#[test]
fn floors_and_bounds_fail_without_significance() {
    let qrels = qrels();
    let baseline = system("baseline", 1, 0.0, &qrels);
    let slightly = system("slightly", 1, 0.04, &qrels);
    let bounded = Conditions { max_drop: Some(0.001), ..Conditions::default() };
    let verdict = gate(Some(&baseline), &slightly, &bounded, None).unwrap();
    assert!(!verdict.passed && verdict.checks[0].detail.contains("beyond the bound"), "{verdict:?}");
    assert!(gate(Some(&baseline), &slightly, &Conditions::default(), None).unwrap().passed);

    let floor = |text: &str| Conditions { floors: vec![text.parse().unwrap()], ..Conditions::default() };
    assert!(!gate(None, &baseline, &floor("nDCG@10=0.99"), None).unwrap().passed);
    assert!(gate(None, &baseline, &floor("ndcg@10=0.1"), None).unwrap().passed);
    assert!(gate(None, &baseline, &floor("map=0.1"), None).is_err(), "not measured");
    assert!(gate(None, &baseline, &Conditions::default(), None).is_err(), "nothing to check");
    for wrong in ["ndcg@10", "ndcg@10=2", "bleu=0.1", "ndcg@10=x"] {
        assert!(wrong.parse::<Floor>().is_err(), "{wrong}");
    }
}

#[test]
fn reports_escape_what_they_quote() {
    let qrels = qrels();
    let (baseline, broken) = (system("a", 1, 0.0, &qrels), system("b", 1, 0.6, &qrels));
    let verdict = gate(Some(&baseline), &broken, &Conditions::default(), Some(&qrels)).unwrap();
    let xml = junit(&verdict, "set <1> & \"2\"\u{1}");
    assert!(xml.contains(
        "<testsuite name=\"set &lt;1&gt; &amp; &quot;2&quot;\u{fffd}\" tests=\"2\" failures=\"1\""
    ));
    assert!(xml.contains("q&lt;0") && !xml.contains("q<0"));
    let text = markdown(&verdict, "set | <b>");
    assert!(text.starts_with("## Retrieval gate failed: set \\| &lt;b>\n"), "{text}");
    assert!(text.contains("| q&lt;0") && text.contains("good (1)"), "{text}");
}

#[test]
fn an_unchanged_system_with_noise_is_seldom_blamed() {
    // Both systems draw their ranks from the same distribution: any difference is noise.
    let qrels = qrels();
    let blamed = (0..20_u64)
        .filter(|seed| {
            let a = system("a", seed * 2 + 1, 0.0, &qrels);
            let b = system("b", seed * 2 + 2, 0.0, &qrels);
            !gate(Some(&a), &b, &Conditions { seed: *seed, ..Conditions::default() }, None).unwrap().passed
        })
        .count();
    assert!(blamed <= 2, "expected at most one in twenty, of which half are worse: {blamed}");
    let caught = (0..20_u64)
        .filter(|seed| {
            let a = system("a", seed * 2 + 1, 0.0, &qrels);
            let b = system("b", seed * 2 + 2, 0.5, &qrels);
            !gate(Some(&a), &b, &Conditions { seed: *seed, ..Conditions::default() }, None).unwrap().passed
        })
        .count();
    assert_eq!(caught, 20);
}

#[test]
fn reports_of_unlike_runs_are_not_compared() {
    let text = include_str!("../../tests/golden/report-v1.json");
    let evaluation: crate::report::Evaluation = serde_json::from_str(text).unwrap();
    let baseline = evaluation.sets[0].reports[0].clone();
    assert_eq!(baseline.version, 1, "reports of the first version have none");
    comparable(&baseline, &RetrievalReport { version: VERSION, ..baseline.clone() }).unwrap();
    let mut whole = baseline.clone();
    whole.switches.whole_documents = true;
    for (other, complaint) in [
        (RetrievalReport { depth: 50, ..baseline.clone() }, "depth was 100 in the baseline and is 50"),
        (RetrievalReport { exclude_own_ids: true, ..baseline.clone() }, "exclude-own-ids was false"),
        (RetrievalReport { checksum: "x".into(), ..baseline.clone() }, "other queries or judgements"),
        (RetrievalReport { version: VERSION + 1, ..baseline.clone() }, "reads up to"),
        (whole, "chunking was the usual chunks in the baseline and is one chunk per document"),
    ] {
        let error = comparable(&baseline, &other).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

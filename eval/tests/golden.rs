//! Agreement with `ir_measures` and `pytrec_eval` on a committed run and qrels, with ties, missing queries, negative
//! grades and queries without any relevant document.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use wellspring_eval::dataset::read_qrels;
use wellspring_eval::metrics::{Measure, score};
use wellspring_eval::run;

#[derive(Deserialize)]
struct Expected {
    mean: BTreeMap<String, f64>,
    per_query: BTreeMap<String, BTreeMap<String, f64>>,
}

#[test]
fn values_agree_with_the_references_to_a_millionth() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let qrels = read_qrels(&folder.join("qrels.txt")).unwrap();
    let run = run::read(&folder.join("run.txt")).unwrap();
    let expected: Expected =
        serde_json::from_str(&fs_err::read_to_string(folder.join("expected.json")).unwrap()).unwrap();
    let measures: Vec<Measure> = expected.mean.keys().map(|name| name.parse().unwrap()).collect();
    assert!(measures.len() >= 9);

    let scores = score(&qrels, &run, &measures).unwrap();

    assert_eq!(scores.queries, expected.per_query.len());
    assert_eq!(scores.missing, ["q17", "q3"]);
    for (query, values) in &expected.per_query {
        for (measure, value) in values {
            let ours = scores.per_query[query][measure];
            assert!((ours - value).abs() < 1e-6, "{query} {measure}: {ours}, reference {value}");
        }
    }
    for (measure, value) in &expected.mean {
        let ours = scores.metrics[measure];
        assert!((ours - value).abs() < 1e-6, "mean {measure}: {ours}, reference {value}");
    }
}

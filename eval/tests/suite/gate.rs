//! The gate on recorded rankings: a model whose pooling is wrong is caught with every seed, and a pair that differs by chance
//! only is not blamed. `golden/wrong-pooling.sh` wrote the run files.
use std::path::Path;

use wellspring_eval::compare::System;
use wellspring_eval::dataset::{Accepted, read_qrels};
use wellspring_eval::gate::{Conditions, gate};
use wellspring_eval::metrics::{Qrels, Run, score};
use wellspring_eval::run;
use wellspring_eval::stats::Seeded;

const SEEDS: u64 = 20;

fn file(name: &str) -> Run {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wrong-pooling");
    run::read(&folder.join(name)).unwrap()
}

fn qrels() -> Qrels {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/ostermere/qrels/test.tsv");
    read_qrels(&path, &mut Accepted::default()).unwrap()
}

fn system(run: Run, qrels: &Qrels) -> System {
    let scores = score(qrels, &run, &["ndcg@10".parse().unwrap()]).unwrap();
    System { name: "system".into(), scores, run: None }
}

/// How many of the seeds fail.
fn failures(pair: impl Fn(u64) -> (Run, Run)) -> usize {
    let qrels = qrels();
    let fails = |seed: &u64| {
        let (baseline, candidate) = pair(*seed);
        let conditions =
            Conditions { measures: vec!["ndcg@10".into()], seed: *seed, ..Conditions::default() };
        !gate(Some(&system(baseline, &qrels)), &system(candidate, &qrels), &conditions, None).unwrap().passed
    };
    (1..=SEEDS).filter(fails).count()
}

#[test]
fn wrong_pooling_is_caught_with_every_seed() {
    let (good, broken) = (file("good.dense.trec"), file("broken.dense.trec"));
    assert_eq!(failures(|_| (good.clone(), broken.clone())), 20);
}

#[test]
fn a_pair_that_differs_by_chance_only_is_not_blamed() {
    let (good, broken) = (file("good.dense.trec"), file("broken.dense.trec"));
    assert_eq!(failures(|_| (good.clone(), good.clone())), 0);
    // For each query a coin decides which of the two systems' rankings is on which side: as different as the pair above,
    // and none the better.
    let mixed = |seed: u64| {
        let mut coin = Seeded::new(seed);
        let (mut a, mut b) = (Run::new(), Run::new());
        for (query, ranking) in &good {
            let other = broken.get(query).cloned().unwrap_or_default();
            let sides = if coin.below(2) == 0 { [ranking.clone(), other] } else { [other, ranking.clone()] };
            let [one, two] = sides;
            a.insert(query.clone(), one);
            b.insert(query.clone(), two);
        }
        (a, b)
    };
    let blamed = failures(mixed);
    assert!(blamed <= 1, "one in forty is expected to look worse by chance: {blamed} of {SEEDS}");
}

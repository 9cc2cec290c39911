//! The vector contract on every engine and number form, and recall at sizes where engines begin to differ.

use crate::contract::vector::{self, DIMENSION, Random, entries, entry, keys_of, random_unit, unit};
use wellspring_store::vector::VectorIndex;
use wellspring_store::vector::flat::{FlatIndex, Form, ScanPool};

fn flat(dimension: usize, form: Form) -> FlatIndex {
    FlatIndex::new(dimension, form, ScanPool::new(2).unwrap(), "test").unwrap()
}

#[tokio::test]
async fn flat_f32() {
    vector::check(&flat(DIMENSION, Form::F32)).await;
}

#[tokio::test]
async fn flat_f16() {
    vector::check(&flat(DIMENSION, Form::F16)).await;
}

#[tokio::test]
async fn flat_int8() {
    vector::check(&flat(DIMENSION, Form::Int8)).await;
}

/// The narrow forms lose at most one in a hundred of the true ten best, on vectors without any structure (the hardest
/// case: scores lie close together) and on clustered ones, in several tasks' worth of slots.
#[tokio::test]
async fn narrow_forms_keep_the_ten_best() {
    const N: i64 = 9_000;
    for clusters in [0, 40] {
        let mut random = Random(11);
        let centres: Vec<_> = (0..clusters).map(|_| random_unit(&mut random, 384)).collect();
        let sample = |random: &mut Random| match centres.len() {
            0 => random_unit(random, 384),
            n => {
                let centre = &centres[random.below(n as u64) as usize];
                unit(centre.iter().map(|x| x + 0.05 * random.normal()).collect())
            }
        };
        let all: Vec<_> = (1..=N).map(|key| entry(key, sample(&mut random))).collect();
        let oracle = flat(384, Form::F32);
        oracle.upsert(all.clone()).await.unwrap();
        let queries: Vec<_> = (0..30).map(|_| sample(&mut random)).collect();
        for form in [Form::F16, Form::Int8] {
            let narrow = flat(384, form);
            narrow.upsert(all.clone()).await.unwrap();
            let mut found = 0;
            for query in &queries {
                let exact = keys_of(&oracle, query, 10, None).await;
                let got = keys_of(&narrow, query, 10, None).await;
                found += exact.iter().filter(|key| got.contains(key)).count();
            }
            println!("{form:?}, {clusters} clusters: {found} of {} found", queries.len() * 10);
            assert!(
                found as f64 >= 0.99 * (queries.len() * 10) as f64,
                "{form:?}, {clusters} clusters: {found}"
            );
        }
    }
}

#[tokio::test]
async fn answers_do_not_depend_on_the_order_of_arrival_or_on_threads() {
    let all = entries(1..=5_000, 21, DIMENSION);
    let query = random_unit(&mut Random(22), DIMENSION);
    let mut answers = Vec::new();
    for (threads, backwards) in [(1, false), (4, true)] {
        let index = FlatIndex::new(DIMENSION, Form::Int8, ScanPool::new(threads).unwrap(), "test").unwrap();
        let mut all = all.clone();
        if backwards {
            all.reverse();
        }
        index.upsert(all).await.unwrap();
        let query = wellspring_store::vector::VectorQuery { vector: &query, k: 100, among: None };
        answers.push(index.search(query).await.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
}

//! Measures the parts of an answer on public data: `measure support DATASETS`, `measure injection DATASETS`, `measure thousand
//! DATASETS`. Quoted answers and refusals are measured by `wellspring eval answers`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "its figures are its output; the tests' store panics on failure"
)]

mod injection;
mod logistic;
mod stats;
mod thousand;
mod wice;

#[path = "../../../retrieve/tests/suite/support/mod.rs"]
mod support;
#[path = "../../tests/suite/trial.rs"]
mod trial;

use std::path::PathBuf;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (what, datasets) = (arguments.next().unwrap_or_default(), arguments.next().map(PathBuf::from));
    let datasets = datasets.ok_or("usage: measure support|injection|thousand DATASETS")?;
    match what.as_str() {
        "support" => wice::measure(&datasets).await,
        "thousand" => thousand::measure(&datasets).await,
        "injection" => injection::measure(&datasets),
        other => Err(format!("there is nothing called {other} to measure").into()),
    }
}

/// The objects of a file with one on every line.
fn lines(path: &std::path::Path) -> Outcome<Vec<serde_json::Value>> {
    let text = fs_err::read_to_string(path)?;
    let lines = text.split('\n').filter(|line| !line.is_empty());
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

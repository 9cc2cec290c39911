//! Judging by hand: documents that several systems found are pooled, and judgements are kept as they are made.

use std::collections::BTreeSet;

use crate::metrics::{Run, sort_as_trec_eval};

mod judged;
mod session;

pub use judged::Judged;
pub use session::{HIGHEST, Place, Progress, Session};

/// The documents to judge of one query: the first `depth` of every run, each once, ranks in turn, so that whoever stops
/// early has judged the first ranks of every system (TREC's pooling: Sparck Jones and van Rijsbergen 1975).
pub fn pool(runs: &[Run], query: &str, depth: usize) -> Vec<String> {
    let rankings: Vec<Vec<(String, f32)>> = runs
        .iter()
        .map(|run| {
            let mut ranking = run.get(query).cloned().unwrap_or_default();
            sort_as_trec_eval(&mut ranking);
            ranking
        })
        .collect();
    let (mut pool, mut seen) = (Vec::new(), BTreeSet::new());
    for rank in 0..depth {
        for (document, _) in rankings.iter().filter_map(|ranking| ranking.get(rank)) {
            if seen.insert(document.clone()) {
                pool.push(document.clone());
            }
        }
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ids: &[&str]) -> Run {
        let ranking = ids.iter().enumerate().map(|(at, id)| ((*id).to_owned(), 9.0 - at as f32)).collect();
        Run::from([("q".to_owned(), ranking)])
    }

    #[test]
    fn pools_take_ranks_in_turn_and_documents_once() {
        let runs = [run(&["a", "b", "c"]), run(&["b", "d", "e"])];
        assert_eq!(pool(&runs, "q", 2), ["a", "b", "d"]);
        assert!(pool(&runs, "other", 2).is_empty());
    }
}

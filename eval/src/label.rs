//! Judging by hand: documents that several systems found are pooled, and judgements are kept as they are made.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::dataset::{Accepted, read_qrels};
use crate::error::Result;
use crate::metrics::{Qrels, Run, sort_as_trec_eval};

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

/// Judgements in a file, each written and synced when it is made: an interrupted session loses nothing and goes on where
/// it stopped.
pub struct Judged {
    path: PathBuf,
    qrels: Qrels,
}

impl Judged {
    /// Opens the file in BEIR's columns, or makes it.
    pub fn open(path: &Path) -> Result<Self> {
        let has_rows = path.is_file()
            && fs_err::read_to_string(path)?.lines().filter(|line| !line.trim().is_empty()).count() > 1;
        let qrels = if has_rows { read_qrels(path, &mut Accepted::default())? } else { Qrels::new() };
        if !path.is_file() {
            fs_err::write(path, "query-id\tcorpus-id\tscore\n")?;
        }
        Ok(Self { path: path.to_owned(), qrels })
    }

    /// The grade given before; `None` for a document that is still to be judged.
    pub fn grade(&self, query: &str, document: &str) -> Option<i32> {
        self.qrels.get(query)?.get(document).copied()
    }

    /// Documents of a pool that are still to be judged, in its order.
    pub fn open_of<'a>(&self, query: &str, pool: &'a [String]) -> Vec<&'a String> {
        pool.iter().filter(|document| self.grade(query, document).is_none()).collect()
    }

    /// Keeps a judgement.
    pub fn keep(&mut self, query: &str, document: &str, grade: i32) -> Result<()> {
        let mut file = fs_err::OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(format!("{query}\t{document}\t{grade}\n").as_bytes())?;
        file.sync_data()?;
        self.qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        Ok(())
    }

    /// Judgements so far, by grade.
    pub fn counts(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for grade in self.qrels.values().flat_map(|judged| judged.values()) {
            *counts.entry(*grade).or_default() += 1;
        }
        counts
    }
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

    #[test]
    fn judgements_survive_an_interruption() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qrels.tsv");
        let mut judged = Judged::open(&path).unwrap();
        judged.keep("q", "a b", 2).unwrap();
        judged.keep("q", "c", 0).unwrap();
        let again = Judged::open(&path).unwrap();
        let pool = ["a b".to_owned(), "c".to_owned(), "d".to_owned()];
        assert_eq!(again.open_of("q", &pool), ["d"]);
        assert_eq!((again.grade("q", "a b"), again.counts()), (Some(2), BTreeMap::from([(0, 1), (2, 1)])));
        assert!(Judged::open(&path).unwrap().grade("x", "c").is_none());
    }
}

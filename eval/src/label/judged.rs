//! Judgements in a file, each written and synced when it is made: an interrupted session loses nothing and goes on where it
//! stopped.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::dataset::{Accepted, HEADER, qrels_row, read_qrels};
use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::Qrels;

/// The judgements of a file in BEIR's columns.
pub struct Judged {
    path: PathBuf,
    /// In order of making, so that the last one can be taken back.
    rows: Vec<(String, String, i32)>,
    grades: Qrels,
}

impl Judged {
    /// Opens the file, or makes it. A file without BEIR's header is `Invalid`: rows added to other columns would spoil it.
    /// A last line without its end, left by a full disk or a power cut, gets one.
    pub fn open(path: &Path) -> Result<Self> {
        let mut judged = Self { path: path.to_owned(), rows: Vec::new(), grades: Qrels::new() };
        let text = if path.is_file() { fs_err::read_to_string(path)? } else { String::new() };
        if text.trim().is_empty() {
            judged.write_all()?;
            return Ok(judged);
        }
        if text.lines().next().map(|line| line.trim_start_matches('\u{feff}').trim_end())
            != Some(HEADER.trim_end())
        {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!(
                    "{} has not the header `{}`, so nothing is added to it",
                    path.display(),
                    HEADER.trim_end()
                ),
            ));
        }
        if text.lines().filter(|line| !line.trim().is_empty()).count() > 1 {
            judged.grades = read_qrels(path, &mut Accepted::default())?;
        }
        for line in text.lines().skip(1).filter(|line| !line.trim().is_empty()) {
            let mut columns = line.split('\t').map(str::trim);
            if let (Some(query), Some(document)) = (columns.next(), columns.next())
                && let Some(grade) = judged.grade(query, document)
            {
                judged.rows.push((query.to_owned(), document.to_owned(), grade));
            }
        }
        if !text.ends_with('\n') {
            fs_err::OpenOptions::new().append(true).open(path)?.write_all(b"\n")?;
        }
        Ok(judged)
    }

    /// The grade given; `None` for a document that is still to be judged.
    pub fn grade(&self, query: &str, document: &str) -> Option<i32> {
        self.grades.get(query)?.get(document).copied()
    }

    /// Keeps a judgement; one given before is replaced.
    pub fn keep(&mut self, query: &str, document: &str, grade: i32) -> Result<()> {
        let row = qrels_row(query, document, grade)?;
        let again = self.grade(query, document).is_some();
        self.rows.retain(|(of, about, _)| of != query || about != document);
        self.rows.push((query.to_owned(), document.to_owned(), grade));
        self.grades.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        if again {
            return self.write_all();
        }
        let mut file = fs_err::OpenOptions::new().append(true).open(&self.path)?;
        file.write_all(row.as_bytes())?;
        Ok(file.sync_data()?)
    }

    /// Takes a judgement back; one that was never given is no error.
    pub fn forget(&mut self, query: &str, document: &str) -> Result<()> {
        self.rows.retain(|(of, about, _)| of != query || about != document);
        if let Some(judged) = self.grades.get_mut(query) {
            judged.remove(document);
        }
        self.write_all()
    }

    /// Judgements so far, by grade.
    pub fn counts(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        for (.., grade) in &self.rows {
            *counts.entry(*grade).or_default() += 1;
        }
        counts
    }

    /// Replaces the file by a whole one.
    fn write_all(&self) -> Result<()> {
        let mut text = HEADER.to_owned();
        for (query, document, grade) in &self.rows {
            text.push_str(&qrels_row(query, document, *grade)?);
        }
        let partial = self.path.with_extension("partial");
        let mut file = fs_err::File::create(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(fs_err::rename(&partial, &self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements_survive_an_interruption_and_can_be_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qrels.tsv");
        let mut judged = Judged::open(&path).unwrap();
        judged.keep("q", "a b", 2).unwrap();
        judged.keep("q", "c", 0).unwrap();
        judged.keep("q", "a b", 3).unwrap();
        let mut again = Judged::open(&path).unwrap();
        assert_eq!((again.grade("q", "a b"), again.grade("q", "d")), (Some(3), None));
        assert_eq!(again.counts(), BTreeMap::from([(0, 1), (3, 1)]));
        again.forget("q", "c").unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), format!("{HEADER}q\ta b\t3\n"));
    }

    #[test]
    fn a_file_of_other_columns_and_ids_that_break_columns_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qrels.tsv");
        fs_err::write(&path, "q 0 d 1\n").unwrap();
        assert!(Judged::open(&path).is_err());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "q 0 d 1\n", "left as it was");
        fs_err::write(&path, format!("{HEADER}q\td\t1")).unwrap();
        let mut judged = Judged::open(&path).unwrap();
        judged.keep("q", "e", 2).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), format!("{HEADER}q\td\t1\nq\te\t2\n"));
        for id in ["a\tb", "a\nb", " a"] {
            assert!(judged.keep("q", id, 1).is_err(), "{id:?}");
        }
        assert_eq!(judged.counts().values().sum::<usize>(), 2);
    }
}

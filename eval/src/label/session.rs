//! A person's way through what is to be judged: blind to which system found a document and how high it stood.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Judged, pool};
use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::Run;
use crate::stats::Seeded;

/// The highest grade.
pub const HIGHEST: i32 = 3;

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The query's id.
    pub query: String,
    /// Its text.
    pub text: String,
    /// The document's id.
    pub document: String,
    /// The grade that it has; `None` while it is to be judged.
    pub grade: Option<i32>,
    /// Its number among the documents of the query, from 1.
    pub number: usize,
    /// Documents of the query.
    pub of: usize,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Documents over all queries.
    pub documents: usize,
    /// Those that are judged.
    pub judged: usize,
    /// Whether there is a judgement of this session to take back.
    pub can_undo: bool,
}

/// Judging, from the first document that is still to be judged on.
pub struct Session {
    queries: BTreeMap<String, String>,
    items: Vec<(String, String)>,
    judged: Judged,
    /// Place among the items; their number when the end is reached.
    at: usize,
    made: Vec<(usize, Option<i32>)>,
}

impl Session {
    /// The first `depth` documents of every run for every query, pooled; of one query in an order that the seed decides.
    pub fn new(
        queries: BTreeMap<String, String>,
        runs: &[Run],
        depth: usize,
        judged: Judged,
        seed: u64,
    ) -> Self {
        let mut items = Vec::new();
        for query in queries.keys() {
            let mut pool = pool(runs, query, depth);
            // An order of its own for each query, whatever other queries there are.
            let hash = blake3::hash(query.as_bytes());
            let own = hash.as_bytes().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            Seeded::new(seed ^ own).shuffle(&mut pool);
            items.extend(pool.into_iter().map(|document| (query.clone(), document)));
        }
        let mut session = Self { queries, items, judged, at: 0, made: Vec::new() };
        session.at = session.open_from(0);
        session
    }

    /// What is looked at; `None` at the end.
    pub fn place(&self) -> Option<Place> {
        let (query, document) = self.items.get(self.at)?;
        let first = self.items.iter().position(|(of, _)| of == query)?;
        Some(Place {
            query: query.clone(),
            text: self.queries.get(query).cloned().unwrap_or_default(),
            document: document.clone(),
            grade: self.judged.grade(query, document),
            number: self.at - first + 1,
            of: self.items.iter().filter(|(of, _)| of == query).count(),
        })
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        let judged =
            self.items.iter().filter(|(query, document)| self.judged.grade(query, document).is_some());
        Progress { documents: self.items.len(), judged: judged.count(), can_undo: !self.made.is_empty() }
    }

    /// Judges what is looked at and goes to the next that is still to be judged. `about` is the query and document that the
    /// person saw; `Conflict` where something else is looked at by now, so that no grade lands on another document.
    pub fn grade(&mut self, about: (&str, &str), grade: i32) -> Result<()> {
        if !(0..=HIGHEST).contains(&grade) {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!("a grade is 0 to {HIGHEST}, not {grade}"),
            ));
        }
        let seen =
            self.items.get(self.at).filter(|(query, document)| (query.as_str(), document.as_str()) == about);
        let Some((query, document)) = seen.cloned() else {
            return Err(EvalError::new(
                ErrorKind::Conflict,
                "another document is looked at by now: look again",
            ));
        };
        let before = self.judged.grade(&query, &document);
        self.judged.keep(&query, &document, grade)?;
        self.made.push((self.at, before));
        self.at = self.open_from(self.at + 1);
        Ok(())
    }

    /// Goes to the next document, judged or not.
    pub fn next(&mut self) {
        self.at = (self.at + 1).min(self.items.len());
    }

    /// Goes to the document before, judged or not.
    pub fn previous(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// Goes to the first document of another query that is still to be judged.
    pub fn next_query(&mut self) {
        let Some((query, _)) = self.items.get(self.at) else { return };
        let beyond = self.items[self.at..].iter().position(|(of, _)| of != query);
        self.at = beyond.map_or(self.items.len(), |by| self.open_from(self.at + by));
    }

    /// Takes this session's last judgement back and looks at its document; whether there was one.
    pub fn undo(&mut self) -> Result<bool> {
        let Some((at, before)) = self.made.pop() else { return Ok(false) };
        let (query, document) = &self.items[at];
        match before {
            Some(grade) => self.judged.keep(query, document, grade)?,
            None => self.judged.forget(query, document)?,
        }
        self.at = at;
        Ok(true)
    }

    /// Judgements in the file, by grade.
    pub fn counts(&self) -> BTreeMap<i32, usize> {
        self.judged.counts()
    }

    fn open_from(&self, from: usize) -> usize {
        let open = |at: &usize| {
            let (query, document) = &self.items[*at];
            self.judged.grade(query, document).is_none()
        };
        (from..self.items.len()).find(open).unwrap_or(self.items.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(folder: &tempfile::TempDir) -> Session {
        let ranking = |ids: &[&str]| {
            ids.iter().enumerate().map(|(at, id)| ((*id).to_owned(), 9.0 - at as f32)).collect::<Vec<_>>()
        };
        let run = Run::from([
            ("q1".to_owned(), ranking(&["a", "b", "c", "d", "e", "f"])),
            ("q2".to_owned(), ranking(&["a", "g"])),
        ]);
        let queries = BTreeMap::from([("q1".into(), "first".into()), ("q2".into(), "second".into())]);
        Session::new(queries, &[run], 6, Judged::open(&folder.path().join("q.tsv")).unwrap(), 1)
    }

    fn judge(session: &mut Session, grade: i32) -> Place {
        let place = session.place().unwrap();
        session.grade((&place.query, &place.document), grade).unwrap();
        place
    }

    #[test]
    fn a_session_is_blind_and_goes_on_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = session(&folder);
        let order: Vec<String> = first.items.iter().map(|(_, document)| document.clone()).collect();
        assert_ne!(order[..6], ["a", "b", "c", "d", "e", "f"], "ranks show nothing");
        let seen = [judge(&mut first, 3), judge(&mut first, 0)];
        assert_eq!((seen[0].number, seen[0].of, seen[1].number), (1, 6, 2));
        let again = session(&folder);
        assert_eq!(again.place().unwrap().document, order[2]);
        assert_eq!(again.progress(), Progress { documents: 8, judged: 2, can_undo: false });
    }

    #[test]
    fn steps_and_undo_lead_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = session(&folder);
        let first = judge(&mut session, 2);
        session.previous();
        assert_eq!(session.place().unwrap().grade, Some(2));
        judge(&mut session, 1);
        assert!(session.undo().unwrap());
        assert_eq!(session.place(), Some(Place { grade: Some(2), ..first.clone() }));
        assert!(session.undo().unwrap() && !session.undo().unwrap());
        assert_eq!(session.place(), Some(Place { grade: None, ..first.clone() }));
        session.next_query();
        assert_eq!(session.place().unwrap().query, "q2");
        session.next_query();
        assert_eq!(session.place(), None);
        session.next();
        session.previous();
        assert_eq!(session.place().unwrap().number, 2);
        let other = session.grade((&first.query, &first.document), 1).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        let place = session.place().unwrap();
        assert!(session.grade((&place.query, &place.document), 4).is_err());
    }
}

//! What must be true after a crash, by what was acknowledged before it.

use std::collections::BTreeMap;

/// What a client did to one document, and whether it knows that it was done.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Revision, or `None` for absent.
    Certain(Option<u32>),
    /// The last request was cut: either the state before it or the one after it.
    Either(Option<u32>, Option<u32>),
}

/// The expected state of every document.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    documents: BTreeMap<String, State>,
    revisions: u32,
}

impl Oracle {
    /// A new revision number, never given before.
    pub(crate) fn next_revision(&mut self) -> u32 {
        self.revisions += 1;
        self.revisions
    }

    /// A request is about to be sent that makes `after` (a revision, or `None` for a deletion).
    pub(crate) fn begin(&mut self, id: &str, after: Option<u32>) {
        let before = match self.documents.get(id) {
            None => None,
            Some(State::Certain(revision)) => *revision,
            Some(State::Either(..)) => panic!("two requests for {id} at once"),
        };
        self.documents.insert(id.to_owned(), State::Either(before, after));
    }

    /// The request was acknowledged.
    pub(crate) fn acknowledge(&mut self, id: &str) {
        if let Some(State::Either(_, after)) = self.documents.get(id) {
            let after = *after;
            self.documents.insert(id.to_owned(), State::Certain(after));
        }
    }

    /// Whether a deletion of it was acknowledged and nothing was sent for it since.
    pub(crate) fn is_certainly_absent(&self, id: &str) -> bool {
        self.documents.get(id) == Some(&State::Certain(None))
    }

    /// Every document that any request named.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.documents.keys().cloned().collect()
    }

    /// Checks what is visible once everything accepted was worked off, and takes it as the certain state from now on.
    pub(crate) fn observe(&mut self, id: &str, visible: Option<u32>) -> Result<(), String> {
        let expected = self.documents.get(id).cloned().unwrap_or(State::Certain(None));
        let fine = match &expected {
            State::Certain(revision) => visible == *revision,
            State::Either(before, after) => visible == *before || visible == *after,
        };
        self.documents.insert(id.to_owned(), State::Certain(visible));
        if fine { Ok(()) } else { Err(format!("{id}: expected {expected:?}, visible is {visible:?}")) }
    }
}

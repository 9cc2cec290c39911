//! Chunks that hold an identifier or a quoted phrase letter by letter: places in the `verbatim` field.

use std::sync::Arc;

use roaring::RoaringTreemap;
use tantivy::Term;
use tantivy::query::{BooleanQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

use super::search::{BestKeys, hits_of};
use super::{Inner, failed};
use crate::error::Result;
use crate::keyword::{Exact, KeywordHit};

impl Inner {
    /// See [`crate::keyword::KeywordIndex::holding`].
    pub(super) fn holding(
        &self,
        exacts: &[Exact],
        k: usize,
        among: Option<RoaringTreemap>,
    ) -> Result<Vec<KeywordHit>> {
        let searcher = self.reader.searcher();
        let k = k.min(usize::try_from(searcher.num_docs()).unwrap_or(usize::MAX));
        let clauses: Vec<_> = exacts.iter().flat_map(|exact| self.clauses(exact)).collect();
        if k == 0 || clauses.is_empty() || among.as_ref().is_some_and(RoaringTreemap::is_empty) {
            return Ok(Vec::new());
        }
        let best = BestKeys { k, among: among.map(Arc::new) };
        let hits = searcher
            .search(&BooleanQuery::new(clauses), &best)
            .map_err(|e| failed("look up what a keyword index holds", e))?;
        Ok(hits_of(hits))
    }

    /// What finds it, and what adds to it: a name by itself counts about twice what it does inside a longer one. The second
    /// never finds anything that the first does not.
    fn clauses(&self, exact: &Exact) -> Vec<(Occur, Box<dyn Query>)> {
        let one = |text: &String| -> Box<dyn Query> {
            let term = Term::from_field_text(self.fields.verbatim, text);
            Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
        };
        let found: Box<dyn Query> = match exact.terms.as_slice() {
            [] => return Vec::new(),
            [only] => one(only),
            many => {
                let terms = many.iter().map(|text| Term::from_field_text(self.fields.verbatim, text));
                Box::new(PhraseQuery::new(terms.collect()))
            }
        };
        let whole = exact.whole.as_ref().map(one);
        std::iter::once(found).chain(whole).map(|query| (Occur::Should, query)).collect()
    }
}

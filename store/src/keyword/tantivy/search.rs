//! One keyword search: terms to posting lists, BM25 with shared statistics per word, the best k by score and key.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringTreemap;
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::query::{
    Bm25StatisticsProvider, BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, Query, TermQuery, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Score, Searcher, SegmentOrdinal, SegmentReader, Term};

use super::{Inner, failed, score};
use crate::document::ChunkKey;
use crate::error::Result;
use crate::keyword::analyzer::{Analysis, QueryTerm, query_terms};
use crate::keyword::{KeywordHit, KeywordScoring};
use crate::vector::flat::top::TopHits;

/// A search that owns what it is about.
pub(super) struct Ask {
    pub(super) text: String,
    pub(super) k: usize,
    pub(super) among: Option<RoaringTreemap>,
    pub(super) scoring: KeywordScoring,
    pub(super) fuzzy: bool,
}

/// A word of the query as it is looked up.
pub(super) struct Word {
    /// The forms to look for and what each counts, 1 for the word itself.
    pub(super) forms: Vec<(String, f32)>,
    pub(super) times: u32,
}

impl From<&QueryTerm> for Word {
    fn from(term: &QueryTerm) -> Self {
        Self { forms: term.variants.iter().map(|form| (form.clone(), 1.0)).collect(), times: term.times }
    }
}

/// A word in a field.
pub(super) struct Clause {
    pub(super) field: Field,
    /// A chunk counts once, by the best of them.
    pub(super) forms: Vec<(Term, f32)>,
    pub(super) boost: f32,
}

impl Inner {
    pub(super) fn search(&self, ask: Ask) -> Result<Vec<KeywordHit>> {
        let searcher = self.reader.searcher();
        let k = ask.k.min(usize::try_from(searcher.num_docs()).unwrap_or(usize::MAX));
        if k == 0 || ask.among.as_ref().is_some_and(RoaringTreemap::is_empty) {
            return Ok(Vec::new());
        }
        let present = self.analyses(&searcher)?;
        let terms = query_terms(&ask.text, &present);
        let words = if ask.fuzzy {
            self.with_replacements(&searcher, &terms, &present)?
        } else {
            terms.iter().map(Word::from).collect()
        };
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut statistics = Statistics::new(&searcher)?;
        let mut clauses = Vec::new();
        let KeywordScoring { title, headings, .. } = ask.scoring;
        let Self { fields, .. } = self;
        for (field, weight) in [(fields.text, 1.0), (fields.title, title), (fields.headings, headings)] {
            if weight > 0.0 {
                for word in &words {
                    clauses.push(statistics.clause(field, word, weight)?);
                }
            }
        }
        let best = BestKeys { k, among: ask.among.map(Arc::new) };
        let hits = if ask.scoring.is_built_in() {
            let clauses = clauses.iter().map(|clause| (Occur::Should, clause.query())).collect();
            searcher.search_with_statistics_provider(&BooleanQuery::new(clauses), &best, &statistics)
        } else {
            score::best(&searcher, &statistics, &clauses, ask.scoring, &best)
        };
        Ok(hits_of(hits.map_err(|e| failed("search a keyword index", e))?))
    }

    /// The analyses that the indexed chunks went through, the most frequent first.
    pub(super) fn analyses(&self, searcher: &Searcher) -> Result<Vec<Analysis>> {
        let mut counts: HashMap<Analysis, u64> = HashMap::new();
        for segment in searcher.segment_readers() {
            let index = segment
                .inverted_index(self.fields.language)
                .map_err(|e| failed("read a keyword index's languages", e))?;
            let mut languages =
                index.terms().stream().map_err(|e| failed("read a keyword index's languages", e.into()))?;
            while languages.advance() {
                let name = std::str::from_utf8(languages.key()).ok();
                *counts.entry(Analysis::of(name)).or_default() += u64::from(languages.value().doc_freq);
            }
        }
        let mut counts: Vec<(Analysis, u64)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(counts.into_iter().map(|(analysis, _)| analysis).collect())
    }
}

pub(super) fn hits_of(top: TopHits) -> Vec<KeywordHit> {
    top.into_sorted().into_iter().map(|hit| KeywordHit { key: hit.key, score: hit.score }).collect()
}

impl Clause {
    fn query(&self) -> Box<dyn Query> {
        let boosted = |query: Box<dyn Query>, boost: f32| -> Box<dyn Query> {
            if boost == 1.0 { query } else { Box::new(BoostQuery::new(query, boost)) }
        };
        let one = |(term, weight): &(Term, f32)| {
            boosted(Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs)), *weight)
        };
        let query = match self.forms.as_slice() {
            [only] => one(only),
            many => Box::new(DisjunctionMaxQuery::new(many.iter().map(one).collect())),
        };
        boosted(query, self.boost)
    }
}

/// BM25's statistics with the forms of one word counted together: a form that is rare only because few documents are in
/// its language must not outweigh the word's usual form.
pub(super) struct Statistics<'a> {
    searcher: &'a Searcher,
    documents: u64,
    frequencies: HashMap<Term, u64>,
}

impl<'a> Statistics<'a> {
    pub(super) fn new(searcher: &'a Searcher) -> Result<Self> {
        let documents = searcher.total_num_docs().map_err(|e| failed("count a keyword index", e))?;
        Ok(Self { searcher, documents, frequencies: HashMap::new() })
    }

    /// The word in a field, its forms counted together from now on.
    fn clause(&mut self, field: Field, word: &Word, weight: f32) -> Result<Clause> {
        let term = |(form, weight): &(String, f32)| (Term::from_field_text(field, form), *weight);
        let forms: Vec<(Term, f32)> = word.forms.iter().map(term).collect();
        let mut together = 0;
        for (term, _) in &forms {
            together += self.searcher.doc_freq(term).map_err(|e| failed("count a keyword index", e))?;
        }
        for (term, _) in &forms {
            let known = self.frequencies.entry(term.clone()).or_default();
            *known = (*known).max(together.min(self.documents));
        }
        Ok(Clause { field, forms, boost: weight * word.times as f32 })
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.searcher.total_num_tokens(field)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.documents)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        match self.frequencies.get(term) {
            Some(frequency) => Ok(*frequency),
            None => Bm25StatisticsProvider::doc_freq(self.searcher, term),
        }
    }
}

/// Collects the best `k` chunk keys among those allowed. tantivy's own collector breaks ties by its internal numbers,
/// which change with every merge; this one breaks them by key.
pub(super) struct BestKeys {
    pub(super) k: usize,
    pub(super) among: Option<Arc<RoaringTreemap>>,
}

impl BestKeys {
    pub(super) fn of_segment(&self, segment: &SegmentReader) -> tantivy::Result<BestKeysOfSegment> {
        let keys = segment.fast_fields().u64("key")?;
        Ok(BestKeysOfSegment { keys, among: self.among.clone(), top: TopHits::new(self.k) })
    }
}

impl Collector for BestKeys {
    type Fruit = TopHits;
    type Child = BestKeysOfSegment;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<Self::Child> {
        self.of_segment(segment)
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        ordinal: u32,
        segment: &SegmentReader,
    ) -> tantivy::Result<TopHits> {
        let mut best = self.for_segment(ordinal, segment)?;
        let alive = segment.alive_bitset();
        // Strictly greater scores are offered, so the bar stays a hair below the worst kept: an equal score may still win
        // by its key.
        weight.for_each_pruning(Score::MIN, segment, &mut |doc, score| {
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                best.collect(doc, score);
            }
            best.top.floor().map_or(Score::MIN, f32::next_down)
        })?;
        Ok(best.harvest())
    }

    fn merge_fruits(&self, segments: Vec<TopHits>) -> tantivy::Result<TopHits> {
        Ok(segments.into_iter().fold(TopHits::new(self.k), TopHits::merge))
    }
}

pub(super) struct BestKeysOfSegment {
    keys: Column<u64>,
    among: Option<Arc<RoaringTreemap>>,
    top: TopHits,
}

impl BestKeysOfSegment {
    /// Considers a chunk that is not removed.
    pub(super) fn offer(&mut self, doc: DocId, score: Score) {
        let Some(key) = self.keys.first(doc) else { return };
        if self.among.as_ref().is_none_or(|keys| keys.contains(key)) {
            self.top.offer(ChunkKey(key as i64), score);
        }
    }

    pub(super) fn into_top(self) -> TopHits {
        self.top
    }
}

impl SegmentCollector for BestKeysOfSegment {
    type Fruit = TopHits;

    fn collect(&mut self, doc: DocId, score: Score) {
        self.offer(doc, score);
    }

    fn harvest(self) -> TopHits {
        self.top
    }
}

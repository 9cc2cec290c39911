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

use super::{Inner, failed};
use crate::document::ChunkKey;
use crate::error::Result;
use crate::keyword::KeywordHit;
use crate::keyword::analyzer::{Analysis, QueryTerm, query_terms};
use crate::vector::flat::top::TopHits;

impl Inner {
    pub(super) fn search(
        &self,
        text: &str,
        k: usize,
        among: Option<RoaringTreemap>,
    ) -> Result<Vec<KeywordHit>> {
        let searcher = self.reader.searcher();
        let k = k.min(usize::try_from(searcher.num_docs()).unwrap_or(usize::MAX));
        if k == 0 || among.as_ref().is_some_and(RoaringTreemap::is_empty) {
            return Ok(Vec::new());
        }
        let terms = query_terms(text, &self.analyses(&searcher)?);
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let mut statistics = Statistics::new(&searcher)?;
        let mut clauses = Vec::new();
        for (field, weight) in [(self.fields.text, 1.0), (self.fields.heading, self.settings.heading_weight)]
        {
            if weight > 0.0 {
                for term in &terms {
                    statistics.share(field, &term.variants)?;
                    clauses.push((Occur::Should, clause(field, term, weight)));
                }
            }
        }
        let best = BestKeys { k, among: among.map(Arc::new) };
        let hits = searcher
            .search_with_statistics_provider(&BooleanQuery::new(clauses), &best, &statistics)
            .map_err(|e| failed("search a keyword index", e))?;
        Ok(hits.into_sorted().into_iter().map(|hit| KeywordHit { key: hit.key, score: hit.score }).collect())
    }

    /// The analyses that the indexed chunks went through, the most frequent first.
    fn analyses(&self, searcher: &Searcher) -> Result<Vec<Analysis>> {
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

fn clause(field: Field, term: &QueryTerm, weight: f32) -> Box<dyn Query> {
    let one = |text: &String| -> Box<dyn Query> {
        Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::WithFreqs))
    };
    let query: Box<dyn Query> = match term.variants.as_slice() {
        [only] => one(only),
        many => Box::new(DisjunctionMaxQuery::new(many.iter().map(one).collect())),
    };
    let boost = weight * term.times as f32;
    if boost == 1.0 { query } else { Box::new(BoostQuery::new(query, boost)) }
}

/// BM25's statistics with the forms of one word counted together: a form that is rare only because few documents are in
/// its language must not outweigh the word's usual form.
struct Statistics<'a> {
    searcher: &'a Searcher,
    documents: u64,
    frequencies: HashMap<Term, u64>,
}

impl<'a> Statistics<'a> {
    fn new(searcher: &'a Searcher) -> Result<Self> {
        let documents = searcher.total_num_docs().map_err(|e| failed("count a keyword index", e))?;
        Ok(Self { searcher, documents, frequencies: HashMap::new() })
    }

    fn share(&mut self, field: Field, variants: &[String]) -> Result<()> {
        let terms: Vec<Term> = variants.iter().map(|text| Term::from_field_text(field, text)).collect();
        let mut together = 0;
        for term in &terms {
            together += self.searcher.doc_freq(term).map_err(|e| failed("count a keyword index", e))?;
        }
        for term in terms {
            let known = self.frequencies.entry(term).or_default();
            *known = (*known).max(together.min(self.documents));
        }
        Ok(())
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
struct BestKeys {
    k: usize,
    among: Option<Arc<RoaringTreemap>>,
}

impl Collector for BestKeys {
    type Fruit = TopHits;
    type Child = BestKeysOfSegment;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<Self::Child> {
        let keys = segment.fast_fields().u64("key")?;
        Ok(BestKeysOfSegment { keys, among: self.among.clone(), top: TopHits::new(self.k) })
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

struct BestKeysOfSegment {
    keys: Column<u64>,
    among: Option<Arc<RoaringTreemap>>,
    top: TopHits,
}

impl SegmentCollector for BestKeysOfSegment {
    type Fruit = TopHits;

    fn collect(&mut self, doc: DocId, score: Score) {
        let Some(key) = self.keys.first(doc) else { return };
        if self.among.as_ref().is_none_or(|keys| keys.contains(key)) {
            self.top.offer(ChunkKey(key as i64), score);
        }
    }

    fn harvest(self) -> TopHits {
        self.top
    }
}

//! BM25 with constants of one's own, over tantivy's posting lists: what tantivy computes at k1 1.2 and b 0.75, for any.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Score, Searcher, SegmentReader, TERMINATED};

use super::search::{BestKeys, Clause, Statistics};
use crate::keyword::KeywordScoring;
use crate::vector::flat::top::TopHits;

/// The best chunks for all clauses. Every posting of every word is read: nothing can be skipped without the bounds that
/// tantivy keeps for its own constants.
pub(super) fn best(
    searcher: &Searcher,
    statistics: &Statistics<'_>,
    clauses: &[Clause],
    scoring: KeywordScoring,
    best: &BestKeys,
) -> tantivy::Result<TopHits> {
    let mut top = TopHits::new(best.k);
    for segment in searcher.segment_readers() {
        let mut sums = Sums::new(segment);
        for clause in clauses {
            sums.add(clause, statistics, scoring)?;
        }
        let mut found = best.of_segment(segment)?;
        for (doc, &score) in (0..).zip(&sums.scores) {
            if score > 0.0 && segment.alive_bitset().is_none_or(|alive| alive.is_alive(doc)) {
                found.offer(doc, score);
            }
        }
        top = top.merge(found.into_top());
    }
    Ok(top)
}

/// The scores of one segment's chunks, word by word.
struct Sums<'a> {
    segment: &'a SegmentReader,
    scores: Vec<Score>,
    /// The best form of the word at hand, per chunk, and which chunks have one.
    word: Vec<Score>,
    touched: Vec<u32>,
}

impl<'a> Sums<'a> {
    fn new(segment: &'a SegmentReader) -> Self {
        let chunks = segment.max_doc() as usize;
        Self { segment, scores: vec![0.0; chunks], word: Vec::new(), touched: Vec::new() }
    }

    fn add(
        &mut self,
        clause: &Clause,
        statistics: &Statistics<'_>,
        scoring: KeywordScoring,
    ) -> tantivy::Result<()> {
        let index = self.segment.inverted_index(clause.field)?;
        let norms = self.segment.fieldnorms_readers().get_field(clause.field)?;
        let factors = Factors::new(statistics, clause.field, scoring)?;
        self.word.resize(self.scores.len(), 0.0);
        for (term, weight) in &clause.forms {
            let Some(mut postings) = index.read_postings(term, IndexRecordOption::WithFreqs)? else {
                continue;
            };
            let idf = idf(statistics.doc_freq(term)?, statistics.total_num_docs()?);
            let most = idf * (1.0 + scoring.k1) * clause.boost * weight;
            let mut doc = postings.doc();
            while doc != TERMINATED {
                let length = norms.as_ref().map_or(0, |norms| norms.fieldnorm_id(doc));
                let score = most * factors.of(postings.term_freq(), length);
                let place = &mut self.word[doc as usize];
                if *place == 0.0 {
                    self.touched.push(doc);
                }
                *place = place.max(score);
                doc = postings.advance();
            }
        }
        for doc in self.touched.drain(..) {
            self.scores[doc as usize] += std::mem::take(&mut self.word[doc as usize]);
        }
        Ok(())
    }
}

/// `tf / (tf + k1 · (1 − b + b · length / average))` for every length that an index can tell apart.
struct Factors(Vec<Score>);

impl Factors {
    fn new(statistics: &Statistics<'_>, field: Field, scoring: KeywordScoring) -> tantivy::Result<Self> {
        let KeywordScoring { k1, b, .. } = scoring;
        let average = statistics.total_num_tokens(field)? as Score / statistics.total_num_docs()? as Score;
        let norm = |id| k1 * (1.0 - b + b * FieldNormReader::id_to_fieldnorm(id) as Score / average);
        Ok(Self((0..=u8::MAX).map(norm).collect()))
    }

    fn of(&self, frequency: u32, length: u8) -> Score {
        let frequency = frequency as Score;
        frequency / (frequency + self.0[usize::from(length)])
    }
}

/// Lucene's, as tantivy has it.
fn idf(chunks: u64, all: u64) -> Score {
    (1.0 + (all.saturating_sub(chunks) as Score + 0.5) / (chunks as Score + 0.5)).ln()
}

//! What is known of a hit, as numbers.

use std::collections::HashSet;

use wellspring_store::keyword::analyzer::Analysis;

use crate::blocking::blocking;
use crate::error::Result;
use crate::fuse::LegScore;
use crate::passage::Passage;
use crate::refine::proximity::nearness;

/// Damping of reciprocal ranks, as in fusion.
const DAMPING: f64 = 10.0;

/// The features, in the order of a row. Model files name them, so a name never changes its meaning.
///
/// Of either leg: the score as it gave it (0 where unknown), the normalised score (0 where fusion did not use one), and
/// `1 / (10 + rank)` (0 where it did not list the hit). `fused_rank` likewise. `coverage` and `title_coverage`: the share
/// of the query's distinct terms that the text, or title and headings, hold. `proximity`: 0 to 1, how near and in order
/// they stand. `length`: `ln(1 + terms)`. `place`: `1 / (1 + chunks before it in its document)`.
pub const FEATURES: [&str; 13] = [
    "dense_score",
    "dense_normalized",
    "dense_rank",
    "keyword_score",
    "keyword_normalized",
    "keyword_rank",
    "fused_score",
    "fused_rank",
    "coverage",
    "title_coverage",
    "proximity",
    "length",
    "place",
];

/// One row per hit, in order.
pub(crate) async fn rows(query: &str, hits: &[Passage]) -> Result<Vec<Vec<f64>>> {
    let (query, hits) = (query.to_owned(), hits.to_vec());
    let rows = move || {
        let near = nearness(&query, &hits);
        hits.iter().zip(near).map(|(hit, near)| row(&query, hit, near).into()).collect()
    };
    blocking("counting what the ranker looks at", rows).await
}

fn row(query: &str, hit: &Passage, near: f64) -> [f64; FEATURES.len()] {
    let analysis = Analysis::of(hit.language.as_deref());
    let wanted: HashSet<String> = analysis.terms(query).into_iter().collect();
    let text = analysis.terms(&hit.text);
    let above = hit.title.iter().chain(&hit.headings).flat_map(|line| analysis.terms(line));
    let origin = hit.origin.unwrap_or_default();
    let [dense_score, dense_normalized, dense_rank] = of_leg(origin.dense);
    let [keyword_score, keyword_normalized, keyword_rank] = of_leg(origin.keyword);
    [
        dense_score,
        dense_normalized,
        dense_rank,
        keyword_score,
        keyword_normalized,
        keyword_rank,
        f64::from(origin.fused),
        reciprocal(origin.fused_rank),
        share(&wanted, text.iter().cloned()),
        share(&wanted, above),
        near,
        (text.len() as f64).ln_1p(),
        1.0 / (1.0 + f64::from(hit.place.ordinal)),
    ]
}

fn of_leg(leg: Option<LegScore>) -> [f64; 3] {
    leg.map_or([0.0; 3], |leg| {
        [leg.score.map_or(0.0, f64::from), leg.normalized.unwrap_or(0.0), leg.rank.map_or(0.0, reciprocal)]
    })
}

fn reciprocal(rank: usize) -> f64 {
    1.0 / (DAMPING + rank as f64)
}

fn share(wanted: &HashSet<String>, held: impl Iterator<Item = String>) -> f64 {
    if wanted.is_empty() {
        return 0.0;
    }
    let held: HashSet<String> = held.filter(|term| wanted.contains(term)).collect();
    held.len() as f64 / wanted.len() as f64
}

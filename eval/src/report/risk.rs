//! Risk–coverage: how good the answered queries are if those with the least confidence are refused.

use serde::{Deserialize, Serialize};

use crate::retrieval::RetrievalReport;

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Share of queries that are answered: those with the highest confidence.
    pub coverage: f64,
    /// One minus the mean of the measure over them.
    pub risk: f64,
}

/// The curve of a measure, from the most confident query alone to all of them (El-Yaniv and Wiener, JMLR 11, 2010), and the
/// area under it. Queries of equal confidence enter together; those that found nothing, which have none, enter last. Empty
/// where no query has a confidence.
pub fn risk_coverage(report: &RetrievalReport, measure: &str) -> (Vec<Coverage>, f64) {
    let mut queries: Vec<(f64, f64)> = report
        .scores
        .per_query
        .iter()
        .filter_map(|(query, values)| {
            let confidence = report.confidence.get(query).copied().unwrap_or(f64::NEG_INFINITY);
            Some((confidence, *values.get(measure)?))
        })
        .collect();
    if report.confidence.is_empty() {
        return (Vec::new(), 0.0);
    }
    queries.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut curve, mut sum) = (Vec::new(), 0.0);
    for (at, (confidence, value)) in queries.iter().enumerate() {
        sum += value;
        let answered = at + 1;
        if queries.get(answered).is_none_or(|next| next.0 < *confidence) {
            curve.push(Coverage {
                coverage: answered as f64 / queries.len() as f64,
                risk: 1.0 - sum / answered as f64,
            });
        }
    }
    let area = curve.iter().scan(0.0, |before, point| {
        let width = point.coverage - *before;
        *before = point.coverage;
        Some(width * point.risk)
    });
    let area = area.sum();
    (curve, area)
}

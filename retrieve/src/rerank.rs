//! Lets a cross-encoder look at the best hits again, within a time budget; without its answer the fused order stands.

use std::time::Duration;

use wellspring_models::Reranker;

use crate::exact::Pins;
use crate::explain::Degraded;
use crate::passage::Passage;

/// Reorders the passages by the reranker's scores (score descending, then chunk key ascending), or leaves them as they
/// are and says why.
pub(crate) async fn rerank(
    reranker: &dyn Reranker,
    query: &str,
    passages: &mut [Passage],
    budget: Duration,
) -> Option<Degraded> {
    let texts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
    let reason = match tokio::time::timeout(budget, reranker.rerank(query, &texts)).await {
        Ok(Ok(scores)) if scores.len() == passages.len() && scores.iter().all(|score| score.is_finite()) => {
            for (passage, score) in passages.iter_mut().zip(scores) {
                passage.score = score;
                if let Some(explain) = &mut passage.explain {
                    explain.rerank = Some(score);
                    explain.relevance = reranker.probability(score);
                }
            }
            passages.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.key.cmp(&b.place.key)));
            return None;
        }
        Ok(Ok(_)) => "the reranker did not give one finite score per passage".to_owned(),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "reranking failed");
            error.to_string()
        }
        Err(_) => format!("the reranker gave no answer within {} ms", budget.as_millis()),
    };
    Some(Degraded { leg: "rerank".to_owned(), reason: format!("{reason}; hits are in fused order") })
}

/// Leaves out what is less likely than `least` to be relevant, and what was not among the `read` first hits that the
/// reranker scored; how many. A reranker whose scores are no probabilities can't say, and leaves everything in.
pub(crate) fn keep_relevant(
    reranker: &dyn Reranker,
    hits: &mut Vec<Passage>,
    read: usize,
    least: f32,
    pins: &Pins,
) -> Result<usize, Degraded> {
    let likely: Option<Vec<bool>> =
        hits.iter().take(read).map(|hit| Some(reranker.probability(hit.score)? >= least)).collect();
    let Some(likely) = likely else {
        let reason = format!(
            "the scores of {} are no probabilities, so `rerank.min_score` leaves nothing out",
            reranker.name()
        );
        return Err(Degraded { leg: "rerank".to_owned(), reason });
    };
    let before = hits.len();
    let mut likely = likely.into_iter();
    hits.retain(|hit| likely.next().unwrap_or(false) || pins.holds(hit.place.key));
    Ok(before - hits.len())
}

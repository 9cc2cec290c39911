//! Lets a cross-encoder look at the best hits again, within a time budget; without its answer the fused order stands.

use std::time::Duration;

use wellspring_models::Reranker;

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

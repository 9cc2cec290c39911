//! A reranker that counts shared words.

use std::collections::HashSet;

use async_trait::async_trait;

use super::OVERLAP_RERANKER;
use crate::error::Result;
use crate::rerank::Reranker;
use crate::text::words;

/// Scores a passage by the share of the query's distinct words that it holds, 0 to 1.
#[derive(Debug, Default, Clone, Copy)]
pub struct OverlapReranker;

#[async_trait]
impl Reranker for OverlapReranker {
    fn name(&self) -> &str {
        OVERLAP_RERANKER
    }

    async fn rerank(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        let wanted: HashSet<String> = words(query).collect();
        let score = |passage: &&str| {
            if wanted.is_empty() {
                return 0.0;
            }
            let present: HashSet<String> = words(passage).collect();
            wanted.intersection(&present).count() as f32 / wanted.len() as f32
        };
        Ok(passages.iter().map(score).collect())
    }

    fn probability(&self, score: f32) -> Option<f32> {
        Some(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_passage_that_holds_more_of_the_query_scores_higher() {
        let scores =
            OverlapReranker.rerank("Paid leave days?", &["no idea", "Paid leave: 30 days.", "leave"]).await;
        assert_eq!(scores.unwrap(), [0.0, 1.0, 1.0 / 3.0]);
    }

    #[tokio::test]
    async fn an_empty_query_or_no_passages_are_no_error() {
        assert_eq!(OverlapReranker.rerank("", &["a"]).await.unwrap(), [0.0]);
        assert!(OverlapReranker.rerank("a", &[]).await.unwrap().is_empty());
    }
}

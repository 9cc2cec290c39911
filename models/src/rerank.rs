//! The seam that scores passages against a query, both read together (a cross-encoder), and its models behind HTTP.

mod http;
mod listwise;
mod wire;

use async_trait::async_trait;

pub use http::HttpReranker;
pub use listwise::{LISTWISE_RERANKER, ListwiseReranker};

use crate::error::Result;

/// Scores passages against one query.
#[async_trait]
pub trait Reranker: Send + Sync + 'static {
    /// The name a configuration uses.
    fn name(&self) -> &str;

    /// One finite score per passage, in the same order, higher is better; scores of two calls with different queries
    /// are not comparable. An empty slice gives an empty vector. Passages come best first as far as is known, which a
    /// model that compares them with each other may use; one that reads each alone does not depend on it.
    async fn rerank(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>>;

    /// A score of [`Self::rerank`] as the probability that the passage is relevant, 0 to 1, which means the same for
    /// every query: what a threshold may act on. Never falls when the score rises. `None` where scores only order.
    fn probability(&self, _score: f32) -> Option<f32> {
        None
    }
}

//! The seam that scores passages against a query, both read together (a cross-encoder).

use async_trait::async_trait;

use crate::error::Result;

/// Scores passages against one query.
#[async_trait]
pub trait Reranker: Send + Sync + 'static {
    /// The name a configuration uses.
    fn name(&self) -> &str;

    /// One finite score per passage, in the same order, higher is better; scores of two calls with different queries
    /// are not comparable. An empty slice gives an empty vector.
    async fn rerank(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>>;
}

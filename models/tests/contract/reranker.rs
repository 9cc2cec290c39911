//! What every reranker must keep.

use wellspring_models::Reranker;

const QUERY: &str = "paid leave days";
const PASSAGES: [&str; 4] =
    ["travel costs", "paid leave is thirty days", "leave", "paid leave is thirty days"];

/// Scores are finite, one per passage in their order, the same each time; probabilities are such and rise with the score.
pub(crate) async fn keeps_contract(reranker: &dyn Reranker) {
    assert!(!reranker.name().is_empty());
    assert!(reranker.rerank(QUERY, &[]).await.unwrap().is_empty());
    let scores = reranker.rerank(QUERY, &PASSAGES).await.unwrap();
    assert_eq!(scores.len(), PASSAGES.len());
    assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    assert!(scores[1] > scores[0] && scores[3] > scores[0], "{scores:?}");
    assert_eq!(reranker.rerank(QUERY, &PASSAGES).await.unwrap(), scores);
    let mut sorted = scores;
    sorted.sort_by(f32::total_cmp);
    let probabilities: Vec<Option<f32>> = sorted.iter().map(|score| reranker.probability(*score)).collect();
    assert!(probabilities.iter().all(Option::is_some) || probabilities.iter().all(Option::is_none));
    let probabilities: Vec<f32> = probabilities.into_iter().flatten().collect();
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
    assert!(probabilities.is_sorted(), "{probabilities:?}");
}

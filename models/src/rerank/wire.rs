//! What the reranking APIs send and receive, and how a reply becomes one score per passage.
//!
//! Cohere: `POST /v2/rerank` (API reference, "Rerank V2"). Jina: `POST /v1/rerank`, which vLLM, Infinity, LocalAI and
//! llama.cpp also speak. TEI: `POST /rerank` of Hugging Face's text-embeddings-inference.

use serde::{Deserialize, Serialize};

use crate::registry::RerankApi;

/// A request in one of the dialects.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Request<'a> {
    Cohere {
        model: &'a str,
        query: &'a str,
        documents: &'a [&'a str],
        /// All of them: a reply with fewer would leave the rest without a place.
        top_n: usize,
        max_tokens_per_doc: usize,
    },
    Jina {
        model: &'a str,
        query: &'a str,
        documents: &'a [&'a str],
        top_n: usize,
        return_documents: bool,
    },
    Tei {
        query: &'a str,
        texts: &'a [&'a str],
        raw_scores: bool,
        return_text: bool,
        /// The server knows its tokenizer: better that it cuts than that it refuses.
        truncate: bool,
    },
}

impl<'a> Request<'a> {
    pub(super) fn new(
        api: RerankApi,
        model: &'a str,
        max_tokens: usize,
        query: &'a str,
        passages: &'a [&'a str],
    ) -> Self {
        match api {
            RerankApi::Cohere => Self::Cohere {
                model,
                query,
                documents: passages,
                top_n: passages.len(),
                max_tokens_per_doc: max_tokens,
            },
            RerankApi::Jina => Self::Jina {
                model,
                query,
                documents: passages,
                top_n: passages.len(),
                return_documents: false,
            },
            RerankApi::Tei => {
                Self::Tei { query, texts: passages, raw_scores: false, return_text: false, truncate: true }
            }
        }
    }
}

/// The reply of Cohere and Jina; what else they say (ids, billed units) is not needed.
#[derive(Debug, Deserialize)]
pub(super) struct Results {
    pub(super) results: Vec<Ranked>,
}

/// One passage's standing; TEI's reply is a bare list of them.
#[derive(Debug, Deserialize)]
pub(super) struct Ranked {
    /// Place in the request, from 0.
    pub(super) index: usize,
    /// Named so by Cohere and Jina; TEI says `score`.
    #[serde(alias = "score")]
    pub(super) relevance_score: f64,
}

/// One finite score per passage, in the order of the request; or what is wrong with the reply, in words. Nothing is
/// guessed: a passage without a score has no place in the order. `probabilities` also refuses what is not 0 to 1.
pub(super) fn in_order(
    ranked: &[Ranked],
    passages: usize,
    probabilities: bool,
) -> std::result::Result<Vec<f32>, String> {
    if ranked.len() != passages {
        return Err(format!("gave {} scores for {passages} passages", ranked.len()));
    }
    let mut ordered: Vec<Option<f32>> = vec![None; passages];
    for Ranked { index, relevance_score } in ranked {
        let score = *relevance_score as f32;
        if !score.is_finite() || (probabilities && !(0.0..=1.0).contains(&score)) {
            return Err(format!(
                "gave the score {relevance_score}; if its scores are no probabilities, set `calibrated = false`"
            ));
        }
        match ordered.get_mut(*index) {
            Some(slot @ None) => *slot = Some(score),
            Some(Some(_)) => return Err(format!("scored passage {index} twice")),
            None => return Err(format!("scored passage {index} of {passages}, counted from 0")),
        }
    }
    Ok(ordered.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_as_the_services_document_them() {
        let passages = ["one", "two"];
        let written = |api| serde_json::to_value(Request::new(api, "m", 512, "why", &passages)).unwrap();
        assert_eq!(
            written(RerankApi::Cohere),
            json!({"model": "m", "query": "why", "documents": ["one", "two"], "top_n": 2, "max_tokens_per_doc": 512})
        );
        assert_eq!(
            written(RerankApi::Jina),
            json!({"model": "m", "query": "why", "documents": ["one", "two"], "top_n": 2, "return_documents": false})
        );
        assert_eq!(
            written(RerankApi::Tei),
            json!({"query": "why", "texts": ["one", "two"], "raw_scores": false, "return_text": false, "truncate": true})
        );
    }

    #[test]
    fn a_reply_becomes_scores_in_the_order_of_the_request_or_is_refused() {
        let ranked = |pairs: &[(usize, f64)]| -> Vec<Ranked> {
            pairs.iter().map(|&(index, relevance_score)| Ranked { index, relevance_score }).collect()
        };
        assert_eq!(in_order(&ranked(&[(1, 0.9), (0, 0.2)]), 2, true).unwrap(), [0.2, 0.9]);
        assert_eq!(in_order(&ranked(&[(0, -7.5)]), 1, false).unwrap(), [-7.5]);
        assert!(in_order(&[], 0, true).unwrap().is_empty());
        for (pairs, probabilities, why) in [
            (vec![(0, 0.5)], true, "1 scores for 2"),
            (vec![(0, 0.5), (1, 0.5), (1, 0.4)], true, "3 scores for 2"),
            (vec![(0, 0.5), (0, 0.4)], true, "twice"),
            (vec![(0, 0.5), (2, 0.4)], true, "passage 2 of 2"),
            (vec![(0, f64::NAN), (1, 0.4)], false, "NaN"),
            (vec![(0, 1e300), (1, 0.4)], false, "the score"),
            (vec![(0, 1.5), (1, 0.4)], true, "calibrated"),
        ] {
            let error = in_order(&ranked(&pairs), 2, probabilities).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}

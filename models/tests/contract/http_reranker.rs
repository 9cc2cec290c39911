//! Rerankers over HTTP, in each of the three wire formats: the contract, what is sent, and every fault for what it is.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wellspring_models::fake::OverlapReranker;
use wellspring_models::registry::{Deadlines, RerankApi, RerankerEndpoint, RetryPolicy};
use wellspring_models::remote::BreakerConfig;
use wellspring_models::rerank::HttpReranker;
use wellspring_models::{ErrorKind, ModelError, Reranker, Secret};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::raw::{Step, serve};
use crate::reranker;

const APIS: [RerankApi; 3] = [RerankApi::Cohere, RerankApi::Jina, RerankApi::Tei];

/// What stands before `/rerank` in the service's own address.
fn base(api: RerankApi) -> &'static str {
    match api {
        RerankApi::Cohere => "/v2",
        RerankApi::Jina => "/v1",
        RerankApi::Tei => "",
    }
}

fn config(api: RerankApi, url: &str) -> RerankerEndpoint {
    RerankerEndpoint {
        base_url: format!("{url}{}", base(api)),
        api_key: Some(Secret::new("sk-secret")),
        deadlines: Deadlines { total_ms: 20_000, ..Deadlines::default() },
        retry: RetryPolicy { retries: 1, min_ms: 1, max_ms: 3_000 },
        breaker: BreakerConfig { failures: 0, open_ms: 0 },
        ..RerankerEndpoint::new("remote", api, "m")
    }
}

/// Scores as the overlap reranker does, best first, in the format of the API.
struct Overlapping(RerankApi);

impl Respond for Overlapping {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let field = if self.0 == RerankApi::Tei { "texts" } else { "documents" };
        let texts: Vec<&str> =
            body[field].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let query = body["query"].as_str().unwrap();
        let scores = futures::executor::block_on(OverlapReranker.rerank(query, &texts)).unwrap();
        let mut pairs: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
        pairs.sort_by(|a, b| b.1.total_cmp(&a.1));
        ResponseTemplate::new(200).set_body_json(reply(self.0, &pairs))
    }
}

fn reply(api: RerankApi, pairs: &[(usize, f32)]) -> Value {
    let ranked = |name: &str| -> Vec<Value> {
        pairs.iter().map(|(index, score)| json!({"index": index, name: score})).collect()
    };
    match api {
        RerankApi::Cohere => json!({
            "id": "07734bd2", "results": ranked("relevance_score"),
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        }),
        RerankApi::Jina => json!({
            "model": "m", "object": "list", "usage": {"total_tokens": 15}, "results": ranked("relevance_score"),
        }),
        RerankApi::Tei => json!(ranked("score")),
    }
}

async fn server(api: RerankApi, responses: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    for (number, response) in responses.into_iter().enumerate() {
        let mock = Mock::given(method("POST")).and(path(format!("{}/rerank", base(api))));
        let mock = mock.and(header("authorization", "Bearer sk-secret")).respond_with(response);
        mock.up_to_n_times(1).with_priority(u8::try_from(number + 1).unwrap()).mount(&server).await;
    }
    let working = Mock::given(method("POST")).and(path(format!("{}/rerank", base(api))));
    working.respond_with(Overlapping(api)).with_priority(200).mount(&server).await;
    server
}

async fn error_after(config: RerankerEndpoint) -> ModelError {
    let model = HttpReranker::new(config).unwrap();
    let error = model.rerank("q", &["a", "b"]).await.unwrap_err();
    assert!(!format!("{error:?}").contains("sk-secret"));
    error
}

#[tokio::test]
async fn http_rerankers_keep_the_contract_in_one_request_or_several() {
    for api in APIS {
        let server = server(api, Vec::new()).await;
        for (batch, requests) in [(None, 2), (Some(3), 4)] {
            let config = RerankerEndpoint { batch_passages: batch, ..config(api, &server.uri()) };
            reranker::keeps_contract(&HttpReranker::new(config).unwrap()).await;
            let seen = server.received_requests().await.unwrap();
            assert_eq!(seen.len(), requests, "{api:?}: none for no passages");
            server.reset().await;
            Mock::given(method("POST")).respond_with(Overlapping(api)).mount(&server).await;
        }
    }
}

#[tokio::test]
async fn a_long_passage_is_cut_before_it_is_sent() {
    let server = server(RerankApi::Cohere, Vec::new()).await;
    let config = RerankerEndpoint { max_tokens: 20, ..config(RerankApi::Cohere, &server.uri()) };
    let model = HttpReranker::new(config).unwrap();
    model.rerank("q", &["word ".repeat(5_000).as_str(), "short"]).await.unwrap();
    let body: Value = serde_json::from_slice(&server.received_requests().await.unwrap()[0].body).unwrap();
    assert!(body["documents"][0].as_str().unwrap().len() < 200);
    assert_eq!((&body["documents"][1], &body["max_tokens_per_doc"]), (&json!("short"), &json!(20)));
}

#[tokio::test]
async fn only_calibrated_scores_are_probabilities() {
    let calibrated = |api, said| {
        let config = RerankerEndpoint { calibrated: said, ..config(api, "http://127.0.0.1:1") };
        HttpReranker::new(config).unwrap().probability(0.25)
    };
    assert_eq!(calibrated(RerankApi::Cohere, None), Some(0.25));
    assert_eq!(calibrated(RerankApi::Tei, None), Some(0.25));
    assert_eq!(calibrated(RerankApi::Jina, None), None);
    assert_eq!(calibrated(RerankApi::Jina, Some(true)), Some(0.25));
    assert_eq!(calibrated(RerankApi::Tei, Some(false)), None);
}

#[tokio::test]
async fn a_reply_that_is_not_one_score_per_passage_is_refused() {
    let json = |body: &str| ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json");
    for api in APIS {
        for (pairs, why) in [
            (vec![(0, 0.5)], "1 scores for 2 passages"),
            (vec![], "0 scores for 2 passages"),
            (vec![(0, 0.5), (1, 0.4), (2, 0.3)], "3 scores for 2 passages"),
            (vec![(0, 0.5), (0, 0.4)], "scored passage 0 twice"),
            (vec![(0, 0.5), (7, 0.4)], "scored passage 7 of 2"),
        ] {
            let server =
                server(api, vec![ResponseTemplate::new(200).set_body_json(reply(api, &pairs))]).await;
            let error = error_after(config(api, &server.uri())).await;
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(why), "{api:?}: {error}");
        }
        let (open, close, name) = if api == RerankApi::Tei {
            ("[", "]", "score")
        } else {
            ("{\"results\": [", "]}", "relevance_score")
        };
        for score in ["NaN", "null", "1e999", "\"high\"", "1e39"] {
            let body = format!(
                "{open}{{\"index\": 0, \"{name}\": 0.5}}, {{\"index\": 1, \"{name}\": {score}}}{close}"
            );
            let server = server(api, vec![json(&body)]).await;
            assert_eq!(
                error_after(config(api, &server.uri())).await.kind(),
                ErrorKind::Corrupt,
                "{api:?} {score}"
            );
        }
        for body in [
            "{\"results\": [".to_owned(),
            "<p>Welcome!</p>".to_owned(),
            "{}".to_owned(),
            format!("{open}{{\"index\": -1, \"{name}\": 0.5}}, {{\"index\": 1, \"{name}\": 0.5}}{close}"),
            format!("{open}{{\"index\": 0}}, {{\"index\": 1}}{close}"),
        ] {
            let server = server(api, vec![json(&body)]).await;
            let error = error_after(config(api, &server.uri())).await;
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{api:?} {body}");
        }
    }
    let raw = ResponseTemplate::new(200).set_body_json(reply(RerankApi::Tei, &[(0, -4.0), (1, 3.0)]));
    let server = server(RerankApi::Tei, vec![raw.clone(), raw]).await;
    let error = error_after(config(RerankApi::Tei, &server.uri())).await;
    assert!(error.to_string().contains("calibrated = false"), "{error}");
    let raw = RerankerEndpoint { calibrated: Some(false), ..config(RerankApi::Tei, &server.uri()) };
    assert_eq!(HttpReranker::new(raw).unwrap().rerank("q", &["a", "b"]).await.unwrap(), [-4.0, 3.0]);
}

#[tokio::test]
async fn statuses_are_told_for_what_they_are_and_what_may_pass_is_tried_again() {
    // As the three services word them.
    for (api, status, body, kind) in [
        (RerankApi::Cohere, 401, r#"{"message": "invalid api token"}"#, ErrorKind::Unauthorized),
        (RerankApi::Jina, 422, r#"{"detail": "bad input"}"#, ErrorKind::Invalid),
        (
            RerankApi::Tei,
            413,
            r#"{"error": "batch size 33 > maximum allowed batch size 32", "error_type": "Validation"}"#,
            ErrorKind::Invalid,
        ),
        (RerankApi::Cohere, 307, "", ErrorKind::Invalid),
    ] {
        let refusal = ResponseTemplate::new(status)
            .insert_header("location", "http://169.254.169.254/latest")
            .set_body_raw(body, "application/json");
        let server = server(api, vec![refusal]).await;
        let error = error_after(config(api, &server.uri())).await;
        assert_eq!((error.kind(), server.received_requests().await.unwrap().len()), (kind, 1), "{error}");
    }
    let overloaded = r#"{"error": "Model is overloaded", "error_type": "Overloaded"}"#;
    for (status, kind) in [(429, ErrorKind::RateLimited), (503, ErrorKind::Unavailable)] {
        let busy = || ResponseTemplate::new(status).set_body_raw(overloaded, "application/json");
        let twice = server(RerankApi::Tei, vec![busy(), busy()]).await;
        let error = error_after(config(RerankApi::Tei, &twice.uri())).await;
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains("Model is overloaded"), "{error}");
        let once = server(RerankApi::Tei, vec![busy().insert_header("retry-after", "1")]).await;
        let model = HttpReranker::new(config(RerankApi::Tei, &once.uri())).unwrap();
        let start = Instant::now();
        assert_eq!(model.rerank("a", &["b", "a"]).await.unwrap(), [0.0, 1.0]);
        assert!(start.elapsed() >= Duration::from_secs(1), "it waits as long as it was asked to");
    }
    let later = ResponseTemplate::new(429).insert_header("retry-after", "60");
    let server = server(RerankApi::Jina, vec![later]).await;
    let error = error_after(config(RerankApi::Jina, &server.uri())).await;
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn slow_huge_and_cut_replies_end_in_an_error() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n[";
    let deadlines = Deadlines { total_ms: 300, ..Deadlines::default() };
    let slow = serve(vec![vec![Step::Send(head.to_owned()), Step::UntilClosed]]).await;
    let url = slow.url.trim_end_matches("/v1");
    let config_of = |url: &str| RerankerEndpoint {
        retry: RetryPolicy { retries: 0, ..RetryPolicy::default() },
        ..config(RerankApi::Tei, url)
    };
    let error = error_after(RerankerEndpoint { deadlines, ..config_of(url) }).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let huge = format!("{head}\"{}\"]", "x".repeat(40 << 20));
    let huge = serve(vec![vec![Step::Send(huge)]]).await;
    let error = error_after(config_of(huge.url.trim_end_matches("/v1"))).await;
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("more than"), "{error}");
    let cut =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n[{\"index\": 0";
    let cut = serve(vec![vec![Step::Send(cut.to_owned())]]).await;
    let error = error_after(config_of(cut.url.trim_end_matches("/v1"))).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).mount(&server).await;
    let config = RerankerEndpoint {
        breaker: BreakerConfig { failures: 2, open_ms: 600_000 },
        ..config(RerankApi::Cohere, &server.uri())
    };
    let model = HttpReranker::new(config).unwrap();
    for _ in 0..3 {
        assert_eq!(model.rerank("q", &["a"]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

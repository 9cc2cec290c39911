//! A judge behind an endpoint: its verdicts over both wire formats, and every fault of it leaving the answer as it was.

use serde_json::json;

use crate::http_agent::{APIS, LEAVE};
use crate::provider::{Play, Provider};
use crate::support::Server;

const QUESTION: &str = "How many days of paid leave does everyone have?";

/// A server whose answers are written by `writer` and judged by `model` of `judge`.
async fn server(api: &str, writer: &Provider, judge: &Provider, model: &str, total_ms: u32) -> Server {
    let chats = format!(
        r#"[{{name="m",api="{api}",base_url="{}",model="script"}},{{name="j",api="{api}",base_url="{}",model="{model}",retry={{retries=0,min_ms=1,max_ms=1}},deadlines={{total_ms={total_ms}}}}}]"#,
        writer.url, judge.url
    );
    let settings = [
        ("models.chats", chats.as_str()),
        ("answer.model", "m"),
        ("models.routes", r#"{judge=["j"]}"#),
        ("answer.judge.on", "true"),
    ];
    let server = Server::start_with(&settings).await;
    server.add_text("leave.md", LEAVE, json!({})).await;
    server
}

#[tokio::test]
async fn a_judge_decides_over_both_wire_formats() {
    for api in APIS {
        let (writer, judge) = (Provider::start().await, Provider::start().await);
        let server = server(api, &writer, &judge, "script", 60_000).await;
        for (support, kept) in [(1.0, true), (0.1, false)] {
            writer.plays().add([Play::text(format!("{LEAVE} [1]"))]);
            let verdict = json!({ "verdicts": [{ "claim": 1, "support": support }] });
            judge.plays().add([Play::text(verdict.to_string())]);
            let answer = server.post("/v1/answers", json!({ "question": QUESTION })).await.good();
            assert_eq!(answer["abstained"].as_bool(), Some(!kept), "{answer}");
            assert_eq!(answer["claims"][0]["judged"], support, "{answer}");
            assert_eq!(answer["judge"]["model"], "j");
            assert_eq!(answer["degraded"], json!([]));
        }
    }
}

#[tokio::test]
async fn whatever_fails_in_the_judge_leaves_the_answer_as_it_was() {
    let (writer, judge) = (Provider::start().await, Provider::start().await);
    for fault in
        ["401", "429", "500", "529", "silent", "reset", "bad-json", "wrong-type", "redirect", "bomb", "ok"]
    {
        let server = server("openai", &writer, &judge, fault, 1_500).await;
        writer.plays().add([Play::text(format!("{LEAVE} [1]"))]);
        let answer = server.post("/v1/answers", json!({ "question": QUESTION })).await.good();
        assert_eq!(answer["answer"], format!("{LEAVE} [1]"), "{fault}: {answer}");
        assert_eq!(answer["degraded"][0]["leg"], "judge", "{fault}: {answer}");
        assert!(answer.get("judge").is_none() && answer["claims"][0].get("judged").is_none());
    }
}

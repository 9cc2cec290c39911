//! Secrets planted in configuration, documents and requests: none of them stands in logs, metrics, errors or the audit log.

use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use super::visitor::Visitor;
use crate::support::{Form, Server};

/// A secret that is like no other text.
fn secret(name: &str) -> String {
    format!("Zq{}", &blake3::hash(name.as_bytes()).to_hex()[..40])
}

/// Sends, reads the reply as text, and says whether it is an error.
async fn reply(server: &Server, request: reqwest::RequestBuilder) -> (bool, String) {
    let response = server.client.execute(request.build().unwrap()).await.unwrap();
    let failed = !response.status().is_success();
    let headers = format!("{:?}", response.headers());
    (failed, format!("{headers} {}", response.text().await.unwrap()))
}

#[tokio::test]
async fn planted_secrets_stay_where_they_were_put() {
    let data = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let log = tempfile::NamedTempFile::new().unwrap();
    let in_configuration: Vec<(String, String)> = [
        "WELLSPRING__AUTH__JWT__SECRET",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "COHERE_API_KEY",
        "JINA_API_KEY",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), secret(name)))
    .collect();
    let mut environment: Vec<(String, String)> = in_configuration.clone();
    for (key, value) in [
        ("WELLSPRING__AUTH__MODE", "keys"),
        ("WELLSPRING__AUTH__JWT__ALGORITHM", "HS256"),
        ("WELLSPRING__AUTH__JWT__ISSUER", "i"),
        ("WELLSPRING__AUTH__JWT__AUDIENCE", "a"),
        // Everything that our own code and what lies under it would ever say.
        ("RUST_LOG", "debug,hyper=trace,hyper_util=trace,tower_http=trace,axum=trace,wellspring=trace"),
        ("WELLSPRING__TELEMETRY__FORMAT", "json"),
    ] {
        environment.push((key.to_owned(), value.to_owned()));
    }
    let mut server =
        Server::start_logged(std::sync::Arc::clone(&data), &environment, log.reopen().unwrap()).await;
    let first = server.next_line().rsplit(' ').next().unwrap().to_owned();
    let operator = Visitor::new(&server, &first);

    let (text, title, field) = (secret("text"), secret("title"), secret("metadata"));
    let (question, header, key_name) = (secret("question"), secret("header"), secret("key"));
    operator
        .add(json!({ "id": "a", "text": format!("The code is {text}."), "title": title, "metadata": { "k": field } }))
        .await;
    let form = Form::of("b.txt", format!("Another code is {}.", secret("form"))).text("metadata", "{");
    let form = form.into_request(operator.request(Method::POST, "/v1/collections/default/documents"));
    let mut errors = Vec::new();
    let mut ask = async |request: reqwest::RequestBuilder| {
        let (failed, text) = reply(&server, request).await;
        if failed {
            errors.push(text);
        }
    };
    ask(form).await;
    let search = |body: Value| operator.request(Method::POST, "/v1/search").json(&body);
    ask(search(json!({ "query": question }))).await;
    ask(search(json!({ "query": question, "k": 0 }))).await;
    ask(search(json!({ "query": question, "collection": "none" }))).await;
    ask(search(json!({ "query": question, "mode": "hybrid", "filter": "= =" }))).await;
    ask(search(json!({ "query": "" })).header("x-secret", &header).header("cookie", &header)).await;
    ask(operator
        .request(Method::POST, "/v1/answers")
        .json(&json!({ "question": question, "model": "none" })))
    .await;
    ask(operator
        .request(Method::POST, "/v1/search")
        .header("content-type", "application/json")
        .body(question.clone()))
    .await;
    ask(operator.request(Method::POST, "/v1/keys").json(&json!({ "name": key_name, "rights": [] }))).await;
    let wrong = format!("ws_0123456789abcdef_{}", blake3::hash(b"wrong").to_hex());
    let token = format!("e30.{}.{}", secret("claims"), secret("signature"));
    for bad in [&wrong, &token, &secret("bearer")] {
        ask(server.request(Method::GET, "/v1/collections").bearer_auth(bad)).await;
        ask(server.request(Method::GET, "/v1/collections").header("x-api-key", bad)).await;
    }
    ask(server.request(Method::GET, "/v1/collections").basic_auth("user", Some(secret("password")))).await;
    ask(operator.request(Method::DELETE, "/v1/keys/none")).await;
    let revoked = operator.key(json!({ "name": "revoked", "rights": ["read"] })).await;
    operator.delete(&format!("/v1/keys/{}", revoked.id())).await.good();
    ask(revoked.request(Method::GET, "/v1/collections")).await;
    assert!(errors.len() >= 15, "{errors:?}");

    let metrics = operator.get("/metrics").await.body.to_string();
    let audit = operator.get("/v1/audit").await.body.to_string();
    let keys = operator.get("/v1/keys").await.body.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .args(["config", "show"])
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("[redacted]"), "{shown}");
    let (first_secret, revoked_token) = (first.rsplit('_').next().unwrap().to_owned(), revoked.token.clone());
    let (status, _) = server.stop().await;
    assert!(status.success());
    let log = fs_err::read_to_string(log.path()).unwrap();
    assert!(log.lines().count() > 50, "too little was logged to mean anything:\n{log}");

    let mut planted: Vec<String> = in_configuration.into_iter().map(|(_, value)| value).collect();
    planted.extend([
        text,
        title,
        field,
        question,
        header,
        wrong.rsplit('_').next().unwrap().to_owned(),
        token,
        first_secret,
    ]);
    planted.push(revoked_token.rsplit('_').next().unwrap().to_owned());
    planted.extend(["form", "claims", "signature", "bearer", "password"].map(secret));
    let places =
        [("log", &log), ("metrics", &metrics), ("audit", &audit), ("keys", &keys), ("config", &shown)];
    let errors = errors.join("\n");
    for planted in planted {
        for (place, text) in places.iter().copied().chain([("errors", &errors)]) {
            assert!(!text.contains(&planted), "{planted} stands in the {place}");
        }
    }
}

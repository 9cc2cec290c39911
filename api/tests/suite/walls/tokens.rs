//! JSON Web Tokens through the door: what they see, and that a server with a weak secret does not start.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};

use super::visitor::{UNLIMITED, Visitor, secured};
use crate::support::{PATIENCE, silent_endpoint};

const SECRET: &str = "fR4x1oZb8vQm2LhK9wYtD5sNc7UeJ3gA6pXiB0yE";

fn token(changes: Value) -> String {
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({
        "iss": "https://id.example", "aud": "wellspring", "sub": "ada", "tenant": "acme", "groups": ["ops"],
        "scope": "read write", "nbf": now - 5, "exp": now + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": "HS256", "typ": "JWT" })), part(&claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn settings(secret: &str) -> Vec<(&str, &str)> {
    let mut settings = UNLIMITED.to_vec();
    settings.extend([
        ("auth.jwt.algorithm", "HS256"),
        ("auth.jwt.secret", secret),
        ("auth.jwt.issuer", "https://id.example"),
        ("auth.jwt.audience", "wellspring"),
    ]);
    settings
}

#[tokio::test]
async fn a_token_sees_its_tenant_as_far_as_its_groups_go() {
    let (server, first) = secured(&settings(SECRET)).await;
    let someone = |changes: Value| Visitor::new(&server, token(changes));
    let ada = someone(json!({}));
    ada.add(json!({ "id": "plan", "text": "The zeppelin plan.", "acl": ["group:ops"] })).await;
    assert_eq!(ada.found("zeppelin").await, ["plan"]);
    let bob = someone(json!({ "sub": "bob", "groups": [], "scope": ["read"] }));
    assert_eq!(bob.found("zeppelin").await, Vec::<String>::new());
    assert_eq!(bob.post("/v1/collections", json!({ "name": "x" })).await.problem(), "forbidden");
    let admin = someone(json!({ "sub": "root", "groups": [], "scope": "admin" }));
    assert_eq!(admin.found("zeppelin").await, ["plan"]);
    assert_eq!(admin.get("/metrics").await.problem(), "forbidden");
    let actors = admin.get("/v1/audit").await.good();
    assert_eq!(actors["entries"][0]["actor"], "user:bob", "{actors}");
    // Another tenant, and the operator's, see nothing of it.
    let other = someone(json!({ "tenant": "umbrella", "scope": "admin" }));
    assert_eq!(other.get("/v1/collections").await.good(), json!({ "collections": [] }));
    assert_eq!(
        Visitor::new(&server, first).get("/v1/collections").await.good(),
        json!({ "collections": [] })
    );
    for bad in [
        json!({ "exp": 1 }),
        json!({ "aud": "another" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "nbf": jiff::Timestamp::now().as_second() + 3_600 }),
        json!({ "tenant": "../acme" }),
    ] {
        assert_eq!(someone(bad.clone()).get("/v1/collections").await.problem(), "unauthenticated", "{bad}");
    }
}

#[test]
fn a_weak_secret_keeps_the_server_from_starting() {
    for weak in [
        "too-short",
        "changeme-changeme-changeme-changeme-changeme",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ] {
        let data = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wellspring"));
        command.arg("--data").arg(data.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("WELLSPRING__AUTH__MODE", "keys");
        for (key, value) in settings(weak) {
            command.env(format!("WELLSPRING__{}", key.replace('.', "__").to_uppercase()), value);
        }
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains("auth.jwt.secret") && !message.contains(weak), "{message}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let (endpoint, mut connections) = silent_endpoint().await;
    let embedders = format!(r#"[{{name="silent",base_url="{endpoint}",model="m",dimension=8}}]"#);
    let mut settings = settings(SECRET);
    settings.push(("models.embedders", &embedders));
    let (server, _) = secured(&settings).await;
    let admin = Visitor::new(&server, token(json!({ "sub": "root", "scope": "admin" })));
    admin.post("/v1/collections", json!({ "name": "stuck", "model": "silent" })).await.good();
    let document = json!({ "id": "a", "text": "Some text." });
    let job = admin.post("/v1/collections/stuck/documents", document).await.good();
    let _embedding = connections.recv().await.unwrap();
    // Within the leeway of half a minute, and ten seconds from its end.
    let ending = jiff::Timestamp::now().as_second() - 20;
    let brief = Visitor::new(&server, token(json!({ "exp": ending, "scope": "admin" })));
    let path = format!("/v1/jobs/{}/events", job["job"].as_str().unwrap());
    let mut followed = brief.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(followed.status(), 200, "it began while the token was good");
    // The job never ends: only the token's end can end this.
    let broken = async { while let Ok(Some(_)) = followed.chunk().await {} };
    tokio::time::timeout(PATIENCE, broken).await.unwrap();
    assert_eq!(brief.get("/v1/collections").await.problem(), "unauthenticated");
}

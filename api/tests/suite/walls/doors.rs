//! Every route that the description knows asks for a credential, and for the right that fits.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::visitor::{UNLIMITED, Visitor, secured};
use crate::support::Server;

/// What everybody may use: the rest of the description must not.
const OPEN: [&str; 8] = [
    "/health",
    "/openapi.json",
    "/ready",
    "/v1/session",
    "/v1/auth/login",
    "/v1/auth/refresh",
    "/v1/auth/register",
    "/v1/auth/logout",
];
/// Sent by POST, but only read.
const ASKED_BY_POST: [&str; 10] = [
    "/v1/search",
    "/v1/answers",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/collections/{collection}/feedback",
    "/v1/tools/execute",
    "/v1/tools/batch",
    "/v1/collections/{collection}/documents/{id}/chunks/preview",
];

/// Method and path of every operation, its parameters filled in.
fn operations(server: &Server) -> Vec<(Method, String, String)> {
    let mut operations = Vec::new();
    for (template, item) in server.api()["paths"].as_object().unwrap() {
        let path = template
            .replace("{collection}", "default")
            .replace("/jobs/{id}", "/jobs/0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d")
            .split('/')
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase().parse().unwrap();
            operations.push((method, template.clone(), path.clone()));
        }
    }
    assert!(operations.len() > 20, "{operations:?}");
    operations
}

#[tokio::test]
async fn nobody_is_let_in_without_a_credential() {
    let (server, _) = secured(&UNLIMITED).await;
    for (method, template, path) in operations(&server) {
        let reply = server.send(server.request(method.clone(), &path)).await;
        if OPEN.contains(&template.as_str()) {
            // They read a body, which is missing.
            let unread = method == Method::POST;
            assert!(reply.status.is_success() || unread, "{method} {template}: {}", reply.status);
            continue;
        }
        assert_eq!(
            (reply.status, reply.problem()),
            (StatusCode::UNAUTHORIZED, "unauthenticated"),
            "{method} {path}"
        );
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"wellspring\"");
        for bad in ["ws_0000000000000000_0000", "x", "", "Bearer", "eyJhbGciOiJub25lIn0.e30."] {
            let bad = server.request(method.clone(), &path).header("authorization", format!("Bearer {bad}"));
            assert_eq!(server.send(bad).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    // What is nowhere described is closed, too.
    for path in [
        "/v1/nothing",
        "/nothing",
        "/v1/collections/default/nothing",
        "/metrics/",
        "/v1/keys/a/b",
        "//v1/keys",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let reply = server.send(server.request(method, path)).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    // The page and the description hold nothing of anybody.
    for path in ["/", "/ui/app.js", "/ui/style/base.css", "/docs/", "/openapi.json", "/health"] {
        assert_eq!(server.send(server.request(Method::GET, path)).await.status, StatusCode::OK, "{path}");
    }
    // Whether something is wrong is told, and what is not.
    assert_eq!(server.get("/ready").await.good(), json!({ "ready": true, "checks": [] }));
}

#[tokio::test]
async fn a_credential_does_what_its_rights_say() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    operator.add(json!({ "id": "x", "text": "The otter sensor is calibrated." })).await;
    let reader = operator.key(json!({ "name": "reader", "rights": ["read"] })).await;
    let writer = operator.key(json!({ "name": "writer", "rights": ["write"] })).await;
    let admin = operator.key(json!({ "name": "admin", "rights": ["admin"] })).await;
    for (method, template, path) in operations(&server) {
        let administers = template.starts_with("/v1/keys")
            || template.starts_with("/v1/audit")
            || template.starts_with("/v1/webhooks")
            || (method == Method::GET && template.starts_with("/v1/collections/{collection}/feedback"))
            || template == "/v1/collections/{collection}/export"
            || (method == Method::DELETE && template == "/v1/collections/{collection}");
        let reads = method == Method::GET
            || template.starts_with("/v1/conversations")
            || ASKED_BY_POST.contains(&template.as_str());
        let operates = template == "/metrics";
        let open = OPEN.contains(&template.as_str());
        for (who, visitor, may) in [
            ("reader", &reader, reads && !administers && !operates),
            ("writer", &writer, !reads && !administers && !operates),
            ("admin", &admin, !operates),
        ] {
            if who != "reader" && method == Method::DELETE {
                // What they may delete is the other tests' business.
                continue;
            }
            let reply = server.send(visitor.request(method.clone(), &path)).await;
            let refused = reply.status == StatusCode::FORBIDDEN
                && reply.body["detail"].as_str().is_some_and(|detail| detail.contains("needs the right"));
            assert_eq!(!refused, may || open, "{who}: {method} {path}: {} {}", reply.status, reply.body);
        }
    }
    assert_eq!(reader.found("otter").await, ["x"]);
    assert_eq!(reader.delete("/v1/collections/default/documents/x").await.problem(), "forbidden");
    assert_eq!(writer.post("/v1/search", json!({ "query": "otter" })).await.problem(), "forbidden");
    assert_eq!(admin.delete("/v1/collections/default/documents/x").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_browser_signs_in_with_a_cookie_that_no_other_site_can_use() {
    let (server, first) = secured(&[]).await;
    let sign_in = |key: &str, origin: &str| {
        let request = server.request(Method::POST, "/v1/session").header("origin", origin);
        request.json(&json!({ "key": key }))
    };
    let own = format!("http://localhost:{}", server.port);
    assert_eq!(server.send(sign_in("ws_x", &own)).await.problem(), "unauthenticated");
    assert_eq!(server.send(sign_in(&first, "https://evil.example")).await.problem(), "forbidden");
    let reply = server.send(sign_in(&first, &own)).await;
    assert_eq!(reply.status, StatusCode::NO_CONTENT);
    let cookie = reply.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let with = |method: Method, site: Option<&str>| {
        let request = server.request(method, "/v1/collections").header("cookie", &pair);
        site.map_or(request.try_clone().unwrap(), |site| request.header("sec-fetch-site", site))
    };
    assert_eq!(server.send(with(Method::GET, None)).await.status, StatusCode::OK);
    assert_eq!(server.send(with(Method::GET, Some("same-origin"))).await.status, StatusCode::OK);
    assert_eq!(server.send(with(Method::GET, Some("cross-site"))).await.problem(), "unauthenticated");
    let foreign =
        with(Method::POST, None).header("origin", "https://evil.example").json(&json!({ "name": "x" }));
    assert_eq!(server.send(foreign).await.problem(), "forbidden");
    let over_tls = server.send(sign_in(&first, "https://localhost").header("host", "localhost")).await;
    assert!(over_tls.headers["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    let closed = server.send(server.request(Method::DELETE, "/v1/session")).await;
    assert!(closed.headers["set-cookie"].to_str().unwrap().starts_with("wellspring=; "));
}

#[tokio::test]
async fn operations_of_the_server_are_an_operators() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    operator.add(json!({ "id": "x", "text": "Some words." })).await;
    let other = operator.key(json!({ "name": "other", "rights": ["admin"], "tenant": "other" })).await;
    other.add(json!({ "id": "y", "text": "Other words." })).await;
    let metrics = operator.get("/metrics").await;
    let shown = metrics.body.as_str().unwrap();
    assert!(shown.contains(r#"wellspring_documents{tenant="other",collection="default"} 1"#), "{shown}");
    assert_eq!(other.get("/metrics").await.problem(), "forbidden");
    assert_eq!(other.get("/ready").await.good()["checks"], json!([]));
    assert!(!operator.get("/ready").await.good()["checks"].as_array().unwrap().is_empty());
    let (open, _) = secured(&[("auth.open_metrics", "true"), ("auth.open_readiness", "true")]).await;
    let metrics = open.get("/metrics").await;
    let shown = metrics.body.as_str().unwrap();
    assert!(shown.contains("wellspring_jobs_backlog 0") && !shown.contains("tenant="), "{shown}");
    assert!(!open.get("/ready").await.good()["checks"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn other_machines_are_served_only_by_a_server_that_asks() {
    let (server, first) = secured(&[]).await;
    // Any name will do where a key is asked for, but pages of other origins may still not write.
    let named = |origin: Option<&str>| {
        let request = server.request(Method::POST, "/v1/collections").header("host", "search.example.org");
        let request = request.bearer_auth(&first).json(&json!({ "name": "made" }));
        match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        }
    };
    assert_eq!(server.send(named(Some("https://evil.example"))).await.problem(), "forbidden");
    let made = server.send(named(Some("https://search.example.org"))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    assert!(!made.headers.contains_key("access-control-allow-origin"));
    let data = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .arg("--data")
        .arg(data.path())
        .args(["serve", "--listen", "0.0.0.0:0"])
        .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
        .env("WELLSPRING__AUTH__MODE", "keys")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert!(line.starts_with("listening on http://0.0.0.0:"), "{line}");
}

#[tokio::test]
async fn a_first_key_is_made_once() {
    let (server, first) = secured(&[]).await;
    assert_eq!(Visitor::new(&server, &first).get("/v1/collections").await.status, StatusCode::OK);
    let (_, data) = server.stop().await;
    let server = Server::start_over(data, &[("auth.mode", "keys")]).await;
    assert_eq!(
        Visitor::new(&server, &first).get("/v1/collections").await.status,
        StatusCode::OK,
        "it stays good"
    );
    let (status, data) = server.stop().await;
    assert!(status.success());
    let command = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_wellspring"))
            .arg("--data")
            .arg(data.path())
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (_, keys) = command(&["key", "list", "--json"]);
    assert_eq!(keys.lines().count(), 1, "{keys}");
    let secret = first.rsplit('_').next().unwrap();
    assert!(!keys.contains(secret), "the secret is nowhere");
    let (code, made) =
        command(&["key", "create", "a reader", "--rights", "read", "--principals", "user:ada", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((code, made["key"]["principals"].clone()), (Some(0), json!(["user:ada"])));
    let id = made["key"]["id"].as_str().unwrap();
    assert_eq!(command(&["key", "revoke", id]).0, Some(0));
    let (_, audit) = command(&["audit", "--json", "--object", id]);
    let actions: Vec<Value> =
        audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["action"].clone()).collect();
    assert_eq!(actions, ["revokeKey", "createKey"]);
    // Whoever reads the data folder does not find it, either.
    for file in ["catalog.db", "catalog.db-wal"] {
        let bytes = fs_err::read(data.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{file}");
    }
}

//! The life of a key, and what it leaves in the audit log.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::visitor::{UNLIMITED, Visitor, secured};
use crate::support::{PATIENCE, silent_endpoint};

#[tokio::test]
async fn a_revoked_key_is_refused_from_the_next_request_on() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    for _ in 0..20 {
        let reader = operator.key(json!({ "name": "reader", "rights": ["read"] })).await;
        assert_eq!(reader.get("/v1/collections").await.status, StatusCode::OK);
        let by_header = server.request(Method::GET, "/v1/collections").header("x-api-key", &reader.token);
        assert_eq!(server.send(by_header).await.status, StatusCode::OK);
        operator.delete(&format!("/v1/keys/{}", reader.id())).await.good();
        assert_eq!(reader.get("/v1/collections").await.problem(), "unauthenticated");
    }
    let keys = operator.get("/v1/keys").await.good();
    let keys = keys["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 21);
    assert_eq!(keys.iter().filter(|key| key["revoked_at"].is_string()).count(), 20);
    assert!(keys.iter().all(|key| key.get("token").is_none() && key.get("hash").is_none()));
}

#[tokio::test]
async fn an_administrator_takes_no_operators_key_away() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let admin = operator.key(json!({ "name": "admin", "rights": ["admin"] })).await;
    let place = format!("/v1/keys/{}", operator.id());
    assert_eq!(admin.delete(&place).await.problem(), "forbidden");
    operator.get("/v1/keys").await.good();
    let reader = admin.key(json!({ "name": "reader", "rights": ["read"] })).await;
    admin.delete(&format!("/v1/keys/{}", reader.id())).await.good();
}

#[tokio::test]
async fn a_stream_breaks_off_when_its_key_is_revoked() {
    let (endpoint, mut connections) = silent_endpoint().await;
    let embedders = format!(r#"[{{name="silent",base_url="{endpoint}",model="m",dimension=8}}]"#);
    let (server, first) = secured(&[("models.embedders", &embedders)]).await;
    let operator = Visitor::new(&server, first);
    operator.post("/v1/collections", json!({ "name": "stuck", "model": "silent" })).await.good();
    let document = json!({ "id": "a", "text": "Some text." });
    let job = operator.post("/v1/collections/stuck/documents", document).await.good();
    let _embedding = connections.recv().await.unwrap();
    let reader = operator.key(json!({ "name": "reader", "rights": ["read"] })).await;
    let path = format!("/v1/jobs/{}/events", job["job"].as_str().unwrap());
    let mut followed = reader.request(Method::GET, &path).send().await.unwrap();
    assert!(followed.chunk().await.unwrap().is_some(), "it is told how the job stands");
    operator.delete(&format!("/v1/keys/{}", reader.id())).await.good();
    // The job never ends: only the revocation can end this.
    let broken = async {
        loop {
            match followed.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    };
    let broken = tokio::time::timeout(PATIENCE, broken).await.unwrap();
    assert!(broken, "a stream that is cut does not look whole");
}

#[tokio::test]
async fn a_key_that_has_expired_is_refused() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let brief = operator.key(json!({ "name": "brief", "rights": ["read"], "expires_in_seconds": 1 })).await;
    let long = operator.key(json!({ "name": "long", "rights": ["read"], "expires_in_seconds": 3600 })).await;
    while brief.get("/v1/collections").await.status == StatusCode::OK {}
    assert_eq!(brief.get("/v1/collections").await.problem(), "unauthenticated");
    assert_eq!(long.get("/v1/collections").await.status, StatusCode::OK);
    let wrong = json!({ "name": "wrong", "rights": ["read"], "expires_in_seconds": 0 });
    assert_eq!(operator.post("/v1/keys", wrong).await.problem(), "invalid");
}

#[tokio::test]
async fn keys_stay_within_their_tenant_and_collections() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let admin = operator.key(json!({ "name": "admin", "rights": ["admin"], "tenant": "one" })).await;
    for (wanted, code) in [
        (json!({ "name": "k", "rights": ["operator"] }), "forbidden"),
        (json!({ "name": "k", "rights": ["read"], "tenant": "two" }), "forbidden"),
        (json!({ "name": "k", "rights": [] }), "invalid"),
        (json!({ "name": "k", "rights": ["admin"], "principals": ["user:a"] }), "invalid"),
        (json!({ "name": "k", "rights": ["root"] }), "invalid"),
        (json!({ "name": "", "rights": ["read"] }), "invalid"),
        (json!({ "name": "k", "rights": ["read"], "collections": ["../x"] }), "invalid"),
        (json!({ "name": "k", "rights": ["read"], "tenant": "a b" }), "invalid"),
        (json!({ "name": "k", "rights": ["read"], "secret": "x" }), "invalid"),
    ] {
        assert_eq!(admin.post("/v1/keys", wanted.clone()).await.problem(), code, "{wanted}");
    }
    let mine = admin.get("/v1/keys").await.good();
    assert_eq!(mine["keys"].as_array().unwrap().len(), 1, "{mine}");
    assert_eq!(admin.get("/v1/keys?tenant=default").await.problem(), "forbidden");
    assert_eq!(admin.delete(&format!("/v1/keys/{}", operator.id())).await.problem(), "not-found");
    assert_eq!(operator.get("/v1/keys").await.good()["keys"].as_array().unwrap().len(), 2);

    for name in ["open", "closed"] {
        admin.post("/v1/collections", json!({ "name": name })).await.good();
    }
    let limited =
        admin.key(json!({ "name": "k", "rights": ["read", "write"], "collections": ["open"] })).await;
    let listed = limited.get("/v1/collections").await.good();
    assert_eq!(listed["collections"].as_array().unwrap().len(), 1, "{listed}");
    let document = json!({ "id": "a", "text": "Some words." });
    assert_eq!(
        limited.post("/v1/collections/open/documents", document.clone()).await.status,
        StatusCode::ACCEPTED
    );
    // What it may not touch looks like what is not there.
    let hidden = limited.post("/v1/collections/closed/documents", document.clone()).await;
    let absent = limited.post("/v1/collections/absent/documents", document).await;
    assert_eq!((hidden.status, absent.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(text(&hidden.body).replace("closed", "absent"), text(&absent.body));
}

fn text(body: &Value) -> String {
    body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_holds_no_content() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let admin = operator.key(json!({ "name": "admin", "rights": ["admin"], "tenant": "one" })).await;
    let reader = admin.key(json!({ "name": "reader", "rights": ["read"] })).await;
    admin.post("/v1/collections", json!({ "name": "docs" })).await.good();
    let document = json!({ "id": "a/b", "text": "The CANARYTEXT is confidential.", "title": "CANARYTITLE" });
    let request =
        admin.request(Method::POST, "/v1/collections/docs/documents").header("x-request-id", "r-42");
    server.send(request.json(&document)).await.good();
    admin.put("/v1/collections/docs/documents/a%2Fb/acl", json!({ "acl": ["user:ada"] })).await.good();
    assert_eq!(reader.delete("/v1/collections/docs/documents/a%2Fb").await.problem(), "forbidden");
    admin.delete("/v1/collections/docs/documents/a%2Fb").await.good();
    admin.delete(&format!("/v1/keys/{}", reader.id())).await.good();
    // Reading leaves no entry.
    admin.post("/v1/search", json!({ "collection": "docs", "query": "CANARYQUERY" })).await.good();

    let log = admin.get("/v1/audit").await.good();
    let entries: Vec<(String, String, String, u64)> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let word = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            (word("actor"), word("action"), word("object"), entry["outcome"].as_u64().unwrap())
        })
        .collect();
    let by = |visitor: &Visitor<'_>, action: &str, object: &str, outcome: u64| {
        (format!("key:{}", visitor.id()), action.to_owned(), object.to_owned(), outcome)
    };
    assert_eq!(
        entries,
        [
            by(&admin, "revokeKey", reader.id(), 200),
            by(&admin, "deleteDocument", "a/b", 200),
            by(&reader, "deleteDocument", "a/b", 403),
            by(&admin, "setAccessList", "a/b", 200),
            by(&admin, "addDocument", "a/b", 202),
            by(&admin, "createCollection", "docs", 201),
            by(&admin, "createKey", reader.id(), 201),
        ]
    );
    assert_eq!(log["entries"][4]["request"], "r-42");
    assert_eq!(log["entries"][4]["collection"], "docs");
    assert!(!log.to_string().contains("CANARY"), "{log}");
    let one = admin.get(&format!("/v1/audit?object={}&limit=1", reader.id())).await.good();
    let rest = admin
        .get(&format!("/v1/audit?object={}&cursor={}", reader.id(), one["next"].as_str().unwrap()))
        .await
        .good();
    assert_eq!(
        (one["entries"][0]["action"].as_str(), rest["entries"][0]["action"].as_str()),
        (Some("revokeKey"), Some("createKey"))
    );
    assert_eq!(reader.get("/v1/audit").await.problem(), "unauthenticated");
    assert_eq!(admin.get("/v1/audit?tenant=default").await.problem(), "forbidden");
    // The operator's own tenant knows who made the administrator.
    let all = operator.get("/v1/audit").await.good();
    assert_eq!(all["entries"].as_array().unwrap().len(), 8);
}

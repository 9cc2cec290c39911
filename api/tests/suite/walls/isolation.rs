//! Tenants beside each other, each with a secret of its own, and hostile requests at every operation of the description.
//!
//! Requests are made from the description itself: every operation, its parameters and body filled with other tenants' ids,
//! crafted filters and hostile names. An operation that is added later is attacked without a word here.
//! `WELLSPRING_ISOLATION_REQUESTS` and `WELLSPRING_ISOLATION_TENANTS` set the size; `make isolation` runs the long version.

mod grpc;

use fastrand::Rng;
use futures::{StreamExt, stream};
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use super::visitor::{UNLIMITED, Visitor, secured};
use crate::support::Server;

/// One tenant: what it must keep to itself, and what others may have got hold of.
struct Tenant {
    name: String,
    admin: String,
    /// Sees nothing that has a list.
    stranger: String,
    /// In its open document, that document's title, metadata and file name.
    canary: String,
    /// In a document that only `user:owner` sees.
    private: String,
    ids: Vec<String>,
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

async fn settle(server: &Server, operator: &Visitor<'_>, index: usize) -> Tenant {
    let name = format!("tenant-{index}");
    let mark = |what: &str| blake3::hash(format!("{what} {index}").as_bytes()).to_hex()[..20].to_owned();
    let (canary, private) = (mark("open"), mark("private"));
    let admin =
        operator.key(json!({ "name": format!("admin {canary}"), "rights": ["admin"], "tenant": name })).await;
    let stranger = admin
        .key(json!({ "name": "stranger", "rights": ["read", "write"], "principals": ["user:stranger"] }))
        .await;
    let mut ids = vec![admin.id().to_owned(), stranger.id().to_owned()];
    for (id, secret, acl) in [("open", &canary, Value::Null), ("private", &private, json!(["user:owner"]))] {
        let id = format!("{id}-of-{index}.md");
        let document = json!({
            "id": id, "text": format!("# The {secret} report\n\nThe confidential plan is called {secret}."),
            "title": format!("Plan {secret}"), "metadata": { "code": secret, "n": index }, "acl": acl,
            "media_type": "text/markdown",
        });
        ids.push(admin.add(document).await);
        let chunks = admin.get(&format!("/v1/collections/default/documents/{id}/chunks")).await.good();
        ids.push(chunks["chunks"][0]["chunk_id"].as_str().unwrap().to_owned());
        ids.push(id);
    }
    Tenant { name, admin: admin.token, stranger: stranger.token, canary, private, ids }.checked(server).await
}

impl Tenant {
    /// Its owner sees both secrets, so that not seeing them means something.
    async fn checked(self, server: &Server) -> Self {
        let owner = Visitor::new(server, &self.admin);
        let hits = owner.post("/v1/search", json!({ "query": "confidential plan" })).await.good().to_string();
        assert!(hits.contains(&self.canary) && hits.contains(&self.private), "{hits}");
        self
    }
}

/// The others, as one of them sees it.
struct Others<'t> {
    tenants: &'t [Tenant],
    own: usize,
}

impl Others<'_> {
    fn one(&self, rng: &mut Rng) -> &Tenant {
        let count = self.tenants.len();
        &self.tenants[(self.own + 1 + rng.usize(..count - 1)) % count]
    }
}

/// Names that have broken something somewhere.
fn hostile(rng: &mut Rng, others: &Others<'_>) -> String {
    let victim = others.one(rng);
    match rng.u8(..12) {
        0..=3 => victim.ids[rng.usize(..victim.ids.len())].clone(),
        4 => victim.name.clone(),
        5 => "default".to_owned(),
        6 => "user:owner".to_owned(),
        7 => format!("../{}/default", victim.name),
        8 => {
            ["'", "\"; DROP TABLE documents; --", "' OR '1'='1", "%", "_", "*", "\\", "{{7*7}}", "${jndi:x}"]
                [rng.usize(..9)]
            .to_owned()
        }
        9 => ["\u{0}", "a\u{0}b", "\u{202e}evil", "\u{feff}", "\u{1f4a9}", "a\r\nx-evil: 1"][rng.usize(..6)]
            .to_owned(),
        10 => "x".repeat(4096),
        _ => "the confidential plan".to_owned(),
    }
}

fn filter(rng: &mut Rng, others: &Others<'_>) -> String {
    let victim = others.one(rng);
    let id = &victim.ids[rng.usize(..victim.ids.len())];
    match rng.u8(..6) {
        0 => format!("_id = \"{id}\""),
        1 => "exists(code)".to_owned(),
        2 => "n >= 0 or not (n >= 0)".to_owned(),
        3 => format!("_id = \"{id}\" or n = {}", rng.u8(..50)),
        4 => format!("tenant = \"{}\" or collection_key > 0", victim.name),
        _ => hostile(rng, others),
    }
}

/// A value of the schema's kind, as hostile as it can be while it is still of that kind; sometimes of another.
fn value(rng: &mut Rng, api: &Value, schema: &Value, name: &str, others: &Others<'_>, depth: u8) -> Value {
    if let Some(target) = schema["$ref"].as_str().and_then(|at| api.pointer(at.trim_start_matches('#'))) {
        return value(rng, api, target, name, others, depth);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let chosen = &choices[rng.usize(..choices.len())];
            return value(rng, api, chosen, name, others, depth);
        }
    }
    if rng.u8(..40) == 0 || depth > 4 {
        return [json!(null), json!(hostile(rng, others)), json!(-1), json!({}), json!([])][rng.usize(..5)]
            .clone();
    }
    if name == "filter" {
        return json!(filter(rng, others));
    }
    if let Some(values) = schema["enum"].as_array() {
        return values[rng.usize(..values.len())].clone();
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => kinds[0].as_str().unwrap_or("string"),
        _ => "string",
    };
    match kind {
        "boolean" => json!(rng.bool()),
        "integer" => json!([0_i64, 1, 5, 50, -1, i64::MAX][rng.usize(..6)]),
        "number" => json!(0.5),
        "array" => {
            (0..rng.usize(..3)).map(|_| value(rng, api, &schema["items"], name, others, depth + 1)).collect()
        }
        "object" => {
            let mut object = Map::new();
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                let required =
                    schema["required"].as_array().is_some_and(|list| list.iter().any(|have| have == name));
                if required || rng.u8(..3) == 0 {
                    object.insert(name.clone(), value(rng, api, inner, name, others, depth + 1));
                }
            }
            Value::Object(object)
        }
        _ if matches!(name, "query" | "question" | "text") => json!("what is the confidential plan called"),
        _ if name == "collection" && rng.u8(..4) != 0 => json!("default"),
        _ => json!(hostile(rng, others)),
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A request to some operation by somebody who means ill.
fn attack(rng: &mut Rng, server: &Server, tenants: &[Tenant]) -> (String, usize, bool, RequestBuilder) {
    let api = server.api();
    let paths = api["paths"].as_object().unwrap();
    let (template, item) = paths.iter().nth(rng.usize(..paths.len())).unwrap();
    let operations = item.as_object().unwrap();
    let (method, operation) = operations.iter().nth(rng.usize(..operations.len())).unwrap();
    let who = rng.usize(..tenants.len());
    let others = &Others { tenants, own: who };
    // A tenant that deletes its own collection has nothing left to be attacked with.
    let suicidal = method == "delete" && template == "/v1/collections/{collection}";
    let stranger = suicidal || rng.bool();
    let mut path: Vec<String> = Vec::new();
    for part in template.split('/') {
        path.push(match part {
            "{collection}" if rng.u8(..4) != 0 => "default".to_owned(),
            part if part.starts_with('{') => encoded(&hostile(rng, others)),
            part => part.to_owned(),
        });
    }
    let mut path = path.join("/");
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "query" && rng.bool() {
            let name = parameter["name"].as_str().unwrap();
            let drawn = value(rng, api, &parameter["schema"], name, others, 0);
            let drawn = drawn.as_str().map_or_else(|| drawn.to_string(), str::to_owned);
            query.push(format!("{name}={}", encoded(&drawn)));
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let token = if stranger { &tenants[who].stranger } else { &tenants[who].admin };
    let method: Method = method.to_uppercase().parse().unwrap();
    let mut request = Visitor::new(server, token).request(method.clone(), &path);
    if let Some(schema) = operation["requestBody"]["content"]["application/json"]["schema"].as_object() {
        let body = value(rng, api, &Value::Object(schema.clone()), "", others, 0);
        request = request.json(&body);
    }
    if rng.u8(..8) == 0 {
        request = request.header("x-tenant", &others.one(rng).name).header("x-forwarded-user", "owner");
    }
    (format!("{method} {path}"), who, stranger, request)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_tenant_reaches_another() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let count = number("WELLSPRING_ISOLATION_TENANTS", 5);
    let mut tenants = Vec::new();
    for index in 0..count {
        tenants.push(settle(&server, &operator, index).await);
    }
    let requests = number("WELLSPRING_ISOLATION_REQUESTS", 1_000);
    let seed = number("WELLSPRING_ISOLATION_SEED", 7) as u64;
    let attacks = stream::iter(0..requests).map(|index| {
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(index as u64));
        let (what, who, stranger, request) = attack(&mut rng, &server, &tenants);
        let (server, tenants) = (&server, &tenants);
        async move {
            // A client that itself refuses to send something is no finding.
            let Ok(request) = request.build() else { return None };
            let response = server.client.execute(request).await.unwrap();
            let (status, headers) = (response.status(), format!("{:?}", response.headers()));
            let body = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
            assert_ne!(status.as_u16(), 500, "{what}: {body}");
            for (index, tenant) in tenants.iter().enumerate() {
                for shown in [&headers, &body] {
                    assert!(
                        index == who || !shown.contains(&tenant.canary),
                        "{what} shows {who} the secret of {index}: {body}"
                    );
                    let own = index == who && !stranger;
                    assert!(
                        own || !shown.contains(&tenant.private),
                        "{what} shows {who} a private secret of {index}: {body}"
                    );
                }
            }
            Some(status.as_u16())
        }
    });
    let statuses: Vec<u16> =
        attacks.buffer_unordered(8).filter_map(|status| async move { status }).collect().await;
    let of = |status: u16| statuses.iter().filter(|have| **have == status).count();
    println!(
        "{} requests by {count} tenants: {} × 200, {} × 404, {} × 422, 0 foreign bytes",
        statuses.len(),
        of(200),
        of(404),
        of(422)
    );
    assert!(
        statuses.len() > requests / 2 && of(200) > requests / 20,
        "too little was asked to mean anything"
    );
    assert!(of(404) > 0 && of(422) > 0);
    // What a tenant's own keys did to it is its own affair; others' documents are as they were for those who ruined nothing.
    let metrics = operator.get("/metrics").await;
    let shown = metrics.body.as_str().unwrap();
    for tenant in &tenants {
        assert!(!shown.contains(&tenant.canary) && !shown.contains(&tenant.private));
    }
}

#[tokio::test]
async fn a_tenant_that_is_attacked_keeps_what_it_has() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let victim = settle(&server, &operator, 0).await;
    let mut tenants = vec![settle(&server, &operator, 1).await, settle(&server, &operator, 2).await];
    let attackers = tenants.len();
    tenants.push(victim);
    let mut rng = Rng::with_seed(11);
    for _ in 0..400 {
        let (_, who, _, request) = attack(&mut rng, &server, &tenants);
        if who < attackers
            && let Ok(request) = request.build()
        {
            let response = server.client.execute(request).await.unwrap();
            let _ = response.bytes().await;
        }
    }
    let victim = tenants.pop().unwrap();
    let owner = Visitor::new(&server, &victim.admin);
    let documents = owner.get("/v1/collections/default/documents").await.good();
    let shown: Vec<&str> = documents["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["id"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["open-of-0.md", "private-of-0.md"]);
    assert_eq!(documents["documents"][1]["acl"], json!(["user:owner"]));
    let keys = owner.get("/v1/keys").await.good();
    let keys = keys["keys"].as_array().unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|key| key["revoked_at"].is_null()), "{keys:?}");
    let log = owner.get("/v1/audit").await.good().to_string();
    for attacker in &tenants {
        assert!(
            !log.contains(attacker.admin.split('_').nth(1).unwrap()),
            "an attacker's entry is its own tenant's"
        );
    }
    victim.checked(&server).await;
}

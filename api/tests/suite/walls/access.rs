//! Access lists over every way to a document, and a change of one that is in force with the next request.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::visitor::{UNLIMITED, Visitor, secured};

const ACL: &str = "/v1/collections/default/documents/plan/acl";

#[tokio::test]
async fn a_changed_access_list_is_in_force_with_the_next_request() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    operator.add(json!({ "id": "open", "text": "The canteen opens at noon." })).await;
    let job = operator
        .add(json!({ "id": "plan", "text": "The zeppelin plan starts in spring.", "acl": ["user:ada"] }))
        .await;
    let ada = operator.key(json!({ "name": "ada", "rights": ["read"], "principals": ["user:ada"] })).await;
    let bob = operator.key(json!({ "name": "bob", "rights": ["read"], "principals": ["user:bob"] })).await;
    let sees = async |who: &Visitor<'_>| -> Vec<bool> {
        let documents = who.get("/v1/collections/default/documents").await.good();
        let filtered =
            who.get("/v1/collections/default/documents?filter=_id%20%3D%20%22plan%22").await.good();
        let counts = who.get("/v1/collections/default").await.good();
        let answer =
            who.post("/v1/answers", json!({ "question": "When does the zeppelin plan start?" })).await.good();
        let path = "/v1/collections/default/documents/plan";
        let mut seen = vec![
            who.found("zeppelin plan").await.contains(&"plan".to_owned()),
            documents["documents"].as_array().unwrap().len() == 2,
            filtered["documents"].as_array().unwrap().len() == 1,
            counts["collection"]["documents"] == 2,
            answer["citations"].as_array().unwrap().iter().any(|citation| citation["document_id"] == "plan"),
            answer.to_string().contains("zeppelin plan starts"),
            who.get(&format!("/v1/jobs/{job}")).await.status == StatusCode::OK,
            who.get("/v1/collections/default/jobs").await.good()["jobs"].as_array().unwrap().len() == 2,
        ];
        for part in ["", "/text", "/chunks", "/content"] {
            seen.push(who.get(&format!("{path}{part}")).await.status == StatusCode::OK);
        }
        seen
    };
    let rounds =
        std::env::var("WELLSPRING_ACL_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10);
    for round in 0..rounds {
        let (owner, sees_ada) = if round % 2 == 0 { ("user:bob", false) } else { ("user:ada", true) };
        operator.put(ACL, json!({ "acl": [owner] })).await.good();
        let (to_ada, to_bob) = (sees(&ada).await, sees(&bob).await);
        assert!(to_ada.iter().all(|seen| *seen == sees_ada), "round {round}, ada: {to_ada:?}");
        assert!(to_bob.iter().all(|seen| *seen != sees_ada), "round {round}, bob: {to_bob:?}");
    }
    operator.put(ACL, json!({ "acl": null })).await.good();
    assert!(sees(&ada).await.into_iter().chain(sees(&bob).await).all(|seen| seen));
}

#[tokio::test]
async fn writers_set_only_lists_that_they_stand_on() {
    let (server, first) = secured(&UNLIMITED).await;
    let operator = Visitor::new(&server, first);
    let ada = operator
        .key(json!({ "name": "ada", "rights": ["read", "write"], "principals": ["user:ada", "group:ops"] }))
        .await;
    let bob =
        operator.key(json!({ "name": "bob", "rights": ["read", "write"], "principals": ["user:bob"] })).await;
    let documents = "/v1/collections/default/documents";
    let hidden = json!({ "id": "x", "text": "Words.", "acl": ["user:bob"] });
    assert_eq!(ada.post(documents, hidden).await.problem(), "forbidden");
    ada.add(json!({ "id": "plan", "text": "The zeppelin plan.", "acl": ["group:ops"] })).await;
    assert_eq!(ada.put(ACL, json!({ "acl": ["user:bob"] })).await.problem(), "forbidden");
    assert_eq!(ada.put(ACL, json!({ "acl": [] })).await.problem(), "forbidden");
    // Leaving the list out must not open the document.
    for wrong in
        [json!({}), json!({ "acl": "user:ada" }), json!({ "acl": ["a\u{0}b"] }), json!({ "acl": [1] })]
    {
        assert_eq!(ada.put(ACL, wrong.clone()).await.problem(), "invalid", "{wrong}");
    }
    // What bob may not see he can neither change nor delete, and it looks as if it were not there.
    let absent = "/v1/collections/default/documents/none";
    let same = |one: Value, other: Value| {
        assert_eq!(
            one["detail"].as_str().unwrap().replace("plan", "none"),
            other["detail"].as_str().unwrap()
        );
    };
    let refused = bob.put(ACL, json!({ "acl": null })).await;
    assert_eq!(refused.problem(), "not-found");
    same(refused.body, bob.put(&format!("{absent}/acl"), json!({ "acl": null })).await.body);
    same(bob.delete("/v1/collections/default/documents/plan").await.body, bob.delete(absent).await.body);
    same(bob.get("/v1/collections/default/documents/plan").await.body, bob.get(absent).await.body);
    assert_eq!(bob.found("zeppelin").await, Vec::<String>::new());
    ada.put(ACL, json!({ "acl": ["user:ada", "user:bob"] })).await.good();
    assert_eq!(bob.found("zeppelin").await, ["plan"]);
}

use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::fake::{Script, ScriptedChat};

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct City {
    /// Its name.
    name: String,
    inhabitants: u32,
}

fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![Message { role: Role::User, content: "Which city?".to_owned() }],
        ..ChatRequest::default()
    }
}

fn shape() -> Shape {
    Shape::of::<City>("city", "A city").unwrap()
}

#[tokio::test]
async fn a_fitting_reply_is_asked_for_once_with_the_schema() {
    let model = ScriptedChat::new(
        "m",
        [Script::reply("```json\n{\"name\": \"Kiel\", \"inhabitants\": 246000}\n```")],
    );
    let fitting: Fitting<City> = shape().complete_as(&model, request()).await.unwrap();
    assert_eq!(fitting.value, City { name: "Kiel".to_owned(), inhabitants: 246_000 });
    assert!(!fitting.repaired);
    let asked = model.requests().remove(0);
    assert_eq!(asked.output.as_ref().unwrap().name, "city");
    assert!(asked.messages[0].content.contains("inhabitants") && asked.messages[0].role == Role::System);
}

#[tokio::test]
async fn an_unfit_reply_is_repaired_once_with_its_errors_and_then_refused() {
    let bad = || Script::reply(r#"{"name": "Kiel", "inhabitants": "many"}"#);
    let good = Script::reply(r#"{"name": "Kiel", "inhabitants": 1}"#);
    let model = ScriptedChat::new("m", [bad(), good]);
    let fitting = shape().complete(&model, request(), |_| Vec::new()).await.unwrap();
    assert!(fitting.repaired);
    let repair = model.requests().remove(1);
    let said = &repair.messages[repair.messages.len() - 2..];
    assert_eq!((said[0].role, said[1].role), (Role::Assistant, Role::User));
    assert!(said[0].content.contains("many") && said[1].content.contains("/inhabitants"), "{said:?}");

    let model = ScriptedChat::new("m", [bad(), Script::reply("sorry")]);
    let error = shape().complete(&model, request(), |_| Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn rules_beyond_the_schema_count_too() {
    let small = |value: &Value| match value["inhabitants"].as_u64() {
        Some(count) if count > 10 => vec!["/inhabitants: must be at most 10".to_owned()],
        _ => Vec::new(),
    };
    let large = Script::reply(r#"{"name": "Kiel", "inhabitants": 11}"#);
    let model = ScriptedChat::new("m", [large.clone(), large]);
    let error = shape().complete(&model, request(), small).await.unwrap_err();
    assert!(error.to_string().contains("at most 10"), "{error}");
}

#[test]
fn schemas_that_reach_out_or_are_none_are_refused() {
    let deep = (0..60).fold(json!({}), |inner, _| json!({ "properties": { "a": inner }, "type": "object" }));
    for (schema, why) in [
        (json!({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}}), "refers"),
        (json!({"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}), "refers"),
        (json!({"type": "array"}), "object"),
        (json!(true), "object"),
        (json!({"type": "object", "properties": {"a": {"type": "nothing"}}}), "not valid"),
        (json!({"type": "object", "properties": {"a": {"pattern": "("}}}), "not valid"),
        (deep, "levels"),
    ] {
        let error = Shape::new("x", "", schema.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(why), "{schema}: {error}");
    }
    assert!(Shape::new("a b", "", json!({"type": "object"})).is_err());
    let own = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}});
    let shape = Shape::new("x", "", own).unwrap();
    assert_eq!(shape.errors(&json!({"a": "1"})).len(), 1);
    assert!(shape.errors(&json!({"a": 1})).is_empty());
}

//! Calls, their results, and replies as JSON, over both wire formats, whole and streamed.

use futures::StreamExt;
use serde_json::{Value, json};
use wellspring_models::anthropic::AnthropicChat;
use wellspring_models::fake::{Script, ScriptedChat};
use wellspring_models::openai::OpenAiChat;
use wellspring_models::registry::{Api, ChatEndpoint, OutputMode};
use wellspring_models::structured::Shape;
use wellspring_models::{
    ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, RoutedChat, ToolCall, ToolChoice, ToolResult,
    ToolSpec, ToolTurn,
};

use crate::chat;
use crate::provider::{Play, Provider};

fn model(api: Api, url: &str, name: &str) -> Box<dyn ChatModel> {
    let endpoint = ChatEndpoint { base_url: url.to_owned(), ..ChatEndpoint::new("remote", api, name) };
    match api {
        Api::Openai => Box::new(OpenAiChat::new(endpoint).unwrap()),
        Api::Anthropic => Box::new(AnthropicChat::new(endpoint).unwrap()),
    }
}

fn offering() -> ChatRequest {
    let parameters = json!({ "type": "object", "properties": { "query": { "type": "string" } } });
    let tool = |name: &str| ToolSpec {
        name: name.to_owned(),
        description: "Finds.".to_owned(),
        parameters: parameters.clone(),
    };
    ChatRequest { tools: vec![tool("search"), tool("fetch")], ..chat::request("What is there?") }
}

/// The same reply, put together from a stream.
async fn streamed(model: &dyn ChatModel, request: &ChatRequest) -> (String, Vec<ToolCall>, FinishReason) {
    let mut events = model.stream(request).await.unwrap();
    let (mut text, mut calls) = (String::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event.unwrap() {
            ChatEvent::Token(token) => text.push_str(&token),
            ChatEvent::Call(call) => calls.push(call),
            ChatEvent::Done { finish, .. } => {
                assert!(events.next().await.is_none());
                return (text, calls, finish);
            }
        }
    }
    panic!("no end");
}

fn parts(reply: ChatReply) -> (String, Vec<ToolCall>, FinishReason) {
    (reply.text, reply.calls, reply.finish)
}

#[tokio::test]
async fn calls_are_read_whole_and_streamed_and_results_go_back() {
    for api in [Api::Openai, Api::Anthropic] {
        let provider = Provider::start().await;
        let model = model(api, &provider.url, "script");
        let calls = || {
            Play::Calls(vec![
                ("search".to_owned(), json!({ "query": "leave, \"paid\" {é}" })),
                ("fetch".to_owned(), json!({ "ids": [1, 2] })),
            ])
        };
        provider.plays().add([calls(), calls(), Play::text("Thirty days [1].")]);
        let whole = parts(model.complete(&offering()).await.unwrap());
        assert_eq!(whole, streamed(model.as_ref(), &offering()).await, "{api:?}");
        let (text, calls, finish) = whole;
        assert_eq!((text.as_str(), finish), ("", FinishReason::ToolCalls));
        assert_eq!(calls[0].arguments, Ok(json!({ "query": "leave, \"paid\" {é}" })));
        assert_eq!((calls[1].name.as_str(), calls[1].id.as_str()), ("fetch", "t1"));

        let result = |content: &str, is_error| ToolResult { content: content.to_owned(), is_error };
        let turn = ToolTurn {
            text: String::new(),
            calls: calls.into_iter().zip([result("found it", false), result("no such", true)]).collect(),
        };
        let request = ChatRequest { turns: vec![turn], tool_choice: ToolChoice::None, ..offering() };
        assert_eq!(model.complete(&request).await.unwrap().text, "Thirty days [1].");
        let sent = provider.plays().seen().pop().unwrap();
        let messages = sent["messages"].as_array().unwrap();
        match api {
            Api::Openai => {
                let [.., said, first, second] = messages.as_slice() else { panic!("{sent}") };
                assert_eq!(said["tool_calls"][0]["function"]["name"], "search");
                assert_eq!((&first["tool_call_id"], &first["content"]), (&json!("t0"), &json!("found it")));
                assert_eq!((&first["role"], &second["tool_call_id"]), (&json!("tool"), &json!("t1")));
                assert_eq!(sent["tool_choice"], "none");
            }
            Api::Anthropic => {
                let [.., said, results] = messages.as_slice() else { panic!("{sent}") };
                assert_eq!(said["content"][1]["input"], json!({ "ids": [1, 2] }));
                assert_eq!(results["content"][1]["is_error"], true);
                assert_eq!(results["role"], "user");
                assert_eq!(sent["tool_choice"]["type"], "none");
            }
        }
    }
}

#[tokio::test]
async fn a_request_without_tools_gets_no_call_whatever_the_provider_sends() {
    for api in [Api::Openai, Api::Anthropic] {
        let provider = Provider::start().await;
        let model = model(api, &provider.url, "script");
        let call = || Play::call("delete_everything", json!({}));
        provider.plays().add([call(), call()]);
        let request = chat::request("?");
        let (_, calls, finish) = parts(model.complete(&request).await.unwrap());
        assert_eq!((calls, finish), (Vec::new(), FinishReason::ToolCalls));
        assert!(streamed(model.as_ref(), &request).await.1.is_empty());
        let sent: Value = provider.plays().seen().remove(0);
        assert!(sent.get("tools").is_none() && sent.get("tool_choice").is_none(), "{sent}");
    }
}

#[tokio::test]
async fn a_reply_of_a_schema_is_text_in_both_formats() {
    let schema =
        json!({ "type": "object", "properties": { "days": { "type": "integer" } }, "required": ["days"] });
    let shape = Shape::new("leave", "Paid leave", schema.clone()).unwrap();
    for api in [Api::Openai, Api::Anthropic] {
        let provider = Provider::start().await;
        let model = model(api, &provider.url, "script");
        let text = r#"{"days":30}"#;
        provider.plays().add([
            Play::text(text),
            Play::text(text),
            Play::text(r#"{"days":"many"}"#),
            Play::text(text),
        ]);
        let request = shape.ask(chat::request("How many?"));
        let whole = parts(model.complete(&request).await.unwrap());
        assert_eq!(whole, (text.to_owned(), Vec::new(), FinishReason::Stop), "{api:?}");
        assert_eq!(whole, streamed(model.as_ref(), &request).await, "{api:?}");
        let sent = provider.plays().seen().pop().unwrap();
        match api {
            Api::Openai => assert_eq!(sent["response_format"]["json_schema"]["schema"], schema),
            Api::Anthropic => {
                assert_eq!(sent["tools"][0]["input_schema"], schema);
                assert_eq!(sent["tool_choice"]["name"], "leave");
            }
        }
        let fitting =
            shape.complete(model.as_ref(), chat::request("How many?"), |_| Vec::new()).await.unwrap();
        assert!(fitting.repaired);
        assert_eq!(fitting.value["days"], 30);
    }
}

#[tokio::test]
async fn a_server_that_knows_no_schemas_is_asked_for_an_object() {
    let provider = Provider::start().await;
    provider.plays().add([Play::text("{}")]);
    let endpoint = ChatEndpoint {
        base_url: provider.url.clone(),
        output: OutputMode::Object,
        ..ChatEndpoint::new("remote", Api::Openai, "script")
    };
    let shape = Shape::new("x", "", json!({ "type": "object" })).unwrap();
    OpenAiChat::new(endpoint).unwrap().complete(&shape.ask(chat::request("?"))).await.unwrap();
    assert_eq!(provider.plays().seen()[0]["response_format"], json!({ "type": "json_object" }));
}

#[tokio::test]
async fn calls_pass_through_a_route() {
    let scripted = || {
        let script = Script::calling([("search", json!({ "query": "x" }))]);
        std::sync::Arc::new(ScriptedChat::new("a", vec![script; 2])) as std::sync::Arc<dyn ChatModel>
    };
    let route = RoutedChat::new("r", vec![scripted(), scripted()]).unwrap();
    let whole = parts(route.complete(&offering()).await.unwrap());
    assert_eq!(whole.1[0].name, "search");
    assert_eq!(whole, streamed(&route, &offering()).await);
}

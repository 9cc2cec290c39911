//! Which failures another model may make good, and which are said.

use std::sync::Arc;

use futures::StreamExt;
use wellspring_models::fake::{Script, ScriptEnd, ScriptedChat};
use wellspring_models::registry::{Api, ChatEndpoint, Providers, Routes};
use wellspring_models::{ChatEvent, ChatModel, ErrorKind, ModelsConfig, Purpose, Registry, RoutedChat};

use crate::chat;
use crate::provider::{Provider, TEXT};

fn scripted(name: &str, scripts: Vec<Script>) -> Arc<ScriptedChat> {
    Arc::new(ScriptedChat::new(name, scripts))
}

fn fault(kind: ErrorKind) -> Script {
    Script::reply("").ending(ScriptEnd::Fault(kind))
}

#[tokio::test]
async fn a_route_keeps_the_contract() {
    let model = scripted("a", vec![Script::reply("Thirty days."); 4]);
    // Named like its one model: the contract asks that a reply names the model that was asked.
    let route = RoutedChat::new("a", vec![model]).unwrap();
    chat::keeps_contract(&route).await;
    assert_eq!(RoutedChat::new("x", Vec::new()).err().map(|error| error.kind()), Some(ErrorKind::Invalid));
}

#[tokio::test]
async fn the_next_is_tried_for_what_it_may_not_share() {
    for kind in [ErrorKind::Unavailable, ErrorKind::RateLimited, ErrorKind::Timeout, ErrorKind::Corrupt] {
        let (first, second) =
            (scripted("a", vec![fault(kind); 2]), scripted("b", vec![Script::reply("Good."); 2]));
        let route = RoutedChat::new("a, b", vec![first, second]).unwrap();
        let reply = route.complete(&chat::request("?")).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.served_by.as_str()), ("Good.", "b"), "{kind:?}");
        let events: Vec<_> = route.stream(&chat::request("?")).await.unwrap().collect().await;
        assert!(matches!(events.last(), Some(Ok(ChatEvent::Done { served_by, .. })) if served_by == "b"));
    }
}

#[tokio::test]
async fn a_fault_of_request_or_configuration_is_said() {
    for kind in [ErrorKind::Unauthorized, ErrorKind::Invalid, ErrorKind::NotFound] {
        let (first, second) =
            (scripted("a", vec![fault(kind); 2]), scripted("b", vec![Script::reply("Good.")]));
        let route = RoutedChat::new("a, b", vec![first, second.clone()]).unwrap();
        assert_eq!(route.complete(&chat::request("?")).await.unwrap_err().kind(), kind);
        assert_eq!(route.stream(&chat::request("?")).await.err().unwrap().kind(), kind);
        assert!(second.requests().is_empty());
    }
}

#[tokio::test]
async fn nothing_is_tried_after_the_first_token() {
    let cut = Script::reply("Half a").ending(ScriptEnd::Cut);
    let (first, second) = (scripted("a", vec![cut]), scripted("b", vec![Script::reply("Good.")]));
    let route = RoutedChat::new("a, b", vec![first, second.clone()]).unwrap();
    let events: Vec<_> = route.stream(&chat::request("?")).await.unwrap().collect().await;
    assert!(events[0].is_ok() && events.last().unwrap().is_err());
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a_configured_route_goes_past_a_failing_endpoint_of_another_api() {
    let provider = Provider::start().await;
    let endpoint = |name: &str, api, model| ChatEndpoint {
        base_url: provider.url.clone(),
        ..ChatEndpoint::new(name, api, model)
    };
    let config = ModelsConfig {
        chats: vec![endpoint("first", Api::Anthropic, "529"), endpoint("second", Api::Openai, "ok")],
        routes: Routes { answer: vec!["first".to_owned(), "second".to_owned()], ..Routes::default() },
        ..ModelsConfig::default()
    };
    let registry = Registry::new(config.clone()).unwrap();
    let route = registry.route(Purpose::Answer).unwrap().unwrap();
    let reply = route.complete(&chat::request("?")).await.unwrap();
    assert_eq!((reply.text, reply.served_by.as_str()), (TEXT.concat(), "second"));
    assert_eq!(provider.requests(), 2, "with another model at hand nothing is tried again");
    assert_eq!(registry.route(Purpose::Judge).unwrap().unwrap().name(), "first", "the default model");
    let routes = Routes { judge: vec!["nobody".to_owned()], ..Routes::default() };
    let unknown = Registry::new(ModelsConfig { routes, ..config });
    assert_eq!(unknown.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

#[tokio::test]
async fn a_provider_with_a_key_gives_models_by_name() {
    let provider = Provider::start().await;
    let mut providers = Providers::default();
    providers.anthropic.base_url = provider.url.clone();
    providers.anthropic.api_key = Some(wellspring_models::Secret::new("sk-secret"));
    providers.anthropic.models = vec!["ok".to_owned()];
    let registry = Registry::new(ModelsConfig { providers, ..ModelsConfig::default() }).unwrap();
    assert!(registry.chat(None).unwrap().is_none(), "a key alone sends nothing anywhere");
    let chat = registry.chat(Some("anthropic/ok")).unwrap().unwrap();
    assert_eq!(chat.complete(&chat::request("?")).await.unwrap().text, TEXT.concat());
    assert!(registry.chat(Some("anthropic/other")).is_err(), "only what is listed can be named");
    assert_eq!(registry.chat(Some("openai/ok")).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
}

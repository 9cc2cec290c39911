//! Every try of a paid call is reserved before and settled after, whatever becomes of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Notify;
use wellspring_models::budget::Accounting;
use wellspring_models::chat::Usage;
use wellspring_models::fake::{Script, ScriptEnd, ScriptedChat};
use wellspring_models::ledger::{
    Account, Ask, Ledger, Limit, LimitName, Limits, Refusal, Reservation, Settled, Work,
};
use wellspring_models::registry::{
    Api, ChatEndpoint, EmbedderEndpoint, RerankApi, RerankerEndpoint, RetryPolicy, Routes,
};
use wellspring_models::replies::{CacheStore, RememberedChat, ReplyCache, Shown};
use wellspring_models::{
    ChatEvent, ChatModel, ErrorKind, ModelsConfig, Money, Price, Purpose, Registry, TextKind,
};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::chat;
use crate::provider::{Provider, TEXT};

/// Books in memory under a limit of tokens, that remember everything.
#[derive(Default)]
struct Books {
    most: Option<u64>,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Default)]
struct State {
    open: BTreeMap<i64, Ask>,
    used: u64,
    lines: Vec<(String, &'static str, Settled)>,
}

impl Books {
    fn limited(tokens: u64) -> Arc<Self> {
        Arc::new(Self { most: Some(tokens), ..Self::default() })
    }

    /// Model, purpose and settlement of every try that was settled, in order; none may be open.
    fn lines(&self) -> Vec<(String, &'static str, Settled)> {
        let state = self.state.lock().unwrap();
        assert!(state.open.is_empty(), "a try was left open");
        state.lines.clone()
    }

    /// Returns once nothing is open.
    async fn closed(&self) {
        while !self.state.lock().unwrap().open.is_empty() {
            self.settled.notified().await;
        }
    }
}

#[async_trait]
impl Ledger for Books {
    async fn reserve(&self, ask: &Ask) -> wellspring_models::Result<Reservation> {
        let mut state = self.state.lock().unwrap();
        let reserved: u64 =
            state.open.values().map(|ask| ask.worst.input_tokens + ask.worst.output_tokens).sum();
        let (asked, used) = (ask.worst.input_tokens + ask.worst.output_tokens, state.used + reserved);
        if let Some(most) = self.most.filter(|most| used + asked > *most) {
            let ends_in = Duration::from_secs(60);
            return Err(Refusal { limit: LimitName::DayTokens, most, used, asked, ends_in }.into_error());
        }
        let number = (state.lines.len() + state.open.len()) as i64;
        state.open.insert(number, ask.clone());
        Ok(Reservation(number))
    }

    async fn affords(&self, ask: &Ask) -> wellspring_models::Result<()> {
        let reservation = self.reserve(ask).await?;
        self.state.lock().unwrap().open.remove(&reservation.0);
        Ok(())
    }

    async fn settle(&self, key: Reservation, ask: &Ask, settled: Settled) -> wellspring_models::Result<()> {
        let mut state = self.state.lock().unwrap();
        assert!(state.open.remove(&key.0).is_some(), "settled twice");
        state.used += match settled {
            Settled::Told(usage, _) | Settled::Estimated(usage, _) => {
                usage.input_tokens + usage.output_tokens
            }
            Settled::Worst => ask.worst.input_tokens + ask.worst.output_tokens,
            Settled::Nothing => 0,
        };
        state.lines.push((ask.model.clone(), ask.work.name(), settled));
        self.settled.notify_one();
        Ok(())
    }
}

fn account() -> Account {
    Account::new("acme", None, "request")
}

fn price(input: &str, output: &str) -> Price {
    Price { input: input.parse().unwrap(), output: output.parse().unwrap(), ..Price::default() }
}

fn accounting(books: &Arc<Books>, prices: &[(&str, Price)]) -> Accounting {
    let prices = prices.iter().map(|(name, price)| ((*name).to_owned(), *price)).collect();
    Accounting { ledger: Arc::clone(books) as _, prices, currency: "EUR".into(), replies: None }
}

/// Endpoints of the provider, each of which fails as its name says, in the order in which answers try them.
fn registry(provider: &Provider, models: &[(&str, Api)], books: &Arc<Books>) -> Registry {
    registry_at(&provider.url, models, books)
}

fn registry_at(url: &str, models: &[(&str, Api)], books: &Arc<Books>) -> Registry {
    let chats: Vec<ChatEndpoint> = models
        .iter()
        .map(|(model, api)| ChatEndpoint {
            base_url: url.to_owned(),
            retry: RetryPolicy { retries: 2, min_ms: 1, max_ms: 5 },
            ..ChatEndpoint::new(*model, *api, *model)
        })
        .collect();
    let routes = Routes { answer: chats.iter().map(|chat| chat.name.clone()).collect(), ..Routes::default() };
    let config = ModelsConfig { chats, routes, ..ModelsConfig::default() };
    let prices: Vec<(&str, Price)> = models.iter().map(|(model, _)| (*model, price("1", "10"))).collect();
    Registry::new(config).unwrap().with_accounting(accounting(books, &prices), &Limits::default()).unwrap()
}

fn route(registry: &Registry, account: &Account) -> Arc<dyn ChatModel> {
    registry.route_for(Purpose::Answer, account, Duration::from_secs(20)).unwrap().unwrap()
}

const TOLD: Usage =
    Usage { input_tokens: 11, output_tokens: 3, cached_input_tokens: 0, cache_write_tokens: 0 };

#[tokio::test]
async fn a_call_is_settled_at_what_the_provider_says() {
    let provider = Provider::start().await;
    for api in [Api::Openai, Api::Anthropic] {
        let (books, account) = (Arc::new(Books::default()), account());
        let model = route(&registry(&provider, &[("ok", api)], &books), &account);
        model.complete(&chat::request("?")).await.unwrap();
        let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
        assert!(matches!(events.last(), Some(Ok(ChatEvent::Done { .. }))));
        let cost = Money::from_micros(11 + 30);
        let line = ("ok".to_owned(), "answer", Settled::Told(TOLD, Some(cost)));
        assert_eq!(books.lines(), [line.clone(), line]);
        let statement = account.statement();
        assert_eq!((statement.cost, statement.currency.as_deref()), (Some(cost.plus(cost)), Some("EUR")));
        assert_eq!((statement.lines[0].calls, statement.lines[0].input_tokens), (2, 22));
    }
}

#[tokio::test]
async fn without_the_providers_word_an_upper_estimate_counts() {
    let provider = Provider::start().await;
    let (books, account) = (Arc::new(Books::default()), account());
    let model = route(&registry(&provider, &[("no-usage", Api::Openai)], &books), &account);
    model.complete(&chat::request("?")).await.unwrap();
    let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
    assert!(matches!(events.last(), Some(Ok(ChatEvent::Done { usage: None, .. }))));
    for (_, _, settled) in books.lines() {
        let Settled::Estimated(usage, Some(_)) = settled else { panic!("{settled:?}") };
        let words = TEXT.concat().split_whitespace().count() as u64;
        assert!(usage.input_tokens >= 11 && (words..64).contains(&usage.output_tokens), "{usage:?}");
    }
    assert!(account.statement().lines[0].estimated);
}

#[tokio::test]
async fn every_try_that_may_have_been_charged_for_counts() {
    let provider = Provider::start().await;
    for (model, tries, free) in
        [("500", 3, false), ("503", 3, true), ("401", 1, true), ("bad-json", 1, false)]
    {
        let books = Arc::new(Books::default());
        let before = provider.requests();
        let paid = route(&registry(&provider, &[(model, Api::Openai)], &books), &account());
        paid.complete(&chat::request("?")).await.unwrap_err();
        assert_eq!(provider.requests() - before, tries, "{model}");
        let expected = if free { Settled::Nothing } else { Settled::Worst };
        let settled: Vec<_> = books.lines().into_iter().map(|line| line.2).collect();
        assert_eq!(settled, vec![expected; tries], "{model}");
    }
}

#[tokio::test]
async fn what_never_left_costs_nothing() {
    let books = Arc::new(Books::default());
    // A port that was free a moment ago: nobody listens on it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let gone = registry_at(&url, &[("ok", Api::Openai)], &books);
    route(&gone, &account()).complete(&chat::request("?")).await.unwrap_err();
    assert!(books.lines().iter().all(|line| line.2 == Settled::Nothing), "{:?}", books.lines());
    assert!(!books.lines().is_empty());
}

#[tokio::test]
async fn the_attempts_of_a_route_are_charged_each_to_its_model() {
    let provider = Provider::start().await;
    let (books, account) = (Arc::new(Books::default()), account());
    let model =
        route(&registry(&provider, &[("500", Api::Anthropic), ("ok", Api::Openai)], &books), &account);
    assert_eq!(model.complete(&chat::request("?")).await.unwrap().served_by, "ok");
    let lines = books.lines();
    assert_eq!(lines.iter().map(|line| line.0.as_str()).collect::<Vec<_>>(), ["500", "ok"]);
    assert_eq!(lines[0].2, Settled::Worst);
    let of = |model: &str| {
        account.statement().lines.into_iter().find(|line| line.model == model).unwrap().cost.unwrap()
    };
    assert!(of("500") > of("ok"));
}

#[tokio::test]
async fn a_stream_that_is_cut_or_dropped_is_charged_at_its_worst() {
    let provider = Provider::start().await;
    for model in ["close", "stop"] {
        let books = Arc::new(Books::default());
        let paid = route(&registry(&provider, &[(model, Api::Openai)], &books), &account());
        let mut events = paid.stream(&chat::request("?")).await.unwrap();
        assert!(matches!(events.next().await, Some(Ok(ChatEvent::Token(_)))));
        if model == "close" {
            assert!(matches!(events.next().await, Some(Err(_))));
        }
        drop(events);
        books.closed().await;
        assert_eq!(books.lines(), [(model.to_owned(), "answer", Settled::Worst)]);
    }
}

#[tokio::test]
async fn a_refused_call_is_not_made_and_no_other_model_hides_it() {
    let provider = Provider::start().await;
    let books = Books::limited(10);
    let model =
        route(&registry(&provider, &[("ok", Api::Openai), ("no-usage", Api::Openai)], &books), &account());
    for error in [
        model.complete(&chat::request("?")).await.err().unwrap(),
        model.stream(&chat::request("?")).await.err().unwrap(),
    ] {
        assert_eq!(
            (error.kind(), error.retry_after()),
            (ErrorKind::RateLimited, Some(Duration::from_secs(60)))
        );
        assert_eq!(error.refusal().unwrap().limit, LimitName::DayTokens);
    }
    assert_eq!((provider.requests(), books.lines().len()), (0, 0));
}

#[tokio::test]
async fn a_model_that_hangs_leaves_the_next_its_share() {
    let provider = Provider::start().await;
    let books = Arc::new(Books::default());
    let registry = registry(&provider, &[("silent", Api::Openai), ("ok", Api::Openai)], &books);
    let within = Duration::from_secs(10);
    let model = registry.route_for(Purpose::Answer, &account(), within).unwrap().unwrap();
    let both = async {
        let reply = model.complete(&chat::request("?")).await.unwrap();
        let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
        (reply.served_by, events.len())
    };
    let (served_by, events) = tokio::time::timeout(2 * within, both).await.unwrap();
    assert_eq!((served_by.as_str(), events), ("ok", TEXT.len() + 1));
    books.closed().await;
    let worst = books.lines().iter().filter(|line| line.0 == "silent" && line.2 == Settled::Worst).count();
    assert_eq!(worst, 2, "what was given up may have been charged for");
}

#[tokio::test]
async fn embedding_is_paid_for_once_and_kept() {
    let server = MockServer::start().await;
    let reply = json!({ "data": [{ "index": 0, "embedding": [1.0, 0.0] }], "usage": { "prompt_tokens": 4, "total_tokens": 4 } });
    Mock::given(path("/embeddings"))
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    Mock::given(path("/embeddings"))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .mount(&server)
        .await;
    let endpoint: EmbedderEndpoint = serde_json::from_value(json!({
        "name": "e", "base_url": server.uri(), "model": "m", "dimension": 2,
        "retry": { "retries": 1, "min_ms": 1, "max_ms": 5 },
    }))
    .unwrap();
    let books = Arc::new(Books::default());
    let config = ModelsConfig { embedders: vec![endpoint], ..ModelsConfig::default() };
    let registry = Registry::new(config)
        .unwrap()
        .with_accounting(accounting(&books, &[("e", price("100", "0"))]), &Limits::default())
        .unwrap();
    for _ in 0..2 {
        let embedder = registry.embedder_for("e", Work::QUERY, &account()).await.unwrap();
        embedder.embed(TextKind::Query, &["how many days"]).await.unwrap();
    }
    let lines = books.lines();
    assert_eq!(lines.len(), 2, "the second time it was known: {lines:?}");
    assert_eq!((lines[0].1, lines[0].2), ("embed_query", Settled::Worst), "a 500 may have been charged for");
    let told = Usage { input_tokens: 4, ..Usage::default() };
    assert_eq!(lines[1].2, Settled::Told(told, Some(Money::from_micros(400))));
}

#[tokio::test]
async fn a_remote_reranker_is_paid_for() {
    let server = MockServer::start().await;
    let reply = json!({ "results": [{ "index": 0, "relevance_score": 0.9 }, { "index": 1, "relevance_score": 0.1 }] });
    Mock::given(path("/rerank"))
        .respond_with(ResponseTemplate::new(200).set_body_json(reply))
        .mount(&server)
        .await;
    let endpoint = RerankerEndpoint {
        base_url: server.uri(),
        ..RerankerEndpoint::new("r", RerankApi::Cohere, "rerank-1")
    };
    let books = Arc::new(Books::default());
    let config = ModelsConfig { rerankers: vec![endpoint], ..ModelsConfig::default() };
    let flat = Price { request: "0.002".parse().unwrap(), ..Price::default() };
    let registry = Registry::new(config)
        .unwrap()
        .with_accounting(accounting(&books, &[("r", flat)]), &Limits::default())
        .unwrap();
    let within = Duration::from_secs(5);
    let remote = registry.reranker_for(Some("r"), &account(), within).await.unwrap().unwrap();
    assert_eq!(remote.rerank("q", &["a", "b"]).await.unwrap(), [0.9, 0.1]);
    let lines = books.lines();
    assert!(matches!(lines[0].2, Settled::Estimated(usage, Some(cost))
        if usage.input_tokens > 0 && cost == "0.002".parse().unwrap()));
    assert_eq!(lines[0].1, "rerank");
}

#[tokio::test]
async fn a_registered_model_is_paid_for_too() {
    let books = Arc::new(Books::default());
    let registry = Registry::new(ModelsConfig::default())
        .unwrap()
        .with_accounting(accounting(&books, &[]), &Limits::default())
        .unwrap();
    let cut = Script::reply("Half a").ending(ScriptEnd::Cut);
    registry.register_chat("own", Arc::new(ScriptedChat::new("own", [cut])));
    let account = account();
    let model = registry.chat_for(Some("own"), Purpose::Judge, &account).unwrap().unwrap();
    let events: Vec<_> = model.stream(&chat::request("?")).await.unwrap().collect().await;
    assert!(events.last().unwrap().is_err());
    assert_eq!(books.lines(), [("own".to_owned(), "judge", Settled::Worst)]);
    assert_eq!(account.statement().cost, None, "it has no price");
}

#[tokio::test]
async fn a_limit_in_money_names_the_model_without_a_price() {
    let provider = Provider::start().await;
    let endpoint =
        ChatEndpoint { base_url: provider.url.clone(), ..ChatEndpoint::new("dear", Api::Openai, "m") };
    let config = ModelsConfig { chats: vec![endpoint], ..ModelsConfig::default() };
    let limits =
        Limits { day: Limit { money: Some(Money::from_micros(1)), tokens: None }, ..Limits::default() };
    let made = |prices: &[(&str, Price)]| {
        let accounting = accounting(&Arc::new(Books::default()), prices);
        Registry::new(config.clone()).unwrap().with_accounting(accounting, &limits)
    };
    let error = made(&[]).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("the model dear has no price"), "{error}");
    assert!(made(&[("dear", Price::default())]).is_ok());
    assert!(made(&[("dear", Price::default()), ("other", Price::default())]).is_err());
}

/// Replies in memory.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<[u8; 32], Value>>);

#[async_trait]
impl CacheStore for Kept {
    async fn get(&self, _shown: &Shown, ask: [u8; 32]) -> wellspring_models::Result<Option<Value>> {
        Ok(self.0.lock().unwrap().get(&ask).cloned())
    }

    async fn put(&self, _shown: &Shown, ask: [u8; 32], reply: Value) -> wellspring_models::Result<()> {
        self.0.lock().unwrap().insert(ask, reply);
        Ok(())
    }
}

#[tokio::test]
async fn a_whole_reply_is_given_again_and_a_cut_one_never() {
    let cut = Script::reply("Half a").ending(ScriptEnd::Cut);
    let length =
        Script::reply("Too long").ending(ScriptEnd::Finished(wellspring_models::FinishReason::Length));
    let model = Arc::new(ScriptedChat::new(
        "m",
        [cut, length, Script::reply("Thirty days."), Script::reply("Never.")],
    ));
    let (cache, account) = (ReplyCache::new(Arc::new(Kept::default())), account());
    let shown = |version| Shown {
        tenant: "acme".to_owned(),
        collection: "docs".to_owned(),
        documents: vec![("d".to_owned(), version)],
    };
    let remembered = |version| {
        let request = chat::request("?");
        let (inner, work) = (Arc::clone(&model) as Arc<dyn ChatModel>, Purpose::Answer.into());
        RememberedChat::new(inner, cache.clone(), &request, shown(version), account.clone(), work)
    };
    let read = async |version| {
        let model = remembered(version);
        let mut events = model.stream(&chat::request("with another fence")).await.unwrap();
        let mut text = String::new();
        while let Some(Ok(event)) = events.next().await {
            if let ChatEvent::Token(piece) = event {
                text.push_str(&piece);
            }
        }
        text
    };
    let texts = [read(1).await, read(1).await, read(1).await, read(1).await];
    assert_eq!(texts, ["Half a", "Too long", "Thirty days.", "Thirty days."]);
    let whole = remembered(1).complete(&chat::request("?")).await.unwrap();
    assert_eq!((whole.text.as_str(), whole.served_by.as_str()), ("Thirty days.", "m"));
    let line = &account.statement().lines[0];
    assert_eq!((line.cached, line.calls), (2, 0));
    assert_eq!(read(2).await, "Never.", "another version is another ask");
}

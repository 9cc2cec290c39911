//! Pages that are fetched, and every way known to us of leading a fetcher astray: the canary must never hear from it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

/// Where pages may come from here, and where nothing may ever come from.
const OPEN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const INNER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Answers each look-up of a name with the next of its answers, the last one for ever.
struct Names(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    fn of(names: &[(&str, &[&[IpAddr]])]) -> Arc<Self> {
        let answers = |list: &[&[IpAddr]]| list.iter().rev().map(|answer| answer.to_vec()).collect();
        Arc::new(Self(Mutex::new(
            names.iter().map(|(name, list)| ((*name).to_owned(), answers(list))).collect(),
        )))
    }
}

#[async_trait]
impl Resolve for Names {
    async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let mut names = self.0.lock().unwrap();
        let answers = names.get_mut(host).ok_or(io::ErrorKind::NotFound)?;
        let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
        Ok(answer.unwrap_or_default().into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }
}

fn config() -> FetchConfig {
    let hosts = ["good.example", "*.below.example", "rebind.example", "mixed.example", "inner.example"];
    FetchConfig {
        enabled: true,
        hosts: hosts.map(str::to_owned).into(),
        max_bytes: 1_000,
        timeout_seconds: 10,
        ..FetchConfig::default()
    }
}

fn names() -> Arc<Names> {
    Names::of(&[
        ("good.example", &[&[OPEN]]),
        ("deep.below.example", &[&[OPEN]]),
        ("below.example", &[&[OPEN]]),
        ("unlisted.example", &[&[OPEN]]),
        ("rebind.example", &[&[OPEN], &[INNER]]),
        ("mixed.example", &[&[OPEN, INNER]]),
        ("inner.example", &[&[INNER]]),
    ])
}

/// A site on the open address, a canary behind the same port of the inner one.
async fn world(router: Router) -> (u16, Arc<AtomicUsize>) {
    let site = TcpListener::bind((OPEN, 0)).await.unwrap();
    let port = site.local_addr().unwrap().port();
    let canary = TcpListener::bind((INNER, port)).await.unwrap();
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    tokio::spawn(axum::serve(site, router).into_future());
    tokio::spawn(async move {
        while canary.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, heard)
}

/// A fetcher to whom 127.0.0.1 is the open internet, over plain HTTP.
fn fetcher(resolver: Arc<Names>) -> Fetcher {
    let rules = Rules { scheme: "http", any_port: true, may_connect: |address| address.ip() == OPEN };
    Fetcher { config: Arc::new(config()), resolver, rules }
}

fn site() -> Router {
    let html = |body: &'static str| ([("content-type", "text/html; charset=utf-8")], body);
    Router::new()
        .route("/page", get(move || async move { html("<p>A page.</p>") }))
        .route("/other", get(|| async { Redirect::temporary("/page") }))
        .route("/program", get(|| async { ([("content-type", "application/x-sh")], "#!/bin/sh") }))
        .route("/large", get(move || async move { html(Box::leak("x".repeat(1_001).into_boxed_str())) }))
        .route(
            "/endless",
            get(|| async {
                let body = axum::body::Body::from_stream(futures::stream::repeat(Ok::<
                    _,
                    std::convert::Infallible,
                >("x")));
                ([("content-type", "text/plain")], body)
            }),
        )
        .route("/round", get(|| async { Redirect::temporary("/round") }))
        .route("/private/page", get(move || async move { html("private") }))
        .route("/robots.txt", get(|| async { "User-agent: *\nDisallow: /private" }))
        .route(
            "/to",
            get(|RawQuery(to): RawQuery| async move {
                (StatusCode::FOUND, [("location", decoded(&to.unwrap_or_default()))])
            }),
        )
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("to={text}").as_bytes())
        .next()
        .map(|(_, to)| to.into_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn a_listed_page_is_fetched() {
    let (port, heard) = world(site()).await;
    let fetcher = fetcher(names());
    for path in ["page", "other"] {
        let page = fetcher.fetch(&format!("http://good.example:{port}/{path}")).await.unwrap();
        assert_eq!((page.bytes.as_ref(), page.media_type.as_str()), (&b"<p>A page.</p>"[..], "text/html"));
        assert_eq!(page.url.path(), "/page");
    }
    fetcher.fetch(&format!("http://deep.below.example:{port}/page")).await.unwrap();
    for (path, why) in [
        ("program", Refused::MediaType),
        ("large", Refused::TooLarge),
        ("round", Refused::Redirects),
        ("none", Refused::Failed),
        ("private/page", Refused::Robots),
        ("endless", Refused::TooLarge),
    ] {
        let refused = fetcher.fetch(&format!("http://good.example:{port}/{path}")).await.unwrap_err();
        assert_eq!(refused, why, "{path}");
    }
    for host in
        ["unlisted.example", "below.example", "xgood.example", "good.example.evil.example", "unknown.example"]
    {
        let refused = fetcher.fetch(&format!("http://{host}:{port}/page")).await.unwrap_err();
        assert_eq!(refused, Refused::Host, "{host}");
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_leads_to_the_inner_address() {
    let (port, heard) = world(site()).await;
    // By name, by one of several answers, by another answer to a second look-up.
    for host in ["inner.example", "mixed.example"] {
        let refused = fetcher(names()).fetch(&format!("http://{host}:{port}/page")).await.unwrap_err();
        assert_eq!(refused, Refused::Host, "{host}");
    }
    let rebound = fetcher(names());
    rebound.fetch(&format!("http://rebind.example:{port}/page")).await.unwrap();
    assert_eq!(
        rebound.fetch(&format!("http://rebind.example:{port}/page")).await.unwrap_err(),
        Refused::Host
    );
    // By a redirect, which is checked like the first address.
    for to in [
        format!("http://inner.example:{port}/page"),
        format!("http://mixed.example:{port}/page"),
        format!("http://127.0.0.2:{port}/page"),
        format!("//127.0.0.2:{port}/page"),
        format!("http://user:word@good.example:{port}/page"),
        format!("http://good.example@127.0.0.2:{port}/page"),
        format!("http://good.example%2f@127.0.0.2:{port}/page"),
        format!("http://0x7f000002:{port}/page"),
        format!("http://2130706434:{port}/page"),
        format!("http://[::ffff:7f00:2]:{port}/page"),
        "https://good.example/page".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.2/_".to_owned(),
    ] {
        let encoded: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let refused =
            fetcher(names()).fetch(&format!("http://good.example:{port}/to?{encoded}")).await.unwrap_err();
        assert!(matches!(refused, Refused::Host | Refused::Form | Refused::Failed), "{to}: {refused:?}");
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0, "the canary was reached");
}

#[tokio::test]
async fn the_strict_rules_let_no_spelling_through() {
    let (port, heard) = world(site()).await;
    let open = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Fetcher {
            config: Arc::new(FetchConfig { hosts, ..config() }),
            resolver: Arc::new(System),
            rules: STRICT,
        }
    };
    // Even an operator that lists them by name gets nothing from this machine or its network.
    let listed = [
        "localhost",
        "127.0.0.1",
        "127.0.0.2",
        "169.254.169.254",
        "metadata.google.internal",
        "[::1]",
        "0",
        "127.1",
        "0x7f.1",
    ];
    let fetcher = open(&listed);
    for address in [
        format!("https://127.0.0.2:{port}/"),
        "https://127.0.0.2/".to_owned(),
        "https://127.1/".to_owned(),
        "https://0177.0.0.2/".to_owned(),
        "https://0x7f.0.0.2/".to_owned(),
        "https://2130706434/".to_owned(),
        "https://0/".to_owned(),
        "https://[::1]/".to_owned(),
        "https://[::ffff:127.0.0.2]/".to_owned(),
        "https://[64:ff9b::7f00:2]/".to_owned(),
        "https://[2002:7f00:2::]/".to_owned(),
        "https://①②⑦.0.0.2/".to_owned(),
        "https://127。0。0。2/".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://localhost/".to_owned(),
        "https://LOCALHOST./".to_owned(),
        format!("https://localhost:{port}/"),
        "http://localhost/".to_owned(),
        format!("http://127.0.0.2:{port}/"),
        "https://user@localhost/".to_owned(),
        "https://:word@localhost/".to_owned(),
        "https://good.example\\@127.0.0.2/".to_owned(),
        "https://127.0.0.2\u{0}.good.example/".to_owned(),
        "https:///127.0.0.2/".to_owned(),
        "https:127.0.0.2".to_owned(),
        "\thttps://127.0.0.2/".to_owned(),
        "HTTPS://127.0.0.2/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://localhost/".to_owned(),
        "jar:https://localhost!/".to_owned(),
        "data:text/html,x".to_owned(),
        "//127.0.0.2/".to_owned(),
        String::new(),
        format!("https://good.example/{}", "x".repeat(3_000)),
    ] {
        let refused = fetcher.fetch(&address).await.unwrap_err();
        assert!(matches!(refused, Refused::Host | Refused::Form), "{address}: {refused:?}");
    }
    // Without a list there is nothing, and switched off there is less.
    assert_eq!(open(&[]).fetch("https://good.example/").await.unwrap_err(), Refused::Host);
    let off = Fetcher::new(FetchConfig { hosts: vec!["good.example".to_owned()], ..FetchConfig::default() });
    assert_eq!(off.fetch("https://good.example/").await.unwrap_err(), Refused::Off);
    assert_eq!(heard.load(Ordering::SeqCst), 0, "the canary was reached");
}

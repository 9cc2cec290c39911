//! The labelling page: one person on this machine, over the same session as the terminal.
//!
//! The page is one file without anything loaded; its policy names its style sheet and script by hash. Only loopback
//! addresses are served, under their own names (`Host`, `Origin`), and only to who knows the token in the address: another
//! user of the machine can reach the port but not guess it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use wellspring_eval::engine::Engine;
use wellspring_eval::label::Session;
use wellspring_eval::report::policy;

use super::shown;
use crate::http::guard::{Hosts, check_address, refusal};
use crate::output::Printer;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Characters of a document that the page shows.
const SHOWN: usize = 20_000;

/// Bytes of a request; a grade with its ids is far below.
const MOST_BYTES: usize = 16 << 10;

struct Desk {
    session: Mutex<Session>,
    engine: Engine,
    hosts: Hosts,
    policy: HeaderValue,
}

type Shared = Arc<Desk>;

/// Serves until the command is interrupted; gives the judgements in the file, by grade.
pub(super) async fn serve(
    address: SocketAddr,
    engine: Engine,
    session: Session,
    printer: Printer,
) -> anyhow::Result<BTreeMap<i32, usize>> {
    check_address(address, false)?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("can't listen on {address}"))?;
    let address = listener.local_addr()?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        policy::hash(STYLE),
        policy::hash(SCRIPT)
    );
    let desk = Arc::new(Desk {
        session: Mutex::new(session),
        engine,
        hosts: Hosts::new(address.port(), &[]),
        policy: policy.parse().context("the policy is no header")?,
    });
    printer.line(format_args!("judge on http://{address}/{token}/ (Ctrl-C ends)"))?;
    let ended = axum::serve(listener, router(&token, Arc::clone(&desk))).with_graceful_shutdown(async {
        // Without a handler the interrupt would end the process anyway.
        let _ = tokio::signal::ctrl_c().await;
    });
    ended.await?;
    // A browser's idle connection may still hold the desk, so the session is not taken out of it.
    Ok(desk.session.lock().await.counts())
}

fn router(token: &str, desk: Shared) -> Router {
    let at = |path: &str| format!("/{token}/{path}");
    Router::new()
        .route(&at(""), get(page))
        .route(&at("state"), get(state))
        .route(&at("grade"), post(grade))
        .route(&at("go"), post(go))
        .layer(axum::extract::DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(Arc::clone(&desk), check))
        .with_state(desk)
}

/// Lets through what this page itself asks, and says what browsers should keep to.
async fn check(State(desk): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&desk.hosts, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, desk.policy.clone());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page() -> Html<String> {
    Html(PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT))
}

async fn state(State(desk): State<Shared>) -> Response {
    answer(&desk, Ok(())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grade {
    query: String,
    document: String,
    grade: i32,
}

async fn grade(State(desk): State<Shared>, Json(given): Json<Grade>) -> Response {
    let kept = desk.session.lock().await.grade((&given.query, &given.document), given.grade);
    answer(&desk, kept).await
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Next,
    Previous,
    Query,
    Undo,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Go {
    to: Step,
}

async fn go(State(desk): State<Shared>, Json(Go { to }): Json<Go>) -> Response {
    let mut session = desk.session.lock().await;
    let mut gone = Ok(());
    match to {
        Step::Next => session.next(),
        Step::Previous => session.previous(),
        Step::Query => session.next_query(),
        Step::Undo => gone = session.undo().map(|_| ()),
    }
    drop(session);
    answer(&desk, gone).await
}

/// Where the person is now, and what went wrong.
async fn answer(desk: &Desk, done: wellspring_eval::Result<()>) -> Response {
    let (status, error) = match &done {
        Ok(()) => (StatusCode::OK, None),
        Err(error) if error.kind() == wellspring_eval::ErrorKind::Conflict => {
            (StatusCode::CONFLICT, Some(error.to_string()))
        }
        Err(error) if error.kind() == wellspring_eval::ErrorKind::Invalid => {
            (StatusCode::UNPROCESSABLE_ENTITY, Some(error.to_string()))
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, Some(error.to_string())),
    };
    match described(desk).await {
        Ok(mut state) => {
            state["error"] = json!(error);
            (status, Json(state)).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}

async fn described(desk: &Desk) -> anyhow::Result<Value> {
    let session = desk.session.lock().await;
    let (place, progress) = (session.place(), session.progress());
    drop(session);
    let shown = match &place {
        Some(place) => Some(shown(&desk.engine, &place.document, SHOWN).await?),
        None => None,
    };
    Ok(json!({ "place": place, "shown": shown, "progress": progress }))
}

//! Asks every request who sends it, and lets through what the credential allows: rights, rates, shares; writes the audit log.

use std::sync::Arc;
use std::time::Duration;

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;
use wellspring_store::accounts::Right;
use wellspring_store::audit::NewAuditEntry;

use super::caller::unauthenticated;
use super::limits::InProgress;
use super::policy::{Class, Need, class, need};
use super::{Shared, classes, export, measure};
use crate::auth::{Refusal, Sender};
use crate::limits::{Allowance, Rates, Verdict};
use crate::problem::{Code, Problem};

/// What an answered request was about, where its path does not say; put among a response's extensions.
#[derive(Debug, Clone)]
pub(super) struct About(pub(super) String);

/// The limits of each class.
pub(super) struct ClassRates {
    queries: Rates,
    uploads: Rates,
    others: Rates,
}

impl ClassRates {
    pub(super) fn new(limits: &crate::limits::LimitsConfig) -> Self {
        Self {
            queries: Rates::new(limits.queries),
            uploads: Rates::new(limits.uploads),
            others: Rates::new(limits.others),
        }
    }

    fn of(&self, class: Class) -> &Rates {
        match class {
            Class::Query => &self.queries,
            Class::Upload => &self.uploads,
            Class::Wait | Class::Plain => &self.others,
        }
    }

    /// Counts one more request of the sender: what comes inside a stream.
    pub(super) fn judge(&self, class: Class, sender: &Sender) -> Verdict {
        self.of(class).judge(&sender.actor(), sender.scope().tenant())
    }

    /// Forgets whoever has not asked for a while.
    pub(super) fn forget_idle(&self) {
        for rates in [&self.queries, &self.uploads, &self.others] {
            rates.forget_idle();
        }
    }
}

/// The layer. Below it every handler finds a [`Sender`], except on routes that everybody may use.
pub(super) async fn authorise(State(server): State<Shared>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.as_deref();
    let method = request.method().clone();
    let needed = match need(&method, route) {
        Need::Nothing => return next.run(request).await,
        Need::Right(Right::Operator) if server.app.config.auth.open_metrics && route == Some("/metrics") => {
            Need::Anything
        }
        needed => needed,
    };
    let sender = match (server.authenticator.identify(request.headers()).await, needed) {
        (Ok(sender), _) => sender,
        (Err(_), Need::Anything) => return next.run(request).await,
        (Err(refusal), _) => return refused(refusal),
    };
    request.extensions_mut().insert(sender.clone());
    if sender.is_local() || needed == Need::Anything {
        return next.run(request).await;
    }
    let class = class(&method, route);
    let tenant = sender.scope().tenant().clone();
    let verdict = server.rates.of(class).judge(&sender.actor(), &tenant);
    let allowance = match verdict {
        Verdict::Refused(allowance, wait) => return too_many(allowance, wait),
        Verdict::Allowed(allowance) => Some(allowance),
        Verdict::Unlimited => None,
    };
    let place = match server.classes.enter(class, &tenant) {
        Ok(place) => Arc::new(place),
        Err(setting) => return full(setting),
    };
    // Work that goes on without its client goes on in the tenant's share.
    if let Some(in_progress) = request.extensions_mut().get_mut::<InProgress>() {
        in_progress.share(Arc::clone(&place));
    }
    let response = match needed {
        Need::Right(right) if !sender.permits(right) => {
            let response = forbidden(right).into_response();
            if right != Right::Read && is_kept(&method, route) {
                let entry = entry(&server, &sender, &mut request, &method, route).await;
                keep(&server, entry, response.status()).await;
            }
            response
        }
        Need::Right(Right::Write | Right::Admin) if is_kept(&method, route) => {
            audited(Arc::clone(&server), sender.clone(), request, method, route, next).await
        }
        _ => next.run(request).await,
    };
    // Every answer in gRPC is a stream, and so is an export.
    let streams = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
        ["text/event-stream", "application/grpc", "application/x-ndjson"].iter().any(|stream| kind == stream)
    });
    let until = streams.then(|| server.authenticator.clone().revocation(sender.clone()));
    let mut response = classes::hold(response, place, until.map(|until| Box::pin(until) as classes::Until));
    if let Some(allowance) = allowance {
        tell(&mut response, allowance);
    }
    response
}

/// Whether the audit log says who did it: what changes something, and taking a whole collection out.
fn is_kept(method: &Method, route: Option<&str>) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || route == Some(export::ROUTE)
}

/// Runs a request that changes something to its end, whether or not the client waits for it, and keeps who sent it.
async fn audited(
    server: Shared,
    sender: Sender,
    mut request: Request,
    method: Method,
    route: Option<&str>,
    next: Next,
) -> Response {
    let route = route.map(str::to_owned);
    let work = async move {
        let _place = request.extensions().get::<InProgress>().cloned();
        let mut entry = entry(&server, &sender, &mut request, &method, route.as_deref()).await;
        let response = next.run(request).await;
        if let Some(About(object)) = response.extensions().get() {
            entry.object = Some(object.clone());
        }
        keep(&server, entry, response.status()).await;
        response
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => response,
        // The layer above answers for panics.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Problem::new(Code::Unavailable, "the server is closing")
            .retry_after(Duration::from_secs(5))
            .into_response(),
    }
}

/// What is known before the request is answered: never more than ids and names.
async fn entry(
    server: &Shared,
    sender: &Sender,
    request: &mut Request,
    method: &Method,
    route: Option<&str>,
) -> NewAuditEntry {
    let operation = format!("{method} {}", route.unwrap_or("(none)"));
    let action = server.operations.get(&operation).cloned().unwrap_or(operation);
    let (mut collection, mut object) = (None, None);
    if let Ok(parameters) = request.extract_parts::<RawPathParams>().await {
        for (name, value) in &parameters {
            match name {
                "collection" => collection = Some(value.to_owned()),
                "id" => object = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    NewAuditEntry {
        tenant: sender.scope().tenant().clone(),
        actor: sender.actor(),
        action,
        collection,
        object,
        outcome: 0,
        request: measure::id_of(request).map(str::to_owned),
    }
}

/// Keeps an entry. Requests that were only put off are left out: a flood of them would be a flood of entries.
pub(super) async fn keep(server: &Shared, mut entry: NewAuditEntry, status: StatusCode) {
    let status = status.as_u16();
    if matches!(status, 429 | 503) {
        return;
    }
    entry.outcome = status;
    if let Err(error) = server.app.store.audit.append(entry).await {
        tracing::error!(error = error.chain(), "an entry of the audit log could not be kept");
    }
}

/// The answer to whoever is not let in.
pub(super) fn refused(refusal: Refusal) -> Response {
    let (reason, problem) = match refusal {
        Refusal::Missing => ("missing", unauthenticated()),
        Refusal::Bad(reason) => {
            tracing::debug!(reason, "a credential was refused");
            // The same words for every cause: which it was helps only whoever guesses.
            (
                reason,
                Problem::new(
                    Code::Unauthenticated,
                    "the credential is not valid: it is unknown, expired or revoked",
                ),
            )
        }
        Refusal::Unavailable(error) => ("unavailable", Problem::from(error)),
    };
    metrics::counter!("wellspring_auth_refused_total", "reason" => reason).increment(1);
    problem.into_response()
}

fn forbidden(right: Right) -> Problem {
    metrics::counter!("wellspring_auth_refused_total", "reason" => "rights").increment(1);
    let right = match right {
        Right::Read => "read",
        Right::Write => "write",
        Right::Admin => "admin",
        Right::Operator => "operator",
    };
    Problem::new(
        Code::Forbidden,
        format!("this needs the right `{right}`, which the credential does not give"),
    )
}

fn too_many(allowance: Allowance, wait: Duration) -> Response {
    metrics::counter!("wellspring_rate_limited_total").increment(1);
    let detail = format!("more than {} requests a minute, the limit here (`limits`)", allowance.limit);
    // Whole seconds, so that whoever waits them is not a moment early.
    let wait = Duration::from_secs(wait.as_secs() + 1);
    let mut response = Problem::new(Code::RateLimited, detail).retry_after(wait).into_response();
    tell(&mut response, allowance);
    response
}

fn full(setting: &str) -> Response {
    metrics::counter!("wellspring_http_requests_shed_total").increment(1);
    Problem::new(
        Code::Unavailable,
        format!("as many requests of this kind as may be are in progress (`{setting}`)"),
    )
    .retry_after(Duration::from_secs(1))
    .into_response()
}

/// `RateLimit-*` as in draft-ietf-httpapi-ratelimit-headers-07, one field each.
fn tell(response: &mut Response, allowance: Allowance) {
    let Allowance { limit, remaining, reset } = allowance;
    let headers = response.headers_mut();
    for (name, value) in
        [("ratelimit-limit", limit), ("ratelimit-remaining", remaining), ("ratelimit-reset", reset)]
    {
        headers.insert(name, HeaderValue::from(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&format!("{limit};w=60")) {
        headers.insert("ratelimit-policy", policy);
    }
    // What stands behind a credential is nobody else's to keep.
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("authorization, x-api-key"));
}

//! Sends requests to one endpoint: connection, deadlines, retries, and statuses as errors.

use std::sync::Once;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::wire::error_message;
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::{Deadlines, RetryPolicy};
use crate::secret::Secret;

/// Bytes of a reply that are read; more is an error.
const MAX_REPLY: usize = 128 << 20;
/// Bytes of an error reply that are read; the rest is left out.
const MAX_ERROR: usize = 64 << 10;

/// A client builder with this program's TLS and with a proxy only where one helps: never to this machine.
pub(crate) fn client_builder(url: &Url) -> ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error means that another part of the program installed a provider first: just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
    let local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    let builder = Client::builder().user_agent(concat!("wellspring/", env!("CARGO_PKG_VERSION")));
    if local { builder.no_proxy() } else { builder }
}

/// A failure to reach `what` as an error of this crate. The URL is left out: it may hold a credential.
pub(crate) fn transport_error(what: &str, error: reqwest::Error) -> ModelError {
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    let happened = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "can't be reached"
    } else {
        "closed the connection early"
    };
    ModelError::new(kind, format!("{what} {happened}; check its base URL and that it runs"))
        .with_source(error.without_url())
}

/// One endpoint.
pub(super) struct Endpoint {
    client: Client,
    base: String,
    what: String,
    authorization: Option<HeaderValue>,
    api_key: Secret,
    pub(super) deadlines: Deadlines,
    retry: RetryPolicy,
}

impl Endpoint {
    /// `Invalid` if the URL is not http(s) or the key can't be a header.
    pub(super) fn new(
        what: String,
        base_url: &str,
        api_key: Option<&Secret>,
        deadlines: Deadlines,
        retry: RetryPolicy,
    ) -> Result<Self> {
        let invalid = |why: &str| ModelError::new(ErrorKind::Invalid, format!("{what}: {why}"));
        let url = Url::parse(base_url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| invalid("the base URL is no http or https URL; correct it"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(
                "the base URL holds a credential, and URLs are shown; put it into `api_key`",
            ));
        }
        let client = client_builder(&url)
            // A redirected POST would lose its body or carry the key elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_millis(deadlines.connect_ms))
            .build()
            .map_err(|error| {
                invalid("no HTTP client could be made; check the certificates of this machine")
                    .with_source(error)
            })?;
        let api_key = api_key.cloned().unwrap_or_default();
        let authorization = if api_key.expose().is_empty() {
            None
        } else {
            let mut value = HeaderValue::try_from(format!("Bearer {}", api_key.expose()))
                .map_err(|_| invalid("the API key holds characters that no header may; correct it"))?;
            value.set_sensitive(true);
            Some(value)
        };
        let base = base_url.trim_end_matches('/').to_owned();
        Ok(Self { client, base, what, authorization, api_key, deadlines, retry })
    }

    /// Names the endpoint in messages.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Whether this is OpenAI's own service, which names the token limit differently.
    pub(super) fn is_openai(&self) -> bool {
        Url::parse(&self.base).is_ok_and(|url| url.host_str() == Some("api.openai.com"))
    }

    /// When a call that starts now must end.
    pub(super) fn end(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.deadlines.total_ms)
    }

    /// Posts `body` and reads the whole JSON reply, trying again what fails in passing, before `end`.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        end: Instant,
    ) -> Result<T> {
        let body = self.encode(body)?;
        self.retrying(end, || async {
            let reply = read(self.send(path, &body).await?, MAX_REPLY, &self.what).await?;
            serde_json::from_slice(&reply).map_err(|error| {
                ModelError::new(
                    ErrorKind::Corrupt,
                    format!(
                        "{} sent a reply that is not what the API promises ({error}); check its base URL",
                        self.what
                    ),
                )
                .with_source(error)
            })
        })
        .await
    }

    /// Posts `body` and returns once the reply's head is there, trying again what fails in passing, before `end`.
    pub(super) async fn open(&self, path: &str, body: &impl Serialize, end: Instant) -> Result<Response> {
        let body = self.encode(body)?;
        self.retrying(end, || self.send(path, &body)).await
    }

    fn encode(&self, body: &impl Serialize) -> Result<bytes::Bytes> {
        serde_json::to_vec(body).map(bytes::Bytes::from).map_err(|error| {
            ModelError::new(ErrorKind::Internal, format!("a request to {} could not be written", self.what))
                .with_source(error)
        })
    }

    /// One try: a reply with a good status, or an error.
    async fn send(&self, path: &str, body: &bytes::Bytes) -> Result<Response> {
        let mut request = self
            .client
            .post(format!("{}{path}", self.base))
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body.clone());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| transport_error(&self.what, error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    async fn refusal(&self, mut response: Response) -> ModelError {
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        let mut body = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        let said = self.api_key.redact(&error_message(&body));
        let (kind, fix) = kind_of(status, &said);
        ModelError::new(kind, format!("{} answered {}: {said}; {fix}", self.what, status.as_u16()))
            .with_retry_after(wait)
    }

    async fn retrying<T, F>(&self, end: Instant, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let longest = Duration::from_millis(self.retry.max_ms);
        let waits = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(self.retry.min_ms.max(1)))
            .with_max_delay(longest)
            .with_max_times(self.retry.retries)
            .build()
            // Full jitter: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
            .map(|wait| wait.mul_f64(fastrand::f64()));
        let tries = attempt
            .retry(waits)
            .sleep(tokio::time::sleep)
            .when(ModelError::is_transient)
            .adjust(|error, wait| {
                let asked = error.retry_after().unwrap_or_default();
                let wait = wait?.max(asked);
                // A wait that is too long, or that would outlast the deadline, is the caller's to decide about.
                (asked <= longest && Instant::now() + wait < end).then_some(wait)
            })
            .notify(|error, wait| tracing::debug!(%error, ?wait, "trying again"));
        timeout_at(end, tries).await.unwrap_or_else(|_| {
            Err(ModelError::new(
                ErrorKind::Timeout,
                format!(
                    "{} did not finish within {} ms; raise `deadlines.total_ms`",
                    self.what, self.deadlines.total_ms
                ),
            ))
        })
    }
}

async fn read(mut response: Response, limit: usize, what: &str) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| transport_error(what, error))? {
        if body.len() + piece.len() > limit {
            return Err(ModelError::new(ErrorKind::Corrupt, format!("{what} sent more than {limit} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What a status means for a caller, and what to do about it.
fn kind_of(status: StatusCode, said: &str) -> (ErrorKind, &'static str) {
    match status.as_u16() {
        // Out of credit also comes as 429, and no wait mends it.
        401..=403 => (ErrorKind::Unauthorized, "check the API key and what it may use"),
        429 if said.contains("quota") => (ErrorKind::Unauthorized, "check the account's credit"),
        429 => (ErrorKind::RateLimited, "try again later"),
        404 => (ErrorKind::NotFound, "check the base URL and the model's name"),
        408 | 504 => (ErrorKind::Timeout, "try again"),
        409 | 425 | 500..=599 => (ErrorKind::Unavailable, "try again later"),
        300..=399 => (ErrorKind::Invalid, "the base URL redirects; use the one it leads to"),
        _ => (ErrorKind::Invalid, "correct the request"),
    }
}

/// The wait a `Retry-After` value asks for (RFC 9110, 10.2.3): seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    // A moment that has passed asks for no wait.
    Some(Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Fri, 31 Dec 2117 23:59:59 GMT").unwrap() > Duration::from_secs(1 << 30));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn statuses_say_whether_to_try_again() {
        let kind = |status: u16, said| kind_of(StatusCode::from_u16(status).unwrap(), said).0;
        assert_eq!(kind(429, "slow down"), ErrorKind::RateLimited);
        assert_eq!(kind(429, "insufficient_quota"), ErrorKind::Unauthorized);
        assert_eq!(kind(503, ""), ErrorKind::Unavailable);
        assert_eq!(kind(400, ""), ErrorKind::Invalid);
        assert_eq!(kind(404, ""), ErrorKind::NotFound);
        assert_eq!(kind(307, ""), ErrorKind::Invalid);
    }

    #[test]
    fn a_url_that_is_none_is_refused() {
        for url in
            ["", "localhost:8080", "ftp://x/v1", "http://", "http://me:secret@x/v1", "https://key@x/v1"]
        {
            let made = Endpoint::new("x".to_owned(), url, None, Deadlines::default(), RetryPolicy::default());
            assert_eq!(made.err().map(|error| error.kind()), Some(ErrorKind::Invalid), "{url}");
        }
    }
}

//! Sends requests to one endpoint: connection, deadlines, retries, and statuses as errors.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, RETRY_AFTER,
};
use reqwest::{Client, ClientBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::failure::{error_message, kind_of, retry_after, transport_error};
use super::gate::{Gate, GateConfig, Pass};
use super::stream::{Dialect, Reading, events};
use crate::chat::ChatEvent;
use crate::error::{ErrorKind, ModelError, Result};
use crate::registry::{Deadlines, RetryPolicy};
use crate::secret::Secret;

/// Bytes of a reply that are read, unpacked; more is an error.
const MAX_REPLY: usize = 32 << 20;
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

/// Whose key a request carries, and how.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// As bearer token.
    Bearer(Option<&'a Secret>),
    /// As Anthropic's API wants it, with the version of that API.
    Anthropic(Option<&'a Secret>),
}

/// The version of Anthropic's API that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";

impl Credential<'_> {
    fn key(&self) -> Secret {
        let (Self::Bearer(key) | Self::Anthropic(key)) = self;
        key.cloned().unwrap_or_default()
    }

    /// The headers of every request; an error if the key can't be one.
    fn headers(&self) -> Result<HeaderMap, InvalidHeaderValue> {
        let key = self.key();
        let mut headers = HeaderMap::new();
        if let Self::Anthropic(_) = self {
            headers.insert("anthropic-version", HeaderValue::from_static(ANTHROPIC_VERSION));
        }
        if !key.expose().is_empty() {
            let (name, value) = match self {
                Self::Bearer(_) => (AUTHORIZATION, format!("Bearer {}", key.expose())),
                Self::Anthropic(_) => (HeaderName::from_static("x-api-key"), key.expose().to_owned()),
            };
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// One endpoint.
pub(crate) struct Endpoint {
    client: Client,
    base: String,
    what: String,
    headers: HeaderMap,
    api_key: Secret,
    pub(crate) deadlines: Deadlines,
    retry: RetryPolicy,
    gate: Arc<Gate>,
}

impl Endpoint {
    /// `Invalid` if the URL is not http(s) or the key can't be a header.
    pub(crate) fn new(
        what: String,
        base_url: &str,
        credential: Credential<'_>,
        deadlines: Deadlines,
        retry: RetryPolicy,
        gate: GateConfig,
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
        let headers = credential
            .headers()
            .map_err(|_| invalid("the API key holds characters that no header may; correct it"))?;
        let base = base_url.trim_end_matches('/').to_owned();
        let gate = Gate::new(what.clone(), gate);
        Ok(Self { client, base, what, headers, api_key: credential.key(), deadlines, retry, gate })
    }

    /// The same endpoint behind the same gate, whose failures are not tried again: for callers that try another one.
    pub(crate) fn without_retries(&self) -> Self {
        Self {
            client: self.client.clone(),
            base: self.base.clone(),
            what: self.what.clone(),
            headers: self.headers.clone(),
            api_key: self.api_key.clone(),
            deadlines: self.deadlines,
            retry: RetryPolicy { retries: 0, ..self.retry },
            gate: Arc::clone(&self.gate),
        }
    }

    /// Names the endpoint in messages.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// Whether this is OpenAI's own service, which names the token limit differently.
    pub(crate) fn is_openai(&self) -> bool {
        Url::parse(&self.base).is_ok_and(|url| url.host_str() == Some("api.openai.com"))
    }

    /// When a call that starts now must end.
    pub(crate) fn end(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.deadlines.total_ms)
    }

    /// Posts `body` and reads the whole JSON reply, trying again what fails in passing, before `end`.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        end: Instant,
    ) -> Result<T> {
        let body = self.encode(body)?;
        let mut pass = self.gate.enter(end).await?;
        let reply = self.retrying(end, &mut pass, || async {
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
        });
        let reply = reply.await?;
        pass.tell(&Ok(()));
        Ok(reply)
    }

    /// Posts `body` and returns once the first event is there; what fails before that in passing is tried again. `name`
    /// is the model's configured name.
    pub(crate) async fn stream<D: Dialect>(
        &self,
        path: &str,
        body: &impl Serialize,
        name: &str,
        dialect: impl Fn() -> D,
    ) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        let end = self.end();
        let first = (Instant::now() + Duration::from_millis(self.deadlines.first_token_ms)).min(end);
        let body = self.encode(body)?;
        let mut pass = self.gate.enter(first).await?;
        let begun = self.retrying(first, &mut pass, || async {
            let response = self.send(path, &body).await?;
            self.check_type(&response)?;
            let (what, name) = (self.what.clone(), name.to_owned());
            let reading = Reading { what, name, deadlines: self.deadlines, first, end };
            let mut rest = events(response, dialect(), reading);
            match rest.next().await {
                Some(event) => Ok((event?, rest)),
                None => Err(ModelError::new(ErrorKind::Internal, "a stream ended without an event")),
            }
        });
        let (first, rest) = begun.await?;
        // The pass stays with the stream: it is still a call under way, and a cut one speaks against the endpoint.
        let watched = rest.inspect(move |event| match event {
            Ok(ChatEvent::Token(_) | ChatEvent::Call(_)) => {}
            last => pass.tell(last),
        });
        Ok(stream::iter([Ok(first)]).chain(watched).boxed())
    }

    /// A page or a plain object where events were asked for comes from something that is no model.
    fn check_type(&self, response: &Response) -> Result<()> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match kind.map(str::to_ascii_lowercase) {
            Some(kind) if !kind.contains("event-stream") => Err(ModelError::new(
                ErrorKind::Corrupt,
                format!(
                    "{} answered with {kind:?} instead of a stream of events; check its base URL",
                    self.what
                ),
            )),
            _ => Ok(()),
        }
    }

    fn encode(&self, body: &impl Serialize) -> Result<bytes::Bytes> {
        serde_json::to_vec(body).map(bytes::Bytes::from).map_err(|error| {
            ModelError::new(ErrorKind::Internal, format!("a request to {} could not be written", self.what))
                .with_source(error)
        })
    }

    /// One try: a reply with a good status, or an error.
    async fn send(&self, path: &str, body: &bytes::Bytes) -> Result<Response> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.clone());
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
        // Before anything is cut: half a key is still a secret.
        let said = error_message(self.api_key.redact(&String::from_utf8_lossy(&body)).as_bytes());
        let (kind, fix) = kind_of(status, &said);
        let error =
            ModelError::new(kind, format!("{} answered {}: {said}; {fix}", self.what, status.as_u16()))
                .with_retry_after(wait);
        // A model may have been at work behind a gateway that gave up, or before a server failed; nowhere else.
        if matches!(status.as_u16(), 408 | 500 | 502 | 504) { error } else { error.unbilled() }
    }

    async fn retrying<T, F>(&self, end: Instant, pass: &mut Pass, mut attempt: impl FnMut() -> F) -> Result<T>
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
        let pass = Mutex::new(pass);
        let locked = || pass.lock().unwrap_or_else(PoisonError::into_inner);
        let told = || {
            let trying = attempt();
            async {
                let result = trying.await;
                if result.is_err() {
                    locked().tell(&result);
                }
                result
            }
        };
        let tries = told
            .retry(waits)
            .sleep(tokio::time::sleep)
            .when(|error: &ModelError| error.is_transient() && locked().may_retry())
            .adjust(|error, wait| {
                let asked = error.retry_after().unwrap_or_default();
                let wait = wait?.max(asked);
                // A wait that is too long, or that would outlast the deadline, is the caller's to decide about.
                (asked <= longest && Instant::now() + wait < end).then_some(wait)
            })
            .notify(|error, wait| tracing::debug!(%error, ?wait, "trying again"));
        timeout_at(end, tries).await.unwrap_or_else(|_| {
            let late = Err(ModelError::new(
                ErrorKind::Timeout,
                format!(
                    "{} did not finish within {} ms; raise `deadlines.total_ms`",
                    self.what, self.deadlines.total_ms
                ),
            ));
            locked().tell(&late);
            late
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_refused() {
        for url in
            ["", "localhost:8080", "ftp://x/v1", "http://", "http://me:secret@x/v1", "https://key@x/v1"]
        {
            let (deadlines, retry) = (Deadlines::default(), RetryPolicy::default());
            let credential = Credential::Bearer(None);
            let made = Endpoint::new("x".to_owned(), url, credential, deadlines, retry, GateConfig::open());
            assert_eq!(made.err().map(|error| error.kind()), Some(ErrorKind::Invalid), "{url}");
        }
    }
}

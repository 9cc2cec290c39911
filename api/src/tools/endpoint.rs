//! Where a tool is asked over HTTP: one address that an operator named, with its credential, in bounded time and bytes.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, Url};
use wellspring_answer::{AnswerError, ErrorKind};
use wellspring_models::Secret;

/// What an operator says of an address.
pub(super) struct Address<'a> {
    /// What it belongs to, for messages: `the tool "mail"`.
    pub(super) what: String,
    pub(super) url: &'a str,
    pub(super) authorization: Option<&'a Secret>,
    pub(super) timeout_ms: u64,
    pub(super) max_bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Endpoint {
    what: String,
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    pub(super) timeout: Duration,
    pub(super) max_bytes: usize,
}

impl Endpoint {
    /// An error names what is wrong with the address; nothing is asked.
    pub(super) fn new(address: Address<'_>) -> anyhow::Result<Self> {
        let Address { what, url, authorization, timeout_ms, max_bytes } = address;
        let url = Url::parse(url).with_context(|| format!("{what} has no usable `url`"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            bail!("the `url` of {what} must be http or https, without a credential in it");
        }
        if timeout_ms == 0 || max_bytes == 0 {
            bail!("`timeout_ms` and `max_bytes` of {what} must be 1 or more");
        }
        let authorization = authorization
            .map(|secret| {
                let mut value = HeaderValue::try_from(secret.expose())
                    .with_context(|| format!("`authorization` of {what} holds what no header may"))?;
                value.set_sensitive(true);
                Ok::<_, anyhow::Error>(value)
            })
            .transpose()?;
        // An error means that another part of the program installed a provider first: just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let timeout = Duration::from_millis(timeout_ms);
        let client = Client::builder()
            // A redirect could lead a call, and its credential, anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .user_agent(concat!("wellspring/", env!("CARGO_PKG_VERSION")));
        let local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        let client = if local { client.no_proxy() } else { client };
        let client = client.build().context("no HTTP client can be made for tools")?;
        Ok(Self { what, client, url, authorization, timeout, max_bytes })
    }

    /// A POST of JSON.
    pub(super) fn post(&self, body: String) -> RequestBuilder {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        }
    }

    /// The response, whatever its status but a redirect. `Timeout` or `Unavailable`.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, AnswerError> {
        let response = request.send().await.map_err(|error| {
            if error.is_timeout() {
                return self.late();
            }
            // The cause may name addresses inside: it is for the log.
            tracing::warn!(%error, what = self.what, "a tool can't be reached");
            self.failed(ErrorKind::Unavailable, "can't be reached")
        })?;
        if response.status().is_redirection() {
            return Err(self.failed(ErrorKind::Unavailable, "sent a redirect, which is refused"));
        }
        Ok(response)
    }

    /// The failure that a status is; `None` for success.
    pub(super) fn refusal(&self, response: &Response) -> Option<AnswerError> {
        let status = response.status();
        let kind = if status.is_client_error() { ErrorKind::Invalid } else { ErrorKind::Unavailable };
        (!status.is_success()).then(|| self.failed(kind, &format!("answered {}", status.as_u16())))
    }

    /// The body, or an error as soon as it is too long.
    pub(super) async fn body(&self, mut response: Response) -> Result<Vec<u8>, AnswerError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if body.len() + piece.len() <= self.max_bytes => {
                    body.extend_from_slice(&piece);
                }
                Ok(Some(_)) => return Err(self.too_long()),
                Ok(None) => return Ok(body),
                Err(error) => return Err(self.broken(&error)),
            }
        }
    }

    /// Why no more came.
    pub(super) fn broken(&self, error: &reqwest::Error) -> AnswerError {
        if error.is_timeout() {
            self.late()
        } else {
            self.failed(ErrorKind::Unavailable, "broke off its reply")
        }
    }

    pub(super) fn too_long(&self) -> AnswerError {
        self.failed(ErrorKind::Unavailable, &format!("sent more than {} bytes", self.max_bytes))
    }

    fn late(&self) -> AnswerError {
        self.failed(ErrorKind::Timeout, "took too long")
    }

    pub(super) fn failed(&self, kind: ErrorKind, why: &str) -> AnswerError {
        AnswerError::new(kind, format!("{} {why}", self.what))
    }
}

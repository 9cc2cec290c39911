//! A tool behind an HTTP endpoint: arguments are posted as JSON, and what comes back is bounded in time and size.

use std::time::Duration;

use anyhow::{Context, bail};
use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wellspring_answer::{AnswerError, ErrorKind, Tool, ToolInfo};
use wellspring_models::{Secret, ToolSpec};

/// One endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpToolConfig {
    /// 1-64 characters of a-z, A-Z, 0-9, _ and -.
    pub(crate) name: String,
    /// What it does and when to use it, for the model.
    pub(crate) description: String,
    /// The JSON schema of its arguments, of an object.
    pub(crate) parameters: Value,
    /// Where arguments are posted: http or https. Redirects are refused.
    pub(crate) url: String,
    /// The header `Authorization`.
    #[serde(default)]
    pub(crate) authorization: Option<Secret>,
    /// Whether a model's call waits until a person approves it.
    #[serde(default = "needs_approval")]
    pub(crate) needs_approval: bool,
    /// Milliseconds for one call.
    #[serde(default = "timeout_ms")]
    pub(crate) timeout_ms: u64,
    /// Largest reply in bytes.
    #[serde(default = "max_bytes")]
    pub(crate) max_bytes: usize,
}

/// What acts elsewhere asks a person, unless the operator says that it only looks.
fn needs_approval() -> bool {
    true
}

fn timeout_ms() -> u64 {
    10_000
}

fn max_bytes() -> usize {
    1 << 20
}

/// See the module.
#[derive(Debug)]
pub(super) struct HttpTool {
    info: ToolInfo,
    client: Client,
    url: Url,
    authorization: Option<HeaderValue>,
    max_bytes: usize,
}

impl HttpTool {
    pub(super) fn new(config: &HttpToolConfig) -> anyhow::Result<Self> {
        let name = &config.name;
        let url =
            Url::parse(&config.url).with_context(|| format!("the tool {name:?} has no usable `url`"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            bail!("the `url` of the tool {name:?} must be http or https, without a credential in it");
        }
        if config.timeout_ms == 0 || config.max_bytes == 0 {
            bail!("`timeout_ms` and `max_bytes` of the tool {name:?} must be 1 or more");
        }
        let authorization = config
            .authorization
            .as_ref()
            .map(|secret| {
                let mut value = HeaderValue::try_from(secret.expose()).with_context(|| {
                    format!("`authorization` of the tool {name:?} holds what no header may")
                })?;
                value.set_sensitive(true);
                Ok::<_, anyhow::Error>(value)
            })
            .transpose()?;
        // An error means that another part of the program installed a provider first: just as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let timeout = Duration::from_millis(config.timeout_ms);
        let client = Client::builder()
            // A redirect could lead a call, and its credential, anywhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .timeout(timeout)
            .user_agent(concat!("wellspring/", env!("CARGO_PKG_VERSION")));
        let local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        let client = if local { client.no_proxy() } else { client };
        let client = client.build().context("no HTTP client can be made for tools")?;
        let spec = ToolSpec {
            name: name.clone(),
            description: config.description.clone(),
            parameters: config.parameters.clone(),
        };
        let info = ToolInfo { spec, needs_approval: config.needs_approval, timeout };
        Ok(Self { info, client, url, authorization, max_bytes: config.max_bytes })
    }

    fn failed(&self, kind: ErrorKind, why: &str) -> AnswerError {
        AnswerError::new(kind, format!("the tool {} {why}", self.info.spec.name))
    }

    /// The body, or an error as soon as it is too long.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, AnswerError> {
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(piece)) if body.len() + piece.len() <= self.max_bytes => {
                    body.extend_from_slice(&piece)
                }
                Ok(Some(_)) => {
                    let why = format!("sent more than {} bytes", self.max_bytes);
                    return Err(self.failed(ErrorKind::Unavailable, &why));
                }
                Ok(None) => return Ok(body),
                Err(error) if error.is_timeout() => {
                    return Err(self.failed(ErrorKind::Timeout, "took too long"));
                }
                Err(_) => return Err(self.failed(ErrorKind::Unavailable, "broke off its reply")),
            }
        }
    }
}

#[async_trait]
impl Tool for HttpTool {
    fn info(&self) -> &ToolInfo {
        &self.info
    }

    async fn call(&self, arguments: Value) -> Result<Value, AnswerError> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(arguments.to_string());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = request.send().await.map_err(|error| {
            if error.is_timeout() {
                self.failed(ErrorKind::Timeout, "took too long")
            } else {
                // The cause may name addresses inside: it is for the log.
                tracing::warn!(%error, tool = self.info.spec.name, "a tool can't be reached");
                self.failed(ErrorKind::Unavailable, "can't be reached")
            }
        })?;
        let status = response.status();
        if !status.is_success() {
            let kind = if status.is_client_error() { ErrorKind::Invalid } else { ErrorKind::Unavailable };
            let why = match status.is_redirection() {
                true => "sent a redirect, which is refused".to_owned(),
                false => format!("answered {}", status.as_u16()),
            };
            return Err(self.failed(kind, &why));
        }
        let body = self.body(response).await?;
        Ok(serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())))
    }
}

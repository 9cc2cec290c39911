//! A tool behind an HTTP endpoint: arguments are posted as JSON, and what comes back is bounded in time and size.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wellspring_answer::{AnswerError, Tool, ToolInfo};
use wellspring_models::{Secret, ToolSpec};

use super::endpoint::{Address, Endpoint};
use super::{max_bytes, needs_approval, timeout_ms};

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

/// See the module.
#[derive(Debug)]
pub(super) struct HttpTool {
    info: ToolInfo,
    endpoint: Endpoint,
}

impl HttpTool {
    pub(super) fn new(config: &HttpToolConfig) -> anyhow::Result<Self> {
        let endpoint = Endpoint::new(Address {
            what: format!("the tool {:?}", config.name),
            url: &config.url,
            authorization: config.authorization.as_ref(),
            timeout_ms: config.timeout_ms,
            max_bytes: config.max_bytes,
        })?;
        let spec = ToolSpec {
            name: config.name.clone(),
            description: config.description.clone(),
            parameters: config.parameters.clone(),
        };
        let info = ToolInfo { spec, needs_approval: config.needs_approval, timeout: endpoint.timeout };
        Ok(Self { info, endpoint })
    }
}

#[async_trait]
impl Tool for HttpTool {
    fn info(&self) -> &ToolInfo {
        &self.info
    }

    async fn call(&self, arguments: Value) -> Result<Value, AnswerError> {
        let response = self.endpoint.send(self.endpoint.post(arguments.to_string())).await?;
        if let Some(refusal) = self.endpoint.refusal(&response) {
            return Err(refusal);
        }
        let body = self.endpoint.body(response).await?;
        Ok(serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())))
    }
}

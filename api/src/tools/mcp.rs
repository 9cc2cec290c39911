//! The tools of an MCP server, spoken to over streamable HTTP (revision 2025-06-18 of the Model Context Protocol).
//!
//! Its tools go by `SERVER__TOOL`. What it says of them, and what they give, comes from outside: schemas are checked like
//! anybody's, descriptions cut and freed of invisible characters, replies bounded in time and bytes.

mod wire;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wellspring_answer::{AnswerError, ErrorKind, Tool, ToolInfo, ToolSource};
use wellspring_models::prompt::visible;
use wellspring_models::{Secret, ToolSpec};

use super::endpoint::{Address, Endpoint};
use super::{max_bytes, needs_approval, timeout_ms};
use wire::Wire;

/// Pages of a list of tools; what a longer one has is left out.
const PAGES: usize = 8;
/// Characters of a description that a model is told.
const DESCRIPTION: usize = 2_000;
/// Characters of a tool's own error that are passed on.
const SAID: usize = 500;

/// One server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct McpServerConfig {
    /// 1-24 characters of a-z, A-Z, 0-9, _ and -: the beginning of its tools' names.
    pub(crate) name: String,
    /// Its endpoint: http or https. Redirects are refused.
    pub(crate) url: String,
    /// The header `Authorization`.
    #[serde(default)]
    pub(crate) authorization: Option<Secret>,
    /// The tools that may be used, as the server names them; empty: all.
    #[serde(default)]
    pub(crate) only: BTreeSet<String>,
    /// Whether a model's call waits until a person approves it.
    #[serde(default = "needs_approval")]
    pub(crate) needs_approval: bool,
    /// Milliseconds for one call, and for listing the tools.
    #[serde(default = "timeout_ms")]
    pub(crate) timeout_ms: u64,
    /// Largest reply in bytes.
    #[serde(default = "max_bytes")]
    pub(crate) max_bytes: usize,
}

/// See the module.
pub(super) struct McpServer {
    name: String,
    only: BTreeSet<String>,
    needs_approval: bool,
    wire: Arc<Wire>,
}

impl McpServer {
    /// An error names what is wrong with the configuration; nothing is asked.
    pub(super) fn new(config: &McpServerConfig) -> anyhow::Result<Self> {
        let name = &config.name;
        let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !fits || !(1..=24).contains(&name.len()) {
            bail!("the MCP server {name:?} needs a `name` of 1-24 characters of a-z, A-Z, 0-9, _ or -");
        }
        let endpoint = Endpoint::new(Address {
            what: format!("the MCP server {name:?}"),
            url: &config.url,
            authorization: config.authorization.as_ref(),
            timeout_ms: config.timeout_ms,
            max_bytes: config.max_bytes,
        })?;
        Ok(Self {
            name: name.clone(),
            only: config.only.clone(),
            needs_approval: config.needs_approval,
            wire: Arc::new(Wire::new(endpoint)),
        })
    }

    /// A tool as the server describes it; `None` for one that is not wanted or has no name.
    fn tool(&self, told: &Value) -> Option<Arc<dyn Tool>> {
        let own = told["name"].as_str().filter(|name| self.only.is_empty() || self.only.contains(*name))?;
        let described = told["description"].as_str().or(told["title"].as_str()).unwrap_or(own);
        let spec = ToolSpec {
            name: format!("{}__{}", self.name, own.replace(['.', '/', ':', ' '], "_")),
            description: visible(described).chars().take(DESCRIPTION).collect(),
            parameters: told["inputSchema"].clone(),
        };
        let info = ToolInfo { spec, needs_approval: self.needs_approval, timeout: self.wire.timeout() };
        Some(Arc::new(McpTool { info, own: own.to_owned(), wire: Arc::clone(&self.wire) }))
    }
}

#[async_trait]
impl ToolSource for McpServer {
    fn name(&self) -> &str {
        &self.name
    }

    fn timeout(&self) -> Duration {
        self.wire.timeout()
    }

    async fn tools(&self) -> Result<Vec<Arc<dyn Tool>>, AnswerError> {
        let mut tools = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES {
            let asked = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
            let page = self.wire.request("tools/list", asked).await?;
            let told = page["tools"].as_array().into_iter().flatten();
            tools.extend(told.filter_map(|told| self.tool(told)));
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(tools)
    }
}

struct McpTool {
    info: ToolInfo,
    /// Its name at the server.
    own: String,
    wire: Arc<Wire>,
}

#[async_trait]
impl Tool for McpTool {
    fn info(&self) -> &ToolInfo {
        &self.info
    }

    async fn call(&self, arguments: Value) -> Result<Value, AnswerError> {
        let asked = json!({ "name": self.own, "arguments": arguments });
        let result = self.wire.request("tools/call", asked).await?;
        let text = text(&result);
        if result["isError"] == true {
            let said: String = visible(&text).chars().take(SAID).collect();
            let message = format!("the tool {} failed: {said}", self.info.spec.name);
            return Err(AnswerError::new(ErrorKind::Invalid, message));
        }
        Ok(match result.get("structuredContent").filter(|content| content.is_object()) {
            Some(content) => content.clone(),
            None => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }
}

/// The text of a result; what is no text is named.
fn text(result: &Value) -> String {
    let parts = result["content"].as_array().into_iter().flatten().map(|part| {
        match (part["text"].as_str(), part["resource"]["text"].as_str()) {
            (Some(text), _) | (None, Some(text)) => text.to_owned(),
            (None, None) => format!("[{} left out]", part["type"].as_str().unwrap_or("content")),
        }
    });
    parts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_tells_is_tamed() {
        let config = json!({ "name": "mail", "url": "http://127.0.0.1:1/mcp", "only": ["send.now"] });
        let server = McpServer::new(&serde_json::from_value(config).unwrap()).unwrap();
        let described = format!("Sends.\u{202e}{}", "x".repeat(5_000));
        let tool = server.tool(&json!({ "name": "send.now", "description": described, "inputSchema": {} }));
        let info = tool.as_ref().unwrap().info();
        assert_eq!(info.spec.name, "mail__send_now");
        assert!(info.spec.description.starts_with("Sends.x") && info.spec.description.len() == DESCRIPTION);
        assert!(info.needs_approval, "what acts elsewhere asks a person unless the operator says otherwise");
        assert!(server.tool(&json!({ "name": "other", "inputSchema": {} })).is_none());
        assert!(server.tool(&json!({ "inputSchema": {} })).is_none());
        let parts =
            json!({ "content": [{ "type": "text", "text": "a" }, { "type": "image", "data": "AA==" }] });
        assert_eq!(text(&parts), "a\n[image left out]");
    }

    #[test]
    fn a_server_that_can_t_be_meant_is_refused() {
        for wrong in [
            json!({ "name": "", "url": "http://x/mcp" }),
            json!({ "name": "a b", "url": "http://x/mcp" }),
            json!({ "name": "a", "url": "file:///etc/passwd" }),
            json!({ "name": "a", "url": "http://u:p@x/mcp" }),
            json!({ "name": "a", "url": "http://x/mcp", "timeout_ms": 0 }),
        ] {
            let config: McpServerConfig = serde_json::from_value(wrong.clone()).unwrap();
            assert!(McpServer::new(&config).is_err(), "{wrong}");
        }
    }
}

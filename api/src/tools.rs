//! Tools as an operator registers them: the calculator, HTTP endpoints with a JSON schema, and MCP servers.

mod endpoint;
mod http;
mod mcp;

use std::sync::Arc;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use wellspring_answer::{Calculator, Tool, ToolSource, Toolbox};

use http::{HttpTool, HttpToolConfig};
use mcp::{McpServer, McpServerConfig};

/// The section `tools`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ToolsConfig {
    /// Whether there is a calculator.
    pub(crate) calculator: bool,
    /// HTTP endpoints.
    pub(crate) http: Vec<HttpToolConfig>,
    /// MCP servers, whose tools are listed when somebody wants them.
    pub(crate) mcp: Vec<McpServerConfig>,
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

impl Default for ToolsConfig {
    fn default() -> Self {
        Self { calculator: true, http: Vec::new(), mcp: Vec::new() }
    }
}

/// The tools that are configured. An error names the tool and what is wrong with it; nothing is called.
pub(crate) fn toolbox(config: &ToolsConfig) -> anyhow::Result<Toolbox> {
    let calculator = config.calculator.then(|| Arc::new(Calculator::default()) as Arc<dyn Tool>);
    let mut tools: Vec<Arc<dyn Tool>> = calculator.into_iter().collect();
    for tool in &config.http {
        tools.push(Arc::new(HttpTool::new(tool)?));
    }
    let mut servers: Vec<Arc<dyn ToolSource>> = Vec::new();
    for (place, server) in config.mcp.iter().enumerate() {
        if config.mcp[..place].iter().any(|other| other.name == server.name) {
            bail!("there are two MCP servers {:?}", server.name);
        }
        servers.push(Arc::new(McpServer::new(server)?));
    }
    Ok(Toolbox::new(tools)?.with_sources(servers))
}

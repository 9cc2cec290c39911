//! Tools as an operator registers them: the calculator, and HTTP endpoints with a JSON schema.

mod http;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wellspring_answer::{Calculator, Tool, Toolbox};

use http::{HttpTool, HttpToolConfig};

/// The section `tools`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ToolsConfig {
    /// Whether there is a calculator.
    pub(crate) calculator: bool,
    /// HTTP endpoints.
    pub(crate) http: Vec<HttpToolConfig>,
}

impl Default for ToolsConfig {
    fn default() -> Self {
        Self { calculator: true, http: Vec::new() }
    }
}

/// The tools that are configured. An error names the tool and what is wrong with it; nothing is called.
pub(crate) fn toolbox(config: &ToolsConfig) -> anyhow::Result<Toolbox> {
    let calculator = config.calculator.then(|| Arc::new(Calculator::default()) as Arc<dyn Tool>);
    let mut tools: Vec<Arc<dyn Tool>> = calculator.into_iter().collect();
    for tool in &config.http {
        tools.push(Arc::new(HttpTool::new(tool)?));
    }
    Ok(Toolbox::new(tools)?)
}

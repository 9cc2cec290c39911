//! Tools that a model or a person may call: what one is, and the box that checks every call before it is made.

mod calculator;
mod learned;
mod numbers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use wellspring_models::ToolSpec;
use wellspring_models::structured::Shape;

use crate::error::{AnswerError, ErrorKind, Result};

use learned::Learned;

pub use calculator::Calculator;
pub use learned::ToolSource;

/// Bytes of a call's arguments.
const MAX_ARGUMENTS: usize = 64 << 10;
/// Calls in one batch.
pub const MAX_BATCH: usize = 16;

/// What is known of a tool before it is called.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolInfo {
    /// Name, description and schema of the arguments, as a model is told.
    #[serde(flatten)]
    pub spec: ToolSpec,
    /// A model's call waits until a person approves it.
    pub needs_approval: bool,
    /// Longest time for one call.
    #[serde(skip)]
    pub timeout: Duration,
}

/// Something that can be called. It sees no scope and no documents: only its arguments.
#[async_trait]
pub trait Tool: Send + Sync + 'static {
    /// What it is.
    fn info(&self) -> &ToolInfo;

    /// Calls it with arguments that fit its schema and may otherwise be anything. Errors: `Invalid` for arguments that
    /// it can't work with; those of what it asks. The result's size is bounded by the tool itself.
    async fn call(&self, arguments: Value) -> Result<Value>;
}

/// Which tools a caller may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedTools {
    /// All that are registered.
    All,
    /// These only.
    Only(BTreeSet<String>),
}

impl AllowedTools {
    fn permits(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// A tool whose schema was read.
struct Known {
    tool: Arc<dyn Tool>,
    shape: Shape,
}

/// The tool by its name; `Invalid` for a name that providers do not take or that an agent's own tools have, and a schema that
/// is none.
fn known(tool: Arc<dyn Tool>) -> Result<(String, Known)> {
    let ToolSpec { name, description, parameters } = tool.info().spec.clone();
    let invalid = |why: &str| AnswerError::new(ErrorKind::Invalid, format!("the tool {name:?} {why}"));
    if crate::agent::OWN_TOOLS.contains(&name.as_str()) {
        return Err(invalid("has the name of one that every agent has; choose another"));
    }
    let shape = Shape::new(&name, &description, parameters)
        .map_err(|error| invalid(&format!("is wrong: {error}")))?;
    Ok((name, Known { tool, shape }))
}

/// The registered tools: those that are configured, and those that sources tell of. Where both have a name, the configured
/// one is meant.
#[derive(Default)]
pub struct Toolbox {
    fixed: BTreeMap<String, Arc<Known>>,
    learned: Vec<Learned>,
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.all().keys()).finish()
    }
}

impl Toolbox {
    /// `Invalid` for two tools of one name, a name that providers do not take or that an agent's own tools have, and a
    /// schema that is none.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self> {
        let mut fixed = BTreeMap::new();
        for tool in tools {
            let (name, tool) = known(tool)?;
            if fixed.insert(name.clone(), Arc::new(tool)).is_some() {
                return Err(AnswerError::new(ErrorKind::Invalid, format!("there are two tools {name:?}")));
            }
        }
        Ok(Self { fixed, learned: Vec::new() })
    }

    /// The same with tools that these sources tell of; none is asked yet.
    #[must_use]
    pub fn with_sources(mut self, sources: impl IntoIterator<Item = Arc<dyn ToolSource>>) -> Self {
        self.learned.extend(sources.into_iter().map(Learned::new));
        self
    }

    /// Asks the sources for their tools where the last list is old: each within its own time, all at once. To be called before
    /// tools are listed or called.
    pub async fn refresh(&self) {
        futures::future::join_all(self.learned.iter().map(Learned::refresh)).await;
    }

    /// Those a caller may use, by name.
    pub fn list(&self, allowed: &AllowedTools) -> Vec<ToolInfo> {
        let all = self.all().into_values().map(|known| known.tool.info().clone());
        all.filter(|info| allowed.permits(&info.spec.name)).collect()
    }

    /// What is known of one; `NotFound` for one that is not there or not for this caller, which look the same.
    pub fn info(&self, allowed: &AllowedTools, name: &str) -> Result<ToolInfo> {
        Ok(self.find(allowed, name)?.tool.info().clone())
    }

    fn all(&self) -> BTreeMap<String, Arc<Known>> {
        let mut all = BTreeMap::new();
        for learned in &self.learned {
            for (name, tool) in learned.tools().iter() {
                all.entry(name.clone()).or_insert_with(|| Arc::clone(tool));
            }
        }
        all.extend(self.fixed.iter().map(|(name, tool)| (name.clone(), Arc::clone(tool))));
        all
    }

    /// Checks a call without making it: `NotFound` as above, `Invalid` with what is wrong about the arguments.
    pub fn check(&self, allowed: &AllowedTools, name: &str, arguments: &Value) -> Result<()> {
        let known = self.find(allowed, name)?;
        let wrong = |why: String| {
            Err(AnswerError::new(ErrorKind::Invalid, format!("the arguments of {name} are wrong: {why}")))
        };
        if arguments.to_string().len() > MAX_ARGUMENTS {
            return wrong(format!("they are longer than {MAX_ARGUMENTS} bytes"));
        }
        match known.shape.errors(arguments) {
            errors if errors.is_empty() => Ok(()),
            errors => wrong(errors.join("; ")),
        }
    }

    /// Checks and makes a call, within the tool's time: `Timeout` after that.
    pub async fn call(&self, allowed: &AllowedTools, name: &str, arguments: Value) -> Result<Value> {
        self.check(allowed, name, &arguments)?;
        let known = self.find(allowed, name)?;
        let limit = known.tool.info().timeout;
        match timeout(limit, known.tool.call(arguments)).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("the tool {name} did not answer within {} ms", limit.as_millis());
                Err(AnswerError::new(ErrorKind::Timeout, message))
            }
        }
    }

    fn find(&self, allowed: &AllowedTools, name: &str) -> Result<Arc<Known>> {
        let learned = || self.learned.iter().find_map(|learned| learned.tools().get(name).cloned());
        let known = self.fixed.get(name).cloned().or_else(learned).filter(|_| allowed.permits(name));
        known.ok_or_else(|| AnswerError::new(ErrorKind::NotFound, format!("there is no tool {name:?}")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn toolbox() -> Toolbox {
        Toolbox::new([Arc::new(Calculator::default()) as Arc<dyn Tool>]).unwrap()
    }

    #[tokio::test]
    async fn arguments_are_checked_before_anything_is_called() {
        let toolbox = toolbox();
        let call = |arguments| toolbox.call(&AllowedTools::All, "calculator", arguments);
        assert_eq!(call(json!({ "expression": "2*(3+4)" })).await.unwrap()["result"], "14");
        let long = "1+".repeat(40_000);
        for wrong in [
            json!({}),
            json!([]),
            json!("2+2"),
            json!({ "expression": 4 }),
            json!({ "expression": "1", "and": "more" }),
            json!({ "expression": long }),
        ] {
            assert_eq!(call(wrong.clone()).await.unwrap_err().kind(), ErrorKind::Invalid, "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_unknown_tool_and_a_forbidden_one_look_the_same() {
        let toolbox = toolbox();
        let none = AllowedTools::Only(BTreeSet::new());
        let forbidden = toolbox.call(&none, "calculator", json!({})).await.unwrap_err();
        let unknown = toolbox.call(&AllowedTools::All, "x", json!({})).await.unwrap_err();
        assert_eq!((forbidden.kind(), unknown.kind()), (ErrorKind::NotFound, ErrorKind::NotFound));
        assert_eq!(forbidden.to_string().replace("calculator", "x"), unknown.to_string());
        assert!(toolbox.list(&none).is_empty());
    }

    #[test]
    fn two_tools_of_one_name_are_refused() {
        let two = [Arc::new(Calculator::default()) as Arc<dyn Tool>, Arc::new(Calculator::default())];
        assert_eq!(Toolbox::new(two).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

//! Tools that are learned from elsewhere while the program runs: listed when somebody wants them, and again from time to time.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Known, Tool, known};
use crate::error::Result;

/// A list is good for so long …
const FRESH: Duration = Duration::from_secs(300);
/// … and a source that could not tell its tools is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(15);
/// Tools of one source; more are left out.
const MOST: usize = 128;

/// Somewhere that tells which tools it has, such as an MCP server.
#[async_trait]
pub trait ToolSource: Send + Sync + 'static {
    /// Its name, for the log.
    fn name(&self) -> &str;

    /// Longest time for listing.
    fn timeout(&self) -> Duration;

    /// Its tools now. Their schemas and descriptions may be anything: what can't be used is left out.
    async fn tools(&self) -> Result<Vec<Arc<dyn Tool>>>;
}

/// A source with what it told last.
pub(super) struct Learned {
    source: Arc<dyn ToolSource>,
    /// When it is asked next; held while it is asked.
    next: Mutex<Option<Instant>>,
    tools: RwLock<Arc<BTreeMap<String, Arc<Known>>>>,
}

impl Learned {
    pub(super) fn new(source: Arc<dyn ToolSource>) -> Self {
        Self { source, next: Mutex::new(None), tools: RwLock::default() }
    }

    /// What it told last.
    pub(super) fn tools(&self) -> Arc<BTreeMap<String, Arc<Known>>> {
        Arc::clone(&self.tools.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks it again if the time has come. What it told before stays where it fails. Of several at once one asks, and the
    /// others wait for it.
    pub(super) async fn refresh(&self) {
        let mut next = self.next.lock().await;
        if next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        // Whatever becomes of this try, even if whoever wanted it goes away, the next is not at once.
        *next = Some(Instant::now() + LEFT_ALONE);
        let source = self.source.name();
        let told = match timeout(self.source.timeout(), self.source.tools()).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => {
                tracing::warn!(source, error = &error as &dyn std::error::Error, "tools can't be listed");
                return;
            }
            Err(_) => {
                tracing::warn!(source, "tools were not listed in time");
                return;
            }
        };
        let mut tools = BTreeMap::new();
        for tool in told.into_iter().take(MOST) {
            match known(tool) {
                Ok((name, tool)) => {
                    tools.entry(name).or_insert_with(|| Arc::new(tool));
                }
                Err(error) => tracing::warn!(source, %error, "a tool is left out"),
            }
        }
        *self.tools.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tools);
        *next = Some(Instant::now() + FRESH);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};
    use wellspring_models::ToolSpec;

    use super::*;
    use crate::error::{AnswerError, ErrorKind};
    use crate::tool::{AllowedTools, Calculator, ToolInfo, Toolbox};

    struct Told(ToolInfo);

    #[async_trait]
    impl Tool for Told {
        fn info(&self) -> &ToolInfo {
            &self.0
        }

        async fn call(&self, arguments: Value) -> Result<Value> {
            Ok(arguments)
        }
    }

    /// Tells tools of these names, all of one schema, or fails; counts how often it was asked.
    struct Elsewhere {
        names: Vec<&'static str>,
        schema: Value,
        asked: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl ToolSource for Elsewhere {
        fn name(&self) -> &str {
            "elsewhere"
        }

        fn timeout(&self) -> Duration {
            Duration::from_secs(60)
        }

        async fn tools(&self) -> Result<Vec<Arc<dyn Tool>>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.names.is_empty() {
                return Err(AnswerError::new(ErrorKind::Unavailable, "it is gone"));
            }
            let told = self.names.iter().map(|name| {
                let spec = ToolSpec {
                    name: (*name).to_owned(),
                    description: "x".to_owned(),
                    parameters: self.schema.clone(),
                };
                let info = ToolInfo { spec, needs_approval: true, timeout: Duration::from_secs(60) };
                Arc::new(Told(info)) as Arc<dyn Tool>
            });
            Ok(told.collect())
        }
    }

    #[tokio::test]
    async fn what_a_source_tells_is_added_once_and_never_replaces_what_is_configured() {
        let source = |names: &[&'static str], schema| {
            let asked = Arc::new(AtomicUsize::new(0));
            (
                Arc::clone(&asked),
                Arc::new(Elsewhere { names: names.to_vec(), schema, asked }) as Arc<dyn ToolSource>,
            )
        };
        let (asked, good) = source(&["look", "calculator", "search", "a b"], json!({ "type": "object" }));
        let (_, odd) =
            source(&["odd"], json!({ "type": "object", "properties": { "a": { "$ref": "http://x/y" } } }));
        let (failures, gone) = source(&[], json!({}));
        let fixed = [Arc::new(Calculator::default()) as Arc<dyn Tool>];
        let toolbox = Toolbox::new(fixed).unwrap().with_sources([good, odd, gone]);
        let all = AllowedTools::All;
        assert_eq!(toolbox.list(&all).len(), 1, "nobody was asked yet");
        for _ in 0..2 {
            toolbox.refresh().await;
            let names: Vec<String> = toolbox.list(&all).into_iter().map(|info| info.spec.name).collect();
            assert_eq!(names, ["calculator", "look"]);
        }
        assert_eq!((asked.load(Ordering::Relaxed), failures.load(Ordering::Relaxed)), (1, 1));
        assert!(!toolbox.info(&all, "calculator").unwrap().needs_approval, "the configured one is meant");
        assert_eq!(toolbox.call(&all, "look", json!({ "a": 1 })).await.unwrap(), json!({ "a": 1 }));
        let only = AllowedTools::Only(["calculator".to_owned()].into());
        assert_eq!(toolbox.call(&only, "look", json!({})).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

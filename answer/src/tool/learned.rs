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

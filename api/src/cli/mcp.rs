//! `wellspring mcp`: the Model Context Protocol on standard input and output, for agents that start their tools.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rmcp::ServiceExt;

use crate::app::App;
use crate::auth::Sender;
use crate::mcp;
use crate::output::Outcome;

/// How long work that is under way may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Speak the Model Context Protocol on standard input and output, for agents that start their tools themselves
#[derive(Debug, Args)]
pub(crate) struct Mcp {}

impl Mcp {
    /// Serves until the client closes standard input.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let server = mcp::Mcp::of(app.clone(), Sender::local());
        let running = server
            .serve(rmcp::transport::stdio())
            .await
            .context("the client did not open the connection as the protocol asks")?;
        running.waiting().await.context("the protocol's task ended unexpectedly")?;
        tokio::time::timeout(PATIENCE, app.close()).await.context("the indexes did not close in time")??;
        Ok(Outcome::Good)
    }
}

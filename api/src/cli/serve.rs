//! `wellspring serve`: the HTTP interface and the workers, until asked to stop.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use crate::app::App;
use crate::auth::Authenticator;
use crate::config::Config;
use crate::duty::Duty;
use crate::http;
use crate::output::Outcome;

/// Serve the HTTP interface and work off jobs
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port, a loopback one without authentication; port 0 takes a free one [default: the configured one, 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// What this process is there for, where several share a PostgreSQL database [default: the configured one, both]
    #[arg(long, value_enum)]
    role: Option<Duty>,
}

impl Serve {
    /// What the process is there for.
    pub(super) fn duty(&self, config: &Config) -> Duty {
        self.role.unwrap_or(config.server.role)
    }

    /// Serves until SIGINT or SIGTERM, then finishes or hands back what is in flight.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let duty = self.duty(&app.config);
        let address = self.listen.unwrap_or_else(|| app.config.server.listen.clone());
        let authenticator = Authenticator::new(&app.config.auth, &app.store).await?;
        let listener = http::bind(&address, authenticator.is_on()).await?;
        let grpc = match &app.config.grpc.listen {
            Some(address) if duty.answers() => Some(http::bind(address, authenticator.is_on()).await?),
            _ => None,
        };
        let bound = listener.local_addr().context("the address that was bound is unknown")?;
        // The first line on stdout: programs that start a server on a free port read the address here.
        writeln!(std::io::stdout().lock(), "listening on http://{bound}/")?;
        if authenticator.is_on()
            && duty.answers()
            && let Some(token) = authenticator.first_key().await?
        {
            let mut out = std::io::stdout().lock();
            writeln!(out, "first key, an operator's, shown this once: {token}")?;
        }
        if let Some(listener) = &grpc {
            let bound = listener.local_addr().context("the address that was bound is unknown")?;
            writeln!(std::io::stdout().lock(), "listening for gRPC on {bound}")?;
        }
        http::serve(app, duty, authenticator, listener, grpc, stop_signal()).await?;
        Ok(Outcome::Good)
    }
}

/// Resolves on SIGINT or SIGTERM.
pub(super) async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM can't be listened for; only an interrupt stops the server gracefully");
            // An interrupt that can't be listened for either leaves the server running until it is killed.
            if interrupt.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

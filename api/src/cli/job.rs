//! `wellspring job`: list, show and cancel jobs, and queue dead ones again.

use anyhow::Context;
use clap::Subcommand;
use uuid::Uuid;
use wellspring_store::jobs::{JobId, JobState};

use super::{InCollection, local_scope};
use crate::app::App;
use crate::output::{Outcome, Printer};

/// `job …`
#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    /// List jobs, newest first
    List {
        #[command(flatten)]
        collection: InCollection,
        /// Only jobs in this state: queued, running, indexed, unchanged, skipped, failed, cancelled or dead
        #[arg(long, value_parser = state)]
        state: Option<JobState>,
        /// At most this many (1-1000)
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Print JSON, one job a line
        #[arg(long)]
        json: bool,
    },
    /// Show a job
    Show {
        /// Its id
        id: String,
        /// Print JSON, as without it
        #[arg(long)]
        json: bool,
    },
    /// Cancel a job; a dead one's document is let go
    Cancel {
        /// Its id
        id: String,
    },
    /// Queue dead jobs again; they are worked on by the next `ingest` or `serve`
    Requeue {
        #[command(flatten)]
        collection: InCollection,
        /// Their ids; every dead job of the collection if none is given
        ids: Vec<String>,
    },
}

impl Job {
    /// Carries it out.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        match self {
            Self::List { collection, state, limit, json } => {
                let scope = collection.open(&app).await?;
                let page = app.store.catalog.jobs(&scope, state, None, limit).await?;
                for job in &page.items {
                    Printer { json }.record(job)?;
                    Printer { json }.line(format_args!(
                        "{}  {:?}  {}  {}",
                        job.id,
                        job.state,
                        job.document_id,
                        job.message.as_deref().unwrap_or("")
                    ))?;
                }
                Ok(if page.items.is_empty() { Outcome::No } else { Outcome::Good })
            }
            Self::Show { id, json: _ } => {
                let job = app.store.catalog.job(&local_scope(), parse(&id)?).await?;
                Printer { json: true }.document(&job)?;
                Ok(Outcome::Good)
            }
            Self::Cancel { id } => {
                let job = app.store.catalog.cancel_job(&local_scope(), parse(&id)?).await?;
                Printer { json: true }.document(&job)?;
                Ok(Outcome::Good)
            }
            Self::Requeue { collection, ids } => {
                let ids = match ids.is_empty() {
                    true => dead(&app, &collection).await?,
                    false => ids.iter().map(|id| parse(id)).collect::<anyhow::Result<_>>()?,
                };
                for id in &ids {
                    let job = app.store.catalog.requeue_job(&local_scope(), *id).await?;
                    Printer { json: false }.line(format_args!("{id}  queued  {}", job.document_id))?;
                }
                Ok(if ids.is_empty() { Outcome::No } else { Outcome::Good })
            }
        }
    }
}

/// Every dead job of a collection.
async fn dead(app: &App, collection: &InCollection) -> anyhow::Result<Vec<JobId>> {
    let scope = collection.open(app).await?;
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = app.store.catalog.jobs(&scope, Some(JobState::Dead), cursor.as_deref(), 1_000).await?;
        ids.extend(page.items.iter().map(|job| job.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(ids),
        }
    }
}

fn state(name: &str) -> Result<JobState, String> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).map_err(|_| {
        "one of queued, running, indexed, unchanged, skipped, failed, cancelled, dead".to_owned()
    })
}

fn parse(id: &str) -> anyhow::Result<JobId> {
    Ok(JobId(id.parse::<Uuid>().context("a job id is a UUID, as `wellspring job list` prints it")?))
}

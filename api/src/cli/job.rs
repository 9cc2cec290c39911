//! `wellspring job`: list, show and cancel jobs.

use anyhow::Context;
use clap::Subcommand;
use uuid::Uuid;
use wellspring_store::jobs::JobId;

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
    },
    /// Cancel a job
    Cancel {
        /// Its id
        id: String,
    },
}

impl Job {
    /// Carries it out.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        match self {
            Self::List { collection, limit, json } => {
                let scope = collection.open(&app).await?;
                let page = app.store.catalog.jobs(&scope, None, None, limit).await?;
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
            Self::Show { id } => {
                let job = app.store.catalog.job(&local_scope(), parse(&id)?).await?;
                Printer { json: true }.document(&job)?;
                Ok(Outcome::Good)
            }
            Self::Cancel { id } => {
                let job = app.store.catalog.cancel_job(&local_scope(), parse(&id)?).await?;
                Printer { json: true }.document(&job)?;
                Ok(Outcome::Good)
            }
        }
    }
}

fn parse(id: &str) -> anyhow::Result<JobId> {
    Ok(JobId(id.parse::<Uuid>().context("a job id is a UUID, as `wellspring job list` prints it")?))
}

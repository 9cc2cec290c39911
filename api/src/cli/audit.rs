//! `wellspring audit`: who did what; and how commands leave their own entries.

use clap::Args;
use wellspring_store::audit::{AuditFilter, NewAuditEntry};
use wellspring_store::{CollectionName, TenantId};

use super::local_scope;
use crate::app::App;
use crate::output::{Outcome, Printer};

/// Read the audit log
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Only of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Only by this actor, such as `key:9f86d081884c7d65` or `command`
    #[arg(long)]
    actor: Option<String>,
    /// Only about this document, job or key
    #[arg(long)]
    object: Option<String>,
    /// At most this many, newest first
    #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print JSON, one entry a line
    #[arg(long)]
    json: bool,
}

impl Audit {
    /// Prints it; `No` if nothing is there.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        let tenant = self.tenant.map(TenantId::new).transpose()?;
        let filter = AuditFilter { tenant, actor: self.actor, object: self.object };
        let page = app.store.audit.entries(filter, None, self.limit).await?;
        let printer = Printer { json: self.json };
        for entry in &page.items {
            printer.record(entry)?;
            printer.line(format_args!(
                "{}  {}  {}  {}  {}  {}  {}",
                entry.at,
                entry.tenant.as_str(),
                entry.actor,
                entry.action,
                entry.collection.as_deref().unwrap_or("-"),
                entry.object.as_deref().unwrap_or("-"),
                entry.outcome
            ))?;
        }
        Ok(if page.items.is_empty() { Outcome::No } else { Outcome::Good })
    }
}

/// Keeps that somebody at the data folder did something.
pub(super) async fn record(
    app: &App,
    action: &str,
    collection: Option<&CollectionName>,
    object: &str,
) -> anyhow::Result<()> {
    let entry = NewAuditEntry {
        tenant: local_scope().tenant().clone(),
        actor: "command".to_owned(),
        action: action.to_owned(),
        collection: collection.map(|name| name.as_str().to_owned()),
        object: Some(object.to_owned()),
        outcome: 200,
        request: None,
    };
    Ok(app.store.audit.append(entry).await?)
}

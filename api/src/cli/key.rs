//! `wellspring key`: make, list and revoke API keys. Whoever can open the data folder may make any.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use wellspring_store::accounts::{Grant, NewKey};
use wellspring_store::{Access, CollectionName, Collections, Scope, TenantId, accounts};

use super::audit;
use crate::app::App;
use crate::auth::key::{self, Minted};
use crate::output::{Outcome, Printer, note, table};

/// `key …`
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key and print it, this once
    Create(Create),
    /// List keys, without their secrets
    List {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// Print JSON, one key a line
        #[arg(long)]
        json: bool,
    },
    /// End a key: the next request with it is refused
    Revoke {
        /// Its public part, between `ws_` and the next `_`
        id: String,
    },
}

/// Make a key
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What people call it
    name: String,
    /// What may be done with it
    #[arg(long, value_delimiter = ',', default_value = "read")]
    rights: Vec<Right>,
    /// Its tenant
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Collections it may touch [default: all]
    #[arg(long, value_delimiter = ',', value_name = "COLLECTION")]
    collections: Option<Vec<String>>,
    /// Tools that agents may call with it [default: all]
    #[arg(long, value_delimiter = ',', value_name = "TOOL")]
    tools: Option<Vec<String>>,
    /// Whose documents it sees, such as `user:ada,group:ops` [default: every document]
    #[arg(long, value_delimiter = ',', value_name = "PRINCIPAL")]
    principals: Option<Vec<String>>,
    /// Days until it expires [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A right, by its name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Right {
    Read,
    Write,
    Admin,
    Operator,
}

impl From<Right> for accounts::Right {
    fn from(right: Right) -> Self {
        match right {
            Right::Read => Self::Read,
            Right::Write => Self::Write,
            Right::Admin => Self::Admin,
            Right::Operator => Self::Operator,
        }
    }
}

impl Key {
    /// Carries it out.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        match self {
            Self::Create(create) => create.run(&app).await,
            Self::List { tenant, json } => list(&app, tenant, json).await,
            Self::Revoke { id } => {
                let key = app.store.accounts.revoke_key(None, &id).await?;
                audit::record(&app, "revokeKey", None, &key.id).await?;
                note(format_args!("revoked {} ({})", key.id, key.name));
                Ok(Outcome::Good)
            }
        }
    }
}

impl Create {
    async fn run(self, app: &App) -> anyhow::Result<Outcome> {
        let collections = match self.collections {
            None => Collections::All,
            Some(names) => {
                Collections::Only(names.into_iter().map(CollectionName::new).collect::<Result<_, _>>()?)
            }
        };
        let set = |list: Vec<String>| list.into_iter().collect::<BTreeSet<_>>();
        let access = self.principals.map_or(Access::Everything, |own| Access::Principals(set(own)));
        let grant = Grant {
            scope: Scope::new(TenantId::new(self.tenant)?, access, collections),
            rights: self.rights.into_iter().map(accounts::Right::from).collect(),
            tools: self.tools.map(set),
        };
        let expires_at = match self.expires_in_days {
            None => None,
            Some(days) => Some(
                jiff::Timestamp::now()
                    .checked_add(Duration::from_secs(u64::from(days) * 86_400))
                    .context("the expiry is out of range")?
                    .as_microsecond(),
            ),
        };
        let Minted { id, hash, token } = key::mint()?;
        let new =
            NewKey { id, hash, name: self.name, grant, created_by: Some("command".to_owned()), expires_at };
        let key = app.store.accounts.create_key(new).await?;
        audit::record(app, "createKey", None, &key.id).await?;
        let printer = Printer { json: self.json };
        printer.document(&json!({ "key": key, "token": token }))?;
        printer.line(&token)?;
        if !self.json {
            note("this is the only time that it can be read");
        }
        Ok(Outcome::Good)
    }
}

async fn list(app: &App, tenant: Option<String>, json: bool) -> anyhow::Result<Outcome> {
    let tenant = tenant.map(TenantId::new).transpose()?;
    let printer = Printer { json };
    let mut rows = table(["id", "tenant", "name", "rights", "collections", "sees", "ends"]);
    let (mut cursor, mut any) = (None, false);
    loop {
        let page = app.store.accounts.keys(tenant.as_ref(), cursor.as_deref(), 1000).await?;
        for key in &page.items {
            any = true;
            printer.record(key)?;
            let names = |set: Option<Vec<String>>, all: &str| {
                set.map_or_else(|| all.to_owned(), |set| set.join(", "))
            };
            let collections =
                key.collections.as_ref().map(|set| set.iter().map(ToString::to_string).collect());
            let ends = match (&key.revoked_at, &key.expires_at) {
                (Some(at), _) => format!("revoked {at}"),
                (None, Some(at)) => at.clone(),
                (None, None) => "never".to_owned(),
            };
            rows.add_row([
                key.id.clone(),
                key.tenant.as_str().to_owned(),
                key.name.clone(),
                key.rights
                    .iter()
                    .map(|right| format!("{right:?}").to_lowercase())
                    .collect::<Vec<_>>()
                    .join(", "),
                names(collections, "all"),
                names(key.principals.as_ref().map(|set| set.iter().cloned().collect()), "everything"),
                ends,
            ]);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if any {
        printer.line(&rows)?;
    }
    Ok(if any { Outcome::Good } else { Outcome::No })
}

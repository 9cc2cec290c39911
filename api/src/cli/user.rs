//! `wellspring user`: make, list and remove users who sign in with a name and a password. Whoever can open the data folder may.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use wellspring_store::TenantId;
use wellspring_store::accounts;
use wellspring_store::users::{NewUser, UserName};

use super::audit;
use super::key::Right;
use crate::app::App;
use crate::auth::password;
use crate::output::{Outcome, Printer, note, table};

/// Letters of a made password: 32 of them, none like another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567890";
/// Letters in a made password: 120 bits.
const MADE: usize = 24;

/// `user …`
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user; the password is read from standard input, or made and printed
    Add(Add),
    /// List users
    List {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// Print JSON, one user a line
        #[arg(long)]
        json: bool,
    },
    /// Shut a user out and end all it is signed in with
    Disable {
        /// What it signs in with
        name: String,
    },
    /// Let a disabled user in again
    Enable {
        /// What it signs in with
        name: String,
    },
    /// Remove a user and end all it is signed in with
    Remove {
        /// What it signs in with
        name: String,
    },
    /// Replace a password and end all that the user is signed in with
    Password {
        /// What it signs in with
        name: String,
        #[command(flatten)]
        source: Source,
    },
}

/// Make a user
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What it signs in with, such as a mail address; one in all tenants
    name: String,
    /// What it may do
    #[arg(long, value_delimiter = ',', default_value = "read")]
    rights: Vec<Right>,
    /// Its tenant
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Groups whose documents it sees, such as `ops`
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Make a password and print it, this once, instead of reading one from standard input
    #[arg(long)]
    generate: bool,
}

impl Source {
    /// The password, and whether it was made here.
    fn password(&self, name: &UserName) -> anyhow::Result<(String, bool)> {
        if self.generate {
            return Ok((made()?, true));
        }
        let mut stdin = std::io::stdin();
        if stdin.is_terminal() {
            bail!(
                "a terminal would show the password: pipe it in, as in `wellspring user add NAME < FILE`, or use --generate"
            );
        }
        let mut text = String::new();
        stdin.read_to_string(&mut text).context("the password can't be read from standard input")?;
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password).to_owned();
        if let Err(why) = password::check(&password, name.as_str()) {
            bail!(why);
        }
        Ok((password, false))
    }
}

fn made() -> anyhow::Result<String> {
    let mut bytes = [0; MADE];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    // 256 is a multiple of 32, so that every letter is as likely as any other.
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect())
}

impl UserCommand {
    /// Carries it out.
    pub(crate) async fn run(self, app: App) -> anyhow::Result<Outcome> {
        match self {
            Self::Add(add) => add.run(&app).await,
            Self::List { tenant, json } => list(&app, tenant, json).await,
            Self::Disable { name } => {
                let name = UserName::new(&name)?;
                app.store.users.set_disabled(&name, true).await?;
                audit::record(&app, "disableUser", None, name.as_str()).await?;
                note(format_args!("{name} is not let in any more"));
                Ok(Outcome::Good)
            }
            Self::Enable { name } => {
                let name = UserName::new(&name)?;
                app.store.users.set_disabled(&name, false).await?;
                audit::record(&app, "enableUser", None, name.as_str()).await?;
                note(format_args!("{name} may sign in again"));
                Ok(Outcome::Good)
            }
            Self::Remove { name } => {
                let name = UserName::new(&name)?;
                app.store.users.remove_user(&name).await?;
                audit::record(&app, "removeUser", None, name.as_str()).await?;
                note(format_args!("removed {name}"));
                Ok(Outcome::Good)
            }
            Self::Password { name, source } => {
                let name = UserName::new(&name)?;
                let (password, is_made) = source.password(&name)?;
                app.store.users.set_password(&name, password::hash(&password)?).await?;
                audit::record(&app, "setPassword", None, name.as_str()).await?;
                if is_made {
                    Printer { json: false }.line(password)?;
                }
                note(format_args!(
                    "{name} has a new password; whoever was signed in with the old one is not any more"
                ));
                Ok(Outcome::Good)
            }
        }
    }
}

impl Add {
    async fn run(self, app: &App) -> anyhow::Result<Outcome> {
        let name = UserName::new(&self.name)?;
        let (password, is_made) = self.source.password(&name)?;
        let new = NewUser {
            name,
            tenant: TenantId::new(self.tenant)?,
            password: password::hash(&password)?,
            rights: self.rights.into_iter().map(accounts::Right::from).collect(),
            groups: self.groups.into_iter().collect::<BTreeSet<_>>(),
        };
        let user = app.store.users.create_user(new).await?;
        audit::record(app, "addUser", None, user.name.as_str()).await?;
        let printer = Printer { json: self.json };
        if is_made {
            printer.document(&json!({ "user": user, "password": password }))?;
            printer.line(password)?;
        } else {
            printer.document(&json!({ "user": user }))?;
        }
        if !self.json {
            note(format_args!("made the user {}", user.name));
        }
        Ok(Outcome::Good)
    }
}

async fn list(app: &App, tenant: Option<String>, json: bool) -> anyhow::Result<Outcome> {
    let tenant = tenant.map(TenantId::new).transpose()?;
    let printer = Printer { json };
    let mut rows = table(["name", "tenant", "rights", "groups", "made", "disabled"]);
    let (mut cursor, mut any) = (None, false);
    loop {
        let page = app.store.users.users(tenant.as_ref(), cursor.as_deref(), 1000).await?;
        for user in page.items {
            any = true;
            printer.record(&user)?;
            let rights: Vec<String> =
                user.rights.iter().map(|right| format!("{right:?}").to_lowercase()).collect();
            rows.add_row([
                user.name.to_string(),
                user.tenant.as_str().to_owned(),
                rights.join(", "),
                user.groups.into_iter().collect::<Vec<_>>().join(", "),
                user.created_at,
                user.disabled_at.unwrap_or_default(),
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

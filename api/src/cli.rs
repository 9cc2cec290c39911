//! The command line: what can be typed, and which file carries it out.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use wellspring_store::{CollectionName, CollectionScope, ErrorKind, Scope, TenantId};

use crate::app::{App, Role};
use crate::config::{self, Config};
use crate::output::{Outcome, Printer};
use crate::telemetry;

mod ask;
mod audit;
mod backup;
mod chat;
mod chunks;
mod collection;
mod doctor;
mod document;
mod eval;
mod export;
mod forecast;
mod ingest;
mod init;
mod job;
mod key;
mod manual;
mod mcp;
mod models;
mod query;
mod restore;
mod search;
mod serve;
mod usage;
mod user;
mod verify;
mod welcome;

/// Documents in; passages and cited answers out.
#[derive(Debug, Parser)]
#[command(name = "wellspring", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Without one, what to do next is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where the data and the configuration are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The data folder [default: the user's data folder, `wellspring` in it]
    #[arg(long, global = true, value_name = "DIR", env = "WELLSPRING_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// A configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE", env = "WELLSPRING_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the HTTP interface and work off jobs
    Serve(serve::Serve),
    /// Read files and folders into a collection; returns when they are searchable
    Ingest(ingest::Ingest),
    /// Find passages
    Search(search::Search),
    /// List searches that were kept, or ask them again under other settings
    #[command(subcommand)]
    Query(query::Query),
    /// Answer a question with citations
    Ask(ask::Ask),
    /// Ask one question after another, each understood from those before
    Chat(chat::Chat),
    /// Measure retrieval
    #[command(subcommand)]
    Eval(eval::Eval),
    /// List, make, show, rebuild or delete collections
    #[command(subcommand)]
    Collection(collection::Collection),
    /// Show how a file would be cut, without storing anything
    #[command(subcommand)]
    Chunks(chunks::Chunks),
    /// List, show or delete documents, or change who may see them
    #[command(subcommand)]
    Document(document::Document),
    /// Make, list or revoke API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Make, list or remove users who sign in with a password
    #[command(subcommand)]
    User(user::UserCommand),
    /// Read the audit log
    Audit(audit::Audit),
    /// List, show or cancel jobs
    #[command(subcommand)]
    Job(job::Job),
    /// List installed models, or fetch one
    #[command(subcommand)]
    Models(models::Models),
    /// Show what paid models used and cost
    Usage(usage::Usage),
    /// Speak the Model Context Protocol on standard input and output
    Mcp(mcp::Mcp),
    /// Compare every index and blob with the catalog
    Verify(verify::Verify),
    /// Write a collection's documents as lines of JSON
    Export(export::Export),
    /// Copy documents, keys, conversations and everything else that is kept into a folder; a server may be running
    Backup(backup::Backup),
    /// Put a backup into an empty data folder or an empty database
    Restore(restore::Restore),
    /// Say what is missing on this machine and how to get it
    Doctor(doctor::Doctor),
    /// Write a configuration file to start from
    Init(init::Init),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell: source <(wellspring completions bash)
    Completions(manual::Completions),
    /// Write the manual pages, one per command
    Man(manual::Man),
    /// Read documents handed over on standard input (started by the server itself)
    #[command(hide = true)]
    ExtractChild,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the one in force as TOML, secrets hidden
    Show,
    /// Say whether a file can be used: unknown keys, wrong types, values out of range
    Check {
        /// The file [default: the one that --config names]
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

impl ConfigCommand {
    fn run(self, global: &Global, config: &Config) -> anyhow::Result<Outcome> {
        let printer = Printer { json: false };
        match self {
            Self::Show => printer.line(toml::to_string_pretty(config)?)?,
            Self::Check { file } => {
                let file = file.or_else(|| global.config.clone()).context("name a configuration file")?;
                config::load(Some(&file), [])?;
                printer.line(format_args!("{} can be used", file.display()))?;
            }
        }
        Ok(Outcome::Good)
    }
}

/// `-c COLLECTION`, for every command about one.
#[derive(Debug, Clone, Args)]
pub(crate) struct InCollection {
    /// The collection
    #[arg(short, long, default_value = "default")]
    pub(crate) collection: String,
}

impl InCollection {
    /// Looks the collection up.
    pub(crate) async fn open(&self, app: &App) -> anyhow::Result<CollectionScope> {
        let name = CollectionName::new(self.collection.as_str())?;
        match app.store.catalog.collection(&local_scope(), &name).await {
            Ok((scope, _)) => Ok(scope),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let known = app.store.catalog.collections(&local_scope()).await?;
                let known: Vec<_> = known.iter().map(|c| c.name.as_str()).collect();
                anyhow::bail!(
                    "there is no collection `{name}`; {}",
                    if known.is_empty() {
                        "make one with `wellspring ingest PATH`".to_owned()
                    } else {
                        format!("there are: {}", known.join(", "))
                    }
                )
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whoever can open the data folder is its administrator.
pub(crate) fn local_scope() -> Scope {
    Scope::administrator(TenantId::default_tenant())
}

/// The hidden child that reads documents under limits.
pub(crate) fn extract_child() -> ExitCode {
    match wellspring_ingest::sandbox::serve_child(std::io::stdin().lock(), std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(2),
    }
}

/// The environment. Variables that are not UTF-8 are somebody else's.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Runs a command to its end.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Outcome> {
    let Arguments { global, command } = arguments;
    // What needs no configuration also helps where that is broken.
    let command = match command {
        Some(Command::Init(init)) => return init.run(),
        Some(Command::Completions(completions)) => return completions.run(),
        Some(Command::Man(man)) => return man.run(),
        command => command,
    };
    let config = config::load(global.config.as_deref(), variables())?;
    let Some(command) = command else { return welcome::run(&global, &config) };
    let fallback = if matches!(command, Command::Serve(_)) { "info" } else { "warn" };
    arm_fault_point()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime can't be started")?;
    // A command that is over in a moment has nothing to trace, and must not wait for a collector.
    let sender = matches!(command, Command::Serve(_)).then(|| runtime.handle());
    let traces = telemetry::start(&config.telemetry, fallback, sender)?;
    let outcome = runtime.block_on(dispatch(&global, config, command));
    if let Some(traces) = traces {
        traces.end();
    }
    // A blocking task that hangs must not keep a finished command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

/// The crash suite names a point of the write path at which this process dies, as `NAME` or `NAME:N` for the N-th passage.
fn arm_fault_point() -> anyhow::Result<()> {
    let Ok(spec) = std::env::var("WELLSPRING_CRASH_AT") else { return Ok(()) };
    let (name, nth) = match spec.split_once(':') {
        Some((name, nth)) => (name, nth.parse().context("WELLSPRING_CRASH_AT is NAME or NAME:N")?),
        None => (spec.as_str(), 1),
    };
    wellspring_store::fault::arm(name, nth)?;
    Ok(())
}

async fn dispatch(global: &Global, config: Config, command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Serve(serve) => {
            let role = Role::Server(serve.duty(&config));
            Box::pin(serve.run(App::open(global, config, role).await?)).await
        }
        Command::Ingest(ingest) => {
            Box::pin(ingest.run(App::open(global, config, Role::Command).await?)).await
        }
        Command::Search(search) => {
            Box::pin(search.run(App::open(global, config, Role::Command).await?)).await
        }
        Command::Ask(ask) => Box::pin(ask.run(App::open(global, config, Role::Command).await?)).await,
        Command::Chat(chat) => Box::pin(chat.run(App::open(global, config, Role::Command).await?)).await,
        Command::Query(query) => Box::pin(query.run(global)).await,
        Command::Eval(eval) => Box::pin(eval.run(global)).await,
        Command::Collection(collection) => {
            Box::pin(collection.run(App::open(global, config, Role::Command).await?)).await
        }
        Command::Document(document) => {
            Box::pin(document.run(App::open(global, config, Role::Command).await?)).await
        }
        Command::Key(key) => Box::pin(key.run(App::open(global, config, Role::Command).await?)).await,
        Command::User(user) => Box::pin(user.run(App::open(global, config, Role::Command).await?)).await,
        Command::Audit(audit) => Box::pin(audit.run(App::open(global, config, Role::Command).await?)).await,
        Command::Job(job) => Box::pin(job.run(App::open(global, config, Role::Command).await?)).await,
        Command::Chunks(chunks) => Box::pin(chunks.run(config)).await,
        Command::Models(models) => Box::pin(models.run(config)).await,
        Command::Usage(usage) => Box::pin(usage.run(App::open(global, config, Role::Command).await?)).await,
        Command::Mcp(mcp) => Box::pin(mcp.run(App::open(global, config, Role::Command).await?)).await,
        Command::Verify(verify) => {
            Box::pin(verify.run(App::open(global, config, Role::Command).await?)).await
        }
        Command::Export(export) => {
            Box::pin(export.run(App::open(global, config, Role::Command).await?)).await
        }
        Command::Backup(backup) => Box::pin(backup.run(global, config)).await,
        Command::Restore(restore) => Box::pin(restore.run(global, config)).await,
        Command::Doctor(doctor) => Box::pin(doctor.run(global, config)).await,
        Command::Config(command) => command.run(global, &config),
        Command::Init(_) | Command::Completions(_) | Command::Man(_) | Command::ExtractChild => {
            anyhow::bail!("this command is carried out before a configuration is read")
        }
    }
}

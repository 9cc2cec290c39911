//! `wellspring models`: what is installed and configured, and fetching more.

use clap::Subcommand;
use serde_json::json;
use wellspring_models::pull::{self, HubConfig, Pulled};
use wellspring_models::registry::Registry;

use crate::config::Config;
use crate::output::{Outcome, Printer, note, table};

/// `models …`
#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// List embedders, rerankers and chat models
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch an embedding model from a model hub
    Pull {
        /// Its name, e.g. bge-small-en-v1.5
        name: String,
    },
}

impl Models {
    /// Carries it out.
    pub(crate) async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let registry = Registry::new(config.models)?;
        match self {
            Self::List { json } => list(&registry, Printer { json }),
            Self::Pull { name } => pull(&registry, &name).await,
        }
    }
}

fn list(registry: &Registry, printer: Printer) -> anyhow::Result<Outcome> {
    let models = registry.available();
    printer.document(&json!({ "models": models }))?;
    let mut table = table(["model", "kind", "runs", "dimensions", "tokens", "licence", "size", "state"]);
    for model in &models {
        table.add_row([
            model.name.clone(),
            format!("{:?}", model.kind).to_lowercase(),
            format!("{:?}", model.source).to_lowercase(),
            model.dimension.map(|n| n.to_string()).unwrap_or_default(),
            model.max_tokens.map(|n| n.to_string()).unwrap_or_default(),
            model.license.clone().unwrap_or_default(),
            if model.bytes == 0 { String::new() } else { format!("{} MB", model.bytes / 1_000_000) },
            model.problem.clone().unwrap_or_else(|| "ready".to_owned()),
        ]);
    }
    printer.line(table)?;
    Ok(Outcome::Good)
}

async fn pull(registry: &Registry, name: &str) -> anyhow::Result<Outcome> {
    let bar = Printer { json: false }.progress(Some(0), "bytes");
    let pulled = pull::pull(name, registry.cache_dir(), &HubConfig::from_env(), &mut |progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(progress.file);
    })
    .await?;
    bar.finish_and_clear();
    match pulled {
        Pulled::Present(folder) => note(format_args!("{name} is there already: {}", folder.display())),
        Pulled::Fetched(folder) => note(format_args!("fetched {name} into {}", folder.display())),
    }
    Ok(Outcome::Good)
}

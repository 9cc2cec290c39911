//! `wellspring chunks`: show how a file would be cut, without storing anything.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use wellspring_ingest::preview::PreviewChunk;
use wellspring_ingest::{ChunkConfig, Chunker, CollectionSettings, Preview};
use wellspring_models::registry::Registry;

use crate::app;
use crate::config::{self, Config};
use crate::output::{Outcome, Printer};

/// `chunks …`
#[derive(Debug, Subcommand)]
pub(crate) enum Chunks {
    /// Show the chunks of a file: their bounds, sizes, headings and pages, and what would be embedded
    Preview(Show),
}

/// `chunks preview`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The file
    file: PathBuf,
    /// The embedder whose tokens are counted [default: the configured one]
    #[arg(long)]
    model: Option<String>,
    /// A setting of the section `chunk` of the configuration, for this file: `target_tokens=120`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The title to embed [default: the document's own]
    #[arg(long)]
    title: Option<String>,
    /// Print only a line per chunk
    #[arg(long, conflicts_with = "json")]
    brief: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Chunks {
    /// Carries it out.
    pub(crate) async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        match self {
            Self::Preview(show) => show.run(config).await,
        }
    }
}

impl Show {
    async fn run(self, config: Config) -> anyhow::Result<Outcome> {
        let chunk = with_settings(&config.chunk, &self.settings)?;
        let registry = Registry::new(config.models.clone())?;
        let model = self.model.unwrap_or_else(|| config.models.default_embedder.clone());
        let embedder = registry.embedder(&model).await?;
        CollectionSettings { chunk: chunk.clone() }.suits(embedder.as_ref())?;
        let chunker = Chunker::new(chunk, embedder.counter(), embedder.info().max_tokens)?;
        let sandbox = app::sandbox(&config, &registry)?;
        let bytes = fs_err::read(&self.file)?;
        let source = self.file.to_string_lossy();
        let preview = wellspring_ingest::preview(
            &sandbox,
            &chunker,
            &embedder,
            bytes.into(),
            &source,
            self.title.as_deref(),
        )
        .await?;
        let printer = Printer { json: self.json };
        printer.document(&preview)?;
        summary(printer, &preview)?;
        for chunk in &preview.chunks {
            line(printer, chunk, self.brief)?;
        }
        Ok(if preview.chunks.is_empty() { Outcome::No } else { Outcome::Good })
    }
}

/// The settings with each `key=value` laid over.
fn with_settings(chunk: &ChunkConfig, settings: &[String]) -> anyhow::Result<ChunkConfig> {
    let mut table = toml::Table::try_from(chunk).context("the settings can't be laid over")?;
    for setting in settings {
        let (key, value) = setting.split_once('=').with_context(|| format!("`{setting}`: say KEY=VALUE"))?;
        let key = key.trim();
        let key = key.strip_prefix("chunk.").unwrap_or(key);
        config::set(&mut table, &[key.to_owned()], value.trim())?;
    }
    let chunk: ChunkConfig =
        serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
            let key = error.path().to_string();
            anyhow::anyhow!("`chunk.{key}` can't be set so: {}", error.into_inner().message())
        })?;
    chunk.validate()?;
    Ok(chunk)
}

fn summary(printer: Printer, preview: &Preview) -> anyhow::Result<()> {
    let Preview { format, title, bytes, pages, totals, max_tokens, warnings, .. } = preview;
    let pages = if *pages > 0 { format!(", {pages} pages") } else { String::new() };
    printer.line(format_args!("\u{1b}[1m{}\u{1b}[0m", title.as_deref().unwrap_or("no title")))?;
    printer.line(format_args!(
        "{format}, {bytes} bytes{pages}: {} chunks, {} tokens",
        totals.chunks, totals.tokens
    ))?;
    printer.line(format_args!(
        "tokens of a chunk: least {}, median {}, most {} (limit {max_tokens}); {} bytes stand in two",
        totals.least_tokens, totals.median_tokens, totals.most_tokens, totals.overlap_bytes
    ))?;
    if totals.truncated_tokens > 0 {
        printer.line(format_args!("{} tokens are beyond what the model reads", totals.truncated_tokens))?;
    }
    for warning in warnings {
        printer.line(format_args!("\u{1b}[33m{warning}\u{1b}[0m"))?;
    }
    Ok(())
}

/// A chunk for people: where it stands, then what is embedded, with what is not its own text dimmed.
fn line(printer: Printer, chunk: &PreviewChunk, brief: bool) -> std::io::Result<()> {
    let page = chunk.page.map(|page| format!(", page {page}")).unwrap_or_default();
    let overlap = if chunk.overlap > 0 { format!(", {} repeated", chunk.overlap) } else { String::new() };
    let read_in = chunk.read_in.map(|(start, end)| format!(", read in {start}-{end}")).unwrap_or_default();
    let gap = if brief { "" } else { "\n" };
    printer.line(format_args!(
        "{gap}\u{1b}[1;36m#{}\u{1b}[0m bytes {}-{}{overlap}, {} tokens{read_in}{page}  \u{1b}[2m{}\u{1b}[0m",
        chunk.ordinal,
        chunk.start,
        chunk.end,
        chunk.tokens,
        chunk.headings.join(" › ")
    ))?;
    if brief {
        return Ok(());
    }
    // The text is the end of what is embedded; before it stands what the chunk is told.
    let told = chunk.embedded_text.strip_suffix(chunk.text.as_str()).unwrap_or_default();
    for line in told.lines().filter(|line| !line.is_empty()) {
        printer.line(format_args!("\u{1b}[2m│ {line}\u{1b}[0m"))?;
    }
    printer.line(&chunk.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_laid_over_and_wrong_ones_are_named() {
        let over = |settings: &[&str]| {
            let settings: Vec<String> = settings.iter().map(|&s| s.to_owned()).collect();
            with_settings(&ChunkConfig::default(), &settings).map_err(|e| e.to_string())
        };
        let chunk =
            over(&["target_tokens=90", "chunk.max_tokens = 120", "file_name=never", "title=false"]).unwrap();
        assert_eq!((chunk.target_tokens, chunk.max_tokens, chunk.title), (90, Some(120), false));
        assert_eq!(over(&[]).unwrap(), ChunkConfig::default());
        for (wrong, complaint) in [
            ("target_tokens", "KEY=VALUE"),
            ("target_tokens=3", "target_tokens is 3"),
            ("target=90", "unknown field `target`"),
            ("title=perhaps", "`chunk.title`"),
        ] {
            let error = over(&[wrong]).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }
}

//! `wellspring eval`: retrieval measured alone, without any chat model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use async_trait::async_trait;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use wellspring_eval::dataset::Accepted;
use wellspring_eval::dataset::{Dataset, Documents, read_qrels};
use wellspring_eval::error::EvalError;
use wellspring_eval::measure::{DEFAULT_MEASURES, Measure};
use wellspring_eval::metrics::score;
use wellspring_eval::retrieval::{
    Engine, EngineFactory, RetrievalOptions, RetrievalReport, Switches, evaluate, index,
};
use wellspring_eval::run;
use wellspring_ingest::{ChunkMode, CollectionSettings};
use wellspring_models::registry::Registry;
use wellspring_retrieve::Mode;
use wellspring_store::{CollectionName, ErrorKind, NewCollection};

use super::{Global, InCollection, local_scope};
use crate::app::{App, Role};
use crate::config::Config;
use crate::output::{Outcome, Printer, note, table};

/// `eval …`
#[derive(Debug, Subcommand)]
pub(crate) enum Eval {
    /// Index a dataset, ask its queries, and score the rankings
    Retrieval(Retrieval),
    /// Score a run file that any system wrote
    Score(Score),
}

/// Index a dataset, ask its queries, and score the rankings
#[derive(Debug, Args)]
pub(crate) struct Retrieval {
    /// A dataset folder in BEIR layout
    #[arg(long, value_name = "DIR", required_unless_present = "topics", conflicts_with = "topics")]
    dataset: Option<PathBuf>,
    /// The judgements to use: qrels/SPLIT.tsv
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// TREC topics (SGML, or lines of id, tab, text), over documents that are in a collection already
    #[arg(long, value_name = "FILE", requires = "qrels")]
    topics: Option<PathBuf>,
    /// TREC judgements for the topics
    #[arg(long, value_name = "FILE", requires = "topics")]
    qrels: Option<PathBuf>,
    #[command(flatten)]
    collection: InCollection,
    /// How to search
    #[arg(long, value_enum, default_value_t = ModeFlag::Hybrid)]
    mode: ModeFlag,
    /// Depth of each ranking in documents (1-1000)
    #[arg(short, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: u16,
    /// One chunk per document, cut where the model stops reading (as the literature does), or the usual chunks
    #[arg(long, value_enum, default_value_t = ChunkingFlag::Default)]
    chunking: ChunkingFlag,
    /// The embedder [default: the configured one]
    #[arg(long)]
    model: Option<String>,
    /// Measures: ndcg@k, recall@k, p@k, mrr@k, map, hit@k, judged@k
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    measures: Vec<String>,
    /// Write the rankings as a TREC run file (with --mode all, the mode is put before the extension)
    #[arg(long, value_name = "FILE")]
    run_file: Option<PathBuf>,
    /// Where indexed datasets are kept for the next time [default: `eval` in the cache folder]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Queries asked at the same time; 1 gives undisturbed latencies
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// Print JSON, with values per query
    #[arg(long)]
    json: bool,
}

/// How to search, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeFlag {
    /// Vectors and words, fused
    Hybrid,
    /// Vectors only
    Dense,
    /// Words only
    Keyword,
    /// One after the other
    All,
}

/// How documents are cut, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChunkingFlag {
    /// The configured chunking
    Default,
    /// One chunk per document
    Whole,
}

/// Score a run file that any system wrote
#[derive(Debug, Args)]
pub(crate) struct Score {
    /// A TREC run file
    run: PathBuf,
    /// TREC or BEIR judgements
    #[arg(long, value_name = "FILE")]
    qrels: PathBuf,
    /// Measures
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    measures: Vec<String>,
    /// Print JSON, with values per query
    #[arg(long)]
    json: bool,
}

impl Eval {
    /// Carries it out.
    pub(crate) async fn run(self, global: &Global, config: Config) -> anyhow::Result<Outcome> {
        match self {
            Self::Retrieval(retrieval) => retrieval.run(global, config).await,
            Self::Score(score) => score.run(),
        }
    }
}

impl Score {
    fn run(self) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let scores = score(
            &read_qrels(&self.qrels, &mut Accepted::default())?,
            &run::read(&self.run)?,
            &measures(&self.measures)?,
        )?;
        printer.document(&scores)?;
        for (name, value) in &scores.metrics {
            printer.line(format_args!("{name:<12} {value:.4}"))?;
        }
        printer.line(format_args!(
            "queries      {} ({} missing from the run)",
            scores.queries,
            scores.missing.len()
        ))?;
        Ok(Outcome::Good)
    }
}

impl Retrieval {
    async fn run(self, global: &Global, config: Config) -> anyhow::Result<Outcome> {
        let printer = Printer { json: self.json };
        let options = RetrievalOptions {
            depth: self.k.into(),
            measures: measures(&self.measures)?,
            concurrency: self.concurrency,
        };
        if let Some(folder) = self.run_file.as_ref().and_then(|file| file.parent())
            && !folder.as_os_str().is_empty()
            && !folder.is_dir()
        {
            bail!("{} is no folder, so the run file can't be written there", folder.display());
        }
        let dataset = match (&self.dataset, &self.topics, &self.qrels) {
            (Some(folder), ..) => Dataset::open(folder, self.split.as_deref())?,
            (None, Some(topics), Some(qrels)) => Dataset::from_trec(topics, qrels)?,
            _ => bail!("name a dataset with --dataset, or topics and judgements with --topics and --qrels"),
        };
        let switches =
            Switches { model: self.model.clone(), whole_documents: self.chunking == ChunkingFlag::Whole };
        let factory = self.factory(global, config, &dataset).await?;
        let pool = factory.app.ingestor.start(factory.app.workers());
        let engine = factory.engine(&dataset, &switches).await?;
        let bar = printer.progress(None, "documents");
        let indexed = index(&engine, &dataset, &|done| bar.set_position(done)).await?;
        bar.finish_and_clear();
        pool.shutdown(std::time::Duration::from_secs(10)).await;
        factory.app.store.indexes.optimize(&engine.collection).await?;

        let modes: &[Mode] = match self.mode {
            ModeFlag::Hybrid => &[Mode::Hybrid],
            ModeFlag::Dense => &[Mode::Dense],
            ModeFlag::Keyword => &[Mode::Keyword],
            ModeFlag::All => &[Mode::Keyword, Mode::Dense, Mode::Hybrid],
        };
        let mut reports = Vec::new();
        for mode in modes {
            let bar = printer.progress(Some(dataset.queries.len() as u64), "queries");
            let (report, rankings) =
                evaluate(&engine, &dataset, &switches, *mode, &options, indexed.clone(), &|n| {
                    bar.set_position(n)
                })
                .await?;
            bar.finish_and_clear();
            if let Some(path) = &self.run_file {
                run::write(
                    &run_path(path, *mode, modes.len() > 1),
                    &rankings,
                    &format!("wellspring-{mode}"),
                )?;
            }
            reports.push(report);
        }
        factory.app.close().await?;
        if let [report] = reports.as_slice() {
            printer.document(report)?;
        } else {
            printer.document(&json!({ "reports": reports }))?;
        }
        print(printer, &reports)?;
        Ok(Outcome::Good)
    }

    /// The store to evaluate on: the user's own for topics over a collection, else one kept for evaluations.
    async fn factory(&self, global: &Global, config: Config, dataset: &Dataset) -> anyhow::Result<Factory> {
        if matches!(dataset.documents, Documents::Indexed) {
            let app = App::open(global, config, Role::Command).await?;
            return Ok(Factory { app, existing: Some(self.collection.clone()) });
        }
        let work = match &self.work {
            Some(work) => work.clone(),
            None => Registry::new(config.models.clone())?.cache_dir().join("eval"),
        };
        let global = Global { data: Some(work), ..global.clone() };
        Ok(Factory { app: App::open(&global, config, Role::Command).await?, existing: None })
    }
}

/// Makes engines out of the configured parts.
struct Factory {
    app: App,
    existing: Option<InCollection>,
}

#[async_trait]
impl EngineFactory for Factory {
    async fn engine(&self, dataset: &Dataset, switches: &Switches) -> Result<Engine, EvalError> {
        let failed = |error: anyhow::Error| {
            EvalError::new(wellspring_eval::ErrorKind::Engine, "the engine can't be made ready")
                .with_source(error)
        };
        let collection = match &self.existing {
            Some(existing) => existing.open(&self.app).await.map_err(failed)?,
            None => self.collection(dataset, switches).await.map_err(failed)?,
        };
        let (_, kept) = self
            .app
            .store
            .catalog
            .collection(collection.scope(), collection.name())
            .await
            .map_err(|e| failed(e.into()))?;
        Ok(Engine {
            ingestor: self.app.ingestor.clone(),
            retriever: Arc::clone(&self.app.retriever),
            collection,
            fingerprint: kept.fingerprint,
        })
    }
}

impl Factory {
    /// The collection of a dataset's content under these switches: another corpus, model or chunking is another
    /// collection, so that nothing stale is ever measured.
    async fn collection(
        &self,
        dataset: &Dataset,
        switches: &Switches,
    ) -> anyhow::Result<wellspring_store::CollectionScope> {
        let model =
            switches.model.clone().unwrap_or_else(|| self.app.registry.config().default_embedder.clone());
        let embedder = self.app.registry.embedder(&model).await?;
        let info = embedder.info();
        let mut settings = CollectionSettings::default();
        if switches.whole_documents {
            settings.chunk.mode = ChunkMode::Whole;
        }
        let settings = settings.to_value()?;
        let identity = json!([documents_checksum(&dataset.documents)?, info.fingerprint, settings]);
        let hash = wellspring_store::ContentHash::of(identity.to_string().as_bytes()).to_hex();
        let stem: String = dataset
            .name
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(40)
            .collect();
        let name = CollectionName::new(format!("{}-{}", stem.trim_start_matches('-'), &hash[..12]))?;
        let scope = local_scope();
        match self.app.store.catalog.collection(&scope, &name).await {
            Ok((scope, _)) => Ok(scope),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let new = NewCollection {
                    name: name.clone(),
                    model: info.name.clone(),
                    fingerprint: info.fingerprint.to_string(),
                    dimension: info.dimension,
                    settings,
                };
                self.app.store.catalog.create_collection(&scope, new).await?;
                Ok(self.app.store.catalog.collection(&scope, &name).await?.0)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A hash of the documents: of the corpus file, or of every file's name and content.
fn documents_checksum(documents: &Documents) -> anyhow::Result<String> {
    Ok(match documents {
        Documents::Corpus(path) => wellspring_store::ContentHash::of(&fs_err::read(path)?).to_hex(),
        Documents::Folder(path) => {
            let mut hashes = Vec::new();
            for entry in wellspring_ingest::source::walk(std::slice::from_ref(path)) {
                if let wellspring_ingest::source::Entry::File(found) = entry {
                    let content = wellspring_store::ContentHash::of(&fs_err::read(&found.path)?).to_hex();
                    hashes.push((found.id, content));
                }
            }
            wellspring_store::ContentHash::of(json!(hashes).to_string().as_bytes()).to_hex()
        }
        Documents::Indexed => String::new(),
    })
}

fn measures(names: &[String]) -> anyhow::Result<Vec<Measure>> {
    if names.is_empty() {
        return Ok(DEFAULT_MEASURES.to_vec());
    }
    Ok(names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?)
}

/// `run.trec` → `run.dense.trec` where several modes are written.
fn run_path(path: &Path, mode: Mode, several: bool) -> PathBuf {
    if !several {
        return path.to_owned();
    }
    let extension = path.extension().map_or_else(|| "trec".to_owned(), |e| e.to_string_lossy().into_owned());
    path.with_extension(format!("{mode}.{extension}"))
}

fn print(printer: Printer, reports: &[RetrievalReport]) -> anyhow::Result<()> {
    let Some(first) = reports.first() else { return Ok(()) };
    let names: Vec<&String> = first.scores.metrics.keys().collect();
    let mut header = vec!["mode".to_owned()];
    header.extend(names.iter().map(|name| (*name).clone()));
    header.push("p50 ms".to_owned());
    let mut table = table(header);
    for report in reports {
        let mut row = vec![report.mode.to_string()];
        row.extend(report.scores.metrics.values().map(|value| format!("{value:.4}")));
        row.push(format!("{:.1}", report.latency_ms.p50));
        table.add_row(row);
        for (query, reasons) in &report.degraded {
            note(format_args!("warning: query {query} was degraded: {}", reasons.join("; ")));
        }
    }
    printer.line(format_args!(
        "{}: {} judged queries, {} documents {:?}, depth {}",
        first.dataset, first.scores.queries, first.indexed.documents, first.indexed.outcomes, first.depth
    ))?;
    printer.line(format_args!(
        "{}, {}",
        first.fingerprint,
        if first.switches.whole_documents { "one chunk per document" } else { "default chunking" }
    ))?;
    printer.line(table)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_goes_before_the_extension() {
        assert_eq!(run_path(Path::new("a/run.trec"), Mode::Dense, true), Path::new("a/run.dense.trec"));
        assert_eq!(run_path(Path::new("run"), Mode::Dense, true), Path::new("run.dense.trec"));
        assert_eq!(run_path(Path::new("run.trec"), Mode::Dense, false), Path::new("run.trec"));
    }
}

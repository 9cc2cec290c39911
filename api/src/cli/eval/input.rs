//! What every evaluating command is told: the test set, how deep, which measures, which switches.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use wellspring_eval::dataset::{Dataset, Documents};
use wellspring_eval::engine::{Engine, EngineFactory, Switches};
use wellspring_eval::index::{Indexed, index};
use wellspring_eval::measure::{DEFAULT_MEASURES, Measure};
use wellspring_eval::retrieval::{Latency, RetrievalOptions, latency};
use wellspring_eval::stats::{DEFAULT_SEED, Seeded};
use wellspring_retrieve::Mode;

use super::bench::Bench;
use crate::cli::{Global, InCollection};
use crate::output::Printer;

/// The test set.
#[derive(Debug, Clone, Args)]
pub(super) struct TestSet {
    /// A dataset folder in BEIR layout, or a CSV or JSONL file of question and document
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "topics")]
    pub(super) dataset: Option<PathBuf>,
    /// The documents that a CSV or JSONL file asks about: a folder or a corpus.jsonl [default: those in the collection]
    #[arg(long, value_name = "DIR|FILE", requires = "dataset")]
    pub(super) documents: Option<PathBuf>,
    /// The judgements to use: qrels/SPLIT.tsv
    #[arg(long, value_name = "SPLIT")]
    pub(super) split: Option<String>,
    /// TREC topics (SGML, or lines of id, tab, text), over documents that are in a collection already
    #[arg(long, value_name = "FILE", requires = "qrels")]
    pub(super) topics: Option<PathBuf>,
    /// TREC judgements for the topics
    #[arg(long, value_name = "FILE")]
    pub(super) qrels: Option<PathBuf>,
    #[command(flatten)]
    pub(super) collection: InCollection,
}

impl TestSet {
    pub(super) fn open(&self) -> anyhow::Result<Dataset> {
        match (&self.dataset, &self.documents, &self.topics, &self.qrels) {
            (Some(questions), Some(documents), ..) => Ok(Dataset::over(questions, documents)?),
            (Some(folder), ..) => Ok(Dataset::open(folder, self.split.as_deref())?),
            (None, _, Some(topics), Some(qrels)) => Ok(Dataset::from_trec(topics, qrels)?),
            _ => bail!("name a test set with --dataset, or topics and judgements with --topics and --qrels"),
        }
    }
}

/// How it is asked.
#[derive(Debug, Clone, Args)]
pub(super) struct How {
    /// Depth of each ranking in documents (1-1000)
    #[arg(short, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    k: u16,
    /// Measures: ndcg@k, recall@k, p@k, mrr@k, map, hit@k, judged@k, all-recall@k, bpref, rprec, also with a level as in p(rel=2)@5
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    measures: Vec<String>,
    /// Queries asked at the same time (latencies are measured apart, one at a time)
    #[arg(long, default_value_t = 2)]
    concurrency: usize,
    /// Leave the document whose id is the query's out of its ranking, as BEIR does
    #[arg(long)]
    exclude_own_ids: bool,
    /// Seed of bootstrap and tests
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub(super) seed: u64,
    /// Where indexed datasets are kept for the next time [default: `eval` in the cache folder]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Ask every query anew instead of using what the legs found last time
    #[arg(long)]
    fresh: bool,
    /// Queries asked live, one after the other, for the latencies; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(super) latency_queries: usize,
}

impl How {
    pub(super) fn options(&self) -> anyhow::Result<RetrievalOptions> {
        let options = RetrievalOptions {
            depth: self.k.into(),
            measures: match self.measures.as_slice() {
                // Of the usual ones those that such rankings are deep enough for.
                [] => {
                    let fits = |measure: &&Measure| measure.cut.is_none_or(|cut| cut <= self.k.into());
                    DEFAULT_MEASURES.iter().filter(fits).copied().collect()
                }
                named => measures(named)?,
            },
            concurrency: self.concurrency,
            exclude_own_ids: self.exclude_own_ids,
            seed: self.seed,
        };
        options.check()?;
        Ok(options)
    }

    /// Where engines for this dataset are made: in the user's own data folder if its documents are there.
    pub(super) fn bench(
        &self,
        global: &Global,
        dataset: &Dataset,
        own: &InCollection,
    ) -> anyhow::Result<Bench> {
        let existing = matches!(dataset.documents, Documents::Indexed).then(|| own.clone());
        Bench::new(global, self.work.clone(), existing, self.fresh)
    }
}

/// One configuration, as typed.
#[derive(Debug, Clone, Args)]
pub(super) struct Configuration {
    /// How to search
    #[arg(long, value_enum, default_value_t = ModeFlag::Hybrid)]
    pub(super) mode: ModeFlag,
    /// One chunk per document, cut where the model stops reading (as the literature does), or the usual chunks
    #[arg(long, value_enum, default_value_t = ChunkingFlag::Default)]
    chunking: ChunkingFlag,
    /// The embedder [default: the configured one]
    #[arg(long)]
    model: Option<String>,
    /// Settings laid over the configuration, as TOML: 'retrieve.fusion = { method = "rrf", k = 60 }'
    #[arg(long, value_name = "TOML")]
    set: Vec<String>,
}

impl Configuration {
    /// Without the mode, which may be several.
    pub(super) fn switches(&self) -> anyhow::Result<Switches> {
        let text = self.set.join("\n");
        let mut switches = Switches::parse(&text)?;
        // Each has a flag here, and the flag would win without a word.
        let table: toml::Table = text.parse().context("the switches are no TOML")?;
        if let Some(key) = ["mode", "chunking", "model"].into_iter().find(|key| table.contains_key(*key)) {
            bail!("give the {key} with --{key}, not with --set");
        }
        switches.whole_documents |= self.chunking == ChunkingFlag::Whole;
        if self.model.is_some() {
            switches.model.clone_from(&self.model);
        }
        Ok(switches)
    }
}

/// How to search, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ModeFlag {
    /// Vectors and words, fused
    Hybrid,
    /// Vectors only
    Dense,
    /// Words only
    Keyword,
    /// One after the other
    All,
}

impl ModeFlag {
    pub(super) fn modes(self) -> &'static [Mode] {
        match self {
            Self::Hybrid => &[Mode::Hybrid],
            Self::Dense => &[Mode::Dense],
            Self::Keyword => &[Mode::Keyword],
            Self::All => &[Mode::Keyword, Mode::Dense, Mode::Hybrid],
        }
    }
}

/// How documents are cut, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ChunkingFlag {
    /// The configured chunking
    Default,
    /// One chunk per document
    Whole,
}

/// Measures by name; the default ones if none is named.
pub(super) fn measures(names: &[String]) -> anyhow::Result<Vec<Measure>> {
    if names.is_empty() {
        return Ok(DEFAULT_MEASURES.to_vec());
    }
    Ok(names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?)
}

/// A dataset with at most `most` queries, and what was left out in words.
pub(super) fn sampled(dataset: Dataset, most: Option<usize>, seed: u64) -> (Dataset, Option<String>) {
    let all = dataset.queries.len();
    let Some(most) = most.filter(|most| *most < all) else { return (dataset, None) };
    let mut ids: Vec<String> = dataset.queries.keys().cloned().collect();
    Seeded::new(seed).shuffle(&mut ids);
    let keep = ids.into_iter().take(most).collect();
    let name = dataset.name.clone();
    (
        dataset.only(&name, &keep),
        Some(format!("{most} of {all} queries, drawn with seed {seed}; all documents")),
    )
}

/// What one user waits, with the engine that was prepared last.
pub(super) async fn live_latency(
    bench: &Bench,
    engine: &Engine,
    dataset: &Dataset,
    switches: &Switches,
    queries: usize,
) -> anyhow::Result<Latency> {
    if queries == 0 {
        return Ok(Latency::default());
    }
    let retriever = bench.live(switches).await?;
    Ok(latency(&retriever, &engine.collection, dataset, switches, queries).await?)
}

/// An engine with the dataset's documents in it.
pub(super) async fn prepare(
    bench: &Bench,
    dataset: &Dataset,
    switches: &Switches,
    printer: Printer,
) -> anyhow::Result<(Engine, Indexed)> {
    let engine = bench.engine(dataset, switches).await?;
    let bar = printer.progress(None, "documents");
    let indexed = index(&engine, dataset, &|done| bar.set_position(done)).await?;
    bar.finish_and_clear();
    bench.optimize(&engine.collection).await?;
    Ok((engine, indexed))
}

//! For each relevant document that a ranking misses: at which stage it was lost.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use wellspring_retrieve::fuse::{LegList, fuse};
use wellspring_retrieve::query::clean;
use wellspring_retrieve::{KeywordAsk, RetrieveConfig};
use wellspring_store::{ChunkKey, DocumentId, ErrorKind as StoreKind};

use crate::dataset::Dataset;
use crate::engine::{Engine, Switches};
use crate::error::{EvalError, Result};
use crate::metrics::{Run, sort_as_trec_eval};
use crate::spans::{Texts, is_whole};

/// Where a relevant document was lost, in the order of the stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The document, or the words of it that answer the query, are not in the stored text.
    NotExtracted,
    /// The words are there, but no chunk holds them whole.
    SplitBadly,
    /// No chunk of it is among the candidates of any leg.
    NotRecalled,
    /// A leg alone had it in the first k; the fused ranking has not.
    FusedOut,
    /// The fused ranking had it in the first k; after reranking it was not there.
    RerankedOut,
    /// The fused ranking had it in the first k; another stage put others above it (links, boosts, exact matches, late
    /// interaction, a learned ranker, diversity).
    Outranked,
    /// The fused ranking had it in the first k; the join with the catalog (visibility, filter, caps) left it out, though there
    /// was room.
    Filtered,
    /// It is a candidate that no leg and no stage put into the first k: a larger k would reach it.
    CutByK,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: &[Self] = &[
        Self::NotExtracted,
        Self::SplitBadly,
        Self::NotRecalled,
        Self::FusedOut,
        Self::RerankedOut,
        Self::Outranked,
        Self::Filtered,
        Self::CutByK,
    ];

    /// For tables.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotExtracted => "not extracted",
            Self::SplitBadly => "split badly",
            Self::NotRecalled => "not in either leg's candidates",
            Self::FusedOut => "fused out",
            Self::RerankedOut => "reranked out",
            Self::Outranked => "outranked later",
            Self::Filtered => "filtered",
            Self::CutByK => "cut by k",
        }
    }
}

/// A relevant document that is not among the first k.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    /// The query's id.
    pub query: String,
    /// Its text.
    pub text: String,
    /// The document.
    pub document: String,
    /// Its grade.
    pub grade: i32,
    /// Where it was lost.
    pub stage: Stage,
    /// Its rank among the documents of the dense leg's candidates; `None` if it is not there.
    pub dense: Option<usize>,
    /// The same of the keyword leg.
    pub keyword: Option<usize>,
    /// The same after fusion.
    pub fused: Option<usize>,
    /// Its rank in the final ranking; `None` beyond the ranking's depth.
    pub rank: Option<usize>,
    /// What stands first instead.
    pub first: Option<String>,
}

/// Every missed relevant document of one evaluated configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureReport {
    /// Ranks that count as found.
    pub k: usize,
    /// Relevant documents in all.
    pub relevant: usize,
    /// How many of them are among the first k.
    pub found: usize,
    /// How many of the others each stage lost; stages that lost none are there with 0.
    pub lost: BTreeMap<Stage, usize>,
    /// Each of the others, by query and document.
    pub missed: Vec<Missed>,
}

/// Explains what the run misses at `k`. The engine must be the one that made the run: candidates are what its legs were asked
/// for, `asked` hits each by query (see [`crate::retrieval::RetrievalReport::asked`]), `config.depth` for a query that is
/// not there.
pub async fn analyse(
    engine: &Engine,
    dataset: &Dataset,
    switches: &Switches,
    config: &RetrieveConfig,
    (run, asked): (&Run, &BTreeMap<String, usize>),
    k: usize,
) -> Result<FailureReport> {
    let mut report = FailureReport {
        k,
        relevant: 0,
        found: 0,
        lost: Stage::ALL.iter().map(|stage| (*stage, 0)).collect(),
        missed: Vec::new(),
    };
    let mut texts = Texts::default();
    for (query, text) in &dataset.queries {
        let mut ranking = run.get(query).cloned().unwrap_or_default();
        sort_as_trec_eval(&mut ranking);
        let ranks: HashMap<&str, usize> =
            ranking.iter().enumerate().map(|(at, (id, _))| (id.as_str(), at + 1)).collect();
        let mut relevant: Vec<(&String, i32)> = dataset
            .qrels
            .get(query)
            .into_iter()
            .flatten()
            .filter(|(_, grade)| **grade > 0)
            .map(|(id, grade)| (id, *grade))
            .collect();
        relevant.sort();
        report.relevant += relevant.len();
        let missed: Vec<_> = relevant
            .into_iter()
            .filter(|(id, _)| ranks.get(id.as_str()).is_none_or(|rank| *rank > k))
            .collect();
        if missed.is_empty() {
            continue;
        }
        let depth = asked.get(query).copied().unwrap_or(config.depth);
        let candidates = Candidates::of(engine, switches, config, text, depth).await?;
        for (document, grade) in missed {
            let mut missed = Missed {
                query: query.clone(),
                text: text.clone(),
                document: document.clone(),
                grade,
                stage: Stage::CutByK,
                dense: candidates.dense.get(document).copied(),
                keyword: candidates.keyword.get(document).copied(),
                fused: candidates.fused.get(document).copied(),
                rank: ranks.get(document.as_str()).copied(),
                first: ranking.first().map(|(id, _)| id.clone()),
            };
            let after = After { reranks: config.rerank.is_some(), full: ranking.len() >= k };
            missed.stage = stage(engine, dataset, &mut texts, &missed, after, k).await?;
            *report.lost.entry(missed.stage).or_default() += 1;
            report.missed.push(missed);
        }
    }
    report.found = report.relevant - report.missed.len();
    Ok(report)
}

/// What came of a ranking after fusion.
#[derive(Debug, Clone, Copy)]
struct After {
    /// Whether a reranker read it.
    reranks: bool,
    /// Whether it holds k documents.
    full: bool,
}

async fn stage(
    engine: &Engine,
    dataset: &Dataset,
    texts: &mut Texts,
    missed: &Missed,
    after: After,
    k: usize,
) -> Result<Stage> {
    if !is_there(engine, &missed.document).await? {
        return Ok(Stage::NotExtracted);
    }
    let spans = dataset.spans.get(&missed.query).into_iter().flatten();
    let (mut spans_found, mut spans_whole, mut any) = (0, 0, 0);
    for span in spans.filter(|span| span.document == missed.document) {
        any += 1;
        let whole = is_whole(engine, texts, span).await?;
        spans_found += usize::from(whole.is_some());
        spans_whole += usize::from(whole == Some(true));
    }
    if any > 0 && spans_found == 0 {
        return Ok(Stage::NotExtracted);
    }
    if any > 0 && spans_whole == 0 {
        return Ok(Stage::SplitBadly);
    }
    Ok(lost(missed, after, k))
}

/// Where a document was lost that was extracted and cut well.
fn lost(missed: &Missed, after: After, k: usize) -> Stage {
    let within = |rank: Option<usize>| rank.is_some_and(|rank| rank <= k);
    match missed.fused {
        None => Stage::NotRecalled,
        Some(rank) if rank <= k && after.reranks => Stage::RerankedOut,
        Some(rank) if rank <= k && after.full => Stage::Outranked,
        Some(rank) if rank <= k => Stage::Filtered,
        Some(_) if within(missed.dense) || within(missed.keyword) => Stage::FusedOut,
        Some(_) => Stage::CutByK,
    }
}

async fn is_there(engine: &Engine, document: &str) -> Result<bool> {
    let id = DocumentId::new(document).map_err(|e| EvalError::engine("naming a document", e))?;
    match engine.catalog.document(&engine.collection, &id).await {
        Ok(document) => Ok(document.chunks > 0),
        Err(error) if error.kind() == StoreKind::NotFound => Ok(false),
        Err(error) => Err(EvalError::engine("looking a document up", error)),
    }
}

/// Ranks of documents, from 1, among the candidates of each leg and after fusion.
struct Candidates {
    dense: HashMap<String, usize>,
    keyword: HashMap<String, usize>,
    fused: HashMap<String, usize>,
}

impl Candidates {
    async fn of(
        engine: &Engine,
        switches: &Switches,
        config: &RetrieveConfig,
        text: &str,
        depth: usize,
    ) -> Result<Self> {
        let text = clean(text);
        let weighed = KeywordAsk { scoring: config.keyword, fuzzy: config.keyword_fuzzy };
        let list = |leg: &str, weighed| engine.legs.list(leg, &text, depth, weighed);
        let dense = switches.mode.wants_dense().then(|| list("dense", None)).flatten();
        let keyword = switches.mode.wants_keyword().then(|| list("keyword", Some(weighed))).flatten();
        let tuned = engine.retriever.fusion_of(&engine.collection, &text).await;
        let fused: Vec<ChunkKey> =
            fuse(dense.as_ref(), keyword.as_ref(), tuned).into_iter().map(|hit| hit.key).collect();
        let documents = documents(engine, &fused).await?;
        let of_list = |list: &Option<LegList>| {
            let keys: Vec<ChunkKey> =
                list.iter().flat_map(|list| list.hits.iter().map(|hit| hit.key)).collect();
            ranks(&keys, &documents)
        };
        Ok(Self { dense: of_list(&dense), keyword: of_list(&keyword), fused: ranks(&fused, &documents) })
    }
}

/// The documents of chunks; those that are not visible have none.
async fn documents(engine: &Engine, keys: &[ChunkKey]) -> Result<HashMap<ChunkKey, String>> {
    let mut documents = HashMap::with_capacity(keys.len());
    for part in keys.chunks(500) {
        let chunks = engine
            .catalog
            .visible_chunks(&engine.collection, part, None)
            .await
            .map_err(|e| EvalError::engine("reading chunks", e))?;
        documents.extend(chunks.into_iter().map(|chunk| (chunk.key, chunk.document_id.to_string())));
    }
    Ok(documents)
}

/// The rank of each document by its best chunk.
fn ranks(keys: &[ChunkKey], documents: &HashMap<ChunkKey, String>) -> HashMap<String, usize> {
    let mut ranks = HashMap::new();
    for document in keys.iter().filter_map(|key| documents.get(key)) {
        let next = ranks.len() + 1;
        ranks.entry(document.clone()).or_insert(next);
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_stage_outranked_was_not_filtered() {
        let missed = |dense, fused| Missed {
            query: String::new(),
            text: String::new(),
            document: String::new(),
            grade: 1,
            stage: Stage::CutByK,
            dense,
            keyword: None,
            fused,
            rank: None,
            first: None,
        };
        let after = |reranks, full| After { reranks, full };
        assert_eq!(lost(&missed(Some(1), Some(10)), after(false, true), 10), Stage::Outranked);
        assert_eq!(lost(&missed(Some(1), Some(10)), after(false, false), 10), Stage::Filtered);
        assert_eq!(lost(&missed(Some(1), Some(10)), after(true, true), 10), Stage::RerankedOut);
        assert_eq!(lost(&missed(Some(1), Some(11)), after(true, true), 10), Stage::FusedOut);
        assert_eq!(lost(&missed(Some(11), Some(11)), after(false, true), 10), Stage::CutByK);
        assert_eq!(lost(&missed(None, None), after(false, true), 10), Stage::NotRecalled);
    }

    #[test]
    fn a_document_ranks_by_its_best_chunk() {
        let documents =
            HashMap::from([(ChunkKey(1), "a".into()), (ChunkKey(2), "b".into()), (ChunkKey(3), "a".into())]);
        let ranks = ranks(&[ChunkKey(3), ChunkKey(9), ChunkKey(2), ChunkKey(1)], &documents);
        assert_eq!((ranks["a"], ranks["b"], ranks.len()), (1, 2, 2));
    }
}

//! A matrix of switches over a dataset: what each is worth and what it costs, against the default.

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, Shown, System, compare};
use crate::dataset::Dataset;
use crate::engine::Switches;
use crate::error::{ErrorKind, EvalError, Result};
use crate::retrieval::{Cost, Latency};

/// One row of the matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// What people call it.
    pub name: String,
    /// What it switches.
    pub switches: Switches,
}

/// Name and switches as TOML: adding a switch is one line here. The first is the default that the others are compared with.
const MATRIX: &[(&str, &str)] = &[
    ("default", ""),
    ("keyword only", "mode = 'keyword'"),
    ("dense only", "mode = 'dense'"),
    ("weight of vectors 0.3", "retrieve.fusion = { method = 'convex', weight = 0.3 }"),
    ("weight of vectors 0.7", "retrieve.fusion = { method = 'convex', weight = 0.7 }"),
    ("fixed weight of vectors", "retrieve.self_tuning = false"),
    ("min-max scores", "retrieve.fusion = { method = 'convex', normalization = 'min_max' }"),
    ("reciprocal ranks, k 60", "retrieve.fusion = { method = 'rrf', k = 60 }"),
    ("reciprocal ranks, k 10", "retrieve.fusion = { method = 'rrf', k = 10 }"),
    ("true scores of missing", "retrieve.missing = 'exact'"),
    ("100 candidates per leg", "retrieve.depth = 100"),
    ("1000 candidates per leg", "retrieve.depth = 1000"),
    ("links not followed", "retrieve.links.enabled = false"),
    ("links at discount 0.5", "retrieve.links.discount = 0.5"),
    ("exact matches not kept", "retrieve.exact = false"),
    ("proximity 0.1", "retrieve.refine = { proximity = 0.1 }"),
    ("late interaction a third", "retrieve.refine = { late = 0.33, budget_ms = 60000 }"),
    (
        "late interaction a half, proximity 0.1",
        "retrieve.refine = { late = 0.5, proximity = 0.1, budget_ms = 60000 }",
    ),
    ("k1 0.9, b 0.4", "retrieve.keyword = { k1 = 0.9, b = 0.4 }"),
    ("unknown words not replaced", "retrieve.keyword_fuzzy = false"),
    ("titles weigh 0.5", "retrieve.keyword.title = 0.5"),
    ("one neighbour each side", "neighbours = 1"),
    ("vectors kept as f32", "store.flat_form = 'f32'"),
    ("vectors searched by graph", "store.flat_max_chunks = 0"),
    ("model in fp32", "model = 'all-MiniLM-L6-v2/fp32'"),
    ("one chunk per document", "chunking = 'whole'"),
    ("cut where the meaning drifts", "chunk.boundaries = 'semantic'"),
    ("chunks of 100 tokens", "chunk = { target_tokens = 100, min_tokens = 24, overlap_tokens = 12 }"),
    (
        "late chunking in 100 tokens",
        "chunk = { target_tokens = 100, min_tokens = 24, overlap_tokens = 12, pooling = 'late' }",
    ),
];

/// The matrix, or those of its rows whose name contains one of `only`; the default always stands first.
pub fn matrix(only: &[String]) -> Result<Vec<Variant>> {
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let variants: Vec<Variant> = MATRIX
        .iter()
        .enumerate()
        .filter(|(at, (name, _))| *at == 0 || wanted(name))
        .map(|(_, (name, text))| variant(name, text))
        .collect::<Result<_>>()?;
    if variants.len() == 1 && !only.is_empty() {
        let names: Vec<&str> = MATRIX.iter().map(|(name, _)| *name).collect();
        return Err(EvalError::new(
            ErrorKind::Invalid,
            format!("no switch is called `{}`; there are: {}", only.join("`, `"), names.join(", ")),
        ));
    }
    Ok(variants)
}

/// A row that a user writes: a name and its switches as TOML.
pub fn variant(name: &str, toml: &str) -> Result<Variant> {
    Ok(Variant { name: name.to_owned(), switches: Switches::parse(toml)? })
}

/// What one row came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The variant's name.
    pub name: String,
    /// What it switched.
    pub switches: Switches,
    /// Mean of each measure.
    pub metrics: std::collections::BTreeMap<String, f64>,
    /// Asked live, one after the other.
    pub latency_ms: Latency,
    /// What a query costs beside time.
    pub cost: Cost,
    /// Chunks in the collection.
    pub chunks: u64,
    /// Seconds that indexing took in this run; near 0 where everything was there.
    pub indexing_seconds: f64,
}

/// The matrix on one dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// The dataset's name.
    pub dataset: String,
    /// Its checksum.
    pub checksum: String,
    /// A row per variant, the default first.
    pub rows: Vec<Row>,
    /// Every variant against the default; `None` where the default is alone.
    pub comparison: Option<Comparison>,
}

/// Puts the rows together. `measures` are compared, with Holm's correction over all of them and all variants.
pub fn ablation(
    dataset: &Dataset,
    rows: Vec<Row>,
    systems: &[System],
    measures: &[String],
    seed: u64,
) -> Result<Ablation> {
    let comparison = match systems.len() {
        0 | 1 => None,
        _ => Some(compare(systems, measures, Some(&dataset.qrels), seed, Shown { queries: 0, ranks: 0 })?),
    };
    Ok(Ablation { dataset: dataset.name.clone(), checksum: dataset.checksum.clone(), rows, comparison })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_reads_and_names_are_distinct() {
        let all = matrix(&[]).unwrap();
        assert_eq!((all.len(), &all[0].switches), (MATRIX.len(), &Switches::default()));
        let names: std::collections::BTreeSet<_> = all.iter().map(|variant| &variant.name).collect();
        assert_eq!(names.len(), all.len());
        let some = matrix(&["reciprocal".into()]).unwrap();
        assert_eq!(
            some.iter().map(|v| v.name.as_str()).collect::<Vec<_>>(),
            ["default", "reciprocal ranks, k 60", "reciprocal ranks, k 10"]
        );
        assert!(matrix(&["no such".into()]).unwrap_err().to_string().contains("no switch is called"));
        assert!(variant("x", "mode = 3").is_err());
    }
}

//! Moves hits up or down by what their metadata says: a value they hold, or how recent they are.
//!
//! On the scale of the fused list (0 for its last chunk, 1 for its first) each boost adds `weight · share`: for a value,
//! share = 1 where the field holds it; for a date, share = 2^(−age / half-life), 1 for a date to come. A field that is
//! missing or can't be read adds nothing. Only the first 200 candidates are looked at.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wellspring_store::filter::instant;
use wellspring_store::{Catalog, ChunkKey, CollectionScope, StoredChunk};

use crate::config::within;
use crate::error::{ErrorKind, Result, RetrieveError};
use crate::fuse::Fused;
use crate::query::Query;
use crate::scale::{Scale, sort};

/// Candidates whose metadata is read: what stands lower needs more than a boost.
const LOOKED_AT: usize = 200;
/// Most boosts of one search.
const MOST: usize = 16;
/// Microseconds of a day.
const DAY: f64 = 86_400e6;

/// One boost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boost {
    /// A field of the metadata, by dotted name, or `_id`, `_source`, `_title` or `_language`.
    pub field: String,
    /// The string, number or boolean that the field must hold, alone or in a list. Either this or `half_life_days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Days after which a date (RFC 3339) counts half; above 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_life_days: Option<f64>,
    /// What it adds at most, −1 to 1; 1 is the distance from the last candidate to the first.
    pub weight: f64,
}

/// What one boost did to a hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoostExplain {
    /// Its field.
    pub field: String,
    /// How much of its weight, 0 to 1.
    pub share: f32,
    /// What it added to the score.
    pub added: f32,
}

/// Refuses boosts that mean nothing, with `Invalid`.
pub(crate) fn check(boosts: &[Boost]) -> Result<()> {
    within("boosts, their number", boosts.len() as u64, 0, MOST as u64)?;
    for boost in boosts {
        let problem = if !(-1.0..=1.0).contains(&boost.weight) {
            "its weight must be -1 to 1"
        } else if boost.half_life_days.is_some_and(|days| !(days > 0.0 && days.is_finite())) {
            "its half-life must be above 0 days"
        } else if boost.value.is_some() == boost.half_life_days.is_some() {
            "it must have either a value or half_life_days"
        } else if boost
            .value
            .as_ref()
            .is_some_and(|value| value.is_array() || value.is_object() || value.is_null())
        {
            "its value must be a string, a number or a boolean"
        } else {
            continue;
        };
        return Err(RetrieveError::new(
            ErrorKind::Invalid,
            format!("the boost by `{}` can't be used: {problem}", boost.field),
        ));
    }
    Ok(())
}

/// Adds the query's boosts in place; the list stays sorted. Returns what was added to which chunk. `now` in microseconds
/// since 1970.
pub(crate) async fn boost(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    query: &Query,
    fused: &mut [Fused],
    now: i64,
) -> Result<HashMap<ChunkKey, Vec<BoostExplain>>> {
    let mut explained = HashMap::new();
    let Some(scale) = Scale::of(fused).filter(|_| !query.boosts.is_empty()) else { return Ok(explained) };
    let keys: Vec<ChunkKey> = fused.iter().take(LOOKED_AT).map(|hit| hit.key).collect();
    let chunks = catalog.visible_chunks(scope, &keys, query.filter.as_ref()).await?;
    let chunks: HashMap<ChunkKey, StoredChunk> = chunks.into_iter().map(|chunk| (chunk.key, chunk)).collect();
    for hit in fused.iter_mut().take(LOOKED_AT) {
        let Some(chunk) = chunks.get(&hit.key) else { continue };
        for boost in &query.boosts {
            let share = share(boost, chunk, now);
            if share > 0.0 {
                let added = boost.weight as f32 * share * scale.unit;
                hit.score += added;
                let done = BoostExplain { field: boost.field.clone(), share, added };
                explained.entry(hit.key).or_insert_with(Vec::new).push(done);
            }
        }
    }
    sort(fused);
    Ok(explained)
}

fn share(boost: &Boost, chunk: &StoredChunk, now: i64) -> f32 {
    let own = |text: &str| Value::String(text.to_owned());
    let held = match boost.field.as_str() {
        "_id" => Some(own(chunk.document_id.as_str())),
        "_source" => Some(own(&chunk.source)),
        "_title" => chunk.title.as_deref().map(own),
        "_language" => chunk.language.as_deref().map(own),
        field => find(field, chunk).cloned(),
    };
    let Some(held) = held else { return 0.0 };
    match (&boost.value, boost.half_life_days) {
        (Some(wanted), _) => {
            let holds = match &held {
                Value::Array(items) => items.iter().any(|item| same(item, wanted)),
                item => same(item, wanted),
            };
            if holds { 1.0 } else { 0.0 }
        }
        (None, Some(half_life)) => match held.as_str().and_then(instant) {
            Some(then) => {
                let age = (now.saturating_sub(then) as f64 / DAY).max(0.0);
                (-age / half_life).exp2() as f32
            }
            None => 0.0,
        },
        (None, None) => 0.0,
    }
}

/// Numbers by value: 2026 is 2026.0.
fn same(held: &Value, wanted: &Value) -> bool {
    match (held.as_f64(), wanted.as_f64()) {
        (Some(held), Some(wanted)) => held == wanted,
        _ => held == wanted,
    }
}

/// The field as it is called, or else by the parts of its dotted name.
fn find<'a>(field: &str, chunk: &'a StoredChunk) -> Option<&'a Value> {
    if let Some(value) = chunk.metadata.get(field) {
        return Some(value);
    }
    let mut parts = field.split('.');
    let first = chunk.metadata.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

//! Joins the fused ranking with the catalog, best first, until enough visible hits are let in.

use std::collections::HashMap;

use wellspring_store::{Catalog, ChunkKey, CollectionScope};

use crate::diversify::{Gate, Refusal};
use crate::error::Result;
use crate::explain::{Drops, HitExplain};
use crate::fuse::Fused;
use crate::passage::{Origin, Passage};
use crate::query::Query;

/// Most chunks of one catalog read: keeps its parameter list and its answer small.
const LARGEST_READ: usize = 500;

/// The hits let in, in fused order, and what was passed over.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) passages: Vec<Passage>,
    pub(crate) drops: Drops,
}

/// At most `want` passages. Reads a little more than is wanted at first, since some will be passed over.
pub(crate) async fn choose(
    catalog: &dyn Catalog,
    scope: &CollectionScope,
    query: &Query,
    fused: &[Fused],
    want: usize,
) -> Result<Chosen> {
    let mut gate = Gate::new(query.collapse_duplicates, query.near_duplicates, query.per_document);
    let mut chosen = Chosen::default();
    let read = (want + want / 4 + 8).min(LARGEST_READ);
    for (part, hits) in fused.chunks(read).enumerate() {
        let keys: Vec<ChunkKey> = hits.iter().map(|hit| hit.key).collect();
        let visible = catalog.visible_chunks(scope, &keys, query.filter.as_ref()).await?;
        let mut visible: HashMap<_, _> = visible.into_iter().map(|chunk| (chunk.key, chunk)).collect();
        for (place, hit) in hits.iter().enumerate() {
            if chosen.passages.len() == want {
                return Ok(chosen);
            }
            let Some(chunk) = visible.remove(&hit.key) else {
                chosen.drops.count("not_visible", 1);
                continue;
            };
            match gate.admit(&chunk) {
                Ok(()) => {
                    let explain = query.explain.then(|| HitExplain::of(hit, part * read + place));
                    let origin = Origin {
                        fused: hit.score,
                        fused_rank: part * read + place + 1,
                        dense: hit.dense,
                        keyword: hit.keyword,
                    };
                    let passage = Passage::of(chunk, hit.score, explain);
                    chosen.passages.push(Passage { origin: Some(origin), ..passage });
                }
                Err(Refusal::Duplicate(of)) => chosen.drops.name(chunk.id, "duplicate", Some(of)),
                Err(Refusal::NearDuplicate(of)) => chosen.drops.name(chunk.id, "near_duplicate", Some(of)),
                Err(Refusal::PerDocument) => chosen.drops.name(chunk.id, "per_document", None),
            }
        }
    }
    Ok(chosen)
}

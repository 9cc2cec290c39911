//! What moves candidates between fusion and the join: mentions in the best passages, then boosts by metadata.

use std::collections::HashMap;
use std::time::Instant;

use wellspring_store::{ChunkKey, CollectionScope, Store};

use crate::boost::{BoostExplain, boost};
use crate::error::Result;
use crate::explain::{Explain, Timings};
use crate::fuse::Fused;
use crate::hop::{Followed, Hop};
use crate::passage::Passage;
use crate::query::Query;
use crate::recall::Legs;

/// What was done to the candidates.
#[derive(Debug, Default)]
pub(crate) struct Adjusted {
    /// `None` where links are not followed.
    links: Option<Followed>,
    boosts: HashMap<ChunkKey, Vec<BoostExplain>>,
}

/// Raises, adds and lowers candidates in place; the list stays sorted. `now` in microseconds since 1970.
pub(crate) async fn adjust(
    store: &Store,
    scope: &CollectionScope,
    query: &Query,
    legs: &Legs<'_>,
    fused: &mut Vec<Fused>,
    now: i64,
    timings: &mut Timings,
) -> Result<Adjusted> {
    let mut adjusted = Adjusted::default();
    if let Some(settings) = query.links.as_ref().filter(|links| !links.except.contains(scope.name())) {
        let stage = Instant::now();
        adjusted.links = Some(Hop { store, scope, query, settings }.follow(legs, fused).await?);
        timings.add("links", stage);
    }
    if !query.boosts.is_empty() {
        let stage = Instant::now();
        adjusted.boosts = boost(store.catalog.as_ref(), scope, query, fused, now).await?;
        timings.add("boosts", stage);
    }
    Ok(adjusted)
}

impl Adjusted {
    /// Says in the report what was done, and to each passage what moved it.
    pub(crate) fn tell(mut self, report: &mut Explain, passages: &mut [Passage]) {
        for passage in passages {
            if let Some(explain) = &mut passage.explain {
                let links = self.links.as_mut().and_then(|links| links.raised.remove(&passage.place.key));
                explain.links = links.unwrap_or_default();
                explain.boosts = self.boosts.remove(&passage.place.key).unwrap_or_default();
            }
        }
        report.links = self.links.map(|followed| followed.summary);
    }
}

//! One search with all that widens it: the query's own legs, further queries, and chunks that feedback proposes.

use std::borrow::Cow;
use std::time::Instant;

use wellspring_models::registry::Registry;
use wellspring_store::ChunkKey;

use super::{EXPAND, Expanded, Expansion, Extras, by_acronyms, candidates, expand, failed, promote};
use crate::explain::{Degraded, Timings};
use crate::fuse::{Fused, fuse};
use crate::passage::Passage;
use crate::query::Query;
use crate::recall::{Legs, Recalled};

/// What a search asks besides its query, from the first round to the last.
pub(crate) struct Wider<'a> {
    query: &'a Query,
    /// Makes the legs of a further query.
    legs: Box<dyn Fn(Cow<'a, Query>) -> Legs<'a> + Send + Sync + 'a>,
    extras: Extras<'a>,
    /// Chunks that feedback proposes, best first.
    proposed: Vec<ChunkKey>,
    told: Vec<Expanded>,
    degraded: Vec<Degraded>,
}

impl<'a> Wider<'a> {
    /// Asks the chat model where that is wanted. With it come the legs of the query itself, whose deadline begins then.
    pub(crate) async fn start(
        query: &'a Query,
        registry: &Registry,
        legs: impl Fn(Cow<'a, Query>) -> Legs<'a> + Send + Sync + 'a,
        timings: &mut Timings,
    ) -> (Self, Legs<'a>) {
        let Expansion { added, passages, degraded } = expand(query, registry, timings).await;
        let own = legs(Cow::Borrowed(query)).with_passages(passages);
        let mut wider = Self {
            query,
            legs: Box::new(legs),
            extras: Extras::default(),
            proposed: Vec::new(),
            told: Vec::new(),
            degraded: degraded.into_iter().collect(),
        };
        added.into_iter().for_each(|one| wider.add(one));
        (wider, own)
    }

    fn add(&mut self, one: Expanded) {
        if one.weight > 0.0 {
            let query = Query { text: one.text.clone(), ..self.query.clone() };
            self.extras.push((self.legs)(Cow::Owned(query)), one.weight);
        }
        self.told.push(one);
    }

    /// The ranking of one round: the legs fused, proposed chunks scored among them, and further queries joined in.
    pub(crate) async fn rank(
        &mut self,
        legs: &Legs<'a>,
        recalled: &mut Recalled,
        depth: usize,
        timings: &mut Timings,
    ) -> Vec<Fused> {
        if !self.proposed.is_empty()
            && let Err(error) = legs.score(recalled, &self.proposed).await
        {
            self.degraded.push(failed(format!("hits by feedback are left out: {error}")));
            self.proposed.clear();
        }
        let stage = Instant::now();
        let fused = fuse(recalled.dense.as_ref(), recalled.keyword.as_ref(), self.query.fusion);
        timings.add("fuse", stage);
        self.extras.blend(fused, depth, self.query.fusion, timings).await
    }

    /// The ranking with proposed chunks among the first `want`, where a later stage reads them.
    pub(crate) fn promote(&self, fused: Vec<Fused>, want: usize) -> Vec<Fused> {
        promote(fused, &self.proposed, want, self.query.expand.feedback)
    }

    /// Takes from the first round's hits what they define and what they have in common; whether the ranking must be made
    /// again.
    pub(crate) async fn learn(
        &mut self,
        legs: &Legs<'a>,
        hits: &[Passage],
        depth: usize,
        timings: &mut Timings,
    ) -> bool {
        let stage = Instant::now();
        let mut learnt = false;
        if self.query.expand.acronyms {
            for one in by_acronyms(&self.query.text, hits) {
                learnt = true;
                self.add(one);
            }
        }
        if self.query.widens_pool() {
            match candidates(legs, &self.query.text, hits, depth).await {
                Ok((proposed, words)) if !proposed.is_empty() => {
                    learnt = true;
                    self.proposed = proposed;
                    self.told.push(Expanded { by: "feedback", text: words, weight: 0.0, prompt: None });
                }
                Ok(_) => {}
                Err(error) => self.degraded.push(failed(format!("nothing is found by feedback: {error}"))),
            }
        }
        timings.add(EXPAND, stage);
        learnt
    }

    /// What was asked besides the query.
    pub(crate) fn told(&self) -> &[Expanded] {
        &self.told
    }

    /// What did not work.
    pub(crate) fn degraded(self) -> Vec<Degraded> {
        self.degraded.into_iter().chain(self.extras.degraded()).collect()
    }
}

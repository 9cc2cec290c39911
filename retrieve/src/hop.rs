//! Follows what the best passages mention: a document that one of them names or links to joins the candidates.
//!
//! A question over two documents often finds only the first; the second is named in it. Scores are made comparable over
//! the fused list, `n(s) = (s − lowest) / (highest − lowest)`, and a chunk's score becomes
//!
//! ```text
//! n' = n + title_bonus · [the query names its document] + discount · max over sources that mention it of min(1, n(source))
//! ```
//!
//! with n = 0 for a chunk that no leg listed. The result is put back on the fused list's own scale, so that a chunk which
//! nothing mentions keeps its score to the last digit. Only the best chunk of a mentioned document is raised, or the one
//! that the name stands for. Measured on HotpotQA against single-hop sets; see
//! `docs/measurements.md`.

use std::collections::{BTreeMap, HashMap, HashSet};

use roaring::RoaringTreemap;
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::names::{Bearer, Mention, NameHash, NameKind, mentions};
use wellspring_store::{ChunkKey, CollectionScope, DocumentKey, Store, StoredChunk};

use crate::blocking::blocking;
use crate::error::Result;
use crate::fuse::Fused;
use crate::query::Query;
use crate::recall::Legs;
use crate::scale::{Scale, sort};

mod settings;
mod told;

pub use settings::LinksConfig;
pub use told::{LinkExplain, LinksExplain};

/// A plain word is a name where at most one chunk in this many holds it …
const RARE_IN: u64 = 100;
/// … and in a small collection, where at most this many do.
const RARE_LEAST: u64 = 5;
/// Chunks of a document, from its first on, among which its best is looked for if no leg listed any.
const LOOKED_AT: i64 = 256;
/// Chunks read beyond the sources that are wanted, since some may not be visible.
const SPARE: usize = 8;

/// What the stage did, and why each raised chunk was.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) summary: LinksExplain,
    pub(crate) raised: HashMap<ChunkKey, Vec<LinkExplain>>,
}

/// The stage for one search.
pub(crate) struct Hop<'a> {
    pub(crate) store: &'a Store,
    pub(crate) scope: &'a CollectionScope,
    pub(crate) query: &'a Query,
    pub(crate) settings: &'a LinksConfig,
}

/// A document to raise.
struct Pull {
    bearer: Bearer,
    explain: LinkExplain,
}

impl Hop<'_> {
    /// Raises and adds candidates in place; the list stays sorted (score descending, then key ascending), its keys
    /// distinct. A name leads only to what the scope sees, and a source is a passage that scope and filter let through.
    pub(crate) async fn follow(&self, legs: &Legs<'_>, fused: &mut Vec<Fused>) -> Result<Followed> {
        let mut followed = Followed::default();
        let Some(scale) = Scale::of(fused) else { return Ok(followed) };
        let mut rare = Rarity { hop: self, known: HashMap::new() };
        if self.settings.title_bonus > 0.0 {
            let pulls = self.named(&mut rare, &mut followed.summary).await?;
            followed.summary.named = self.raise(legs, fused, scale, pulls, &mut followed).await;
        }
        if self.settings.discount > 0.0 {
            let pulls = self.linked(&mut rare, fused, scale, &mut followed.summary).await?;
            followed.summary.linked = self.raise(legs, fused, scale, pulls, &mut followed).await;
        }
        Ok(followed)
    }

    /// What the query names.
    async fn named(&self, rare: &mut Rarity<'_>, summary: &mut LinksExplain) -> Result<Vec<Pull>> {
        let text = self.query.text.clone();
        let mentions = blocking("reading the query for mentions", move || mentions::in_query(&text)).await?;
        summary.mentions += mentions.len();
        let bearers = self.bearers(mentions.iter()).await?;
        let mut pulls = BTreeMap::new();
        for mention in &mentions {
            let Some(bearing) = bearers.get(&mention.hash) else { continue };
            if mention.is_plain && !rare.holds(&mention.text).await {
                continue;
            }
            for bearer in bearing {
                // Headings and terms are found by their words; this is for what names a document.
                if bearer.kind.is_of_document() || bearer.kind == NameKind::Symbol {
                    pulls.entry(bearer.document).or_insert_with(|| Pull {
                        bearer: bearer.clone(),
                        explain: explain(
                            mention,
                            bearer.kind,
                            bearing.len(),
                            self.settings.title_bonus as f32,
                        ),
                    });
                }
            }
        }
        Ok(pulls.into_values().collect())
    }

    /// What the best passages lead to.
    async fn linked(
        &self,
        rare: &mut Rarity<'_>,
        fused: &[Fused],
        scale: Scale,
        summary: &mut LinksExplain,
    ) -> Result<Vec<Pull>> {
        let sources = self.sources(fused).await?;
        summary.sources = sources.len();
        let chunks: Vec<StoredChunk> = sources.iter().map(|(chunk, _)| chunk.clone()).collect();
        let read = move || {
            chunks.iter().map(|chunk| mentions::in_text(&chunk.text, &chunk.source, &chunk.links)).collect()
        };
        let mentions: Vec<Vec<Mention>> = blocking("reading the passages for mentions", read).await?;
        summary.mentions += mentions.iter().map(Vec::len).sum::<usize>();
        let bearers = self.bearers(mentions.iter().flatten()).await?;
        let mut pulls: BTreeMap<DocumentKey, Pull> = BTreeMap::new();
        for ((chunk, score), mentions) in sources.iter().zip(&mentions) {
            let mut found: BTreeMap<DocumentKey, (&Mention, &Bearer, usize)> = BTreeMap::new();
            for mention in mentions {
                let Some(bearing) = bearers.get(&mention.hash) else { continue };
                // A document's own heading, title or term means that document, whoever else bears it; a file name may be
                // another one's in another folder.
                let own = |bearer: &Bearer| bearer.document == chunk.document_key;
                let meant = bearing.iter().any(|bearer| own(bearer) && bearer.kind != NameKind::Address);
                let elsewhere = bearing.iter().any(|bearer| !own(bearer));
                if meant || !elsewhere || (mention.is_plain && !rare.holds(&mention.text).await) {
                    continue;
                }
                for bearer in bearing.iter().filter(|bearer| !own(bearer)) {
                    found.entry(bearer.document).or_insert((mention, bearer, bearing.len()));
                }
            }
            if found.len() > self.settings.max_links {
                summary.hubs += 1;
                continue;
            }
            let outgoing = found.len();
            let added = self.settings.discount as f32 * scale.normal(*score);
            for (document, (mention, bearer, shared)) in found {
                // Sources come best first, so that the first to mention a document gives it most.
                pulls.entry(document).or_insert_with(|| Pull {
                    bearer: bearer.clone(),
                    explain: LinkExplain {
                        from: Some(chunk.id.clone()),
                        outgoing: Some(outgoing),
                        ..explain(mention, bearer.kind, shared, added)
                    },
                });
            }
        }
        Ok(pulls.into_values().collect())
    }

    /// The best visible passages with their scores.
    async fn sources(&self, fused: &[Fused]) -> Result<Vec<(StoredChunk, f32)>> {
        let top = &fused[..fused.len().min(2 * self.settings.sources + SPARE)];
        let keys: Vec<ChunkKey> = top.iter().map(|hit| hit.key).collect();
        let chunks = self.store.catalog.visible_chunks(self.scope, &keys, self.query.filter.as_ref()).await?;
        let mut chunks: HashMap<ChunkKey, StoredChunk> =
            chunks.into_iter().map(|chunk| (chunk.key, chunk)).collect();
        let visible = top.iter().filter_map(|hit| Some((chunks.remove(&hit.key)?, hit.score)));
        Ok(visible.take(self.settings.sources).collect())
    }

    async fn bearers(
        &self,
        mentions: impl Iterator<Item = &Mention>,
    ) -> Result<HashMap<NameHash, Vec<Bearer>>> {
        let hashes: HashSet<NameHash> = mentions.map(|mention| mention.hash).collect();
        let hashes: Vec<NameHash> = hashes.into_iter().collect();
        let found = self.store.catalog.bearers(self.scope, &hashes, self.settings.max_shared).await?;
        let mut bearers: HashMap<NameHash, Vec<Bearer>> = HashMap::new();
        for bearer in found {
            bearers.entry(bearer.name).or_default().push(bearer);
        }
        Ok(bearers)
    }

    /// Adds each pull to its chunk; returns how many chunks that were.
    async fn raise(
        &self,
        legs: &Legs<'_>,
        fused: &mut Vec<Fused>,
        scale: Scale,
        pulls: Vec<Pull>,
        followed: &mut Followed,
    ) -> usize {
        if pulls.is_empty() {
            return 0;
        }
        let chunks = best_chunks(legs, fused, &pulls).await;
        let places: HashMap<ChunkKey, usize> =
            fused.iter().enumerate().map(|(place, hit)| (hit.key, place)).collect();
        let mut raised = 0;
        for (Pull { mut explain, .. }, key) in pulls.into_iter().zip(chunks) {
            let Some(key) = key else { continue };
            explain.added *= scale.unit;
            match places.get(&key) {
                Some(&place) => fused[place].score += explain.added,
                None => {
                    let score = scale.lowest + explain.added;
                    fused.push(Fused { key, score, dense: None, keyword: None });
                    explain.joined = true;
                    followed.summary.joined += 1;
                }
            }
            followed.raised.entry(key).or_default().push(explain);
            raised += 1;
        }
        sort(fused);
        raised
    }
}

/// For each pull the chunk that its name stands for, else its document's best in the list, else the best that a leg finds
/// among its first 256, else its first; `None` for a document without chunks.
async fn best_chunks(legs: &Legs<'_>, fused: &[Fused], pulls: &[Pull]) -> Vec<Option<ChunkKey>> {
    let mut chunks: Vec<Option<ChunkKey>> = pulls.iter().map(|pull| pull.bearer.chunk).collect();
    // Chunks of different documents have keys in disjoint ranges.
    let mut open: Vec<usize> = (0..pulls.len()).filter(|&at| chunks[at].is_none()).collect();
    open.sort_by_key(|&at| pulls[at].bearer.chunks.start);
    let owner = |key: ChunkKey| {
        let after = open.partition_point(|&at| pulls[at].bearer.chunks.start <= key.0);
        let at = *open.get(after.checked_sub(1)?)?;
        pulls[at].bearer.chunks.contains(&key.0).then_some(at)
    };
    for hit in fused {
        if let Some(at) = owner(hit.key) {
            chunks[at].get_or_insert(hit.key);
        }
    }
    let unlisted = || open.iter().filter(|&&at| chunks[at].is_none()).map(|&at| &pulls[at].bearer.chunks);
    let mut keys = RoaringTreemap::new();
    for range in unlisted() {
        let end = range.end.min(range.start.saturating_add(LOOKED_AT));
        if let (Ok(start), Ok(end)) = (u64::try_from(range.start), u64::try_from(end)) {
            keys.insert_range(start..end);
        }
    }
    if keys.len() > unlisted().count() as u64 {
        for key in legs.order(&keys).await {
            if let Some(at) = owner(key) {
                chunks[at].get_or_insert(key);
            }
        }
    }
    for at in open {
        let range = &pulls[at].bearer.chunks;
        if chunks[at].is_none() && !range.is_empty() {
            chunks[at] = Some(ChunkKey(range.start));
        }
    }
    chunks
}

fn explain(mention: &Mention, kind: NameKind, shared: usize, added: f32) -> LinkExplain {
    LinkExplain { from: None, name: mention.text.clone(), kind, shared, outgoing: None, added, joined: false }
}

/// Tells words that can be names from those that everybody uses, by how many chunks hold them.
struct Rarity<'a> {
    hop: &'a Hop<'a>,
    known: HashMap<String, bool>,
}

impl Rarity<'_> {
    /// Whether some chunks hold the word but not many. A stop word is in none, and where the index can't say nothing is
    /// rare: names of one word are then not followed.
    async fn holds(&mut self, word: &str) -> bool {
        if let Some(&known) = self.known.get(word) {
            return known;
        }
        let rare = self.count(word).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the keyword index can't say how frequent a word is");
            false
        });
        self.known.insert(word.to_owned(), rare);
        rare
    }

    async fn count(&self, word: &str) -> Result<bool> {
        let index = self.hop.store.indexes.keyword(self.hop.scope).await?;
        let most = (index.len().await? / RARE_IN).max(RARE_LEAST) as usize;
        let hits = index.search(KeywordQuery { fuzzy: false, ..KeywordQuery::new(word, most + 1) }).await?;
        Ok((1..=most).contains(&hits.len()))
    }
}

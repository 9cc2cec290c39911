//! Words of a query that no text holds: what they begin and what they are a misspelling of.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringTreemap;
use tantivy::query::FuzzyTermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, TERMINATED, Term};

use super::search::Word;
use super::{Inner, failed};
use crate::document::ChunkKey;
use crate::error::Result;
use crate::keyword::Correction;
use crate::keyword::analyzer::{Analysis, QueryTerm, correct, forms, query_terms};

/// Most words that take the place of one: each brings its own posting list.
const MAX_REPLACEMENTS: usize = 8;

/// Most words that are weighed for a correction.
const MAX_PROPOSED: usize = 32;

/// Chunks that are named for one word.
const MAX_HOLDERS: usize = 8;

/// Most words of the dictionary that are looked at per segment; a short beginning fits very many.
const MAX_LOOKED_AT: usize = 20_000;

/// From this many letters on, two may be wrong.
const LONG_WORD: usize = 8;

/// A correction is proposed if no other as near is in a third as many texts.
const CLEARLY: u64 = 3;

/// How a word of the index resembles an unknown one; nearer first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    OneLetter,
    Begins,
    TwoLetters,
}

impl Likeness {
    /// What a match counts, as a factor of its BM25: never as much as the word itself.
    fn weight(self) -> f32 {
        match self {
            Self::OneLetter => 0.7,
            Self::Begins => 0.6,
            Self::TwoLetters => 0.5,
        }
    }
}

/// A word of the index that may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    likeness: Likeness,
    word: String,
    /// Texts that hold it.
    texts: u64,
}

impl Inner {
    /// The words of the query, those that no text holds by what may be meant.
    pub(super) fn with_replacements(
        &self,
        searcher: &Searcher,
        terms: &[QueryTerm],
        present: &[Analysis],
    ) -> Result<Vec<Word>> {
        terms
            .iter()
            .map(|term| {
                let mut word = Word::from(term);
                if let Some(surface) = self.unknown(searcher, term)? {
                    let mut weights: BTreeMap<String, f32> = BTreeMap::new();
                    for candidate in self.candidates(searcher, surface)?.iter().take(MAX_REPLACEMENTS) {
                        for form in forms(&candidate.word, present) {
                            // The nearest come first.
                            weights.entry(form).or_insert(candidate.likeness.weight());
                        }
                    }
                    if !weights.is_empty() {
                        word.forms = weights.into_iter().collect();
                    }
                }
                Ok(word)
            })
            .collect()
    }

    /// See [`crate::keyword::KeywordIndex::did_you_mean`].
    pub(super) fn did_you_mean(
        &self,
        text: &str,
        among: Option<&RoaringTreemap>,
    ) -> Result<Option<Correction>> {
        let searcher = self.reader.searcher();
        let present = self.analyses(&searcher)?;
        let mut better: HashMap<String, String> = HashMap::new();
        let mut held_by = Vec::new();
        for term in query_terms(text, &present) {
            let Some(surface) = self.unknown(&searcher, &term)? else { continue };
            // What somebody may not see must neither be proposed nor decide what is.
            let mut seen = Vec::new();
            for candidate in self.candidates(&searcher, surface)?.into_iter().take(MAX_PROPOSED) {
                let holders = self.holders(&searcher, &candidate.word, among)?;
                if !holders.is_empty() {
                    seen.push((candidate, holders));
                }
            }
            if let Some((candidate, holders)) = clearly_meant(seen, &present) {
                better.insert(surface.to_owned(), candidate.word);
                held_by.push(holders);
            }
        }
        let text = correct(text, |word| better.get(word).cloned());
        Ok(text.map(|text| Correction { text, held_by }))
    }

    /// The word as typed, if it is one to guess at and no text holds it in any form.
    fn unknown<'t>(&self, searcher: &Searcher, term: &'t QueryTerm) -> Result<Option<&'t str>> {
        let Some(surface) = term.surface.as_deref() else { return Ok(None) };
        for form in &term.variants {
            let term = Term::from_field_text(self.fields.text, form);
            if searcher.doc_freq(&term).map_err(|e| failed("count a keyword index", e))? > 0 {
                return Ok(None);
            }
        }
        Ok(Some(surface))
    }

    /// Words of the index that begin with the word or differ from it by a letter or two, the first letter kept: nearest
    /// first, then the most frequent, then by alphabet.
    fn candidates(&self, searcher: &Searcher, word: &str) -> Result<Vec<Candidate>> {
        let mut found: HashMap<String, (Likeness, u64)> = HashMap::new();
        let distance = if word.chars().count() >= LONG_WORD { 2 } else { 1 };
        for likeness in [Likeness::OneLetter, Likeness::Begins, Likeness::TwoLetters] {
            let within = match likeness {
                Likeness::TwoLetters if distance < 2 => continue,
                Likeness::TwoLetters => Some(2),
                Likeness::OneLetter => Some(1),
                Likeness::Begins => None,
            };
            self.look_up(searcher, word, within, &mut |term, texts| {
                let known = found.entry(term.to_owned()).or_insert((likeness, 0));
                if known.0 == likeness {
                    known.1 += texts;
                }
            })
            .map_err(|e| failed("look for similar words in a keyword index", e))?;
        }
        let mut candidates: Vec<Candidate> =
            found.into_iter().map(|(word, (likeness, texts))| Candidate { likeness, word, texts }).collect();
        candidates.sort_by(|a, b| {
            (a.likeness, b.texts, a.word.as_str()).cmp(&(b.likeness, a.texts, b.word.as_str()))
        });
        Ok(candidates)
    }

    /// Calls `found` with every plain word of the dictionary, per segment, that is within an edit distance
    /// (transpositions count once) or, without one, that begins with `word`.
    fn look_up(
        &self,
        searcher: &Searcher,
        word: &str,
        distance: Option<u8>,
        found: &mut dyn FnMut(&str, u64),
    ) -> tantivy::Result<()> {
        let first = word.chars().next().map_or(0, char::len_utf8);
        let beginning = match distance {
            Some(_) => &word[..first],
            None => word,
        };
        let mut take = |term: &[u8], texts: u32| {
            let Ok(term) = std::str::from_utf8(term) else { return };
            if term.chars().all(|c| !c.is_ascii_punctuation() && !c.is_numeric()) {
                found(term, u64::from(texts));
            }
        };
        for segment in searcher.segment_readers() {
            let index = segment.inverted_index(self.fields.verbatim)?;
            let terms = index.terms();
            // Terms are UTF-8, which has no byte as high.
            let end = [beginning.as_bytes(), &[0xFF]].concat();
            match distance {
                Some(distance) => {
                    let like = FuzzyTermQuery::new(
                        Term::from_field_text(self.fields.verbatim, word),
                        distance,
                        true,
                    );
                    let range = terms.search(like.automaton()?).ge(beginning).lt(end);
                    let mut stream = range.into_stream()?;
                    for _ in 0..MAX_LOOKED_AT {
                        if !stream.advance() {
                            break;
                        }
                        take(stream.key(), stream.value().doc_freq);
                    }
                }
                None => {
                    let mut stream = terms.range().ge(beginning).lt(end).into_stream()?;
                    for _ in 0..MAX_LOOKED_AT {
                        if !stream.advance() {
                            break;
                        }
                        take(stream.key(), stream.value().doc_freq);
                    }
                }
            }
        }
        Ok(())
    }

    /// The first chunks that are there, are allowed and hold the word.
    fn holders(
        &self,
        searcher: &Searcher,
        word: &str,
        among: Option<&RoaringTreemap>,
    ) -> Result<Vec<ChunkKey>> {
        let term = Term::from_field_text(self.fields.verbatim, word);
        let look = || -> tantivy::Result<Vec<ChunkKey>> {
            let mut holders = Vec::new();
            for segment in searcher.segment_readers() {
                let keys = segment.fast_fields().u64("key")?;
                let index = segment.inverted_index(self.fields.verbatim)?;
                let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else {
                    continue;
                };
                let mut doc = postings.doc();
                while doc != TERMINATED && holders.len() < MAX_HOLDERS {
                    let there = segment.alive_bitset().is_none_or(|alive| alive.is_alive(doc));
                    let key = keys.first(doc).filter(|_| there);
                    let allowed = key.filter(|&key| among.is_none_or(|among| among.contains(key)));
                    holders.extend(allowed.map(|key| ChunkKey(key as i64)));
                    doc = postings.advance();
                }
            }
            holders.sort_unstable();
            Ok(holders)
        };
        look().map_err(|e| failed("look up a word in a keyword index", e))
    }
}

/// The one correction that stands out: nothing begins with the word, and no other word as near, but for forms of the same,
/// is in a third as many texts.
fn clearly_meant<T>(candidates: Vec<(Candidate, T)>, present: &[Analysis]) -> Option<(Candidate, T)> {
    let (best, _) = candidates.first()?;
    let begins = |(other, _): &(Candidate, T)| other.likeness == Likeness::Begins;
    if best.likeness != Likeness::OneLetter && candidates.iter().any(begins) {
        return None;
    }
    let of_best = forms(&best.word, present);
    let rivals = |(other, _): &(Candidate, T)| {
        other.likeness == best.likeness
            && other.texts.saturating_mul(CLEARLY) > best.texts
            && forms(&other.word, present) != of_best
    };
    if candidates.iter().skip(1).any(rivals) {
        return None;
    }
    candidates.into_iter().next()
}

//! A first test set out of a team's own documents, by rules and without a model.
//!
//! Each query is made from one place of one document, which is then its relevant document; a query about a name that
//! several documents use has all of them. The wording is changed as far as rules can (`reword`). Such sets compare
//! configurations; their absolute figures say little. Every query is marked as synthetic in its type.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::stats::Seeded;

pub mod model;
mod names;
mod related;
mod reword;
mod sentence;

use reword::Vocabulary;

/// A document to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: String,
    /// Its title, or empty.
    pub title: String,
    /// Its text; headings are lines that begin with `#`.
    pub text: String,
}

/// How a query was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A question in the text that is followed by its answer, partly in other words.
    Faq,
    /// A heading with the title above it, partly in other words.
    Heading,
    /// The title, partly in other words.
    Title,
    /// A piece of a salient sentence, partly in other words.
    Sentence,
    /// What the document speaks of throughout, partly in other words.
    Topic,
    /// An abbreviation that is spelt out somewhere: asked for by its long form, or the other way round.
    Acronym,
    /// A code, part number or name that few documents have, with a word from beside it.
    Identifier,
}

impl Rule {
    const ALL: &[Self] = &[
        Self::Faq,
        Self::Heading,
        Self::Title,
        Self::Sentence,
        Self::Topic,
        Self::Acronym,
        Self::Identifier,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Faq => "faq",
            Self::Heading => "heading",
            Self::Title => "title",
            Self::Sentence => "sentence",
            Self::Topic => "topic",
            Self::Acronym => "acronym",
            Self::Identifier => "identifier",
        }
    }
}

/// A made query, as a row of the hand-written format that [`crate::Dataset::open`] reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// Its text.
    pub question: String,
    /// A relevant document; one row for each.
    pub document: String,
    /// `synthetic-` and the rule.
    #[serde(rename = "type")]
    pub rule: String,
    /// The words of the document that answer it, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
}

impl Rule {
    /// Every how many rounds it has a turn. Names are what a minority of people ask for, and every set of documents is full of
    /// them; a piece of a sentence is no question as people ask it: with other words in it, it tells vectors little, and what
    /// is left of it finds its document by words.
    fn every(self) -> usize {
        match self {
            Self::Sentence | Self::Acronym | Self::Identifier => 5,
            _ => 1,
        }
    }
}

/// Fewest words of a query: shorter ones fit too many documents.
const FEWEST_WORDS: usize = 2;

/// At most `wanted` queries, rules and documents in turn, in an order that the seed decides. The same question is asked
/// once. No documents, or none that a rule can ask about, give no query.
pub fn synthesise(documents: &[Source], wanted: usize, seed: u64) -> Vec<Made> {
    let corpus = Corpus::of(documents);
    let mut seeded = Seeded::new(seed);
    let mut order: Vec<usize> = (0..documents.len()).collect();
    seeded.shuffle(&mut order);
    // For each rule its own way through the documents, so that none is asked about with every rule before others with any.
    let mut queues: Vec<(Rule, std::vec::IntoIter<usize>)> = Rule::ALL
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            let mut own = order.clone();
            own.rotate_left(at * documents.len() / Rule::ALL.len().max(1));
            (*rule, own.into_iter())
        })
        .collect();
    let (mut rows, mut asked, mut made) = (Vec::new(), BTreeSet::new(), 0);
    for round in 0.. {
        if made == wanted || queues.is_empty() {
            break;
        }
        queues.retain_mut(|(rule, queue)| {
            if made == wanted || !usize::is_multiple_of(round, rule.every()) {
                return true;
            }
            for at in queue.by_ref() {
                let Some((question, relevant)) = corpus.ask(*rule, &documents[at], &mut seeded) else {
                    continue;
                };
                let question = question.split_whitespace().collect::<Vec<_>>().join(" ");
                if question.split(' ').count() < FEWEST_WORDS || !asked.insert(question.to_lowercase()) {
                    continue;
                }
                made += 1;
                for document in relevant {
                    rows.push(Made {
                        id: format!("synthetic-{made:04}"),
                        question: question.clone(),
                        document,
                        rule: format!("synthetic-{}", rule.word()),
                        span: None,
                    });
                }
                return true;
            }
            false
        });
    }
    rows
}

/// What the rules know of all documents together.
pub(super) struct Corpus {
    documents: usize,
    /// Documents that have a word.
    frequency: HashMap<String, usize>,
    /// Documents that have an identifier.
    identifiers: BTreeMap<String, BTreeSet<String>>,
    /// Documents that have an abbreviation as a word.
    abbreviations: BTreeMap<String, BTreeSet<String>>,
    /// Words that are used alike.
    thesaurus: related::Thesaurus,
}

impl Corpus {
    fn of(documents: &[Source]) -> Self {
        let mut corpus = Self {
            documents: documents.len(),
            frequency: HashMap::new(),
            identifiers: BTreeMap::new(),
            abbreviations: BTreeMap::new(),
            thesaurus: related::Thesaurus::of(documents.iter().map(|document| document.text.as_str())),
        };
        for document in documents {
            let words: BTreeSet<String> = wellspring_models::text::words(&document.text).collect();
            for word in words {
                *corpus.frequency.entry(word).or_default() += 1;
            }
            for identifier in names::identifiers(&document.text) {
                corpus.identifiers.entry(identifier.to_owned()).or_default().insert(document.id.clone());
            }
            for short in names::capitals(&document.text) {
                corpus.abbreviations.entry(short.to_owned()).or_default().insert(document.id.clone());
            }
        }
        corpus
    }

    /// Documents that have a word.
    fn having(&self, word: &str) -> usize {
        self.frequency.get(word).copied().unwrap_or(0)
    }

    /// How rare a word is: log(N / n), 0 for one in every document.
    pub(super) fn rarity(&self, word: &str) -> f64 {
        (self.documents.max(1) as f64 / self.having(word).max(1) as f64).ln()
    }

    fn ask(&self, rule: Rule, document: &Source, seeded: &mut Seeded) -> Option<(String, Vec<String>)> {
        let reworded = |wording: String, seeded: &mut Seeded| {
            let own = Vocabulary::of(&[&document.title, &document.text]);
            Some((reword::in_other_words(self, &own, &wording, seeded)?, vec![document.id.clone()]))
        };
        match rule {
            Rule::Faq => reworded(sentence::question(&document.text)?, seeded),
            Rule::Heading => reworded(sentence::heading(document, seeded)?, seeded),
            Rule::Title => reworded(document.title.clone(), seeded),
            Rule::Sentence => reworded(sentence::salient(self, &document.text, seeded)?, seeded),
            Rule::Topic => reworded(sentence::topic(self, document)?, seeded),
            Rule::Acronym => {
                let (short, long) = names::spelt_out(&document.text).into_iter().next()?;
                let having = self.abbreviations.get(short)?;
                if seeded.below(2) == 0 {
                    return Some((format!("what does {short} stand for"), vec![document.id.clone()]));
                }
                Some((long.to_lowercase(), having.iter().take(20).cloned().collect()))
            }
            Rule::Identifier => {
                let rare =
                    |identifier: &&str| self.identifiers.get(*identifier).is_some_and(|of| of.len() <= 3);
                let found: Vec<&str> = names::identifiers(&document.text).into_iter().filter(rare).collect();
                let identifier = *found.get(seeded.below(found.len().max(1)))?;
                let beside = names::beside(self, &document.text, identifier)?;
                Some((
                    format!("{beside} {identifier}"),
                    self.identifiers[identifier].iter().cloned().collect(),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests;

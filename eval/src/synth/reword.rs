//! A text of a document in words as somebody types who does not know the document's own.
//!
//! People's words are mostly not the document's (Furnas, Landauer, Gomez and Dumais, CACM 30(11), 1987), and a query's term
//! is missing from a large part of the documents that are relevant to it (Zhao and Callan, "Term Necessity Prediction",
//! CIKM 2010). A question that copies its words rewards whatever matches words, so of each question a share of the content
//! words is replaced by words that the document does not have.

use std::collections::HashSet;

use wellspring_models::text::words;

use super::Corpus;
use crate::stats::Seeded;

/// Words that carry no content, English and German.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "between",
    "both", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "here",
    "how", "however", "i", "if", "in", "into", "is", "it", "its", "may", "more", "most", "of", "on", "or",
    "other", "our", "such", "than", "that", "the", "their", "there", "these", "they", "this", "those", "to",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would",
    "you", "your", "aber", "als", "am", "an", "auch", "auf", "aus", "bei", "bis", "das", "dass", "dem",
    "den", "der", "des", "die", "durch", "ein", "eine", "einem", "einen", "einer", "er", "es", "für", "hat",
    "ich", "im", "ist", "mit", "nach", "nicht", "oder", "sich", "sie", "sind", "über", "um", "und", "von",
    "vor", "war", "wie", "wird", "zu", "zum", "zur",
];

pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// In order, lower case.
pub(super) fn content_words(text: &str) -> Vec<String> {
    words(text).filter(|word| !is_stop_word(word)).collect()
}

/// The words of a document, by what a stemmer leaves of them as far as their beginning tells.
pub(super) struct Vocabulary(HashSet<String>);

impl Vocabulary {
    pub(super) fn of(texts: &[&str]) -> Self {
        Self(texts.iter().flat_map(|text| words(text)).map(|word| beginning(&word)).collect())
    }

    fn has(&self, word: &str) -> bool {
        self.0.contains(&beginning(word))
    }
}

/// Words with the same first letters are mostly forms of one word.
fn beginning(word: &str) -> String {
    word.chars().take(5).collect()
}

/// A wording in lower case of which a quarter, half or three quarters of the content words, drawn, are replaced: each by
/// the most related word of the collection that the document does not have, or left out where there is none. Two content
/// words stay as they are; `None` if there are fewer.
pub(super) fn in_other_words(
    corpus: &Corpus,
    own: &Vocabulary,
    wording: &str,
    seeded: &mut Seeded,
) -> Option<String> {
    let mut all: Vec<Option<String>> = words(wording).map(Some).collect();
    let is_content = |word: &Option<String>| word.as_deref().is_some_and(|word| !is_stop_word(word));
    let mut content: Vec<usize> = (0..all.len()).filter(|at| is_content(&all[*at])).collect();
    let before = content.len();
    seeded.shuffle(&mut content);
    let quarters = 1 + seeded.below(3);
    for at in content.into_iter().take((before * quarters).div_ceil(4).min(before.saturating_sub(2))) {
        let word = all[at].take().unwrap_or_default();
        let related = corpus.thesaurus.related(&word);
        all[at] = related.into_iter().find(|other| !own.has(other)).map(str::to_owned);
    }
    (before >= 2).then(|| all.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn replaced_words_are_ones_that_the_document_lacks() {
        let source = |id: usize, text: String| Source { id: id.to_string(), title: String::new(), text };
        let documents: Vec<Source> = ["hotel", "hostel"]
            .iter()
            .flat_map(|word| (0..4).map(move |at| (at, format!("the {word} night room breakfast price"))))
            .map(|(at, text)| source(at, text))
            .collect();
        let corpus = Corpus::of(&documents);
        let own = Vocabulary::of(&[&documents[0].text]);
        assert!(own.has("hotels") && !own.has("hostel"));
        let changed: HashSet<String> = (0..20)
            .filter_map(|seed| in_other_words(&corpus, &own, "the hotel night room", &mut Seeded::new(seed)))
            .collect();
        assert!(changed.iter().all(|wording| wording != "the hotel night room"), "{changed:?}");
        assert!(changed.iter().any(|wording| wording.contains("hostel")), "{changed:?}");
        assert!(in_other_words(&corpus, &own, "the hotel", &mut Seeded::new(1)).is_none());
    }
}

//! Places of a text that can be asked about: questions, headings, salient sentences, what it speaks of throughout.

use std::collections::BTreeMap;

use wellspring_models::text::{sentences, words};

use super::reword::{content_words, is_stop_word};
use super::{Corpus, Source};
use crate::stats::Seeded;

/// Words of a sentence that can be asked about.
const SENTENCE_WORDS: std::ops::RangeInclusive<usize> = 8..=45;

/// Words of a sentence that a question takes, in one piece.
const PIECE_WORDS: usize = 16;

/// Words that a document speaks of.
const TOPIC_WORDS: usize = 6;

/// Salient sentences that one is drawn from.
const SALIENT: usize = 3;

/// The first question of the text that something other than a question follows.
pub(super) fn question(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.windows(2).find_map(|pair| {
        let asked = pair[0].trim_start_matches(['#', '*', '-', '>', ' ']).trim_end_matches(['*', ' ']);
        let fits = asked.ends_with('?') && (4..=25).contains(&asked.split_whitespace().count());
        (fits && !pair[1].ends_with('?')).then(|| asked.to_owned())
    })
}

/// One heading below the title, with the title's words where short.
pub(super) fn heading(document: &Source, seeded: &mut Seeded) -> Option<String> {
    let headings: Vec<&str> = document
        .text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .filter(|heading| !heading.is_empty() && *heading != document.title)
        .collect();
    let heading = headings.get(seeded.below(headings.len().max(1)))?;
    let of_title: Vec<String> = words(&document.title).filter(|word| !is_stop_word(word)).take(3).collect();
    Some(format!("{} {}", content_words(heading).join(" "), of_title.join(" ")))
}

/// A piece of a sentence whose words are rare on average, drawn from the best few. The first sentence is left to the title.
pub(super) fn salient(corpus: &Corpus, text: &str, seeded: &mut Seeded) -> Option<String> {
    let mut ranked: Vec<(f64, &str)> = sentences(text)
        .into_iter()
        .map(|range| text[range].trim())
        // Texts all in lower case have full stops that nothing tells apart from abbreviations but the blank before them.
        .flat_map(|sentence| sentence.split(" . "))
        .skip(1)
        .filter(|sentence| !sentence.starts_with(['#', '|', '`', '-']))
        .filter_map(|sentence| {
            let all: Vec<String> = words(sentence).collect();
            if !SENTENCE_WORDS.contains(&all.len()) {
                return None;
            }
            let content: Vec<&String> = all.iter().filter(|word| !is_stop_word(word)).collect();
            let rarity: f64 = content.iter().map(|word| corpus.rarity(word)).sum();
            (content.len() >= 5).then(|| (rarity / content.len() as f64, sentence))
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked.truncate(SALIENT);
    let (_, sentence) = ranked.get(seeded.below(ranked.len().max(1)))?;
    let all: Vec<String> = words(sentence).collect();
    let from = seeded.below(all.len().saturating_sub(PIECE_WORDS) + 1);
    Some(all[from..all.len().min(from + PIECE_WORDS)].join(" "))
}

/// What a document speaks of throughout: the words with the highest tf·idf (Spärck Jones 1972) of those it uses at least
/// twice, in the order in which they first stand there.
pub(super) fn topic(corpus: &Corpus, document: &Source) -> Option<String> {
    let mut times: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let all = content_words(&document.title).into_iter().chain(content_words(&document.text));
    for (at, word) in all.filter(|word| word.chars().all(char::is_alphabetic)).enumerate() {
        times.entry(word).or_insert((0, at)).0 += 1;
    }
    let mut ranked: Vec<(f64, usize, String)> = times
        .into_iter()
        .filter(|(_, (times, _))| *times >= 2)
        .map(|(word, (times, at))| (times as f64 * corpus.rarity(&word), at, word))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked.truncate(TOPIC_WORDS);
    ranked.sort_by_key(|(_, at, _)| *at);
    (ranked.len() >= 3).then(|| ranked.into_iter().map(|(.., word)| word).collect::<Vec<_>>().join(" "))
}

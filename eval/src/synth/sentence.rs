//! Places of a text that can be asked about: questions, headings, salient sentences.

use wellspring_models::text::{sentences, words};

use super::reword::{common_half, content_words, is_stop_word};
use super::{Corpus, Source};
use crate::stats::Seeded;

/// Words of a sentence that can be asked about.
const SENTENCE_WORDS: std::ops::RangeInclusive<usize> = 8..=45;

/// Content words kept of a cloze.
const CLOZE_WORDS: usize = 9;

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

/// One heading below the title, in the words that a search box gets: without stop words, with the title's where short.
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

/// A sentence whose words are rare on average, drawn from the best few. The first one is left to the title.
pub(super) fn salient<'a>(corpus: &Corpus, text: &'a str, seeded: &mut Seeded) -> Option<&'a str> {
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
    ranked.get(seeded.below(ranked.len().max(1))).map(|(_, sentence)| *sentence)
}

/// The commoner half of a salient sentence's content words, as somebody asks who does not know the document's own terms.
pub(super) fn cloze(corpus: &Corpus, text: &str, seeded: &mut Seeded) -> Option<String> {
    let mut kept = common_half(corpus, content_words(salient(corpus, text, seeded)?))?;
    kept.truncate(CLOZE_WORDS);
    Some(kept.join(" "))
}

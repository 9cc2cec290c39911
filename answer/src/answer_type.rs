//! What kind of thing a question asks for, and where a sentence has one: `How many …?` wants a number, `Who …?` a name.
//!
//! Wording decides, in English and German; for other questions every sentence will do and no short answer is given.

use std::collections::BTreeSet;
use std::ops::Range;

use wellspring_models::text::word_places;

use crate::ground::facts::Facts;
use crate::terms::{is_function_word, number_word, stem};

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Date,
    Name,
}

/// The kind of answer a question wants, without what the question itself has of it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    kind: Option<Kind>,
    /// Stems of the question's words: its own names and numbers answer nothing.
    asked: BTreeSet<String>,
}

const NUMBER: &[&str] = &[
    "how many",
    "how much",
    "how long",
    "how old",
    "how far",
    "how tall",
    "how high",
    "how large",
    "how big",
    "how often",
    "what percentage",
    "what percent",
    "what number",
    "what fraction",
    "what proportion",
    "how fast",
    "how heavy",
    "how deep",
    "how wide",
    "what is the price",
    "what was the price",
    "wie viele",
    "wie viel",
    "wieviel",
    "wie lange",
    "wie hoch",
    "wie oft",
    "wie alt",
    "wie weit",
];
const DATE: &[&str] = &[
    "when",
    "what year",
    "which year",
    "what date",
    "which date",
    "what day",
    "what century",
    "which century",
    "what decade",
    "what month",
    "wann",
    "in welchem jahr",
];
const NAME: &[&str] = &[
    "who",
    "whom",
    "whose",
    "where",
    "what city",
    "which city",
    "what country",
    "which country",
    "what state",
    "which state",
    "what continent",
    "which continent",
    "what river",
    "which river",
    "what person",
    "which person",
    "what company",
    "which company",
    "what team",
    "which team",
    "what university",
    "which university",
    "welche stadt",
    "welches land",
    "wer",
    "wem",
    "wen",
    "wo",
];

impl Wanted {
    pub(crate) fn by(question: &str) -> Self {
        let words: Vec<String> = word_places(question).map(|(_, word)| word.to_lowercase()).collect();
        let joined = format!(" {} ", words.join(" "));
        let asks = |phrases: &[&str]| phrases.iter().any(|phrase| joined.contains(&format!(" {phrase} ")));
        let kind = if asks(NUMBER) {
            Some(Kind::Number)
        } else if asks(DATE) {
            Some(Kind::Date)
        } else if asks(NAME) {
            Some(Kind::Name)
        } else {
            None
        };
        Self { kind, asked: words.iter().map(|word| stem(word)).collect() }
    }

    /// What is asked for; `None` for a question that any sentence may answer.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Whether a kind of answer is wanted and the text has one.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// Bytes of the first thing of the wanted kind that the question does not hold itself.
    pub(crate) fn find(&self, text: &str) -> Option<Range<usize>> {
        let words: Vec<(usize, &str)> = word_places(text).collect();
        let new = |at: usize| !self.asked.contains(&stem(&words[at].1.to_lowercase()));
        let end = |at: usize| words[at].0 + words[at].1.len();
        match self.kind? {
            Kind::Number => {
                let at = (0..words.len()).find(|&at| is_number(words[at].1) && new(at))?;
                // A currency before it, and the unit or multiplier behind it, belong to it.
                let before =
                    text[..words[at].0].chars().next_back().filter(|c| matches!(c, '$' | '€' | '£' | '¥'));
                let start = words[at].0 - before.map_or(0, char::len_utf8);
                let percent = text[end(at)..].starts_with('%').then(|| end(at) + 1);
                let unit = words.get(at + 1).filter(|(place, word)| {
                    text[end(at)..*place].trim().is_empty() && !is_function_word(&word.to_lowercase())
                });
                Some(start..percent.or(unit.map(|(place, word)| place + word.len())).unwrap_or(end(at)))
            }
            Kind::Date => {
                let is_part = |at: usize| is_year(words[at].1) || is_month(words[at].1);
                let at = (0..words.len()).find(|&at| is_part(at) && new(at))?;
                let joins = |at: usize| is_part(at) || is_number(words[at].1) || words[at].1 == "of";
                let start =
                    (0..at).rev().take_while(|&before| joins(before) && is_number(words[before].1)).last();
                let last = (at + 1..words.len()).take_while(|&after| joins(after)).last();
                Some(words[start.unwrap_or(at)].0..end(last.unwrap_or(at)))
            }
            Kind::Name => {
                let Facts { names, openings, .. } = Facts::of(text);
                let named = |at: usize| {
                    let (word, stem) = (words[at].1, stem(&words[at].1.to_lowercase()));
                    word.starts_with(char::is_uppercase)
                        && (names.contains(&stem) || openings.contains(&stem))
                };
                let at = (0..words.len()).find(|&at| named(at) && new(at))?;
                let adjacent =
                    |at: &usize| text[end(at - 1)..words[*at].0].trim_matches([' ', '.']).is_empty();
                let last = (at + 1..words.len()).take_while(|next| adjacent(next) && named(*next)).last();
                Some(words[at].0..end(last.unwrap_or(at)))
            }
        }
    }
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) || number_word(&word.to_lowercase()).is_some()
}

fn is_year(word: &str) -> bool {
    let digits = word.trim_end_matches('s');
    digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()) && digits.starts_with(['1', '2'])
}

fn is_month(word: &str) -> bool {
    !Facts::of(&format!("1 {word}")).dates.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_wanted_kind_that_is_not_asked_about() {
        for (question, text, expected) in [
            ("How many days of leave in 2024?", "In 2024 there were 30 days of leave.", Some("30 days")),
            ("What percentage is paid?", "About 41.5% is paid.", Some("41.5%")),
            ("How much is it?", "It costs $3.50 a month.", Some("$3.50")),
            (
                "When was the album released?",
                "The album was released on November 2, 2004.",
                Some("November 2, 2004"),
            ),
            ("When did it open?", "It opened on 3 May 1999 in Kiel.", Some("3 May 1999")),
            ("Who leads project Heron?", "Project Heron is led by Ada Byron.", Some("Ada Byron")),
            ("Which country won the most medals?", "Norway won 39 of them.", Some("Norway")),
            ("Who leads it?", "nobody does", None),
            ("Why is it so?", "Ada Byron said 3 in 1999.", None),
            ("Wie viele Tage Urlaub gibt es?", "Es gibt 30 Tage Urlaub.", Some("30 Tage")),
        ] {
            assert_eq!(Wanted::by(question).find(text).map(|span| &text[span]), expected, "{question}");
        }
    }
}

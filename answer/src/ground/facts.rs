//! The numbers, dates and names of a text, in a form in which two texts can be compared exactly.

mod dates;

use std::collections::BTreeSet;
use std::fmt;

use wellspring_models::text::word_places;

use crate::terms::{is_function_word, number_word, stem};

use dates::dates;

pub(crate) use dates::Date;

/// What a text states that a paraphrase may not change.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Facts {
    /// Numbers, those of dates left out; ascending.
    pub(crate) numbers: Vec<Number>,
    /// Dates with a month.
    pub(crate) dates: Vec<Date>,
    /// Stems of words that look like names, each once.
    pub(crate) names: BTreeSet<String>,
    /// Stems of single capitalised words that begin a sentence and may be its subject: names, if no text has them in lower
    /// case (`Weber pays`, but not `Everyone pays` or `Costs are`).
    pub(crate) openings: BTreeSet<String>,
}

/// A number by value, or an identifier that holds digits (`v2.3.1`), in lower case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Number {
    /// `1,000`, `ten`, `3.5 million`, `2nd`.
    Value(f64),
    /// What is not only a number.
    Code(String),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Code(code) => f.write_str(code),
        }
    }
}

struct Word<'a> {
    start: usize,
    text: &'a str,
    lower: String,
}

impl Facts {
    /// The facts of `text`; none in an empty one.
    pub(crate) fn of(text: &str) -> Self {
        let words: Vec<Word<'_>> = word_places(text)
            .map(|(start, word)| Word { start, text: word, lower: word.to_lowercase() })
            .collect();
        let (dates, taken) = dates(text, &words);
        let mut numbers = Vec::new();
        let (mut names, mut openings) = (BTreeSet::new(), BTreeSet::new());
        // Every noun is capitalised there.
        let german = is_german(&words);
        for (at, word) in words.iter().enumerate() {
            if taken.contains(&at) {
                continue;
            }
            if let Some(number) = number(&word.lower, words.get(at + 1), german) {
                if !numbers.contains(&number) {
                    numbers.push(number);
                }
            } else if !german && is_name(text, &words, at) {
                names.insert(stem(&word.lower));
            } else if !german && is_opening(&words, at) {
                openings.insert(stem(&word.lower));
            }
        }
        Self { numbers, dates, names, openings }
    }
}

/// Whether `number` is among those held: equal, or what one of them is when rounded to as many digits.
pub(crate) fn holds_number(held: &[Facts], number: &Number) -> bool {
    let years = held.iter().flat_map(|facts| facts.dates.iter().flat_map(|date| [date.year, date.day]));
    let Number::Value(wanted) = number else {
        return held.iter().any(|facts| facts.numbers.contains(number));
    };
    let values = held.iter().flat_map(|facts| &facts.numbers).filter_map(|number| match number {
        Number::Value(value) => Some(*value),
        Number::Code(_) => None,
    });
    let mut values = values.chain(years.flatten().map(f64::from));
    values.any(|value| same(value, *wanted) || is_rounded(value, *wanted))
}

/// Whether some date held says the same as far as `date` goes; the year may stand by itself.
pub(crate) fn holds_date(held: &[Facts], date: &Date) -> bool {
    let year_stands = |year: u32| holds_number(held, &Number::Value(f64::from(year)));
    held.iter().flat_map(|facts| &facts.dates).any(|other| {
        other.month == date.month
            && date.day.is_none_or(|day| other.day == Some(day))
            && date.year.is_none_or(|year| match other.year {
                Some(other) => other == year,
                None => year_stands(year),
            })
    })
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// `wanted` is `value` rounded as people write it: to the decimals that `wanted` has (41 for 41.3; never to tens, so that
/// 2010 is not 2012), or from a million on to its significant digits (3.5 million for 3,482,911). A single digit is not.
fn is_rounded(value: f64, wanted: f64) -> bool {
    if wanted == 0.0 || value == 0.0 {
        return false;
    }
    let shown = format!("{}", wanted.abs());
    let digits = shown.replace('.', "");
    let digits = digits.trim_matches('0').len();
    let places = if wanted.abs() >= 1e6 {
        digits as i32 - 1 - value.abs().log10().floor() as i32
    } else {
        shown.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32)
    };
    let scale = 10_f64.powi(places);
    shown.replace('.', "").len() >= 2 && digits >= 2 && same((value * scale).round() / scale, wanted)
}

/// The number a word stands for, if it is one, times the `million` that follows it. `1,000` and `1.000.000` are written with
/// groups of three; a comma before any other number of digits parts decimals (`3,5`). In German a single full stop before
/// three digits parts a group, too.
fn number(word: &str, next: Option<&Word<'_>>, german: bool) -> Option<Number> {
    if let Some(value) = number_word(word) {
        return Some(Number::Value(f64::from(value) * factor(next)));
    }
    if !word.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let end = word
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '\'' | '’'))
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let own = match unit {
        "k" => Some(1e3),
        "m" | "mn" => Some(1e6),
        "bn" => Some(1e9),
        _ if unit.chars().all(char::is_alphabetic) => Some(1.0),
        _ => None,
    };
    match (plain(digits, german).parse::<f64>(), own) {
        (Ok(value), Some(own)) => Some(Number::Value(value * own * factor(next))),
        _ => Some(Number::Code(word.replace([',', '\'', '’'], ""))),
    }
}

/// The digits with at most one `.`, before the decimals; left as they are where they are no number people write.
fn plain(digits: &str, german: bool) -> String {
    let parts = |mark: char| digits.split(mark).collect::<Vec<_>>();
    let grouped = |parts: &[&str]| {
        parts.len() > 1 && (1..=3).contains(&parts[0].len()) && parts[1..].iter().all(|part| part.len() == 3)
    };
    let digits = digits.replace(['\'', '’'], "");
    match (digits.contains(','), digits.contains('.')) {
        (true, true) => match (digits.rfind(','), digits.rfind('.')) {
            // The last of the two parts the decimals.
            (Some(comma), Some(stop)) if comma > stop => digits.replace('.', "").replace(',', "."),
            _ => digits.replace(',', ""),
        },
        (true, false) if grouped(&parts(',')) => digits.replace(',', ""),
        (true, false) if digits.matches(',').count() == 1 => digits.replace(',', "."),
        (false, true) if grouped(&parts('.')) && (german || digits.matches('.').count() > 1) => {
            digits.replace('.', "")
        }
        _ => digits,
    }
}

fn factor(next: Option<&Word<'_>>) -> f64 {
    match next.map(|word| word.lower.as_str()) {
        Some("hundred" | "hundert") => 1e2,
        Some("thousand" | "tausend") => 1e3,
        Some("million" | "millionen") => 1e6,
        Some("billion" | "milliarde" | "milliarden") => 1e9,
        Some("trillion") => 1e12,
        _ => 1.0,
    }
}

/// Whether the words read as German rather than English, by the commonest of each.
fn is_german(words: &[Word<'_>]) -> bool {
    const GERMAN: [&str; 16] = [
        "der", "die", "das", "und", "ist", "nicht", "ein", "eine", "den", "dem", "von", "mit", "für", "auf",
        "wird", "werden",
    ];
    const ENGLISH: [&str; 10] = ["the", "of", "and", "is", "a", "to", "was", "for", "by", "are"];
    let count = |list: &[&str]| words.iter().filter(|word| list.contains(&word.lower.as_str())).count();
    count(&GERMAN) > count(&ENGLISH)
}

/// A capitalised word that is not so only because a sentence begins with it.
fn is_name(text: &str, words: &[Word<'_>], at: usize) -> bool {
    let capital =
        |word: &Word<'_>| word.text.starts_with(char::is_uppercase) && !is_function_word(&word.lower);
    let word = &words[at];
    if !capital(word) {
        return false;
    }
    let before = text[..word.start].trim_end_matches([' ', '"', '“', '\'', '(', '*', '#', '\n']);
    let begins = before.is_empty() || before.ends_with(['.', '!', '?', ':']);
    let inside = || word.text.chars().skip(1).any(char::is_uppercase);
    let followed = || {
        words.get(at + 1).is_some_and(|next| {
            capital(next) && text[word.start + word.text.len()..next.start].chars().all(char::is_whitespace)
        })
    };
    !begins || inside() || followed()
}

/// A capitalised word at the beginning of a sentence that may be the name of somebody or something: no usual ending of
/// nouns and adverbs, and what follows is a verb in the third person.
fn is_opening(words: &[Word<'_>], at: usize) -> bool {
    const VERBS: [&str; 16] = [
        "is", "was", "has", "had", "will", "can", "could", "would", "may", "must", "should", "did", "became",
        "won", "led", "said",
    ];
    const COMMON: [&str; 11] =
        ["s", "ly", "ing", "ion", "ment", "ness", "ity", "one", "body", "thing", "ance"];
    let word = &words[at];
    let capital = word.text.starts_with(char::is_uppercase) && !is_function_word(&word.lower);
    let common = word.lower.chars().count() < 3 || COMMON.iter().any(|end| word.lower.ends_with(end));
    let verb = words.get(at + 1).is_some_and(|next| {
        let third = next.lower.len() > 3 && next.lower.ends_with('s') && !next.lower.ends_with("ss");
        let past = next.lower.len() > 4 && next.lower.ends_with("ed");
        next.text == next.lower && (VERBS.contains(&next.lower.as_str()) || third || past)
    });
    capital && !common && verb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Facts {
        Facts::of(text)
    }

    fn value(text: &str) -> Number {
        facts(text).numbers.remove(0)
    }

    #[test]
    fn numbers_are_compared_by_value() {
        for (claim, source) in [
            ("1,000", "1000"),
            ("ten", "10"),
            ("3.5 million", "3,500,000"),
            ("41 %", "41.3 %"),
            ("3.5 million", "3,482,911"),
            ("the 2nd", "2"),
            ("50 MB", "50MB"),
            ("3,5 %", "3.5 %"),
            ("1.234,5", "1,234.5"),
            ("1.000.000", "1 million"),
            ("12'500", "12,500"),
        ] {
            assert!(holds_number(&[facts(source)], &value(claim)), "{claim} {source}");
        }
        for (claim, source) in [
            ("80 MB", "50 MB"),
            ("5", "5.4"),
            ("2015", "2016"),
            ("v1.2.3", "v1.2.4"),
            ("in 2010", "2012"),
            ("1,500", "1,462"),
            ("3,5 %", "35 %"),
            ("3.500", "3,500"),
        ] {
            assert!(!holds_number(&[facts(source)], &value(claim)), "{claim} {source}");
        }
    }

    #[test]
    fn dates_agree_in_every_usual_form() {
        let date = |text: &str| facts(text).dates[0];
        for (claim, source) in [
            ("November 2, 2004", "2 November 2004"),
            ("on 2 November 2004", "2004-11-02"),
            ("in November 2004", "2 Nov 2004"),
            ("on the 2nd of May 2020", "2020-05-02"),
            ("November 2, 2004", "On November 2 of the year 2004"),
            ("02.11.2004", "November 2, 2004"),
            ("am 2. Oktober 2004", "2.10.2004"),
        ] {
            assert!(holds_date(&[facts(source)], &date(claim)), "{claim} {source}");
        }
        for (claim, source) in [
            ("2 November 2004", "3 November 2004"),
            ("May 2020", "May 2021"),
            ("June 2020", "2020"),
            ("02.11.2004", "11.02.2004"),
        ] {
            assert!(!holds_date(&[facts(source)], &date(claim)), "{claim} {source}");
        }
        assert!(facts("They may march").dates.is_empty());
        assert!(facts("on 2 November 2004").numbers.is_empty());
    }

    #[test]
    fn names_are_capitalised_words_inside_sentences() {
        let names = |text: &str| facts(text).names.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(names("Leave in Ostermere is long. Costs are paid by Weber."), "ostermer weber");
        assert_eq!(names("Ada Byron leads NATO"), "ada byron nato");
        assert_eq!(names("The company owns it"), "");
        let openings = |text: &str| facts(text).openings.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(openings("Weber pays the costs. Miller was here."), "miller weber");
        assert_eq!(openings("Everyone has leave. Costs are paid. Unused leave expires. Leave ends."), "leav");
        let german = facts("Der Preis ist 1.250 Euro und die Menge 3,5 Liter").numbers;
        assert_eq!(german, [Number::Value(1250.0), Number::Value(3.5)]);
        assert_eq!(names("Im Handbuch ist der Urlaub von der Leitung geregelt"), "", "nouns are no names");
    }
}

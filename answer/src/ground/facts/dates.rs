//! The dates of a text, as English and German write them.

use std::collections::BTreeSet;
use std::fmt;

use super::Word;

/// A month with what stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: Option<u32>,
    /// 1–12.
    pub(crate) month: u32,
    pub(crate) day: Option<u32>,
}

impl fmt::Display for Date {
    /// As in ISO 8601, with `-` for what is not given: `2004-11-02`, `--11-02`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.year {
            Some(year) => write!(f, "{year}-{:02}", self.month)?,
            None => write!(f, "--{:02}", self.month)?,
        }
        self.day.map_or(Ok(()), |day| write!(f, "-{day:02}"))
    }
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// German months where they are spelled otherwise.
const GERMAN_MONTHS: [(&str, u32); 7] =
    [("januar", 1), ("februar", 2), ("märz", 3), ("mai", 5), ("juni", 6), ("juli", 7), ("oktober", 10)];

/// The month a word names, and whether it can only mean a month.
fn month(word: &str) -> Option<(u32, bool)> {
    let german = GERMAN_MONTHS.iter().find(|(name, _)| *name == word).map(|(_, month)| *month);
    if let Some(month) = german.or((word == "dezember").then_some(12)) {
        return Some((month, true));
    }
    let place = MONTHS.iter().position(|month| {
        *month == word
            || (word.len() == 3 && month.starts_with(word))
            || (word == "sept" && *month == "september")
    })?;
    Some((place as u32 + 1, word.len() > 3 && !matches!(word, "march" | "sept")))
}

/// The dates among the words, and the places of the words they are made of.
pub(super) fn dates(text: &str, words: &[Word<'_>]) -> (Vec<Date>, BTreeSet<usize>) {
    let mut dates = Vec::new();
    let mut taken = BTreeSet::new();
    let part = |at: usize, low: u32, high: u32| -> Option<u32> {
        let word = words.get(at)?.lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        word.parse().ok().filter(|value| (low..=high).contains(value))
    };
    for at in 0..words.len() {
        if taken.contains(&at) {
            continue;
        }
        if let Some(date) = dotted(&words[at].lower) {
            dates.push(date);
            taken.insert(at);
            continue;
        }
        if let (Some(year), Some(month), Some(day)) =
            (part(at, 1000, 2999), part(at + 1, 1, 12), part(at + 2, 1, 31))
            && [at, at + 1].iter().all(|&place| {
                let end = words[place].start + words[place].text.len();
                &text[end..words[place + 1].start] == "-"
            })
        {
            dates.push(Date { year: Some(year), month, day: Some(day) });
            taken.extend([at, at + 1, at + 2]);
            continue;
        }
        let Some((month, certain)) = month(&words[at].lower) else { continue };
        // `2 May`, `2nd of May`.
        let of = at > 0 && words[at - 1].lower == "of";
        let before = at.checked_sub(if of { 2 } else { 1 });
        let before = before.and_then(|place| Some((part(place, 1, 31)?, place)));
        let after = part(at + 1, 1, 31).map(|day| (day, at + 1));
        let day = before.or(after);
        let behind = if day.is_some_and(|(_, place)| place > at) { at + 2 } else { at + 1 };
        let year = part(behind, 1000, 2999);
        if day.is_none() && year.is_none() && !certain {
            continue;
        }
        dates.push(Date { year, month, day: day.map(|(day, _)| day) });
        taken.insert(at);
        taken.extend(day.map(|(_, place)| place));
        taken.extend(year.map(|_| behind));
    }
    (dates, taken)
}

/// `02.11.2004`: day, month and year, as it is always read. (`02/11/2004` means two days, so its parts stay numbers.)
fn dotted(word: &str) -> Option<Date> {
    let mut parts = word.split('.');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let within = |part: &str, low: u32, high: u32, most: usize| -> Option<u32> {
        let digits = (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse().ok().filter(|value| digits && (low..=high).contains(value))
    };
    let date = Date {
        day: Some(within(day, 1, 31, 2)?),
        month: within(month, 1, 12, 2)?,
        year: Some(within(year, 1000, 2999, 4)?),
    };
    parts.next().is_none().then_some(date)
}

//! Makes a follow-up stand alone without a model: what a pronoun stands for, and what an unfinished question goes on with.
//!
//! English and German, by word lists. What is not recognised stays as it was asked; what is recognised and can't be put
//! right word for word is asked behind the question it follows, which loses nothing that a search needs.

use wellspring_models::text::{sentences, word_places};

use crate::answer_type::Wanted;
use crate::terms::{is_function_word, terms};

/// Words that begin a question which goes on with the one before.
const GOES_ON: &[&str] = &[
    "and",
    "but",
    "what about",
    "how about",
    "what if",
    "und",
    "aber",
    "was ist mit",
    "wie ist es mit",
    "wie steht es mit",
    "wie sieht es mit",
];
/// Words that, at the beginning of a few words without a verb, add a condition to the question before.
const CONDITIONS: &[&str] = &[
    "in", "for", "on", "at", "with", "without", "since", "until", "after", "before", "during", "by", "as",
    "only", "für", "im", "am", "bei", "mit", "ohne", "seit", "ab", "nach", "vor", "während", "als", "nur",
    "zum", "zur",
];
/// Words that make a sentence of their own of a few words.
const VERBS: &[&str] = &[
    "is", "are", "was", "were", "be", "do", "does", "did", "has", "have", "had", "can", "could", "will",
    "would", "should", "must", "may", "ist", "sind", "war", "waren", "hat", "haben", "kann", "können",
    "muss", "müssen", "darf", "dürfen", "wird", "werden", "gibt", "gilt", "gelten", "soll", "sollen",
];
/// Verbs of questions that end what is asked about: `When does the canteen | open?`
const ACTS: &[&str] = &[
    "open",
    "close",
    "start",
    "end",
    "begin",
    "apply",
    "cost",
    "costs",
    "work",
    "take",
    "takes",
    "need",
    "needs",
    "get",
    "gets",
    "mean",
    "means",
    "expire",
    "last",
    "happen",
    "change",
    "include",
    "cover",
    "count",
    "use",
    "used",
    "pay",
    "paid",
    "earn",
    "receive",
    "request",
    "submit",
    "approve",
    "approved",
    "live",
    "run",
    "runs",
    "belong",
    "contain",
    "say",
    "wrote",
    "written",
    "made",
    "led",
    "leads",
    "lead",
    "called",
    "required",
    "allowed",
    "valid",
    "available",
    "due",
    "located",
    "born",
    "built",
    "stored",
    "kept",
    "handled",
    "measured",
    "calculated",
    "look",
    "go",
    "come",
    "give",
    "make",
    "know",
    "find",
    "offer",
    "provide",
    "support",
    "define",
    "describe",
    "carry",
    "deliver",
    "store",
    "handle",
    "kosten",
    "kostet",
    "gültig",
    "öffnet",
    "schließt",
    "beginnt",
    "endet",
    "funktioniert",
    "bekommen",
    "erhalten",
    "geregelt",
    "geschrieben",
    "genehmigt",
    "beantragt",
    "beträgt",
    "dauert",
];
const DETERMINERS: &[&str] = &[
    "the", "our", "my", "your", "a", "an", "der", "die", "das", "den", "dem", "unser", "unsere", "mein",
    "meine",
];
/// Stands for a thing named before; the second is what it becomes: itself or its possessive.
const ONE: &[(&str, bool)] = &[("it", false), ("its", true), ("es", false), ("dies", false)];
const MANY: &[(&str, bool)] = &[("they", false), ("them", false), ("their", true), ("sie", false)];
const POINTING: &[&str] =
    &["this", "that", "these", "those", "dieser", "diese", "dieses", "diesen", "diesem"];
const PERSON: &[(&str, bool)] =
    &[("he", false), ("him", false), ("his", true), ("she", false), ("her", true), ("hers", true)];
/// Stands for something named before, inside a word that can't be replaced.
const JOINED: &[&str] =
    &["davon", "dafür", "dazu", "damit", "dabei", "daran", "darin", "dagegen", "dessen", "deren", "thereof"];
/// `Is it possible to …` and `How long does it take to …` mean nothing by `it`.
const EXPLETIVE: &[&str] = &[
    "possible",
    "allowed",
    "necessary",
    "true",
    "required",
    "permitted",
    "ok",
    "okay",
    "take",
    "takes",
    "took",
    "important",
    "möglich",
    "erlaubt",
    "nötig",
    "notwendig",
];

/// Something that was asked and what was said to it.
pub(super) struct Before<'a> {
    /// As a question that stands alone.
    pub(super) question: &'a str,
    pub(super) answer: &'a str,
}

/// The question as it stands alone after `before`; `None` if it does already.
pub(super) fn standalone(question: &str, before: &Before<'_>) -> Option<String> {
    let question = question.trim();
    let words = Words::of(question);
    if words.lower.is_empty() || before.question.trim().is_empty() {
        return None;
    }
    if goes_on(question, &words) {
        return Some(behind(question, before));
    }
    if words.lower.iter().any(|word| JOINED.contains(&word.as_str())) {
        return Some(behind(question, before));
    }
    let (at, width, meant) = anaphor(&words)?;
    let stands_for = match meant {
        Meant::Person(_) => person(before),
        Meant::One(_) | Meant::Pointing => topic(before, false),
        Meant::Many(_) => topic(before, true),
    };
    let Some(name) = stands_for else { return Some(behind(question, before)) };
    let name = match meant {
        Meant::One(true) | Meant::Many(true) | Meant::Person(true) if name.ends_with('s') => {
            format!("{name}'")
        }
        Meant::One(true) | Meant::Many(true) | Meant::Person(true) => format!("{name}'s"),
        _ => name,
    };
    let start = words.places[at];
    let last = at + width - 1;
    let end = words.places[last] + words.lower_lengths[last];
    Some(format!("{}{name}{}", &question[..start], &question[end..]))
}

/// A question as words, each with its place.
struct Words {
    lower: Vec<String>,
    places: Vec<usize>,
    /// Bytes of each word as it stands.
    lower_lengths: Vec<usize>,
    capital: Vec<bool>,
}

impl Words {
    fn of(text: &str) -> Self {
        let mut words =
            Self { lower: Vec::new(), places: Vec::new(), lower_lengths: Vec::new(), capital: Vec::new() };
        for (place, word) in word_places(text) {
            words.lower.push(word.to_lowercase());
            words.places.push(place);
            words.lower_lengths.push(word.len());
            words.capital.push(word.starts_with(char::is_uppercase));
        }
        words
    }

    fn is(&self, at: usize, list: &[&str]) -> bool {
        self.lower.get(at).is_some_and(|word| list.contains(&word.as_str()))
    }
}

/// What an anaphor stands for; `true`: as a possessive.
#[derive(Clone, Copy)]
enum Meant {
    One(bool),
    Many(bool),
    Person(bool),
    Pointing,
}

/// Behind the question it follows; of a chain of such questions only the first is repeated.
fn behind(question: &str, before: &Before<'_>) -> String {
    let asked = before.question.trim();
    let first = sentences(asked).into_iter().next().map_or(asked, |range| &asked[range]);
    let mark = if first.ends_with(['?', '.', '!']) { "" } else { "?" };
    format!("{first}{mark} {question}")
}

/// Whether the question is unfinished without the one before.
fn goes_on(question: &str, words: &Words) -> bool {
    let joined = words.lower.join(" ");
    let begins = |phrase: &&str| joined == **phrase || joined.starts_with(&format!("{phrase} "));
    let has_verb = || words.lower.iter().any(|word| VERBS.contains(&word.as_str()));
    let about = terms(question);
    if GOES_ON.iter().any(begins) {
        // "And what is the notice period of contractors?" stands alone but for its first word.
        let whole = has_verb() && about.len() >= 3 && !phrase_about(&joined);
        return !whole;
    }
    let bare = about.is_empty() && !has_verb();
    let condition = words.is(0, CONDITIONS) && !has_verb() && words.lower.len() <= 6;
    // `Contractors?`
    let alone = words.lower.len() <= 2 && !has_verb() && !about.is_empty() && question.ends_with('?');
    bare || condition || alone
}

fn phrase_about(joined: &str) -> bool {
    ["what about", "how about", "was ist mit", "wie ist es mit", "wie steht es mit", "wie sieht es mit"]
        .iter()
        .any(|phrase| joined.starts_with(phrase))
}

/// The first word that stands for something else: its place, how many words it takes up, and for what.
fn anaphor(words: &Words) -> Option<(usize, usize, Meant)> {
    for (at, word) in words.lower.iter().enumerate() {
        let listed =
            |list: &[(&str, bool)]| list.iter().find(|(known, _)| known == word).map(|(_, own)| *own);
        // A capital within a sentence is a name, or the polite form.
        if at > 0 && words.capital[at] {
            continue;
        }
        if let Some(own) = listed(ONE) {
            if !expletive(words, at) {
                return Some((at, 1, Meant::One(own)));
            }
        } else if let Some(own) = listed(MANY) {
            return Some((at, 1, Meant::Many(own)));
        } else if let Some(own) = listed(PERSON) {
            // `her` before a noun is a possessive, else an object.
            let own = own && (word != "her" || at + 1 < words.lower.len() && !words.is(at + 1, VERBS));
            return Some((at, 1, Meant::Person(own)));
        } else if POINTING.contains(&word.as_str()) {
            let last = at + 1 == words.lower.len();
            if last || words.is(at + 1, VERBS) || words.is(at + 1, ACTS) {
                // `Does somebody check that …`: a conjunction has a subject behind it, not a verb.
                return Some((at, 1, Meant::Pointing));
            }
            if word != "that" && !is_function_word(&words.lower[at + 1]) {
                return Some((at, 2, Meant::Pointing));
            }
        }
    }
    None
}

fn expletive(words: &Words, at: usize) -> bool {
    let near = (at + 1..at + 3).any(|next| words.is(next, EXPLETIVE));
    near && words.lower.len() > at + 4
}

/// The name that the answer gave.
fn person(before: &Before<'_>) -> Option<String> {
    let answer = before.answer;
    let found = Wanted::by(&format!("Who: {}", before.question)).find(answer);
    let named =
        found.map(|span| answer[span].to_owned()).filter(|name| name.chars().any(char::is_alphabetic));
    named.or_else(|| names(before.question).pop())
}

/// Runs of capitalised words behind the first word.
fn names(text: &str) -> Vec<String> {
    let words = Words::of(text);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for at in 1..words.lower.len() {
        if !words.capital[at] || is_function_word(&words.lower[at]) {
            continue;
        }
        match found.last_mut() {
            Some((_, last)) if *last + 1 == at => *last = at,
            _ => found.push((at, at)),
        }
    }
    found
        .into_iter()
        .map(|(first, last)| {
            text[words.places[first]..words.places[last] + words.lower_lengths[last]].to_owned()
        })
        .collect()
}

/// What the question before was about: what stands behind its article, else its longest run of words with content.
fn topic(before: &Before<'_>, many: bool) -> Option<String> {
    let asked = before.question.trim();
    // The last of several is the one that was meant.
    let asked = sentences(asked).into_iter().next().map_or(asked, |range| &asked[range]);
    let words = Words::of(asked);
    let mut runs: Vec<(usize, usize, bool)> = Vec::new();
    let mut at = 0;
    while at < words.lower.len() {
        let article = words.is(at, DETERMINERS);
        let first = if article { at + 1 } else { at };
        let mut end = first;
        while end < words.lower.len() && belongs(&words, end, first) {
            end += 1;
        }
        // `days of annual leave`
        while end > first && (words.lower[end - 1] == "of" || words.is(end - 1, DETERMINERS)) {
            end -= 1;
        }
        if end > first {
            runs.push((at, end, article));
            at = end;
        } else {
            at += 1;
        }
    }
    let plural = |run: &&(usize, usize, bool)| words.lower[run.1 - 1].ends_with('s');
    let of_several = || runs.iter().rev().find(plural).filter(|_| many);
    let with_article = || runs.iter().find(|run| run.2);
    let longest = || runs.iter().rev().max_by_key(|run| run.1 - run.0);
    let (first, end, _) = of_several().or_else(with_article).or_else(longest)?;
    let last = end - 1;
    Some(asked[words.places[*first]..words.places[last] + words.lower_lengths[last]].to_owned())
}

/// Whether the word at `at` belongs to a run that began at `first`.
fn belongs(words: &Words, at: usize, first: usize) -> bool {
    if words.lower[at] == "of" || (at > first && words.lower[at - 1] == "of" && words.is(at, DETERMINERS)) {
        return at > first;
    }
    !words.is(at, VERBS)
        && !words.is(at, ACTS)
        && !is_function_word(&words.lower[at])
        && !words.is(at, POINTING)
}

#[cfg(test)]
mod tests;

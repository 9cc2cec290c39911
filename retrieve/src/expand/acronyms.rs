//! Finds what acronyms stand for in passages, and puts the other form into a query.
//!
//! Schwartz and Hearst, "A Simple Algorithm for Identifying Abbreviation Definitions in Biomedical Text", PSB 2003: a
//! short form in parentheses after its long form, whose letters occur in order in the long form, the first at the beginning
//! of a word. The passages are hits of the reader's own search, so no form comes out of a text they may not see.

use std::collections::BTreeMap;

/// Longest short form, in characters; the paper has 10.
const MAX_SHORT: usize = 10;
/// Most other forms of one query.
const MAX_FORMS: usize = 2;

/// The query with an acronym replaced by its long form or the other way round, for at most two acronyms: those defined
/// most often first, then by name. Only whole words are replaced; a short form must be written as it is defined, a long
/// form in any case.
pub(super) fn other_forms(query: &str, passages: &[&str]) -> Vec<String> {
    let mut counted: BTreeMap<(String, String), usize> = BTreeMap::new();
    for passage in passages {
        for pair in definitions(passage) {
            *counted.entry(pair).or_default() += 1;
        }
    }
    let mut counted: Vec<((String, String), usize)> = counted.into_iter().collect();
    counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut forms: Vec<String> = Vec::new();
    let mut used: Vec<String> = Vec::new();
    for ((short, long), _) in counted {
        // One that the query already has in both forms needs neither, and one has but one meaning here.
        let has = (find_word(query, &short, false), find_word(query, &long, true));
        let form = match has {
            (Some(at), None) => replace(query, at, short.len(), &long),
            (None, Some(at)) => replace(query, at, long.len(), &short),
            _ => continue,
        };
        if !used.contains(&short) && !forms.contains(&form) {
            used.push(short);
            forms.push(form);
        }
        if forms.len() == MAX_FORMS {
            break;
        }
    }
    forms
}

fn replace(query: &str, at: usize, length: usize, form: &str) -> String {
    format!("{}{form}{}", &query[..at], &query[at + length..])
}

/// Where `word` stands in the text as whole words.
fn find_word(text: &str, word: &str, any_case: bool) -> Option<usize> {
    // ASCII case only, so that places stay the same.
    let (searched, word) = match any_case {
        true => (text.to_ascii_lowercase(), word.to_ascii_lowercase()),
        false => (text.to_owned(), word.to_owned()),
    };
    searched.match_indices(&word).map(|(at, _)| at).find(|&at| {
        !searched[..at].ends_with(char::is_alphanumeric)
            && !searched[at + word.len()..].starts_with(char::is_alphanumeric)
    })
}

/// Pairs of short and long form that the text defines, as `long (SHORT)` or `SHORT (long)`.
fn definitions(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (open, _) in text.match_indices('(') {
        let Some(length) = text[open + 1..].find(')') else { continue };
        // "(RRF; see below)": what follows the first break is no part of the form.
        let inside = text[open + 1..open + 1 + length].split([';', ',']).next().unwrap_or_default().trim();
        let before = text[..open].trim_end();
        let sentence = before.rfind(['.', ';', ':', '(', ')', '\n']).map_or(before, |at| &before[at + 1..]);
        if is_short_form(inside) {
            let long = long_form(inside, &last_words(sentence, inside));
            found.extend(long.map(|long| (inside.to_owned(), long)));
        } else if let Some(short) = sentence.split_whitespace().next_back()
            && is_short_form(short)
            && let Some(long) = long_form(short, inside)
            && long == inside
        {
            found.push((short.to_owned(), long));
        }
    }
    found
}

/// Two to ten characters in one word, with a capital letter beyond the first or no small letter, beginning with a letter
/// or digit: stricter than the paper, whose texts are all of one field, so that "(see)" and "(Berlin)" are none.
fn is_short_form(text: &str) -> bool {
    let count = text.chars().count();
    (2..=MAX_SHORT).contains(&count)
        && text.starts_with(char::is_alphanumeric)
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '/' | '&'))
        && text.chars().filter(|c| c.is_uppercase()).count() >= 2
}

/// The words that can make up the long form: at most min(|A| + 5, 2 |A|) of them, as in the paper.
fn last_words(sentence: &str, short: &str) -> String {
    let letters = short.chars().count();
    let most = (letters + 5).min(letters * 2);
    let mut words: Vec<&str> = sentence.split_whitespace().rev().take(most).collect();
    words.reverse();
    words.join(" ")
}

/// The shortest end of `candidate` that holds the short form's letters in order, the first at the beginning of a word
/// (the paper's `findBestLongForm`). `None` if there is none, or if it holds the short form itself.
fn long_form(short: &str, candidate: &str) -> Option<String> {
    let letters: Vec<char> =
        short.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let places: Vec<(usize, char)> = candidate.char_indices().collect();
    let mut at = places.len();
    for (index, letter) in letters.iter().enumerate().rev() {
        loop {
            at = at.checked_sub(1)?;
            let matches = places[at].1.to_lowercase().eq(std::iter::once(*letter));
            let begins = at == 0 || !places[at - 1].1.is_alphanumeric();
            if matches && (index > 0 || begins) {
                break;
            }
        }
    }
    let long = candidate[places[at].0..].trim_matches(|c: char| !c.is_alphanumeric());
    let whole = long.split_whitespace().count() > 1 && find_word(long, short, true).is_none();
    (whole && long.len() > short.len()).then(|| long.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(text: &str) -> Vec<(String, String)> {
        definitions(text)
    }

    #[test]
    fn definitions_are_found_as_the_paper_finds_them() {
        for (text, short, long) in [
            ("We use Reciprocal Rank Fusion (RRF) here.", "RRF", "Reciprocal Rank Fusion"),
            ("the heat shock transcription factor (HSF)", "HSF", "heat shock transcription factor"),
            ("It is called RRF (reciprocal rank fusion).", "RRF", "reciprocal rank fusion"),
            ("of maximal marginal relevance (MMR; see 2)", "MMR", "maximal marginal relevance"),
            ("deoxyribonucleic acid (DNA)", "DNA", "deoxyribonucleic acid"),
            ("die Europäische Union (EU)", "EU", "Europäische Union"),
        ] {
            assert_eq!(defined(text), [(short.to_owned(), long.to_owned())], "{text}");
        }
        for text in [
            "as said before (see) and (Berlin)",
            "an RRF score (high)",
            "RRF (RRF)",
            "nothing of the kind (XYZ)",
            "(ABC",
            "()",
            "a (AB) b (CD",
        ] {
            assert_eq!(defined(text), [], "{text}");
        }
    }

    #[test]
    fn a_query_gets_the_other_form() {
        let passages = ["Reciprocal Rank Fusion (RRF) joins lists.", "Reciprocal rank fusion (RRF) again"];
        assert_eq!(other_forms("what is RRF?", &passages), ["what is Reciprocal Rank Fusion?"]);
        assert_eq!(other_forms("reciprocal rank fusion k", &passages), ["RRF k"]);
        for query in ["RRFs", "rrf", "RRF, or reciprocal rank fusion", "other words"] {
            assert!(other_forms(query, &passages).is_empty(), "{query}");
        }
    }

    #[test]
    fn of_several_meanings_the_most_frequent_counts() {
        let passages =
            ["Central Bank Rate (CBR)", "case based reasoning (CBR)", "case based reasoning (CBR)"];
        assert_eq!(other_forms("CBR", &passages), ["case based reasoning"]);
    }
}

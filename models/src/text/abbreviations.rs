//! Words whose full stop does not end a sentence.

/// English and German abbreviations that are commonly followed by a capital letter or a number; lower case, without
/// the final stop. What is followed by lower case needs no entry: UAX #29 does not break there.
const ABBREVIATIONS: &[&str] = &[
    "abb", "abs", "al", "alt", "approx", "apr", "art", "aug", "az", "bd", "bzw", "ca", "cap", "cf", "ch",
    "co", "col", "corp", "d.h", "dec", "dez", "dipl", "dr", "e.g", "ed", "eds", "eq", "eqs", "est", "evtl",
    "feb", "fig", "figs", "fr", "ft", "gem", "gen", "ggf", "gov", "hr", "hrsg", "i.d.r", "i.e", "inc", "ing",
    "inkl", "jan", "jr", "kap", "lit", "lt", "ltd", "max", "min", "mr", "mrs", "ms", "mt", "no", "nos",
    "nov", "nr", "oct", "okt", "op", "p", "para", "ph.d", "pp", "prof", "pt", "ref", "refs", "rep", "resp",
    "rev", "s.o", "s.u", "sec", "sen", "sep", "sept", "sog", "sr", "st", "std", "str", "tab", "tel", "u.a",
    "u.k", "u.s", "v", "vgl", "vol", "vols", "vs", "z.b", "z.t", "zzgl",
];

/// Month names after which a German ordinal (`3. Oktober`) does not end a sentence.
const MONTHS: &[&str] = &[
    "januar",
    "jänner",
    "februar",
    "märz",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "dezember",
];

/// Whether `sentence`, which a segmenter ended at a full stop, goes on with `next`.
pub(super) fn continues(sentence: &str, next: &str) -> bool {
    let Some(body) = sentence.trim_end().strip_suffix('.') else {
        return false;
    };
    let last = body.rsplit(char::is_whitespace).next().unwrap_or(body);
    let last = last.trim_start_matches(['(', '[', '"', '\'', '„', '“', '*', '_']);
    if last.is_empty() || last.ends_with('.') {
        return false;
    }
    let lower = last.to_lowercase();
    if ABBREVIATIONS.binary_search(&lower.as_str()).is_ok() {
        // "No." and its like end a sentence unless a number follows.
        return !matches!(lower.as_str(), "no" | "max" | "min" | "p" | "v" | "art" | "alt")
            || next.trim_start().starts_with(|c: char| c.is_numeric());
    }
    let mut letters = last.chars();
    // An initial, as in "J. Smith"; "I." is more often the pronoun at the end of a sentence.
    if let (Some(initial), None) = (letters.next(), letters.next())
        && initial.is_uppercase()
        && initial != 'I'
    {
        return true;
    }
    if last.chars().all(|c| c.is_ascii_digit()) {
        // "1." alone numbers a list item; "3. Oktober" is a date.
        let alone = body.trim().len() == last.len();
        let word = next.split_whitespace().next().unwrap_or_default().to_lowercase();
        return (alone || MONTHS.contains(&word.trim_matches(|c: char| !c.is_alphabetic())))
            && last.len() <= 3;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(ABBREVIATIONS.is_sorted());
    }

    #[test]
    fn abbreviations_initials_and_ordinals_go_on() {
        for (sentence, next) in [
            ("See Dr. ", "Smith."),
            ("By J. ", "Doe."),
            ("Am 3. ", "Oktober."),
            ("1. ", "Item"),
            ("(cf. ", "Table 2)"),
        ] {
            assert!(continues(sentence, next), "{sentence}|{next}");
        }
    }

    #[test]
    fn sentences_end() {
        for (sentence, next) in [
            ("It was no. ", "Then it rained."),
            ("In 2020. ", "The"),
            ("So did I. ", "We"),
            ("Done! ", "Next"),
        ] {
            assert!(!continues(sentence, next), "{sentence}|{next}");
        }
    }
}

//! The parts of a question that its wording gives away, in English: several questions, conjunctions, comparisons.

/// Words that begin a question of its own after "and".
const ASKING: [&str; 9] = ["what", "who", "whom", "when", "where", "why", "how", "which", "whose"];
/// What introduces two things to compare, with what stands between them.
const COMPARING: [(&str, &str); 5] = [
    ("difference between ", " and "),
    ("differences between ", " and "),
    ("compare ", " and "),
    ("compare ", " with "),
    ("compare ", " to "),
];
/// What stands between two things that are compared without a word before them.
const VERSUS: [&str; 3] = [" versus ", " vs. ", " vs "];

/// The parts, two or more; none if the question does not obviously have any. They are asked besides the question, never
/// instead of it, so a part that lost its context costs little.
pub(super) fn parts(query: &str) -> Vec<String> {
    [questions(query), conjunction(query), comparison(query), choice(query)]
        .into_iter()
        .find(|parts| parts.len() > 1)
        .unwrap_or_default()
}

/// "Who founded it? When was that?"
fn questions(query: &str) -> Vec<String> {
    let parts =
        query.split_inclusive('?').map(str::trim).filter(|part| words(part) > 1 && part.ends_with('?'));
    parts.map(str::to_owned).collect()
}

/// "Who wrote Faust and when was it printed?"
fn conjunction(query: &str) -> Vec<String> {
    let lower = query.to_ascii_lowercase();
    if !ASKING.iter().any(|word| begins_with_word(&lower, word)) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, joint) in lower.match_indices(" and ") {
        let next = at + joint.len();
        if at >= start && ASKING.iter().any(|word| begins_with_word(&lower[next..], word)) {
            parts.push(&query[start..at]);
            start = next;
        }
    }
    parts.push(&query[start..]);
    // "I wonder what and when": a lone word asks nothing.
    if parts.iter().all(|part| words(part) > 1) { named(parts) } else { Vec::new() }
}

/// "What is the difference between a lease and a licence?"
fn comparison(query: &str) -> Vec<String> {
    let query = query.trim_end_matches(['?', '.', '!', ' ']);
    let lower = query.to_ascii_lowercase();
    for (opening, joint) in COMPARING {
        if let Some(at) = lower.find(opening)
            && let start = at + opening.len()
            && let Some(between) = lower[start..].find(joint)
        {
            return named(vec![&query[start..start + between], &query[start + between + joint.len()..]]);
        }
    }
    let versus = VERSUS.iter().find_map(|joint| Some((lower.find(joint)?, joint.len())));
    versus.map_or_else(Vec::new, |(at, length)| named(vec![&query[..at], &query[at + length..]]))
}

/// "Which river is longer, the Elbe or the Oder?"
fn choice(query: &str) -> Vec<String> {
    let query = query.trim_end_matches(['?', ' ']);
    let Some((question, options)) = query.rsplit_once([',', ':']) else { return Vec::new() };
    let lower = question.to_ascii_lowercase();
    let asks = ["which", "who", "what"].iter().any(|word| begins_with_word(&lower, word));
    match options.split_once(" or ") {
        Some((one, other)) if asks => {
            [one, other].iter().map(|option| format!("{question} {}", option.trim())).collect()
        }
        _ => Vec::new(),
    }
}

/// Parts with at least one word each; else none.
fn named(parts: Vec<&str>) -> Vec<String> {
    let parts: Vec<String> = parts.into_iter().map(|part| part.trim().to_owned()).collect();
    if parts.iter().all(|part| words(part) > 0) { parts } else { Vec::new() }
}

fn words(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

fn begins_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obvious_parts_are_found_and_nothing_else() {
        for (query, expected) in [
            ("Who founded Acme? When was that?", vec!["Who founded Acme?", "When was that?"]),
            ("Who wrote Faust and when was it printed?", vec!["Who wrote Faust", "when was it printed?"]),
            ("What is the difference between a lease and a licence?", vec!["a lease", "a licence"]),
            ("compare Postgres with SQLite", vec!["Postgres", "SQLite"]),
            ("tantivy vs. Lucene", vec!["tantivy", "Lucene"]),
            (
                "Which river is longer, the Elbe or the Oder?",
                vec!["Which river is longer the Elbe", "Which river is longer the Oder"],
            ),
            ("terms and conditions", vec![]),
            ("How are salt and pepper made?", vec![]),
            ("How do I know what and when?", vec![]),
            ("paid or unpaid leave", vec![]),
            ("Straße vs ", vec![]),
            ("İstanbul and ſ vs x? and", vec!["İstanbul and ſ", "x? and"]),
            ("", vec![]),
        ] {
            assert_eq!(parts(query), expected, "{query}");
        }
    }
}

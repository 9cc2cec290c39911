//! Other words for the same thing, as far as rules go: synonyms, endings, order, and leaving out.

use wellspring_models::text::words;

use super::Corpus;
use crate::stats::Seeded;

/// Words that carry no content, English and German.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "between",
    "both", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "here",
    "how", "however", "i", "if", "in", "into", "is", "it", "its", "may", "more", "most", "of", "on", "or",
    "other", "our", "such", "than", "that", "the", "their", "there", "these", "they", "this", "those", "to",
    "was", "we", "were", "what", "when", "which", "while", "who", "will", "with", "would", "you", "your",
    "aber", "als", "am", "an", "auch", "auf", "aus", "bei", "bis", "das", "dass", "dem", "den", "der", "des",
    "die", "durch", "ein", "eine", "einem", "einen", "einer", "er", "es", "für", "hat", "ich", "im", "ist",
    "mit", "nach", "nicht", "oder", "sich", "sie", "sind", "über", "um", "und", "von", "vor", "war", "wie",
    "wird", "zu", "zum", "zur",
];

/// Pairs of English words that stand for each other in most texts.
const SYNONYMS: &[(&str, &str)] = &[
    ("increase", "rise"),
    ("increased", "raised"),
    ("increases", "raises"),
    ("decrease", "reduction"),
    ("decreased", "lowered"),
    ("decreases", "lowers"),
    ("reduce", "lower"),
    ("reduced", "lowered"),
    ("reduces", "lowers"),
    ("show", "demonstrate"),
    ("shows", "demonstrates"),
    ("showed", "demonstrated"),
    ("shown", "demonstrated"),
    ("use", "employ"),
    ("used", "employed"),
    ("uses", "employs"),
    ("using", "with"),
    ("method", "technique"),
    ("methods", "techniques"),
    ("result", "outcome"),
    ("results", "findings"),
    ("effect", "impact"),
    ("effects", "consequences"),
    ("cause", "lead"),
    ("causes", "leads"),
    ("important", "essential"),
    ("associated", "linked"),
    ("association", "link"),
    ("treatment", "therapy"),
    ("patients", "people"),
    ("disease", "illness"),
    ("cells", "cell"),
    ("large", "big"),
    ("small", "little"),
    ("begin", "start"),
    ("begins", "starts"),
    ("end", "finish"),
    ("buy", "purchase"),
    ("cost", "price"),
    ("costs", "price"),
    ("help", "aid"),
    ("need", "require"),
    ("needs", "requires"),
    ("required", "needed"),
    ("must", "has"),
    ("error", "fault"),
    ("errors", "faults"),
    ("problem", "issue"),
    ("problems", "issues"),
    ("fast", "quick"),
    ("quickly", "rapidly"),
    ("change", "alter"),
    ("changes", "alterations"),
    ("compute", "calculate"),
    ("computer", "machine"),
    ("program", "software"),
    ("programs", "software"),
    ("flow", "stream"),
    ("obtained", "got"),
    ("presented", "given"),
    ("investigated", "studied"),
    ("study", "investigation"),
    ("analysis", "examination"),
    ("determine", "find"),
    ("determined", "found"),
    ("several", "some"),
    ("various", "different"),
    ("employees", "staff"),
    ("people", "persons"),
];

pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// In order, lower case.
pub(super) fn content_words(text: &str) -> Vec<String> {
    words(text).filter(|word| !is_stop_word(word)).collect()
}

/// The half of the words that most documents have, in order: a document's rare words give it away to keyword search, and
/// people who look for it mostly do not know them. `None` if fewer than three are left.
pub(super) fn common_half(corpus: &Corpus, words: Vec<String>) -> Option<Vec<String>> {
    let mut by_rarity: Vec<usize> = (0..words.len()).collect();
    by_rarity.sort_by(|a, b| corpus.rarity(&words[*a]).total_cmp(&corpus.rarity(&words[*b])).then(a.cmp(b)));
    by_rarity.truncate(words.len().div_ceil(2));
    by_rarity.sort_unstable();
    (by_rarity.len() >= 3).then(|| by_rarity.into_iter().map(|at| words[at].clone()).collect())
}

/// The title as somebody would type it who half remembers it: reworded, one word in four left out.
pub(super) fn title(title: &str, seeded: &mut Seeded) -> Option<String> {
    let mut kept = content_words(title);
    if kept.len() < 3 {
        return None;
    }
    let drop = kept.len() / 4;
    for _ in 0..drop {
        kept.remove(seeded.below(kept.len()));
    }
    Some(kept.iter().map(|word| other_word(word)).collect::<Vec<_>>().join(" "))
}

/// A sentence in other words: its commoner half without numbers, synonyms and other endings, clauses swapped.
pub(super) fn paraphrase(corpus: &Corpus, sentence: &str, seeded: &mut Seeded) -> Option<String> {
    let content = words(sentence)
        .filter(|word| !is_stop_word(word) && !word.chars().any(|c| c.is_ascii_digit()))
        .collect();
    let mut kept = common_half(corpus, content)?;
    kept.truncate(12);
    // The second half first: what the sentence says before what it says it about.
    let turn = 1 + seeded.below(kept.len() - 1);
    kept.rotate_left(turn);
    Some(kept.iter().map(|word| other_word(word)).collect::<Vec<_>>().join(" "))
}

/// A synonym where there is one, else another ending where English has one, else the word.
fn other_word(word: &str) -> String {
    for (one, other) in SYNONYMS {
        if *one == word {
            return (*other).to_owned();
        }
        if *other == word {
            return (*one).to_owned();
        }
    }
    let long_enough = |stem: &str| stem.chars().count() >= 3 && stem.is_ascii();
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| long_enough(stem)) {
        return format!("{stem}y");
    }
    for ending in ["ss", "us", "is", "ses", "xes", "ches", "shes"] {
        if word.ends_with(ending) {
            return word.to_owned();
        }
    }
    match word.strip_suffix('s').filter(|stem| long_enough(stem)) {
        Some(stem) => stem.to_owned(),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_and_stay_words() {
        for (word, other) in [
            ("increased", "raised"),
            ("raised", "increased"),
            ("sensors", "sensor"),
            ("batteries", "battery"),
            ("analysis", "examination"),
            ("losses", "losses"),
            ("bodies", "body"),
            ("virus", "virus"),
            ("gas", "gas"),
        ] {
            assert_eq!(other_word(word), other);
        }
    }

    #[test]
    fn titles_lose_a_quarter() {
        let made =
            title("The effects of large batteries on sensor drift in winter months", &mut Seeded::new(1))
                .unwrap();
        assert_eq!(made.split(' ').count(), 6, "{made}");
        assert!(title("Handbook", &mut Seeded::new(1)).is_none());
    }
}

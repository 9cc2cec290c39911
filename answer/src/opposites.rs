//! Words that mean the opposite of each other: a question about the largest is not answered by a sentence about the
//! smallest, however much else they share.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::terms::stem;

/// Pairs in English and German, in lower case; compared as stems.
const PAIRS: &[(&str, &str)] = &[
    ("before", "after"),
    ("increase", "decrease"),
    ("more", "less"),
    ("more", "fewer"),
    ("most", "least"),
    ("most", "fewest"),
    ("first", "last"),
    ("first", "final"),
    ("largest", "smallest"),
    ("largest", "least"),
    ("biggest", "smallest"),
    ("highest", "lowest"),
    ("longest", "shortest"),
    ("greatest", "least"),
    ("best", "worst"),
    ("better", "worse"),
    ("oldest", "newest"),
    ("oldest", "youngest"),
    ("earliest", "latest"),
    ("early", "late"),
    ("north", "south"),
    ("east", "west"),
    ("northern", "southern"),
    ("eastern", "western"),
    ("left", "right"),
    ("upper", "lower"),
    ("above", "below"),
    ("over", "under"),
    ("inside", "outside"),
    ("internal", "external"),
    ("domestic", "foreign"),
    ("local", "foreign"),
    ("win", "lose"),
    ("won", "lost"),
    ("gain", "lose"),
    ("gained", "lost"),
    ("victory", "defeat"),
    ("begin", "end"),
    ("began", "ended"),
    ("start", "end"),
    ("start", "stop"),
    ("open", "close"),
    ("birth", "death"),
    ("born", "died"),
    ("create", "destroy"),
    ("built", "destroyed"),
    ("add", "remove"),
    ("include", "exclude"),
    ("allow", "prohibit"),
    ("allow", "forbid"),
    ("accept", "reject"),
    ("agree", "disagree"),
    ("support", "oppose"),
    ("attack", "defend"),
    ("join", "leave"),
    ("enter", "leave"),
    ("enter", "exit"),
    ("arrive", "depart"),
    ("import", "export"),
    ("buy", "sell"),
    ("push", "pull"),
    ("raise", "lower"),
    ("rise", "fall"),
    ("rose", "fell"),
    ("expand", "shrink"),
    ("succeed", "fail"),
    ("success", "failure"),
    ("former", "latter"),
    ("large", "small"),
    ("larger", "smaller"),
    ("greater", "smaller"),
    ("greater", "fewer"),
    ("high", "low"),
    ("higher", "lower"),
    ("long", "short"),
    ("old", "new"),
    ("older", "younger"),
    ("ancient", "modern"),
    ("strong", "weak"),
    ("rich", "poor"),
    ("hot", "cold"),
    ("wet", "dry"),
    ("light", "dark"),
    ("light", "heavy"),
    ("fast", "slow"),
    ("easy", "difficult"),
    ("easy", "hard"),
    ("simple", "complex"),
    ("same", "different"),
    ("similar", "different"),
    ("common", "rare"),
    ("common", "uncommon"),
    ("public", "private"),
    ("urban", "rural"),
    ("male", "female"),
    ("men", "women"),
    ("man", "woman"),
    ("king", "queen"),
    ("son", "daughter"),
    ("brother", "sister"),
    ("father", "mother"),
    ("husband", "wife"),
    ("teacher", "student"),
    ("ally", "enemy"),
    ("major", "minor"),
    ("majority", "minority"),
    ("maximum", "minimum"),
    ("positive", "negative"),
    ("active", "passive"),
    ("active", "inactive"),
    ("direct", "indirect"),
    ("formal", "informal"),
    ("complete", "incomplete"),
    ("finite", "infinite"),
    ("odd", "even"),
    ("prime", "composite"),
    ("parallel", "series"),
    ("united", "divided"),
    ("visible", "invisible"),
    ("solid", "liquid"),
    ("solid", "gas"),
    ("primary", "secondary"),
    ("true", "false"),
    ("legal", "illegal"),
    ("legal", "unlawful"),
    ("possible", "impossible"),
    ("able", "unable"),
    ("known", "unknown"),
    ("likely", "unlikely"),
    ("stable", "unstable"),
    ("always", "never"),
    ("all", "none"),
    ("many", "few"),
    ("paid", "unpaid"),
    ("größte", "kleinste"),
    ("höchste", "niedrigste"),
    ("älteste", "jüngste"),
    ("erste", "letzte"),
    ("vor", "nach"),
    ("mehr", "weniger"),
    ("gewinnen", "verlieren"),
    ("erlaubt", "verboten"),
];

static BY_STEM: LazyLock<HashMap<String, HashSet<String>>> = LazyLock::new(|| {
    let mut map: HashMap<String, HashSet<String>> = HashMap::new();
    for (a, b) in PAIRS {
        let (a, b) = (stem(a), stem(b));
        map.entry(a.clone()).or_default().insert(b.clone());
        map.entry(b).or_default().insert(a);
    }
    map
});

/// How many of the stems `asked` are absent from `held`, where an opposite of theirs stands.
pub(crate) fn opposed<'a>(asked: impl Iterator<Item = &'a String>, held: &HashSet<String>) -> usize {
    let against = |word: &&String| {
        !held.contains(*word)
            && BY_STEM.get(*word).is_some_and(|others| others.iter().any(|other| held.contains(other)))
    };
    asked.filter(against).count()
}

#[cfg(test)]
mod tests {
    use wellspring_models::text::words;

    use super::*;

    #[test]
    fn an_opposite_counts_only_where_the_word_itself_is_absent() {
        let stems = |text: &str| words(text).map(|word| stem(&word)).collect::<HashSet<_>>();
        let count = |asked: &str, held: &str| opposed(stems(asked).iter(), &stems(held));
        assert_eq!(count("Which is the largest lake?", "It is the smallest lake"), 1);
        assert_eq!(count("Which is the largest lake?", "neither the largest nor the smallest"), 0);
        assert_eq!(count("What increased?", "Costs decreased"), 1);
        assert_eq!(count("What is a lake?", "It is water"), 0);
    }
}

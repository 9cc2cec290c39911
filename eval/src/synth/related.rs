//! Words that a collection uses alike, out of the collection itself: what stands beside one stands beside the other.
//!
//! A distributional thesaurus (Lin, "Automatic Retrieval and Clustering of Similar Words", COLING-ACL 1998): the contexts
//! of a word are the content words within [`WINDOW`] places of it, weighted by positive pointwise mutual information
//! (Church and Hanks 1990); two words are as related as the cosine of their contexts. It knows no language and no field,
//! so it serves a collection of any; what it calls related is mostly a neighbour in meaning and seldom a true synonym.

use std::collections::HashMap;

use wellspring_models::text::words;

use super::reword::is_stop_word;

/// Content words on each side that are a word's context.
const WINDOW: usize = 4;

/// Contexts kept of a word, the strongest first.
const CONTEXTS: usize = 100;

/// Occurrences below which a word's contexts say nothing.
const FEWEST: u32 = 3;

/// Texts that are read at most: enough for contexts, and a bound on memory.
const TEXTS: usize = 6_000;

/// Related words returned at most.
const RELATED: usize = 30;

/// Contexts of every word that occurs often enough.
pub(super) struct Thesaurus {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// By word: its contexts with weights, of length 1 together.
    contexts: Vec<Vec<(u32, f32)>>,
    /// By context: the words that have it, with the same weights.
    having: Vec<Vec<(u32, f32)>>,
}

impl Thesaurus {
    /// Reads the first [`TEXTS`] texts.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let tokens: Vec<Vec<String>> =
            texts.take(TEXTS).map(|text| words(text).filter(|word| is_content(word)).collect()).collect();
        let mut times: HashMap<&str, u32> = HashMap::new();
        for word in tokens.iter().flatten() {
            *times.entry(word).or_default() += 1;
        }
        let mut names: Vec<String> =
            times.iter().filter(|(_, times)| **times >= FEWEST).map(|(word, _)| (*word).to_owned()).collect();
        names.sort_unstable();
        let numbers: HashMap<String, u32> =
            names.iter().enumerate().map(|(at, word)| (word.clone(), at as u32)).collect();
        let mut together: HashMap<(u32, u32), u32> = HashMap::new();
        for text in &tokens {
            let known: Vec<Option<u32>> = text.iter().map(|word| numbers.get(word).copied()).collect();
            for (at, one) in known.iter().enumerate() {
                for other in known[at + 1..].iter().take(WINDOW) {
                    if let (Some(one), Some(other)) = (*one, *other)
                        && one != other
                    {
                        *together.entry((one.min(other), one.max(other))).or_default() += 1;
                    }
                }
            }
        }
        let contexts = weighted(names.len(), &together);
        let mut having = vec![Vec::new(); names.len()];
        for (word, of) in contexts.iter().enumerate() {
            for (context, weight) in of {
                having[*context as usize].push((word as u32, *weight));
            }
        }
        Self { names, numbers, contexts, having }
    }

    /// Words that stand where this one stands, the most related first; none for a word that is rare or unknown.
    pub(super) fn related(&self, word: &str) -> Vec<&str> {
        let Some(number) = self.numbers.get(word).copied() else { return Vec::new() };
        let mut cosines: HashMap<u32, f32> = HashMap::new();
        for (context, weight) in &self.contexts[number as usize] {
            for (other, of_other) in &self.having[*context as usize] {
                *cosines.entry(*other).or_default() += weight * of_other;
            }
        }
        cosines.remove(&number);
        let mut ranked: Vec<(u32, f32)> = cosines.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(RELATED);
        ranked.into_iter().map(|(other, _)| self.names[other as usize].as_str()).collect()
    }
}

/// Words of letters that carry content; a single ideograph is no word.
fn is_content(word: &str) -> bool {
    word.chars().all(char::is_alphabetic) && word.chars().count() >= 3 && !is_stop_word(word)
}

/// Positive pointwise mutual information of every pair, as unit vectors.
fn weighted(words: usize, together: &HashMap<(u32, u32), u32>) -> Vec<Vec<(u32, f32)>> {
    let mut sums = vec![0_u64; words];
    for ((one, other), times) in together {
        sums[*one as usize] += u64::from(*times);
        sums[*other as usize] += u64::from(*times);
    }
    let all = sums.iter().sum::<u64>() as f64;
    let mut contexts: Vec<Vec<(u32, f32)>> = vec![Vec::new(); words];
    for ((one, other), times) in together {
        let expected = sums[*one as usize] as f64 * sums[*other as usize] as f64 / all;
        let information = (f64::from(*times) / expected).ln() as f32;
        if information > 0.0 {
            contexts[*one as usize].push((*other, information));
            contexts[*other as usize].push((*one, information));
        }
    }
    for of in &mut contexts {
        of.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        of.truncate(CONTEXTS);
        let length = of.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        of.iter_mut().for_each(|(_, weight)| *weight /= length.max(f32::MIN_POSITIVE));
    }
    contexts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_the_same_places_are_related() {
        let texts: Vec<String> = ["hotel", "hostel", "train", "plane"]
            .iter()
            .flat_map(|word| {
                let beside =
                    if word.starts_with('h') { "night room breakfast" } else { "ticket seat departure" };
                (0..4).map(move |_| format!("the {word} {beside}"))
            })
            .collect();
        let thesaurus = Thesaurus::of(texts.iter().map(String::as_str));
        assert_eq!(thesaurus.related("hotel").first(), Some(&"hostel"));
        assert_eq!(thesaurus.related("plane").first(), Some(&"train"));
        assert!(thesaurus.related("zeppelin").is_empty());
    }
}

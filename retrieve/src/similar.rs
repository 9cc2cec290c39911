//! Tells near copies of a passage: how many three-word sequences two texts share, estimated by MinHash.

use std::collections::BTreeSet;

/// Values of a sketch. The estimate of a similarity s deviates by √(s (1 − s) / 128): under 0.03 from 0.9 up.
const VALUES: usize = 128;
/// Words of a sequence.
const WORDS: usize = 3;

/// A text's MinHash over sequences of three words (Broder, "On the resemblance and containment of documents", 1997), and
/// its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sketch {
    lowest: Vec<u64>,
    /// A price list of this year is no copy of last year's.
    numbers: BTreeSet<String>,
}

impl Sketch {
    /// Words as in comparing texts, in lower case; a text of fewer than three is one sequence.
    pub(crate) fn of(text: &str) -> Self {
        let words: Vec<String> = wellspring_models::text::words(text).collect();
        let mut lowest = vec![u64::MAX; VALUES];
        for sequence in words.windows(WORDS.min(words.len()).max(1)) {
            let hash = sequence.iter().fold(OFFSET, |hash, word| fnv(hash, word));
            for (value, seed) in lowest.iter_mut().zip(1_u64..) {
                *value = (*value).min(mixed(hash ^ mixed(seed)));
            }
        }
        let numbers = words.into_iter().filter(|word| word.chars().any(char::is_numeric)).collect();
        Self { lowest, numbers }
    }

    /// Whether the texts share at least this part of their sequences (the Jaccard index, 0 to 1) and all their numbers.
    pub(crate) fn is_like(&self, other: &Self, threshold: f32) -> bool {
        let equal = self.lowest.iter().zip(&other.lowest).filter(|(a, b)| a == b).count();
        self.numbers == other.numbers && equal as f32 >= threshold * VALUES as f32
    }
}

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, with a byte behind each word that no word has.
fn fnv(hash: u64, word: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    word.bytes().chain([0xff]).fold(hash, step)
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads every bit.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &str, b: &str, threshold: f32) -> bool {
        Sketch::of(a).is_like(&Sketch::of(b), threshold)
    }

    /// A hundred words that are all different.
    fn text(from: usize) -> String {
        (from..from + 100).map(|i| format!("word{} ", "x".repeat(i % 50) + &"y".repeat(i / 50))).collect()
    }

    #[test]
    fn copies_are_known_by_their_sequences() {
        assert!(alike("One, two; three four!", "one two three FOUR", 1.0));
        assert!(!alike("one two three four", "four three two one", 0.5));
        // 88 of 108 sequences are shared: 0.81.
        assert!(alike(&text(0), &text(10), 0.7) && !alike(&text(0), &text(10), 0.95));
        assert!(alike("", "?", 1.0) && !alike("", "one", 0.5));
        assert!(alike("two words", "Two words.", 1.0));
    }

    #[test]
    fn other_numbers_are_another_text() {
        let year = |year: u32, price: &str| format!("{} In {year} a night may cost {price} euros.", text(0));
        assert!(alike(&year(2025, "90"), &year(2025, "90"), 1.0));
        assert!(!alike(&year(2025, "90"), &year(2026, "95"), 0.5));
    }
}

//! Estimates token counts from counts of single words, so that every text is tokenised about once and not per candidate.

use std::collections::HashMap;

use text_splitter::ChunkSizer;
use wellspring_models::TokenCounter;

/// Words longer than this are counted in pieces: a run of letters without spaces has no other bound on its size.
const LONGEST_WORD: usize = 96;
/// Words remembered per chunker.
const REMEMBERED: usize = 1 << 17;
/// White space, punctuation and scripts on which tokenizers that do not work word by word give themselves away.
const PROBES: [&str; 6] = [
    "one  two   three",
    "\n\nline\n  indented\n\ttabbed\r\n",
    "It's e-mail: a.b@c.d (see x_1, 3.14%)!",
    "Straße übermäßig \u{a0} naïve",
    "unbelievable internationalization antidisestablishmentarianism",
    "漢字 かな 한국어 русский عربي 👩\u{200d}👧",
];

/// Token counts of words, kept from document to document.
pub(super) type Known = HashMap<Box<str>, u32>;

/// Counts by word, each distinct word tokenised once.
pub(super) struct Words<'c> {
    counter: &'c dyn TokenCounter,
    special: usize,
    known: Known,
}

impl<'c> Words<'c> {
    pub(super) fn new(counter: &'c dyn TokenCounter, known: Known) -> Self {
        Self { counter, special: counter.count(""), known }
    }

    /// What was learned.
    pub(super) fn into_known(self) -> Known {
        self.known
    }

    /// Tokens that any text has: special ones and the passage prefix.
    pub(super) fn special(&self) -> usize {
        self.special
    }

    /// Tokens as the model counts them, special ones included.
    pub(super) fn exact(&self, text: &str) -> usize {
        self.counter.count(text)
    }

    /// What a text takes of a chunk's room, tokens: at least 1 per word, so that words no tokenizer piece stands for do
    /// not make a chunk without end.
    pub(super) fn size(&mut self, text: &str) -> usize {
        words(text).map(|(_, word)| self.word(word).max(1) as usize).sum()
    }

    /// The sum of the tokens of its words, special ones left out: exact for models that tokenise word by word.
    pub(super) fn sum(&mut self, text: &str) -> usize {
        words(text).map(|(_, word)| self.word(word) as usize).sum()
    }

    /// Where the tokens of a text stand, counted as [`Words::size`] does.
    pub(super) fn index<'t>(&mut self, text: &'t str) -> TokenIndex<'t> {
        let mut index = TokenIndex { text, words: Vec::new() };
        let mut before = 0;
        for (start, word) in words(text) {
            index.words.push(Word { start, end: start + word.len(), before });
            before += self.word(word).max(1);
        }
        index.words.push(Word { start: text.len(), end: text.len(), before });
        index
    }

    fn word(&mut self, word: &str) -> u32 {
        if let Some(count) = self.known.get(word) {
            return *count;
        }
        let count = u32::try_from(self.counter.count(word).saturating_sub(self.special)).unwrap_or(u32::MAX);
        if self.known.len() < REMEMBERED {
            self.known.insert(word.into(), count);
        }
        count
    }
}

/// Whether the counts of words add up to that of a text, as far as probes tell: then sums need not be checked one by one.
pub(super) fn adds_up(counter: &dyn TokenCounter) -> bool {
    let mut words = Words::new(counter, Known::new());
    PROBES.iter().all(|probe| words.sum(probe) + words.special() == words.exact(probe))
}

/// Whether the text has a word that is counted in pieces, so that its sum need not be exact.
pub(super) fn has_long_word(text: &str) -> bool {
    text.split_whitespace().any(|word| word.len() > LONGEST_WORD)
}

struct Word {
    start: usize,
    end: usize,
    /// Tokens of all words before it.
    before: u32,
}

/// Tokens of a text by position: any part of it is sized in O(log n).
pub(super) struct TokenIndex<'t> {
    text: &'t str,
    /// Ascending; the last one is empty and stands at the end.
    words: Vec<Word>,
}

impl TokenIndex<'_> {
    /// Estimated tokens of bytes `start..end`; a word that is cut counts by its share, rounded up.
    pub(super) fn tokens(&self, start: usize, end: usize) -> usize {
        self.before(end, true).saturating_sub(self.before(start, false)) as usize
    }

    /// The beginning of the earliest word from which at most so many tokens lie before `at`; `at` if there is none.
    pub(super) fn back(&self, at: usize, tokens: usize) -> usize {
        let least = self.before(at, true).saturating_sub(u32::try_from(tokens).unwrap_or(u32::MAX));
        let word = self.words.get(self.words.partition_point(|word| word.before < least));
        word.map_or(at, |word| word.start.min(at))
    }

    /// The end of the last word up to which at most so many tokens lie behind `at`; `at` if there is none.
    pub(super) fn forward(&self, at: usize, tokens: usize) -> usize {
        let most = self.before(at, false).saturating_add(u32::try_from(tokens).unwrap_or(u32::MAX));
        // A word is whole if the next one begins within the limit.
        let next = self.words.partition_point(|word| word.before <= most).checked_sub(1);
        let word = next.and_then(|next| next.checked_sub(1)).and_then(|last| self.words.get(last));
        word.map_or(at, |word| word.end.max(at))
    }

    fn before(&self, at: usize, up: bool) -> u32 {
        let next = self.words.partition_point(|word| word.end <= at);
        let (Some(word), Some(after)) = (self.words.get(next), self.words.get(next + 1)) else {
            return self.words.last().map_or(0, |word| word.before);
        };
        if at <= word.start {
            return word.before;
        }
        let (inside, length) = ((at - word.start) as u64, (word.end - word.start) as u64);
        let share = u64::from(after.before - word.before) * inside;
        word.before + if up { share.div_ceil(length) } else { share / length } as u32
    }
}

/// The sizer of a text splitter that works on exactly the text of the index.
impl ChunkSizer for &TokenIndex<'_> {
    fn size(&self, chunk: &str) -> usize {
        // The splitter hands in slices of the indexed text: their address says where they stand.
        let start = (chunk.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if start <= self.text.len() && chunk.len() <= self.text.len() - start {
            self.tokens(start, start + chunk.len())
        } else {
            chunk.len()
        }
    }
}

/// Words between white space with their positions, the long ones cut.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = text.as_ptr() as usize;
    text.split_whitespace().flat_map(move |word| {
        let start = word.as_ptr() as usize - base;
        Pieces { rest: word, at: start }
    })
}

struct Pieces<'t> {
    rest: &'t str,
    at: usize,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = (usize, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let cut = self.rest.floor_char_boundary(LONGEST_WORD.min(self.rest.len()));
        let (piece, rest) = self.rest.split_at(cut);
        let at = self.at;
        self.at += cut;
        self.rest = rest;
        Some((at, piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Letters;
    impl TokenCounter for Letters {
        fn count(&self, text: &str) -> usize {
            2 + text.chars().filter(|c| !c.is_whitespace()).count()
        }
    }

    #[test]
    fn parts_of_a_text_add_up() {
        let text = "  ab cde\n\nf  ".to_owned() + &"é".repeat(100);
        let mut words = Words::new(&Letters, Known::new());
        assert_eq!(words.special(), 2);
        assert_eq!((words.size(&text), words.sum(&text)), (106, 106));
        let index = words.index(&text);
        assert_eq!(index.tokens(0, text.len()), 106);
        assert_eq!(index.tokens(0, 4), 2);
        assert_eq!(index.tokens(3, 6), 2);
        assert_eq!(index.tokens(8, 13), 1);
        assert_eq!((&index).size(&text[2..8]), 5);
        assert_eq!(index.tokens(text.len() - 20, text.len()), 10);
        assert_eq!(words.index("").tokens(0, 0), 0);
        assert!(adds_up(&Letters) && has_long_word(&text) && !has_long_word("a b"));
    }

    #[test]
    fn so_many_tokens_back_and_forward() {
        let text = "ab cd e fgh";
        let index = Words::new(&Letters, Known::new()).index(text);
        let back = |tokens| &text[index.back(8, tokens)..8];
        assert_eq!([0, 1, 3, 9].map(back), ["", "e ", "cd e ", "ab cd e "]);
        let forward = |tokens| &text[2..index.forward(2, tokens)];
        assert_eq!([0, 2, 3, 5, 9].map(forward), ["", " cd", " cd e", " cd e", " cd e fgh"]);
    }

    #[test]
    fn counting_white_space_is_noticed() {
        struct Bytes;
        impl TokenCounter for Bytes {
            fn count(&self, text: &str) -> usize {
                text.len()
            }
        }
        assert!(!adds_up(&Bytes));
    }
}

//! How words are weighed: the constants of BM25 and what titles and headings add, chosen anew for every search.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, StoreError};

/// Constants of one search. Nothing of it is in the index, so another choice costs no indexing.
///
/// BM25 is Lucene's form: `idf · (k1 + 1) · tf / (tf + k1 · (1 − b + b · length / average length))` with
/// `idf = ln(1 + (N − n + 0.5) / (n + 0.5))`. Text is scored over title, headings and body together; `title` and `headings`
/// add the score of the same words in those fields alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeywordScoring {
    /// How much a repeated word still adds; 0–10, where 0 counts a word once. The default, exactly 1.2 with `b` 0.75, is
    /// also the fastest: only there can the index skip what cannot win.
    pub k1: f32,
    /// How much longer texts are held back; 0 (not at all) to 1.
    pub b: f32,
    /// What a match in the title adds, as a factor of its BM25 there; 0–10, 0 is off. 0.25–0.5 helps keyword-only search
    /// over titled pages and does nothing once vectors are fused in.
    pub title: f32,
    /// The same for the heading path.
    pub headings: f32,
}

impl Default for KeywordScoring {
    fn default() -> Self {
        Self { k1: Self::K1, b: Self::B, title: 0.0, headings: 0.0 }
    }
}

impl KeywordScoring {
    const K1: f32 = 1.2;
    const B: f32 = 0.75;

    /// Refuses values out of range with `Invalid`, naming the setting and its range.
    pub fn check(&self) -> Result<()> {
        for (name, value, most) in [
            ("keyword.k1", self.k1, 10.0),
            ("keyword.b", self.b, 1.0),
            ("keyword.title", self.title, 10.0),
            ("keyword.headings", self.headings, 10.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(StoreError::new(
                    ErrorKind::Invalid,
                    format!("`{name}` is {value}; it must be 0 to {most}"),
                ));
            }
        }
        Ok(())
    }

    /// Whether the constants are those that tantivy's own scorer has built in.
    pub(super) fn is_built_in(&self) -> bool {
        self.k1 == Self::K1 && self.b == Self::B
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_and_named() {
        let default = KeywordScoring::default();
        default.check().unwrap();
        KeywordScoring { k1: 0.0, b: 0.0, title: 10.0, headings: 10.0 }.check().unwrap();
        for (wrong, named) in [
            (KeywordScoring { k1: 10.1, ..default }, "keyword.k1"),
            (KeywordScoring { b: 1.01, ..default }, "keyword.b"),
            (KeywordScoring { title: -0.1, ..default }, "keyword.title"),
            (KeywordScoring { headings: f32::NAN, ..default }, "keyword.headings"),
        ] {
            let error = wrong.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn only_what_is_named_changes() {
        let read: KeywordScoring = serde_json::from_str(r#"{"k1":0.9,"b":0.4}"#).unwrap();
        assert_eq!(read, KeywordScoring { k1: 0.9, b: 0.4, title: 0.0, headings: 0.0 });
        assert!(!read.is_built_in() && KeywordScoring::default().is_built_in());
    }
}

//! Tells configurations of cutting apart, so that what was cut by one is never taken for what another would cut.

use std::fmt;

use super::{Boundaries, ChunkConfig, Pooling};

/// Changes whenever the same text and configuration give other chunks.
const ALGORITHM: u32 = 2;

impl ChunkConfig {
    /// 16 hexadecimal digits that differ whenever the same text may be cut or embedded differently.
    pub fn fingerprint(&self) -> String {
        let text = format!("{ALGORITHM} {:?}", Identity(self));
        blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect()
    }
}

/// Everything that is set. What came after the first fingerprints were kept is only said where it is not the default: else
/// every document would be cut again for settings that nobody changed.
struct Identity<'a>(&'a ChunkConfig);

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Taken apart, so that a new setting can't be forgotten.
        let ChunkConfig {
            mode,
            target_tokens,
            max_tokens,
            min_tokens,
            overlap_tokens,
            prefix_tokens,
            title,
            headings,
            file_name,
            captions,
            code,
            boundaries,
            pooling,
        } = self.0;
        let mut all = f.debug_struct("ChunkConfig");
        all.field("mode", mode)
            .field("target_tokens", target_tokens)
            .field("max_tokens", max_tokens)
            .field("min_tokens", min_tokens)
            .field("overlap_tokens", overlap_tokens)
            .field("prefix_tokens", prefix_tokens)
            .field("title", title)
            .field("headings", headings)
            .field("file_name", file_name)
            .field("captions", captions)
            .field("code", code);
        if *boundaries != Boundaries::default() {
            all.field("boundaries", boundaries);
        }
        if *pooling != Pooling::default() {
            all.field("pooling", pooling);
        }
        all.finish()
    }
}

/// Whether a setting is left out of the stored form.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_follow_the_configuration() {
        let config = ChunkConfig::default();
        let others = [
            ChunkConfig { overlap_tokens: 0, ..config.clone() },
            ChunkConfig { boundaries: Boundaries::Semantic, ..config.clone() },
            ChunkConfig { pooling: Pooling::Late, ..config.clone() },
            config.clone(),
        ];
        let all: std::collections::BTreeSet<String> = others.iter().map(ChunkConfig::fingerprint).collect();
        assert_eq!(all.len(), others.len());
        assert!(all.iter().all(|one| one.len() == 16));
    }

    #[test]
    fn documents_cut_before_there_were_more_settings_count_as_unchanged() {
        assert_eq!(ChunkConfig::default().fingerprint(), "4c0fdf6f6090ae09");
        let stored = serde_json::to_value(ChunkConfig::default()).unwrap();
        assert!(stored.get("boundaries").is_none() && stored.get("pooling").is_none(), "{stored}");
    }
}

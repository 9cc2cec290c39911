//! Makes fused scores comparable between fusion methods, so that a stage can add a share of them.

use crate::fuse::Fused;

/// The scale of a fused list: `n(s) = (s − lowest) / unit`, from 0 for its last chunk to 1 for its first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    /// The lowest score; one below it where all are equal, so that each then counts as 1.
    pub(crate) lowest: f32,
    /// From the lowest score to the highest; above 0.
    pub(crate) unit: f32,
}

impl Scale {
    /// Of a sorted list; `None` for an empty one.
    pub(crate) fn of(fused: &[Fused]) -> Option<Self> {
        let (highest, lowest) = (fused.first()?.score, fused.last()?.score);
        Some(match highest > lowest {
            true => Self { lowest, unit: highest - lowest },
            false => Self { lowest: lowest - 1.0, unit: 1.0 },
        })
    }

    /// Between 0 and 1.
    pub(crate) fn normal(self, score: f32) -> f32 {
        ((score - self.lowest) / self.unit).clamp(0.0, 1.0)
    }
}

/// Score descending, then key ascending.
pub(crate) fn sort(fused: &mut [Fused]) {
    fused.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
}

#[cfg(test)]
mod tests {
    use wellspring_store::ChunkKey;

    use super::*;

    fn list(scores: &[f32]) -> Vec<Fused> {
        let hit = |(key, &score)| Fused { key: ChunkKey(key), score, dense: None, keyword: None };
        (1..).zip(scores).map(hit).collect()
    }

    #[test]
    fn the_first_is_one_and_the_last_nothing() {
        let scale = Scale::of(&list(&[3.0, 1.0, -1.0])).unwrap();
        assert_eq!([3.0, 1.0, -1.0, -5.0, 9.0].map(|score| scale.normal(score)), [1.0, 0.5, 0.0, 0.0, 1.0]);
        let flat = Scale::of(&list(&[2.0, 2.0])).unwrap();
        assert_eq!((flat.normal(2.0), flat.lowest, flat.unit), (1.0, 1.0, 1.0));
        assert_eq!(Scale::of(&[]), None);
    }
}

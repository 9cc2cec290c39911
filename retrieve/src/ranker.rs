//! Orders hits by a model that was trained on judged queries: a weighted sum of what every stage knows of a hit.
//!
//! What is learned on one collection need not hold on another, so no model is shipped. `eval` trains them, from 200 judged
//! queries up.

mod features;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result, RetrieveError};
use crate::passage::Passage;

pub use features::FEATURES;
pub(crate) use features::rows;

/// The version of the file format that is written; the only one so far.
pub const FORMAT: u32 = 1;

/// Hits that are looked at: as many as training looks at.
pub const CANDIDATES: usize = 100;

/// Scores one hit from its features.
pub trait Ranker: Send + Sync + 'static {
    /// Higher is better; comparable only within one query. `row` has one finite value per name in [`FEATURES`].
    fn score(&self, row: &[f64]) -> f64;
}

/// A linear model: `Σ weightᵢ · (featureᵢ − centerᵢ) / scaleᵢ`. The contents of a model file, which is JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearRanker {
    /// [`FORMAT`].
    pub format: u32,
    /// What the weights belong to; each is one of [`FEATURES`], none twice.
    pub features: Vec<String>,
    /// Mean of each feature in training.
    pub center: Vec<f64>,
    /// Deviation of each feature in training, above 0.
    pub scale: Vec<f64>,
    /// One weight per feature.
    pub weights: Vec<f64>,
    /// What it was trained on, in words.
    pub trained_on: String,
}

/// A model with the place of each of its features in a row.
#[derive(Debug)]
pub(crate) struct ReadyRanker {
    model: LinearRanker,
    places: Vec<usize>,
}

impl LinearRanker {
    /// Reads a model file. `NotFound` without the file, `Invalid` for one that is no model of this format.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read_to_string(path).map_err(|error| {
            RetrieveError::new(ErrorKind::NotFound, format!("the ranker {} can't be read", path.display()))
                .with_source(error)
        })?;
        Self::parse(&text).map_err(|error| {
            RetrieveError::new(error.kind(), format!("the ranker {}: {error}", path.display()))
        })
    }

    /// Reads the contents of a model file.
    pub fn parse(text: &str) -> Result<Self> {
        let model: Self = serde_json::from_str(text).map_err(|error| {
            RetrieveError::new(ErrorKind::Invalid, format!("it is no model: {error}")).with_source(error)
        })?;
        model.places()?;
        Ok(model)
    }

    /// Where each feature stands in a row; `Invalid` if the model can't be used.
    fn places(&self) -> Result<Vec<usize>> {
        let invalid = |why: String| Err(RetrieveError::new(ErrorKind::Invalid, why));
        let Self { format, features, center, scale, weights, .. } = self;
        if *format != FORMAT {
            return invalid(format!("its format is {format}; this version reads {FORMAT}: train it again"));
        }
        let count = features.len();
        if count == 0 || [center.len(), scale.len(), weights.len()] != [count; 3] {
            return invalid(
                "it needs one center, scale and weight per feature, and at least one feature".to_owned(),
            );
        }
        let values = center.iter().chain(scale).chain(weights);
        if values.into_iter().any(|value| !value.is_finite()) || scale.iter().any(|scale| *scale <= 0.0) {
            return invalid("its numbers must be finite, and its scales above 0".to_owned());
        }
        let mut places = Vec::with_capacity(count);
        for name in features {
            match FEATURES.iter().position(|known| known == name) {
                Some(place) if !places.contains(&place) => places.push(place),
                _ => return invalid(format!("the feature {name} is unknown or named twice")),
            }
        }
        Ok(places)
    }

    /// Checked once, used often.
    pub(crate) fn ready(self) -> Result<ReadyRanker> {
        Ok(ReadyRanker { places: self.places()?, model: self })
    }
}

impl Ranker for ReadyRanker {
    fn score(&self, row: &[f64]) -> f64 {
        let LinearRanker { center, scale, weights, .. } = &self.model;
        let standard =
            self.places.iter().zip(center).zip(scale).map(|((place, center), scale)| {
                (row.get(*place).copied().unwrap_or(*center) - center) / scale
            });
        standard.zip(weights).map(|(value, weight)| value * weight).sum()
    }
}

/// Reorders the first [`CANDIDATES`] hits: score descending, then chunk key ascending. On an error they stay as they are.
pub(crate) async fn rank(ranker: &dyn Ranker, query: &str, hits: &mut [Passage]) -> Result<()> {
    let (head, tail) = hits.split_at_mut(CANDIDATES.min(hits.len()));
    for (hit, row) in rows(query, head).await?.iter().enumerate() {
        head[hit].score = ranker.score(row) as f32;
    }
    head.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.key.cmp(&b.place.key)));
    crate::refine::sink(head, tail);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = r#"{"format": 1, "features": ["coverage", "dense_score"], "center": [0.5, 0.0],
        "scale": [0.25, 1.0], "weights": [2.0, -1.0], "trained_on": "by hand"}"#;

    #[test]
    fn a_model_scores_by_hand_whatever_the_order_of_its_features() {
        let ready = LinearRanker::parse(MODEL).unwrap().ready().unwrap();
        let mut row = vec![0.0; FEATURES.len()];
        row[FEATURES.iter().position(|name| *name == "coverage").unwrap()] = 1.0;
        row[FEATURES.iter().position(|name| *name == "dense_score").unwrap()] = 0.3;
        assert!((ready.score(&row) - (2.0 * 2.0 - 0.3)).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (from, to) in [
            ("\"format\": 1", "\"format\": 2"),
            ("coverage", "charm"),
            ("\"coverage\"", "\"dense_score\""),
            ("[0.25, 1.0]", "[0.25, 0.0]"),
            ("[0.25, 1.0]", "[0.25]"),
            ("-1.0", "1e999"),
            ("\"format\"", "\"shape\""),
        ] {
            let text = MODEL.replace(from, to);
            assert_ne!(text, MODEL);
            assert_eq!(LinearRanker::parse(&text).unwrap_err().kind(), ErrorKind::Invalid, "{to}");
        }
        assert_eq!(LinearRanker::read(Path::new("none.json")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// A file of the first format must be read for ever.
    #[test]
    fn the_first_format_is_still_read() {
        let model = LinearRanker::parse(MODEL).unwrap();
        assert_eq!(LinearRanker::parse(&serde_json::to_string(&model).unwrap()).unwrap(), model);
    }
}

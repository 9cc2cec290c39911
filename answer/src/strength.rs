//! Decides whether what was found is enough to answer from, before anything is generated.
//!
//! Two signals: the largest share of the question's content words, weighted by rarity, that one passage (title and
//! headings included) holds, and the best cosine. A question is refused only when both are weak, since either alone is:
//! a paraphrase shares few words, and a foreign language or an identifier has a low cosine.

use std::collections::HashSet;

use wellspring_retrieve::Passage;

use crate::config::RefusalConfig;
use crate::terms::{Rarity, terms};

/// How well the passages fit the question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Strength {
    /// 0–1; `None` for a question without content words.
    pub(crate) coverage: Option<f64>,
    /// −1–1; `None` when the dense leg did not run.
    pub(crate) cosine: Option<f32>,
    /// 1 where both legs put the same passage first, 0 where not, ½ where only one leg ran.
    pub(crate) agreement: f64,
}

impl Strength {
    pub(crate) fn of(question: &str, passages: &[Passage]) -> Self {
        let wanted = terms(question);
        let held: Vec<HashSet<String>> = passages
            .iter()
            .map(|passage| {
                let above = passage.title.iter().chain(&passage.headings);
                above.map(String::as_str).chain([passage.reading().0]).flat_map(terms).collect()
            })
            .collect();
        let rarity = Rarity::among(passages.iter().map(|passage| passage.reading().0));
        let best = held.iter().map(|present| rarity.coverage(&wanted, present)).reduce(f64::max);
        let cosine =
            passages.iter().filter_map(|passage| passage.explain.as_ref()?.dense?.score).reduce(f32::max);
        Self { coverage: best.filter(|_| !wanted.is_empty()), cosine, agreement: agreement(passages) }
    }

    /// Why the question is refused, or `None` if it is not: see [`RefusalConfig::is_off_topic`].
    pub(crate) fn refusal(&self, limits: &RefusalConfig) -> Option<String> {
        if !limits.is_off_topic(self.coverage, self.cosine.map(f64::from)) {
            return None;
        }
        let mut found = Vec::new();
        if let Some(coverage) = self.coverage {
            found.push(format!(
                "the best passage holds {:.0} % of the question's words by weight (at least {:.0} % needed)",
                coverage * 100.0,
                limits.min_coverage * 100.0
            ));
        }
        if let Some(cosine) = self.cosine {
            found.push(format!(
                "its best similarity is {cosine:.2} (at least {:.2} needed)",
                limits.min_cosine
            ));
        }
        Some(format!("nothing found fits the question well enough: {}", found.join(" and ")))
    }
}

fn agreement(passages: &[Passage]) -> f64 {
    let mut both = 0.5;
    for explain in passages.iter().filter_map(|passage| passage.explain.as_ref()) {
        let (Some(dense), Some(keyword)) = (explain.dense, explain.keyword) else { continue };
        if (dense.rank, keyword.rank) == (Some(1), Some(1)) {
            return 1.0;
        }
        both = 0.0;
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_signals_must_be_weak() {
        let limits = RefusalConfig { min_coverage: 0.4, min_cosine: 0.3, ..RefusalConfig::default() };
        let refused =
            |coverage, cosine| Strength { coverage, cosine, agreement: 0.5 }.refusal(&limits).is_some();
        assert!(refused(Some(0.1), Some(0.1)));
        assert!(!refused(Some(0.5), Some(0.1)));
        assert!(!refused(Some(0.1), Some(0.5)));
        assert!(refused(Some(0.1), None));
        assert!(refused(None, Some(0.1)));
        assert!(!refused(None, None));
        assert!(!refused(Some(0.4), Some(0.3)), "a threshold itself is enough");
    }
}

//! What a search asks besides the query itself: other wordings, guesses and parts of it, and what its first hits teach.
//!
//! Every technique is off by default, runs within a time budget, is named in the explanation, and costs nothing but
//! itself when it fails: the query as it was asked always counts most.

mod acronyms;
mod blend;
mod chat;
mod feedback;
mod rules;
mod wider;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wellspring_models::registry::{Purpose, Registry};

use crate::config::within;
use crate::error::Result;
use crate::explain::{Degraded, Timings};
use crate::passage::Passage;
use crate::query::Query;

pub(crate) use wider::Wider;

use acronyms::other_forms;
use blend::Extras;
use feedback::{candidates, promote};

/// Its name among the legs that can be degraded, and among the timings.
pub(crate) const EXPAND: &str = "expand";

/// Hits of the first round that acronyms are mined from.
pub(crate) const MINED: usize = 30;

/// Share of all rewritings or parts together, where the query itself has 1.
const REWRITTEN_WEIGHT: f64 = 1.0;
/// Share of the query with an acronym written out, or the other way round.
const ACRONYM_WEIGHT: f64 = 0.5;

/// Settings of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExpandConfig {
    /// Places among the rerank stage's candidates that go to the best hits of a search by feedback (RM3 over words,
    /// Rocchio over vectors) which the query itself ranks lower; 0 to 500, 0 is off. They are scored with the query as it
    /// was asked, so without a stage that reads more than `k` hits nothing changes.
    pub feedback: usize,
    /// Whether a query with an acronym is also asked with the long form that the first hits define, and the other way
    /// round, at half its weight.
    pub acronyms: bool,
    /// What a chat model adds.
    pub chat: ChatExpansion,
    /// Most queries, passages or parts that it may add, 1 to 8.
    pub queries: usize,
    /// Milliseconds it may take, 1 to 60 000; the query stands alone if it takes longer.
    pub budget_ms: u64,
}

/// What the chat model of the `expand` route is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatExpansion {
    /// Nothing.
    #[default]
    None,
    /// Other wordings, each searched for; the rankings are joined by reciprocal ranks.
    MultiQuery,
    /// Passages that could answer; their mean with the query is what the vector leg looks for. Gao et al., "Precise
    /// Zero-Shot Dense Retrieval without Relevance Labels" (HyDE), ACL 2023.
    Hyde,
    /// The parts of a question, each searched for. Without a chat model, obvious conjunctions and comparisons are split
    /// by rule.
    Decompose,
}

impl Default for ExpandConfig {
    fn default() -> Self {
        Self { feedback: 0, acronyms: false, chat: ChatExpansion::None, queries: 3, budget_ms: 2_000 }
    }
}

impl ExpandConfig {
    /// `Invalid` names the setting and its range.
    pub(crate) fn check(&self) -> Result<()> {
        within("expand.feedback", self.feedback as u64, 0, 500)?;
        within("expand.queries", self.queries as u64, 1, 8)?;
        within("expand.budget_ms", self.budget_ms, 1, 60_000)
    }
}

/// One thing that was asked besides the query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expanded {
    /// `multi_query`, `hyde`, `decompose`, `rules`, `acronym` or `feedback`.
    pub by: &'static str,
    /// What was asked: a query, a passage, or the weighed words of feedback.
    pub text: String,
    /// Its share of the ranking, where the query itself has 1; 0 where it only finds candidates.
    pub weight: f64,
    /// The version of the prompt that a chat model wrote it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// What is known before the first round.
#[derive(Debug, Default)]
struct Expansion {
    /// Queries to search for besides, and what is only told.
    added: Vec<Expanded>,
    /// Passages whose mean with the query's vector replaces it.
    passages: Vec<String>,
    degraded: Option<Degraded>,
}

/// Asks the chat model, if that is wanted, within the budget. Never fails: what went wrong is said in `degraded`.
async fn expand(asked: &Query, registry: &Registry, timings: &mut Timings) -> Expansion {
    if asked.expand.chat == ChatExpansion::None {
        return Expansion::default();
    }
    let start = Instant::now();
    let expansion = by_chat(asked, registry).await;
    timings.add(EXPAND, start);
    expansion
}

async fn by_chat(asked: &Query, registry: &Registry) -> Expansion {
    let (settings, query) = (&asked.expand, asked.text.as_str());
    let budget = Duration::from_millis(settings.budget_ms);
    let by_rules = || match settings.chat {
        ChatExpansion::Decompose => weighed(rules::parts(query), "rules", None, settings.queries),
        _ => Vec::new(),
    };
    let lost = |reason: String| {
        let reason = format!("{reason}; the query is searched as it was asked");
        Expansion { added: by_rules(), degraded: Some(failed(reason)), ..Expansion::default() }
    };
    let model = match registry.route_for(Purpose::Expand, &asked.account, budget) {
        Ok(Some(model)) => model,
        // Rules are what decomposition without a model is; the others have nothing without one.
        Ok(None) if settings.chat == ChatExpansion::Decompose => {
            return Expansion { added: by_rules(), ..Expansion::default() };
        }
        Ok(None) => return lost("there is no chat model for `models.routes.expand`".to_owned()),
        Err(error) => return lost(error.to_string()),
    };
    let written = chat::write(model.as_ref(), settings.chat, query, settings.queries);
    match tokio::time::timeout(budget, written).await {
        Ok(Ok(texts)) => {
            let (by, prompt) = (settings.chat.name(), Some(chat::version(settings.chat)));
            match settings.chat {
                ChatExpansion::Hyde => {
                    let told = |text: &String| Expanded {
                        by,
                        text: text.clone(),
                        weight: 0.0,
                        prompt: prompt.clone(),
                    };
                    Expansion { added: texts.iter().map(told).collect(), passages: texts, degraded: None }
                }
                _ => {
                    Expansion { added: weighed(texts, by, prompt, settings.queries), ..Expansion::default() }
                }
            }
        }
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "query expansion failed");
            lost(error.to_string())
        }
        Err(_) => lost(format!("the chat model did not expand the query within {} ms", settings.budget_ms)),
    }
}

impl ChatExpansion {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::MultiQuery => "multi_query",
            Self::Hyde => "hyde",
            Self::Decompose => "decompose",
        }
    }
}

fn weighed(texts: Vec<String>, by: &'static str, prompt: Option<String>, most: usize) -> Vec<Expanded> {
    let share = REWRITTEN_WEIGHT / texts.len().clamp(1, most) as f64;
    let one = |text| Expanded { by, text, weight: share, prompt: prompt.clone() };
    texts.into_iter().take(most).map(one).collect()
}

/// The query with acronyms written out, or shortened, as the passages define them.
fn by_acronyms(query: &str, passages: &[Passage]) -> Vec<Expanded> {
    let texts: Vec<&str> = passages.iter().take(MINED).map(|passage| passage.text.as_str()).collect();
    let one = |text| Expanded { by: "acronym", text, weight: ACRONYM_WEIGHT, prompt: None };
    other_forms(query, &texts).into_iter().map(one).collect()
}

pub(crate) fn failed(reason: String) -> Degraded {
    Degraded { leg: EXPAND.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_one_table_with_named_choices() {
        let config: ExpandConfig =
            serde_json::from_str(r#"{"chat": "multi_query", "acronyms": true, "queries": 2}"#).unwrap();
        assert_eq!((config.chat, config.budget_ms, config.feedback), (ChatExpansion::MultiQuery, 2_000, 0));
        assert!(config.check().is_ok());
        assert!(serde_json::from_str::<ExpandConfig>(r#"{"chat": "guess"}"#).is_err());
        for wrong in [
            ExpandConfig { queries: 0, ..config.clone() },
            ExpandConfig { feedback: 501, ..config.clone() },
            ExpandConfig { budget_ms: 0, ..config.clone() },
        ] {
            assert!(wrong.check().is_err());
        }
    }

    #[test]
    fn rewritings_share_one_weight() {
        let added = weighed(vec!["a".to_owned(), "b".to_owned()], "multi_query", None, 8);
        assert_eq!(added.iter().map(|one| one.weight).sum::<f64>(), 1.0);
        let added = weighed(vec!["a".to_owned(), "b".to_owned()], "rules", None, 1);
        assert_eq!(added.iter().map(|one| one.weight).collect::<Vec<_>>(), [1.0]);
    }
}

//! A second opinion on what an answer says: a chat model scores how well passages support the claims that the local checker kept.
//!
//! A judge can only take away. What the local checker left out stays out, so a document that talks to the judge gains nothing by
//! it. A judge that can't serve changes nothing, and the answer says so.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wellspring_models::prompt::{as_data, fence, fill};
use wellspring_models::structured::{Fitting, Shape};
use wellspring_models::{ChatRequest, ErrorKind, Message, ModelError, Purpose, Role};
use wellspring_retrieve::{Degraded, Passage};

use crate::config::{Unsupported, within};
use crate::error::Result;
use crate::ground::{Checked, Claim};
use crate::prompt;
use crate::reply::{Decision, PromptVersion, Warning};
use crate::run::Run;

const SYSTEM: &str = include_str!("prompts/judge_system.md");
const USER: &str = include_str!("prompts/judge_user.md");

/// Claims that one call judges; of a longer answer the rest is checked locally alone.
const MOST: usize = 60;
/// Tokens of the reply: a few for each verdict.
const REPLY_TOKENS: u32 = 1_500;

/// Whether, and how strictly, a chat model judges the sentences of generated answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JudgeConfig {
    /// Whether it does. A streamed answer is then shown at its end, once all of it was judged.
    pub on: bool,
    /// The judge's name in the registry; unset: the first of `models.routes.judge` that can serve.
    pub model: Option<String>,
    /// Least support (0–1) that the judge must see in a sentence that is kept.
    pub min_support: f64,
    /// Milliseconds for judging one answer, 100 to 600 000.
    pub deadline_ms: u64,
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self { on: false, model: None, min_support: 0.5, deadline_ms: 20_000 }
    }
}

impl JudgeConfig {
    /// Refuses values out of range with `Invalid`, naming the setting and its range.
    pub(crate) fn check(&self) -> Result<()> {
        within("judge.min_support", self.min_support, 0.0, 1.0)?;
        within("judge.deadline_ms", self.deadline_ms as f64, 100.0, 600_000.0)
    }
}

/// Who judged an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judge {
    /// The chat model that answered.
    pub model: String,
    /// The prompt it was asked with.
    pub prompt: PromptVersion,
}

/// What a judge replies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verdicts {
    /// One for each claim.
    verdicts: Vec<Verdict>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verdict {
    /// The claim's number.
    claim: usize,
    /// How well the passages support it.
    #[schemars(range(min = 0.0, max = 1.0))]
    support: f64,
}

fn version() -> PromptVersion {
    PromptVersion { name: "judge", hash: wellspring_models::prompt::version(&[SYSTEM, USER]) }
}

impl Run {
    /// Whether sentences wait for a judge before they are shown.
    pub(crate) fn is_judged(&self) -> bool {
        self.answerer.config.judge.on
    }

    /// The sentences as the judge leaves them: one that it finds unsupported is left out or marked. Without a judge, or where
    /// it fails, they are as they were.
    pub(crate) async fn judged(
        &mut self,
        passages: &[(usize, &Passage)],
        mut sentences: Vec<Checked>,
    ) -> Vec<Checked> {
        // What a tool computed stands in no passage, and the reader is told so already.
        let judgeable = |checked: &Checked| {
            let computed = checked.warnings.iter().any(|warning| warning.code == "computed");
            checked.decision == Decision::Kept && checked.claim.is_some() && !computed
        };
        let kept: Vec<usize> =
            (0..sentences.len()).filter(|&at| judgeable(&sentences[at])).take(MOST).collect();
        if !self.is_judged() || kept.is_empty() {
            return sentences;
        }
        let claims: Vec<&Claim> = kept.iter().filter_map(|&at| sentences[at].claim.as_ref()).collect();
        let supports = match self.ask_judge(passages, &claims).await {
            Ok(supports) => supports,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "claims are checked without a judge"
                );
                let reason = format!("claims were checked by the local checker alone: {error}");
                self.degraded.push(Degraded { leg: "judge".to_owned(), reason });
                return sentences;
            }
        };
        let config = &self.answerer.config;
        for (at, support) in kept.into_iter().zip(supports) {
            sentences[at].heed(support, config.judge.min_support, config.unsupported);
        }
        sentences
    }

    /// The support of each claim, in their order.
    async fn ask_judge(
        &mut self,
        passages: &[(usize, &Passage)],
        claims: &[&Claim],
    ) -> std::result::Result<Vec<f64>, ModelError> {
        let config = &self.answerer.config.judge;
        let limit = Duration::from_millis(config.deadline_ms);
        let registry = &self.answerer.registry;
        let judge = match &config.model {
            Some(name) => registry.chat_for(Some(name), Purpose::Judge, &self.account)?,
            None => registry.route_for(Purpose::Judge, &self.account, limit)?,
        };
        let Some(judge) = judge else {
            let message = "no chat model is configured to judge: name one in `models.routes.judge`";
            return Err(ModelError::new(ErrorKind::Invalid, message));
        };
        let shape = Shape::of::<Verdicts>("verdicts", "How well the passages support each claim")?;
        let count = claims.len();
        let rules = move |value: &Value| complete(value, count);
        let request = request(passages, claims, &fence()?);
        let asked = shape.complete(judge.as_ref(), request, rules);
        let Fitting { value, served_by, .. } = tokio::time::timeout(limit, asked).await.map_err(|_| {
            let message = format!("the judge did not finish within {} ms", limit.as_millis());
            ModelError::new(ErrorKind::Timeout, message)
        })??;
        let Verdicts { mut verdicts } = serde_json::from_value(value).map_err(|error| {
            ModelError::new(ErrorKind::Internal, "checked verdicts can't be read").with_source(error)
        })?;
        verdicts.sort_by_key(|verdict| verdict.claim);
        self.details.judge = Some(Judge { model: served_by, prompt: version() });
        Ok(verdicts.into_iter().map(|verdict| verdict.support).collect())
    }
}

impl Checked {
    /// Takes the judge's word for a kept sentence.
    fn heed(&mut self, support: f64, least: f64, unsupported: Unsupported) {
        let Some(claim) = &mut self.claim else { return };
        claim.judged = Some(support);
        if support >= least {
            return;
        }
        claim.citations.clear();
        let said = &claim.text;
        let (decision, message) = match unsupported {
            Unsupported::Drop => (
                Decision::Dropped,
                format!("a sentence was left out because the judge found no support: {said}"),
            ),
            Unsupported::Mark => {
                (Decision::Marked, format!("the judge found no support for this sentence: {said}"))
            }
        };
        self.warnings.push(Warning { code: "unsupported_claim", message });
        self.decision = decision;
    }
}

/// What is wrong with verdicts on `count` claims beyond their form: each claim has exactly one.
fn complete(value: &Value, count: usize) -> Vec<String> {
    let verdicts = value["verdicts"].as_array().into_iter().flatten();
    let mut judged: Vec<u64> = verdicts.filter_map(|verdict| verdict["claim"].as_u64()).collect();
    judged.sort_unstable();
    let wanted: Vec<u64> = (1..=count as u64).collect();
    if judged == wanted {
        Vec::new()
    } else {
        vec![format!("give exactly one verdict for each claim, 1 to {count}")]
    }
}

/// The question to the judge: the passages that are cited, and the claims, both as data.
fn request(passages: &[(usize, &Passage)], claims: &[&Claim], fence: &str) -> ChatRequest {
    let cited = |n: usize| claims.iter().any(|claim| claim.citations.iter().any(|citation| citation.n == n));
    let shown = passages.iter().filter(|(place, _)| cited(place + 1));
    let quoted: Vec<String> =
        shown.map(|(place, passage)| prompt::quote(place + 1, passage, fence)).collect();
    let told: Vec<String> = claims
        .iter()
        .enumerate()
        .map(|(at, claim)| {
            let mut numbers: Vec<String> =
                claim.citations.iter().map(|citation| citation.n.to_string()).collect();
            numbers.dedup();
            let (n, named, said) = (at + 1, numbers.join(", "), as_data(&claim.text));
            format!("<claim-{fence} n=\"{n}\" passages=\"{named}\">\n{said}\n</claim-{fence}>")
        })
        .collect();
    let values = [("fence", fence), ("passages", &quoted.join("\n\n")), ("claims", &told.join("\n\n"))];
    let message = |role, template| Message { role, content: fill(template, &values).trim_end().to_owned() };
    ChatRequest {
        messages: vec![message(Role::System, SYSTEM), message(Role::User, USER)],
        max_tokens: REPLY_TOKENS,
        temperature: 0.0,
        ..ChatRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_claim_has_exactly_one_verdict() {
        let verdicts = |claims: &[u64]| json!({ "verdicts": claims.iter().map(|n| json!({ "claim": n, "support": 1.0 })).collect::<Vec<_>>() });
        assert!(complete(&verdicts(&[2, 1]), 2).is_empty());
        for wrong in [&[1][..], &[1, 1], &[1, 2, 3], &[0, 1], &[]] {
            assert_eq!(complete(&verdicts(wrong), 2).len(), 1, "{wrong:?}");
        }
        let shape = Shape::of::<Verdicts>("verdicts", "x").unwrap();
        assert!(shape.errors(&verdicts(&[1])).is_empty());
        assert!(!shape.errors(&json!({ "verdicts": [{ "claim": 1, "support": 1.5 }] })).is_empty());
    }
}

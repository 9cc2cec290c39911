//! The end of a run: the last look at what is cited, and the answer or refusal put together.

use std::time::Instant;

use tracing::Instrument;
use wellspring_retrieve::Passage;

use super::Run;
use crate::error::Result;
use crate::ground::Claim;
use crate::prompt;
use crate::recheck::{Rechecked, recheck};
use crate::reply::{Answer, Citation, Decision, NumberedPassage};
use crate::{spans, structured};

/// What a refusal says in place of an answer.
const REFUSAL: &str = "The documents do not answer this question.";

impl Run {
    pub(crate) async fn finish(&mut self, start: Instant, passages: Vec<Passage>) -> Result<Answer> {
        let claims = std::mem::take(&mut self.claims);
        let passages = self.recheck(claims, passages).await?;
        if self.claims.iter().all(|claim| claim.citations.is_empty()) {
            let reason = "every supporting document was changed or deleted while the answer was made, or none supports it";
            return Ok(self.assemble(start, REFUSAL.to_owned(), passages, Some(reason.to_owned())));
        }
        let text: String = self.claims.iter().map(Claim::shown).collect();
        Ok(self.assemble(start, text.trim_start().to_owned(), passages, None))
    }

    pub(crate) async fn refuse(
        &mut self,
        start: Instant,
        passages: Vec<Passage>,
        reason: String,
    ) -> Result<Answer> {
        let passages = self.recheck(Vec::new(), passages).await?;
        Ok(self.assemble(start, REFUSAL.to_owned(), passages, Some(reason)))
    }

    async fn recheck(&mut self, claims: Vec<Claim>, passages: Vec<Passage>) -> Result<Vec<NumberedPassage>> {
        let stage = Instant::now();
        let found = passages.len();
        let Rechecked { claims, passages, warnings } =
            recheck(&self.answerer.retriever, &self.scope, claims, passages)
                .instrument(spans::recheck())
                .await?;
        self.timings.add("recheck", stage);
        self.claims = claims;
        if !warnings.is_empty() || passages.len() < found {
            // A sentence that was left out may still tell of what is gone, and so may what an agent asked for after reading it.
            self.dropped.clear();
            self.details.steps.clear();
            self.forget_texts();
        }
        let there = |n: usize| passages.iter().any(|passage| passage.n == n);
        self.conflicts.retain(|conflict| conflict.sides.iter().all(|side| there(side.n)));
        for warning in warnings {
            self.warn(warning).await;
        }
        Ok(passages)
    }

    /// Takes out of the warnings what was read in the passages, since one of them is gone.
    fn forget_texts(&mut self) {
        self.warnings.retain(|warning| warning.code != "conflicting_passages");
        for warning in self.warnings.iter_mut().filter(|warning| warning.code == "unsupported_claim") {
            "a sentence had no support in any passage".clone_into(&mut warning.message);
        }
    }

    fn assemble(
        &mut self,
        start: Instant,
        answer: String,
        passages: Vec<NumberedPassage>,
        refused: Option<String>,
    ) -> Answer {
        self.timings.0.remove("total");
        self.timings.add("total", start);
        structured::settle(&mut self.details, &self.claims, refused.as_deref());
        let citations: Vec<Citation> = match refused {
            Some(_) => Vec::new(),
            None => self.claims.iter().flat_map(|claim| claim.citations.clone()).collect(),
        };
        let shown = self.claims.iter().filter(|_| refused.is_none()).map(|claim| {
            claim.record(if claim.citations.is_empty() { Decision::Marked } else { Decision::Kept })
        });
        let claims = shown.chain(self.dropped.iter().map(|claim| claim.record(Decision::Dropped))).collect();
        Answer {
            answer,
            short_answer: self.short.take().filter(|short| {
                // Only where its sentence is still cited, and so was looked at once more.
                citations
                    .iter()
                    .any(|c: &Citation| c.n == short.n && c.start <= short.start && short.end <= c.end)
            }),
            citations,
            claims,
            confidence: self.confidence.take(),
            conflicts: std::mem::take(&mut self.conflicts),
            abstained: refused.is_some(),
            reason: refused,
            complete: self.complete,
            passages,
            usage: self.usage,
            spending: self.account.statement(),
            prompt: self.model.as_ref().map(|_| self.details.prompt.take().unwrap_or_else(prompt::version)),
            model: self.model.clone(),
            warnings: std::mem::take(&mut self.warnings),
            degraded: std::mem::take(&mut self.degraded),
            timings: std::mem::take(&mut self.timings),
            details: std::mem::take(&mut self.details),
        }
    }
}

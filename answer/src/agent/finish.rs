//! What an agent wrote becomes an answer: every sentence is checked against what was found, as in any answer.

use std::sync::Arc;
use std::time::Instant;

use wellspring_models::{ChatModel, ChatReply, FinishReason, Usage};
use wellspring_retrieve::Passage;

use super::version;
use crate::claims::Claims;
use crate::error::Result;
use crate::ground::support::Finding;
use crate::ground::{Checked, Grounds};
use crate::reply::{Answer, AnswerEvent, Decision, NumberedPassage, Warning};
use crate::run::{Run, Written, says_no_answer};
use crate::structured::{UNFIT, UserForm};

impl Run {
    /// The answer or refusal made of an agent's last words. `computed` are numbers that its tools gave.
    pub(super) async fn answer_from(
        &mut self,
        start: Instant,
        (passages, question): (Vec<Passage>, &str),
        reply: ChatReply,
        usage: Usage,
        computed: &[String],
    ) -> Result<Answer> {
        self.usage = Some(usage);
        self.details.prompt = Some(version());
        self.announce(&passages).await;
        self.events.send(AnswerEvent::Usage(usage)).await;
        self.model = Some(reply.served_by);
        let text = reply.text.trim();
        if passages.is_empty() {
            let reason = if text.is_empty() {
                "the agent found nothing"
            } else {
                "the agent answered without having found anything"
            };
            return self.refuse(start, passages, reason.to_owned()).await;
        }
        if says_no_answer(text) {
            return self
                .refuse(start, passages, "the agent found no answer in the documents".to_owned())
                .await;
        }
        if text.is_empty() {
            return self
                .refuse(start, passages, "the agent gave no answer before it had to".to_owned())
                .await;
        }
        tracing::debug!(question, passages = passages.len(), "checking an agent's answer");
        let usable = self.usable(&passages).await;
        let shown: Vec<(usize, &Passage)> = usable.iter().map(|(at, passage)| (*at, passage)).collect();
        self.complete = reply.finish == FinishReason::Stop;
        let (checking, time) = (self.checking().await, Arc::clone(&self.budget));
        let grounds = self.grounds(checking, &time, &shown).await?;
        let mut claims = Claims::default();
        let mut sentences = claims.push(text);
        sentences.extend(claims.finish(self.complete));
        let mut checked = Vec::new();
        for sentence in sentences {
            checked.extend(self.check_computed(&grounds, &sentence, computed).await?);
        }
        for checked in self.judged(&shown, checked).await {
            self.take_decided(checked).await;
        }
        if self.claims.is_empty() {
            let reason = "no sentence of the answer was supported by the passages".to_owned();
            return self.refuse(start, passages, reason).await;
        }
        self.finish(start, passages).await
    }

    /// The answer or refusal in a schema of the asker's own, made of what an agent found.
    pub(super) async fn fill_in_from(
        &mut self,
        start: Instant,
        model: Arc<dyn ChatModel>,
        (passages, question): (Vec<Passage>, &str),
        form: &UserForm,
        usage: Usage,
    ) -> Result<Answer> {
        self.usage = Some(usage);
        self.announce(&passages).await;
        if passages.is_empty() {
            return self.refuse(start, passages, "the agent found nothing".to_owned()).await;
        }
        let usable = self.usable(&passages).await;
        let checking = self.checking().await;
        match self.fill_in(model, question, &usable, checking, form).await? {
            Written::Text if !self.claims.is_empty() => self.finish(start, passages).await,
            Written::Unfit => self.refuse(start, passages, UNFIT.to_owned()).await,
            Written::Text | Written::NoAnswer => {
                let reason = "no sentence of the answer was supported by the passages".to_owned();
                self.refuse(start, passages, reason).await
            }
        }
    }

    /// Tells what was found, and what of it looks doubtful.
    async fn announce(&mut self, passages: &[Passage]) {
        let numbered = passages.iter().cloned().enumerate();
        let passages: Vec<NumberedPassage> =
            numbered.map(|(index, passage)| NumberedPassage::new(index, passage)).collect();
        self.doubtful = passages.iter().filter(|passage| passage.is_doubtful()).map(|p| p.n).collect();
        let degraded = self.degraded.clone();
        self.events.send(AnswerEvent::Retrieval { passages, degraded }).await;
    }

    /// As any sentence; one that only lacks numbers which a tool gave is checked without them, and the reader is told.
    async fn check_computed(
        &self,
        grounds: &Grounds<'_>,
        sentence: &str,
        computed: &[String],
    ) -> Result<Option<Checked>> {
        if says_no_answer(sentence) {
            return Ok(None);
        }
        let first = grounds.check(sentence).await?;
        let lacks = first.claim.as_ref().map(|claim| claim.findings.clone()).unwrap_or_default();
        let given = |finding: &Finding| match finding {
            Finding::Number(value) => computed.iter().any(|number| same_number(number, value)),
            _ => false,
        };
        if first.decision == Decision::Kept || lacks.is_empty() || !lacks.iter().all(given) {
            return Ok(Some(first));
        }
        let mut without = sentence.to_owned();
        for finding in &lacks {
            if let Finding::Number(value) = finding {
                without = without_number(&without, value);
            }
        }
        let second = grounds.check(&without).await?;
        let (Checked { decision: Decision::Kept, claim: Some(mut kept), mut warnings }, Some(whole)) =
            (second, &first.claim)
        else {
            return Ok(Some(first));
        };
        kept.text = whole.text.clone();
        for citation in &mut kept.citations {
            citation.claim = kept.text.clone();
        }
        let message = format!("a number was computed by a tool, not found in the documents: {}", kept.text);
        warnings.push(Warning { code: "computed", message });
        Ok(Some(Checked { claim: Some(kept), decision: Decision::Kept, warnings }))
    }
}

fn same_number(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
        _ => a == b,
    }
}

/// The text without the words that are this number.
fn without_number(text: &str, value: &str) -> String {
    let plain = |word: &str| {
        let inner = word.trim_matches(|c: char| !c.is_ascii_digit()).replace([',', '_', '\''], "");
        !inner.is_empty() && same_number(&inner, value)
    };
    let kept: Vec<&str> = text.split(' ').filter(|word| !plain(word)).collect();
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_out_however_it_is_written() {
        assert_eq!(
            without_number("It costs 1,250 EUR in 12 months [1].", "1250"),
            "It costs EUR in 12 months [1]."
        );
        assert_eq!(without_number("It is $12.50.", "12.5"), "It is");
        assert!(same_number("391", "391.0") && !same_number("391", "392"));
    }
}

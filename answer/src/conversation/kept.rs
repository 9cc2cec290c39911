//! An answer as it is kept: which places of which documents it rests on, so that it says nothing that is gone.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wellspring_retrieve::{
    ChunkId, CollectionScope, DocumentId, ErrorKind as RetrieveKind, Passage, Retriever, Version,
};

use crate::agent::Step;
use crate::error::{AnswerError, ErrorKind, Result};
use crate::markdown;
use crate::reply::{Answer, Citation, Decision};
use crate::safe;

/// The version of this form; a newer one is not read.
const VERSION: u32 = 1;

/// An answer without any text of documents: what it quoted is read again whenever it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptAnswer {
    v: u32,
    claims: Vec<KeptClaim>,
    /// Why it was a refusal.
    refused: Option<String>,
    /// The chat model that wrote it.
    model: Option<String>,
    complete: bool,
    /// Whether a sentence of it was withdrawn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    withdrew: bool,
    /// The agent's run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Uuid>,
    /// Every step of the agent that made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct KeptClaim {
    /// What a model wrote; `None` for a quoted sentence.
    text: Option<String>,
    places: Vec<Place>,
}

/// Where a citation's quote stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    n: usize,
    document_id: DocumentId,
    chunk_id: ChunkId,
    version: Version,
    start: usize,
    end: usize,
    page: Option<u32>,
    support: f64,
}

/// A kept answer as its reader may see it now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recalled {
    /// The text with `[n]` after each sentence; empty when nothing is left.
    pub answer: String,
    /// Every one visible now, its quote byte for byte the stored text.
    pub citations: Vec<Citation>,
    /// Whether it was a refusal.
    pub abstained: bool,
    /// Why it was a refusal.
    pub reason: Option<String>,
    /// The chat model that wrote it; `None` for quoted sentences.
    pub model: Option<String>,
    /// `false` when the generation was cut short.
    pub complete: bool,
    /// Sentences that are not shown any more, since what they rest on was changed, deleted or withheld from the reader.
    pub withdrawn: usize,
    /// Whether any sentence was withdrawn, now or before: what was made of the whole answer may tell of what is gone.
    #[serde(skip)]
    pub lost: bool,
    /// The agent's run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Uuid>,
    /// Every step of the agent that made it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

impl KeptAnswer {
    /// Reads what was kept. `Conflict` for what a newer release wrote.
    pub fn read(kept: serde_json::Value) -> Result<Self> {
        let unreadable = || {
            AnswerError::new(
                ErrorKind::Conflict,
                "a kept answer was written by a newer release; use that one",
            )
        };
        let answer: Self = serde_json::from_value(kept).map_err(|_| unreadable())?;
        if answer.v == VERSION { Ok(answer) } else { Err(unreadable()) }
    }

    /// What is kept of an answer.
    pub fn of(answer: &Answer) -> Self {
        let quoted = answer.model.is_none();
        let shown = answer.claims.iter().filter(|claim| claim.decision != Decision::Dropped);
        let claims = shown.filter(|_| !answer.abstained).map(|claim| KeptClaim {
            text: (!quoted).then(|| claim.text.clone()),
            places: answer.citations.iter().filter(|one| one.claim == claim.text).map(Place::of).collect(),
        });
        Self {
            v: VERSION,
            claims: claims.collect(),
            refused: answer.reason.clone(),
            model: answer.model.clone(),
            complete: answer.complete,
            withdrew: false,
            run: answer.details.run,
            steps: answer.details.steps.clone(),
        }
    }

    /// The answer as the scope may see it now, and what is left of it where documents are gone: to be kept in its place.
    /// A sentence whose every citation is gone, goes.
    pub async fn recall(
        &self,
        retriever: &Retriever,
        scope: &CollectionScope,
    ) -> Result<(Recalled, Option<Self>)> {
        let ids: Vec<ChunkId> =
            self.claims.iter().flat_map(|claim| &claim.places).map(|place| place.chunk_id.clone()).collect();
        let passages: HashMap<ChunkId, Passage> = retriever
            .fetch(scope, &ids)
            .await?
            .into_iter()
            .map(|passage| (passage.chunk_id.clone(), passage))
            .collect();
        let mut recalled = Recalled {
            answer: String::new(),
            citations: Vec::new(),
            abstained: self.refused.is_some(),
            reason: self.refused.clone(),
            model: self.model.clone(),
            complete: self.complete,
            withdrawn: 0,
            lost: self.withdrew,
            run: self.run,
            steps: self.steps.clone(),
        };
        let mut left = Self { claims: Vec::new(), ..self.clone() };
        for claim in &self.claims {
            let mut citations = Vec::new();
            let mut places = Vec::new();
            for place in &claim.places {
                if let Some(citation) = place.read(retriever, scope, &passages).await? {
                    citations.push(citation);
                    places.push(place.clone());
                }
            }
            if citations.is_empty() && (claim.text.is_none() || !claim.places.is_empty()) {
                recalled.withdrawn += 1;
                continue;
            }
            let text = match (&claim.text, citations.first()) {
                (Some(text), _) => text.clone(),
                (None, Some(first)) => safe::render(&markdown::plain(&first.quote, &(0..first.quote.len()))),
                (None, None) => continue,
            };
            for citation in &mut citations {
                citation.claim = text.clone();
            }
            if !recalled.answer.is_empty() {
                recalled.answer.push(' ');
            }
            recalled.answer.push_str(&shown(&text, &citations));
            recalled.citations.extend(citations);
            left.claims.push(KeptClaim { text: claim.text.clone(), places });
        }
        if recalled.withdrawn > 0 {
            (recalled.lost, left.withdrew) = (true, true);
            // What an agent wrote on its way may tell of what is gone.
            recalled.steps.clear();
            left.steps.clear();
        }
        let changed = left != *self;
        Ok((recalled, changed.then_some(left)))
    }
}

/// The sentence with its markers.
fn shown(text: &str, citations: &[Citation]) -> String {
    let mut numbers: Vec<usize> = citations.iter().map(|citation| citation.n).collect();
    numbers.dedup();
    let markers: String = match numbers.is_empty() {
        true => "[unsupported]".to_owned(),
        false => numbers.iter().map(|n| format!("[{n}]")).collect(),
    };
    format!("{text} {markers}")
}

impl Place {
    fn of(citation: &Citation) -> Self {
        Self {
            n: citation.n,
            document_id: citation.document_id.clone(),
            chunk_id: citation.chunk_id.clone(),
            version: citation.version,
            start: citation.start,
            end: citation.end,
            page: citation.page,
            support: citation.support,
        }
    }

    /// The citation, if its passage is visible and of the same version.
    async fn read(
        &self,
        retriever: &Retriever,
        scope: &CollectionScope,
        passages: &HashMap<ChunkId, Passage>,
    ) -> Result<Option<Citation>> {
        let Some(passage) = passages.get(&self.chunk_id).filter(|passage| passage.version == self.version)
        else {
            return Ok(None);
        };
        let quote =
            match retriever.text_span(scope, &self.document_id, self.version, self.start, self.end).await {
                Ok(quote) if quote.len() == self.end - self.start => quote,
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == RetrieveKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        Ok(Some(Citation {
            n: self.n,
            document_id: self.document_id.clone(),
            chunk_id: self.chunk_id.clone(),
            version: self.version,
            start: self.start,
            end: self.end,
            page: self.page,
            quote,
            title: passage.title.clone(),
            source: passage.source.clone(),
            support: self.support,
            claim: String::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the first release kept; every later one must read it.
    #[test]
    fn the_first_form_is_still_read() {
        let first = json!({
            "v": 1,
            "claims": [
                { "text": null, "places": [{ "n": 1, "document_id": "a.md", "chunk_id": "c1", "version": 2, "start": 0, "end": 5, "page": null, "support": 1.0 }] },
                { "text": "It is so.", "places": [] },
            ],
            "refused": null,
            "model": "m",
            "complete": true,
        });
        let answer = KeptAnswer::read(first.clone()).unwrap();
        assert_eq!(serde_json::to_value(&answer).unwrap(), first);
        let mut newer = first;
        newer["v"] = 2.into();
        assert_eq!(KeptAnswer::read(newer).unwrap_err().kind(), ErrorKind::Conflict);
    }
}

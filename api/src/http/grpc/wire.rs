//! What this service knows as the messages of the `.proto` file, and metadata both ways.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Wire};
use serde_json::{Map, Number, Value};
use wellspring_answer::{Answer, Citation, Warning};
use wellspring_retrieve::{Degraded, Passage};
use wellspring_store::Metadata;
use wellspring_store::jobs::{Job, JobState};

use super::v1;
use crate::problem::{Code, Problem};

/// Largest whole number up to which every whole double is exact: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn count(number: usize) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

impl From<Passage> for v1::Passage {
    fn from(passage: Passage) -> Self {
        Self {
            document_id: passage.document_id.to_string(),
            chunk_id: passage.chunk_id.0,
            version: passage.version,
            score: passage.score,
            title: passage.title,
            text: passage.text,
            source: passage.source,
            page: passage.page,
            start: count(passage.start),
            end: count(passage.end),
            headings: passage.headings,
            metadata: Some(fields(passage.metadata)),
            language: passage.language,
        }
    }
}

impl From<Degraded> for v1::Degraded {
    fn from(Degraded { leg, reason }: Degraded) -> Self {
        Self { leg, reason }
    }
}

impl From<Citation> for v1::Citation {
    fn from(citation: Citation) -> Self {
        Self {
            n: citation.n.try_into().unwrap_or(u32::MAX),
            document_id: citation.document_id.to_string(),
            chunk_id: citation.chunk_id.0,
            version: citation.version,
            start: count(citation.start),
            end: count(citation.end),
            page: citation.page,
            quote: citation.quote,
            title: citation.title,
            source: citation.source,
            support: citation.support,
            claim: citation.claim,
        }
    }
}

impl From<Warning> for v1::Warning {
    fn from(Warning { code, message }: Warning) -> Self {
        Self { code: code.to_owned(), message }
    }
}

impl From<Answer> for v1::Answer {
    fn from(answer: Answer) -> Self {
        Self {
            answer: answer.answer,
            citations: answer.citations.into_iter().map(Into::into).collect(),
            abstained: answer.abstained,
            reason: answer.reason,
            complete: answer.complete,
            model: answer.model,
            warnings: answer.warnings.into_iter().map(Into::into).collect(),
            degraded: answer.degraded.into_iter().map(Into::into).collect(),
            timings: answer.timings.0.into_iter().collect(),
        }
    }
}

impl From<Job> for v1::WatchJobResponse {
    fn from(job: Job) -> Self {
        let stage = match serde_json::to_value(job.stage) {
            Ok(Value::String(stage)) => stage,
            _ => String::new(),
        };
        Self {
            job: job.id.to_string(),
            collection: job.collection,
            document_id: job.document_id.to_string(),
            version: job.version,
            state: state(job.state).into(),
            stage,
            done: job.progress.map(|progress| progress.done),
            total: job.progress.map(|progress| progress.total),
            attempts: job.attempts,
            reason: job.reason,
            message: job.message,
        }
    }
}

fn state(state: JobState) -> v1::JobState {
    match state {
        JobState::Queued => v1::JobState::Queued,
        JobState::Running => v1::JobState::Running,
        JobState::Indexed => v1::JobState::Indexed,
        JobState::Unchanged => v1::JobState::Unchanged,
        JobState::Skipped => v1::JobState::Skipped,
        JobState::Failed => v1::JobState::Failed,
        JobState::Cancelled => v1::JobState::Cancelled,
        JobState::Dead => v1::JobState::Dead,
    }
}

/// Metadata as a message.
fn fields(metadata: Metadata) -> Struct {
    Struct { fields: metadata.into_iter().map(|(name, value)| (name, wire(value))).collect() }
}

fn wire(value: Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.into_iter().map(wire).collect() }),
        Value::Object(object) => Kind::StructValue(Struct {
            fields: object.into_iter().map(|(name, value)| (name, wire(value))).collect(),
        }),
    };
    Wire { kind: Some(kind) }
}

/// A message's metadata. Numbers that JSON does not know (not a number, infinite) are refused.
pub(super) fn metadata(message: Option<Struct>) -> Result<Metadata, Problem> {
    let fields = message.unwrap_or_default().fields;
    fields.into_iter().map(|(name, value)| Ok((name, json(value)?))).collect()
}

fn json(value: Wire) -> Result<Value, Problem> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => Value::Number(whole(number)?),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(json).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(object)) => Value::Object(
            object
                .fields
                .into_iter()
                .map(|(name, value)| Ok((name, json(value)?)))
                .collect::<Result<Map<_, _>, Problem>>()?,
        ),
    })
}

/// The message knows doubles only: a whole one is the whole number that the client meant.
fn whole(number: f64) -> Result<Number, Problem> {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within ±2^53")]
        return Ok(Number::from(number as i64));
    }
    Number::from_f64(number)
        .ok_or_else(|| Problem::new(Code::Invalid, "a number of `metadata` is not finite").at("metadata"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_comes_back_as_it_went() {
        let told = json!({
            "year": 2026, "share": 0.25, "draft": false, "none": null, "tags": ["a", 1, -3], "nested": { "deep": { "x": "y" } },
        });
        let Value::Object(object) = told.clone() else { unreachable!() };
        let back = metadata(Some(fields(object.into_iter().collect()))).unwrap();
        assert_eq!(serde_json::to_value(back).unwrap(), told);
    }

    #[test]
    fn numbers_that_json_does_not_know_are_refused() {
        for bad in [f64::NAN, f64::INFINITY] {
            let value = Wire { kind: Some(Kind::NumberValue(bad)) };
            let message = Struct { fields: [("x".to_owned(), value)].into() };
            assert_eq!(metadata(Some(message)).unwrap_err().path(), Some("metadata"));
        }
        assert_eq!(whole(1e300).unwrap().as_f64(), Some(1e300));
    }
}

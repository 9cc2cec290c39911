//! The JSON form of values and ranges.

use serde::{Deserialize, Serialize};

use super::fields::instant;
use super::{Bound, Range, Value};
use crate::clock::rfc3339;

/// `"de"`, `5`, `true` or `{"date": "2026-03-01"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a string, a number, true, false or {\"date\": \"2026-03-01\"}")]
pub(super) enum ValueForm {
    Bool(bool),
    Number(f64),
    String(String),
    Date(DateForm),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DateForm {
    date: String,
}

/// `{"gte": 2024, "lt": 2026}`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RangeForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gt: Option<ValueForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gte: Option<ValueForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lt: Option<ValueForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lte: Option<ValueForm>,
}

impl TryFrom<ValueForm> for Value {
    type Error = String;
    fn try_from(form: ValueForm) -> Result<Self, String> {
        Ok(match form {
            ValueForm::Bool(flag) => Self::Bool(flag),
            ValueForm::Number(number) => Self::Number(number),
            ValueForm::String(text) => Self::String(text),
            ValueForm::Date(DateForm { date }) => Self::Date(date_of(&date)?),
        })
    }
}

impl From<Value> for ValueForm {
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => Self::String(text),
            Value::Number(number) => Self::Number(number),
            Value::Bool(flag) => Self::Bool(flag),
            Value::Date(micros) => Self::Date(DateForm { date: rfc3339(micros) }),
        }
    }
}

fn date_of(text: &str) -> Result<i64, String> {
    instant(text).ok_or_else(|| format!("{text:?} is neither a date (2026-03-01) nor an RFC 3339 timestamp"))
}

/// One end, and which kind of range it asks for.
enum End {
    Number(f64),
    Date(i64),
}

fn end(form: ValueForm) -> Result<End, String> {
    match form {
        ValueForm::Number(number) => Ok(End::Number(number)),
        ValueForm::String(date) | ValueForm::Date(DateForm { date }) => date_of(&date).map(End::Date),
        ValueForm::Bool(_) => Err("a range is over numbers or dates".to_owned()),
    }
}

fn side(included: Option<ValueForm>, excluded: Option<ValueForm>) -> Result<Bound<End>, String> {
    match (included, excluded) {
        (None, None) => Ok(Bound::Open),
        (Some(form), None) => end(form).map(Bound::Included),
        (None, Some(form)) => end(form).map(Bound::Excluded),
        (Some(_), Some(_)) => Err("a range has one bound on each side: gt or gte, lt or lte".to_owned()),
    }
}

fn number(bound: Bound<End>) -> Option<Bound<f64>> {
    Some(match bound {
        Bound::Included(End::Number(number)) => Bound::Included(number),
        Bound::Excluded(End::Number(number)) => Bound::Excluded(number),
        Bound::Open => Bound::Open,
        _ => return None,
    })
}

fn date(bound: Bound<End>) -> Option<Bound<i64>> {
    Some(match bound {
        Bound::Included(End::Date(micros)) => Bound::Included(micros),
        Bound::Excluded(End::Date(micros)) => Bound::Excluded(micros),
        Bound::Open => Bound::Open,
        _ => return None,
    })
}

impl TryFrom<RangeForm> for Range {
    type Error = String;
    fn try_from(form: RangeForm) -> Result<Self, String> {
        let (lower, upper) = (side(form.gte, form.gt)?, side(form.lte, form.lt)?);
        let dates = matches!(
            (&lower, &upper),
            (Bound::Included(End::Date(_)) | Bound::Excluded(End::Date(_)), _)
                | (Bound::Open, Bound::Included(End::Date(_)) | Bound::Excluded(End::Date(_)))
        );
        let range = if dates {
            date(lower).zip(date(upper)).map(|(lower, upper)| Self::Date { lower, upper })
        } else {
            number(lower).zip(number(upper)).map(|(lower, upper)| Self::Number { lower, upper })
        };
        range.ok_or_else(|| "both bounds of a range are numbers, or both are dates".to_owned())
    }
}

impl From<Range> for RangeForm {
    fn from(range: Range) -> Self {
        let mut form = Self::default();
        match range {
            Range::Number { lower, upper } => {
                (form.gte, form.gt) = sides(lower, ValueForm::Number);
                (form.lte, form.lt) = sides(upper, ValueForm::Number);
            }
            Range::Date { lower, upper } => {
                let date = |micros| ValueForm::Date(DateForm { date: rfc3339(micros) });
                (form.gte, form.gt) = sides(lower, date);
                (form.lte, form.lt) = sides(upper, date);
            }
        }
        form
    }
}

fn sides<T>(bound: Bound<T>, form: impl Fn(T) -> ValueForm) -> (Option<ValueForm>, Option<ValueForm>) {
    match bound {
        Bound::Included(value) => (Some(form(value)), None),
        Bound::Excluded(value) => (None, Some(form(value))),
        Bound::Open => (None, None),
    }
}

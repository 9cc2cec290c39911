//! The limits of a filter.

use super::{Bound, Field, Filter, Range, Value};
use crate::error::{ErrorKind, Result, StoreError};

/// Levels of nesting.
pub const MAX_DEPTH: usize = 64;
/// Conditions and values in all.
pub const MAX_CONDITIONS: usize = 1000;
/// A document's own fields.
pub const OWN_FIELDS: &[&str] =
    &["_id", "_source", "_title", "_media_type", "_language", "_created_at", "_updated_at", "_pages"];

pub(super) fn check(filter: &Filter) -> Result<()> {
    let mut left = MAX_CONDITIONS;
    node(filter, 1, &mut left)
}

fn node(filter: &Filter, depth: usize, left: &mut usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(invalid(format!("a filter has at most {MAX_DEPTH} levels: take some parentheses out")));
    }
    spend(left)?;
    match filter {
        Filter::Eq(name, one) => field(name).and_then(|()| value(one)),
        Filter::In(name, values) => {
            field(name)?;
            values.iter().try_for_each(|one| spend(left).and_then(|()| value(one)))
        }
        Filter::Range(name, bounds) => field(name).and_then(|()| range(bounds)),
        Filter::Exists(name) | Filter::Prefix(name, _) => field(name),
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|inner| node(inner, depth + 1, left))
        }
        Filter::Not(inner) => node(inner, depth + 1, left),
    }
}

fn spend(left: &mut usize) -> Result<()> {
    *left = left.checked_sub(1).ok_or_else(|| {
        invalid(format!("a filter has at most {MAX_CONDITIONS} conditions and values: ask in parts"))
    })?;
    Ok(())
}

fn field(Field(name): &Field) -> Result<()> {
    if !(1..=256).contains(&name.len()) {
        return Err(invalid(format!("a field name has 1-256 bytes and this one {}", name.len())));
    }
    if name.starts_with('_') && !OWN_FIELDS.contains(&name.as_str()) {
        return Err(invalid(format!(
            "there is no field {name:?}: those of a document itself are {}",
            OWN_FIELDS.join(", ")
        )));
    }
    Ok(())
}

fn value(value: &Value) -> Result<()> {
    match value {
        Value::Number(number) => finite(*number),
        Value::Date(micros) => date(*micros),
        Value::String(_) | Value::Bool(_) => Ok(()),
    }
}

fn range(range: &Range) -> Result<()> {
    match range {
        Range::Number { lower: Bound::Open, upper: Bound::Open }
        | Range::Date { lower: Bound::Open, upper: Bound::Open } => {
            Err(invalid("a range has at least one bound"))
        }
        Range::Number { lower, upper } => bound(lower, finite).and_then(|()| bound(upper, finite)),
        Range::Date { lower, upper } => bound(lower, date).and_then(|()| bound(upper, date)),
    }
}

fn bound<T: Copy>(bound: &Bound<T>, check: fn(T) -> Result<()>) -> Result<()> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => check(*value),
        Bound::Open => Ok(()),
    }
}

fn finite(number: f64) -> Result<()> {
    if number.is_finite() { Ok(()) } else { Err(invalid("a number in a filter is finite")) }
}

fn date(micros: i64) -> Result<()> {
    jiff::Timestamp::from_microsecond(micros)
        .map(|_| ())
        .map_err(|e| invalid("a date in a filter lies between the years -9999 and 9999").with_source(e))
}

fn invalid(message: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::Invalid, message)
}

//! The filter's meaning, in memory.

use serde_json::Value as Json;

use super::fields::instant;
use super::{Bound, Filter, Range, Value};
use crate::document::Metadata;

pub(super) fn matches(filter: &Filter, metadata: &Metadata) -> bool {
    let some = |name: &str, test: &dyn Fn(&Json) -> bool| among(metadata.iter(), name, test);
    match filter {
        Filter::Eq(field, value) => some(&field.0, &|json| equals(value, json)),
        Filter::In(field, values) => some(&field.0, &|json| values.iter().any(|value| equals(value, json))),
        Filter::Range(field, range) => some(&field.0, &|json| within(range, json)),
        Filter::Exists(field) => some(&field.0, &|_| true),
        Filter::Prefix(field, prefix) => {
            some(&field.0, &|json| json.as_str().is_some_and(|text| text.starts_with(prefix.as_str())))
        }
        Filter::And(all) => all.iter().all(|inner| matches(inner, metadata)),
        Filter::Or(any) => any.iter().any(|inner| matches(inner, metadata)),
        Filter::Not(inner) => !matches(inner, metadata),
    }
}

/// Whether a value that goes by the dotted name passes. A key may itself contain dots, so every way to read the name is
/// tried.
fn among<'a>(
    entries: impl Iterator<Item = (&'a String, &'a Json)>,
    name: &str,
    test: &dyn Fn(&Json) -> bool,
) -> bool {
    entries.into_iter().any(|(key, value)| match name.strip_prefix(key.as_str()) {
        Some("") => at(value, None, test),
        Some(rest) => rest.strip_prefix('.').is_some_and(|rest| at(value, Some(rest), test)),
        None => false,
    })
}

fn at(value: &Json, rest: Option<&str>, test: &dyn Fn(&Json) -> bool) -> bool {
    match (value, rest) {
        (Json::Null, _) => false,
        (Json::Array(items), _) => {
            (rest.is_none() && test(value)) || items.iter().any(|item| at(item, rest, test))
        }
        (Json::Object(inner), Some(rest)) => among(inner.iter(), rest, test),
        (_, Some(_)) => false,
        (_, None) => test(value),
    }
}

fn equals(value: &Value, json: &Json) -> bool {
    match value {
        Value::String(text) => json.as_str() == Some(text),
        Value::Number(number) => json.as_f64() == Some(*number),
        Value::Bool(flag) => json.as_bool() == Some(*flag),
        Value::Date(micros) => json.as_str().and_then(instant) == Some(*micros),
    }
}

fn within(range: &Range, json: &Json) -> bool {
    match range {
        Range::Number { lower, upper } => json.as_f64().is_some_and(|number| between(number, lower, upper)),
        Range::Date { lower, upper } => {
            json.as_str().and_then(instant).is_some_and(|micros| between(micros, lower, upper))
        }
    }
}

fn between<T: PartialOrd>(value: T, lower: &Bound<T>, upper: &Bound<T>) -> bool {
    let above = match lower {
        Bound::Included(bound) => value >= *bound,
        Bound::Excluded(bound) => value > *bound,
        Bound::Open => true,
    };
    let below = match upper {
        Bound::Included(bound) => value <= *bound,
        Bound::Excluded(bound) => value < *bound,
        Bound::Open => true,
    };
    above && below
}

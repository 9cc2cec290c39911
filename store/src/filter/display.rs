//! Writes a filter in its text form, so that reading it again gives the same filter (a list of one condition becomes
//! that condition).

use std::fmt::{Display, Formatter, Result};

use super::parse::is_bare;
use super::{Bound, Field, Filter, Range, Value};
use crate::clock::rfc3339;

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Eq(field, value) => write!(f, "{field} = {value}"),
            Self::In(field, values) => {
                write!(f, "{field} in [")?;
                list(f, values, ", ")?;
                f.write_str("]")
            }
            Self::Range(field, range) => range.write(f, field),
            Self::Exists(field) => write!(f, "exists({field})"),
            Self::Prefix(field, prefix) => write!(f, "{field} ^= {}", Quoted(prefix)),
            Self::And(all) => joined(f, all, " and ", "true"),
            Self::Or(any) => joined(f, any, " or ", "false"),
            Self::Not(inner) => write!(f, "not {inner}"),
        }
    }
}

fn joined(f: &mut Formatter<'_>, filters: &[Filter], operator: &str, empty: &str) -> Result {
    match filters {
        [] => f.write_str(empty),
        [only] => only.fmt(f),
        _ => {
            f.write_str("(")?;
            list(f, filters, operator)?;
            f.write_str(")")
        }
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T], separator: &str) -> Result {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// A JSON string.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&serde_json::Value::from(self.0).to_string())
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if is_bare(&self.0) { f.write_str(&self.0) } else { Quoted(&self.0).fmt(f) }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::String(text) => Quoted(text).fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Bool(flag) => flag.fmt(f),
            Self::Date(micros) => write!(f, "date(\"{}\")", rfc3339(*micros)),
        }
    }
}

impl Range {
    fn write(&self, f: &mut Formatter<'_>, field: &Field) -> Result {
        let (lower, upper) = match self {
            Self::Number { lower, upper } => {
                (side(lower, '>', Value::Number), side(upper, '<', Value::Number))
            }
            Self::Date { lower, upper } => (side(lower, '>', Value::Date), side(upper, '<', Value::Date)),
        };
        match (lower, upper) {
            (Some(one), None) | (None, Some(one)) => write!(f, "{field} {one}"),
            (Some(lower), Some(upper)) => write!(f, "range({field}, {lower}, {upper})"),
            (None, None) => write!(f, "range({field})"),
        }
    }
}

fn side<T: Copy>(bound: &Bound<T>, sign: char, value: fn(T) -> Value) -> Option<String> {
    match bound {
        Bound::Included(end) => Some(format!("{sign}= {}", value(*end))),
        Bound::Excluded(end) => Some(format!("{sign} {}", value(*end))),
        Bound::Open => None,
    }
}

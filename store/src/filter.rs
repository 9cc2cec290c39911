//! The typed filter over document metadata: one tree, evaluated in memory here (the oracle) and translated per engine.

use serde::{Deserialize, Serialize};

use crate::document::Metadata;

mod check;
mod display;
mod evaluate;
mod fields;
mod json;
mod parse;

pub use check::{MAX_CONDITIONS, MAX_DEPTH, OWN_FIELDS};
pub use parse::MAX_TEXT;

pub use fields::instant;
pub(crate) use fields::{Scalar, flatten};

/// A condition on a document. A missing field fulfils nothing, so `Not` of any condition on it holds; a field that
/// holds an array matches if any element does; a value of another type never matches (`"5"` is not `5`). Numbers are
/// compared as 64-bit floats.
///
/// The JSON form is this tree:
/// `{"and": [{"eq": ["lang", "de"]}, {"range": ["year", {"gte": 2024, "lt": 2026}]}, {"in": ["tags", ["a", "b"]]},
/// {"not": {"prefix": ["path", "old/"]}}, {"exists": "author"}]}`. A date is `{"date": "2026-03-01"}`, or a plain string
/// of that form as a bound of a range. [`Filter::parse`] reads the text form, `Display` writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The field equals the value.
    Eq(Field, Value),
    /// The field equals one of the values; an empty list matches nothing.
    In(Field, Vec<Value>),
    /// The field lies within the bounds (numbers or dates).
    Range(Field, Range),
    /// The field is there and not null.
    Exists(Field),
    /// The field is a string that starts with this (case kept).
    Prefix(Field, String),
    /// Every one; an empty list matches everything.
    And(Vec<Filter>),
    /// At least one; an empty list matches nothing.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
}

/// A metadata field by its dotted name (`author`, `project.id`), 1–256 bytes. Names beginning with `_` are the
/// document's own: `_id`, `_source`, `_title`, `_media_type`, `_language`, `_created_at`, `_updated_at`, `_pages`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Field(pub String);

/// A typed value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "json::ValueForm", into = "json::ValueForm")]
pub enum Value {
    /// A string, compared by bytes.
    String(String),
    /// A finite number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// An instant: microseconds since 1970-01-01T00:00:00Z. Metadata strings that are RFC 3339 timestamps or dates
    /// (`2026-03-01`, taken as midnight UTC) are dates as well as strings.
    Date(i64),
}

/// Bounds of one type; at least one is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "json::RangeForm", into = "json::RangeForm")]
pub enum Range {
    /// Of numbers.
    Number {
        /// Lower bound.
        lower: Bound<f64>,
        /// Upper bound.
        upper: Bound<f64>,
    },
    /// Of instants, microseconds since 1970.
    Date {
        /// Lower bound.
        lower: Bound<i64>,
        /// Upper bound.
        upper: Bound<i64>,
    },
}

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound<T> {
    /// The value itself belongs.
    Included(T),
    /// The value itself does not belong.
    Excluded(T),
    /// No bound.
    Open,
}

impl Filter {
    /// Reads the text form: `lang = "de" and (year >= 2024 or tags in ["a", "b"]) and not path ^= "old/" and exists(author)`.
    ///
    /// Operators: `=` `!=` (not equal, or missing) `<` `<=` `>` `>=` `in [...]` `^=` (prefix), `exists(field)`,
    /// `range(field, >= 1, < 5)`, `not`, `and`, `or` (in falling order of strength), parentheses, `true`, `false`.
    /// Strings are double-quoted with JSON's escapes; dates are `date("2026-03-01")`, or plain strings after `<` `<=` `>`
    /// `>=`. A field name of other characters than letters, digits, `_`, `-` and `.` is double-quoted. At most
    /// [`MAX_TEXT`] bytes. An error names the position (in bytes, from 0) and what was expected.
    pub fn parse(text: &str) -> crate::Result<Self> {
        parse::parse(text)
    }

    /// Refuses (`Invalid`) what no engine takes: more than [`MAX_DEPTH`] levels or [`MAX_CONDITIONS`] conditions and
    /// values, a field name outside 1–256 bytes or an unknown one that begins with `_`, a number that is not finite, a
    /// date outside the years −9999 to 9999, a range without bounds.
    pub fn validate(&self) -> crate::Result<()> {
        check::check(self)
    }

    /// Whether a document with this metadata (its own `_…` fields included) matches: the meaning every engine must
    /// reproduce.
    pub fn matches(&self, metadata: &Metadata) -> bool {
        evaluate::matches(self, metadata)
    }
}

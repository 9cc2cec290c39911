//! Values of rows as a backup holds them, whichever catalog they come from: what kinds there are, and how each is written.
//!
//! A row is a line: a JSON array with one element per column. Integers are JSON numbers; flags the numbers 0 and 1; text is a
//! string; bytes are a string in Base64 (RFC 4648, with padding); a floating-point number is a string with the fewest digits
//! that give it back; a list is a string that holds a JSON array of strings. What is not there is `null`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{ErrorKind, Result, StoreError};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Flag,
    Real,
    Text,
    Bytes,
    /// Strings, as JSON.
    List,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    /// Of integers and flags.
    Integer(i64),
    Real(f64),
    /// Of text and lists.
    Text(String),
    Bytes(Vec<u8>),
}

/// The values of one row, in the order of its table's columns.
pub(crate) type Row = Vec<Value>;

impl Value {
    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    fn write(&self, line: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Null => line.extend_from_slice(b"null"),
            Self::Integer(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Self::Real(number) => line.extend_from_slice(format!("\"{number:?}\"").as_bytes()),
            Self::Text(text) => serde_json::to_writer(line, text).map_err(|e| {
                StoreError::new(ErrorKind::Internal, "a text cannot be written as JSON").with_source(e)
            })?,
            Self::Bytes(bytes) => {
                line.push(b'"');
                line.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                line.push(b'"');
            }
        }
        Ok(())
    }

    fn read(value: serde_json::Value, kind: Kind) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match (kind, value) {
            (_, Json::Null) => Self::Null,
            (Kind::Integer | Kind::Flag, Json::Number(number)) => Self::Integer(number.as_i64()?),
            (Kind::Real, Json::String(text)) => Self::Real(text.parse().ok()?),
            (Kind::Text | Kind::List, Json::String(text)) => Self::Text(text),
            (Kind::Bytes, Json::String(text)) => Self::Bytes(STANDARD.decode(text).ok()?),
            _ => return None,
        })
    }
}

/// Appends a row as a line with its end.
pub(crate) fn write_row(row: &[Value], line: &mut Vec<u8>) -> Result<()> {
    line.push(b'[');
    for (number, value) in row.iter().enumerate() {
        if number > 0 {
            line.push(b',');
        }
        value.write(line)?;
    }
    line.extend_from_slice(b"]\n");
    Ok(())
}

/// Reads a line. `columns` says for each of its elements where in the row it belongs and what it is; `width` is the row's
/// length, and places that no element fills are `null`. `None` if the line is something else.
pub(crate) fn read_row(line: &[u8], columns: &[(usize, Kind)], width: usize) -> Option<Row> {
    let elements: Vec<serde_json::Value> = serde_json::from_slice(line).ok()?;
    if elements.len() != columns.len() {
        return None;
    }
    let mut row = vec![Value::Null; width];
    for (element, &(place, kind)) in elements.into_iter().zip(columns) {
        *row.get_mut(place)? = Value::read(element, kind)?;
    }
    Some(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = (Kind, Value)> {
        prop_oneof![
            any::<i64>().prop_map(|n| (Kind::Integer, Value::Integer(n))),
            any::<bool>().prop_map(|flag| (Kind::Flag, Value::Integer(i64::from(flag)))),
            any::<f64>().prop_map(|n| (Kind::Real, Value::Real(n))),
            any::<String>().prop_map(|text| (Kind::Text, Value::Text(text))),
            any::<Vec<u8>>().prop_map(|bytes| (Kind::Bytes, Value::Bytes(bytes))),
            Just((Kind::Text, Value::Null)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(row in proptest::collection::vec(value(), 0..6)) {
            let (kinds, row): (Vec<Kind>, Row) = row.into_iter().unzip();
            let mut line = Vec::new();
            write_row(&row, &mut line).unwrap();
            prop_assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
            let columns: Vec<(usize, Kind)> = kinds.into_iter().enumerate().collect();
            prop_assert_eq!(read_row(&line, &columns, row.len()), Some(row));
        }
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        assert_eq!(read_row(b"[1]", &[(0, Kind::Text)], 1), None);
        assert_eq!(read_row(b"[\"?\"]", &[(0, Kind::Bytes)], 1), None);
        assert_eq!(read_row(b"[1,2]", &[(0, Kind::Integer)], 1), None);
        assert_eq!(read_row(b"[1.5]", &[(0, Kind::Integer)], 1), None);
    }

    #[test]
    fn a_column_that_the_file_lacks_is_null() {
        assert_eq!(read_row(b"[7]", &[(1, Kind::Integer)], 2), Some(vec![Value::Null, Value::Integer(7)]));
    }
}

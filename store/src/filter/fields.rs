//! Metadata as typed scalars by dotted name: the rows that engines index.

use serde_json::Value;

use crate::document::Metadata;

/// One indexed value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    /// An array or object stands here: the field exists, and its elements follow.
    Present,
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A string that is a date or timestamp, in microseconds since 1970; the string itself is there as well.
    Date(i64),
}

impl Scalar {
    pub(crate) const TEXT: i64 = 1;
    pub(crate) const NUMBER: i64 = 2;
    pub(crate) const BOOL: i64 = 3;
    pub(crate) const DATE: i64 = 4;

    /// The number by which a stored row says what it holds; part of the format.
    pub(crate) fn kind(&self) -> i64 {
        match self {
            Self::Present => 0,
            Self::Text(_) => Self::TEXT,
            Self::Number(_) => Self::NUMBER,
            Self::Bool(_) => Self::BOOL,
            Self::Date(_) => Self::DATE,
        }
    }
}

/// Every value of the metadata that a filter can ask for; nulls are left out, as are names that no filter may have.
pub(crate) fn flatten(metadata: &Metadata) -> Vec<(String, Scalar)> {
    let mut rows = Vec::new();
    for (name, value) in metadata {
        walk(name.clone(), value, &mut rows);
    }
    rows.retain(|(name, _)| (1..=256).contains(&name.len()));
    rows
}

fn walk(name: String, value: &Value, rows: &mut Vec<(String, Scalar)>) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => rows.push((name, Scalar::Bool(*flag))),
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                rows.push((name, Scalar::Number(number)));
            }
        }
        Value::String(text) => {
            if let Some(micros) = instant(text) {
                rows.push((name.clone(), Scalar::Date(micros)));
            }
            rows.push((name, Scalar::Text(text.clone())));
        }
        Value::Array(items) => {
            for item in items {
                walk(name.clone(), item, rows);
            }
            rows.push((name, Scalar::Present));
        }
        Value::Object(inner) => {
            for (key, value) in inner {
                walk(format!("{name}.{key}"), value, rows);
            }
            rows.push((name, Scalar::Present));
        }
    }
}

/// Microseconds since 1970 of an RFC 3339 timestamp or date (midnight UTC); `None` for any other string.
pub fn instant(text: &str) -> Option<i64> {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    let date = text.get(..10)?;
    let mut parts = date.split('-');
    let shaped = parts.next().is_some_and(|year| digits(year, 4))
        && parts.next().is_some_and(|month| digits(month, 2))
        && parts.next().is_some_and(|day| digits(day, 2))
        && parts.next().is_none();
    if !shaped {
        return None;
    }
    let rest = &text[10..];
    if rest.is_empty() {
        let day: jiff::civil::Date = date.parse().ok()?;
        return Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond());
    }
    // The parser takes more than RFC 3339 does: hours alone, blanks, zones by name.
    let time = rest.strip_prefix(['T', 't'])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let clock_shaped = whole.len() == 8
        && whole.split(':').count() == 3
        && whole.split(':').all(|part| digits(part, 2))
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|b| b.is_ascii_digit());
    let zone_shaped = zone.eq_ignore_ascii_case("z")
        || zone[1..].split_once(':').is_some_and(|(hours, minutes)| digits(hours, 2) && digits(minutes, 2));
    if !clock_shaped || !zone_shaped {
        return None;
    }
    Some(text.parse::<jiff::Timestamp>().ok()?.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_timestamps_are_read_and_nothing_else() {
        assert_eq!(instant("1970-01-02"), Some(86_400_000_000));
        assert_eq!(instant("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(instant("1970-01-01t01:00:00+01:00"), Some(0));
        for text in [
            "",
            "1970",
            "1970-01",
            "1970-1-02",
            "1970-13-01",
            "1970-02-30",
            "1970-01-02 ",
            "1970-01-02T10",
            "1970-01-02T10:00Z",
            "1970-01-02T10:00:00",
            "1970-01-02 10:00:00Z",
            "1970-01-02T10:00:00+01",
            "1970-01-02T10:00:00.Z",
            "1970-01-02T10:00:00Z[Europe/Berlin]",
            "19700102",
            "é970-01-02",
            "1970-01-0é",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}

//! Sums of money in whole millionths of a currency: what prices, limits and costs are written in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ErrorKind, ModelError, Result};

/// Millionths in one unit of the currency.
const UNIT: u64 = 1_000_000;
/// Decimal places of one millionth.
const PLACES: usize = 6;

/// A sum of money, in millionths of whatever currency the configuration names. Never a float: sums are exact.
///
/// It is written as a decimal with at most six places (`"0.15"`). A number is read as well: a float by its shortest
/// decimal form, which is what was typed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(u64);

impl Money {
    /// So many millionths.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// In millionths.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The sum; the largest sum where it would be larger.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / UNIT, self.0 % UNIT);
        let digits = format!("{part:06}");
        // Two places at least, as people write money.
        let kept = digits.trim_end_matches('0').len().max(2);
        write!(f, "{whole}.{}", &digits[..kept])
    }
}

impl FromStr for Money {
    type Err = ModelError;

    /// `Invalid` for anything but digits with at most six decimal places.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let message =
                format!("{text:?} is no sum of money: write it like 0.15, with at most six decimal places");
            ModelError::new(ErrorKind::Invalid, message)
        };
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > PLACES || !digits(whole) || !digits(part) {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = format!("{part:0<PLACES$}").parse().map_err(|_| wrong())?;
        let micros = whole.checked_mul(UNIT).and_then(|micros| micros.checked_add(part));
        micros.map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a sum of money such as \"0.15\"")]
        enum Written {
            Text(String),
            Whole(u64),
            Decimal(f64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Text(text) => text,
            Written::Whole(whole) => whole.to_string(),
            // The shortest form that reads back as the same float, which is the one that was written.
            Written::Decimal(decimal) => decimal.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_and_shown_exactly() {
        for (text, micros, shown) in [
            ("0", 0, "0.00"),
            ("20", 20_000_000, "20.00"),
            ("0.15", 150_000, "0.15"),
            ("0.000001", 1, "0.000001"),
            (" 1.5 ", 1_500_000, "1.50"),
            ("3.", 3_000_000, "3.00"),
        ] {
            let money: Money = text.parse().unwrap();
            assert_eq!((money.micros(), money.to_string().as_str()), (micros, shown), "{text:?}");
        }
        for wrong in
            ["", ".5", "-1", "1e3", "0.0000001", "1,5", "1.2.3", "99999999999999999999", "20000000000000"]
        {
            assert!(wrong.parse::<Money>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_taken_as_they_were_typed() {
        for (json, micros) in [("\"0.1\"", 100_000), ("0.1", 100_000), ("0.000001", 1), ("3", 3_000_000)] {
            assert_eq!(serde_json::from_str::<Money>(json).unwrap().micros(), micros, "{json}");
        }
        for wrong in ["-1", "\"x\"", "null", "0.0000001", "1e300"] {
            assert!(serde_json::from_str::<Money>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::to_string(&Money::from_micros(150_000)).unwrap(), "\"0.15\"");
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(micros in 0..u64::MAX) {
            proptest::prop_assert_eq!(Money(micros).to_string().parse::<Money>().unwrap(), Money(micros));
        }
    }
}

//! The calculator: exact decimal arithmetic on an expression, bounded in length and depth.

use std::time::Duration;

use async_trait::async_trait;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use wellspring_models::ToolSpec;

use super::numbers::{Number, apply, power};
use super::{Tool, ToolInfo};
use crate::error::{AnswerError, ErrorKind, Result};

/// Bytes of an expression.
const MAX_EXPRESSION: usize = 1_000;
/// Brackets and signs within each other.
const MAX_DEPTH: usize = 64;

/// Numbers of up to 28 digits; `+ - * / ^`, brackets, `%` after a number, and `min max sum avg abs round floor ceil mod`.
#[derive(Debug)]
pub struct Calculator(ToolInfo);

impl Default for Calculator {
    fn default() -> Self {
        let description = "Computes an arithmetic expression exactly, in decimal numbers of up to 28 digits. Knows \
            + - * / ^ (whole exponents), brackets, a percent sign after a number (15% is 0.15), and the functions min, max, sum, \
            avg, abs, floor, ceil, round(x, digits) and mod(a, b). Write numbers without thousands separators.";
        let parameters = json!({
            "type": "object",
            "properties": { "expression": { "type": "string", "minLength": 1, "maxLength": MAX_EXPRESSION } },
            "required": ["expression"],
            "additionalProperties": false,
        });
        let spec =
            ToolSpec { name: "calculator".to_owned(), description: description.to_owned(), parameters };
        Self(ToolInfo { spec, needs_approval: false, timeout: Duration::from_secs(1) })
    }
}

#[async_trait]
impl Tool for Calculator {
    fn info(&self) -> &ToolInfo {
        &self.0
    }

    /// `{"result": "10.5", "exact": true}`; `exact` is false where a quotient or a product was rounded to 28 digits.
    async fn call(&self, arguments: Value) -> Result<Value> {
        let expression = arguments["expression"].as_str().unwrap_or_default();
        let Number { value, exact } = compute(expression)
            .map_err(|why| AnswerError::new(ErrorKind::Invalid, format!("{why} in {expression:?}")))?;
        Ok(json!({ "result": value.normalize().to_string(), "exact": exact }))
    }
}

/// The value of an expression, or why it has none.
fn compute(expression: &str) -> Result<Number, String> {
    if expression.len() > MAX_EXPRESSION {
        return Err(format!("there are more than {MAX_EXPRESSION} bytes"));
    }
    let mut reader = Reader { rest: expression.trim_start(), depth: 0 };
    let value = reader.sum()?;
    match reader.rest.chars().next() {
        None => Ok(value),
        Some(c) => Err(format!("{c:?} is not expected")),
    }
}

/// Reads an expression from left to right (recursive descent).
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Whether one of these comes next; if so, it is taken.
    fn take(&mut self, symbols: &[char]) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| symbols.contains(c))?;
        self.rest = self.rest[c.len_utf8()..].trim_start();
        Some(c)
    }

    fn sum(&mut self) -> Result<Number, String> {
        let mut left = self.product()?;
        while let Some(c) = self.take(&['+', '-', '−']) {
            let right = self.product()?;
            left = if c == '+' { left.add(right) } else { left.add(right.negated()) }?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Number, String> {
        let mut left = self.signed()?;
        while let Some(c) = self.take(&['*', '×', '·', '/', '÷']) {
            let right = self.signed()?;
            left = if matches!(c, '/' | '÷') { left.divide(right) } else { left.multiply(right) }?;
        }
        Ok(left)
    }

    /// `-2^2` is -4, as in mathematics.
    fn signed(&mut self) -> Result<Number, String> {
        self.deeper(|reader| match reader.take(&['+', '-', '−']) {
            Some('+') => reader.signed(),
            Some(_) => Ok(reader.signed()?.negated()),
            None => reader.raised(),
        })
    }

    /// Exponents group to the right.
    fn raised(&mut self) -> Result<Number, String> {
        let base = self.atom()?;
        match self.take(&['^']) {
            Some(_) => power(base, self.signed()?),
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Number, String> {
        let value = if self.take(&['(']).is_some() {
            let inner = self.deeper(Self::sum)?;
            self.close()?;
            inner
        } else if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.function()?
        } else {
            self.number()?
        };
        match self.take(&['%']) {
            Some(_) => value.divide(Number::of(Decimal::ONE_HUNDRED)),
            None => Ok(value),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.take(&[')']).map(|_| ()).ok_or_else(|| "a bracket is not closed".to_owned())
    }

    fn function(&mut self) -> Result<Number, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        if self.take(&['(']).is_none() {
            return Err(format!("{name:?} is no number"));
        }
        let mut values = Vec::new();
        if self.take(&[')']).is_none() {
            loop {
                values.push(self.deeper(Self::sum)?);
                if self.take(&[',', ';']).is_none() {
                    break;
                }
            }
            self.close()?;
        }
        apply(name, &values)
    }

    fn number(&mut self) -> Result<Number, String> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '_')))
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Err(match rest.chars().next() {
                Some(c) => format!("{c:?} is not expected"),
                None => "a number is missing at the end".to_owned(),
            });
        }
        let value = Decimal::from_str_exact(&digits.replace('_', ""))
            .map_err(|_| format!("{digits:?} is no decimal number of up to 28 digits"))?;
        self.rest = rest.trim_start();
        Ok(Number::of(value))
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("there are more than {MAX_DEPTH} levels"));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }
}

/// Half away from zero, as people round.
pub(super) fn rounded(value: Decimal, digits: u32) -> Decimal {
    value.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(expression: &str) -> String {
        match compute(expression) {
            Ok(Number { value, exact }) => {
                format!("{}{}", value.normalize(), if exact { "" } else { " rounded" })
            }
            Err(_) => "error".to_owned(),
        }
    }

    #[test]
    fn it_computes_as_people_do() {
        for (expression, expected) in [
            ("0.1 + 0.2", "0.3"),
            ("2 + 3 * 4", "14"),
            ("(2 + 3) * 4", "20"),
            ("-2^2", "-4"),
            ("2^3^2", "512"),
            ("2^-2", "0.25"),
            ("10 - 4 - 3", "3"),
            ("100 * 15%", "15"),
            ("1/3", "0.3333333333333333333333333333 rounded"),
            ("1/8", "0.125"),
            ("1_000_000 * 3.5", "3500000"),
            ("round(2.345, 2)", "2.35"),
            ("round(-0.5)", "-1"),
            ("max(1, 2, 3) - min(4, 5)", "-1"),
            ("sum(1, 2, 3) / avg(1, 3)", "3"),
            ("mod(17, 5) + abs(-1) + floor(1.9) + ceil(1.1)", "6"),
            ("79228162514264337593543950335 + 1", "error"),
            ("10^28 + 0.00000000000000000001", "10000000000000000000000000000 rounded"),
            ("1 / 0", "error"),
            ("0^0", "1"),
            ("0^-1", "error"),
            ("2^0.5", "error"),
            ("9^9^9^9", "error"),
            ("", "error"),
            ("2 +", "error"),
            ("2 2", "error"),
            ("(1", "error"),
            ("__import__('os')", "error"),
            ("1,000 + 1", "error"),
            ("1..2", "error"),
            ("min()", "error"),
        ] {
            assert_eq!(result(expression), expected, "{expression}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        for opened in ["(", "-", "2^", "abs("] {
            assert_eq!(result(&format!("{}1", opened.repeat(400))), "error");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(expression in "[-+*/^%(), .0-9a-z]{0,40}") {
            let _ = compute(&expression);
        }

        #[test]
        fn whole_numbers_are_as_in_integers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            prop_assert_eq!(result(&format!("{a} + ({b})")), (a + b).to_string());
            prop_assert_eq!(result(&format!("{a} - ({b})")), (a - b).to_string());
            prop_assert_eq!(result(&format!("({a}) * ({b})")), (a * b).to_string());
        }
    }
}

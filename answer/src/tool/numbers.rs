//! Decimal numbers that know whether they were rounded on the way.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::calculator::rounded;

/// Largest exponent.
const MAX_EXPONENT: i64 = 256;

/// A number, and whether it is the exact result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) value: Decimal,
    pub(super) exact: bool,
}

impl Number {
    pub(super) fn of(value: Decimal) -> Self {
        Self { value: value.normalize(), exact: true }
    }

    pub(super) fn negated(self) -> Self {
        Self { value: -self.value, ..self }
    }

    /// What came of two numbers; a result of fewer decimal places than it needs was rounded.
    fn result(self, other: Self, value: Option<Decimal>, places: u32) -> Result<Self, String> {
        let value = value.ok_or_else(|| "a number of more than 28 digits comes out".to_owned())?;
        let exact = self.exact && other.exact && (value.scale() >= places || value.is_zero() && places == 0);
        Ok(Self { value: value.normalize(), exact })
    }

    pub(super) fn add(self, other: Self) -> Result<Self, String> {
        let places = self.value.scale().max(other.value.scale());
        self.result(other, self.value.checked_add(other.value), places)
    }

    pub(super) fn multiply(self, other: Self) -> Result<Self, String> {
        let zero = self.value.is_zero() || other.value.is_zero();
        let places = if zero { 0 } else { self.value.scale() + other.value.scale() };
        self.result(other, self.value.checked_mul(other.value), places)
    }

    pub(super) fn divide(self, other: Self) -> Result<Self, String> {
        if other.value.is_zero() {
            return Err("there is a division by zero".to_owned());
        }
        let quotient = self.result(other, self.value.checked_div(other.value), 0)?;
        let back = quotient.multiply(Self::of(other.value))?;
        Ok(Self { exact: quotient.exact && back.exact && back.value == self.value, ..quotient })
    }
}

/// `base` to a whole power, at most 256 either way.
pub(super) fn power(base: Number, exponent: Number) -> Result<Number, String> {
    let whole = Some(exponent.value).filter(|value| value.is_integer()).and_then(|value| value.to_i64());
    let exponent = whole
        .filter(|exponent| exponent.abs() <= MAX_EXPONENT)
        .ok_or_else(|| format!("an exponent must be a whole number up to {MAX_EXPONENT}"))?;
    let mut value = Number::of(Decimal::ONE);
    for _ in 0..exponent.abs() {
        value = value.multiply(base)?;
    }
    if exponent < 0 { Number::of(Decimal::ONE).divide(value) } else { Ok(value) }
}

/// A function of some numbers.
pub(super) fn apply(name: &str, values: &[Number]) -> Result<Number, String> {
    let needs = |what: &str| Err(format!("{name} needs {what}"));
    let one = |of: fn(Decimal) -> Decimal| match values {
        [only] => Ok(Number { value: of(only.value), ..*only }),
        _ => needs("one number"),
    };
    let total = || values.iter().try_fold(Number::of(Decimal::ZERO), |sum, value| sum.add(*value));
    match name {
        "abs" => one(|value| value.abs()),
        "floor" => one(|value| value.floor()),
        "ceil" => one(|value| value.ceil()),
        "round" => match values {
            [value] => Ok(Number { value: rounded(value.value, 0), ..*value }),
            [value, digits] => {
                match digits.value.to_u32().filter(|count| *count <= 28 && digits.value.is_integer()) {
                    Some(digits) => Ok(Number { value: rounded(value.value, digits), ..*value }),
                    None => needs("a whole number of digits, 0 to 28"),
                }
            }
            _ => needs("a number, and how many digits to keep"),
        },
        "mod" => match values {
            [a, b] if !b.value.is_zero() => a.result(*b, a.value.checked_rem(b.value), 0),
            _ => needs("two numbers, the second not 0"),
        },
        "min" | "max" | "sum" | "avg" if values.is_empty() => needs("at least one number"),
        "min" => Ok(values.iter().copied().min_by_key(|number| number.value).unwrap_or(values[0])),
        "max" => Ok(values.iter().copied().max_by_key(|number| number.value).unwrap_or(values[0])),
        "sum" => total(),
        "avg" => total()?.divide(Number::of(Decimal::from(values.len()))),
        _ => Err(format!("there is no function {name:?}")),
    }
}

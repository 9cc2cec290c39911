//! Reads a filter's text form by recursive descent.

use super::check::MAX_DEPTH;
use super::fields::instant;
use super::{Bound, Field, Filter, Range, Value};
use crate::error::{ErrorKind, Result, StoreError};

/// Bytes of a filter's text.
pub const MAX_TEXT: usize = 16 * 1024;

const RESERVED: &[&str] = &["and", "or", "not", "in", "exists", "range", "date", "true", "false"];

/// Whether a field name can stand without quotes.
pub(super) fn is_bare(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(is_name_byte)
        && !RESERVED.contains(&name)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

pub(super) fn parse(text: &str) -> Result<Filter> {
    if text.len() > MAX_TEXT {
        let message = format!("the filter has {} bytes and may have {MAX_TEXT}: ask in parts", text.len());
        return Err(StoreError::new(ErrorKind::Invalid, message));
    }
    let mut parser = Parser { text, at: 0 };
    let filter = parser.either(1)?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.expected("`and`, `or` or the end"));
    }
    filter.validate()?;
    Ok(filter)
}

struct Parser<'a> {
    text: &'a str,
    /// Bytes read.
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected(&self, what: &str) -> StoreError {
        let found = match self.rest().chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        StoreError::new(
            ErrorKind::Invalid,
            format!("filter: expected {what} at byte {} and found {found}", self.at),
        )
    }

    /// Takes a sign, if it comes next.
    fn sign(&mut self, sign: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    /// Takes a word, if it comes next and ends there.
    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        let found = self
            .rest()
            .strip_prefix(word)
            .is_some_and(|after| !after.bytes().next().is_some_and(is_name_byte));
        if found {
            self.at += word.len();
        }
        found
    }

    fn must(&mut self, sign: &str) -> Result<()> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    fn either(&mut self, depth: usize) -> Result<Filter> {
        let mut filters = vec![self.both(depth)?];
        while self.word("or") {
            filters.push(self.both(depth)?);
        }
        Ok(single(filters, Filter::Or))
    }

    fn both(&mut self, depth: usize) -> Result<Filter> {
        let mut filters = vec![self.one(depth)?];
        while self.word("and") {
            filters.push(self.one(depth)?);
        }
        Ok(single(filters, Filter::And))
    }

    fn one(&mut self, depth: usize) -> Result<Filter> {
        if depth > MAX_DEPTH {
            return Err(self.expected(&format!("at most {MAX_DEPTH} levels")));
        }
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.sign("(") {
            let inner = self.either(depth + 1)?;
            self.must(")")?;
            return Ok(inner);
        }
        if self.word("true") {
            return Ok(Filter::And(Vec::new()));
        }
        if self.word("false") {
            return Ok(Filter::Or(Vec::new()));
        }
        if self.word("exists") {
            self.must("(")?;
            let field = self.field()?;
            self.must(")")?;
            return Ok(Filter::Exists(field));
        }
        if self.word("range") {
            return self.range();
        }
        let field = self.field()?;
        self.comparison(field)
    }

    fn range(&mut self) -> Result<Filter> {
        self.must("(")?;
        let field = self.field()?;
        self.must(",")?;
        let mut range = self.bound()?.ok_or_else(|| self.expected("`<`, `<=`, `>` or `>=`"))?;
        if self.sign(",") {
            let second = self.bound()?.ok_or_else(|| self.expected("`<`, `<=`, `>` or `>=`"))?;
            range = merged(range, second).ok_or_else(|| {
                self.expected("a lower and an upper bound, both numbers or both dates, before")
            })?;
        }
        self.must(")")?;
        Ok(Filter::Range(field, range))
    }

    fn field(&mut self) -> Result<Field> {
        self.blanks();
        if self.rest().starts_with('"') {
            return self.string().map(Field);
        }
        let length = self.rest().bytes().take_while(|byte| is_name_byte(*byte)).count();
        let name = &self.rest()[..length];
        if !is_bare(name) {
            return Err(self.expected("a field name, `not`, `exists`, `range` or `(`"));
        }
        let field = Field(name.to_owned());
        self.at += length;
        Ok(field)
    }

    fn comparison(&mut self, field: Field) -> Result<Filter> {
        if self.sign("^=") {
            self.blanks();
            return Ok(Filter::Prefix(field, self.string()?));
        }
        if self.sign("!=") {
            return Ok(Filter::Not(Box::new(Filter::Eq(field, self.value()?))));
        }
        if self.sign("=") {
            return Ok(Filter::Eq(field, self.value()?));
        }
        if self.word("in") {
            return self.list().map(|values| Filter::In(field, values));
        }
        match self.bound()? {
            Some(range) => Ok(Filter::Range(field, range)),
            None => Err(self.expected("`=`, `!=`, `<`, `<=`, `>`, `>=`, `^=` or `in`")),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>> {
        self.must("[")?;
        let mut values = Vec::new();
        if self.sign("]") {
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            if self.sign("]") {
                return Ok(values);
            }
            if !self.sign(",") {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// A comparison with one number or date, as a range.
    fn bound(&mut self) -> Result<Option<Range>> {
        let (below, included) = if self.sign("<=") {
            (true, true)
        } else if self.sign("<") {
            (true, false)
        } else if self.sign(">=") {
            (false, true)
        } else if self.sign(">") {
            (false, false)
        } else {
            return Ok(None);
        };
        self.blanks();
        let start = self.at;
        let range = match self.value()? {
            Value::Number(number) => {
                let (lower, upper) = ends(number, below, included);
                Some(Range::Number { lower, upper })
            }
            Value::Date(micros) => {
                let (lower, upper) = ends(micros, below, included);
                Some(Range::Date { lower, upper })
            }
            Value::String(text) => instant(&text).map(|micros| {
                let (lower, upper) = ends(micros, below, included);
                Range::Date { lower, upper }
            }),
            Value::Bool(_) => None,
        };
        if range.is_none() {
            self.at = start;
            return Err(self.expected("a number, a date like \"2026-03-01\" or an RFC 3339 timestamp"));
        }
        Ok(range)
    }

    fn value(&mut self) -> Result<Value> {
        self.blanks();
        if self.word("true") {
            return Ok(Value::Bool(true));
        }
        if self.word("false") {
            return Ok(Value::Bool(false));
        }
        if self.word("date") {
            self.must("(")?;
            self.blanks();
            let start = self.at;
            let text = self.string()?;
            let Some(micros) = instant(&text) else {
                self.at = start;
                return Err(self.expected("a date like \"2026-03-01\" or an RFC 3339 timestamp"));
            };
            self.must(")")?;
            return Ok(Value::Date(micros));
        }
        if self.rest().starts_with('"') {
            return self.string().map(Value::String);
        }
        self.number().map(Value::Number)
    }

    fn number(&mut self) -> Result<f64> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
        let length = self.rest().bytes().take_while(|byte| is_part(byte)).count();
        let number = self.rest()[..length].parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| {
            self.expected("a string in double quotes, a number, `true`, `false` or `date(…)`")
        })?;
        self.at += length;
        Ok(number)
    }

    /// A JSON string.
    fn string(&mut self) -> Result<String> {
        let mut strings = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
        match strings.next() {
            Some(Ok(text)) if self.rest().starts_with('"') => {
                self.at += strings.byte_offset();
                Ok(text)
            }
            _ => Err(self.expected("a string in double quotes that ends, with JSON's escapes")),
        }
    }
}

fn single(mut filters: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match filters.pop() {
        Some(only) if filters.is_empty() => only,
        Some(last) => {
            filters.push(last);
            many(filters)
        }
        None => many(filters),
    }
}

fn ends<T>(value: T, below: bool, included: bool) -> (Bound<T>, Bound<T>) {
    let bound = if included { Bound::Included(value) } else { Bound::Excluded(value) };
    if below { (Bound::Open, bound) } else { (bound, Bound::Open) }
}

/// One range out of a lower and an upper one.
fn merged(one: Range, other: Range) -> Option<Range> {
    match (one, other) {
        (Range::Number { lower: a, upper: b }, Range::Number { lower: c, upper: d }) => {
            Some(Range::Number { lower: either_bound(a, c)?, upper: either_bound(b, d)? })
        }
        (Range::Date { lower: a, upper: b }, Range::Date { lower: c, upper: d }) => {
            Some(Range::Date { lower: either_bound(a, c)?, upper: either_bound(b, d)? })
        }
        _ => None,
    }
}

fn either_bound<T>(one: Bound<T>, other: Bound<T>) -> Option<Bound<T>> {
    match (one, other) {
        (Bound::Open, bound @ (Bound::Included(_) | Bound::Excluded(_))) => Some(bound),
        (bound @ (Bound::Included(_) | Bound::Excluded(_)), Bound::Open) => Some(bound),
        _ => None,
    }
}

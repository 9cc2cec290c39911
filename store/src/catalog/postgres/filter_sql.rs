//! Filters as SQL over the `fields` table. The one place where the text of a statement is put together; every value is
//! a parameter.

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::QueryAs;
use sqlx::{Arguments, AssertSqlSafe, FromRow};

use super::scoped::bind;
use crate::error::Result;
use crate::filter::{Bound, Field, Filter, Range, Scalar, Value};

/// How a condition on a field is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Of one version after the other: for few versions.
    Each,
    /// As the set of all versions that fulfil it: for whole collections.
    Sets,
}

/// `base`, which ends within a `WHERE` over `visible v` and has the scope's parameters, and the filter, and `tail`.
pub(super) fn filtered<'q, T>(
    base: &'static str,
    arguments: PgArguments,
    filter: Option<&Filter>,
    shape: Shape,
    tail: &'static str,
) -> Result<QueryAs<'q, Postgres, T, PgArguments>>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    let mut statement = Statement { sql: base.to_owned(), arguments, shape };
    if let Some(filter) = filter {
        filter.validate()?;
        statement.sql.push_str(" AND ");
        statement.filter(filter)?;
    }
    statement.sql.push_str(tail);
    // A filter is rarely asked twice: its statement would only push others out of the cache.
    let reused = filter.is_none();
    Ok(sqlx::query_as_with(AssertSqlSafe(statement.sql), statement.arguments).persistent(reused))
}

struct Statement {
    sql: String,
    arguments: PgArguments,
    shape: Shape,
}

impl Statement {
    fn value<'t, T>(&mut self, value: T) -> Result<()>
    where
        T: sqlx::Encode<'t, Postgres> + sqlx::Type<Postgres> + 't,
    {
        bind(&mut self.arguments, value)?;
        self.sql.push('$');
        self.sql.push_str(&self.arguments.len().to_string());
        Ok(())
    }

    /// The condition that a row's value is this one.
    fn equals(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::String(text) => {
                let (head, rest) = split(text);
                self.sql.push_str("f.head = ");
                self.value(head.to_vec())?;
                match rest {
                    None => self.sql.push_str(" AND f.rest IS NULL"),
                    Some(rest) => {
                        self.sql.push_str(" AND f.rest = ");
                        self.value(rest.to_vec())?;
                    }
                }
                Ok(())
            }
            Value::Number(number) => {
                self.sql.push_str("f.number = ");
                self.value(*number)
            }
            Value::Bool(flag) => {
                self.sql.push_str("f.whole = ");
                self.value(i64::from(*flag))
            }
            Value::Date(micros) => {
                self.sql.push_str("f.whole = ");
                self.value(*micros)
            }
        }
    }

    /// The condition that a row's text starts with this one.
    fn starts(&mut self, prefix: &str) -> Result<()> {
        match split(prefix) {
            (head, None) => self.between("f.head", head),
            (head, Some(rest)) => {
                self.sql.push_str(" AND f.head = ");
                self.value(head.to_vec())?;
                self.between("f.rest", rest)
            }
        }
    }

    /// The condition that the bytes in a column start with these.
    fn between(&mut self, column: &str, prefix: &[u8]) -> Result<()> {
        self.sql.push_str(" AND ");
        self.sql.push_str(column);
        self.sql.push_str(" >= ");
        self.value(prefix.to_vec())?;
        if let Some(end) = after_prefix(prefix) {
            self.sql.push_str(" AND ");
            self.sql.push_str(column);
            self.sql.push_str(" < ");
            self.value(end)?;
        }
        Ok(())
    }

    fn filter(&mut self, filter: &Filter) -> Result<()> {
        match filter {
            Filter::Eq(field, value) => self.field(field, Some(kind(value)), |statement| {
                statement.sql.push_str(" AND ");
                statement.equals(value)
            }),
            Filter::In(field, values) => self.any_of(field, values),
            Filter::Range(field, range) => self.range(field, range),
            Filter::Exists(field) => self.field(field, None, |_| Ok(())),
            Filter::Prefix(field, prefix) => {
                self.field(field, Some(Scalar::TEXT), |statement| statement.starts(prefix))
            }
            Filter::And(all) => self.joined(all, " AND ", "true"),
            Filter::Or(any) => self.joined(any, " OR ", "false"),
            Filter::Not(inner) => {
                self.sql.push_str("NOT ");
                self.filter(inner)
            }
        }
    }

    /// A condition that some row of the field fulfils.
    fn field(
        &mut self,
        field: &Field,
        kind: Option<i64>,
        condition: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.sql.push_str(match self.shape {
            Shape::Each => "EXISTS (SELECT 1 FROM fields f WHERE f.version_key = v.version_key AND f.name = ",
            Shape::Sets => "v.version_key IN (SELECT f.version_key FROM fields f WHERE f.collection_key = $1 AND f.name = ",
        });
        self.value(field.0.clone().into_bytes())?;
        if let Some(kind) = kind {
            self.sql.push_str(" AND f.kind = ");
            self.sql.push_str(&kind.to_string());
        }
        condition(self)?;
        self.sql.push(')');
        Ok(())
    }

    fn any_of(&mut self, field: &Field, values: &[Value]) -> Result<()> {
        let mut kinds: Vec<i64> = values.iter().map(kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        self.sql.push_str("(false");
        for wanted in kinds {
            self.sql.push_str(" OR ");
            self.field(field, Some(wanted), |statement| {
                let mut separator = " AND (";
                for value in values.iter().filter(|value| kind(value) == wanted) {
                    statement.sql.push_str(separator);
                    statement.equals(value)?;
                    separator = " OR ";
                }
                statement.sql.push(')');
                Ok(())
            })?;
        }
        self.sql.push(')');
        Ok(())
    }

    fn range(&mut self, field: &Field, range: &Range) -> Result<()> {
        match *range {
            Range::Number { lower, upper } => self.field(field, Some(Scalar::NUMBER), |statement| {
                statement.bound(lower, " AND f.number >= ", " AND f.number > ")?;
                statement.bound(upper, " AND f.number <= ", " AND f.number < ")
            }),
            Range::Date { lower, upper } => self.field(field, Some(Scalar::DATE), |statement| {
                statement.bound(lower, " AND f.whole >= ", " AND f.whole > ")?;
                statement.bound(upper, " AND f.whole <= ", " AND f.whole < ")
            }),
        }
    }

    fn bound<T>(&mut self, bound: Bound<T>, included: &str, excluded: &str) -> Result<()>
    where
        T: for<'t> sqlx::Encode<'t, Postgres> + sqlx::Type<Postgres> + 'static,
    {
        let (operator, value) = match bound {
            Bound::Included(value) => (included, value),
            Bound::Excluded(value) => (excluded, value),
            Bound::Open => return Ok(()),
        };
        self.sql.push_str(operator);
        self.value(value)
    }

    /// Halves long lists, so that no statement is nested deeply enough for the server's stack to matter.
    fn joined(&mut self, filters: &[Filter], operator: &str, empty: &str) -> Result<()> {
        match filters {
            [] => self.sql.push_str(empty),
            [only] => return self.filter(only),
            _ => {
                let (left, right) = filters.split_at(filters.len() / 2);
                self.sql.push('(');
                self.joined(left, operator, empty)?;
                self.sql.push_str(operator);
                self.joined(right, operator, empty)?;
                self.sql.push(')');
            }
        }
        Ok(())
    }
}

fn kind(value: &Value) -> i64 {
    match value {
        Value::String(_) => Scalar::TEXT,
        Value::Number(_) => Scalar::NUMBER,
        Value::Bool(_) => Scalar::BOOL,
        Value::Date(_) => Scalar::DATE,
    }
}

/// Bytes of a text that are in `head`; those behind are in `rest`. Part of the schema.
const HEAD: usize = 512;

/// A text as the columns `head` and `rest` hold it. Bytes, so that a character may be cut in two.
pub(super) fn split(text: &str) -> (&[u8], Option<&[u8]>) {
    match text.as_bytes().split_at_checked(HEAD) {
        Some((head, rest)) if !rest.is_empty() => (head, Some(rest)),
        _ => (text.as_bytes(), None),
    }
}

/// The least bytes above all that start with these, `None` if there are none. UTF-8 sorts like its code points.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_before_the_next_byte() {
        assert_eq!(after_prefix(b"old/").as_deref(), Some(b"old0".as_slice()));
        assert_eq!(after_prefix(b"a\xff").as_deref(), Some(b"b".as_slice()));
        assert_eq!(after_prefix(b"\xff"), None);
        assert_eq!(after_prefix(b""), None);
    }

    #[test]
    fn texts_are_cut_where_the_schema_says() {
        let exact = "x".repeat(HEAD);
        assert_eq!(split(&exact), (exact.as_bytes(), None));
        let longer = format!("{}é", "x".repeat(HEAD - 1));
        assert_eq!(split(&longer), (&longer.as_bytes()[..HEAD], Some(&longer.as_bytes()[HEAD..])));
        assert_eq!(split(""), (b"".as_slice(), None));
    }
}

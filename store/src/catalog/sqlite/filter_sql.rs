//! Filters as SQL over the `fields` table. The one place where the text of a statement is put together; every value is
//! a parameter.

use sqlx::query::QueryAs;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
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
    arguments: SqliteArguments,
    filter: Option<&Filter>,
    shape: Shape,
    tail: &'static str,
) -> Result<QueryAs<'q, Sqlite, T, SqliteArguments>>
where
    T: for<'r> FromRow<'r, SqliteRow>,
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
    arguments: SqliteArguments,
    shape: Shape,
}

impl Statement {
    fn value<'t, T>(&mut self, value: T) -> Result<()>
    where
        T: sqlx::Encode<'t, Sqlite> + sqlx::Type<Sqlite> + 't,
    {
        bind(&mut self.arguments, value)?;
        self.sql.push('?');
        self.sql.push_str(&self.arguments.len().to_string());
        Ok(())
    }

    fn scalar(&mut self, value: &Value) -> Result<()> {
        match value {
            Value::String(text) => self.value(text.clone()),
            Value::Number(number) => self.value(*number),
            Value::Bool(flag) => self.value(i64::from(*flag)),
            Value::Date(micros) => self.value(*micros),
        }
    }

    fn filter(&mut self, filter: &Filter) -> Result<()> {
        match filter {
            Filter::Eq(field, value) => self.field(field, Some(kind(value)), |statement| {
                statement.sql.push_str(" AND f.value = ");
                statement.scalar(value)
            }),
            Filter::In(field, values) => self.any_of(field, values),
            Filter::Range(field, range) => self.range(field, range),
            Filter::Exists(field) => self.field(field, None, |_| Ok(())),
            Filter::Prefix(field, prefix) => self.field(field, Some(Scalar::TEXT), |statement| {
                statement.sql.push_str(" AND f.value >= ");
                statement.value(prefix.clone())?;
                if let Some(end) = after_prefix(prefix) {
                    statement.sql.push_str(" AND f.value < ");
                    statement.value(end)?;
                }
                Ok(())
            }),
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
            Shape::Sets => "v.version_key IN (SELECT f.version_key FROM fields f WHERE f.collection_key = ?1 AND f.name = ",
        });
        self.value(field.0.clone())?;
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
                let mut separator = " AND f.value IN (";
                for value in values.iter().filter(|value| kind(value) == wanted) {
                    statement.sql.push_str(separator);
                    statement.scalar(value)?;
                    separator = ", ";
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
                statement.bound(lower, " AND f.value >= ", " AND f.value > ")?;
                statement.bound(upper, " AND f.value <= ", " AND f.value < ")
            }),
            Range::Date { lower, upper } => self.field(field, Some(Scalar::DATE), |statement| {
                statement.bound(lower, " AND f.value >= ", " AND f.value > ")?;
                statement.bound(upper, " AND f.value <= ", " AND f.value < ")
            }),
        }
    }

    fn bound<T>(&mut self, bound: Bound<T>, included: &str, excluded: &str) -> Result<()>
    where
        T: for<'t> sqlx::Encode<'t, Sqlite> + sqlx::Type<Sqlite> + 'static,
    {
        let (operator, value) = match bound {
            Bound::Included(value) => (included, value),
            Bound::Excluded(value) => (excluded, value),
            Bound::Open => return Ok(()),
        };
        self.sql.push_str(operator);
        self.value(value)
    }

    /// Halves long lists: SQLite takes expressions of a thousand levels at most, and reads `a AND b AND c` as two.
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

/// The least string above every string with this prefix, `None` if there is none. UTF-8 sorts like its code points.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            head.push(next);
            return Some(head);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_before_the_next_code_point() {
        assert_eq!(after_prefix("old/").as_deref(), Some("old0"));
        assert_eq!(after_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"), "surrogates are skipped");
        assert_eq!(after_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_prefix("\u{10ffff}"), None);
        assert_eq!(after_prefix(""), None);
    }
}

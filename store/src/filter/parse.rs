//! The filter's text form.
use super::Filter;
pub(super) fn parse(_text: &str) -> crate::Result<Filter> {
    Ok(Filter::And(Vec::new()))
}

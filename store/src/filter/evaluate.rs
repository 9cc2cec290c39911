//! The filter's meaning, in memory.
use super::Filter;
use crate::document::Metadata;
pub(super) fn matches(_filter: &Filter, _metadata: &Metadata) -> bool {
    true
}

//! tantivy.

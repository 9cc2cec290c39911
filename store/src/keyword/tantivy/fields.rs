//! The schema of a keyword index; any change to it, or to what the analyzer makes of a text, makes old indexes be rebuilt.

use tantivy::Index;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::RawTokenizer;

/// Names the way texts become terms, as part of the schema: an index of another name does not open, and is built again
/// from the catalog. To be raised with every change of what [`crate::keyword::analyzer`] gives for a text.
const ANALYSIS: &str = "wellspring-2";

/// The fields of one chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) key: Field,
    pub(super) document: Field,
    pub(super) version: Field,
    pub(super) text: Field,
    pub(super) title: Field,
    pub(super) headings: Field,
    pub(super) verbatim: Field,
    pub(super) language: Field,
    pub(super) hash: Field,
}

impl Fields {
    pub(super) fn schema() -> (Schema, Self) {
        let words = |option| {
            let indexing = TextFieldIndexing::default().set_tokenizer(ANALYSIS).set_index_option(option);
            TextOptions::default().set_indexing_options(indexing)
        };
        let counted = || words(IndexRecordOption::WithFreqs);
        let mut schema = Schema::builder();
        let fields = Self {
            key: schema.add_u64_field("key", INDEXED | FAST),
            document: schema.add_i64_field("document", FAST),
            version: schema.add_i64_field("version", FAST),
            text: schema.add_text_field("text", counted()),
            title: schema.add_text_field("title", counted()),
            headings: schema.add_text_field("headings", counted()),
            // Places are a third of an English index, so only the field that is asked for phrases has them.
            verbatim: schema.add_text_field("verbatim", words(IndexRecordOption::WithFreqsAndPositions)),
            language: schema.add_text_field("language", STRING),
            hash: schema.add_bytes_field("hash", STORED),
        };
        (schema.build(), fields)
    }
}

/// tantivy asks for a tokenizer of that name, though every text comes to it as terms.
pub(super) fn register(index: &Index) {
    index.tokenizers().register(ANALYSIS, RawTokenizer::default());
}

//! What ingest, retrieval and answering must see the same way in a text: its characters, words, sentences, language.

mod abbreviations;
mod language;
mod normalize;
mod sentences;

pub use language::language;
pub use normalize::{fold, normalize, word_places, words};
pub use sentences::sentences;

//! Loads a model's tokenizer as fastembed wants it, and once more for counting.

use fastembed::TokenizerFiles;
use tokenizers::Tokenizer;

use super::folder::ModelFolder;
use crate::error::{ErrorKind, ModelError, Result};

/// The bytes fastembed builds a tokenizer from.
pub(super) fn files(folder: &ModelFolder) -> Result<TokenizerFiles> {
    Ok(TokenizerFiles {
        tokenizer_file: folder.read("tokenizer.json")?,
        config_file: folder.read("config.json")?,
        special_tokens_map_file: folder.read("special_tokens_map.json")?,
        tokenizer_config_file: folder.read("tokenizer_config.json")?,
    })
}

/// The same tokenizer as the encoder's, but one that neither cuts nor pads.
pub(super) fn for_counting(folder: &ModelFolder) -> Result<Tokenizer> {
    let damaged = |error: Box<dyn std::error::Error + Send + Sync>| {
        ModelError::new(
            ErrorKind::Corrupt,
            format!("the tokenizer in {} can't be read; set the model up again", folder.path().display()),
        )
        .with_source(error)
    };
    let mut tokenizer = Tokenizer::from_bytes(folder.read("tokenizer.json")?).map_err(damaged)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(damaged)?;
    Ok(tokenizer)
}

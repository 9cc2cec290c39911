//! Reads a model's folder: what `model.json` promises, and whether the files keep it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, ModelError, Result};

/// The file that describes a model folder; written last, so that a folder without it is incomplete.
pub(crate) const MANIFEST: &str = "model.json";
/// What a tokenizer is made of.
pub(crate) const TOKENIZER_FILES: [&str; 4] =
    ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// What a model is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// One text in, one vector out.
    #[default]
    Embedder,
    /// Query and passage in, one score out.
    Reranker,
}

/// How token vectors become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolingKind {
    /// Their mean over all tokens.
    #[default]
    Mean,
    /// The first one.
    Cls,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Of an ONNX file: `fp32`, `int8`, …; the part of a model's name after the slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Of an ONNX file: weights it keeps in other files of the folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<String>,
    /// Of an ONNX file: the output that holds the result, where it is not a usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// The contents of `model.json`. Unknown fields are ignored, so that older programs read newer folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The folder's name, and the model's.
    pub name: String,
    /// SPDX expression; empty where it is not known.
    #[serde(default)]
    pub license: String,
    /// What it is for.
    #[serde(default)]
    pub kind: ModelKind,
    /// Components per vector; 0 for a reranker.
    #[serde(default)]
    pub dimension: usize,
    /// Tokens it reads, special tokens included.
    pub max_tokens: usize,
    /// How token vectors become one.
    #[serde(default)]
    pub pooling: PoolingKind,
    /// Put before a query.
    #[serde(default)]
    pub query_prefix: String,
    /// Put before a passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// Every file, by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// A model folder whose `model.json` was read.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
    manifest: Manifest,
}

impl ModelFolder {
    /// Reads `model.json` in `path`; looks at no other file.
    ///
    /// # Errors
    ///
    /// `NotFound` without the folder or the file, `Corrupt` when it can't be understood.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(MANIFEST);
        let text = fs_err::read_to_string(&file).map_err(|error| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let kind = match error.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Unavailable,
            };
            ModelError::new(
                kind,
                format!(
                    "the model {name} is not set up here; run `make setup` for the default model, or `wellspring models pull {name}`"
                ),
            )
            .with_source(error)
        })?;
        let manifest: Manifest = serde_json::from_str(&text).map_err(|error| {
            ModelError::new(
                ErrorKind::Corrupt,
                format!(
                    "{} is damaged ({error}); delete the folder and set the model up again",
                    file.display()
                ),
            )
            .with_source(error)
        })?;
        Ok(Self { path: path.to_owned(), manifest })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it promises.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The precisions there is an ONNX file for, sorted.
    pub fn precisions(&self) -> Vec<&str> {
        let mut found: Vec<&str> =
            self.manifest.files.values().filter_map(|file| file.quantization.as_deref()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The ONNX file of a precision.
    pub(crate) fn onnx(&self, precision: &str) -> Result<(&str, &FileEntry)> {
        self.manifest
            .files
            .iter()
            .find(|(_, file)| file.quantization.as_deref() == Some(precision))
            .map(|(name, file)| (name.as_str(), file))
            .ok_or_else(|| {
                ModelError::new(
                    ErrorKind::NotFound,
                    format!(
                        "the model {} has no {precision} file; it has {}",
                        self.manifest.name,
                        self.precisions().join(", ")
                    ),
                )
            })
    }

    /// The files one precision needs: its ONNX file, that file's external weights, the tokenizer's.
    pub(crate) fn needed(&self, precision: &str) -> Result<Vec<&str>> {
        let (onnx, entry) = self.onnx(precision)?;
        let external = entry.external.iter().map(String::as_str);
        Ok(std::iter::once(onnx).chain(external).chain(TOKENIZER_FILES).collect())
    }

    /// The entry of a file. A name that could leave the folder is refused.
    pub(crate) fn entry(&self, name: &str) -> Result<&FileEntry> {
        let plain = Path::new(name).components().count() == 1
            && !name.starts_with('.')
            && !name.contains(['/', '\\']);
        self.manifest.files.get(name).filter(|_| plain).ok_or_else(|| {
            ModelError::new(
                ErrorKind::Corrupt,
                format!(
                    "{} lists no file {name}; set the model up again",
                    self.path.join(MANIFEST).display()
                ),
            )
        })
    }

    /// Whether `name` is there in its promised size: cheap, and finds what is missing or cut.
    pub(crate) fn check_size(&self, name: &str) -> Result<()> {
        let promised = self.entry(name)?.bytes;
        let path = self.path.join(name);
        let found = fs_err::metadata(&path).map_err(|error| self.missing(name).with_source(error))?.len();
        if found == promised {
            Ok(())
        } else {
            Err(self.damaged(name, &format!("{found} of {promised} bytes")))
        }
    }

    /// Whether `name` is byte for byte what was recorded. Reads the whole file.
    pub(crate) fn verify(&self, name: &str) -> Result<()> {
        self.check_size(name)?;
        let found =
            sha256_file(&self.path.join(name)).map_err(|error| self.missing(name).with_source(error))?;
        if found == self.entry(name)?.sha256 { Ok(()) } else { Err(self.damaged(name, "wrong checksum")) }
    }

    /// The contents of `name`, without a check.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.entry(name)?;
        fs_err::read(self.path.join(name)).map_err(|error| self.missing(name).with_source(error))
    }

    fn missing(&self, name: &str) -> ModelError {
        ModelError::new(
            ErrorKind::NotFound,
            format!(
                "{name} of the model {} is missing or can't be read; set the model up again",
                self.manifest.name
            ),
        )
    }

    fn damaged(&self, name: &str, what: &str) -> ModelError {
        ModelError::new(
            ErrorKind::Corrupt,
            format!(
                "{} is damaged ({what}); delete it and set the model up again",
                self.path.join(name).display()
            ),
        )
    }
}

/// The SHA-256 of a file in lower-case hexadecimal.
pub(crate) fn sha256_file(path: &Path) -> std::io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0_u8; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => context.update(&buffer[..read]),
        }
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(manifest: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(MANIFEST), manifest).unwrap();
        dir
    }

    const ABC: &str = r#"{"name":"m","max_tokens":8,"future":1,"files":{"a.onnx":{"quantization":"fp32","bytes":3,
        "sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        "../x":{"bytes":1,"sha256":""}}}"#;

    #[test]
    fn a_folder_is_checked_by_size_and_checksum() {
        let dir = folder(ABC);
        let model = ModelFolder::open(dir.path()).unwrap();
        assert_eq!(model.verify("a.onnx").unwrap_err().kind(), ErrorKind::NotFound);
        fs_err::write(dir.path().join("a.onnx"), "abc").unwrap();
        model.verify("a.onnx").unwrap();
        fs_err::write(dir.path().join("a.onnx"), "abd").unwrap();
        model.check_size("a.onnx").unwrap();
        assert_eq!(model.verify("a.onnx").unwrap_err().kind(), ErrorKind::Corrupt);
        fs_err::write(dir.path().join("a.onnx"), "ab").unwrap();
        assert_eq!(model.check_size("a.onnx").unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn no_name_leaves_the_folder_and_no_unknown_precision_is_found() {
        let dir = folder(ABC);
        let model = ModelFolder::open(dir.path()).unwrap();
        assert_eq!(model.read("../x").unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(model.onnx("int8").unwrap_err().to_string(), "the model m has no int8 file; it has fp32");
    }

    #[test]
    fn a_missing_or_damaged_description_says_what_to_do() {
        let dir = folder("{");
        assert_eq!(ModelFolder::open(dir.path()).unwrap_err().kind(), ErrorKind::Corrupt);
        let error = ModelFolder::open(&dir.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("wellspring models pull none"), "{error}");
    }
}

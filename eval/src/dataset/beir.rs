//! BEIR folders: a corpus or a folder of files, queries, judgements by split, and quotes where a manifest names them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Accepted, Dataset, Documents, GoldSpan, Parts, read_qrels};
use crate::error::{ErrorKind, EvalError, Result};
use crate::run::{lines, wrong};

/// One document of a corpus file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusDocument {
    /// Its id.
    pub id: String,
    /// Its title, or empty.
    pub title: String,
    /// Its text, or empty: an empty document counts and is never found.
    pub text: String,
}

#[derive(Deserialize)]
struct CorpusLine {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct QueryLine {
    #[serde(rename = "_id")]
    id: String,
    text: String,
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct SpanLine {
    #[serde(rename = "query-id")]
    query: String,
    #[serde(rename = "corpus-id")]
    document: String,
    quote: String,
}

#[derive(Deserialize, Default)]
struct Manifest {
    documents: Option<PathBuf>,
    spans: Option<PathBuf>,
    #[serde(default)]
    collection: bool,
}

pub(super) fn open(folder: &Path, split: Option<&str>) -> Result<Dataset> {
    let mut accepted = Accepted::default();
    let qrels_path = qrels_file(folder, split)?;
    let qrels = read_qrels(&qrels_path, &mut accepted)?;
    let (queries, types) = queries(&folder.join("queries.jsonl"), &mut accepted)?;
    let manifest = manifest(&folder.join("dataset.toml"))?;
    let spans = match &manifest.spans {
        Some(file) => spans(&folder.join(file), &qrels, &mut accepted)?,
        None => BTreeMap::new(),
    };
    let name = folder
        .canonicalize()?
        .file_name()
        .map_or_else(|| "dataset".to_owned(), |name| name.to_string_lossy().into_owned());
    let documents = documents(folder, &manifest)?;
    Dataset::checked(Parts { name, documents, queries, qrels, spans, types }, accepted, &qrels_path)
}

/// Texts and types of the queries.
type Queries = (BTreeMap<String, String>, BTreeMap<String, String>);

fn queries(path: &Path, accepted: &mut Accepted) -> Result<Queries> {
    let (mut queries, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in json_lines::<QueryLine>(path, accepted)? {
        let (number, query) = line?;
        if let Some(of) = query.metadata.get("type").and_then(|value| value.as_str()) {
            types.insert(query.id.clone(), of.to_owned());
        }
        if queries.insert(query.id.clone(), query.text).is_some() {
            return Err(wrong(path, number, format_args!("query `{}` is there twice", query.id)));
        }
    }
    Ok((queries, types))
}

fn spans(
    path: &Path,
    qrels: &crate::metrics::Qrels,
    accepted: &mut Accepted,
) -> Result<BTreeMap<String, Vec<GoldSpan>>> {
    let mut spans: BTreeMap<String, Vec<GoldSpan>> = BTreeMap::new();
    for line in json_lines::<SpanLine>(path, accepted)? {
        let (number, line) = line?;
        if !qrels.get(&line.query).is_some_and(|judged| judged.contains_key(&line.document)) {
            return Err(wrong(
                path,
                number,
                format_args!("`{}` is not judged for query `{}`", line.document, line.query),
            ));
        }
        let span = GoldSpan { document: line.document, quote: line.quote };
        let of_query = spans.entry(line.query).or_default();
        if of_query.contains(&span) {
            return Err(wrong(path, number, "the same quote is there twice"));
        }
        of_query.push(span);
    }
    Ok(spans)
}

/// Every document of a corpus file, one by one in file order.
pub fn corpus(path: &Path) -> Result<impl Iterator<Item = Result<CorpusDocument>>> {
    corpus_counted(path, &mut Accepted::default())
}

/// The same, with what is unusual in the file counted.
pub(super) fn corpus_counted(
    path: &Path,
    accepted: &mut Accepted,
) -> Result<impl Iterator<Item = Result<CorpusDocument>> + use<>> {
    Ok(json_lines::<CorpusLine>(path, accepted)?.map(|line| {
        let (_, line) = line?;
        Ok(CorpusDocument {
            id: line.id,
            title: line.title.unwrap_or_default(),
            text: line.text.unwrap_or_default(),
        })
    }))
}

fn manifest(path: &Path) -> Result<Manifest> {
    if !path.is_file() {
        return Ok(Manifest::default());
    }
    toml::from_str(&fs_err::read_to_string(path)?).map_err(|e| {
        EvalError::new(ErrorKind::Invalid, format!("{} is not valid TOML", path.display())).with_source(e)
    })
}

fn documents(folder: &Path, manifest: &Manifest) -> Result<Documents> {
    let corpus = folder.join("corpus.jsonl");
    if corpus.is_file() {
        return Ok(Documents::Corpus(corpus));
    }
    if manifest.collection {
        return Ok(Documents::Indexed);
    }
    let Some(documents) = &manifest.documents else {
        return Err(EvalError::new(
            ErrorKind::NotFound,
            format!(
                "{} has neither a corpus.jsonl nor a dataset.toml that names a folder of documents or says `collection = true`",
                folder.display()
            ),
        ));
    };
    let path = folder.join(documents);
    if path.is_dir() {
        return Ok(Documents::Folder(path));
    }
    Err(EvalError::new(
        ErrorKind::NotFound,
        format!(
            "{}/dataset.toml names documents in {}, which is not a folder",
            folder.display(),
            path.display()
        ),
    ))
}

fn qrels_file(folder: &Path, split: Option<&str>) -> Result<PathBuf> {
    let dir = folder.join("qrels");
    let mut splits: Vec<String> = Vec::new();
    if dir.is_dir() {
        for entry in fs_err::read_dir(&dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some(stem) = name.strip_suffix(".tsv") {
                splits.push(stem.to_owned());
            }
        }
    }
    splits.sort();
    let wanted = split.unwrap_or("test");
    let chosen = match splits.as_slice() {
        _ if splits.iter().any(|s| s == wanted) => wanted,
        [only] if split.is_none() => only,
        [] => {
            return Err(EvalError::new(
                ErrorKind::NotFound,
                format!("{} has no judgements (*.tsv)", dir.display()),
            ));
        }
        _ => {
            return Err(EvalError::new(
                ErrorKind::NotFound,
                format!("{} has no split `{wanted}`; there are: {}", dir.display(), splits.join(", ")),
            ));
        }
    };
    Ok(dir.join(format!("{chosen}.tsv")))
}

/// Lines of JSON with their numbers. Only LF ends a line: U+2028 inside a string does not.
pub(crate) fn json_lines<T: for<'de> Deserialize<'de>>(
    path: &Path,
    accepted: &mut Accepted,
) -> Result<impl Iterator<Item = Result<(usize, T)>> + use<T>> {
    let text = fs_err::read_to_string(path)?;
    accepted.count_in_text(&text);
    let path = path.to_owned();
    let parsed: Vec<_> = lines(&text)
        .map(|(number, line)| {
            serde_json::from_str(line).map(|value| (number, value)).map_err(|e| {
                wrong(&path, number, "not a JSON object with the expected fields").with_source(e)
            })
        })
        .collect();
    Ok(parsed.into_iter())
}

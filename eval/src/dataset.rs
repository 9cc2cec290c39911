//! What a retrieval evaluation reads: documents, queries and judgements, as BEIR folders or TREC files.
//!
//! A BEIR folder holds `queries.jsonl` (`_id`, `text`), `qrels/<split>.tsv` and `corpus.jsonl` (`_id`, `title`, `text`);
//! or, in place of the corpus, a `dataset.toml` whose `documents` names a folder of files, relative to the dataset, so
//! that extraction is measured too (a document's id is then its path in that folder).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::Qrels;
use crate::run::{decode, lines, wrong};

mod trec;

pub use trec::{read_qrels, read_topics};

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

/// Where the documents are.
#[derive(Debug, Clone)]
pub enum Documents {
    /// In a `corpus.jsonl`.
    Corpus(PathBuf),
    /// In a folder of files.
    Folder(PathBuf),
    /// In the collection already.
    Indexed,
}

/// Documents, queries and judgements.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder's name.
    pub name: String,
    /// Where the documents are.
    pub documents: Documents,
    /// Texts of queries by id; only judged ones.
    pub queries: BTreeMap<String, String>,
    /// Judgements of every judged query.
    pub qrels: Qrels,
    /// BLAKE3 over queries and judgements as read, hexadecimal: runs over different ones can't be compared.
    pub checksum: String,
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
}

impl Dataset {
    /// Opens a dataset folder with the judgements of one split (`test` unless named; the only one if there is just one).
    pub fn open(folder: &Path, split: Option<&str>) -> Result<Self> {
        if !folder.is_dir() {
            return Err(EvalError::new(
                ErrorKind::NotFound,
                format!("{} is not a folder; a dataset is a folder in BEIR layout", folder.display()),
            ));
        }
        let qrels_path = qrels_file(folder, split)?;
        let qrels = read_qrels(&qrels_path)?;
        let queries_path = folder.join("queries.jsonl");
        let mut queries = BTreeMap::new();
        for line in json_lines::<QueryLine>(&queries_path)? {
            let (number, query) = line?;
            if queries.insert(query.id.clone(), query.text).is_some() {
                return Err(wrong(
                    &queries_path,
                    number,
                    format_args!("query `{}` is there twice", query.id),
                ));
            }
        }
        if let Some(unknown) = qrels.keys().find(|id| !queries.contains_key(*id)) {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!(
                    "{} judges query `{unknown}`, which queries.jsonl does not have",
                    qrels_path.display()
                ),
            ));
        }
        let name = folder
            .canonicalize()?
            .file_name()
            .map_or_else(|| "dataset".to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Self::new(name, documents(folder)?, queries, qrels))
    }

    /// TREC topics and judgements over documents that are in a collection already; ids of the judgements are the
    /// collection's document ids.
    pub fn from_trec(topics: &Path, qrels: &Path) -> Result<Self> {
        let (queries, judged) = (read_topics(topics)?, read_qrels(qrels)?);
        if let Some(unknown) = judged.keys().find(|id| !queries.contains_key(*id)) {
            return Err(EvalError::new(
                ErrorKind::Invalid,
                format!(
                    "{} judges query `{unknown}`, which {} does not have",
                    qrels.display(),
                    topics.display()
                ),
            ));
        }
        let name = topics
            .file_stem()
            .map_or_else(|| "topics".to_owned(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self::new(name, Documents::Indexed, queries, judged))
    }

    fn new(name: String, documents: Documents, mut queries: BTreeMap<String, String>, qrels: Qrels) -> Self {
        queries.retain(|id, _| qrels.contains_key(id));
        let checksum = checksum(&queries, &qrels);
        Self { name, documents, queries, qrels, checksum }
    }
}

/// Every document of a corpus file, one by one in file order.
pub fn corpus(path: &Path) -> Result<impl Iterator<Item = Result<CorpusDocument>>> {
    Ok(json_lines::<CorpusLine>(path)?.map(|line| {
        let (_, line) = line?;
        Ok(CorpusDocument {
            id: line.id,
            title: line.title.unwrap_or_default(),
            text: line.text.unwrap_or_default(),
        })
    }))
}

fn documents(folder: &Path) -> Result<Documents> {
    #[derive(Deserialize)]
    struct Manifest {
        documents: Option<PathBuf>,
    }
    let corpus = folder.join("corpus.jsonl");
    if corpus.is_file() {
        return Ok(Documents::Corpus(corpus));
    }
    let manifest = folder.join("dataset.toml");
    if manifest.is_file() {
        let text = fs_err::read_to_string(&manifest)?;
        let parsed: Manifest = toml::from_str(&text).map_err(|e| {
            EvalError::new(ErrorKind::Invalid, format!("{} is not valid TOML", manifest.display()))
                .with_source(e)
        })?;
        if let Some(documents) = parsed.documents {
            let path = folder.join(documents);
            if path.is_dir() {
                return Ok(Documents::Folder(path));
            }
            return Err(EvalError::new(
                ErrorKind::NotFound,
                format!(
                    "{} names documents in {}, which is not a folder",
                    manifest.display(),
                    path.display()
                ),
            ));
        }
    }
    Err(EvalError::new(
        ErrorKind::NotFound,
        format!(
            "{} has neither a corpus.jsonl nor a dataset.toml that names a folder of documents",
            folder.display()
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
fn json_lines<T: for<'de> Deserialize<'de>>(
    path: &Path,
) -> Result<impl Iterator<Item = Result<(usize, T)>> + use<T>> {
    let text = fs_err::read_to_string(path)?;
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

fn checksum(queries: &BTreeMap<String, String>, qrels: &Qrels) -> String {
    let mut hasher = blake3::Hasher::new();
    for (id, text) in queries {
        hasher.update(id.as_bytes()).update(&[0]).update(text.as_bytes()).update(&[0]);
        let mut judged: Vec<_> = qrels.get(id).into_iter().flatten().collect();
        judged.sort();
        for (document, grade) in judged {
            hasher.update(document.as_bytes()).update(&[0]).update(&grade.to_le_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// A document id as run files carry it, decoded.
pub(crate) fn plain(id: &str) -> String {
    decode(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_beir_folder_reads_with_line_separators_inside_strings() {
        let folder = folder(&[
            ("corpus.jsonl", "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"a\u{2028}b\"}\n{\"_id\":\"d2\"}\n"),
            (
                "queries.jsonl",
                "\u{feff}{\"_id\":\"1\",\"text\":\"one\"}\r\n{\"_id\":\"2\",\"text\":\"two\"}\n",
            ),
            ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n1\td1\t2\n1\td2\t0\n"),
        ]);
        let dataset = Dataset::open(folder.path(), None).unwrap();
        assert_eq!(dataset.queries.len(), 1, "only judged queries");
        assert_eq!(dataset.qrels["1"]["d1"], 2);
        let Documents::Corpus(path) = &dataset.documents else { panic!() };
        let documents: Vec<_> = corpus(path).unwrap().map(Result::unwrap).collect();
        assert_eq!(documents[0].text, "a\u{2028}b");
        assert_eq!(
            documents[1],
            CorpusDocument { id: "d2".into(), title: String::new(), text: String::new() }
        );
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        let broken = folder(&[
            ("corpus.jsonl", ""),
            ("queries.jsonl", "{\"_id\":\"1\",\"text\":\"one\"}\n{\"_id\":1}\n"),
            ("qrels/test.tsv", "1\td1\t2\n"),
        ]);
        let error = Dataset::open(broken.path(), None).unwrap_err().to_string();
        assert!(error.contains("queries.jsonl line 2"), "{error}");

        let unknown = folder(&[
            ("corpus.jsonl", ""),
            ("queries.jsonl", "{\"_id\":\"1\",\"text\":\"one\"}\n"),
            ("qrels/test.tsv", "1\td1\t2\n7\td1\t1\n"),
        ]);
        let error = Dataset::open(unknown.path(), None).unwrap_err().to_string();
        assert!(error.contains("query `7`"), "{error}");

        let error = Dataset::open(unknown.path(), Some("dev")).unwrap_err().to_string();
        assert!(error.contains("no split `dev`; there are: test"), "{error}");
    }
}

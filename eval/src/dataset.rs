//! What a retrieval evaluation reads: documents, queries and judgements, in one of four formats, checked before use.
//!
//! - A BEIR folder: `queries.jsonl` (`_id`, `text`), `qrels/<split>.tsv` and `corpus.jsonl` (`_id`, `title`, `text`); or,
//!   in place of the corpus, a `dataset.toml` whose `documents` names a folder of files, relative to the dataset, so that
//!   extraction is measured too (a document's id is then its path in that folder), and whose `spans` may name quotes; or
//!   that says `collection = true`, where the documents are in a collection already.
//! - A CSV or JSONL file of question → document, or document and quoted span, over documents elsewhere (`simple`).
//! - TREC topics and judgements over documents that are in a collection already (`trec`).
//!
//! Wrong input is refused with file and line: ids that nothing has, rows given twice, no judgements, grades that are no
//! numbers. What is unusual but clear is accepted and counted in [`Dataset::accepted`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, EvalError, Result};
use crate::metrics::Qrels;

mod accepted;
mod beir;
mod simple;
mod trec;

pub use accepted::Accepted;
pub(crate) use beir::json_lines;
pub use beir::{CorpusDocument, corpus};
pub(crate) use trec::{HEADER, row as qrels_row};
pub use trec::{qrels_text, read_qrels, read_topics, write_qrels};

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

impl Documents {
    /// A folder of files, a BEIR folder (its `corpus.jsonl` is meant), or a `corpus.jsonl` itself.
    pub fn at(path: &Path) -> Result<Self> {
        let corpus = path.join("corpus.jsonl");
        if corpus.is_file() {
            return Ok(Self::Corpus(corpus));
        }
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        if path.is_file() {
            return Ok(Self::Corpus(path.to_owned()));
        }
        Err(EvalError::new(
            ErrorKind::NotFound,
            format!("{} is neither a folder of documents nor a corpus.jsonl", path.display()),
        ))
    }

    /// What the documents are called: the name of their folder.
    pub fn name(&self) -> String {
        let folder = match self {
            Self::Corpus(path) => path.parent(),
            Self::Folder(path) => Some(path.as_path()),
            Self::Indexed => None,
        };
        let folder = folder.and_then(|folder| folder.canonicalize().ok());
        let name = folder.as_deref().and_then(Path::file_name);
        name.map_or_else(|| "documents".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}

/// The words of a document that answer a query, as they stand there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GoldSpan {
    /// The document's id.
    pub document: String,
    /// Found in the stored text with white space and case folded.
    pub quote: String,
}

/// Documents, queries and judgements.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The folder's or the file's name.
    pub name: String,
    /// Where the documents are.
    pub documents: Documents,
    /// Texts of queries by id; only judged ones.
    pub queries: BTreeMap<String, String>,
    /// Judgements of every judged query.
    pub qrels: Qrels,
    /// Quotes by query, where the dataset has them.
    pub spans: BTreeMap<String, Vec<GoldSpan>>,
    /// What the dataset itself says a query is (`metadata.type` of BEIR queries), by query.
    pub types: BTreeMap<String, String>,
    /// What was unusual and accepted.
    pub accepted: Accepted,
    /// BLAKE3 over queries, judgements and spans as read, hexadecimal: runs over different ones can't be compared.
    pub checksum: String,
}

impl Dataset {
    /// Opens a BEIR folder with the judgements of one split (`test` unless named; the only one if there is just one), or a
    /// CSV or JSONL file of questions over documents that are in a collection already.
    pub fn open(path: &Path, split: Option<&str>) -> Result<Self> {
        if path.is_file() {
            return simple::open(path, Documents::Indexed);
        }
        if !path.is_dir() {
            return Err(EvalError::new(
                ErrorKind::NotFound,
                format!(
                    "{} does not exist; a dataset is a folder in BEIR layout, or a CSV or JSONL file of questions",
                    path.display()
                ),
            ));
        }
        beir::open(path, split)
    }

    /// A CSV or JSONL file of questions over documents elsewhere: see [`Documents::at`].
    pub fn over(questions: &Path, documents: &Path) -> Result<Self> {
        simple::open(questions, Documents::at(documents)?)
    }

    /// Documents that nobody has asked about yet.
    pub fn unasked(documents: Documents) -> Self {
        let parts = Parts { documents, ..Parts::default() };
        Self {
            name: "documents".to_owned(),
            documents: parts.documents,
            queries: parts.queries,
            qrels: parts.qrels,
            spans: parts.spans,
            types: parts.types,
            accepted: Accepted::default(),
            checksum: String::new(),
        }
    }

    /// TREC topics and judgements over documents that are in a collection already; ids of the judgements are the
    /// collection's document ids.
    pub fn from_trec(topics: &Path, qrels: &Path) -> Result<Self> {
        let mut accepted = Accepted::default();
        let (queries, judged) = (read_topics(topics, &mut accepted)?, read_qrels(qrels, &mut accepted)?);
        let parts = Parts {
            name: stem(topics),
            documents: Documents::Indexed,
            queries,
            qrels: judged,
            ..Parts::default()
        };
        Self::checked(parts, accepted, qrels)
    }

    /// Puts the parts together: every judged query must have a text and, where the documents can be listed, every judged
    /// document must be there.
    fn checked(parts: Parts, mut accepted: Accepted, judged_in: &Path) -> Result<Self> {
        let Parts { name, documents, mut queries, qrels, spans, types } = parts;
        let unknown =
            |what: String| EvalError::new(ErrorKind::Invalid, format!("{} {what}", judged_in.display()));
        if qrels.values().flat_map(|judged| judged.values()).all(|grade| *grade < 1) {
            return Err(unknown("judges no document as relevant, so nothing could ever be found".to_owned()));
        }
        if let Some(id) = qrels.keys().find(|id| !queries.contains_key(*id)) {
            return Err(unknown(format!("judges query `{id}`, which has no text in the dataset")));
        }
        if let Some(known) = ids(&documents, &mut accepted)? {
            for (query, judged) in &qrels {
                let mut missing: Vec<_> = judged.keys().filter(|id| !known.contains(*id)).collect();
                missing.sort();
                if let Some(document) = missing.first() {
                    return Err(unknown(format!(
                        "judges document `{document}` for query `{query}`, which the documents do not have"
                    )));
                }
            }
            accepted.count(
                "documents whose id is a query's",
                queries.keys().filter(|id| known.contains(*id)).count(),
            );
        }
        let before = queries.len();
        queries.retain(|id, _| qrels.contains_key(id));
        accepted.count("queries without judgements, left out", before - queries.len());
        let checksum = checksum(&queries, &qrels, &spans);
        Ok(Self { name, documents, queries, qrels, spans, types, accepted, checksum })
    }

    /// The same dataset with only these queries, under another name.
    #[must_use]
    pub fn only(&self, name: &str, keep: &BTreeSet<String>) -> Self {
        let mut part = self.clone();
        name.clone_into(&mut part.name);
        part.queries.retain(|id, _| keep.contains(id));
        part.qrels.retain(|id, _| keep.contains(id));
        part.spans.retain(|id, _| keep.contains(id));
        part.types.retain(|id, _| keep.contains(id));
        part.checksum = checksum(&part.queries, &part.qrels, &part.spans);
        part
    }
}

/// What a format's reader found.
struct Parts {
    name: String,
    documents: Documents,
    queries: BTreeMap<String, String>,
    qrels: Qrels,
    spans: BTreeMap<String, Vec<GoldSpan>>,
    types: BTreeMap<String, String>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            name: String::new(),
            documents: Documents::Indexed,
            queries: BTreeMap::new(),
            qrels: Qrels::new(),
            spans: BTreeMap::new(),
            types: BTreeMap::new(),
        }
    }
}

/// Every document's id, where the documents can be listed without a collection.
fn ids(documents: &Documents, accepted: &mut Accepted) -> Result<Option<BTreeSet<String>>> {
    Ok(match documents {
        Documents::Corpus(path) => {
            let mut known = BTreeSet::new();
            for document in beir::corpus_counted(path, accepted)? {
                let id = document?.id;
                if known.contains(&id) {
                    return Err(EvalError::new(
                        ErrorKind::Invalid,
                        format!("{} has document `{id}` twice", path.display()),
                    ));
                }
                known.insert(id);
            }
            Some(known)
        }
        Documents::Folder(path) => Some(
            wellspring_ingest::source::walk(std::slice::from_ref(path))
                .into_iter()
                .filter_map(|entry| match entry {
                    wellspring_ingest::source::Entry::File(found) => Some(found.id.to_string()),
                    _ => None,
                })
                .collect(),
        ),
        Documents::Indexed => None,
    })
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "questions".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn checksum(
    queries: &BTreeMap<String, String>,
    qrels: &Qrels,
    spans: &BTreeMap<String, Vec<GoldSpan>>,
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut put = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    };
    for (id, text) in queries {
        put(id);
        put(text);
        let mut judged: Vec<_> = qrels.get(id).into_iter().flatten().collect();
        judged.sort();
        for (document, grade) in judged {
            put(document);
            put(&grade.to_string());
        }
        for span in spans.get(id).into_iter().flatten() {
            put(&span.document);
            put(&span.quote);
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests;

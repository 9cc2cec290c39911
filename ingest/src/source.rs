//! Where documents come from: bytes, streams, files, and folders that are walked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use ignore::{DirEntry, WalkBuilder};
use tokio_util::io::ReaderStream;
use wellspring_store::{DocumentId, Metadata};

/// Bytes read from a file at a time.
const READ: usize = 128 * 1024;

/// A document handed in.
pub struct Submission {
    /// Its id within the collection.
    pub id: DocumentId,
    /// Where it came from, shown to people; its last part helps detection where the content does not decide.
    pub source: String,
    /// Its bytes.
    pub content: Content,
    /// The media type the client declared.
    pub media_type: Option<String>,
    /// The title the client gave.
    pub title: Option<String>,
    /// The client's metadata.
    pub metadata: Metadata,
    /// Principals that may see it; `None` for everybody of the tenant. Checked against the writer's rights by the caller.
    pub acl: Option<Vec<String>>,
}

impl Submission {
    /// A document of these bytes with nothing else said about it.
    pub fn new(id: DocumentId, source: impl Into<String>, content: Content) -> Self {
        Self {
            id,
            source: source.into(),
            content,
            media_type: None,
            title: None,
            metadata: Metadata::new(),
            acl: None,
        }
    }
}

/// The bytes of a document.
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file, opened when it is read.
    File(PathBuf),
    /// Coming in.
    Stream(BoxStream<'static, std::io::Result<Bytes>>),
}

impl Content {
    /// The same once more, where it can be read twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::File(path) => Some(Self::File(path.clone())),
            Self::Stream(_) => None,
        }
    }

    /// The bytes as a stream; fails where the file can't be opened.
    pub async fn stream(self) -> std::io::Result<BoxStream<'static, std::io::Result<Bytes>>> {
        Ok(match self {
            Self::Bytes(bytes) => stream::iter([Ok(bytes)]).boxed(),
            Self::File(path) => {
                ReaderStream::with_capacity(fs_err::tokio::File::open(path).await?, READ).boxed()
            }
            Self::Stream(stream) => stream,
        })
    }
}

/// A file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// Its id: the path relative to the folder that was named, with `/`; for a file that was named itself, its name.
    pub id: DocumentId,
}

/// What a walk comes across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file to be read.
    File(Found),
    /// A path that can't be read or be given an id: its name, a stable code, and the reason in words.
    Problem {
        /// As it was named or found.
        path: PathBuf,
        /// `unreadable`, `not_found`, `invalid_id` or `duplicate_id`.
        reason: &'static str,
        /// In words.
        message: String,
    },
}

/// Walks files and folders in the order given, each folder in the order of its names (bytes).
///
/// Files that a `.gitignore`, `.ignore` or git's own exclude file hides are left out, inside a repository or not;
/// hidden files and symbolic links too. A path named itself is read whatever it is called. Two files of the same id are
/// two versions of one document to the catalog, so the second one is a problem. Blocking.
pub fn walk(paths: &[PathBuf]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut seen: HashMap<DocumentId, PathBuf> = HashMap::new();
    for root in paths {
        for entry in walk_one(root) {
            let entry = match entry {
                Entry::File(found) => match seen.get(&found.id) {
                    Some(first) if *first == found.path => continue,
                    Some(first) => Entry::Problem {
                        message: format!(
                            "its id {} is taken by {}; ingest one folder at a time or their common parent",
                            found.id,
                            first.display()
                        ),
                        reason: "duplicate_id",
                        path: found.path,
                    },
                    None => {
                        seen.insert(found.id.clone(), found.path.clone());
                        Entry::File(found)
                    }
                },
                problem @ Entry::Problem { .. } => problem,
            };
            entries.push(entry);
        }
    }
    entries
}

fn walk_one(root: &Path) -> Vec<Entry> {
    let metadata = match fs_err::metadata(root) {
        Ok(metadata) => metadata,
        Err(e) => {
            let reason = if e.kind() == std::io::ErrorKind::NotFound { "not_found" } else { "unreadable" };
            return vec![Entry::Problem { path: root.to_owned(), reason, message: e.to_string() }];
        }
    };
    if metadata.is_file() {
        return vec![entry(root.to_owned(), root.file_name().map(Path::new))];
    }
    let walk = WalkBuilder::new(root)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_name(|a, b| a.cmp(b))
        .build();
    walk.filter_map(|item| match item {
        Ok(item) if is_file(&item) => {
            let relative = item.path().strip_prefix(root).ok().map(Path::to_owned);
            Some(entry(item.into_path(), relative.as_deref()))
        }
        Ok(_) => None,
        Err(e) => Some(Entry::Problem {
            path: path_of(&e).unwrap_or(root).to_owned(),
            reason: "unreadable",
            message: e.to_string(),
        }),
    })
    .collect()
}

fn is_file(item: &DirEntry) -> bool {
    item.file_type().is_some_and(|kind| kind.is_file())
}

fn entry(path: PathBuf, relative: Option<&Path>) -> Entry {
    let parts: Option<Vec<&str>> =
        relative.and_then(|r| r.components().map(|part| part.as_os_str().to_str()).collect());
    let Some(parts) = parts else {
        let message = "its name is not UTF-8; rename it".to_owned();
        return Entry::Problem { path, reason: "invalid_id", message };
    };
    match DocumentId::new(parts.join("/")) {
        Ok(id) => Entry::File(Found { path, id }),
        Err(e) => Entry::Problem { path, reason: "invalid_id", message: e.to_string() },
    }
}

/// The path an error of the walk is about.
fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}

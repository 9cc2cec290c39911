//! An upload on its way: kept in an unnamed file of the data folder until the whole request is known to be right.
//!
//! Form fields come in any order, so the bytes may be here before the id they belong to. Whatever happens, the file is
//! gone when the request is: the system removes it with its last handle.

use std::io::SeekFrom;
use std::path::PathBuf;

use axum::body::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use wellspring_store::{ContentHash, ErrorKind, StoreError};

use crate::problem::{Code, Problem};

/// Bytes read back at a time.
const READ: usize = 128 << 10;

/// A file being received.
pub(super) struct Spool {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
    limit: u64,
}

/// A file received whole.
pub(super) struct Spooled {
    /// Its bytes.
    pub(super) content: BoxStream<'static, std::io::Result<Bytes>>,
    /// Their hash.
    pub(super) hash: ContentHash,
}

impl Spool {
    /// An empty one for at most `limit` bytes.
    pub(super) async fn new(folder: PathBuf, limit: u64) -> Result<Self, Problem> {
        let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder))
            .await
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
            .map_err(broken)?;
        Ok(Self { file: File::from_std(file), hasher: blake3::Hasher::new(), bytes: 0, limit })
    }

    /// Adds bytes; `too-large` beyond the limit.
    pub(super) async fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        self.bytes += chunk.len() as u64;
        if self.bytes > self.limit {
            return Err(too_large(self.limit));
        }
        self.hasher.update(chunk);
        self.file.write_all(chunk).await.map_err(broken)
    }

    /// The file itself, at its beginning, for readers that seek.
    pub(super) async fn into_file(mut self) -> Result<std::fs::File, Problem> {
        self.file.flush().await.map_err(broken)?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(broken)?;
        Ok(self.file.into_std().await)
    }

    /// Turns to reading.
    pub(super) async fn finish(mut self) -> Result<Spooled, Problem> {
        self.file.flush().await.map_err(broken)?;
        self.file.seek(SeekFrom::Start(0)).await.map_err(broken)?;
        let content = ReaderStream::with_capacity(self.file, READ).boxed();
        Ok(Spooled { content, hash: ContentHash(*self.hasher.finalize().as_bytes()) })
    }
}

/// What is said of a file beyond the limit.
pub(super) fn too_large(limit: u64) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the file is larger than {limit} bytes, the limit here (`ingest.max_upload_bytes`)"),
    )
}

fn broken(error: std::io::Error) -> Problem {
    let message = format!("the upload can't be written to the data folder: {error}");
    StoreError::new(ErrorKind::Unavailable, message).with_source(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_in_comes_out_and_the_limit_is_exact() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path().to_owned(), 5).await.unwrap();
        spool.write(b"abc").await.unwrap();
        spool.write(b"de").await.unwrap();
        let Spooled { content, hash } = spool.finish().await.unwrap();
        let bytes: Vec<Bytes> = content.map(Result::unwrap).collect().await;
        assert_eq!((bytes.concat(), hash), (b"abcde".to_vec(), ContentHash::of(b"abcde")));

        let mut spool = Spool::new(folder.path().to_owned(), 5).await.unwrap();
        assert_eq!(spool.write(b"abcdef").await.unwrap_err().code(), "too-large");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

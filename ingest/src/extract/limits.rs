//! What one document may cost: the limits of extraction, with defaults that fit a server.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits on one document. All are inclusive; the failure names the one that was hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the file itself. 100 MiB.
    pub max_input_bytes: u64,
    /// Bytes of extracted text. 64 MiB.
    pub max_output_bytes: usize,
    /// Pages, slides or sheets. 10 000.
    pub max_pages: u32,
    /// Memory the extraction child may add to what it had at its start. 512 MiB.
    pub max_memory_bytes: u64,
    /// Processor time of the child per document, whole seconds. 60 s.
    pub cpu_time: Duration,
    /// Time by the clock per document, after which the child is killed. 120 s.
    pub wall_time: Duration,
    /// Members of an archive (DOCX, XLSX, EPUB …). 20 000.
    pub max_archive_entries: usize,
    /// Unpacked bytes of all members of an archive together. 512 MiB.
    pub max_archive_bytes: u64,
    /// Unpacked to packed bytes of a member above 1 MiB. 200.
    pub max_ratio: u64,
    /// Nesting of elements in XML, of lists and tables in documents, of values in JSON. 256.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            max_input_bytes: 100 * MIB,
            max_output_bytes: 64 * 1024 * 1024,
            max_pages: 10_000,
            max_memory_bytes: 512 * MIB,
            cpu_time: Duration::from_secs(60),
            wall_time: Duration::from_secs(120),
            max_archive_entries: 20_000,
            max_archive_bytes: 512 * MIB,
            max_ratio: 200,
            max_depth: 256,
        }
    }
}

/// Native libraries that are loaded at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Libraries {
    /// The PDFium library file; without it a PDF ends as `unavailable`.
    pub pdfium: Option<PathBuf>,
}

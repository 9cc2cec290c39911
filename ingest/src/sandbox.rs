//! Extracts documents in child processes with limits, so that no file can take the service down.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::extract::{Extracted, Failure, Libraries, Limits, Reason};

mod child;
mod frame;
mod process;

pub use child::{serve_child, serve_child_with};
use process::Worker;

/// How long a child without work is kept.
const IDLE: Duration = Duration::from_secs(60);

/// How extraction children are started and bounded.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program to run, usually the running binary itself; it must call [`serve_child`].
    pub command: PathBuf,
    /// Its arguments, usually a hidden subcommand.
    pub args: Vec<OsString>,
    /// Limits on every document.
    pub limits: Limits,
    /// Libraries the child loads.
    pub libs: Libraries,
    /// Children at most, and so documents extracted at once. Default: the number of cores.
    pub size: usize,
    /// Documents after which a child is replaced, against slow leaks in parsers. 500.
    pub recycle_after: u32,
}

impl SandboxConfig {
    /// The default limits and sizes for a command.
    pub fn new(command: impl Into<PathBuf>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            limits: Limits::default(),
            libs: Libraries::default(),
            size: std::thread::available_parallelism().map_or(2, usize::from),
            recycle_after: 500,
        }
    }
}

/// A pool of extraction children that are reused from document to document.
///
/// A child has no environment, no descriptors but its three pipes, its own process group, and limits on memory,
/// processor time, file size (none may be written) and open files, which it sets before it reads a document. It gets
/// the document over its pipe and needs no access to the store. After a crash, a limit, or a cancelled call it is
/// killed with its group and the next document gets a fresh one.
#[derive(Debug)]
pub struct Sandbox {
    config: SandboxConfig,
    slots: Semaphore,
    /// The one used last is at the end.
    idle: Mutex<Vec<(Worker, Instant)>>,
}

impl Sandbox {
    /// A pool without children; they are started when needed.
    pub fn new(config: SandboxConfig) -> Self {
        let slots = Semaphore::new(config.size.clamp(1, 1024));
        Self { config, slots, idle: Mutex::new(Vec::new()) }
    }

    /// The settings of the pool.
    pub fn config(&self) -> &SandboxConfig {
        &self.config
    }

    /// Extracts one document; arguments and result are those of [`crate::extract::extract`].
    ///
    /// Waits for a free child without a deadline of its own (callers bound how many they start); from then on it takes
    /// at most [`Limits::wall_time`]. Safe to cancel.
    ///
    /// # Errors
    /// Those of `extract`; `LimitExceeded` when time or memory ran out; `Crashed` naming the signal when the child died
    /// otherwise, in a fresh child too; `Unavailable` when it cannot be started.
    pub async fn extract(
        &self,
        bytes: &[u8],
        name: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Extracted, Failure> {
        if bytes.len() as u64 > self.config.limits.max_input_bytes {
            let limit = self.config.limits.max_input_bytes;
            return Err(Failure::too_large(format!(
                "the file has {} bytes, the limit is {limit} (max_input_bytes)",
                bytes.len()
            )));
        }
        let _slot = self
            .slots
            .acquire()
            .await
            .map_err(|_| Failure::new(Reason::Unavailable, "the extraction pool is closed"))?;
        let reused = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        if let Some((worker, _)) = reused {
            match self.run(worker, bytes, name, declared).await {
                // The state of an old child may be to blame, not the document.
                Err(failure) if failure.reason == Reason::Crashed => {}
                done => return done,
            }
        }
        let worker = Worker::start(&self.config)?;
        self.run(worker, bytes, name, declared).await
    }

    /// Ends children that have had nothing to do for a minute: each holds the memory of its largest document.
    pub fn rest(&self) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.retain(|(_, since)| since.elapsed() < IDLE);
        }
    }

    async fn run(
        &self,
        mut worker: Worker,
        bytes: &[u8],
        name: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Extracted, Failure> {
        let result = worker.extract(&self.config, bytes, name, declared).await;
        let spent = worker.documents() >= self.config.recycle_after
            || worker.resident() > self.config.limits.max_memory_bytes / 2;
        if worker.is_sound()
            && !spent
            && let Ok(mut idle) = self.idle.lock()
        {
            idle.push((worker, Instant::now()));
        }
        result
    }
}

//! The parent's side of one child: starts it, talks to it against the clock, and says what killed it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::extract::{Extracted, Failure, Reason};

use super::SandboxConfig;
use super::frame::{self, Request};

/// How much of what a child last wrote to its standard error is kept.
const TAIL: usize = 4096;

/// A running child. Dropping it kills its process group.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: Arc<Mutex<Vec<u8>>>,
    documents: u32,
    resident: u64,
    sound: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Worker {
    /// Starts a child.
    ///
    /// # Errors
    /// `Unavailable` when the program cannot be run.
    pub(super) fn start(config: &SandboxConfig) -> Result<Self, Failure> {
        let unavailable = |why: String| {
            Failure::new(Reason::Unavailable, format!("the extraction process cannot be started: {why}"))
        };
        let mut command = Command::new(&config.command);
        command
            .args(&config.args)
            .env_clear()
            // One heap: the many that glibc reserves per thread count against the memory limit.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|e| unavailable(e.to_string()))?;
        let (Some(stdin), Some(stdout), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(unavailable("it has no pipes".to_owned()));
        };
        let stderr = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(keep_tail(errors, Arc::clone(&stderr)));
        Ok(Self { child, stdin, stdout, stderr, documents: 0, resident: 0, sound: true })
    }

    /// Documents served so far.
    pub(super) fn documents(&self) -> u32 {
        self.documents
    }

    /// Resident memory after the last document, bytes.
    pub(super) fn resident(&self) -> u64 {
        self.resident
    }

    /// Whether the child may serve another document.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Sends a document and waits for its text.
    pub(super) async fn extract(
        &mut self,
        config: &SandboxConfig,
        bytes: &[u8],
        name: Option<&str>,
        declared: Option<&str>,
    ) -> Result<Extracted, Failure> {
        let request = Request {
            name: name.map(str::to_owned),
            declared: declared.map(str::to_owned),
            limits: config.limits.clone(),
            libs: config.libs.clone(),
        };
        // Normalising can lengthen text; a child that sends more than this is not ours any more.
        let max_body = config.limits.max_output_bytes as u64 * 4 + 65_536;
        self.sound = false;
        let first = self.documents == 0;
        self.documents += 1;
        let talk = async {
            let sent = frame::send(&mut self.stdin, &request, bytes).await;
            // A child that refuses a document may close its pipe early and still have answered.
            match frame::receive(&mut self.stdout, max_body).await {
                Ok(reply) => Ok(reply),
                Err(error) => Err(sent.err().unwrap_or(error)),
            }
        };
        match timeout(config.limits.wall_time, talk).await {
            Err(_) => {
                self.kill();
                let seconds = config.limits.wall_time.as_secs_f64();
                Err(Failure::limit(format!("extraction took longer than {seconds} s (wall_time)")))
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.kill();
                Err(Failure::new(
                    Reason::Crashed,
                    "the extraction process answered with something else than a reply",
                ))
            }
            Ok(Err(_)) => Err(self.autopsy(config, first).await),
            Ok(Ok((reply, text))) => {
                self.resident = reply.resident;
                let result = match reply.result {
                    Ok(found) => {
                        tokio::task::spawn_blocking(move || accepted(found, text)).await.unwrap_or_else(|e| {
                            Err(Failure::new(Reason::Unavailable, format!("reading a reply failed: {e}")))
                        })
                    }
                    Err(failure) => Err(failure),
                };
                self.sound = !reply.last && result.as_ref().err().is_none_or(|f| f.reason != Reason::Crashed);
                result
            }
        }
    }

    /// Kills the child and whatever it started; nothing happens when it has ended and been waited for.
    fn kill(&mut self) {
        self.sound = false;
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended a moment ago; nobody but us waits for it, so the number is still its own.
            let _gone = kill_process_group(pid, Signal::KILL);
        }
    }

    /// Why the child ended without an answer.
    async fn autopsy(&mut self, config: &SandboxConfig, first: bool) -> Failure {
        let Ok(Ok(status)) = timeout(Duration::from_secs(2), self.child.wait()).await else {
            self.kill();
            return Failure::new(Reason::Crashed, "the extraction process closed its pipe without an answer");
        };
        // The last words arrive through a task of their own.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let tail = self.stderr.lock().map(|t| String::from_utf8_lossy(&t).into_owned()).unwrap_or_default();
        verdict(status, &tail, first, config)
    }
}

/// The meaning of an exit status and the last words on standard error.
fn verdict(status: ExitStatus, tail: &str, first: bool, config: &SandboxConfig) -> Failure {
    let starved =
        ["memory allocation of", "bad_alloc", "Out of memory", "out of memory", "Cannot allocate memory"]
            .iter()
            .any(|s| tail.contains(s));
    let memory = || {
        Failure::limit(format!(
            "extraction needed more than {} bytes of memory (max_memory_bytes)",
            config.limits.max_memory_bytes
        ))
    };
    match status.signal() {
        Some(24) => Failure::limit(format!(
            "extraction needed more than {} s of processor time (cpu_time)",
            config.limits.cpu_time.as_secs()
        )),
        Some(9) => {
            Failure::limit("the extraction process was killed by the system, probably for want of memory")
        }
        Some(_) if starved => memory(),
        Some(6 | 11) if tail.contains("overflowed its stack") => {
            Failure::limit("the document is nested too deep for the extractor (its stack overflowed)")
        }
        Some(signal) => Failure::new(
            Reason::Crashed,
            format!("the extraction process died of signal {signal} ({})", signal_name(signal)),
        ),
        None if starved => memory(),
        None => {
            let line = tail.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
            let line: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
            let code = status.code().unwrap_or_default();
            // One that ends at once was not started right: the document is not to blame.
            let reason = if first && code != 0 && !tail.contains("panicked") {
                Reason::Unavailable
            } else {
                Reason::Crashed
            };
            Failure::new(reason, format!("the extraction process ended with code {code}: {line}"))
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => "SIGILL, illegal instruction",
        5 => "SIGTRAP, a check failed",
        6 => "SIGABRT, it aborted",
        7 => "SIGBUS, bad memory access",
        8 => "SIGFPE, bad arithmetic",
        11 => "SIGSEGV, bad memory access",
        25 => "SIGXFSZ, it tried to write a file",
        31 => "SIGSYS, a forbidden call",
        _ => "no usual one",
    }
}

/// The reply put together, if what it says about its text holds; a child is not trusted to tell the truth.
fn accepted(mut found: Extracted, text: Vec<u8>) -> Result<Extracted, Failure> {
    let wrong =
        |what: &str| Failure::new(Reason::Crashed, format!("the extraction process answered with {what}"));
    found.text = String::from_utf8(text).map_err(|_| wrong("text that is not UTF-8"))?;
    let mut at = 0;
    for page in &found.pages {
        if page.start < at
            || page.end < page.start
            || !found.text.is_char_boundary(page.start)
            || !found.text.is_char_boundary(page.end)
        {
            return Err(wrong("page bounds outside its text"));
        }
        at = page.end;
    }
    if found.offsets.text_end() > found.text.len() {
        return Err(wrong("offsets outside its text"));
    }
    Ok(found)
}

async fn keep_tail(mut errors: ChildStderr, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = errors.read(&mut buffer).await {
        let Ok(mut tail) = tail.lock() else { return };
        tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
    }
}

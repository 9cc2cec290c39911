//! The child's side: limits itself, then extracts documents from its standard input until that ends.

use std::any::Any;
use std::io::{self, Read, Write};
use std::thread;

use rlimit::{Resource, setrlimit};

use crate::extract::{Extracted, Failure, Libraries, Limits, Reason, extract};

use super::frame::{self, Reply, Request};

/// Stack of the thread that extracts: parsers recurse, and an overflow would take the process down.
const STACK: usize = 16 * 1024 * 1024;

/// Open files: three pipes, the PDF library while it is loaded, `/proc`.
const MAX_FILES: u64 = 32;

/// Serves extraction requests until `input` ends. To be called by a process that does nothing else: it lowers the
/// limits of the whole process, for good.
///
/// No files may be written and no core is dumped from the start; the limits on memory and processor time come with each
/// request and are set before its document is read. A panic while extracting is answered as `crashed` and ends the
/// process, since a library may have been left in a bad state.
///
/// # Errors
/// A broken pipe, a frame that is none of ours, or limits that cannot be set.
pub fn serve_child(input: impl Read, output: impl Write) -> io::Result<()> {
    serve_child_with(input, output, extract)
}

/// [`serve_child`] with another extractor, which gets the bytes, name, declared media type, limits and libraries.
///
/// # Errors
/// As [`serve_child`].
pub fn serve_child_with<F>(mut input: impl Read, mut output: impl Write, extractor: F) -> io::Result<()>
where
    F: Fn(&[u8], Option<&str>, Option<&str>, &Limits, &Libraries) -> Result<Extracted, Failure>
        + Clone
        + Send
        + 'static,
{
    setrlimit(Resource::CORE, 0, 0)?;
    setrlimit(Resource::FSIZE, 0, 0)?;
    setrlimit(Resource::NOFILE, MAX_FILES, MAX_FILES)?;
    let base = virtual_bytes().unwrap_or(0);
    while let Some((request, length)) = frame::read_header(&mut input)? {
        bound(&request.limits, base)?;
        if length as u64 > request.limits.max_input_bytes {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a document above the limit"));
        }
        let mut bytes = vec![0; length];
        input.read_exact(&mut bytes)?;
        let (result, last) = guarded(request, bytes, extractor.clone())?;
        let (result, text) = match result {
            Ok(mut found) => {
                let text = std::mem::take(&mut found.text);
                (Ok(found), text)
            }
            Err(failure) => (Err(failure), String::new()),
        };
        let reply = Reply { result, resident: resident_bytes().unwrap_or(0), last };
        frame::write(&mut output, &reply, text.as_bytes())?;
        if last {
            break;
        }
    }
    Ok(())
}

/// Sets the limits of this document. The processor limit counts the whole life of the process, so it moves on.
fn bound(limits: &Limits, base: u64) -> io::Result<()> {
    let memory = base.saturating_add(STACK as u64).saturating_add(limits.max_memory_bytes);
    let (_, hard) = Resource::AS.get()?;
    setrlimit(Resource::AS, memory.min(hard), memory.min(hard))?;
    let seconds = limits.cpu_time.as_secs().max(1) + u64::from(limits.cpu_time.subsec_nanos() > 0);
    let (_, hard) = Resource::CPU.get()?;
    setrlimit(Resource::CPU, cpu_seconds().saturating_add(seconds).min(hard), hard)
}

fn guarded<F>(
    request: Request,
    bytes: Vec<u8>,
    extractor: F,
) -> io::Result<(Result<Extracted, Failure>, bool)>
where
    F: Fn(&[u8], Option<&str>, Option<&str>, &Limits, &Libraries) -> Result<Extracted, Failure>
        + Send
        + 'static,
{
    let work = move || {
        extractor(
            &bytes,
            request.name.as_deref(),
            request.declared.as_deref(),
            &request.limits,
            &request.libs,
        )
    };
    let thread = thread::Builder::new().name("extract".to_owned()).stack_size(STACK).spawn(work)?;
    Ok(match thread.join() {
        Ok(result) => (result, false),
        Err(panic) => {
            (Err(Failure::new(Reason::Crashed, format!("the extractor panicked: {}", said(&*panic)))), true)
        }
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_default().chars().take(300).collect()
}

/// Pages of `/proc/self/statm`: total and resident; `None` where there is no such file.
fn pages() -> Option<(u64, u64)> {
    let text = fs_err::read_to_string("/proc/self/statm").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn virtual_bytes() -> Option<u64> {
    pages().map(|(total, _)| total * page_size())
}

fn resident_bytes() -> Option<u64> {
    pages().map(|(_, resident)| resident * page_size())
}

fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Processor time used so far, in whole seconds rounded up.
fn cpu_seconds() -> u64 {
    let read = || {
        let text = fs_err::read_to_string("/proc/self/stat").ok()?;
        // The name of the program may hold blanks; fields count from behind it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let user: u64 = fields.get(11)?.parse().ok()?;
        let system: u64 = fields.get(12)?.parse().ok()?;
        Some((user + system).div_ceil(rustix::param::clock_ticks_per_second()))
    };
    read().unwrap_or(0)
}

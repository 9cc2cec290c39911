//! Frames a request or reply on a pipe: magic, two lengths, a JSON header and raw bytes.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::extract::{Extracted, Failure, Libraries, Limits};

/// Starts every frame and names its version; anything else on the pipe is a defect and ends the child.
const MAGIC: [u8; 4] = *b"WSX1";

/// Magic, header length (u32) and body length (u64), little-endian.
const PREFIX: usize = 16;

/// Longest header that is accepted: the offset map of a very large document.
const MAX_HEADER: usize = 256 * 1024 * 1024;

/// What the parent asks; the body holds the document.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) name: Option<String>,
    pub(super) declared: Option<String>,
    pub(super) limits: Limits,
    pub(super) libs: Libraries,
}

/// What the child answers; the body holds the text, whose place in `result` is left empty.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) result: Result<Extracted, Failure>,
    /// Resident memory of the child, bytes; 0 if unknown.
    pub(super) resident: u64,
    /// The child ends after this reply.
    pub(super) last: bool,
}

fn prefix(header: usize, body: usize) -> io::Result<[u8; PREFIX]> {
    let header = u32::try_from(header).map_err(io::Error::other)?;
    let mut out = [0; PREFIX];
    let (magic, rest) = out.split_at_mut(4);
    let (first, second) = rest.split_at_mut(4);
    magic.copy_from_slice(&MAGIC);
    first.copy_from_slice(&header.to_le_bytes());
    second.copy_from_slice(&(body as u64).to_le_bytes());
    Ok(out)
}

/// Lengths of header and body, checked.
fn lengths(prefix: [u8; PREFIX], max_body: u64) -> io::Result<(usize, usize)> {
    let [a, b, c, d, h0, h1, h2, h3, b0, b1, b2, b3, b4, b5, b6, b7] = prefix;
    let header = u32::from_le_bytes([h0, h1, h2, h3]) as usize;
    let body = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
    if [a, b, c, d] != MAGIC || header > MAX_HEADER || body > max_body {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame of this protocol"));
    }
    Ok((header, body as usize))
}

/// Blocking: writes one frame and flushes.
pub(super) fn write(output: &mut impl Write, header: &impl Serialize, body: &[u8]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    output.write_all(&prefix(header.len(), body.len())?)?;
    output.write_all(&header)?;
    output.write_all(body)?;
    output.flush()
}

/// Blocking: reads the header of a frame and the length of its body, `None` at the end of the pipe.
pub(super) fn read_header(input: &mut impl Read) -> io::Result<Option<(Request, usize)>> {
    let mut start = [0; PREFIX];
    let mut have = 0;
    while have < PREFIX {
        let Some(rest) = start.get_mut(have..) else { break };
        match input.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (header, body) = lengths(start, u64::MAX)?;
    let mut bytes = vec![0; header];
    input.read_exact(&mut bytes)?;
    Ok(Some((serde_json::from_slice(&bytes)?, body)))
}

/// Writes one frame.
pub(super) async fn send(
    output: &mut (impl AsyncWrite + Unpin),
    header: &impl Serialize,
    body: &[u8],
) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    output.write_all(&prefix(header.len(), body.len())?).await?;
    output.write_all(&header).await?;
    output.write_all(body).await?;
    output.flush().await
}

/// Reads one reply whose body has at most `max_body` bytes.
pub(super) async fn receive(
    input: &mut (impl AsyncRead + Unpin),
    max_body: u64,
) -> io::Result<(Reply, Vec<u8>)> {
    let mut start = [0; PREFIX];
    input.read_exact(&mut start).await?;
    let (header, body) = lengths(start, max_body)?;
    let mut bytes = vec![0; header];
    input.read_exact(&mut bytes).await?;
    let mut text = vec![0; body];
    input.read_exact(&mut text).await?;
    // The offset map of a long document takes longer than an async thread may be held up.
    let reply = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes));
    Ok((reply.await.map_err(io::Error::other)??, text))
}

//! A local provider that speaks both wire formats and fails on request: the model's name in a request says how.
#![allow(dead_code, unused_imports, reason = "each target that includes it uses its own part")]

mod bomb;
mod play;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) use play::{Play, Plays};
use wire::Format;

/// What the provider writes when nothing is wrong.
pub(crate) const TEXT: [&str; 3] = ["Everyone has ", "thirty days ", "of paid leave [1]."];

/// How a request goes, by the name of its model. Statuses are named by their number, with `-after-SECONDS` for a
/// `Retry-After`.
pub(crate) const FAULTS: [&str; 24] = [
    "401",
    "400",
    "404",
    "429",
    "429-after-1",
    "500",
    "502",
    "503",
    "504",
    "529",
    "silent",
    "slow",
    "stop",
    "reset",
    "close",
    "bad-json",
    "bad-utf8",
    "huge-event",
    "doubled-done",
    "wrong-type",
    "no-usage",
    "redirect",
    "bomb",
    "error-event",
];

/// A running provider; it ends with the runtime.
pub(crate) struct Provider {
    /// Up to and with the version, for both formats.
    pub(crate) url: String,
    open: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    plays: Arc<Plays>,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::listen("127.0.0.1:0").await
    }

    pub(crate) async fn listen(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (open, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, asked) = (Arc::clone(&open), Arc::clone(&requests));
        let plays = Arc::new(Plays::default());
        let played = Arc::clone(&plays);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counted, asked) = (Arc::clone(&counted), Arc::clone(&asked));
                let played = Arc::clone(&played);
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // A client that goes away in the middle is what many tests are about.
                    drop(answer(stream, &asked, &played).await);
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, open, requests, plays }
    }

    /// What the models `script` and `obey` say, and what they were asked.
    pub(crate) fn plays(&self) -> &Plays {
        &self.plays
    }

    /// Requests that came.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Whether all connections were closed before `limit`.
    pub(crate) async fn all_closed(&self, limit: Duration) -> bool {
        let closed = async {
            while self.open.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(limit, closed).await.is_ok()
    }
}

async fn answer(mut stream: TcpStream, asked: &AtomicUsize, plays: &Plays) -> std::io::Result<()> {
    let (path, body) = read_request(&mut stream).await?;
    asked.fetch_add(1, Ordering::SeqCst);
    let request: Value = serde_json::from_str(&body).unwrap_or_default();
    let format = if path.ends_with("/messages") { Format::Anthropic } else { Format::Openai };
    let streamed = request["stream"] == true;
    let model = request["model"].as_str().unwrap_or("ok").to_owned();
    let (name, after) = match model.split_once("-after-") {
        Some((name, after)) => (name, format!("retry-after: {after}\r\n")),
        None => (model.as_str(), String::new()),
    };
    if let Ok(status) = name.parse::<u16>() {
        let body = format.error(status);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{after}");
        return whole(&mut stream, &head, body.as_bytes()).await;
    }
    match name {
        "silent" => return until_closed(&mut stream).await,
        "redirect" => {
            let head = "HTTP/1.1 307 X\r\nlocation: http://169.254.169.254/latest/meta-data\r\n";
            return whole(&mut stream, head, b"").await;
        }
        "wrong-type" => {
            return whole(&mut stream, "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n", b"<p>Welcome!</p>")
                .await;
        }
        "bomb" => {
            let kind = if streamed { "text/event-stream" } else { "application/json" };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\n");
            return whole(&mut stream, &head, bomb::gzip()).await;
        }
        _ => {}
    }
    let play = if FAULTS.contains(&name) { None } else { plays.reply(name, &request) };
    if let Some(play) = play {
        let kind = if streamed { "text/event-stream" } else { "application/json" };
        let body = match streamed {
            true => format.played_stream(&play, &request),
            false => format.played(&play, &request),
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n");
        return whole(&mut stream, &head, body.as_bytes()).await;
    }
    if streamed {
        write_stream(&mut stream, format, name).await
    } else {
        write_whole(&mut stream, format, name).await
    }
}

async fn write_whole(stream: &mut TcpStream, format: Format, name: &str) -> std::io::Result<()> {
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let body = format.reply(&TEXT.concat(), name != "no-usage");
    match name {
        "slow" | "stop" => {
            let head = format!("{ok}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await?;
            until_closed(stream).await
        }
        "reset" | "close" => {
            let head = format!("{ok}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await?;
            end(stream, name == "reset").await
        }
        "bad-json" => whole(stream, ok, b"{\"choices\": [").await,
        "bad-utf8" => whole(stream, ok, b"{\"choices\": \"\xff\xfe\"}").await,
        "huge-event" => {
            whole(stream, ok, format!("{{\"x\": \"{}\"}}", "x".repeat(40 << 20)).as_bytes()).await
        }
        "error-event" => whole(stream, ok, format.error(529).as_bytes()).await,
        _ => whole(stream, ok, body.as_bytes()).await,
    }
}

async fn write_stream(stream: &mut TcpStream, format: Format, name: &str) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    if name == "error-event" {
        stream.write_all(format.error_event().as_bytes()).await?;
        return end(stream, false).await;
    }
    let mut events = format.opening();
    for (place, text) in TEXT.iter().enumerate() {
        if place == 1 {
            match name {
                "slow" | "stop" => {
                    stream.write_all(events.as_bytes()).await?;
                    let waits =
                        if name == "slow" { Duration::from_secs(10) } else { Duration::from_secs(3_600) };
                    tokio::select! {
                        () = tokio::time::sleep(waits) => events.clear(),
                        closed = until_closed(stream) => return closed,
                    }
                }
                "reset" | "close" => {
                    stream.write_all(events.as_bytes()).await?;
                    return end(stream, name == "reset").await;
                }
                "bad-json" => events.push_str("data: {not json}\n\n"),
                "bad-utf8" => {
                    stream.write_all(events.as_bytes()).await?;
                    stream.write_all(b"data: {\"x\": \"\xff\xfe\"}\n\n").await?;
                    events.clear();
                }
                "huge-event" => events.push_str(&format!("data: {}\n\n", "x".repeat(10 << 20))),
                _ => {}
            }
        }
        events.push_str(&format.piece(text));
    }
    events.push_str(&format.closing(name != "no-usage"));
    if name == "doubled-done" {
        events.push_str(&format.last());
    }
    stream.write_all(events.as_bytes()).await?;
    end(stream, false).await
}

/// Closes, by a reset if that is wanted.
async fn end(stream: &mut TcpStream, reset: bool) -> std::io::Result<()> {
    if reset {
        // What was sent must have arrived: a reset overtakes it.
        tokio::time::sleep(Duration::from_millis(50)).await;
        return stream.set_zero_linger();
    }
    stream.shutdown().await
}

async fn whole(stream: &mut TcpStream, head: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!("{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.shutdown().await
}

async fn until_closed(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The path and the body of one request.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, String)> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16_384];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..read]);
        if !bytes[0].is_ascii_uppercase() {
            // A TLS handshake.
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().filter_map(|line| line.split_once(':'));
        let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.next_back().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
        if body.len() >= length {
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            return Ok((path, body.to_owned()));
        }
    }
}

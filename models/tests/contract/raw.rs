//! An HTTP server that sends exactly the bytes it is told to, for replies no well-behaved server gives.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// One thing the server does on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends bytes.
    Send(String),
    /// Does nothing for a while.
    Wait(Duration),
    /// Waits until the client closes the connection, then reports it.
    UntilClosed,
}

/// A running server.
pub(crate) struct RawServer {
    pub(crate) url: String,
    /// One message per request, with its body, and one "closed" per [`Step::UntilClosed`].
    pub(crate) log: UnboundedReceiver<String>,
}

/// The head of a streamed reply that ends when the connection does.
pub(crate) const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Serves one connection per script, in order, and then no more.
pub(crate) async fn serve(scripts: Vec<Vec<Step>>) -> RawServer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (send, log) = unbounded_channel();
    tokio::spawn(async move {
        for script in scripts {
            let (mut stream, _) = listener.accept().await.unwrap();
            let body = read_request(&mut stream).await;
            send.send(body).ok();
            for step in script {
                match step {
                    Step::Send(text) => drop(stream.write_all(text.as_bytes()).await),
                    Step::Wait(time) => tokio::time::sleep(time).await,
                    Step::UntilClosed => {
                        let mut rest = [0; 64];
                        while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {}
                        send.send("closed".to_owned()).ok();
                    }
                }
            }
            stream.shutdown().await.ok();
        }
    });
    RawServer { url, log }
}

/// Reads one request and gives its body.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
            if body.len() >= length {
                return body.to_owned();
            }
        }
        assert!(read > 0, "the client closed before its request was whole");
    }
}

//! Runs the real binary over a folder of its own and talks to it; every response is checked against `openapi.json`.
#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has said what it had to say")]

pub(crate) mod schema;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// Longest wait for anything; reached only when something is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. It is killed when dropped.
pub(crate) struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) port: u16,
    pub(crate) client: Client,
    api: Value,
    pub(crate) data: std::sync::Arc<tempfile::TempDir>,
}

/// A response, read whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// The problem's code, its shape checked.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        assert_eq!(self.body["status"], self.status.as_u16());
        let code = self.body["code"].as_str().unwrap();
        assert_eq!(self.body["type"], format!("urn:wellspring:problem:{code}"));
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
        code
    }

    /// The body of a response that went well.
    pub(crate) fn good(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.body);
        self.body
    }
}

impl Server {
    /// A server with the deterministic embedder and every other default.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server with further settings (`server.max_json_bytes`, …).
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_over(std::sync::Arc::new(tempfile::tempdir().unwrap()), settings).await
    }

    /// A server over a data folder that may have been used before.
    pub(crate) async fn start_over(
        data: std::sync::Arc<tempfile::TempDir>,
        settings: &[(&str, &str)],
    ) -> Self {
        let environment: Vec<(String, String)> = settings
            .iter()
            .map(|(key, value)| {
                (format!("WELLSPRING__{}", key.replace('.', "__").to_uppercase()), (*value).to_owned())
            })
            .collect();
        Self::start_as(data, &environment, Stdio::inherit()).await
    }

    /// A server with further variables, whose log goes into a file.
    pub(crate) async fn start_logged(
        data: std::sync::Arc<tempfile::TempDir>,
        environment: &[(String, String)],
        log: std::fs::File,
    ) -> Self {
        Self::start_as(data, environment, log.into()).await
    }

    async fn start_as(
        data: std::sync::Arc<tempfile::TempDir>,
        environment: &[(String, String)],
        log: Stdio,
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wellspring"));
        command.arg("--data").arg(data.path()).args(["serve", "--listen", "127.0.0.1:0"]);
        command.env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash").env("RUST_LOG", "warn");
        command.envs(environment.iter().map(|(key, value)| (key, value))).stderr(log);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let port = line
            .trim()
            .strip_prefix("listening on http://127.0.0.1:")
            .and_then(|rest| rest.strip_suffix('/')?.parse().ok())
            .unwrap_or_else(|| panic!("the server did not start: {line:?}"));
        // reqwest has no crypto provider of its own; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut server = Self { child, out, port, client, api: Value::Null, data };
        server.api = server.request(Method::GET, "/openapi.json").send().await.unwrap().json().await.unwrap();
        server
    }

    /// What it prints next.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Its description of itself.
    pub(crate) fn api(&self) -> &Value {
        &self.api
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// Sends, reads whole, and checks the body against the description.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        if headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().contains("json")) {
            schema::check(&self.api, &method, &path, status, &body);
        }
        Reply { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// Uploads a form into `default`.
    pub(crate) async fn upload(&self, form: Form) -> Reply {
        self.send(form.into_request(self.request(Method::POST, "/v1/collections/default/documents"))).await
    }

    /// Adds a text to `default` and waits until it is searchable.
    pub(crate) async fn add_text(&self, id: &str, text: &str, metadata: Value) -> Value {
        let body = json!({ "id": id, "text": text, "metadata": metadata, "media_type": "text/markdown" });
        let reply = self.post("/v1/collections/default/documents", body).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.body);
        let job = self.finished(reply.body["job"].as_str().unwrap()).await;
        assert_eq!(job["state"], "indexed", "{job}");
        job
    }

    /// The job once it has ended, told by its own events.
    pub(crate) async fn finished(&self, job: &str) -> Value {
        let events = self.events(self.request(Method::GET, &format!("/v1/jobs/{job}/events"))).await;
        let (name, last) = events.last().unwrap();
        assert_eq!(name, "done", "{last}");
        last.clone()
    }

    /// Every event of a stream until it ends.
    pub(crate) async fn events(&self, request: RequestBuilder) -> Vec<(String, Value)> {
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream", "{}", response.status());
        parse_events(&response.text().await.unwrap())
    }

    /// Asks it to stop and waits for the end.
    pub(crate) async fn stop(mut self) -> (ExitStatus, std::sync::Arc<tempfile::TempDir>) {
        self.terminate();
        let data = std::sync::Arc::clone(&self.data);
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        (tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap(), data)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let sent =
            Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Names and payloads, comments left out.
pub(crate) fn parse_events(text: &str) -> Vec<(String, Value)> {
    text.split("\n\n")
        .filter_map(|block| {
            let field =
                |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
            let data = field("data:")?;
            Some((field("event:").unwrap_or("message").to_owned(), serde_json::from_str(data).unwrap()))
        })
        .collect()
}

/// A form, written by hand so that it can be wrong in every way.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

const BOUNDARY: &str = "----wellspring-test";

impl Form {
    /// A form of one file.
    pub(crate) fn of(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self::default().file(name, bytes)
    }

    /// Adds a file.
    pub(crate) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.part(&format!("name=\"file\"; filename=\"{name}\""), bytes.as_ref())
    }

    /// Adds a field.
    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    fn part(mut self, what: &str, bytes: &[u8]) -> Self {
        self.0.extend(format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {what}\r\n\r\n").as_bytes());
        self.0.extend(bytes);
        self.0.extend(b"\r\n");
        self
    }

    /// Puts it into a request.
    pub(crate) fn into_request(mut self, request: RequestBuilder) -> RequestBuilder {
        self.0.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
        request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}")).body(self.0)
    }
}

/// An address where connections are accepted and nothing is ever answered, and what was accepted.
pub(crate) async fn silent_endpoint() -> (String, tokio::sync::mpsc::UnboundedReceiver<tokio::net::TcpStream>)
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if sender.send(stream).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}/v1"), receiver)
}

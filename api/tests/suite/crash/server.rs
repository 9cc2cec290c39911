//! The real binary under test: started, asked, killed, stopped and verified.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before the suite calls it stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) base: String,
    client: reqwest::Client,
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wellspring"));
    command
        .arg("--data")
        .arg(data)
        .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
        .env("RUST_LOG", "error")
        .env_remove("WELLSPRING_CRASH_AT");
    command
}

impl Server {
    /// Starts a server on a free port; `crash_at` is a point of the write path at which it dies. `None` if it died while
    /// starting.
    pub(crate) async fn start(data: &Path, crash_at: Option<&str>) -> Option<Self> {
        let mut command = command(data);
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::inherit());
        // Purging and catching up soon makes their points reachable within a round.
        command.env("WELLSPRING__INGEST__MAINTENANCE_MS", "200");
        if let Some(point) = crash_at {
            command.env("WELLSPRING_CRASH_AT", point);
        }
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut lines = BufReader::new(stdout).lines();
            let first = lines.find_map(|line| line.ok().filter(|line| line.contains("http://")));
            // Keep reading, so that the server never blocks on a full pipe.
            std::thread::spawn(move || lines.for_each(drop));
            first
        })
        .await
        .unwrap();
        let Some(line) = line else {
            child.wait().unwrap();
            return None;
        };
        let start = line.find("http://").unwrap();
        let base = line[start..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Some(Self { child, base, client })
    }

    /// Whether the process still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the server must end well.
    pub(crate) fn stop(mut self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "a server asked to stop ended with {status}");
    }

    /// Another client of the same server.
    pub(crate) fn client(&self) -> Client {
        Client { base: self.base.clone(), http: self.client.clone() }
    }
}

/// What a user sends.
#[derive(Clone)]
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// The server is gone: the request's fate is unknown.
#[derive(Debug)]
pub(crate) struct Gone;

impl Client {
    /// Uploads a text; `Ok` when it was accepted.
    pub(crate) async fn upload(&self, id: &str, text: &str) -> Result<(), Gone> {
        let response = self
            .http
            .post(format!("{}/v1/collections/default/documents", self.base))
            .json(&serde_json::json!({ "id": id, "text": text, "title": format!("Note {id}") }))
            .send()
            .await
            .map_err(|_| Gone)?;
        let status = response.status();
        let body = response.text().await.map_err(|_| Gone)?;
        assert_eq!(status, 202, "{body}");
        Ok(())
    }

    /// Deletes a document; `Ok` when the deletion was acknowledged (or there was nothing to delete).
    pub(crate) async fn delete(&self, id: &str) -> Result<(), Gone> {
        let url = format!("{}/v1/collections/default/documents/{id}", self.base);
        let response = self.http.delete(url).send().await.map_err(|_| Gone)?;
        let status = response.status().as_u16();
        response.text().await.map_err(|_| Gone)?;
        assert!(matches!(status, 200 | 204 | 404), "deleting answered {status}");
        Ok(())
    }

    /// The document's stored text, if it is visible.
    pub(crate) async fn text(&self, id: &str) -> Result<Option<String>, Gone> {
        let url = format!("{}/v1/collections/default/documents/{id}/text", self.base);
        let response = self.http.get(url).send().await.map_err(|_| Gone)?;
        match response.status().as_u16() {
            404 => Ok(None),
            200 => {
                let body: Value = response.json().await.map_err(|_| Gone)?;
                Ok(Some(body["text"].as_str().unwrap().to_owned()))
            }
            other => panic!("reading a text answered {other}"),
        }
    }

    /// Hits of a search: document id, version and text.
    pub(crate) async fn search(&self, query: &str, mode: &str) -> Result<Vec<(String, i64, String)>, Gone> {
        let response = self
            .http
            .post(format!("{}/v1/search", self.base))
            .json(&serde_json::json!({ "collection": "default", "query": query, "k": 100, "mode": mode }))
            .send()
            .await
            .map_err(|_| Gone)?;
        let status = response.status();
        let body: Value = response.json().await.map_err(|_| Gone)?;
        if status == 404 {
            // Nothing was ever accepted, so the collection is not there.
            return Ok(Vec::new());
        }
        assert_eq!(status, 200, "{body}");
        assert!(body["degraded"].as_array().is_none_or(Vec::is_empty), "a leg is missing: {body}");
        let hits = body["hits"].as_array().unwrap().iter().map(|hit| {
            (
                hit["document_id"].as_str().unwrap().to_owned(),
                hit["version"].as_i64().unwrap(),
                hit["text"].as_str().unwrap().to_owned(),
            )
        });
        Ok(hits.collect())
    }

    /// Returns once the server is ready and has nothing left to do.
    pub(crate) async fn settled(&self) {
        let started = Instant::now();
        loop {
            let metrics =
                self.http.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap();
            let backlog = metrics.lines().find_map(|line| line.strip_prefix("wellspring_jobs_backlog "));
            let ready = self.http.get(format!("{}/ready", self.base)).send().await.unwrap();
            if ready.status() == 200 && backlog == Some("0") {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the server did not become ready and idle within {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// `wellspring verify`: exit status 0 means that nothing is missing, extra, stale or corrupt.
pub(crate) fn verify(data: &Path) {
    let output = command(data).args(["verify", "--json"]).output().unwrap();
    assert!(
        output.status.success(),
        "verify found damage: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

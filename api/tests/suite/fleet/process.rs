//! A server or worker of the fleet: the real binary, started, killed and asked.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::Client;

/// How one process is started.
#[derive(Clone)]
pub(crate) struct Recipe {
    role: &'static str,
    /// A worker has none.
    data: Option<PathBuf>,
    database: String,
    log: PathBuf,
}

/// A running process; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(super) base: String,
}

impl Recipe {
    pub(super) fn server(database: &str, home: &Path, number: usize) -> Self {
        Self {
            role: "serve",
            data: Some(home.join(format!("server{number}"))),
            database: database.to_owned(),
            log: home.join(format!("server{number}.log")),
        }
    }

    pub(super) fn worker(database: &str, home: &Path, number: usize) -> Self {
        let log = home.join(format!("worker{number}.log"));
        Self { role: "worker", data: None, database: database.to_owned(), log }
    }

    /// The binary with the settings of every process of the fleet.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wellspring"));
        if let Some(data) = &self.data {
            command.arg("--data").arg(data);
        }
        command
            .env("DATABASE_URL", &self.database)
            .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
            // What a killed worker had is taken over soon.
            .env("WELLSPRING__INGEST__LEASE_MS", "3000")
            .env("WELLSPRING__INGEST__MAINTENANCE_MS", "500")
            .env("WELLSPRING__INGEST__RETRY_CAP_MS", "2000")
            .env("WELLSPRING__INGEST__MAX_BACKLOG", "100000")
            .env("WELLSPRING__EXTRACT__CHILDREN", "1")
            .env("RUST_LOG", "warn")
            .env_remove("WELLSPRING_CRASH_AT");
        command
    }

    /// Starts it; it listens when this returns.
    pub(super) async fn start(&self) -> Process {
        let log = fs_err::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = self.command();
        command
            .args(["serve", "--role", self.role, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(log.into_parts().0);
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).unwrap();
            line
        })
        .await
        .unwrap();
        let Some(base) = line.trim().strip_prefix("listening on ") else {
            panic!("a {} did not start: {}", self.role, self.logged())
        };
        Process { child, base: base.trim_end_matches('/').to_owned() }
    }

    /// What its processes logged last.
    pub(super) fn logged(&self) -> String {
        let log = fs_err::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// `wellspring verify` over its indexes: nothing missing, extra, stale or corrupt.
    pub(super) fn verify(&self) {
        let output = self.command().args(["verify", "--json"]).output().unwrap();
        assert!(
            output.status.success(),
            "verify found damage: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Process {
    /// SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; it must end well.
    pub(super) async fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap()).await.unwrap();
        assert!(ended.success(), "stopping ended with {ended}");
    }

    /// Status and body of a page.
    pub(super) async fn get(&self, client: &Client, path: &str) -> (u16, String) {
        let response = client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

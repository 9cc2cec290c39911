//! The web page opens in a real browser and shows a new reader how to begin. What it does is in `tests/page` (`make page-test`).

use std::path::PathBuf;
use std::process::Command;

use crate::support::Server;

/// The first of the usual names that is installed.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
    })
}

#[tokio::test]
async fn a_new_reader_is_shown_how_to_begin() {
    let Some(browser) = browser() else {
        println!("skipped: no chromium is installed");
        return;
    };
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (profile, url) = (folder.path().join("profile"), server.url("/"));
    let output = tokio::task::spawn_blocking(move || {
        Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .output()
            .unwrap()
    });
    let output = output.await.unwrap();
    let (document, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        document.contains("Add the sample documents") && document.contains("aria-current"),
        "{document}\n{log}"
    );
    assert!(!log.contains("Content Security Policy") && !log.contains("Uncaught"), "{log}");
}

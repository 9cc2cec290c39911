//! The report opens in a real browser: it is drawn, nothing is refused by its own policy, nothing is loaded.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use wellspring_eval::report::{Evaluation, html};

/// The first of the usual names that is installed.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
    })
}

/// A report like those of the command, from a committed JSON file.
fn page(folder: &Path) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/report-v1.json");
    let evaluation: Evaluation = serde_json::from_str(&fs_err::read_to_string(golden).unwrap()).unwrap();
    let path = folder.join("report.html");
    fs_err::write(&path, html(&evaluation).unwrap()).unwrap();
    path
}

fn run(browser: &Path, folder: &Path, arguments: &[String]) -> (String, String) {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--window-size=1000,1400"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(arguments)
        .output()
        .unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_report_is_drawn_and_obeys_its_own_policy() {
    let Some(browser) = browser() else {
        println!("skipped: no chromium is installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let url = format!("file://{}", page.display());
    let (document, log) = run(&browser, folder.path(), &["--dump-dom".into(), url.clone()]);
    assert!(document.contains("Retrieval evaluation") && document.contains("</svg>"), "{log}");
    assert!(!log.contains("Content Security Policy"), "{log}");

    let picture = folder.path().join("page.png");
    run(&browser, folder.path(), &[format!("--screenshot={}", picture.display()), url]);
    let bytes = fs_err::read(&picture).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    // A blank page compresses to a few kilobytes.
    assert!(bytes.len() > 30_000, "{} bytes", bytes.len());
    let sizes: BTreeMap<&str, u32> = [("width", 16), ("height", 20)]
        .into_iter()
        .map(|(name, at)| (name, u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())))
        .collect();
    assert_eq!(sizes, BTreeMap::from([("width", 1000), ("height", 1400)]));
}

//! What README and docs tell people to type is typed here, links lead somewhere, and each promise names tests that are there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::schema;

/// First words of lines that make an unmarked block one to be typed.
const TYPED: [&str; 9] =
    ["wellspring ", "make ", "curl ", "docker ", "pip ", "python3 ", "cargo ", "git ", ".ci/run"];
/// What the pages call a running server.
const ADDRESS: &str = "127.0.0.1:8080";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every page, by its path from the root; the written-out reference has its own test.
fn pages() -> BTreeMap<String, String> {
    let root = root();
    let mut waiting = vec![root.join("docs"), root.join("examples")];
    let mut found: Vec<PathBuf> =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "ARCHITECTURE.md"].map(|name| root.join(name)).into();
    while let Some(folder) = waiting.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    found.into_iter().map(|path| (name(&path), fs_err::read_to_string(&path).unwrap())).collect()
}

/// Blocks that are to be typed.
fn blocks(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(String, Vec<&str>)> = None;
    for line in page.lines() {
        let line = line.strip_prefix("  ").filter(|rest| rest.starts_with("```")).unwrap_or(line);
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some((info.trim().to_owned(), Vec::new())),
            (Some(_), Some((info, lines))) => {
                let typed = lines.iter().any(|line| TYPED.iter().any(|word| line.starts_with(word)));
                if info == "sh" || (info.is_empty() && typed) {
                    found.push(lines.join("\n"));
                }
                open = None;
            }
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    found
}

/// Configurations: blocks of TOML.
fn configurations(page: &str) -> Vec<String> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

/// Rows of `docs/not-run.md`: page, how the block begins, why it is not run.
fn not_run() -> Vec<(String, String, String)> {
    let text = fs_err::read_to_string(root().join("docs/not-run.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<&str> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        assert!(cells.len() == 3 && !cells[2].is_empty(), "three columns, the last says why: {line}");
        (cells[0].to_owned(), cells[1].to_owned(), cells[2].to_owned())
    });
    rows.collect()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder as a newcomer has it: the repository's files, the binary in the path, a data folder of its own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["fixtures", "datasets", "docs", "examples"] {
            std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
        }
        fs_err::create_dir(folder.path().join("bin")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_wellspring"));
        std::os::unix::fs::symlink(binary, folder.path().join("bin/wellspring")).unwrap();
        Self { folder }
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let home = std::env::var("HOME").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()))
            .env("WELLSPRING_DATA", self.folder.path().join("data"))
            .env(
                "WELLSPRING_CACHE",
                std::env::var("WELLSPRING_CACHE").unwrap_or(format!("{home}/.cache/wellspring")),
            )
            .env("RUST_LOG", "error")
            .env_remove("WELLSPRING_CONFIG");
        command
    }

    /// Starts a server over the data folder; gives it and its address.
    fn serve(&self) -> (Running, String) {
        let mut server = self.command("wellspring");
        let server =
            server.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut server = Running(server);
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_end_matches('/').rsplit("//").next().unwrap().to_owned();
        (server, address)
    }

    /// Types a block. A data folder is one process's own, so a server runs only where a block asks one.
    fn type_in(&self, page: &str, block: &str) {
        let server = block.contains(ADDRESS).then(|| self.serve());
        let address = server.as_ref().map_or(ADDRESS, |(_, address)| address.as_str());
        let block = block.replace(ADDRESS, address);
        let output = self.command("bash").args(["-euo", "pipefail", "-c", &block]).output().unwrap();
        assert!(
            output.status.success(),
            "{page}: {}\n{block}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn what_the_pages_say_to_type_works() {
    let doctor = Place::new().command("wellspring").args(["doctor"]).output().unwrap();
    if !doctor.status.success() || !["bash", "curl", "python3"].iter().all(|program| is_installed(program)) {
        eprintln!("skipped: model, libraries, curl or python3 are not installed (`make setup`)");
        return;
    }
    let rows = not_run();
    let mut used = vec![false; rows.len()];
    let mut run = 0;
    for (page, text) in pages() {
        let place = Place::new();
        for block in blocks(&text) {
            let row = rows
                .iter()
                .position(|(of, begins, _)| *of == page && block.trim_start().starts_with(begins.as_str()));
            match row {
                Some(row) => used[row] = true,
                None => {
                    place.type_in(&page, &block);
                    run += 1;
                }
            }
        }
    }
    let stale: Vec<_> = rows.iter().zip(&used).filter(|(_, used)| !**used).map(|(row, _)| row).collect();
    assert!(stale.is_empty(), "docs/not-run.md names blocks that are not there: {stale:?}");
    assert!(run > 10, "only {run} blocks were run");
}

#[test]
fn configurations_on_the_pages_can_be_used() {
    let place = Place::new();
    let mut checked = 0;
    for (page, text) in pages() {
        for configuration in configurations(&text) {
            fs_err::write(place.folder.path().join("page.toml"), &configuration).unwrap();
            let output = place.command("wellspring").args(["config", "check", "page.toml"]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}:\n{configuration}\n{said}");
            checked += 1;
        }
    }
    assert!(checked > 8, "only {checked} configurations");
}

#[test]
fn json_of_commands_has_the_shapes_of_the_interface() {
    let api = fs_err::read_to_string(root().join("openapi.json")).unwrap();
    let api: Value = serde_json::from_str(&api).unwrap();
    let place = Place::new();
    let run = |arguments: &[&str]| {
        let output = place
            .command("wellspring")
            .args(arguments)
            .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["ingest", "fixtures/corpus/policies", "--json"]);
    let question = "What may a hotel night outside a capital cost?";
    for (arguments, method, path) in [
        (&["search", "--explain", "--json", "hotel night"][..], Method::POST, "/v1/search"),
        (&["ask", "--json", question], Method::POST, "/v1/answers"),
        (&["usage", "--json"], Method::GET, "/v1/usage"),
        (
            &["chunks", "preview", "--json", "fixtures/corpus/policies/travel-policy-2026.md"],
            Method::POST,
            "/v1/collections/default/documents/x/chunks/preview",
        ),
    ] {
        let body: Value = serde_json::from_str(&run(arguments)).unwrap();
        schema::check(&api, &method, path, StatusCode::OK, &body);
    }
    for (arguments, path) in [
        (["document", "list", "--json"], "/v1/collections/default/documents/x"),
        (["job", "list", "--json"], "/v1/jobs/0190a6e1-7c4d-7c3b-9d5a-3f1f6c1b2a3d"),
    ] {
        for line in run(&arguments).lines() {
            schema::check(&api, &Method::GET, path, StatusCode::OK, &serde_json::from_str(line).unwrap());
        }
    }
}

#[test]
fn links_lead_somewhere_and_the_book_has_every_page() {
    let pages = pages();
    for (page, text) in &pages {
        let folder = root().join(page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next()) {
            if !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:") {
                assert!(folder.join(link).exists(), "{page}: {link} is not there");
            }
        }
    }
    let summary = &pages["docs/SUMMARY.md"];
    for page in
        pages.keys().filter_map(|page| page.strip_prefix("docs/")).filter(|page| *page != "SUMMARY.md")
    {
        assert!(summary.contains(&format!("({page})")), "docs/SUMMARY.md does not name {page}");
    }
}

#[test]
fn each_promise_names_tests_that_are_there() {
    let promises = fs_err::read_to_string(root().join("SECURITY.md")).unwrap();
    let mut named = 0;
    for line in promises.lines().filter(|line| line.starts_with("| **")) {
        let tests = line.trim_matches('|').rsplit('|').next().unwrap();
        let mut of_line = 0;
        for name in tests.split('`').skip(1).step_by(2) {
            let (file, test) = name.split_once("::").unwrap_or_else(|| panic!("say FILE::TEST: {name}"));
            let source =
                fs_err::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("there is no {file}"));
            let there = ["(", "<"].iter().any(|opening| source.contains(&format!("fn {test}{opening}")));
            assert!(there, "{file} has no test {test}");
            of_line += 1;
        }
        assert!(of_line > 0, "no test: {line}");
        named += of_line;
    }
    assert!(named >= 20, "only {named} tests are named");
}

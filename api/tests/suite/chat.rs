//! `wellspring chat` as a script drives it: follow-ups are understood, and forgotten on request.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wellspring"));
    command.args(arguments).env("WELLSPRING_DATA", data).env_remove("WELLSPRING_CONFIG");
    command.env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", "fake/hash").env("RUST_LOG", "error");
    command
}

fn chat(data: &Path, arguments: &[&str], typed: &str) -> Output {
    let mut child = command(data, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_conversation_is_understood_until_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("leave.md");
    let words =
        "# Leave\n\nParental leave lasts fourteen weeks.\n\nParental leave needs two months of notice.\n";
    fs_err::write(&file, words).unwrap();
    let read = command(&data, &["ingest", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(read.status.code(), Some(0), "{}", text(&read.stderr));

    let typed = "How long does parental leave last?\n\nAnd how much notice does it need?\n/new\nAnd how much notice does it need?\n";
    let said = chat(&data, &["chat", "--json"], typed);
    let answers: Vec<Value> =
        text(&said.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3, "{}", text(&said.stderr));
    assert!(answers[0]["answer"].as_str().unwrap().contains("fourteen weeks"), "{}", answers[0]);
    assert!(answers[0]["standalone"].is_null());
    let understood = answers[1]["standalone"].as_str().unwrap();
    assert!(understood.contains("parental leave"), "{understood}");
    assert!(text(&said.stderr).contains(understood), "{}", text(&said.stderr));
    assert!(answers[2]["standalone"].is_null(), "there was nothing to understand it from any more");

    // For people: the question, the answer, and footnotes with file and place.
    let shown = chat(&data, &["chat"], "How long does parental leave last?\n/nwe\n/quit\nnever read\n");
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let printed = text(&shown.stdout);
    assert!(printed.contains("fourteen weeks") && printed.contains("leave.md"), "{printed}");
    assert!(!printed.contains("never read") && !printed.contains('\u{1b}'), "{printed}");
    assert!(text(&shown.stderr).contains("there is no `/nwe`"), "{}", text(&shown.stderr));

    let unanswered = chat(&data, &["chat"], "Who won the football world cup in 1974?\n");
    assert_eq!(unanswered.status.code(), Some(1), "{}", text(&unanswered.stdout));
    let nothing = chat(&data, &["chat"], "");
    assert_eq!(nothing.status.code(), Some(0), "{}", text(&nothing.stderr));
}

//! Commands that need no documents: what to do next, configuration files, completions, manual pages.

use std::path::Path;
use std::process::{Command, Output};

fn wellspring(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wellspring"))
        .args(arguments)
        .current_dir(folder)
        .env("WELLSPRING_DATA", folder.join("data"))
        .env_remove("WELLSPRING_CONFIG")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn alone_it_says_what_to_do_next_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = wellspring(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("Nothing is kept") && said.contains("wellspring ingest FOLDER"), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where no terminal is: {said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_starting_configuration_can_be_used_and_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let made = wellspring(folder.path(), &["init"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let checked = wellspring(folder.path(), &["config", "check", "wellspring.toml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    fs_err::write(folder.path().join("wellspring.toml"), "[retrieve]\nself_tunning = false\n").unwrap();
    let again = wellspring(folder.path(), &["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("it is there already"), "{}", text(&again.stderr));
    let wrong = wellspring(folder.path(), &["config", "check", "wellspring.toml"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("did you mean `self_tuning`?"), "{}", text(&wrong.stderr));
}

#[test]
fn shells_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = wellspring(folder.path(), &["completions", shell]);
        assert_eq!(script.status.code(), Some(0), "{}", text(&script.stderr));
        assert!(text(&script.stdout).contains("ingest"), "{shell}");
    }
    let pages = wellspring(folder.path(), &["man", "man1"]);
    assert_eq!(pages.status.code(), Some(0), "{}", text(&pages.stderr));
    let page = fs_err::read_to_string(folder.path().join("man1/wellspring-eval-gate.1")).unwrap();
    assert!(page.contains("baseline"), "{page}");
}

//! The evaluation commands as scripts drive them: files in, exit codes, JSON and reports out.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

mod label;
mod made;

/// Forty queries; the relevant document's rank in each is given by `rank`.
fn run_file(folder: &Path, name: &str, rank: impl Fn(usize) -> usize) -> PathBuf {
    let mut text = String::new();
    for query in 0..40 {
        for at in 0..12 {
            let document = if at == rank(query) { "the%20good%20one".to_owned() } else { format!("d{at}") };
            text.push_str(&format!("q{query} Q0 {document} {at} {} x\n", 20 - at));
        }
    }
    let path = folder.join(name);
    fs_err::write(&path, text).unwrap();
    path
}

fn qrels(folder: &Path) -> PathBuf {
    let path = folder.join("qrels.tsv");
    let rows: String = (0..40).map(|query| format!("q{query}\tthe good one\t1\n")).collect();
    fs_err::write(&path, rows).unwrap();
    path
}

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
fn the_gate_says_no_with_exit_code_1_and_writes_its_reports() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    qrels(at);
    run_file(at, "good.trec", |query| query % 4);
    run_file(at, "broken.trec", |query| query % 4 + 5);
    let files = ["--qrels", "qrels.tsv", "--baseline", "good.trec", "--not-worse", "ndcg@10"];
    let judge = |candidate: &str, more: &[&str]| {
        let arguments: Vec<&str> =
            ["eval", "gate", "--candidate", candidate].iter().chain(&files).chain(more).copied().collect();
        wellspring(at, &arguments)
    };
    let same = judge("good.trec", &[]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stderr));
    let broken = judge("broken.trec", &["--junit", "gate.xml", "--markdown", "gate.md"]);
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stderr));
    assert!(text(&broken.stdout).contains("gate failed") && text(&broken.stdout).contains("query q0"));
    let xml = fs_err::read_to_string(at.join("gate.xml")).unwrap();
    assert!(xml.contains("failures=\"1\"") && xml.contains("nDCG@10 is not worse"), "{xml}");
    assert!(fs_err::read_to_string(at.join("gate.md")).unwrap().contains("the good one (1)"));
    let floor = judge("good.trec", &["--floor", "ndcg@10=0.99", "--json"]);
    assert_eq!(floor.status.code(), Some(1));
    let verdict: serde_json::Value = serde_json::from_slice(&floor.stdout).unwrap();
    assert_eq!((&verdict["passed"], &verdict["checks"][1]["passed"]), (&false.into(), &false.into()));
    assert_eq!(judge("missing.trec", &[]).status.code(), Some(2));
    assert_eq!(judge("good.trec", &["--floor", "nonsense"]).status.code(), Some(2));
}

#[test]
fn comparing_prints_tests_and_rankings_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    qrels(at);
    run_file(at, "a.trec", |query| query % 4 + 3);
    run_file(at, "b.trec", |query| query % 4);
    let arguments = ["eval", "compare", "a.trec", "b.trec", "--qrels", "qrels.tsv"];
    let shown = wellspring(at, &arguments);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let shown = text(&shown.stdout);
    assert!(shown.contains("better") && shown.contains("the good one [1]"), "{shown}");
    let json = wellspring(at, &[&arguments[..], &["--json"]].concat());
    let comparison: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let ndcg = &comparison["systems"][0]["measures"]["ndcg@10"];
    assert_eq!((&ndcg["wins"], &ndcg["losses"]), (&40.into(), &0.into()));
    assert!(ndcg["p_holm"].as_f64().unwrap() < 0.01);
}

#[test]
fn wrong_judgements_are_refused_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    run_file(at, "a.trec", |query| query % 4);
    fs_err::write(at.join("bad.tsv"), "q0\td1\t1\nq0\td1\t2\n").unwrap();
    let refused = wellspring(at, &["eval", "score", "a.trec", "--qrels", "bad.tsv"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("bad.tsv line 2: `d1` is judged twice"),
        "{}",
        text(&refused.stderr)
    );
    qrels(at);
    let json = wellspring(at, &["eval", "score", "a.trec", "--qrels", "qrels.tsv", "--json"]);
    let scores: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(scores["queries"], 40);
    assert!(
        (scores["metrics"]["mrr@10"].as_f64().unwrap() - (1.0 + 0.5 + 1.0 / 3.0 + 0.25) / 4.0).abs() < 1e-9
    );
    assert!(
        scores["intervals"]["ndcg@10"]["low"].as_f64().unwrap()
            < scores["metrics"]["ndcg@10"].as_f64().unwrap()
    );
}

//! Test sets made out of documents and out of logs, as scripts drive the commands.

use super::{text, wellspring};

#[test]
fn feedback_becomes_a_dataset_and_a_malformed_line_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let line = |session: usize| {
        format!(
            r#"{{"query":"hotel costs","shown":["a","b c"],"clicked":["b c"],"time":"2026-03-01T09:30:0{session}Z","session":"{session}"}}"#
        )
    };
    fs_err::write(at.join("log.jsonl"), (0..3).map(|n| line(n) + "\n").collect::<String>()).unwrap();
    let arguments = ["eval", "judgements", "--feedback", "log.jsonl", "-o", "set"];
    let made = wellspring(at, &arguments);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    assert!(
        text(&made.stdout).contains("3 events: 1 queries with 2 judgements, 0 conflicts"),
        "{}",
        text(&made.stdout)
    );
    let qrels = fs_err::read_to_string(at.join("set/qrels/test.tsv")).unwrap();
    assert_eq!(qrels, "query-id\tcorpus-id\tscore\nfeedback-00001\ta\t0\nfeedback-00001\tb c\t1\n");
    fs_err::write(at.join("log.jsonl"), format!("{}\n{{}}\n", line(0))).unwrap();
    let refused = wellspring(at, &arguments);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("log.jsonl line 2"), "{}", text(&refused.stderr));
}

#[test]
fn switches_that_have_a_flag_and_too_few_queries_are_refused_before_anything_is_indexed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs_err::create_dir(at.join("docs")).unwrap();
    fs_err::write(at.join("docs/a.md"), "# A\n\nText.\n").unwrap();
    fs_err::write(at.join("q.csv"), "question,document\nwhat,a.md\n").unwrap();
    let set = ["--dataset", "q.csv", "--documents", "docs", "--work", "work"];
    let refused = |command: &[&str], complaint: &str| {
        let arguments: Vec<&str> = [&["eval"], command, &set].concat();
        let output = wellspring(at, &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(complaint), "{}", text(&output.stderr));
        assert!(!at.join("work").exists(), "nothing was opened");
    };
    refused(&["retrieval", "--set", "mode = 'dense'"], "give the mode with --mode");
    refused(&["retrieval", "-k", "5", "--measures", "ndcg@10"], "looks deeper than rankings of 5 documents");
    refused(&["tune"], "tuning needs 25 or more judged queries; there are 1");
}

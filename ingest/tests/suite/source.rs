//! Folder walks: order, ignore rules, ids, and paths that can't be read.
use std::path::PathBuf;

use wellspring_ingest::source::{Entry, walk};

fn ids(entries: &[Entry]) -> Vec<String> {
    let name = |entry: &Entry| match entry {
        Entry::File(found) => found.id.to_string(),
        Entry::Problem { reason, path, .. } => format!("{reason}:{}", path.file_name().unwrap().display()),
    };
    entries.iter().map(name).collect()
}

#[test]
fn a_walk_is_ordered_and_honours_gitignore_outside_repositories() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write(".gitignore", "*.log\nbuild/\n");
    write("b.md", "b");
    write("a/z.md", "z");
    write("a/Ä.md", "ä");
    write("a.md", "a");
    write("x.log", "x");
    write("build/out.md", "o");
    write(".hidden/secret.md", "s");
    write("a/.gitignore", "z.md\n");
    std::os::unix::fs::symlink(root.path().join("b.md"), root.path().join("link.md")).unwrap();
    assert_eq!(ids(&walk(&[root.path().to_owned()])), ["a/Ä.md", "a.md", "b.md"]);
    assert_eq!(
        ids(&walk(&[root.path().join("x.log"), root.path().join(".hidden/secret.md")])),
        ["x.log", "secret.md"]
    );
}

#[test]
fn paths_that_can_not_be_read_are_reported_and_stop_nothing() {
    let root = tempfile::tempdir().unwrap();
    for folder in ["one", "two"] {
        fs_err::create_dir(root.path().join(folder)).unwrap();
        fs_err::write(root.path().join(folder).join("same.md"), folder).unwrap();
    }
    let paths: Vec<PathBuf> = ["missing", "one", "two", "one"].iter().map(|p| root.path().join(p)).collect();
    assert_eq!(ids(&walk(&paths)), ["not_found:missing", "same.md", "duplicate_id:same.md"]);
    fs_err::write(root.path().join("one").join("bad\u{7}name.md"), "x").unwrap();
    assert_eq!(ids(&walk(&paths[1..2])), ["invalid_id:bad\u{7}name.md", "same.md"]);
}

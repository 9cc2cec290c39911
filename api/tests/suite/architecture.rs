//! The arrows between crates are those of ARCHITECTURE.md and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const PREFIX: &str = "wellspring-";

/// Who may depend on whom.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    BTreeMap::from([
        ("models", BTreeSet::new()),
        ("store", BTreeSet::new()),
        ("ingest", BTreeSet::from(["models", "store"])),
        ("retrieve", BTreeSet::from(["models", "store"])),
        ("answer", BTreeSet::from(["retrieve", "models"])),
        ("eval", BTreeSet::from(["ingest", "retrieve", "answer", "models", "store"])),
        ("api", BTreeSet::from(["models", "store", "ingest", "retrieve", "answer", "eval"])),
    ])
}

#[test]
fn crates_depend_on_each_other_only_as_drawn() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();

    let allowed = allowed();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let folder =
            name.strip_prefix(PREFIX).unwrap_or_else(|| panic!("package {name} lacks the prefix {PREFIX}"));
        assert!(
            package["manifest_path"].as_str().unwrap().ends_with(&format!("/{folder}/Cargo.toml")),
            "package {name} stands in another folder than {folder}"
        );
        let may = allowed.get(folder).unwrap_or_else(|| panic!("crate {folder} has no place in the drawing"));
        seen.insert(folder);
        for dependency in package["dependencies"].as_array().unwrap() {
            // A crate's tests may use anything below them; what ships may not.
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            if let Some(on) = dependency["name"].as_str().unwrap().strip_prefix(PREFIX) {
                assert!(may.contains(on), "{folder} depends on {on}: not an allowed arrow");
            }
        }
    }
    assert_eq!(seen, allowed.keys().copied().collect(), "a crate is missing");
}

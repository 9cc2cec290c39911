//! Official clients against the server: a short run where `make clients` has installed them, or
//! `WELLSPRING_CLIENTS_PYTHON` names a Python that has them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter beside the binary's build, or the one that is named.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("WELLSPRING_CLIENTS_PYTHON").map(PathBuf::from);
    let target = Path::new(env!("CARGO_BIN_EXE_wellspring")).ancestors().nth(2)?;
    named.or_else(|| Some(target.join("clients/bin/python"))).filter(|python| python.is_file())
}

#[test]
fn official_clients_work_unmodified() {
    let Some(python) = python() else {
        println!("skipped: no clients are installed; `make clients` does so");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check.py");
    let output = Command::new(python)
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_wellspring"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    print!("{out}");
}

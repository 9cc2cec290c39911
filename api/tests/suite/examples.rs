//! The programs of `examples/`, run as they stand against a server; those whose packages or interpreter are absent are skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::Server;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// A server that knows what a hotel night may cost.
async fn server() -> Server {
    let server = Server::start().await;
    let text = "# Travel\n\nA hotel night outside a capital may cost up to £135.\n";
    server.add_text("travel.md", text, json!({ "year": 2026 })).await;
    server
}

async fn output(server: &Server, program: PathBuf, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(examples()).env("WELLSPRING_URL", server.url(""));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("WELLSPRING_KEY");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}\n{err}");
    out.into_owned()
}

#[tokio::test]
async fn official_packages_find_the_passage() {
    let target = Path::new(env!("CARGO_BIN_EXE_wellspring")).ancestors().nth(2).unwrap();
    let python = std::env::var_os("WELLSPRING_CLIENTS_PYTHON")
        .map_or_else(|| target.join("clients/bin/python"), PathBuf::from);
    if !python.is_file() {
        println!("skipped: no clients are installed; `make clients` does so");
        return;
    }
    let server = server().await;
    for (program, said) in [
        ("openai_client.py", "£135"),
        ("langchain_retriever.py", "travel.md"),
        ("llamaindex_retriever.py", "travel.md"),
    ] {
        let printed = output(&server, python.clone(), &[program]).await;
        assert!(printed.contains(said), "{program}: {printed}");
    }
}

#[tokio::test]
async fn typescript_reads_the_stream() {
    let version =
        Command::new("node").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let version: Vec<u32> = String::from_utf8_lossy(&version)
        .trim()
        .trim_start_matches('v')
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    if version.as_slice() < [22, 6].as_slice() {
        println!("skipped: node 22.6 or newer is not installed");
        return;
    }
    let printed = output(&server().await, "node".into(), &["--experimental-strip-types", "ask.ts"]).await;
    assert!(printed.contains("£135") && printed.contains("travel.md"), "{printed}");
}

#[test]
fn the_configuration_of_mcp_clients_is_one() {
    let text = fs_err::read_to_string(examples().join("mcp.json")).unwrap();
    let servers: Value = serde_json::from_str(&text).unwrap();
    let servers = servers["mcpServers"].as_object().unwrap();
    assert_eq!(servers["wellspring"]["args"][2], "mcp");
    assert!(servers["wellspring-server"]["url"].as_str().unwrap().ends_with("/mcp"));
}

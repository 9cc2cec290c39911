//! Writes the pages of `docs/reference` out of the code itself, and holds the committed ones to it.

mod grpc;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory};
use serde_json::Value;

const NOTICE: &str =
    "<!-- Written out of the code; UPDATE_REFERENCE=1 cargo test --workspace --locked --bins reference -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Holds a committed page to what the code says; `UPDATE_REFERENCE=1` writes it anew.
fn held(name: &str, wanted: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, wanted).unwrap();
    }
    assert!(
        fs_err::read_to_string(&path).unwrap_or_default() == wanted,
        "docs/reference/{name} differs from the code; if the change is meant, run \
         `UPDATE_REFERENCE=1 cargo test --workspace --locked --bins reference` and commit it"
    );
}

/// A cell of a table: one line, its bars escaped.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn argument(page: &mut String, argument: &Arg) {
    let values: Vec<String> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| name.to_string()).collect();
    let takes = argument.get_action().takes_values();
    let value = if takes { values.join(" ") } else { String::new() };
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long} {value}"),
        (None, Some(long)) => format!("--{long} {value}"),
        (Some(short), None) => format!("-{short} {value}"),
        (None, None) => value,
    };
    let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|choice| !choice.is_hide_set() && takes)
        .map(|choice| format!("`{}`", choice.get_name()))
        .collect();
    if !choices.is_empty() {
        let _ = write!(help, " ({})", choices.join(", "));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && takes {
        let _ = write!(help, " [default: {}]", defaults.join(" "));
    }
    let _ = writeln!(page, "| `{}` | {} |", name.trim(), cell(&help));
}

fn command(page: &mut String, path: &str, command: &Command) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, "\n## `{path}`\n\n{}{}\n", about, if about.ends_with('.') { "" } else { "." });
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| {
            !argument.is_hide_set() && !argument.is_global_set() && argument.get_id() != "help"
        })
        .collect();
    if !arguments.is_empty() {
        page.push_str("| | |\n|---|---|\n");
        for one in arguments {
            argument(page, one);
        }
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        self::command(page, &format!("{path} {}", inner.get_name()), inner);
    }
}

#[test]
fn command_line() {
    let whole = crate::cli::Arguments::command();
    let mut page = format!(
        "{NOTICE}# Command line\n\nData goes to standard output, progress and messages to standard error; colour only where a \
         terminal is, and never with `NO_COLOR`. Exit codes: 0 good; 1 the command ran and the answer is no (nothing found, \
         abstained, a file failed, damage found, gate failed); 2 usage or error.\n\nEverywhere:\n\n| | |\n|---|---|\n"
    );
    for one in whole.get_arguments().filter(|argument| argument.is_global_set()) {
        argument(&mut page, one);
    }
    for inner in whole.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help") {
        command(&mut page, &format!("wellspring {}", inner.get_name()), inner);
    }
    held("cli.md", &page);
}

/// A schema in a few words: the name of a shape, or the JSON type.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(any) = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array()) {
        return any.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().map(kind).collect::<Vec<_>>().join(" and ");
    }
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    };
    if name.contains("array") { format!("{name} of {}", kind(&schema["items"])) } else { name }
}

fn shape(page: &mut String, name: &str, schema: &Value) {
    let _ = writeln!(page, "\n### {name}\n\n{}\n", schema["description"].as_str().unwrap_or_default());
    if let Some(choices) = schema["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        let _ = writeln!(page, "One of {}.", choices.join(", "));
    }
    let Some(members) = schema["properties"].as_object().filter(|members| !members.is_empty()) else {
        if schema["enum"].is_null() {
            let _ = writeln!(page, "{}.", kind(schema));
        }
        return;
    };
    page.push_str("| member | type | |\n|---|---|---|\n");
    let required = schema["required"].as_array();
    for (member, inner) in members {
        let must = required.is_some_and(|names| names.iter().any(|name| name == member));
        let optional = if must { "" } else { ", optional" };
        let _ = writeln!(
            page,
            "| `{member}` | {}{optional} | {} |",
            cell(&kind(inner)),
            cell(inner["description"].as_str().unwrap_or_default())
        );
    }
}

#[test]
fn http() {
    let text = fs_err::read_to_string(root().join("openapi.json")).unwrap();
    let api: Value = serde_json::from_str(&text).unwrap();
    let mut page = format!(
        "{NOTICE}# HTTP\n\nWhat `openapi.json` says, for reading; `/docs` of a running server tries it out. Errors are \
         `application/problem+json` (RFC 9457) with a stable `code`; 429 and 503 carry `Retry-After`. What a command prints with \
         `--json` has the shapes below: see [JSON of the command line](json.md).\n"
    );
    let mut by_tag: BTreeMap<String, Vec<(String, &Value)>> = BTreeMap::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let tag = operation["tags"][0].as_str().unwrap_or("other").to_owned();
            by_tag.entry(tag).or_default().push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    for (tag, operations) in by_tag {
        let _ = writeln!(page, "\n## {tag}");
        for (place, operation) in operations {
            let (summary, description) = (operation["summary"].as_str(), operation["description"].as_str());
            let _ = writeln!(
                page,
                "\n### `{place}`\n\n{}. {}\n",
                summary.unwrap_or_default(),
                description.unwrap_or_default()
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let _ = writeln!(
                    page,
                    "- `{}` ({}): {}",
                    parameter["name"].as_str().unwrap_or_default(),
                    parameter["in"].as_str().unwrap_or_default(),
                    parameter["description"].as_str().unwrap_or_default()
                );
            }
            for (media_type, body) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
                let _ = writeln!(page, "- takes `{media_type}`: {}", kind(&body["schema"]));
            }
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                let shapes: Vec<String> = response["content"]
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|_| status.starts_with('2'))
                    .map(|(media_type, body)| format!("`{media_type}` {}", kind(&body["schema"])))
                    .collect();
                let shapes =
                    if shapes.is_empty() { String::new() } else { format!(": {}", shapes.join(", ")) };
                let _ = writeln!(
                    page,
                    "- {status} {}{shapes}",
                    response["description"].as_str().unwrap_or_default()
                );
            }
        }
    }
    page.push_str("\n## Shapes\n");
    for (name, schema) in api["components"]["schemas"].as_object().unwrap() {
        shape(&mut page, name, schema);
    }
    held("http.md", &page);
}

#[test]
fn model_context_protocol() {
    let mut page = format!(
        "{NOTICE}# MCP\n\nThe tools of `wellspring mcp` (standard input and output) and of `/mcp` (streamable HTTP), each under the \
         caller's scope. All of them only read.\n"
    );
    for tool in crate::mcp::described().unwrap() {
        let _ =
            writeln!(page, "\n## `{}`\n\n{}\n", tool.name, tool.description.as_deref().unwrap_or_default());
        let schema = tool.schema_as_json_value();
        let members: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
        if !members.is_empty() {
            page.push_str("| argument | type | |\n|---|---|---|\n");
        }
        for (name, inner) in members {
            let mut taken = kind(inner);
            for (shape, choices) in schema["$defs"].as_object().into_iter().flatten() {
                let listed = choices["enum"].as_array().into_iter().flatten();
                let said = choices["oneOf"].as_array().into_iter().flatten().map(|choice| &choice["const"]);
                let values: Vec<String> = listed.chain(said).map(|value| format!("`{value}`")).collect();
                taken = taken.replace(&format!("[{shape}](#{})", shape.to_lowercase()), &values.join(", "));
            }
            let description = inner["description"].as_str().unwrap_or_default();
            let _ = writeln!(page, "| `{name}` | {} | {} |", cell(&taken), cell(description));
        }
    }
    held("mcp.md", &page);
}

/// Every file below a folder of the invented organisation's documents.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { documents(&path, found) } else { found.push(path) }
    }
}

#[test]
fn formats() {
    let corpus = root().join("fixtures/corpus");
    let mut files = Vec::new();
    documents(&corpus, &mut files);
    files.sort();
    let mut rows: BTreeMap<&str, (&str, String)> = BTreeMap::new();
    for path in files {
        let bytes = fs_err::read(&path).unwrap();
        let name = path.file_name().and_then(|name| name.to_str());
        let Ok(format) = wellspring_ingest::detect::detect(&bytes, name, None) else { continue };
        let shown = path.strip_prefix(&corpus).unwrap().display().to_string();
        rows.entry(format.name()).or_insert((format.media_type(), shown));
    }
    assert!(rows.len() > 12, "{rows:?}");
    let mut page = format!(
        "{NOTICE}# Formats\n\nWhat a file is, is told from its content, then from its name. Each format that `fixtures/corpus` holds, as \
         it is detected there; spreadsheets are also read as `xls` and `ods`, articles as `jats`, and `tex`, `rst`, `asciidoc`, `json` and \
         `xml` as texts of their own structure. Source code is cut along its functions and types in the languages that have a grammar, \
         else as text.\n\n| name | media type | for example |\n|---|---|---|\n"
    );
    for (name, (media_type, example)) in rows {
        let _ = writeln!(page, "| {name} | `{media_type}` | `{example}` |");
    }
    held("formats.md", &page);
}

/// The string literals of a macro's or function's arguments, from `start` on, up to two of them.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = source;
    while found.len() < 2 {
        let Some(open) = rest.find('"') else { break };
        let Some(close) = rest[open + 1..].find('"') else { break };
        found.push(
            rest[open + 1..open + 1 + close]
                .replace("\\\n", "")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        );
        rest = &rest[open + close + 2..];
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("reference.rs") {
            found.push(path);
        }
    }
}

#[test]
fn metrics() {
    let mut files = Vec::new();
    sources(&root().join("api/src"), &mut files);
    let mut rows = BTreeMap::new();
    for path in files {
        let source = fs_err::read_to_string(&path).unwrap();
        for (opening, kind) in [
            ("describe_counter!(", "counter"),
            ("describe_histogram!(", "histogram, seconds"),
            ("describe_gauge!(", "gauge"),
            ("family(\n", "gauge"),
            ("family(&mut text", "gauge"),
        ] {
            for (at, _) in source.match_indices(opening) {
                if let [name, help] = literals(&source[at..]).as_slice()
                    && name.starts_with("wellspring_")
                {
                    rows.insert(name.clone(), (kind, help.clone()));
                }
            }
        }
    }
    assert!(rows.len() > 15, "{rows:?}");
    let mut page = format!(
        "{NOTICE}# Metrics\n\n`GET /metrics`, in Prometheus' text format. Counters and histograms count from the start of the \
         process; gauges are read from the catalog at the time of the request.\n\n| name | kind | |\n|---|---|---|\n"
    );
    for (name, (kind, help)) in rows {
        let _ = writeln!(page, "| `{name}` | {kind} | {} |", cell(&help));
    }
    held("metrics.md", &page);
}

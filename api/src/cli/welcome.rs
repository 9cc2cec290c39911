//! `wellspring` without a command: what is here, and what to do next.

use wellspring_models::registry::Registry;

use super::Global;
use crate::app;
use crate::config::Config;
use crate::output::{Outcome, Printer};

/// Looks without opening or making anything, so that it also works beside a running server.
pub(crate) fn run(global: &Global, config: &Config) -> anyhow::Result<Outcome> {
    let printer = Printer { json: false };
    let folder = app::data_folder(global)?;
    let models = Registry::new(config.models.clone())?.check();
    let begun = folder.join("catalog.db").is_file();
    printer.line(format_args!(
        "\u{1b}[1mwellspring {}\u{1b}[0m: documents in; passages and cited answers out\n",
        env!("CARGO_PKG_VERSION")
    ))?;
    for missing in models.iter().filter(|finding| !finding.ok) {
        printer.line(format_args!("\u{1b}[31m✗\u{1b}[0m {}: {}", missing.what, missing.detail))?;
        if let Some(fix) = &missing.fix {
            printer.line(format_args!("  fix: {fix}"))?;
        }
    }
    let (state, steps): (String, &[(&str, &str)]) = if config.postgres.is_some() {
        ("Documents are kept in PostgreSQL; `wellspring doctor` looks at it.".to_owned(), AFTERWARDS)
    } else if begun {
        (format!("Documents are kept in {}.", folder.display()), AFTERWARDS)
    } else {
        (format!("Nothing is kept in {} yet.", folder.display()), FIRST)
    };
    printer.line(format_args!("{state} Next:\n"))?;
    for (command, what) in steps {
        printer.line(format_args!("  {command:<44} \u{1b}[2m{what}\u{1b}[0m"))?;
    }
    printer.line("\n`wellspring help` lists every command.")?;
    Ok(Outcome::Good)
}

const FIRST: &[(&str, &str)] = &[
    ("wellspring doctor", "is everything there that is needed?"),
    ("wellspring ingest FOLDER", "read documents; returns when they are searchable"),
    ("wellspring ask \"QUESTION\"", "an answer with checked citations"),
    ("wellspring serve", "a web page and an HTTP interface"),
];

const AFTERWARDS: &[(&str, &str)] = &[
    ("wellspring ask \"QUESTION\"", "an answer with checked citations"),
    ("wellspring chat", "one question after another, each understood from those before"),
    ("wellspring search --explain \"WORDS\"", "passages, and where each came from"),
    ("wellspring ingest FOLDER", "read what is new or has changed"),
    ("wellspring serve", "a web page and an HTTP interface"),
    ("wellspring eval synth --out questions.jsonl", "a first test set from these documents"),
];

//! What goes where: data to stdout, people's messages and progress to stderr, colour only where a person looks.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// How a command that ran ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Good.
    Good,
    /// The answer is no: nothing found, abstained, a file failed, damage found, gate failed.
    No,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::No => Self::from(1),
        }
    }
}

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    /// Machine-readable output.
    pub(crate) json: bool,
}

impl Printer {
    /// One line of text for people; nothing with `--json`.
    pub(crate) fn line(self, text: impl std::fmt::Display) -> std::io::Result<()> {
        if self.json { Ok(()) } else { writeln!(anstream::stdout().lock(), "{text}") }
    }

    /// A part of a text that is still coming, shown at once; nothing with `--json`.
    pub(crate) fn part(self, text: &str) -> std::io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        write!(out, "{text}")?;
        out.flush()
    }

    /// One JSON document, pretty, with `--json`; nothing otherwise.
    pub(crate) fn document<T: Serialize>(self, value: &T) -> anyhow::Result<()> {
        if self.json {
            writeln!(std::io::stdout().lock(), "{}", serde_json::to_string_pretty(value)?)?;
        }
        Ok(())
    }

    /// One JSON record on one line with `--json`; nothing otherwise.
    pub(crate) fn record<T: Serialize>(self, value: &T) -> anyhow::Result<()> {
        if self.json {
            writeln!(std::io::stdout().lock(), "{}", serde_json::to_string(value)?)?;
        }
        Ok(())
    }

    /// A bar of `total` steps on stderr, hidden where stderr is not a terminal.
    pub(crate) fn progress(self, total: Option<u64>, unit: &str) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let (bar, template) = match total {
            Some(total) => {
                let numbers = format!("{{pos}}/{{len}} {unit}, {{per_sec}}, {{elapsed}}, {{eta}} left");
                (ProgressBar::new(total), format!("{{bar:30}} {numbers} {{wide_msg}}"))
            }
            None => (
                ProgressBar::new_spinner(),
                format!("{{spinner}} {{pos}} {unit}, {{per_sec}}, {{elapsed}} {{wide_msg}}"),
            ),
        };
        match ProgressStyle::with_template(&template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// An empty table for people.
pub(crate) fn table<H: Into<comfy_table::Row>>(header: H) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
        // Cells are wrapped to the window; where there is none, they stay whole.
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// A message for people beside the data.
pub(crate) fn note(text: impl std::fmt::Display) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// An error with its causes, one line each.
pub(crate) fn report_error(error: &anyhow::Error) {
    note(format_args!("\u{1b}[31merror:\u{1b}[0m {error}"));
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if text != last {
            note(format_args!("  because: {text}"));
        }
        last = text;
    }
}

/// Whether the reader of our output went away (`wellspring search … | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

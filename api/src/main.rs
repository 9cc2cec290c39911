//! The `wellspring` binary: parses the command line, runs it, and turns the outcome into an exit code.

mod app;
mod audit;
mod auth;
mod budget;
mod cli;
mod config;
mod duty;
mod fetch;
mod footnotes;
mod http;
mod limits;
mod mcp;
mod output;
mod problem;
#[cfg(test)]
mod reference;
mod talk;
mod telemetry;
mod tools;
mod webhooks;

use std::process::ExitCode;

use clap::Parser;

/// 0: good. 1: the command ran and the answer is no. 2: usage or error.
fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let wanted_text = !error.use_stderr();
            // A closed pipe behind `--help` is nobody's error.
            let _ = error.print();
            return if wanted_text { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    // The child that reads documents must set its limits before anything else exists: no runtime, no threads, no logger.
    if let Some(cli::Command::ExtractChild) = arguments.command {
        return cli::extract_child();
    }
    match cli::run(arguments) {
        Ok(outcome) => outcome.into(),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report_error(&error);
            ExitCode::from(2)
        }
    }
}

//! `wellspring completions` and `wellspring man`: what shells and manual pages know of the command line, made from it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Arguments;
use crate::output::{Outcome, note};

/// Print completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints a script that the shell sources.
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        // Made in memory first: the generator panics where the pipe behind it is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "wellspring", &mut script);
        std::io::stdout().lock().write_all(&script)?;
        Ok(Outcome::Good)
    }
}

/// Write the manual pages, one per command
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The folder, made if it is not there; pages of the same name are replaced
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Man {
    /// Writes `wellspring.1`, `wellspring-ingest.1` and so on.
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        fs_err::create_dir_all(&self.folder)?;
        clap_mangen::generate_to(Arguments::command(), &self.folder)
            .with_context(|| format!("the pages can't be written to {}", self.folder.display()))?;
        note(format_args!("written to {0}; try `man -l {0}/wellspring.1`", self.folder.display()));
        Ok(Outcome::Good)
    }
}

//! `wellspring init`: a configuration file to start from.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::output::{Outcome, note};

/// Write a configuration file to start from
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file; it must not be there yet
    #[arg(default_value = "wellspring.toml", value_name = "FILE")]
    file: PathBuf,
}

/// Every line that sets something is commented out: the defaults hold until somebody decides otherwise.
pub(crate) const STARTER: &str = include_str!("starter.toml");

impl Init {
    /// Writes it; an existing file is left as it is and refused.
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let mut open = std::fs::OpenOptions::new();
        let mut file = open.write(true).create_new(true).open(&self.file).map_err(|error| {
            let reason = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it is there already; name another file",
                _ => "it can't be written",
            };
            anyhow::Error::new(error).context(format!("{}: {reason}", self.file.display()))
        })?;
        std::io::Write::write_all(&mut file, STARTER.as_bytes())
            .with_context(|| format!("{} can't be written", self.file.display()))?;
        note(format_args!(
            "{} written. Every setting in it is commented out; `wellspring config check {0}` says whether what you \
             changed can be used, `export WELLSPRING_CONFIG={0}` makes every command read it.",
            self.file.display()
        ));
        Ok(Outcome::Good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn what_is_commented_out_can_be_used_as_it_stands() {
        let settings: String = STARTER
            .lines()
            .filter_map(|line| line.strip_prefix("#= ").or_else(|| line.starts_with('[').then_some(line)))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(settings.lines().count() > 15, "{settings}");
        config::checked(settings.parse().unwrap()).unwrap();
        config::checked(STARTER.parse().unwrap()).unwrap();
    }
}

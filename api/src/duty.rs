//! What a serving process is there for: to answer, to work off jobs, or both.

use anyhow::bail;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// See the module. Where several processes share a database any number of each may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Duty {
    /// Answers requests and works off jobs
    #[default]
    Both,
    /// Answers requests; workers elsewhere do the jobs
    Serve,
    /// Works off jobs; keeps no indexes and answers only /health, /ready and /metrics
    Worker,
}

impl Duty {
    /// Whether people and programs ask this process.
    pub(crate) fn answers(self) -> bool {
        self != Self::Worker
    }

    /// Whether this process works off jobs.
    pub(crate) fn works(self) -> bool {
        self != Self::Serve
    }

    /// A data folder has one process at a time, so that one has to do everything.
    pub(crate) fn check(self, config: &Config) -> anyhow::Result<()> {
        if self != Self::Both && config.postgres.is_none() {
            bail!(
                "a process that only serves or only works needs others on the same catalog, and a data folder has one \
                 process at a time: name a PostgreSQL database (DATABASE_URL), or use the role `both`"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_database_has_room_for_several_processes() {
        let mut config = Config::default();
        Duty::Both.check(&config).unwrap();
        for duty in [Duty::Serve, Duty::Worker] {
            assert!(duty.check(&config).unwrap_err().to_string().contains("DATABASE_URL"));
        }
        config.postgres = Some(wellspring_store::catalog::postgres::PostgresConfig::new("postgres:///x"));
        Duty::Worker.check(&config).unwrap();
    }
}

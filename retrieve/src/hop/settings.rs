//! What can be set about following links.

use serde::{Deserialize, Serialize};
use wellspring_store::CollectionName;

use crate::config::within;
use crate::error::{ErrorKind, Result, RetrieveError};

/// Settings of the link stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinksConfig {
    /// Whether it runs.
    pub enabled: bool,
    /// Best passages whose mentions are followed, 1 to 20.
    pub sources: usize,
    /// What a mentioned document gets of the normalised score of the passage that mentions it, 0 to 1.
    pub discount: f64,
    /// What a document gets whose title, file name or symbol the query holds, 0 to 1.
    pub title_bonus: f64,
    /// A passage that leads to more documents than this is a list and followed nowhere; 1 to 200.
    pub max_links: usize,
    /// A name that more documents bear than this is nobody's in particular; 1 to 60.
    pub max_shared: usize,
    /// Collections in which nothing is followed.
    pub except: Vec<CollectionName>,
}

impl Default for LinksConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            sources: 5,
            discount: 0.3,
            title_bonus: 0.15,
            max_links: 30,
            max_shared: 3,
            except: Vec::new(),
        }
    }
}

impl LinksConfig {
    pub(crate) fn check(&self) -> Result<()> {
        within("links.sources", self.sources as u64, 1, 20)?;
        within("links.max_links", self.max_links as u64, 1, 200)?;
        within("links.max_shared", self.max_shared as u64, 1, 60)?;
        for (name, share) in [("discount", self.discount), ("title_bonus", self.title_bonus)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(RetrieveError::new(
                    ErrorKind::Invalid,
                    format!("`links.{name}` is {share}; it must be 0 to 1"),
                ));
            }
        }
        Ok(())
    }
}

//! What each tool takes. The doc comments are what a model reads.

use rmcp::schemars::JsonSchema;
use serde::Deserialize;
use wellspring_retrieve::Mode;

/// `search`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub(super) struct Search {
    /// What is looked for, in plain words.
    pub(super) query: String,
    /// The collection to search; `default` if absent.
    #[serde(default)]
    pub(super) collection: Option<String>,
    /// Most passages, 1 to 50; 10 if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    pub(super) k: Option<usize>,
    /// By words and meaning (`hybrid`), meaning alone or words alone; `hybrid` if absent.
    #[serde(default)]
    pub(super) mode: Option<By>,
    /// Only documents whose metadata passes, e.g. `lang = "de" and year >= 2024`.
    #[serde(default)]
    pub(super) filter: Option<String>,
}

/// How passages are found.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(crate = "rmcp::schemars")]
pub(super) enum By {
    Hybrid,
    Dense,
    Keyword,
}

impl From<By> for Mode {
    fn from(by: By) -> Self {
        match by {
            By::Hybrid => Self::Hybrid,
            By::Dense => Self::Dense,
            By::Keyword => Self::Keyword,
        }
    }
}

/// `fetch`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub(super) struct Fetch {
    /// The `id` of a passage that `search` found, or a document's id.
    pub(super) id: String,
    /// The collection; `default` if absent.
    #[serde(default)]
    pub(super) collection: Option<String>,
    /// The byte of the document's text to begin at; where the passage begins if absent, 0 for a document.
    #[serde(default)]
    pub(super) start: Option<usize>,
    /// Most bytes of text, 1 to 100000; 20000 if absent. `next` of the result says where to go on.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) max_bytes: Option<usize>,
}

/// `ask`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub(super) struct Ask {
    /// The question, in plain words.
    pub(super) question: String,
    /// The collection to answer from; `default` if absent.
    #[serde(default)]
    pub(super) collection: Option<String>,
    /// Passages to answer from, 1 to 50.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    pub(super) k: Option<usize>,
    /// Only documents whose metadata passes, e.g. `lang = "de" and year >= 2024`.
    #[serde(default)]
    pub(super) filter: Option<String>,
}

/// `list_collections`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(crate = "rmcp::schemars")]
pub(super) struct ListCollections {}

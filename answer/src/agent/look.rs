//! The tools that every agent has: `search`, and `fetch` to read on, both under the caller's scope and nothing else.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use wellspring_models::ToolSpec;
use wellspring_models::structured::Shape;
use wellspring_retrieve::{
    ChunkId, CollectionScope, Context, Degraded, ErrorKind as RetrieveKind, Passage, Retriever,
    SearchRequest, SearchResponse,
};

use super::state::{Outcome, State};
use crate::error::Result;
use crate::reply::NumberedPassage;

/// Finds passages.
pub const SEARCH: &str = "search";
/// Reads more around one.
pub const FETCH: &str = "fetch";

/// Passages of one search.
const MOST: usize = 10;
const USUAL: usize = 5;
/// Bytes read before and behind a passage.
const AROUND: usize = 2_500;
const MAX_QUERY: usize = 2_000;

/// As the model is told of them.
pub(super) fn specs() -> [ToolSpec; 2] {
    let search = json!({
        "type": "object",
        "properties": {
            "query": { "type": "string", "minLength": 1, "maxLength": MAX_QUERY, "description": "What to look for, in plain words." },
            "k": { "type": "integer", "minimum": 1, "maximum": MOST, "description": "Most passages." },
        },
        "required": ["query"],
        "additionalProperties": false,
    });
    let fetch = json!({
        "type": "object",
        "properties": { "passage": { "type": "integer", "minimum": 1, "description": "The number of a passage you found." } },
        "required": ["passage"],
        "additionalProperties": false,
    });
    [
        ToolSpec {
            name: SEARCH.to_owned(),
            description: "Finds passages of the documents.".to_owned(),
            parameters: search,
        },
        ToolSpec {
            name: FETCH.to_owned(),
            description: "Reads more of the document around a passage.".to_owned(),
            parameters: fetch,
        },
    ]
}

/// What is wrong with a call of one of them; `None` if nothing is.
pub(super) fn wrong(spec: &ToolSpec, arguments: &Value) -> Option<String> {
    match Shape::new(&spec.name, &spec.description, spec.parameters.clone()) {
        Ok(shape) => {
            let errors = shape.errors(arguments);
            (!errors.is_empty()).then(|| errors.join("; "))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// What was found so far, with its text.
#[derive(Default)]
pub(super) struct Found(pub(super) Vec<Passage>);

/// What a look came to.
pub(super) struct Looked {
    pub(super) outcome: Outcome,
    pub(super) numbers: Vec<usize>,
    /// A passage among them looks as if it were written to steer a model.
    pub(super) doubtful: bool,
    pub(super) told: String,
    /// What did not work in a search.
    pub(super) degraded: Vec<Degraded>,
}

impl Looked {
    /// Nothing, and why.
    fn failed(why: String) -> Self {
        let outcome = Outcome::Text { content: why.clone(), is_error: true };
        Self { outcome, numbers: Vec::new(), doubtful: false, told: why, degraded: Vec::new() }
    }
}

impl Found {
    /// Reads the passages of a state again, under the scope; what is gone loses its number.
    pub(super) async fn again(
        retriever: &Retriever,
        scope: &CollectionScope,
        state: &mut State,
    ) -> Result<Self> {
        let fetched = retriever.fetch(scope, &state.passages).await?;
        let mut left: HashMap<ChunkId, Passage> =
            fetched.into_iter().map(|passage| (passage.chunk_id.clone(), passage)).collect();
        let mut found = Vec::new();
        let mut numbers = BTreeMap::new();
        for (place, id) in state.passages.iter().enumerate() {
            if let Some(passage) = left.remove(id) {
                found.push(passage);
                numbers.insert(place + 1, found.len());
            }
        }
        state.renumber(&numbers);
        state.passages = found.iter().map(|passage| passage.chunk_id.clone()).collect();
        let mut found = Self(found);
        for n in state.wide.clone() {
            found.widen(retriever, scope, n).await?;
        }
        Ok(found)
    }

    /// Searches; at most `room` passages that were not found before are added.
    pub(super) async fn search(
        &mut self,
        retriever: &Retriever,
        scope: &CollectionScope,
        state: &State,
        arguments: &Value,
        (room, exclude): (usize, bool),
    ) -> Result<Looked> {
        let query = arguments["query"].as_str().unwrap_or_default();
        let asked = arguments["k"].as_u64().and_then(|k| usize::try_from(k).ok());
        let k = asked.unwrap_or(state.request.k.unwrap_or(USUAL)).clamp(1, MOST);
        let search = SearchRequest {
            k,
            mode: state.request.mode,
            filter: state.request.filter.clone(),
            account: state.request.account.clone(),
            ..SearchRequest::new(query)
        };
        let SearchResponse { hits, degraded, .. } = retriever.search(scope, search).await?;
        let (mut numbers, mut withheld, mut full, mut doubtful) = (Vec::new(), 0, false, false);
        for hit in hits {
            if let Some(place) = self.0.iter().position(|known| known.chunk_id == hit.chunk_id) {
                numbers.push(place + 1);
                continue;
            }
            if self.0.len() >= room {
                full = true;
                continue;
            }
            let looks_doubtful = NumberedPassage::new(0, hit.clone()).is_doubtful();
            if looks_doubtful && exclude {
                withheld += 1;
                continue;
            }
            doubtful |= looks_doubtful;
            self.0.push(hit);
            numbers.push(self.0.len());
        }
        let mut told = match numbers.len() {
            0 => "nothing was found".to_owned(),
            1 => "1 passage".to_owned(),
            count => format!("{count} passages"),
        };
        if withheld > 0 {
            told.push_str(&format!(", {withheld} withheld as suspicious"));
        }
        for part in &degraded {
            told.push_str(&format!(", without {}", part.leg));
        }
        let mut note = String::new();
        if numbers.is_empty() {
            note.push_str("Nothing was found. Try other words.");
        }
        if full {
            told.push_str(", no room for more");
            note.push_str(" No further passages can be added: answer from those you have.");
        }
        let outcome = Outcome::Passages { numbers: numbers.clone(), note };
        Ok(Looked { outcome, numbers, doubtful, told, degraded })
    }

    /// Reads more around a passage.
    pub(super) async fn fetch(
        &mut self,
        retriever: &Retriever,
        scope: &CollectionScope,
        arguments: &Value,
    ) -> Result<Looked> {
        let n = arguments["passage"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if n == 0 || n > self.0.len() {
            let content = format!("there is no passage [{n}]; search first");
            return Ok(Looked::failed(content));
        }
        if !self.widen(retriever, scope, n).await? {
            let content = format!("passage [{n}] was changed or deleted meanwhile");
            return Ok(Looked::failed(content));
        }
        let doubtful = NumberedPassage::new(0, self.0[n - 1].clone()).is_doubtful();
        let bytes = self.0[n - 1].reading().0.len();
        Ok(Looked {
            outcome: Outcome::Passages { numbers: vec![n], note: String::new() },
            numbers: vec![n],
            doubtful,
            told: format!("{bytes} bytes around [{n}]"),
            degraded: Vec::new(),
        })
    }

    /// Whether the passage is still there.
    async fn widen(&mut self, retriever: &Retriever, scope: &CollectionScope, n: usize) -> Result<bool> {
        let Some(passage) = n.checked_sub(1).and_then(|place| self.0.get_mut(place)) else {
            return Ok(false);
        };
        let start = passage.start.saturating_sub(AROUND);
        let end = passage.end + AROUND;
        let (id, version) = (&passage.document_id, passage.version);
        // Read in two, so that it is known where a text begins whose ends are cut at characters.
        let before = retriever.text_span(scope, id, version, start, passage.start).await;
        let rest = retriever.text_span(scope, id, version, passage.start, end).await;
        match (before, rest) {
            (Ok(before), Ok(rest)) => {
                let (start, end) = (passage.start - before.len(), passage.start + rest.len());
                passage.context = Some(Context { text: before + &rest, start, end });
                Ok(true)
            }
            (Err(error), _) | (_, Err(error)) if error.kind() == RetrieveKind::NotFound => Ok(false),
            (Err(error), _) | (_, Err(error)) => Err(error.into()),
        }
    }
}

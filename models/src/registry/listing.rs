//! Says which models there are and whether they are whole: for `models list` and `doctor`.

use serde::Serialize;

use super::{Purpose, Registry};
use crate::error::{ErrorKind, ModelError, Result};
use crate::fake;
use crate::local::{ModelFolder, ModelKind, Runtime};
use crate::rerank::LISTWISE_RERANKER;

/// What a listed model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedKind {
    /// Text to vector.
    Embedder,
    /// Query and passage to score.
    Reranker,
    /// Messages to text.
    Chat,
}

/// Where a listed model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedSource {
    /// From files in the model folder.
    Local,
    /// Behind a configured endpoint.
    Remote,
    /// Part of the program, without weights.
    Builtin,
}

/// One model that can be named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelListing {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: ListedKind,
    /// Where it runs.
    pub source: ListedSource,
    /// Precisions that can follow the name after a slash; empty unless local.
    pub precisions: Vec<String>,
    /// Components per vector, of an embedder.
    pub dimension: Option<usize>,
    /// Tokens it reads, where that is known.
    pub max_tokens: Option<usize>,
    /// SPDX expression, where it is known.
    pub license: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why it can't be used; unset: it can. Sizes are checked, not checksums.
    pub problem: Option<String>,
}

/// One thing `doctor` looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// How to mend it, if it is not.
    pub fix: Option<String>,
}

impl Finding {
    fn of(what: impl Into<String>, outcome: Result<String>, fix: &str) -> Self {
        let what = what.into();
        match outcome {
            Ok(detail) => Self { what, ok: true, detail, fix: None },
            Err(error) => Self { what, ok: false, detail: error.to_string(), fix: Some(fix.to_owned()) },
        }
    }
}

impl Registry {
    /// Every model that can be named: local ones, configured ones, built-in ones; by kind, then name. Reads the model
    /// folder, blocking for a moment.
    pub fn available(&self) -> Vec<ModelListing> {
        let mut found: Vec<ModelListing> = self.folders().iter().map(local_listing).collect();
        let remote = |name: &str, kind, dimension, max_tokens| ModelListing {
            name: name.to_owned(),
            kind,
            source: ListedSource::Remote,
            precisions: Vec::new(),
            dimension,
            max_tokens: Some(max_tokens),
            license: None,
            bytes: 0,
            problem: None,
        };
        let config = self.config();
        found.extend(
            config
                .embedders
                .iter()
                .map(|e| remote(&e.name, ListedKind::Embedder, Some(e.dimension), e.max_tokens)),
        );
        found.extend(
            config
                .rerankers
                .iter()
                .chain(&config.providers.rerankers())
                .map(|r| remote(&r.name, ListedKind::Reranker, None, r.max_tokens)),
        );
        found.extend(
            config.chats.iter().map(|chat| remote(&chat.name, ListedKind::Chat, None, chat.context_tokens)),
        );
        found.extend([
            builtin(fake::HASH_EMBEDDER, ListedKind::Embedder),
            builtin(fake::OVERLAP_RERANKER, ListedKind::Reranker),
            builtin(LISTWISE_RERANKER, ListedKind::Reranker),
            builtin(fake::OFFLINE_CHAT, ListedKind::Chat),
        ]);
        found.sort_by(|a, b| a.kind.cmp(&b.kind).then_with(|| a.name.cmp(&b.name)));
        found
    }

    /// Looks at all that local models need, checksums of the default model included, so it takes up to a second and
    /// blocks for it. Calls no endpoint.
    pub fn check(&self) -> Vec<Finding> {
        let setup = "run `make setup`";
        let library = self.library_path();
        let mut findings = vec![Finding::of(
            "ONNX Runtime library",
            Runtime::load(&library).map(|runtime| runtime.library().display().to_string()),
            setup,
        )];
        let (name, precision) = self.split_local(&self.config().default_embedder);
        if self.is_local(&self.config().default_embedder) {
            let whole = self.folder(name).and_then(|folder| {
                let precision = self.choose_precision(&folder, precision)?;
                for file in folder.needed(&precision)? {
                    folder.verify(file)?;
                }
                Ok(format!("{name}/{precision}, {} bytes", bytes(&folder)))
            });
            findings.push(Finding::of("default embedder", whole, setup));
        } else {
            let outcome =
                self.known(&self.config().default_embedder).map(|()| self.config().default_embedder.clone());
            findings.push(Finding::of(
                "default embedder",
                outcome,
                "set `models.default_embedder` to a known model",
            ));
        }
        if let Some(reranker) = &self.config().default_reranker {
            findings.push(Finding::of(
                "default reranker",
                self.known_reranker(reranker).map(|()| reranker.clone()),
                "set `models.default_reranker` to a known reranker, or leave it out",
            ));
        }
        for folder in self.folders().iter().filter(|folder| folder.manifest().name != name) {
            let again = format!("run `wellspring models pull {}` again", folder.manifest().name);
            let whole = sizes(folder).map(|()| format!("{} bytes", bytes(folder)));
            findings.push(Finding::of(format!("model {}", folder.manifest().name), whole, &again));
        }
        findings
    }
}

impl Registry {
    /// Whether there is such a reranker, without loading it.
    fn known_reranker(&self, name: &str) -> Result<()> {
        if name == LISTWISE_RERANKER {
            return self.route(Purpose::Rerank)?.map(|_| ()).ok_or_else(|| {
                ModelError::new(ErrorKind::NotFound, format!("{LISTWISE_RERANKER} needs a chat model"))
            });
        }
        let listed = self.available();
        let mut rerankers = listed.iter().filter(|model| model.kind == ListedKind::Reranker);
        let bare = self.split_local(name).0;
        match rerankers.find(|model| model.name == name || model.name == bare) {
            Some(ModelListing { problem: Some(problem), .. }) => {
                Err(ModelError::new(ErrorKind::Corrupt, problem.clone()))
            }
            Some(_) => Ok(()),
            None => Err(self.unknown(name)),
        }
    }
}

fn local_listing(folder: &ModelFolder) -> ModelListing {
    let manifest = folder.manifest();
    let embedder = manifest.kind == ModelKind::Embedder;
    ModelListing {
        name: manifest.name.clone(),
        kind: if embedder { ListedKind::Embedder } else { ListedKind::Reranker },
        source: ListedSource::Local,
        precisions: folder.precisions().into_iter().map(str::to_owned).collect(),
        dimension: embedder.then_some(manifest.dimension),
        max_tokens: Some(manifest.max_tokens),
        license: Some(manifest.license.clone()).filter(|license| !license.is_empty()),
        bytes: bytes(folder),
        problem: sizes(folder).err().map(|error| error.to_string()),
    }
}

fn builtin(name: &str, kind: ListedKind) -> ModelListing {
    ModelListing {
        name: name.to_owned(),
        kind,
        source: ListedSource::Builtin,
        precisions: Vec::new(),
        dimension: None,
        max_tokens: None,
        license: None,
        bytes: 0,
        problem: None,
    }
}

fn bytes(folder: &ModelFolder) -> u64 {
    folder.manifest().files.values().map(|file| file.bytes).sum()
}

fn sizes(folder: &ModelFolder) -> Result<()> {
    folder.manifest().files.keys().try_for_each(|file| folder.check_size(file))
}

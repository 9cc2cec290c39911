//! Keeps a collection as a folder is: reads what appears or changes, deletes what disappears, until it is stopped.
//!
//! Folders are walked again and again rather than observed through the kernel: that sees every change on network file
//! systems and in containers, too, loses none when many come at once, and needs no limit raised.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use serde_json::json;
use wellspring_ingest::source::{Entry, Found, walk};
use wellspring_store::{CollectionScope, DocumentId};

use crate::app::App;
use crate::output::Printer;

/// What a file looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    id: DocumentId,
    modified: Option<SystemTime>,
    bytes: u64,
}

/// Every file by its path.
type Snapshot = BTreeMap<PathBuf, Look>;

/// Files as they stand now, and whether everything could be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Walked {
    files: Snapshot,
    whole: bool,
}

/// What one look leads to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// To be read: they differ from what was read, and have not changed since the last look.
    changed: Vec<Found>,
    /// To be deleted.
    gone: Vec<DocumentId>,
}

/// Follows folders.
pub(super) struct Watch {
    app: App,
    collection: CollectionScope,
    roots: Vec<PathBuf>,
    printer: Printer,
    /// What was read, as it looked.
    read: Snapshot,
    /// What was there at the last look.
    last: Snapshot,
}

impl Watch {
    /// A watch over what has just been read whole: files that change from now on are read again. Taken before the reading
    /// began, so that a change in between is not missed.
    pub(super) async fn new(
        app: App,
        collection: CollectionScope,
        roots: Vec<PathBuf>,
        printer: Printer,
    ) -> anyhow::Result<Self> {
        let walked = look(roots.clone()).await?;
        let (read, last) = (walked.files.clone(), walked.files);
        Ok(Self { app, collection, roots, printer, read, last })
    }

    /// Looks every `interval` until `stop` resolves. A document that can't be read or deleted is reported, and looked at
    /// again when its file changes.
    pub(super) async fn run(
        mut self,
        interval: Duration,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = &mut stop => return Ok(()),
            }
            let now = look(self.roots.clone()).await?;
            let plan = plan(&self.read, &self.last, &now);
            self.last.clone_from(&now.files);
            tokio::select! {
                done = self.follow(plan, &now.files) => done?,
                () = &mut stop => return Ok(()),
            }
        }
    }

    async fn follow(&mut self, plan: Plan, now: &Snapshot) -> anyhow::Result<()> {
        for id in plan.gone {
            self.read.retain(|_, look| look.id != id);
            match self.app.ingestor.delete(&self.collection, &id).await {
                Ok(_) => {
                    self.printer.record(&json!({ "deleted": id }))?;
                    self.printer
                        .line(format_args!("\u{1b}[31m−\u{1b}[0m {id}  \u{1b}[2mdeleted\u{1b}[0m"))?;
                }
                // It could not be read when it was there.
                Err(error) if error.kind() == wellspring_ingest::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, document = %id, "it can't be deleted");
                }
            }
        }
        if plan.changed.is_empty() {
            return Ok(());
        }
        for found in &plan.changed {
            if let Some(look) = now.get(&found.path) {
                self.read.insert(found.path.clone(), look.clone());
            }
        }
        let entries = plan.changed.into_iter().map(Entry::File).collect();
        let mut reports = std::pin::pin!(self.app.ingestor.ingest_entries(self.collection.clone(), entries));
        while let Some(report) = reports.next().await {
            self.printer.record(&report)?;
            if let Some(line) = super::line(&report) {
                self.printer.line(line)?;
            }
        }
        match self.app.retriever.learn_if_stale(&self.collection).await {
            Ok(_) => {}
            Err(error) if error.kind() == wellspring_retrieve::ErrorKind::NotFound => {
                anyhow::bail!("the collection is gone: {error}")
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "nothing was learned from the documents"
                );
            }
        }
        Ok(())
    }
}

/// What to do about what stands there now. Where something could not be looked at, a folder that is not mounted above all,
/// nothing is deleted.
fn plan(read: &Snapshot, last: &Snapshot, now: &Walked) -> Plan {
    let changed = now
        .files
        .iter()
        .filter(|(path, look)| read.get(*path) != Some(look) && last.get(*path) == Some(look))
        .map(|(path, look)| Found { path: path.clone(), id: look.id.clone() })
        .collect();
    let is_there = |id: &DocumentId| now.files.values().any(|look| look.id == *id);
    let gone = read
        .iter()
        .filter(|(path, look)| now.whole && !now.files.contains_key(*path) && !is_there(&look.id))
        .map(|(_, look)| look.id.clone())
        .collect();
    Plan { changed, gone }
}

async fn look(roots: Vec<PathBuf>) -> anyhow::Result<Walked> {
    Ok(tokio::task::spawn_blocking(move || {
        let mut walked = Walked { files: Snapshot::new(), whole: true };
        for entry in walk(&roots) {
            match entry {
                Entry::File(found) => match fs_err::metadata(&found.path) {
                    Ok(metadata) => {
                        let look =
                            Look { id: found.id, modified: metadata.modified().ok(), bytes: metadata.len() };
                        walked.files.insert(found.path, look);
                    }
                    // It went away while we looked: the next look knows.
                    Err(_) => walked.whole = false,
                },
                Entry::Problem { reason, .. } => {
                    // A name that can't be an id hides no document that was read.
                    walked.whole &= matches!(reason, "invalid_id" | "duplicate_id");
                }
            }
        }
        walked
    })
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(id: &str, seconds: u64) -> Look {
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        Look { id: DocumentId::new(id).unwrap(), modified, bytes: 1 }
    }

    fn files(files: &[(&str, &str, u64)]) -> Snapshot {
        files.iter().map(|(path, id, at)| (PathBuf::from(path), look(id, *at))).collect()
    }

    fn planned(read: &Snapshot, last: &Snapshot, now: &Snapshot, whole: bool) -> (Vec<String>, Vec<String>) {
        let Plan { changed, gone } = plan(read, last, &Walked { files: now.clone(), whole });
        let changed = changed.into_iter().map(|found| found.id.to_string()).collect();
        (changed, gone.into_iter().map(|id| id.to_string()).collect())
    }

    #[test]
    fn a_file_is_read_once_it_rests_and_deleted_once_it_is_gone() {
        let before = files(&[("a", "a", 1), ("b", "b", 1)]);
        let after = files(&[("a", "a", 2), ("c", "c", 2)]);
        let none = (Vec::<String>::new(), Vec::<String>::new());
        assert_eq!(planned(&before, &before, &before, true), none);
        // Just changed: it may still be written to.
        assert_eq!(planned(&before, &before, &after, true), (vec![], vec!["b".to_owned()]));
        assert_eq!(
            planned(&before, &after, &after, true),
            (vec!["a".to_owned(), "c".to_owned()], vec!["b".to_owned()])
        );
        assert_eq!(planned(&after, &after, &after, true), none);
    }

    #[test]
    fn nothing_is_deleted_while_a_folder_can_t_be_seen() {
        let before = files(&[("a", "a", 1)]);
        assert_eq!(planned(&before, &before, &Snapshot::new(), false), (vec![], vec![]));
    }

    #[test]
    fn a_file_that_another_path_replaces_keeps_its_document() {
        let before = files(&[("x/a", "a", 1)]);
        let after = files(&[("y/a", "a", 1)]);
        assert_eq!(planned(&before, &after, &after, true), (vec!["a".to_owned()], vec![]));
    }
}

//! Opens Office Open XML packages: parts, relationships and document properties.

use std::collections::HashMap;

use super::archive::{Archive, resolve};
use super::xmltree::{ROOT, Tree};
use super::{Draft, Failure, Limits, Source};

/// A package whose parts are read by name.
pub(super) struct Package<'a> {
    archive: Archive<'a>,
    limits: &'a Limits,
}

/// Targets of a part's relationships by id: the kind (last step of its type) and the part name.
pub(super) type Relations = HashMap<String, (String, String)>;

impl<'a> Package<'a> {
    pub(super) fn open(source: &Source<'a>) -> Result<Self, Failure> {
        Ok(Self { archive: Archive::open(source.bytes, source.limits)?, limits: source.limits })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.archive.names()
    }

    /// The tree of a part, `None` when the package has no such part.
    pub(super) fn part(&mut self, name: &str) -> Result<Option<Tree>, Failure> {
        self.archive.member(name)?.map(|bytes| Tree::parse(&bytes, self.limits)).transpose()
    }

    /// The relationships of a part; none when it has none or they are damaged. External targets are left out.
    pub(super) fn relations(&mut self, part: &str) -> Result<Relations, Failure> {
        let (folder, file) = part.rsplit_once('/').unwrap_or(("", part));
        let name = if folder.is_empty() {
            format!("_rels/{file}.rels")
        } else {
            format!("{folder}/_rels/{file}.rels")
        };
        let Ok(Some(tree)) = self.part(&name) else { return Ok(Relations::new()) };
        let mut found = Relations::new();
        for relation in tree.all(ROOT, "Relationship") {
            if tree.attribute(relation, "TargetMode") == Some("External") {
                continue;
            }
            let get = |key| tree.attribute(relation, key).unwrap_or_default();
            let kind = get("Type").rsplit('/').next().unwrap_or_default().to_owned();
            found.insert(get("Id").to_owned(), (kind, resolve(part, get("Target"))));
        }
        Ok(found)
    }

    /// Title, author and dates of `docProps/core.xml`; damage there costs only these.
    pub(super) fn properties(&mut self, draft: &mut Draft) {
        let Ok(Some(tree)) = self.part("docProps/core.xml") else { return };
        let Some(&root) = tree.children(ROOT).iter().find(|&&c| tree.name(c) == "coreProperties") else {
            return;
        };
        for (element, key) in [
            ("creator", "author"),
            ("created", "created"),
            ("modified", "modified"),
            ("subject", "subject"),
            ("keywords", "keywords"),
            ("description", "description"),
            ("language", "language"),
        ] {
            if let Some(node) = tree.child(root, element) {
                draft.note(key, &tree.text(node));
            }
        }
        let title =
            tree.child(root, "title").map(|t| tree.text(t).trim().to_owned()).filter(|t| !t.is_empty());
        draft.title = title.filter(|t| !is_placeholder(t));
    }
}

/// Titles that programs put in themselves.
fn is_placeholder(title: &str) -> bool {
    let title = title.to_ascii_lowercase();
    matches!(
        title.as_str(),
        "powerpoint presentation"
            | "powerpoint-präsentation"
            | "word document"
            | "untitled"
            | "document1"
            | "title"
            | "presentation"
    ) || title.starts_with("microsoft word - ")
}

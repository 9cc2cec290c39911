//! Knows what a Word paragraph style means: title, heading of a level, list, code.

use std::collections::HashMap;

use super::super::xmltree::{Id, ROOT, Tree};

/// What a paragraph is by its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Role {
    #[default]
    Plain,
    Title,
    /// Level from 1.
    Heading(usize),
    Code,
}

/// Numbering that a style or paragraph asks for: list id and level.
pub(super) type ListRef = (String, usize);

/// Resolved styles by id.
#[derive(Debug, Default)]
pub(super) struct Styles {
    roles: HashMap<String, Role>,
    lists: HashMap<String, ListRef>,
}

impl Styles {
    /// Reads `word/styles.xml`; without it every paragraph is plain.
    pub(super) fn read(tree: Option<&Tree>) -> Self {
        let Some(tree) = tree else { return Self::default() };
        let mut styles = Self::default();
        let all: HashMap<String, Id> = tree
            .all(ROOT, "style")
            .into_iter()
            .filter_map(|s| Some((tree.attribute(s, "styleId")?.to_owned(), s)))
            .collect();
        for (id, &style) in &all {
            let mut at = Some(style);
            // Styles build on others; a circle of them ends after a few steps.
            for _ in 0..12 {
                let Some(current) = at else { break };
                let role = role_of(tree, current);
                if role != Role::Plain && !styles.roles.contains_key(id) {
                    styles.roles.insert(id.clone(), role);
                }
                if !styles.lists.contains_key(id)
                    && let Some(list) = tree.child(current, "pPr").and_then(|p| list_of(tree, p))
                {
                    styles.lists.insert(id.clone(), list);
                }
                at = tree
                    .child(current, "basedOn")
                    .and_then(|b| tree.attribute(b, "val"))
                    .and_then(|b| all.get(b))
                    .copied();
            }
        }
        styles
    }

    /// The role of a paragraph: its own outline level, else that of its style.
    pub(super) fn role(&self, tree: &Tree, properties: Option<Id>) -> Role {
        let Some(properties) = properties else { return Role::Plain };
        let own = outline(tree, properties);
        let style = tree.child(properties, "pStyle").and_then(|s| tree.attribute(s, "val"));
        let styled =
            style.map_or(Role::Plain, |id| self.roles.get(id).copied().unwrap_or_else(|| by_name(id)));
        match (styled, own) {
            (Role::Plain, Some(level)) => Role::Heading(level),
            (role, _) => role,
        }
    }

    /// The list a paragraph belongs to: its own, else that of its style. List id `0` takes it out of any.
    pub(super) fn list(&self, tree: &Tree, properties: Option<Id>) -> Option<ListRef> {
        let properties = properties?;
        let style = tree.child(properties, "pStyle").and_then(|s| tree.attribute(s, "val"));
        let styled = style.and_then(|s| self.lists.get(s));
        let found = match list_of(tree, properties) {
            Some((id, level)) if id.is_empty() => (styled?.0.clone(), level),
            Some(own) => own,
            None => styled.cloned()?,
        };
        (found.0 != "0" && !found.0.is_empty()).then_some(found)
    }
}

fn role_of(tree: &Tree, style: Id) -> Role {
    let name = tree.child(style, "name").and_then(|n| tree.attribute(n, "val")).unwrap_or_default();
    match by_name(name) {
        Role::Plain => {
            tree.child(style, "pPr").and_then(|p| outline(tree, p)).map_or(Role::Plain, Role::Heading)
        }
        role => role,
    }
}

fn by_name(name: &str) -> Role {
    let name = name.to_ascii_lowercase();
    let squeezed: String = name.chars().filter(|c| !c.is_whitespace() && *c != '-' && *c != '_').collect();
    match squeezed.as_str() {
        "title" => return Role::Title,
        "htmlpreformatted" | "plaintext" | "code" | "sourcecode" | "codeblock" => return Role::Code,
        _ => {}
    }
    match squeezed.strip_prefix("heading").and_then(|rest| rest.parse::<usize>().ok()) {
        Some(level @ 1..=9) => Role::Heading(level),
        _ => Role::Plain,
    }
}

/// `outlineLvl` counts from 0; 9 means body text.
fn outline(tree: &Tree, properties: Id) -> Option<usize> {
    let level =
        tree.child(properties, "outlineLvl").and_then(|o| tree.attribute(o, "val"))?.parse::<usize>().ok()?;
    (level < 9).then_some(level + 1)
}

fn list_of(tree: &Tree, properties: Id) -> Option<ListRef> {
    let numbering = tree.child(properties, "numPr")?;
    let value = |name| tree.child(numbering, name).and_then(|n| tree.attribute(n, "val"));
    let level = value("ilvl").and_then(|l| l.parse().ok()).unwrap_or(0);
    Some((value("numId").unwrap_or_default().to_owned(), level))
}

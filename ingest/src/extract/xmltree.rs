//! Parses XML into a compact tree within limits: local names, no DTD, no entities beyond the five of XML.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

use crate::charset::decode;

use super::{Failure, Limits};

/// Most elements and texts of one part; a part above it is a bomb or a document nobody reads.
const MAX_NODES: usize = 8_000_000;

/// Index of a node in its [`Tree`].
pub(super) type Id = u32;

/// The root of every tree, which holds the document element.
pub(super) const ROOT: Id = 0;

#[derive(Debug)]
enum Kind {
    Element(u32),
    Text(Box<str>),
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    attributes: Vec<(u32, Box<str>)>,
    children: Vec<Id>,
}

/// A parsed part. Names are without prefix, since the prefixes of Office and EPUB files are free.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    names: Vec<Box<str>>,
    index: HashMap<Box<str>, u32>,
}

impl Tree {
    /// Parses a part. Attributes whose local name is repeated (`r:id`, `id`) keep the prefix `r:`.
    ///
    /// # Errors
    /// `Corrupt` for XML that is not well-formed, `LimitExceeded` for nesting above `max_depth` or too many nodes.
    pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Failure> {
        let text = decode(bytes, declared_encoding(bytes).as_deref()).text;
        let mut tree = Self::default();
        tree.nodes.push(Node { kind: Kind::Text("".into()), attributes: Vec::new(), children: Vec::new() });
        let mut open: Vec<Id> = vec![ROOT];
        let mut run = String::new();
        let mut reader = Reader::from_str(&text);
        let config = reader.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        loop {
            let event = reader
                .read_event()
                .map_err(|e| Failure::corrupt(format!("XML that is not well-formed: {e}")))?;
            match event {
                Event::Text(t) => run.push_str(&t.xml10_content()),
                Event::CData(t) => run.push_str(&t.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(c)) => run.push(c),
                    _ => run.push_str(entity(&reference.xml10_content())),
                },
                Event::Start(start) => {
                    tree.flush(&mut run, &open)?;
                    let id = tree.element(&start, &open)?;
                    open.push(id);
                    if open.len() > limits.max_depth {
                        return Err(Failure::limit(format!(
                            "XML is nested deeper than {} elements (max_depth)",
                            limits.max_depth
                        )));
                    }
                }
                Event::Empty(start) => {
                    tree.flush(&mut run, &open)?;
                    tree.element(&start, &open)?;
                }
                Event::End(_) => {
                    tree.flush(&mut run, &open)?;
                    if open.len() > 1 {
                        open.pop();
                    }
                }
                Event::DocType(declared) if declared.xml10_content().contains("<!ENTITY") => {
                    return Err(Failure::corrupt("XML that declares entities is refused"));
                }
                Event::Eof => break,
                _ => {}
            }
        }
        tree.flush(&mut run, &open)?;
        if tree.nodes.len() < 2 {
            return Err(Failure::corrupt("XML without an element"));
        }
        Ok(tree)
    }

    fn name_id(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.index.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.names.push(name.into());
        self.index.insert(name.into(), id);
        id
    }

    fn add(&mut self, node: Node, open: &[Id]) -> Result<Id, Failure> {
        if self.nodes.len() >= MAX_NODES {
            return Err(Failure::limit(format!("XML of more than {MAX_NODES} nodes")));
        }
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        let parent = open.last().copied().unwrap_or(ROOT);
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.children.push(id);
        }
        Ok(id)
    }

    fn element(&mut self, start: &BytesStart<'_>, open: &[Id]) -> Result<Id, Failure> {
        let name = self.name_id(local(start.name().as_ref()));
        let mut attributes = Vec::new();
        for attribute in start.attributes().with_checks(false).flatten().take(256) {
            let key = attribute.key.as_ref();
            if key.starts_with("xmlns") {
                continue;
            }
            let key = if key.starts_with("r:") { self.name_id(key) } else { self.name_id(local(key)) };
            let value =
                unescape(&attribute.value).map_or_else(|_| attribute.value.to_string(), |v| v.into_owned());
            attributes.push((key, value.into_boxed_str()));
        }
        self.add(Node { kind: Kind::Element(name), attributes, children: Vec::new() }, open)
    }

    fn flush(&mut self, run: &mut String, open: &[Id]) -> Result<(), Failure> {
        if run.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(run).into_boxed_str();
        self.add(Node { kind: Kind::Text(text), attributes: Vec::new(), children: Vec::new() }, open)?;
        Ok(())
    }

    /// Local name of an element, empty for text.
    pub(super) fn name(&self, id: Id) -> &str {
        match self.nodes.get(id as usize).map(|n| &n.kind) {
            Some(Kind::Element(name)) => self.names.get(*name as usize).map_or("", |n| n),
            _ => "",
        }
    }

    /// The characters of a text node.
    pub(super) fn own_text(&self, id: Id) -> Option<&str> {
        match self.nodes.get(id as usize).map(|n| &n.kind) {
            Some(Kind::Text(text)) if id != ROOT => Some(text),
            _ => None,
        }
    }

    pub(super) fn children(&self, id: Id) -> &[Id] {
        self.nodes.get(id as usize).map_or(&[], |n| &n.children)
    }

    pub(super) fn attribute(&self, id: Id, name: &str) -> Option<&str> {
        let key = *self.index.get(name)?;
        self.nodes.get(id as usize)?.attributes.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_ref())
    }

    /// The first child element of a name.
    pub(super) fn child(&self, id: Id, name: &str) -> Option<Id> {
        self.children(id).iter().copied().find(|&c| self.name(c) == name)
    }

    /// The element reached by a path of child names.
    pub(super) fn path(&self, id: Id, names: &[&str]) -> Option<Id> {
        names.iter().try_fold(id, |at, name| self.child(at, name))
    }

    /// All elements of a name below a node, in document order.
    pub(super) fn all(&self, id: Id, name: &str) -> Vec<Id> {
        let mut found = Vec::new();
        let mut stack: Vec<Id> = self.children(id).iter().rev().copied().collect();
        while let Some(at) = stack.pop() {
            if self.name(at) == name {
                found.push(at);
            }
            stack.extend(self.children(at).iter().rev());
        }
        found
    }

    /// All text below a node, as it stands.
    pub(super) fn text(&self, id: Id) -> String {
        let mut out = String::new();
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            if let Some(text) = self.own_text(at) {
                out.push_str(text);
            }
            stack.extend(self.children(at).iter().rev());
        }
        out
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The five entities of XML and the most common ones of XHTML; all others are dropped.
fn entity(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        "nbsp" | "ensp" | "emsp" | "thinsp" => " ",
        "ndash" => "–",
        "mdash" => "—",
        "hellip" => "…",
        "lsquo" => "‘",
        "rsquo" => "’",
        "ldquo" => "“",
        "rdquo" => "”",
        _ => "",
    }
}

/// The charset of the XML declaration.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).into_owned();
    let rest = head.split_once("encoding=")?.1;
    let quote = rest.chars().next()?;
    rest.get(1..)?.split(quote).next().map(str::to_owned)
}

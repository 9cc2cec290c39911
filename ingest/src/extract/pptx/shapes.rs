//! Turns the shapes of a slide into blocks: title, paragraphs, bullets, tables; charts and diagrams by reference.

use super::super::math;
use super::super::table::Table;
use super::super::xmltree::{Id, ROOT, Tree};

/// A finished piece of a slide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) text: String,
    pub(super) item: bool,
    pub(super) title: bool,
}

/// The walk over a slide's shape tree.
pub(super) struct Shapes<'a> {
    tree: &'a Tree,
    pub(super) blocks: Vec<Block>,
    /// Relationship ids of charts and of diagram data.
    pub(super) charts: Vec<String>,
    pub(super) diagrams: Vec<String>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, blocks: Vec::new(), charts: Vec::new(), diagrams: Vec::new() }
    }

    /// Collects all shapes below a node, groups included. The depth is that of the XML, which is limited.
    pub(super) fn walk(&mut self, node: Id) {
        for &child in self.tree.children(node) {
            match self.tree.name(child) {
                "sp" => self.shape(child),
                "tbl" => self.table(child),
                "chart" => self.charts.extend(self.tree.attribute(child, "r:id").map(str::to_owned)),
                "relIds" => self.diagrams.extend(self.tree.attribute(child, "r:dm").map(str::to_owned)),
                "AlternateContent" => {
                    if let Some(choice) =
                        self.tree.child(child, "Choice").or_else(|| self.tree.child(child, "Fallback"))
                    {
                        self.walk(choice);
                    }
                }
                _ => self.walk(child),
            }
        }
    }

    fn shape(&mut self, node: Id) {
        let kind = placeholder(self.tree, node);
        // Numbers, dates and footers repeat on every slide and say nothing about it.
        if matches!(kind, Some("sldNum" | "dt" | "ftr" | "hdr")) {
            return;
        }
        let Some(body) = self.tree.child(node, "txBody") else { return };
        if matches!(kind, Some("title" | "ctrTitle")) {
            let lines: Vec<String> = paragraphs(self.tree, body)
                .into_iter()
                .map(|(text, ..)| text.replace('\n', " "))
                .filter(|t| !t.is_empty())
                .collect();
            if !lines.is_empty() {
                self.blocks.push(Block { text: format!("# {}", lines.join(" ")), item: false, title: true });
            }
            return;
        }
        let listed = matches!(kind, Some("body" | "obj"));
        let mut number = 0;
        for (text, level, bullet) in paragraphs(self.tree, body) {
            if text.is_empty() {
                continue;
            }
            let item = match bullet {
                Bullet::None => false,
                Bullet::Sign | Bullet::Number => true,
                Bullet::Inherited => listed && !text.contains('\n'),
            };
            number = if bullet == Bullet::Number { number + 1 } else { 0 };
            let indent = "  ".repeat(level.min(8));
            let text = match (item, bullet) {
                (true, Bullet::Number) => format!("{indent}{number}. {}", text.replace('\n', " ")),
                (true, _) => format!("{indent}- {}", text.replace('\n', " ")),
                _ => text,
            };
            self.blocks.push(Block { text, item, title: false });
        }
    }

    fn table(&mut self, node: Id) {
        let mut table = Table::default();
        let mut above: Vec<String> = Vec::new();
        for &row in self.tree.children(node).iter().filter(|&&r| self.tree.name(r) == "tr") {
            let mut cells: Vec<(String, usize)> = Vec::new();
            for &cell in self.tree.children(row).iter().filter(|&&c| self.tree.name(c) == "tc") {
                let column = cells.iter().map(|c| c.1).sum::<usize>();
                if self.tree.attribute(cell, "hMerge").is_some_and(|m| m != "0") {
                    continue;
                }
                let span = self
                    .tree
                    .attribute(cell, "gridSpan")
                    .and_then(|s| s.parse().ok())
                    .unwrap_or(1_usize)
                    .clamp(1, 64);
                let text = if self.tree.attribute(cell, "vMerge").is_some_and(|m| m != "0") {
                    above.get(column).cloned().unwrap_or_default()
                } else {
                    let body = self.tree.child(cell, "txBody");
                    body.map(|b| {
                        paragraphs(self.tree, b).into_iter().map(|(t, ..)| t).collect::<Vec<_>>().join(" ")
                    })
                    .unwrap_or_default()
                };
                cells.push((text, span));
            }
            above = cells.iter().flat_map(|(t, span)| std::iter::repeat_n(t.clone(), *span)).collect();
            table.push_spanned(cells);
        }
        self.blocks.push(Block { text: table.markdown(), item: false, title: false });
    }
}

/// How a paragraph is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bullet {
    None,
    Sign,
    Number,
    /// Decided by the layout, which is not read: body placeholders have bullets.
    Inherited,
}

/// Paragraphs of a text body with their level and bullet.
fn paragraphs(tree: &Tree, body: Id) -> Vec<(String, usize, Bullet)> {
    let all = tree.children(body).iter().copied().filter(|&p| tree.name(p) == "p");
    let read = all.map(|paragraph| {
        let properties = tree.child(paragraph, "pPr");
        let level =
            properties.and_then(|p| tree.attribute(p, "lvl")).and_then(|l| l.parse().ok()).unwrap_or(0);
        let has = |name| properties.is_some_and(|p| tree.child(p, name).is_some());
        let bullet = match () {
            () if has("buNone") => Bullet::None,
            () if has("buAutoNum") => Bullet::Number,
            () if has("buChar") || has("buBlip") => Bullet::Sign,
            () => Bullet::Inherited,
        };
        (paragraph_text(tree, paragraph), level, bullet)
    });
    read.collect()
}

fn paragraph_text(tree: &Tree, paragraph: Id) -> String {
    let mut out = String::new();
    for &child in tree.children(paragraph) {
        match tree.name(child) {
            "r" | "fld" => out.push_str(&tree.child(child, "t").map(|t| tree.text(t)).unwrap_or_default()),
            "br" => out.push('\n'),
            "AlternateContent" | "m" | "oMath" | "oMathPara" => {
                let choice = tree.child(child, "Choice").unwrap_or(child);
                out.push_str(&format!("${}$", math::linear(tree, choice)));
            }
            _ => {}
        }
    }
    let lines = out
        .split(['\n', '\u{b}'])
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

/// The placeholder type of a shape; one without a type holds an object or body text.
fn placeholder(tree: &Tree, shape: Id) -> Option<&str> {
    let properties = tree.children(shape).iter().copied().find(|&c| tree.name(c) == "nvSpPr")?;
    let found = tree.path(properties, &["nvPr", "ph"])?;
    Some(tree.attribute(found, "type").unwrap_or("obj"))
}

/// The texts of a diagram's points, as bullets.
pub(super) fn points(data: &Tree) -> Vec<Block> {
    let texts = data.all(ROOT, "pt").into_iter().filter_map(|p| {
        let body = data.child(p, "t")?;
        let text = paragraphs(data, body).into_iter().map(|(t, ..)| t).collect::<Vec<_>>().join(" ");
        let text = text.replace('\n', " ");
        (!text.trim().is_empty()).then(|| Block { text: format!("- {text}"), item: true, title: false })
    });
    texts.collect()
}

/// What the speaker notes of a slide say, on one line per paragraph.
pub(super) fn notes(tree: &Tree) -> String {
    let mut said = Vec::new();
    for shape in tree.all(ROOT, "sp") {
        if placeholder(tree, shape) == Some("body")
            && let Some(body) = tree.child(shape, "txBody")
        {
            said.extend(paragraphs(tree, body).into_iter().map(|(t, ..)| t).filter(|t| !t.is_empty()));
        }
    }
    said.join("\n")
}

//! Writes an HTML tree as Markdown without recursion: headings, nested lists, tables, code, quotes; text of links only.

use dom_query::NodeRef;

use super::blocks::Blocks;
use super::tables::{OpenTable, is_layout};
use super::visible::{is_hidden, is_skipped};

/// One step of the walk over the tree.
enum Step<'a> {
    Enter(NodeRef<'a>),
    Leave(&'static str),
}

/// Renders everything visible below (and including) `root`.
///
/// Emphasis marks and link targets are left out: they are noise to a reader of passages and to the models that embed
/// them. Tables that only lay out a page are read as blocks, tables within a cell as its text.
pub(super) fn markdown(root: NodeRef<'_>) -> String {
    let mut writer = Writer::default();
    let mut steps = vec![Step::Enter(root)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(node) => writer.enter(node, &mut steps),
            Step::Leave(tag) => writer.leave(tag),
        }
    }
    writer.blocks.finish()
}

#[derive(Default)]
struct Writer {
    blocks: Blocks,
    tables: Vec<OpenTable>,
    /// Depth of `pre` elements, and the language of the outermost.
    pre: usize,
    fence: String,
    /// Level of the heading that is open, 0 if none.
    heading: usize,
}

impl Writer {
    fn enter<'a>(&mut self, node: NodeRef<'a>, steps: &mut Vec<Step<'a>>) {
        if node.is_text() {
            self.text(&node.text());
            return;
        }
        if !node.is_element() {
            push_children(node, steps);
            return;
        }
        let Some(name) = node.node_name() else { return };
        let name: &str = &name;
        if is_skipped(name) || is_hidden(&node) {
            return;
        }
        match name {
            "br" => self.line_break(),
            "hr" => self.blocks.paragraph(),
            "img" => {}
            "pre" | "listing" | "xmp" => self.open_pre(node, steps),
            "code" | "kbd" | "samp" | "tt" if self.pre == 0 && self.heading == 0 => {
                self.inline("`");
                steps.push(Step::Leave("code"));
                push_children(node, steps);
            }
            "table" if self.tables.is_empty() && !is_layout(&node) => {
                self.blocks.paragraph();
                self.tables.push(OpenTable::default());
                steps.push(Step::Leave("table"));
                push_children(node, steps);
            }
            _ if !self.tables.is_empty() => self.enter_in_table(name, node, steps),
            _ => self.enter_block(name, node, steps),
        }
    }

    fn enter_block<'a>(&mut self, name: &str, node: NodeRef<'a>, steps: &mut Vec<Step<'a>>) {
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.blocks.paragraph();
                self.heading = usize::from(name.as_bytes().get(1).map_or(1, |d| d - b'0'));
                steps.push(Step::Leave("h"));
            }
            "ul" | "menu" | "dir" => {
                self.blocks.open_list(None);
                steps.push(Step::Leave("ul"));
            }
            "ol" => {
                let start = node.attr("start").and_then(|s| s.trim().parse().ok()).unwrap_or(1);
                self.blocks.open_list(Some(start));
                steps.push(Step::Leave("ul"));
            }
            "li" => {
                self.blocks.open_item();
                steps.push(Step::Leave("li"));
            }
            "blockquote" => {
                self.blocks.open_quote();
                steps.push(Step::Leave("blockquote"));
            }
            "sup" | "sub" => {}
            _ if is_block(name) => {
                self.blocks.paragraph();
                steps.push(Step::Leave("p"));
            }
            _ => {}
        }
        push_children(node, steps);
    }

    fn enter_in_table<'a>(&mut self, name: &str, node: NodeRef<'a>, steps: &mut Vec<Step<'a>>) {
        let Some(table) = self.tables.last_mut() else { return };
        let nested = table.in_cell();
        match name {
            "tr" if !nested => table.open_row(),
            "td" | "th" if !nested => {
                table.open_cell(&node);
                steps.push(Step::Leave("td"));
            }
            "caption" if !nested => {
                table.open_caption();
                steps.push(Step::Leave("caption"));
            }
            "td" | "th" | "li" | "tr" => self.inline(" "),
            _ if is_block(name) => {
                self.inline(" ");
                steps.push(Step::Leave("space"));
            }
            _ => {}
        }
        push_children(node, steps);
    }

    fn leave(&mut self, tag: &'static str) {
        match tag {
            "h" => {
                let title = self.blocks.take_inline();
                if !title.is_empty() {
                    self.blocks.heading(self.heading, &title);
                }
                self.heading = 0;
            }
            "ul" => self.blocks.close_list(),
            "li" => self.blocks.close_item(),
            "blockquote" => self.blocks.close_quote(),
            "code" => self.inline("`"),
            "space" => self.inline(" "),
            "pre" => self.close_pre(),
            "td" => {
                if let Some(table) = self.tables.last_mut() {
                    table.close_cell();
                }
            }
            "caption" => self.close_caption(),
            "table" => self.close_table(),
            _ => self.blocks.paragraph(),
        }
    }

    fn text(&mut self, text: &str) {
        if self.pre > 0 && self.tables.is_empty() {
            self.blocks.verbatim(text);
        } else {
            self.inline(text);
        }
    }

    fn inline(&mut self, text: &str) {
        match self.tables.last_mut() {
            Some(table) => table.push(text),
            None => self.blocks.inline(text),
        }
    }

    fn line_break(&mut self) {
        if self.pre > 0 {
            self.text("\n");
        } else if self.heading > 0 || !self.tables.is_empty() {
            self.inline(" ");
        } else {
            self.blocks.line_break();
        }
    }

    fn open_pre<'a>(&mut self, node: NodeRef<'a>, steps: &mut Vec<Step<'a>>) {
        if self.tables.is_empty() {
            if self.pre == 0 {
                self.blocks.paragraph();
                self.fence = code_language(&node);
            }
            self.pre += 1;
            steps.push(Step::Leave("pre"));
        }
        push_children(node, steps);
    }

    fn close_pre(&mut self) {
        self.pre = self.pre.saturating_sub(1);
        if self.pre == 0 {
            let fence = std::mem::take(&mut self.fence);
            self.blocks.code(&fence);
        }
    }

    fn close_caption(&mut self) {
        let caption = self.tables.last_mut().map(OpenTable::take_caption).unwrap_or_default();
        self.blocks.inline(caption.trim());
        self.blocks.paragraph();
    }

    fn close_table(&mut self) {
        if let Some(table) = self.tables.pop() {
            self.blocks.block(&table.markdown());
        }
    }
}

fn push_children<'a>(node: NodeRef<'a>, steps: &mut Vec<Step<'a>>) {
    let mut child = node.last_child();
    while let Some(current) = child {
        child = current.prev_sibling();
        steps.push(Step::Enter(current));
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "aside"
            | "nav"
            | "address"
            | "figure"
            | "figcaption"
            | "center"
            | "dl"
            | "dt"
            | "dd"
            | "fieldset"
            | "legend"
            | "details"
            | "summary"
            | "body"
            | "html"
            | "table"
            | "tbody"
            | "thead"
            | "tfoot"
            | "tr"
            | "td"
            | "th"
            | "caption"
            | "form"
            | "hgroup"
            | "ul"
            | "ol"
            | "li"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "blockquote"
            | "pre"
            | "option"
            | "title"
            | "main-content"
    )
}

/// The language a highlighter was told: `language-rust`, `lang-sh`, `highlight-source-js`, `brush: sql`.
fn code_language(pre: &NodeRef<'_>) -> String {
    let near = pre.parent().into_iter().chain(std::iter::once(*pre)).chain(pre.first_element_child());
    for node in near {
        let class = node.class().unwrap_or_default();
        for word in class.split_whitespace() {
            let found = ["language-", "lang-", "highlight-source-", "sourceCode-"]
                .iter()
                .find_map(|p| word.strip_prefix(p));
            if let Some(language) = found.filter(|l| {
                !l.is_empty()
                    && l.len() <= 20
                    && l.chars().all(|c| c.is_ascii_alphanumeric() || "+#-".contains(c))
            }) {
                return language.to_ascii_lowercase();
            }
        }
    }
    String::new()
}

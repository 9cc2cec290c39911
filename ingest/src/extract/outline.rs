//! Finds the named parts of source code and configuration: what its chunks are cut along and called.
//!
//! Programming languages are read with tree-sitter's grammars, which are native code: like all extraction this belongs in
//! the child process where the bytes are not trusted.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use tree_sitter::{Node, Parser};

use crate::detect::{Format, Language};

mod grammar;
mod tables;

use grammar::Grammar;

/// A named part of a document: a module, class, function, or a table of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// First byte of the stored text: the beginning of a line, comments and attributes right above included.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What it is called in the source.
    pub name: String,
}

/// Text beyond this is not parsed, bytes: no one writes such files, and a syntax tree takes ten times the room.
const LONGEST: usize = 4 << 20;
/// Parts of one document.
const MOST: usize = 20_000;
/// Levels of the syntax tree that are looked at.
const DEEPEST: usize = 500;
/// Longest name, characters.
const LONGEST_NAME: usize = 80;
/// One part in so many of the text that may fail to parse: beyond, the grammar is not the file's.
const WRONG: usize = 4;

/// The parts, ascending by start, outer ones first; each lies in another one or beside it. Empty where the format has none,
/// or where much of the text does not parse.
pub(super) fn of(text: &str, format: Format, name: Option<&str>) -> Vec<Item> {
    let Format::Code(language) = format else { return Vec::new() };
    if text.len() > LONGEST {
        return Vec::new();
    }
    match language {
        Language::Toml | Language::Ini => tables::bracketed(text),
        Language::Yaml => tables::keyed(text),
        language => {
            Grammar::of(language, name).and_then(|grammar| parsed(text, &grammar)).unwrap_or_default()
        }
    }
}

fn parsed(text: &str, grammar: &Grammar) -> Option<Vec<Item>> {
    let mut parser = Parser::new();
    parser.set_language(&grammar.language()).ok()?;
    let tree = parser.parse(text, None)?;
    let mut walk = Walk { text, grammar, items: Vec::new(), wrong: 0 };
    walk.run(tree.root_node());
    let usable = walk.wrong * WRONG <= text.len();
    usable.then_some(walk.items)
}

struct Walk<'a> {
    text: &'a str,
    grammar: &'a Grammar,
    items: Vec<Item>,
    /// Bytes in nodes that the grammar could not read.
    wrong: usize,
}

/// What the nodes of one level of the tree share.
#[derive(Default)]
struct Level {
    /// Comments and attributes that stand right above the next node.
    lead: Option<Range<usize>>,
    /// A node that only wraps a part (`export …`, a decorator) gives its own beginning to it.
    wrapped: Option<Range<usize>>,
}

impl Walk<'_> {
    /// Visits every node in order, without recursion: code nests as deep as it likes.
    fn run(&mut self, root: Node<'_>) {
        let mut cursor = root.walk();
        let mut levels = vec![Level::default()];
        loop {
            let inner = self.visit(cursor.node(), levels.last_mut());
            if let Some(level) = inner.filter(|_| levels.len() < DEEPEST && self.items.len() < MOST)
                && cursor.goto_first_child()
            {
                levels.push(level);
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return;
                }
                levels.pop();
            }
        }
    }

    /// What the node's children begin with; `None` where they need not be visited.
    fn visit(&mut self, node: Node<'_>, level: Option<&mut Level>) -> Option<Level> {
        let level = level?;
        let own = node.byte_range();
        if node.is_error() {
            self.wrong += own.len();
        }
        if node.is_extra() || self.grammar.is_attribute(node.kind()) {
            let begins = blank_before(self.text, own.start);
            let follows = level.lead.as_ref().is_some_and(|lead| adjoin(self.text, lead.end, own.start));
            level.lead = match level.lead.take().filter(|_| follows) {
                Some(lead) => Some(lead.start..own.end),
                None => begins.then_some(own),
            };
            return None;
        }
        let lead = level.lead.take().filter(|lead| adjoin(self.text, lead.end, own.start));
        let from = lead.map_or(own.start, |lead| lead.start);
        let whole = level.wrapped.clone().unwrap_or(from..own.end);
        if self.grammar.is_wrapper(node.kind()) {
            return Some(Level { lead: None, wrapped: Some(whole) });
        }
        if let Some(name) = self.grammar.name(node, self.text) {
            self.push(whole, &name);
        }
        Some(Level::default())
    }

    fn push(&mut self, span: Range<usize>, name: &str) {
        let line = self.text.get(..span.start).map_or(0, |before| before.rfind('\n').map_or(0, |at| at + 1));
        let start = if blank_before(self.text, span.start) { line } else { span.start };
        // Parts that begin on one line are one: a declaration of several names.
        if self.items.last().is_some_and(|last| last.start == start) {
            return;
        }
        let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let name: String = name.chars().take(LONGEST_NAME).collect();
        if !name.is_empty() {
            self.items.push(Item { start, end: span.end, name });
        }
    }
}

/// Whether nothing but white space stands before a position in its line.
fn blank_before(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    before.get(line..).is_none_or(|lead| lead.trim().is_empty())
}

/// Whether there is only white space between two positions, and no empty line.
fn adjoin(text: &str, end: usize, start: usize) -> bool {
    let between = text.get(end..start).unwrap_or("x");
    between.trim().is_empty() && between.matches('\n').count() < 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, name: &str) -> Vec<String> {
        let language = Language::by_extension(name.rsplit('.').next().unwrap()).unwrap();
        let items = of(text, Format::Code(language), Some(name));
        for pair in items.windows(2) {
            assert!(pair[0].start < pair[1].start, "{pair:?}");
            assert!(pair[1].start >= pair[0].end || pair[1].end <= pair[0].end, "{pair:?}");
        }
        let first =
            |item: &Item| text[item.start..item.end].lines().next().unwrap_or_default().trim().to_owned();
        items.iter().map(|item| format!("{} = {}", item.name, first(item))).collect()
    }

    #[test]
    fn rust_items_keep_their_comments_and_attributes() {
        let text = "//! Crate.\n\nuse a::b;\n\n/// A store.\n#[derive(Debug)]\npub struct Store {\n    x: u8,\n}\n\n// Apart.\n\nimpl<T> Display for Store<T> {\n    /// Opens.\n    pub fn open(&self) {\n        fn inner() {}\n    }\n}\n\nmod tests { fn f() {} }\n";
        assert_eq!(
            parts(text, "a.rs"),
            [
                "Store = /// A store.",
                "Display for Store<T> = impl<T> Display for Store<T> {",
                "open = /// Opens.",
                "inner = fn inner() {}",
                "tests = mod tests { fn f() {} }",
                "f = fn f() {}",
            ]
        );
    }

    #[test]
    fn each_language_names_its_parts() {
        for (name, text, expected) in [
            (
                "a.py",
                "# Says hello.\n@cached\ndef hello():\n    '''Doc.'''\n    return 1\n\nclass A(B):\n    @property\n    def x(self): pass\n",
                vec!["hello = # Says hello.", "A = class A(B):", "x = @property"],
            ),
            (
                "a.js",
                "/** Adds. */\nexport function add(a, b) { return a + b }\nexport default class K { m() {} }\nconst f = async () => 1;\nconst n = 3;\n",
                vec![
                    "add = /** Adds. */",
                    "K = export default class K { m() {} }",
                    "m = m() {}",
                    "f = const f = async () => 1;",
                ],
            ),
            (
                "a.ts",
                "export interface I { x: number }\nexport abstract class C<T> {\n  private m(): void {}\n}\nenum E { A }\ntype T = string;\nnamespace N { function g() {} }\n",
                vec![
                    "I = export interface I { x: number }",
                    "C = export abstract class C<T> {",
                    "m = private m(): void {}",
                    "E = enum E { A }",
                    "T = type T = string;",
                    "N = namespace N { function g() {} }",
                    "g = function g() {}",
                ],
            ),
            (
                "a.tsx",
                "const View = () => <div>hi</div>;\n",
                vec!["View = const View = () => <div>hi</div>;"],
            ),
            (
                "A.java",
                "package p;\n/** Doc. */\n@Deprecated\npublic class A {\n  A() {}\n  /* m */\n  void m() {}\n  enum E { X }\n}\n",
                vec!["A = /** Doc. */", "A = A() {}", "m = /* m */", "E = enum E { X }"],
            ),
            (
                "a.go",
                "package p\n\n// Open opens.\nfunc Open() {}\n\ntype T struct {\n\tx int\n}\n\nfunc (t *T) Close() error { return nil }\n",
                vec![
                    "Open = // Open opens.",
                    "T = type T struct {",
                    "T.Close = func (t *T) Close() error { return nil }",
                ],
            ),
            (
                "a.c",
                "/* Adds. */\nstatic int *add(int a, int b) {\n  return 0;\n}\nstruct point { int x; };\nint x = 3;\n",
                vec!["add = /* Adds. */", "point = struct point { int x; }"],
            ),
            (
                "a.cpp",
                "namespace n {\ntemplate <class T>\nclass V {\n  void push(T t) { }\n};\n}\nint n::V<int>::size() const { return 0; }\n",
                vec![
                    "n = namespace n {",
                    "V = template <class T>",
                    "push = void push(T t) { }",
                    "n::V<int>::size = int n::V<int>::size() const { return 0; }",
                ],
            ),
            (
                "A.cs",
                "using X;\nnamespace N {\n  /// <summary>Doc.</summary>\n  [Serializable]\n  public class A : B {\n    public A() {}\n    // m\n    public async Task<int> M(int x) => x;\n    int P { get; set; }\n  }\n  public record R(int X);\n  interface I { void F(); }\n}\n",
                vec![
                    "N = namespace N {",
                    "A = /// <summary>Doc.</summary>",
                    "A = public A() {}",
                    "M = // m",
                    "R = public record R(int X);",
                    "I = interface I { void F(); }",
                    "F = void F();",
                ],
            ),
            (
                "a.rb",
                "require 'x'\n\n# A store.\nmodule M\n  class Store < Base\n    # Opens.\n    def open?(path) = true\n\n    def self.make\n      new\n    end\n  end\nend\n",
                vec![
                    "M = # A store.",
                    "Store = class Store < Base",
                    // The grammar counts a comment before the first member to the class.
                    "open? = def open?(path) = true",
                    "make = def self.make",
                ],
            ),
            (
                "a.php",
                "<?php\nnamespace App;\n\n/** Doc. */\nfinal class A extends B {\n  public function m(): int { return 1; }\n}\ninterface I {}\ntrait T {}\n// Adds.\nfunction add($a, $b) { return $a + $b; }\n",
                vec![
                    "A = /** Doc. */",
                    "m = public function m(): int { return 1; }",
                    "I = interface I {}",
                    "T = trait T {}",
                    "add = // Adds.",
                ],
            ),
            (
                "a.sh",
                "#!/bin/sh\nset -e\n\n# Builds it.\nbuild() {\n  make \"$1\"\n}\n\nfunction clean {\n  rm -rf target\n}\nbuild all\n",
                vec!["build = # Builds it.", "clean = function clean {"],
            ),
            (
                "a.toml",
                "a = 1\n\n# Where.\n[server]\nport = 1\n[[bin]]\nname = 'x'\n",
                vec!["server = # Where.", "bin = [[bin]]"],
            ),
            (
                "a.yaml",
                "# top\nname: x\non:\n  push: y\njobs:\n- a\n",
                vec!["name = # top", "on = on:", "jobs = jobs:"],
            ),
        ] {
            assert_eq!(parts(text, name), expected, "{name}");
        }
    }

    #[test]
    fn what_does_not_parse_has_no_parts() {
        assert!(
            parts(
                "Dear all, )( }{ this is ] no program at all; ((( ### \u{1f600}\n".repeat(40).as_str(),
                "a.rs"
            )
            .is_empty()
        );
        assert!(of("fn f() {}", Format::Text, None).is_empty());
        let good = (0..20).map(|i| format!("fn good_{i}() {{ call() }}\n")).collect::<String>();
        let names = parts(&format!("{good}fn broken( {{\n"), "a.rs");
        assert_eq!(names.first().unwrap(), "good_0 = fn good_0() { call() }");
        assert!(names.len() >= 20, "{names:?}");
        parts(&"fn f() { ".repeat(3_000), "a.rs");
        parts(&"((((".repeat(20_000), "a.js");
    }
}

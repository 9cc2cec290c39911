//! Which nodes of a grammar's syntax trees are named parts, and where their names stand.

use tree_sitter::Node;
use tree_sitter_language::LanguageFn;

use crate::detect::Language;

/// One grammar.
pub(super) struct Grammar {
    function: LanguageFn,
    /// Kinds of nodes that are parts.
    parts: &'static [&'static str],
    /// Kinds that stand around a part and belong to it.
    wrappers: &'static [&'static str],
    /// Kinds that stand above a part, as comments do, and belong to it.
    attributes: &'static [&'static str],
}

const RUST: &[&str] = &[
    "function_item",
    "function_signature_item",
    "struct_item",
    "enum_item",
    "union_item",
    "trait_item",
    "impl_item",
    "mod_item",
    "macro_definition",
];
const PYTHON: &[&str] = &["class_definition", "function_definition"];
const ECMASCRIPT: &[&str] = &[
    "function_declaration",
    "generator_function_declaration",
    "class_declaration",
    "abstract_class_declaration",
    "method_definition",
    "variable_declarator",
    "interface_declaration",
    "enum_declaration",
    "type_alias_declaration",
    "internal_module",
    "module",
];
const JAVA: &[&str] = &[
    "class_declaration",
    "interface_declaration",
    "enum_declaration",
    "record_declaration",
    "annotation_type_declaration",
    "method_declaration",
    "constructor_declaration",
];
const GO: &[&str] = &["function_declaration", "method_declaration", "type_spec"];
const C: &[&str] = &[
    "function_definition",
    "struct_specifier",
    "union_specifier",
    "enum_specifier",
    "class_specifier",
    "namespace_definition",
];
const CSHARP: &[&str] = &[
    "namespace_declaration",
    "class_declaration",
    "struct_declaration",
    "interface_declaration",
    "record_declaration",
    "enum_declaration",
    "delegate_declaration",
    "method_declaration",
    "constructor_declaration",
];
const RUBY: &[&str] = &["module", "class", "method", "singleton_method"];
const PHP: &[&str] = &[
    "namespace_definition",
    "class_declaration",
    "interface_declaration",
    "trait_declaration",
    "enum_declaration",
    "method_declaration",
    "function_definition",
];
const BASH: &[&str] = &["function_definition"];

impl Grammar {
    /// The grammar of a language; `None` where there is none. The file's `name` tells dialects apart.
    pub(super) fn of(language: Language, name: Option<&str>) -> Option<Self> {
        let extension =
            name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension.to_lowercase());
        let exported: &[&str] =
            &["export_statement", "lexical_declaration", "variable_declaration", "expression_statement"];
        let (function, parts, wrappers, attributes): (_, _, &[&str], &[&str]) = match language {
            Language::Rust => (tree_sitter_rust::LANGUAGE, RUST, &[], &["attribute_item"]),
            Language::Python => (tree_sitter_python::LANGUAGE, PYTHON, &["decorated_definition"], &[]),
            Language::JavaScript => (tree_sitter_javascript::LANGUAGE, ECMASCRIPT, exported, &["decorator"]),
            Language::TypeScript if extension.as_deref() == Some("tsx") => {
                (tree_sitter_typescript::LANGUAGE_TSX, ECMASCRIPT, exported, &["decorator"])
            }
            Language::TypeScript => {
                (tree_sitter_typescript::LANGUAGE_TYPESCRIPT, ECMASCRIPT, exported, &["decorator"])
            }
            Language::Java => (tree_sitter_java::LANGUAGE, JAVA, &[], &[]),
            Language::Go => (tree_sitter_go::LANGUAGE, GO, &["type_declaration"], &[]),
            // Headers named `.h` are C or C++, whose grammar reads both.
            Language::C if extension.as_deref() != Some("h") => (tree_sitter_c::LANGUAGE, C, &[], &[]),
            Language::C | Language::Cpp => {
                (tree_sitter_cpp::LANGUAGE, C, &["template_declaration"], &["attribute_declaration"])
            }
            Language::CSharp => (tree_sitter_c_sharp::LANGUAGE, CSHARP, &[], &[]),
            Language::Ruby => (tree_sitter_ruby::LANGUAGE, RUBY, &[], &[]),
            Language::Php => (tree_sitter_php::LANGUAGE_PHP, PHP, &[], &[]),
            Language::Shell => (tree_sitter_bash::LANGUAGE, BASH, &[], &[]),
            _ => return None,
        };
        Some(Self { function, parts, wrappers, attributes })
    }

    pub(super) fn language(&self) -> tree_sitter::Language {
        self.function.into()
    }

    pub(super) fn is_wrapper(&self, kind: &str) -> bool {
        self.wrappers.contains(&kind)
    }

    pub(super) fn is_attribute(&self, kind: &str) -> bool {
        self.attributes.contains(&kind)
    }

    /// The name of a part; `None` for a node that is none, or has no name.
    pub(super) fn name(&self, node: Node<'_>, text: &str) -> Option<String> {
        let kind = node.kind();
        if !self.parts.contains(&kind) {
            return None;
        }
        let field = |name: &str| node.child_by_field_name(name);
        let said = |node: Node<'_>| text.get(node.byte_range()).map(str::to_owned);
        match kind {
            "impl_item" => {
                let implemented = said(field("type")?)?;
                Some(match field("trait").and_then(said) {
                    Some(name) => format!("{name} for {implemented}"),
                    None => implemented,
                })
            }
            // Only what holds a function or class is more than a value.
            "variable_declarator" => {
                let value = field("value")?.kind();
                let holds = matches!(
                    value,
                    "arrow_function" | "function_expression" | "class" | "generator_function"
                );
                if holds { said(field("name")?) } else { None }
            }
            "method_declaration" if field("receiver").is_some() => {
                let (receiver, name) = (said(field("receiver")?)?, said(field("name")?)?);
                let of = receiver
                    .trim_matches(['(', ')'])
                    .split_whitespace()
                    .last()?
                    .trim_start_matches('*')
                    .to_owned();
                Some(format!("{of}.{name}"))
            }
            "function_definition" if field("declarator").is_some() => {
                declared(field("declarator")?).and_then(said)
            }
            // A use of a type, or a forward declaration; a namespace that holds the whole file is not where its name stands.
            "struct_specifier"
            | "union_specifier"
            | "enum_specifier"
            | "class_specifier"
            | "namespace_definition"
                if field("body").is_none() =>
            {
                None
            }
            _ => said(field("name")?),
        }
    }
}

/// The name in a declarator of C: inside pointers, references and parameter lists.
fn declared(mut node: Node<'_>) -> Option<Node<'_>> {
    // `***f()` nests a level per sign.
    for _ in 0..64 {
        let inner = node.child_by_field_name("declarator");
        // A reference has its declarator as the only named child.
        let inner =
            inner.or_else(|| (node.kind() == "reference_declarator").then(|| node.named_child(0)).flatten());
        match inner {
            Some(inner) => node = inner,
            None => return Some(node),
        }
    }
    None
}

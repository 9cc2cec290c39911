//! Says which elements a reader of the page does not see.

use dom_query::NodeRef;

/// Elements whose content is never text of the page: code, controls, media, head.
pub(super) fn is_skipped(name: &str) -> bool {
    matches!(
        name,
        "script"
            | "style"
            | "noscript"
            | "template"
            | "head"
            | "svg"
            | "iframe"
            | "object"
            | "embed"
            | "canvas"
            | "audio"
            | "video"
            | "map"
            | "select"
            | "datalist"
            | "input"
            | "button"
            | "textarea"
            | "frameset"
            | "noframes"
            | "rp"
            | "progress"
            | "meter"
    )
}

/// Elements switched off by an attribute or an inline style; hidden text is where instructions for models are planted.
pub(super) fn is_hidden(node: &NodeRef<'_>) -> bool {
    if node.has_attr("hidden") {
        return true;
    }
    let Some(style) = node.attr("style") else { return false };
    let style: String =
        style.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    ["display:none", "visibility:hidden", "font-size:0;", "font-size:0px"].iter().any(|s| style.contains(s))
        || style.split(';').any(|rule| matches!(rule, "opacity:0" | "font-size:0"))
}

/// Elements of a page around its content: navigation, banners, footers, by their tag or role.
pub(super) fn is_furniture(node: &NodeRef<'_>) -> bool {
    let role = node.attr("role");
    if role.as_deref().is_some_and(|r| {
        matches!(r, "navigation" | "banner" | "contentinfo" | "search" | "complementary" | "dialog" | "alert")
    }) {
        return true;
    }
    matches!(node.node_name().as_deref(), Some("nav" | "footer" | "aside" | "dialog"))
}

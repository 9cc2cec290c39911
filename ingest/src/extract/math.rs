//! Writes Office formulas (OMML) as one line in the manner of TeX.

use super::xmltree::{Id, Tree};

/// The formula below a node; unknown constructs give their text. The depth is that of the XML, which is limited.
pub(super) fn linear(tree: &Tree, node: Id) -> String {
    let mut out = String::new();
    for &child in tree.children(node) {
        out.push_str(&term(tree, child));
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn term(tree: &Tree, node: Id) -> String {
    let part = |name: &str| tree.child(node, name).map(|c| linear(tree, c)).unwrap_or_default();
    let property = |group: &str, name: &str| {
        tree.path(node, &[group, name]).and_then(|p| tree.attribute(p, "val")).map(str::to_owned)
    };
    match tree.name(node) {
        "f" => format!("\\frac{{{}}}{{{}}}", part("num"), part("den")),
        "sSup" => format!("{}^{{{}}}", part("e"), part("sup")),
        "sSub" => format!("{}_{{{}}}", part("e"), part("sub")),
        "sSubSup" => format!("{}_{{{}}}^{{{}}}", part("e"), part("sub"), part("sup")),
        "rad" => match part("deg") {
            degree if degree.is_empty() => format!("\\sqrt{{{}}}", part("e")),
            degree => format!("\\sqrt[{degree}]{{{}}}", part("e")),
        },
        "nary" => {
            let sign = property("naryPr", "chr").unwrap_or_else(|| "∫".to_owned());
            format!("{sign}_{{{}}}^{{{}}} {}", part("sub"), part("sup"), part("e"))
        }
        "d" => {
            let open = property("dPr", "begChr").unwrap_or_else(|| "(".to_owned());
            let close = property("dPr", "endChr").unwrap_or_else(|| ")".to_owned());
            let inner: Vec<String> = tree
                .children(node)
                .iter()
                .filter(|&&c| tree.name(c) == "e")
                .map(|&c| linear(tree, c))
                .collect();
            format!("{open}{}{close}", inner.join(", "))
        }
        "func" => format!("{} {}", part("fName"), part("e")),
        "m" => {
            let rows = tree.children(node).iter().filter(|&&c| tree.name(c) == "mr");
            let lines: Vec<String> = rows
                .map(|&r| tree.children(r).iter().map(|&e| linear(tree, e)).collect::<Vec<_>>().join(" & "))
                .collect();
            lines.join(" \\\\ ")
        }
        "t" => tree.text(node),
        name if name.ends_with("Pr") => String::new(),
        _ => tree.own_text(node).map_or_else(|| linear(tree, node), |_| String::new()),
    }
}

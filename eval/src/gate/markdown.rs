//! A verdict as Markdown, for a comment on a change.

use super::Verdict;
use crate::compare::{Place, Ranked};

/// A heading, a table of checks, and for each failed comparison the queries that lost most.
pub fn markdown(verdict: &Verdict, title: &str) -> String {
    let outcome = if verdict.passed { "passed" } else { "failed" };
    let mut text =
        format!("## Retrieval gate {outcome}: {}\n\n| check | | figures |\n|---|---|---|\n", cell(title));
    for check in &verdict.checks {
        let mark = if check.passed { "pass" } else { "**fail**" };
        text.push_str(&format!("| {} | {mark} | {} |\n", cell(&check.name), cell(&check.detail)));
    }
    for check in verdict.checks.iter().filter(|check| !check.worst.is_empty()) {
        text.push_str(&format!(
            "\n### {}: queries that lost most\n\n| query | before | now | first ranks before | first ranks now |\n|---|---|---|---|---|\n",
            cell(&check.name)
        ));
        for moved in &check.worst {
            let ranks = |pick: fn(&Place) -> &Option<Ranked>| {
                let ids: Vec<String> = moved
                    .places
                    .iter()
                    .filter_map(|place| pick(place).as_ref())
                    .map(|ranked| {
                        let grade = ranked.grade.map_or_else(String::new, |grade| format!(" ({grade})"));
                        cell(&ranked.document) + &grade
                    })
                    .collect();
                ids.join(", ")
            };
            text.push_str(&format!(
                "| {} | {:.4} | {:.4} | {} | {} |\n",
                cell(&moved.query),
                moved.baseline,
                moved.system,
                ranks(|place| &place.baseline),
                ranks(|place| &place.system),
            ));
        }
    }
    text
}

/// Text that may stand in a table's cell: no line ends, no column signs, no HTML, no links, pictures or emphasis, and nobody
/// is mentioned by it.
pub(crate) fn cell(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(flat.len());
    for c in flat.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            // A backslash does not keep forges from reading a name behind the sign.
            '@' => out.push_str("&#64;"),
            '\\' | '|' | '`' | '[' | ']' | '!' | '*' | '_' | '~' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    // An address is made a link wherever it stands.
    out.replace("://", ":\u{200b}//").replace("www.", "www\u{200b}.")
}

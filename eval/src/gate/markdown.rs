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

/// Text that may stand in a table's cell: no line ends, no column signs, no HTML.
pub(crate) fn cell(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('`', "\\`")
}

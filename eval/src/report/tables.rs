//! The tables of the HTML page.

use std::fmt::Write as _;

use super::svg::escape;
use super::{Evaluation, MAIN, SetReport};
use crate::compare::{ALPHA, Comparison, Moved, Place, Ranked};
use crate::failure::FailureReport;
use crate::kinds::OfKind;
use crate::measure::{in_reading_order, ir_name};
use crate::stats::{shown, shown_p};

/// Missed documents that are shown one by one.
const EXAMPLES: usize = 10;

/// Opens a table of figures with these headings.
fn head(columns: &[&str]) -> String {
    head_of("figures", columns)
}

/// Opens a table; `class` is `figures` or `text`, whose cells break their lines.
fn head_of(class: &str, columns: &[&str]) -> String {
    let cells: Vec<String> =
        columns.iter().map(|column| format!("<th scope=\"col\">{}</th>", escape(column))).collect();
    format!("<div class=\"wide\"><table class=\"{class}\"><thead><tr>{}</tr></thead><tbody>", cells.join(""))
}

const END: &str = "</tbody></table></div>";

fn row(out: &mut String, cells: &[String]) {
    let _ =
        write!(out, "<tr>{}</tr>", cells.iter().map(|cell| format!("<td>{cell}</td>")).collect::<String>());
}

/// Mean and interval, the interval smaller below.
fn estimate(mean: f64, interval: Option<&crate::stats::Interval>) -> String {
    match interval {
        Some(interval) => format!("{mean:.4}<small>{:.3}–{:.3}</small>", interval.low, interval.high),
        None => format!("{mean:.4}"),
    }
}

/// One row per dataset.
pub(super) fn overview(evaluation: &Evaluation) -> String {
    let mut out = head(&[
        "dataset",
        "queries",
        "documents",
        "configuration",
        "nDCG@10",
        "R@100",
        "RR@10",
        "AP",
        "can show",
    ]);
    for set in &evaluation.sets {
        for (at, report) in set.reports.iter().enumerate() {
            let of = |name: &str| {
                let mean = report.scores.metrics.get(name);
                mean.map_or_else(|| "–".to_owned(), |mean| estimate(*mean, report.scores.intervals.get(name)))
            };
            let cells = [
                once(at, format!("<a href=\"#{}\">{}</a>", anchor(&set.dataset), escape(&set.dataset))),
                once(at, report.scores.queries.to_string()),
                once(at, report.indexed.documents.to_string()),
                format!("<span class=\"key {0}\">{0}</span>", report.mode),
                of(MAIN),
                of("recall@100"),
                of("mrr@10"),
                of("map"),
                report.detectable.get(MAIN).map_or_else(|| "–".to_owned(), |d| format!("{d:.3}")),
            ];
            row(&mut out, &cells);
        }
    }
    out + END
}

/// What stands in the first row of a dataset only.
fn once(row: usize, text: String) -> String {
    if row == 0 { text } else { String::new() }
}

/// A name as a fragment of this page.
pub(super) fn anchor(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Every measure of every configuration.
pub(super) fn measures(set: &SetReport) -> String {
    let mut columns = vec!["measure"];
    let names: Vec<String> = set.reports.iter().map(|report| report.mode.to_string()).collect();
    columns.extend(names.iter().map(String::as_str));
    columns.push("difference that can be shown");
    let mut out = head(&columns);
    let Some(main) = set.main() else { return out + END };
    for name in in_reading_order(main.scores.metrics.keys()) {
        let mut cells = vec![escape(&ir_name(name))];
        for report in &set.reports {
            let mean = report.scores.metrics.get(name).copied().unwrap_or(0.0);
            cells.push(estimate(mean, report.scores.intervals.get(name)));
        }
        cells.push(main.detectable.get(name).map_or_else(|| "–".to_owned(), |d| format!("{d:.3}")));
        row(&mut out, &cells);
    }
    out + END
}

/// A row per system and measure.
pub(super) fn comparison(comparison: &Comparison) -> String {
    let against = format!("against {}", comparison.baseline);
    let mut out = head(&[
        &against,
        "measure",
        "difference",
        "p",
        "p after Holm",
        "effect size",
        "better / equal / worse",
        "correlation",
        "can show",
    ]);
    for system in &comparison.systems {
        for name in in_reading_order(system.measures.keys()) {
            let pair = &system.measures[name];
            let d = &pair.difference;
            let class = match (d.is_significant(ALPHA), d.mean < 0.0) {
                (false, _) => "",
                (true, true) => " class=\"worse\"",
                (true, false) => " class=\"better\"",
            };
            let cells = [
                escape(&system.name),
                escape(&ir_name(name)),
                format!(
                    "<span{class}>{:+.4}</span><small>{:+.3} to {:+.3}</small>",
                    d.mean, d.interval.low, d.interval.high
                ),
                shown_p(d.p),
                shown_p(d.p_holm),
                d.effect.map_or_else(|| "–".to_owned(), |effect| format!("{effect:+.2}")),
                format!("{} / {} / {}", d.wins, d.ties, d.losses),
                pair.correlation.map_or_else(|| "–".to_owned(), |r| format!("{r:.2}")),
                shown(d.detectable, 3),
            ];
            row(&mut out, &cells);
        }
    }
    out + END
}

/// Queries that moved, both rankings side by side.
pub(super) fn moved(baseline: &str, system: &str, moved: &[Moved]) -> String {
    let mut out = head_of(
        "text",
        &["query", baseline, system, "ranks", &format!("first of {baseline}"), &format!("first of {system}")],
    );
    for moved in moved {
        let ids = |pick: fn(&Place) -> &Option<Ranked>| {
            let lines: Vec<String> = moved
                .places
                .iter()
                .map(|place| match pick(place) {
                    Some(Ranked { document, grade: Some(grade) }) if *grade > 0 => {
                        format!("<b>{} [{grade}]</b>", escape(document))
                    }
                    Some(ranked) => escape(&ranked.document),
                    None => "–".to_owned(),
                })
                .collect();
            lines.join("<br>")
        };
        let ranks: Vec<String> = moved.places.iter().map(|place| place.rank.to_string()).collect();
        let cells = [
            escape(&moved.query),
            format!("{:.3}", moved.baseline),
            format!("{:.3}", moved.system),
            ranks.join("<br>"),
            ids(|place| &place.baseline),
            ids(|place| &place.system),
        ];
        row(&mut out, &cells);
    }
    out + END
}

/// The main measure by kind of query.
pub(super) fn kinds(kinds: &[OfKind]) -> String {
    let mut out = head(&["kind of query", "queries", "nDCG@10"]);
    for kind in kinds {
        let cells = [escape(&kind.kind), kind.queries.to_string(), estimate(kind.mean, Some(&kind.interval))];
        row(&mut out, &cells);
    }
    out + END
}

/// Missed documents that a person can follow, spread over the stages.
pub(super) fn missed(failures: &FailureReport) -> String {
    let mut out = head_of(
        "text",
        &["lost", "query", "relevant document", "rank: dense", "keyword", "fused", "final", "first instead"],
    );
    for missed in examples(failures) {
        let rank = |rank: Option<usize>| rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string());
        let cells = [
            missed.stage.words().to_owned(),
            format!("<small>{}</small>{}", escape(&missed.query), escape(&shortened(&missed.text, 160))),
            format!("{} [{}]", escape(&missed.document), missed.grade),
            rank(missed.dense),
            rank(missed.keyword),
            rank(missed.fused),
            rank(missed.rank),
            missed.first.as_deref().map_or_else(|| "–".to_owned(), escape),
        ];
        row(&mut out, &cells);
    }
    out + END
}

/// Examples taken in turn from each stage that lost something.
pub(super) fn examples(failures: &FailureReport) -> Vec<&crate::failure::Missed> {
    let mut by_stage: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for missed in &failures.missed {
        by_stage.entry(missed.stage).or_default().push(missed);
    }
    let mut chosen: Vec<&crate::failure::Missed> = Vec::new();
    for turn in 0..EXAMPLES {
        chosen.extend(by_stage.values().filter_map(|missed| missed.get(turn)));
    }
    chosen.truncate(EXAMPLES);
    chosen.sort_by(|a, b| a.stage.cmp(&b.stage).then_with(|| a.query.cmp(&b.query)));
    chosen
}

/// At most so many characters, with an ellipsis where something was cut.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most).collect::<String>() + "…"
}

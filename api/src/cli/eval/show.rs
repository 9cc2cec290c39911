//! Tables of evaluations for people.

use wellspring_eval::compare::{ALPHA, Comparison, Moved, Ranked};
use wellspring_eval::measure::{in_reading_order, ir_name};
use wellspring_eval::metrics::Scores;
use wellspring_eval::stats::{shown, shown_p};

use crate::output::table;

/// Means with their 95 % intervals, a column per system; measures in the order in which they are usually read.
pub(super) fn means(systems: &[(&str, &Scores)]) -> comfy_table::Table {
    let mut header = vec!["mean, 95 % interval".to_owned()];
    header.extend(systems.iter().map(|(name, _)| (*name).to_owned()));
    let mut table = table(header);
    let Some((_, first)) = systems.first() else { return table };
    for name in in_reading_order(first.metrics.keys()) {
        let mut row = vec![ir_name(name)];
        row.extend(systems.iter().map(|(_, scores)| {
            let mean = scores.metrics.get(name).copied().unwrap_or(0.0);
            match scores.intervals.get(name) {
                Some(interval) => format!("{mean:.4}  {:.3}–{:.3}", interval.low, interval.high),
                None => format!("{mean:.4}"),
            }
        }));
        table.add_row(row);
    }
    table
}

/// A row per system and measure.
pub(super) fn comparison(comparison: &Comparison) -> comfy_table::Table {
    let mut table = table(vec![
        format!("against {}", comparison.baseline),
        "measure".into(),
        "before".into(),
        "now".into(),
        "difference, 95 % interval".into(),
        "p (Holm)".into(),
        "effect".into(),
        "+ / = / −".into(),
        "detectable".into(),
    ]);
    for system in &comparison.systems {
        for name in in_reading_order(system.measures.keys()) {
            let pair = &system.measures[name];
            let d = &pair.difference;
            let mark = match (d.is_significant(ALPHA), d.mean < 0.0) {
                (false, _) => "",
                (true, true) => " worse",
                (true, false) => " better",
            };
            table.add_row(vec![
                system.name.clone(),
                ir_name(name),
                format!("{:.4}", pair.baseline),
                format!("{:.4}", pair.system),
                format!("{:+.4}  {:+.4} to {:+.4}", d.mean, d.interval.low, d.interval.high),
                format!("{}{mark}", shown_p(d.p_holm)),
                d.effect.map_or_else(|| "–".to_owned(), |effect| format!("{effect:+.2}")),
                format!("{} / {} / {}", d.wins, d.ties, d.losses),
                shown(d.detectable, 4),
            ]);
        }
    }
    table
}

/// A query that moved, with both rankings side by side.
pub(super) fn moved(moved: &Moved) -> String {
    let mut text = format!("query {}: {:.4} → {:.4}", moved.query, moved.baseline, moved.system);
    for place in &moved.places {
        let show = |side: &Option<Ranked>| match side {
            Some(Ranked { document, grade: Some(grade) }) => format!("{document} [{grade}]"),
            Some(ranked) => ranked.document.clone(),
            None => "–".to_owned(),
        };
        text.push_str(&format!(
            "\n  {:>2}  {:<44} {}",
            place.rank,
            show(&place.baseline),
            show(&place.system)
        ));
    }
    text
}

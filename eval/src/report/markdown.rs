//! The figures as Markdown, for a file that is kept beside the code.

use std::fmt::Write as _;

use super::{Evaluation, MAIN, SetReport, tables};
use crate::compare::ALPHA;
use crate::failure::Stage;
use crate::gate::markdown::cell;
use crate::retrieval::RetrievalReport;
use crate::stats::{shown, shown_p};

/// The whole document. `preface` says how it was made.
pub fn markdown(evaluation: &Evaluation, preface: &str) -> String {
    let mut out = format!(
        "# Results\n\n{preface}\n\n{}, {}, seed {}.\n{}\n\n",
        evaluation.tool, evaluation.made_at, evaluation.seed, evaluation.machine
    );
    out.push_str(
        "## Modes\n\nMeans over judged queries with 95 % bootstrap intervals; named as in `ir_measures`.\n\n",
    );
    out.push_str("| set | queries | documents | mode | nDCG@10 | R@100 | RR@10 | AP | AllRecall@10 |\n|---|---|---|---|---|---|---|---|---|\n");
    for set in &evaluation.sets {
        for report in &set.reports {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                cell(&set.dataset),
                report.scores.queries,
                report.indexed.documents,
                report.mode,
                estimate(report, MAIN),
                estimate(report, "recall@100"),
                mean(report, "mrr@10"),
                mean(report, "map"),
                mean(report, "all-recall@10"),
            );
        }
    }
    for set in evaluation.sets.iter().filter(|set| set.note.is_some()) {
        let note = set.note.as_deref().unwrap_or_default();
        let _ = writeln!(out, "\n{}: {}.", cell(&set.dataset), cell(note));
    }
    comparisons(&mut out, evaluation);
    spans(&mut out, evaluation);
    failures(&mut out, evaluation);
    out
}

fn mean(report: &RetrievalReport, name: &str) -> String {
    report.scores.metrics.get(name).map_or_else(|| "–".to_owned(), |mean| format!("{mean:.4}"))
}

fn estimate(report: &RetrievalReport, name: &str) -> String {
    match report.scores.intervals.get(name) {
        Some(interval) => format!("{} ({:.3}–{:.3})", mean(report, name), interval.low, interval.high),
        None => mean(report, name),
    }
}

fn comparisons(out: &mut String, evaluation: &Evaluation) {
    out.push_str(
        "\n## One leg alone against both\n\nDifference in nDCG@10 to hybrid, paired randomisation test, Holm's correction over \
         the measures and modes of a set. “can show”: the difference that a test over so many queries finds in four of five \
         cases, from the actual differences.\n\n| set | mode | difference (95 %) | p (Holm) | effect | better / equal / worse | correlation | can show |\n|---|---|---|---|---|---|---|---|\n",
    );
    for set in &evaluation.sets {
        let Some(comparison) = &set.comparison else { continue };
        for system in &comparison.systems {
            let Some(pair) = system.measures.get(MAIN) else { continue };
            let d = &pair.difference;
            let strong = if d.is_significant(ALPHA) { "**" } else { "" };
            let _ = writeln!(
                out,
                "| {} | {} | {strong}{:+.4}{strong} ({:+.3} to {:+.3}) | {} | {} | {} / {} / {} | {} | {} |",
                cell(&set.dataset),
                system.name,
                d.mean,
                d.interval.low,
                d.interval.high,
                shown_p(d.p_holm),
                d.effect.map_or_else(|| "–".to_owned(), |effect| format!("{effect:+.2}")),
                d.wins,
                d.ties,
                d.losses,
                pair.correlation.map_or_else(|| "–".to_owned(), |r| format!("{r:.2}")),
                shown(d.detectable, 3),
            );
        }
    }
}

fn spans(out: &mut String, evaluation: &Evaluation) {
    let with_spans: Vec<&SetReport> = evaluation
        .sets
        .iter()
        .filter(|set| set.main().is_some_and(|main| main.scores.metrics.contains_key("span-recall@5")))
        .collect();
    if with_spans.is_empty() {
        return;
    }
    out.push_str("\n## Words of the gold quotes within the first passages\n\n| set | mode | SpanRecall@5 | SpanRecall@10 |\n|---|---|---|---|\n");
    for set in with_spans {
        for report in &set.reports {
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                cell(&set.dataset),
                report.mode,
                estimate(report, "span-recall@5"),
                estimate(report, "span-recall@10")
            );
        }
    }
}

fn failures(out: &mut String, evaluation: &Evaluation) {
    let analysed: Vec<_> =
        evaluation.sets.iter().filter_map(|set| Some((set, set.failures.as_ref()?))).collect();
    let Some((_, first)) = analysed.first() else { return };
    let _ = write!(
        out,
        "\n## Where relevant documents are lost (hybrid, first {})\n\n| set | relevant | found |",
        first.k
    );
    for stage in Stage::ALL {
        let _ = write!(out, " {} |", stage.words());
    }
    let _ = writeln!(out, "\n|---|---|---|{}", "---|".repeat(Stage::ALL.len()));
    for (set, failures) in &analysed {
        let _ = write!(out, "| {} | {} | {} |", cell(&set.dataset), failures.relevant, failures.found);
        for stage in Stage::ALL {
            let _ = write!(out, " {} |", failures.lost.get(stage).copied().unwrap_or(0));
        }
        out.push('\n');
    }
    let followed = analysed.iter().find(|(set, _)| set.dataset == "scifact").or(analysed.first());
    let Some((set, failures)) = followed else { return };
    let _ = write!(
        out,
        "\nTen examples of {}, taken from each stage in turn (– is: not among the candidates, or beyond the ranking's depth):\n\n\
         | lost | query | relevant document | rank: dense | keyword | fused | final | first instead |\n|---|---|---|---|---|---|---|---|\n",
        cell(&set.dataset)
    );
    for missed in tables::examples(failures) {
        let rank = |rank: Option<usize>| rank.map_or_else(|| "–".to_owned(), |rank| rank.to_string());
        let _ = writeln!(
            out,
            "| {} | {}: {} | {} | {} | {} | {} | {} | {} |",
            missed.stage.words(),
            cell(&missed.query),
            cell(&tables::shortened(&missed.text, 120)),
            cell(&missed.document),
            rank(missed.dense),
            rank(missed.keyword),
            rank(missed.fused),
            rank(missed.rank),
            missed.first.as_deref().map_or_else(|| "–".to_owned(), cell),
        );
    }
}

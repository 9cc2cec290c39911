//! The pictures of a report.

use super::svg::Plot;
use super::{Evaluation, MAIN, SetReport, risk_coverage};
use crate::failure::{FailureReport, Stage};
use crate::retrieval::RetrievalReport;

const WIDTH: f64 = 760.0;

/// A dot with its 95 % interval per dataset and configuration.
pub(super) fn overview(evaluation: &Evaluation) -> String {
    let rows: usize = evaluation.sets.iter().map(|set| set.reports.len() + 1).sum();
    let row = 19.0;
    let mut plot = Plot::new((WIDTH, rows as f64 * row + 60.0), 150.0, (0.0, 1.0), (0.0, 1.0));
    plot.horizontal_axis("nDCG@10, mean with 95 % interval", 1);
    let mut y = plot.vertical().0 + row * 0.7;
    for set in &evaluation.sets {
        let middle = y + (set.reports.len().saturating_sub(1)) as f64 * row / 2.0;
        plot.text((140.0, middle + 4.0), &set.dataset, "label end");
        for report in &set.reports {
            let class = class_of(report);
            let mean = report.scores.metrics.get(MAIN).copied().unwrap_or(0.0);
            let mut title = format!("{} {}: {mean:.4}", set.dataset, report.mode);
            if let Some(interval) = report.scores.intervals.get(MAIN) {
                title.push_str(&format!(" ({:.4} to {:.4})", interval.low, interval.high));
                plot.line(
                    (plot.at_x(interval.low), y),
                    (plot.at_x(interval.high), y),
                    &format!("range {class}"),
                );
            }
            plot.dot((plot.at_x(mean), y), class, &title);
            y += row;
        }
        y += row;
    }
    plot.finish("nDCG@10 of every dataset and mode with its interval")
}

/// The colour of a mode.
pub(super) fn class_of(report: &RetrievalReport) -> &'static str {
    match report.mode {
        wellspring_retrieve::Mode::Hybrid => "hybrid",
        wellspring_retrieve::Mode::Dense => "dense",
        wellspring_retrieve::Mode::Keyword => "keyword",
    }
}

/// Per query, how the main configuration differs from another one, largest gain first.
pub(super) fn per_query(main: &RetrievalReport, other: &RetrievalReport) -> String {
    let mut moved: Vec<(f64, &String, f64, f64)> = main
        .scores
        .per_query
        .iter()
        .filter_map(|(query, values)| {
            let (now, before) = (*values.get(MAIN)?, *other.scores.per_query.get(query)?.get(MAIN)?);
            Some((now - before, query, before, now))
        })
        .collect();
    moved.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let mut plot = Plot::new((WIDTH, 240.0), 58.0, (0.0, moved.len() as f64), (-1.0, 1.0));
    plot.vertical_axis("difference in nDCG@10", 1);
    let zero = plot.at_y(0.0);
    for (at, (by, query, before, now)) in moved.iter().enumerate() {
        if by.abs() < 1e-9 {
            continue;
        }
        let (left, right) = (plot.at_x(at as f64), plot.at_x(at as f64 + 1.0));
        let tip = plot.at_y(*by);
        let class = if *by > 0.0 { "gain" } else { "loss" };
        let title = format!("{query}: {before:.3} → {now:.3}");
        plot.bar((left, zero.min(tip)), ((right - left) * 0.9, (tip - zero).abs()), class, &title);
    }
    let (from, to) = (plot.at_x(0.0), plot.at_x(moved.len() as f64));
    plot.line((from, zero), (to, zero), "axis");
    let ties = moved.iter().filter(|m| m.0.abs() < 1e-9).count();
    let (better, worse) =
        (moved.iter().filter(|m| m.0 > 1e-9).count(), moved.iter().filter(|m| m.0 < -1e-9).count());
    plot.text(
        (WIDTH / 2.0, 236.0),
        &format!("{} queries: {better} better, {ties} equal, {worse} worse than {}", moved.len(), other.mode),
        "label middle",
    );
    plot.finish(&format!("differences per query, {} against {}", main.mode, other.mode))
}

/// Live latencies; nothing where none was measured.
pub(super) fn latencies(report: &RetrievalReport) -> Option<String> {
    let times: Vec<f64> = report.latency_ms.per_query.values().copied().collect();
    let longest = times.iter().copied().fold(0.0, f64::max);
    if times.is_empty() || longest <= 0.0 {
        return None;
    }
    // The slowest hundredth would squeeze the rest into one bar: it is gathered in the last one.
    let shown = (report.latency_ms.p95 * 1.6).min(longest);
    const BINS: usize = 40;
    let mut counts = [0_usize; BINS];
    for time in &times {
        let bin = (time / shown * BINS as f64) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(1);
    let mut plot = Plot::new((WIDTH, 220.0), 58.0, (0.0, shown), (0.0, most as f64));
    plot.vertical_axis("queries", 0);
    plot.horizontal_axis(
        "milliseconds per query (the last bar holds all slower ones)",
        if shown < 5.0 { 1 } else { 0 },
    );
    let width = shown / BINS as f64;
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let (from, to) = (bin as f64 * width, (bin + 1) as f64 * width);
        let top = plot.at_y(*count as f64);
        let corner = (plot.at_x(from), top);
        let size = ((plot.at_x(to) - plot.at_x(from)) * 0.92, plot.at_y(0.0) - top);
        plot.bar(corner, size, class_of(report), &format!("{from:.1} to {to:.1} ms: {count}"));
    }
    Some(plot.finish("histogram of latencies"))
}

/// Risk over coverage for every configuration that has a confidence, with the area under each.
pub(super) fn risk(set: &SetReport) -> Option<(String, Vec<(String, f64)>)> {
    let curves: Vec<_> = set
        .reports
        .iter()
        .map(|report| (report, risk_coverage(report, MAIN)))
        .filter(|(_, (curve, _))| curve.len() > 1)
        .collect();
    if curves.is_empty() {
        return None;
    }
    let highest = curves.iter().flat_map(|(_, (curve, _))| curve.iter().map(|p| p.risk)).fold(0.1, f64::max);
    let mut plot = Plot::new((WIDTH, 250.0), 58.0, (0.0, 1.0), (0.0, (highest * 10.0).ceil() / 10.0));
    plot.vertical_axis("risk: 1 − nDCG@10", 2);
    plot.horizontal_axis("coverage: share of queries answered, most confident first", 1);
    let mut areas = Vec::new();
    for (report, (curve, area)) in &curves {
        let points: Vec<_> = curve.iter().map(|p| (plot.at_x(p.coverage), plot.at_y(p.risk))).collect();
        plot.path(&points, &format!("curve {}", class_of(report)));
        areas.push((report.mode.to_string(), *area));
    }
    Some((plot.finish("risk over coverage"), areas))
}

/// How many missed documents each stage lost.
pub(super) fn stages(failures: &FailureReport) -> String {
    let most = failures.lost.values().copied().max().unwrap_or(0).max(1);
    let row = 24.0;
    let height = Stage::ALL.len() as f64 * row + 60.0;
    let mut plot = Plot::new((WIDTH, height), 210.0, (0.0, most as f64 * 1.06), (0.0, 1.0));
    plot.horizontal_axis("relevant documents missed", 0);
    let mut y = plot.vertical().0 + 2.0;
    for stage in Stage::ALL {
        let lost = failures.lost.get(stage).copied().unwrap_or(0);
        plot.text((200.0, y + 15.0), stage.words(), "label end");
        let (from, to) = (plot.at_x(0.0), plot.at_x(lost as f64));
        if lost > 0 {
            plot.bar((from, y + 3.0), (to - from, row - 8.0), "loss", &format!("{}: {lost}", stage.words()));
        }
        plot.text((to + 6.0, y + 15.0), &lost.to_string(), "tick");
        y += row;
    }
    plot.finish("missed relevant documents by the stage that lost them")
}

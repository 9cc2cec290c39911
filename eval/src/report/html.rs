//! The report as one self-contained HTML page: no script, no link to anywhere, nothing loaded.

use super::svg::escape;
use super::{Evaluation, SetReport, plots, policy, tables};
use crate::error::{ErrorKind, EvalError, Result};

pub(super) const STYLE: &str = include_str!("style.css");

/// The page. Everything that came from a dataset or a run is escaped; the policy in its head forbids scripts and loading,
/// and allows this one style sheet by its hash.
pub fn html(evaluation: &Evaluation) -> Result<String> {
    let hash = policy::hash(STYLE);
    let mut body = String::new();
    body.push_str(&format!(
        "<header><h1>Retrieval evaluation</h1><p>{} · {} · seed {}</p><p><code>{}</code></p><p>{}</p></header>",
        escape(&evaluation.tool),
        escape(&evaluation.made_at),
        evaluation.seed,
        escape(&evaluation.command),
        escape(&evaluation.machine),
    ));
    body.push_str("<section><h2>Overview</h2>");
    body.push_str("<p class=\"legend\"><span class=\"key keyword\">keyword</span> <span class=\"key dense\">dense</span> <span class=\"key hybrid\">hybrid</span></p>");
    body.push_str(&figure(
        &plots::overview(evaluation),
        "Dots are means over queries, lines their 95 % bootstrap intervals.",
    ));
    body.push_str(&tables::overview(evaluation));
    body.push_str(
        "<p>“can show”: the smallest difference in nDCG@10 that so many queries let a paired test find in four of five \
         cases (5 %, two-sided), against a system whose values correlate by 0.9.</p></section>",
    );
    for set in &evaluation.sets {
        body.push_str(&section(set)?);
    }
    body.push_str(&notes());
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action 'none'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>Retrieval evaluation</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    ))
}

pub(super) fn figure(svg: &str, caption: &str) -> String {
    format!("<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption))
}

fn section(set: &SetReport) -> Result<String> {
    let mut out =
        format!("<section id=\"{}\"><h2>{}</h2>", tables::anchor(&set.dataset), escape(&set.dataset));
    let Some(main) = set.main() else { return Ok(out + "</section>") };
    if let Some(note) = &set.note {
        out.push_str(&format!("<p class=\"note\">{}</p>", escape(note)));
    }
    out.push_str(&format!(
        "<p>{} judged queries, {} documents, rankings to depth {}.{}</p>",
        main.scores.queries,
        main.indexed.documents,
        main.depth,
        if main.accepted.0.is_empty() {
            String::new()
        } else {
            format!(" Accepted: {}.", escape(&main.accepted.to_string()))
        }
    ));
    out.push_str(&tables::measures(set));
    if let Some(comparison) = &set.comparison {
        out.push_str(&format!("<h3>Compared with {}</h3>", escape(&comparison.baseline)));
        out.push_str(&tables::comparison(comparison));
        for other in set.reports.iter().rev().skip(1) {
            let caption =
                format!("Each bar is a query: {} minus {}, largest gain first.", main.mode, other.mode);
            out.push_str(&figure(&plots::per_query(main, other), &caption));
        }
        for system in comparison.systems.iter().filter(|system| !system.moved.is_empty()) {
            out.push_str(&format!(
                "<details><summary>Queries that differ most between {} and {}</summary>{}</details>",
                escape(&comparison.baseline),
                escape(&system.name),
                tables::moved(&comparison.baseline, &system.name, &system.moved)
            ));
        }
    }
    out.push_str("<h3>By kind of query</h3>");
    out.push_str(&tables::kinds(&set.kinds));
    if let Some((svg, areas)) = plots::risk(set) {
        let areas: Vec<String> = areas.iter().map(|(name, area)| format!("{name} {area:.3}")).collect();
        out.push_str("<h3>Refusing what is uncertain</h3>");
        let caption = format!(
            "Queries are answered in the order of the first hit's score (cosine; BM25 for keyword). Area under the curve: {}.",
            areas.join(", ")
        );
        out.push_str(&figure(&svg, &caption));
    }
    if let Some(svg) = plots::latencies(main) {
        let latency = &main.latency_ms;
        out.push_str("<h3>Latency</h3>");
        let caption = format!(
            "{} queries asked live: median {:.1} ms, 95th percentile {:.1} ms, slowest {:.1} ms.",
            latency.queries, latency.p50, latency.p95, latency.max
        );
        out.push_str(&figure(&svg, &caption));
    }
    if let Some(failures) = &set.failures {
        out.push_str(&format!(
            "<h3>What is missed, and where it was lost</h3><p>{} of {} relevant documents are among the first {}.</p>",
            failures.found, failures.relevant, failures.k
        ));
        if !failures.missed.is_empty() {
            out.push_str(&figure(
                &plots::stages(failures),
                "Each missed document is counted once, at the first stage that lost it.",
            ));
            out.push_str(&tables::missed(failures));
        }
    }
    out.push_str(&reproduction(set)?);
    Ok(out + "</section>")
}

/// Everything that decides the figures.
fn reproduction(set: &SetReport) -> Result<String> {
    let mut out = String::from("<details><summary>Configuration and checksums</summary>");
    out.push_str(&format!("<p>Queries and judgements (BLAKE3): <code>{}</code></p>", escape(&set.checksum)));
    if let Some(main) = set.main() {
        out.push_str(&format!(
            "<p>Documents (BLAKE3): <code>{}</code></p>",
            escape(&main.documents_checksum)
        ));
    }
    for report in &set.reports {
        let switches = serde_json::to_string(&report.switches).map_err(unwritten)?;
        out.push_str(&format!(
            "<p>{}: embedder <code>{}</code>, switches <code>{}</code>, documents {}</p>",
            report.mode,
            escape(&report.fingerprint),
            escape(&switches),
            escape(&format!("{:?}", report.indexed.outcomes)),
        ));
    }
    if let Some(main) = set.main() {
        let configuration = serde_json::to_string_pretty(&main.configuration).map_err(unwritten)?;
        out.push_str(&format!("<pre>{}</pre>", escape(&configuration)));
    }
    Ok(out + "</details>")
}

fn unwritten(error: serde_json::Error) -> EvalError {
    EvalError::new(ErrorKind::Invalid, "the report holds something that JSON can't").with_source(error)
}

fn notes() -> String {
    "<section><h2>How to read it</h2><p>Measures are named as in ir_measures and follow trec_eval: ties by descending id, a judged query \
     that a run lacks counts 0, unjudged documents are not relevant. Intervals: percentile bootstrap over queries. Tests: \
     paired randomisation, two-sided, exact where at most 20 queries differ; Holm’s correction over all tests of a table. \
     Effect size: mean over standard deviation of the differences. No chat model takes part.</p></section>"
        .to_owned()
}

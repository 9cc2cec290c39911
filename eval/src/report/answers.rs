//! What `eval answers` measured, as one self-contained page with its risk–coverage plot.

use super::html::{STYLE, figure};
use super::policy;
use super::svg::{Plot, escape};
use crate::answers::{AnswersReport, Figures};

const WIDTH: f64 = 760.0;

/// The page: no script, nothing loaded, its style sheet allowed by hash.
pub fn answers_html(report: &AnswersReport) -> String {
    let hash = policy::hash(STYLE);
    let mut body = format!(
        "<header><h1>Answers: {}</h1><p>{} questions, seed {}, {} search. Weights: {}</p></header>",
        escape(&report.dataset),
        report.questions.len(),
        report.seed,
        report.mode,
        escape(&report.weights),
    );
    body.push_str(&half("Articles that weights and threshold were not chosen on", &report.report));
    body.push_str(&half("Articles that weights are fitted on", &report.fit));
    body.push_str(
        "<section><h2>How to read it</h2><p>Every question is asked over all documents. An answer is right if one of its sentences \
         holds a gold answer; what retrieval misses and every answer to an unanswerable question is wrong. Risk is the share of \
         wrong answers among those given, when questions are answered from the most confident on. Intervals: 95 %, bootstrap over \
         questions. No chat model takes part.</p></section>",
    );
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action 'none'\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\">\
         <title>Answers</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
}

/// The colour of a curve.
fn class_of(name: &str) -> &'static str {
    match name {
        "confidence" => "hybrid",
        "retrieval" => "dense",
        _ => "keyword",
    }
}

fn half(title: &str, figures: &Figures) -> String {
    let mut out = format!(
        "<section><h2>{}</h2><p>{} answerable questions, {} unanswerable.</p>",
        escape(title),
        figures.answerable,
        figures.unanswerable
    );
    out.push_str("<p class=\"legend\">");
    for name in figures.risk_coverage.keys() {
        out.push_str(&format!("<span class=\"key {}\">{}</span> ", class_of(name), escape(name)));
    }
    out.push_str("</p>");
    let areas: Vec<String> =
        figures.risk_coverage.iter().map(|(name, curve)| format!("{name} {:.3}", curve.area)).collect();
    out.push_str(&figure(
        &risk(figures),
        &format!("Area under the curve, lower is better: {}.", areas.join(", ")),
    ));
    out.push_str("<table><thead><tr><th>figure</th><th>value</th><th>95 % interval</th></tr></thead><tbody>");
    let shares = figures.shares.iter().map(|(name, share)| (name.clone(), share.value, share.interval));
    let areas =
        figures.auroc.iter().map(|(name, area)| (format!("auroc of {name}"), area.value, area.interval));
    for (name, value, interval) in shares.chain(areas) {
        out.push_str(&format!(
            "<tr><td>{}</td><td>{value:.3}</td><td>{:.3} to {:.3}</td></tr>",
            escape(&name),
            interval.low,
            interval.high
        ));
    }
    out + "</tbody></table></section>"
}

fn risk(figures: &Figures) -> String {
    let risks = figures.risk_coverage.values().flat_map(|curve| curve.points.iter().map(|point| point.risk));
    let highest = risks.fold(0.1, f64::max);
    let mut plot = Plot::new((WIDTH, 280.0), 58.0, (0.0, 1.0), (0.0, (highest * 10.0).ceil() / 10.0));
    plot.vertical_axis("risk: share of wrong answers", 2);
    plot.horizontal_axis("coverage: share of questions answered, most confident first", 1);
    for (name, curve) in &figures.risk_coverage {
        let points: Vec<_> =
            curve.points.iter().map(|p| (plot.at_x(p.coverage), plot.at_y(p.risk))).collect();
        plot.path(&points, &format!("curve {}", class_of(name)));
    }
    plot.finish("risk over coverage")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::answers::{Area, Share, curve};
    use crate::stats::Interval;

    #[test]
    fn the_page_draws_every_curve_and_escapes_names() {
        let interval = Interval { low: 0.6, high: 0.8 };
        let curves =
            ["confidence", "baseline"].map(|name| (name.to_owned(), curve(&[0.9, 0.1], &[true, false])));
        let figures = Figures {
            answerable: 1,
            unanswerable: 1,
            shares: BTreeMap::from([("gold_in_sentences".to_owned(), Share { value: 0.7, interval })]),
            auroc: BTreeMap::from([("confidence".to_owned(), Area { value: 0.75, interval })]),
            risk_coverage: BTreeMap::from(curves),
        };
        let report = AnswersReport {
            version: crate::answers::VERSION,
            dataset: "a<b".to_owned(),
            seed: 1,
            mode: wellspring_retrieve::Mode::Hybrid,
            weights: "fitted & shipped".to_owned(),
            threshold: 0.2,
            fit: figures.clone(),
            report: figures,
            questions: Vec::new(),
            configuration: serde_json::Value::Null,
        };
        let page = answers_html(&report);
        assert_eq!(page.matches("class=\"curve ").count(), 4);
        assert!(
            page.contains("a&lt;b") && page.contains("fitted &amp; shipped") && !page.contains("<script")
        );
        assert!(page.contains("auroc of confidence</td><td>0.750"));
    }
}

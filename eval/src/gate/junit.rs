//! A verdict as JUnit XML, which every CI system reads: one test case per check.

use super::Verdict;

/// The document. `suite` names what was evaluated.
pub fn junit(verdict: &Verdict, suite: &str) -> String {
    let failures = verdict.checks.iter().filter(|check| !check.passed).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{n}\" failures=\"{failures}\">\n  \
         <testsuite name=\"{suite}\" tests=\"{n}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n",
        n = verdict.checks.len(),
        suite = escape(suite),
    );
    for check in &verdict.checks {
        xml.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\"",
            escape(suite),
            escape(&check.name)
        ));
        if check.passed {
            xml.push_str(&format!(
                ">\n      <system-out>{}</system-out>\n    </testcase>\n",
                escape(&check.detail)
            ));
            continue;
        }
        let queries: Vec<String> = check
            .worst
            .iter()
            .map(|moved| format!("{}: {:.4} → {:.4}", moved.query, moved.baseline, moved.system))
            .collect();
        xml.push_str(&format!(
            ">\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n",
            escape(&check.detail),
            escape(&queries.join("\n")),
        ));
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Escapes what XML reserves; control characters that XML 1.0 has no place for become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

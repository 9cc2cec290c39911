//! Every rule asks about what it should, and the same seed asks the same.

use super::*;

fn documents() -> Vec<Source> {
    let source =
        |id: &str, title: &str, text: &str| Source { id: id.into(), title: title.into(), text: text.into() };
    vec![
        source(
            "faq.md",
            "Questions about gateways",
            "# Questions about gateways\n\n## What does error E-4312 mean?\n\nThe clock of the gateway is wrong.\n\n## Power\n\nThe Remote Terminal Unit (RTU) takes a battery of type OTR-300 that lasts four winters in most valleys.\n",
        ),
        source(
            "report.md",
            "Drift of humidity sensors in alpine winters",
            "We looked at many stations. The coating of humidity sensors ages faster where condensation freezes every night during winter. Replacing the OTR-300 battery did not change the drift of the sensors in any valley. The RTU logs were complete.",
        ),
        source("empty.md", "", ""),
    ]
}

#[test]
fn every_rule_has_its_query() {
    let documents = documents();
    let rows = synthesise(&documents, 40, 7);
    let of =
        |rule: &str| rows.iter().filter(|row| row.rule == format!("synthetic-{rule}")).collect::<Vec<_>>();
    assert!(of("faq").iter().all(|row| row.document == "faq.md"), "{rows:?}");
    assert!(of("heading").iter().all(|row| row.document == "faq.md"), "{rows:?}");
    assert!(of("title").iter().any(|row| row.document == "report.md"));
    assert!(of("sentence").iter().any(|row| row.document == "report.md"), "{rows:?}");
    assert!(of("topic").iter().any(|row| row.document == "report.md"), "{rows:?}");
    let acronym = of("acronym")[0];
    assert!(
        ["what does RTU stand for", "remote terminal unit"].contains(&acronym.question.as_str()),
        "{acronym:?}"
    );
    let identifiers: BTreeSet<&str> = of("identifier")
        .iter()
        .filter(|row| row.question.contains("OTR-300"))
        .map(|row| row.document.as_str())
        .collect();
    assert!(identifiers.is_empty() || identifiers == BTreeSet::from(["faq.md", "report.md"]), "{rows:?}");
    assert!(!of("identifier").is_empty());
    assert!(rows.iter().all(|row| row.document != "empty.md"));
}

#[test]
fn the_seed_decides_and_nothing_is_asked_twice() {
    let documents = documents();
    let rows = synthesise(&documents, 40, 7);
    assert_eq!(rows, synthesise(&documents, 40, 7));
    let questions: BTreeMap<&str, &str> =
        rows.iter().map(|row| (row.id.as_str(), row.question.as_str())).collect();
    let distinct: BTreeSet<String> = questions.values().map(|q| q.to_lowercase()).collect();
    assert_eq!(distinct.len(), questions.len());
    assert_eq!(synthesise(&documents, 2, 7).iter().map(|row| &row.id).collect::<BTreeSet<_>>().len(), 2);
    assert!(synthesise(&[], 10, 1).is_empty());
}

#[test]
fn abbreviations_are_those_that_the_words_before_spell() {
    assert_eq!(
        names::spelt_out(
            "a \"Remote Terminal Unit\" (RTU), an odd Thing (XYZ), and a polymerase chain reaction (PCR)."
        ),
        [("RTU", "Remote Terminal Unit"), ("PCR", "polymerase chain reaction")]
    );
    assert_eq!(
        names::identifiers("in 2019 the E-4312 and p53-like MCF10A of 100mm"),
        BTreeSet::from(["E-4312", "MCF10A", "p53-like"])
    );
}

//! How many planted instructions are flagged, and how many clean passages are: BIPIA (Yi et al. 2023) and SQuAD 2.0.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use wellspring_answer::{Suspicion, suspicions};

use crate::{Outcome, lines};

pub(crate) fn measure(datasets: &Path) -> Outcome {
    let folder = datasets.join("bipia");
    let attacks = |name: &str| -> Outcome<Vec<String>> {
        let kinds: BTreeMap<String, Vec<String>> =
            serde_json::from_str(&fs_err::read_to_string(folder.join(name))?)?;
        Ok(kinds.into_values().flatten().collect())
    };
    let (text, code) = (attacks("text_attack_test.json")?, attacks("code_attack_test.json")?);
    let mut clean: Vec<(&str, Vec<String>)> = Vec::new();
    for kind in ["email", "table", "code"] {
        let contexts = lines(&folder.join(kind).join("test.jsonl"))?;
        clean.push((kind, contexts.iter().map(context).collect()));
    }
    for (kind, contexts) in &clean {
        let attacks = if *kind == "code" { &code } else { &text };
        for place in ["start", "middle", "end"] {
            let planted = contexts
                .iter()
                .flat_map(|context| attacks.iter().map(move |attack| plant(context, attack, place)));
            report(&format!("{kind}, attack at the {place}"), planted);
        }
    }
    for (kind, contexts) in clean {
        report(&format!("clean: {kind}"), contexts.into_iter());
    }
    let paragraphs = lines(&datasets.join("squad2/corpus.jsonl"))?;
    report("clean: paragraphs of SQuAD 2.0", paragraphs.iter().map(|line| string(&line["text"])));
    let abstracts = lines(&datasets.join("scifact/corpus.jsonl"))?;
    report("clean: abstracts of SciFact", abstracts.iter().map(|line| string(&line["text"])));
    Ok(())
}

fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().map(string).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

fn context(line: &Value) -> String {
    string(&line["context"])
}

/// The attack as a paragraph of its own before, inside or after the context.
fn plant(context: &str, attack: &str, place: &str) -> String {
    let lines: Vec<&str> = context.lines().collect();
    let at = match place {
        "start" => 0,
        "middle" => lines.len() / 2,
        _ => lines.len(),
    };
    [&lines[..at], &[attack], &lines[at..]].concat().join("\n")
}

fn report(what: &str, texts: impl Iterator<Item = String>) {
    let (mut all, mut any, mut strong) = (0_usize, 0, 0);
    for text in texts {
        let found = suspicions(&text);
        all += 1;
        any += usize::from(!found.is_empty());
        strong += usize::from(found.iter().any(|suspicion| *suspicion != Suspicion::Request));
    }
    let share = |count: usize| count as f64 / all.max(1) as f64;
    println!("{what}: {all} texts, flagged {:.3}, more than a request {:.3}", share(any), share(strong));
}

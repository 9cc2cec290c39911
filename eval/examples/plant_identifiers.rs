//! Makes a dataset in BEIR layout out of others by planting made-up identifiers in their documents.
//!
//! `plant_identifiers OUT COUNT DATASET…` copies every document of the datasets, puts one of COUNT identifiers into as many
//! of them, in the middle of their text, and writes a question for each, whose one relevant document is the one that holds
//! it. Identifiers are of a dozen kinds and differ from each other in a few characters, as real ones do. Every run makes
//! the same dataset.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example that people run by hand: what fails is shown as it is"
)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use wellspring_eval::stats::Seeded;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, count, datasets @ ..] = arguments.as_slice() else {
        println!("usage: plant_identifiers OUT COUNT DATASET…");
        return;
    };
    let mut seeded = Seeded::new(2026);
    let mut documents = Vec::new();
    for dataset in datasets {
        let name = Path::new(dataset).file_name().unwrap().to_string_lossy().into_owned();
        for line in fs_err::read_to_string(Path::new(dataset).join("corpus.jsonl")).unwrap().lines() {
            let mut document: Value = serde_json::from_str(line).unwrap();
            document["_id"] = format!("{name}:{}", document["_id"].as_str().unwrap()).into();
            documents.push(document);
        }
    }
    let count: usize = count.parse().unwrap();
    let mut hosts: Vec<usize> =
        (0..documents.len()).filter(|&at| documents[at]["text"].as_str().unwrap().len() > 100).collect();
    seeded.shuffle(&mut hosts);
    let mut known = BTreeSet::new();
    let (mut queries, mut qrels) = (String::new(), "query-id\tcorpus-id\tscore\n".to_owned());
    for (number, &host) in hosts.iter().take(count).enumerate() {
        let identifier = loop {
            let made = identifier(number, &mut seeded);
            if known.insert(made.to_lowercase()) {
                break made;
            }
        };
        let document = &mut documents[host];
        document["text"] = planted(document["text"].as_str().unwrap(), &identifier, &mut seeded).into();
        let question = question(number, &identifier);
        writeln!(queries, "{}", json!({ "_id": format!("p{number}"), "text": question })).unwrap();
        writeln!(qrels, "p{number}\t{}\t1", document["_id"].as_str().unwrap()).unwrap();
    }
    let out = Path::new(out);
    fs_err::create_dir_all(out.join("qrels")).unwrap();
    let corpus: String = documents.iter().map(|document| format!("{document}\n")).collect();
    fs_err::write(out.join("corpus.jsonl"), corpus).unwrap();
    fs_err::write(out.join("queries.jsonl"), queries).unwrap();
    fs_err::write(out.join("qrels").join("test.tsv"), qrels).unwrap();
    println!("{} identifiers in {} documents", known.len(), documents.len());
}

fn identifier(number: usize, seeded: &mut Seeded) -> String {
    let n = seeded.below(90_000) + 10_000;
    let m = seeded.below(900) + 100;
    match number % 12 {
        0 => format!("INC-{}-{m:04}{}", 2019 + n % 8, n % 10),
        1 => format!("E{n}"),
        2 => format!("CVE-{}-{n}", 2015 + m % 12),
        3 => format!("{}.{}.{m}", n % 40, n % 97),
        4 => {
            let (a, b) = (seeded.bits(), seeded.bits());
            format!(
                "{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}",
                a >> 32,
                a >> 16 & 0xffff,
                a & 0xfff,
                b >> 48 & 0xfff,
                b & 0xffff_ffff_ffff
            )
        }
        5 => format!("{:012x}", seeded.bits() & 0xffff_ffff_ffff),
        6 => format!("/opt/kiln/run_{n}/stage-{m}.toml"),
        7 => format!("retry_budget_{n}"),
        8 => format!("maxFlowRate{n}"),
        9 => format!("WX-{n}/{}", ['A', 'B', 'C'][m % 3]),
        10 => format!("ops.{n}@example.org"),
        _ => format!("0x8{:07X}", seeded.bits() & 0xfff_ffff),
    }
}

fn question(number: usize, identifier: &str) -> String {
    match number / 12 % 5 {
        0 => identifier.to_owned(),
        1 => format!("What is known about {identifier}?"),
        2 => format!("where do we describe {identifier} and why does it matter to the results"),
        3 => format!("{identifier} effects"),
        _ => format!("Please find the study that mentions “{identifier}”."),
    }
}

/// The text with a remark about the identifier after one of its sentences.
fn planted(text: &str, identifier: &str, seeded: &mut Seeded) -> String {
    let ends: Vec<usize> = text.match_indices(". ").map(|(at, _)| at + 2).collect();
    let at = if ends.is_empty() { text.len() } else { ends[seeded.below(ends.len())] };
    let remark = match seeded.below(4) {
        0 => format!(" (see {identifier}) "),
        1 => format!(" This is filed as {identifier}. "),
        2 => format!(" `{identifier}`, among others, "),
        _ => format!(" Cf. {identifier}; "),
    };
    format!("{}{}{}", &text[..at], remark.trim_start(), &text[at..])
}

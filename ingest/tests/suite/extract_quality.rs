//! Measures the text that extraction yields against reference texts, per format, and holds it above floors.
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use wellspring_ingest::extract::{Extracted, Libraries, Limits, extract};

/// The folder with `documents/`, or `None` with a line saying that the test is skipped.
fn shared() -> Option<PathBuf> {
    let found = std::env::var_os("WELLSPRING_TEST_SHARED")
        .map(PathBuf::from)
        .filter(|p| p.join("documents").is_dir());
    if found.is_none() {
        println!("skipped: WELLSPRING_TEST_SHARED does not name a folder with documents/");
    }
    found
}

fn libraries() -> Libraries {
    let cache = std::env::var_os("WELLSPRING_CACHE").map(PathBuf::from);
    let cache =
        cache.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache/wellspring")));
    Libraries { pdfium: cache.map(|c| c.join("lib/libpdfium.so")).filter(|p| p.is_file()) }
}

/// Runs of word characters, as Python's `\w+`.
fn tokens(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|t| !t.is_empty()).collect()
}

fn shingles(text: &str) -> HashMap<Vec<&str>, u32> {
    let tokens = tokens(text);
    let mut counts = HashMap::new();
    for start in 0..tokens.len().saturating_sub(3).max(1) {
        *counts.entry(tokens[start..(start + 4).min(tokens.len())].to_vec()).or_insert(0) += 1;
    }
    counts
}

/// True positives, false positives and false negatives of a bag against a reference.
fn overlap<K: std::hash::Hash + Eq>(truth: &HashMap<K, u32>, found: &HashMap<K, u32>) -> (f64, f64, f64) {
    let common: u32 = truth.iter().map(|(k, n)| n.min(found.get(k).unwrap_or(&0))).sum();
    let (all, have): (u32, u32) = (truth.values().sum(), found.values().sum());
    (f64::from(common), f64::from(have - common), f64::from(all - common))
}

fn f1(precision: f64, recall: f64) -> f64 {
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

fn ratio(hit: f64, miss: f64, other: f64) -> f64 {
    if miss == 0.0 && other == 0.0 {
        1.0
    } else if hit == 0.0 {
        0.0
    } else {
        hit / (hit + miss)
    }
}

fn dump(kind: &str, name: &str, text: &str) {
    if let Some(folder) = std::env::var_os("WELLSPRING_TEST_DUMP") {
        let folder = PathBuf::from(folder).join(kind);
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join(name), text).unwrap();
    }
}

fn read(path: &Path) -> Result<Extracted, wellspring_ingest::extract::Failure> {
    let bytes = fs_err::read(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    extract(&bytes, Some(&name), None, &Limits::default(), &libraries())
}

/// The score of the article-extraction-benchmark's `evaluate.py`: precision and recall of 4-token shingles per page,
/// averaged over pages, then their harmonic mean.
#[test]
fn main_content_of_news_pages() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("documents/html-extraction");
    let truth: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&fs_err::read_to_string(folder.join("ground-truth.json")).unwrap()).unwrap();
    let started = Instant::now();
    let (mut precision, mut recall, mut mean) = (0.0, 0.0, 0.0);
    let mut worst = Vec::new();
    for (id, entry) in &truth {
        let expected = entry["articleBody"].as_str().unwrap();
        let path = folder.join("html").join(format!("{id}.html"));
        let text = read(&path).map(|e| e.text).unwrap_or_default();
        dump("html-extraction", &format!("{id}.md"), &text);
        let (hit, extra, missed) = overlap(&shingles(expected), &shingles(&text));
        let (p, r) = (ratio(hit, extra, missed), ratio(hit, missed, extra));
        precision += p;
        recall += r;
        mean += f1(p, r);
        worst.push((f1(p, r), p, r, id));
    }
    let pages = truth.len() as f64;
    let (precision, recall) = (precision / pages, recall / pages);
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (f, p, r, id) in worst.iter().take(12) {
        println!("{f:.3} P {p:.3} R {r:.3} {id}");
    }
    let score = f1(precision, recall);
    println!(
        "html main content: {pages} pages, precision {precision:.3}, recall {recall:.3}, F1 {score:.3}, mean of F1 {:.3}, {:.1} ms per page",
        mean / pages,
        started.elapsed().as_secs_f64() * 1000.0 / pages
    );
    assert!(score >= HTML_FLOOR, "F1 {score:.3} is below {HTML_FLOOR}");
}

/// Measured 0.952.
const HTML_FLOOR: f64 = 0.945;

/// Least mean token F1 per kind.
const FLOORS: [(&str, f64); 9] = [
    ("docx", 0.98),
    ("pptx", 0.94),
    ("xlsx", 0.98),
    ("pdf", 0.94),
    ("html", 0.96),
    ("csv", 0.99),
    ("md", 0.94),
    ("epub", 0.97),
    ("jats", 0.94),
];

fn bag(text: &str) -> HashMap<String, u32> {
    let mut counts = HashMap::new();
    for token in tokens(text) {
        *counts.entry(token.to_lowercase()).or_insert(0) += 1;
    }
    counts
}

/// Reference Markdown without what is no text of the document: picture markers, escapes, entities, emphasis.
fn plain_reference(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, r)| r);
    }
    out.push_str(rest);
    for (from, to) in [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("\\_", "_"), ("\\*", "*")] {
        out = out.replace(from, to);
    }
    out
}

#[test]
fn text_of_office_and_other_documents() {
    let Some(shared) = shared() else { return };
    println!("{:9} {:>5} {:>7} {:>7} {:>7}", "kind", "files", "P", "R", "F1");
    let mut low = Vec::new();
    for (kind, floor) in FLOORS {
        let folder = shared.join("documents/parsing-docs").join(kind);
        let mut rows = Vec::new();
        let mut sources: Vec<PathBuf> =
            fs_err::read_dir(folder.join("sources")).unwrap().map(|e| e.unwrap().path()).collect();
        sources.sort();
        for source in sources {
            let name = source.file_name().unwrap().to_string_lossy().into_owned();
            let stem = source.file_stem().unwrap().to_string_lossy().into_owned();
            let candidates = [format!("{name}.md"), format!("{stem}.md")];
            let Some(truth) = candidates
                .iter()
                .find_map(|c| fs_err::read_to_string(folder.join("groundtruth").join(c)).ok())
            else {
                continue;
            };
            let text = match read(&source) {
                Ok(found) => found.text,
                Err(failure) => {
                    println!("    {name}: {failure}");
                    String::new()
                }
            };
            dump(kind, &format!("{name}.md"), &text);
            let (hit, extra, missed) = overlap(&bag(&plain_reference(&truth)), &bag(&text));
            rows.push((ratio(hit, extra, missed), ratio(hit, missed, extra), name));
        }
        let files = rows.len() as f64;
        let mean = rows.iter().map(|(p, r, _)| f1(*p, *r)).sum::<f64>() / files;
        let (p, r) =
            (rows.iter().map(|r| r.0).sum::<f64>() / files, rows.iter().map(|r| r.1).sum::<f64>() / files);
        println!("{kind:9} {:>5} {p:>7.3} {r:>7.3} {mean:>7.3}", rows.len());
        for (p, r, name) in rows.iter().filter(|(p, r, _)| f1(*p, *r) < 0.93) {
            println!("    P {p:.3} R {r:.3} {name}");
        }
        if mean < floor {
            low.push(format!("{kind}: {mean:.3} is below {floor}"));
        }
    }
    assert!(low.is_empty(), "{low:?}");
}

/// Pages of real filings against their text by PDFium, and how fast they are read; `WELLSPRING_TEST_LONG` takes all.
#[test]
fn pages_of_filings() {
    let Some(shared) = shared() else { return };
    if libraries().pdfium.is_none() {
        println!("skipped: the PDFium library is not set up");
        return;
    }
    let folder = shared.join("documents/financebench");
    let mut truth: HashMap<String, String> = HashMap::new();
    for line in fs_err::read_to_string(folder.join("corpus.jsonl")).unwrap().lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        truth.insert(entry["_id"].as_str().unwrap().to_owned(), entry["text"].as_str().unwrap().to_owned());
    }
    let mut files: Vec<PathBuf> =
        fs_err::read_dir(folder.join("pdfs")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort_by_key(|p| fs_err::metadata(p).map_or(0, |m| m.len()));
    let take = if std::env::var_os("WELLSPRING_TEST_LONG").is_some() { files.len() } else { 4 };
    let (mut pages, mut seconds, mut sum, mut compared) = (0, 0.0, 0.0, 0.0);
    for file in files.iter().take(take) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let started = Instant::now();
        let found = read(file).unwrap();
        let took = started.elapsed().as_secs_f64();
        dump("financebench", &format!("{name}.md"), &found.text);
        let mut own = 0.0;
        for page in &found.pages {
            let Some(expected) = truth.get(&format!("{name}#p{}", page.page - 1)) else { continue };
            let (hit, extra, missed) = overlap(&bag(expected), &bag(&found.text[page.start..page.end]));
            own += f1(ratio(hit, extra, missed), ratio(hit, missed, extra));
            compared += 1.0;
        }
        sum += own;
        pages += found.pages.len();
        seconds += took;
        println!(
            "{name}: {} pages, {:.0} pages/s, token F1 {:.3}, title {:?}",
            found.pages.len(),
            found.pages.len() as f64 / took,
            own / found.pages.len() as f64,
            found.title
        );
    }
    println!(
        "filings: {pages} pages, {:.0} pages/s, token F1 against the plain text {:.3}",
        pages as f64 / seconds,
        sum / compared
    );
    assert!(sum / compared > 0.93, "{:.3}", sum / compared);
}

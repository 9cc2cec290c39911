//! Thousands of generated identifiers, each put into a real sentence in one of many wrappings, indexed and looked up: none
//! may be lost, and the passage that holds one stands first.

use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use wellspring_store::keyword::tantivy::TantivyIndex;
use wellspring_store::keyword::{ExactKind, KeywordEntry, KeywordIndex, exacts};
use wellspring_store::{ChunkKey, DocumentKey, Seq};

/// Identifiers of each kind.
const EACH: usize = 200;

/// The kinds, as patterns.
const KINDS: &[(&str, &str)] = &[
    ("incident", "[A-Z]{2,5}-20[0-9]{2}-[0-9]{3,5}"),
    ("error code", "[A-Z][0-9]{4}"),
    ("advisory", "CVE-20[0-9]{2}-[1-9][0-9]{3,4}"),
    ("version", "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,4}"),
    ("version with v", "v[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,4}"),
    ("path", "([a-z]{2,8}/){2,4}[a-z]{3,8}\\.(rs|toml|md)"),
    ("address", "https://[a-z]{4,10}\\.(org|com)/[a-z]{2,8}/[0-9]{3,6}\\?q=[a-z0-9]{4}"),
    ("mail", "[a-z]{3,8}\\.[a-z]{3,8}@[a-z]{4,9}\\.(org|de)"),
    ("hash", "[0-9a-f]{40}"),
    ("uuid", "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}"),
    ("snake", "[a-z]{3,8}(_[a-z]{3,8}){1,3}"),
    ("camel", "[a-z]{3,7}([A-Z][a-z]{2,7}){1,3}"),
    ("qualified", "[a-z]{3,8}::[a-z]{3,8}::[A-Z][a-z]{3,9}"),
    ("part", "[A-Z]{2,3}-[2-9][0-9]{2}/[A-Z]"),
    ("number", "[1-9][0-9]{4,6}[1-9]"),
    ("status", "0x[0-9A-F]{8}"),
    ("windows path", "[A-Z]:\\\\[A-Za-z]{3,8}\\\\[a-z]{3,8}\\.(dll|ini)"),
];

/// What stands around an identifier in texts.
const WRAPPINGS: &[&str] = &[
    "{}",
    "({}),",
    "`{}`",
    "[{}](https://docs.example.org/page)",
    "| {} | ok |",
    "\u{201C}{}\u{201D}",
    "\u{AB}{}\u{BB}",
    "{}.",
    "{}:",
    "{};",
    "{}?!",
    "call.{}()",
    "key={}",
    "**{}**",
    "<{}>",
    "{}'s",
    "{}\u{2026}",
    "\u{300C}{}\u{300D}",
    "x/{}/y",
    "\"{}\",",
    "{}\u{2014}and",
    "#{}",
    "公司{}的",
];

const QUERIES: &[&str] = &["{}", "what does {} mean?", "Why did ({}) fail", "tell me about `{}`, please."];

const SENTENCES: &[&str] = &[
    "The gateway reported {} shortly after midnight and stopped sending readings.",
    "Please check {} before the pump is started again, or the seal will leak.",
    "According to the minutes {} was postponed to the following quarter.",
    "Laut Protokoll wurde {} von der Werkstatt noch am selben Tag geprüft.",
    "Depuis la mise à jour, {} apparaît dans le journal des événements.",
    "We measured the flow twice; {} explains the difference of three per cent.",
];

/// Other signs for the same: full-width letters and digits, typographic dashes, a soft hyphen, another case.
fn disguised(name: &str, how: usize) -> String {
    match how % 5 {
        0 => name
            .chars()
            .map(|c| match c {
                '!'..='~' => char::from_u32(u32::from(c) + 0xFEE0).unwrap(),
                c => c,
            })
            .collect(),
        1 => {
            let dashes = ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'];
            name.replace('-', &dashes[how / 5 % dashes.len()].to_string())
        }
        2 => name
            .chars()
            .enumerate()
            .flat_map(|(at, c)| (at == 2).then_some('\u{AD}').into_iter().chain([c]))
            .collect(),
        3 => name.to_uppercase(),
        _ => name.to_owned(),
    }
}

fn generated() -> Vec<(&'static str, String)> {
    let seed = Config { rng_seed: RngSeed::Fixed(20_261_120), ..Config::default() };
    let mut runner = TestRunner::new(Config { rng_algorithm: RngAlgorithm::ChaCha, ..seed });
    let mut names: Vec<(&'static str, String)> = Vec::new();
    for (kind, pattern) in KINDS {
        let strategy = string_regex(pattern).unwrap();
        for _ in 0..EACH {
            names.push((kind, strategy.new_tree(&mut runner).unwrap().current()));
        }
    }
    names.sort_by_key(|(_, name)| name.to_lowercase());
    names.dedup_by(|a, b| a.1.eq_ignore_ascii_case(&b.1));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn no_identifier_is_lost() {
    let names = generated();
    assert!(names.len() > KINDS.len() * EACH * 9 / 10);
    let entries = (1..).zip(&names).map(|(key, (_, name))| {
        let at = key as usize;
        let wrapped = WRAPPINGS[at % WRAPPINGS.len()].replace("{}", &disguised(name, at));
        KeywordEntry {
            key: ChunkKey(key),
            document: DocumentKey(key),
            version: 1,
            title: String::new(),
            headings: String::new(),
            body: SENTENCES[at / 3 % SENTENCES.len()].replace("{}", &wrapped),
            language: Some("en".to_owned()),
        }
    });
    let index = TantivyIndex::in_memory().unwrap();
    index.upsert(entries.collect()).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    for (key, (kind, name)) in (1..).zip(&names) {
        let query = QUERIES[key as usize % QUERIES.len()].replace("{}", name);
        let asked = exacts(&query);
        let named: Vec<_> = asked.iter().filter(|exact| exact.text == *name).cloned().collect();
        assert!(
            matches!(named.as_slice(), [one] if one.kind == ExactKind::Identifier),
            "{kind}: {query:?} asks for {asked:?}"
        );
        let found = index.holding(&named, 3, None).await.unwrap();
        assert!(found.iter().any(|hit| hit.key == ChunkKey(key)), "{kind}: {name} is lost, {found:?}");
    }
}

/// A phrase of consecutive words of a text is found in it, whatever the punctuation, the case and the script.
#[tokio::test(flavor = "multi_thread")]
async fn no_phrase_is_lost() {
    let texts = [
        "The survey of 2019, in its second part, asked whether people do not vote out of protest.",
        "Der Verein wurde 1899 gegründet; er zählt heute (Stand: Mai) rund 300 Mitglieder.",
        "L'eau n'est pas potable, dit-on, à moins qu'on ne la fasse bouillir.",
        "公司的年度报告说明了2024年的收入，以及各部门的情况。",
        "يحتوي التقرير السنوي على نتائج المسح الذي أجري في العام الماضي.",
        "वार्षिक रिपोर्ट में पिछले वर्ष के सर्वेक्षण के परिणाम हैं।",
        "รายงานประจำปีมีผลการสำรวจของปีที่แล้ว",
        "Η ετήσια έκθεση περιέχει τα αποτελέσματα της ΈΡΕΥΝΑΣ του περασμένου έτους.",
    ];
    let index = TantivyIndex::in_memory().unwrap();
    let entries = (1..).zip(texts).map(|(key, text)| KeywordEntry {
        key: ChunkKey(key),
        document: DocumentKey(key),
        version: 1,
        title: "Report".to_owned(),
        headings: String::new(),
        body: text.to_owned(),
        language: None,
    });
    index.upsert(entries.collect()).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    for (key, text) in (1..).zip(texts) {
        let words: Vec<&str> = text.split_inclusive([' ', '，']).collect();
        for from in 0..words.len() {
            for to in from + 1..=words.len() {
                let phrase = words[from..to].concat();
                let phrase = phrase.trim_matches(|c: char| !c.is_alphanumeric());
                let asked = exacts(&format!("\u{201C}{}\u{201D}", phrase.to_uppercase()));
                assert_eq!(asked.len(), 1, "{phrase}");
                let found = index.holding(&asked, 10, None).await.unwrap();
                assert!(found.iter().any(|hit| hit.key == ChunkKey(key)), "{phrase} is lost: {asked:?}");
            }
        }
    }
}

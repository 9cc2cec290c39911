//! What every keyword index must do, whatever its engine.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use wellspring_store::keyword::{
    KeywordEntry, KeywordHit, KeywordIndex, KeywordQuery, KeywordScoring, exacts,
};
use wellspring_store::{ChunkKey, DocumentKey, ErrorKind, Seq};

pub(crate) fn entry(key: i64, title: &str, body: &str, language: Option<&str>) -> KeywordEntry {
    KeywordEntry {
        key: ChunkKey(key),
        document: DocumentKey(key / 10 + 1),
        version: 1,
        title: title.to_owned(),
        headings: String::new(),
        body: body.to_owned(),
        language: language.map(str::to_owned),
    }
}

pub(crate) async fn hits_of(
    index: &dyn KeywordIndex,
    text: &str,
    k: usize,
    among: Option<&RoaringTreemap>,
) -> Vec<KeywordHit> {
    let hits = index.search(KeywordQuery { among, ..KeywordQuery::new(text, k) }).await.unwrap();
    for pair in hits.windows(2) {
        let ordered =
            pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].key < pair[1].key);
        assert!(ordered, "{pair:?} is not score descending, key ascending");
    }
    assert!(hits.iter().all(|hit| hit.score > 0.0));
    hits
}

pub(crate) async fn keys_of(
    index: &dyn KeywordIndex,
    text: &str,
    k: usize,
    among: Option<&RoaringTreemap>,
) -> Vec<i64> {
    hits_of(index, text, k, among).await.iter().map(|hit| hit.key.0).collect()
}

/// Runs the suite on an empty index.
pub(crate) async fn check(index: &dyn KeywordIndex) {
    starts_empty(index).await;
    finds_words_in_every_field(index).await;
    replaces_and_removes(index).await;
    respects_candidates(index).await;
    ties_go_to_the_smaller_key_across_flushes(index).await;
    finds_identifiers(index).await;
    finds_every_language_without_being_told(index).await;
    takes_any_text_for_a_query(index).await;
    weighs_words_as_it_is_told(index).await;
    holds_to_the_letter(index).await;
    guesses_at_words_that_it_does_not_know(index).await;
    flushes(index).await;
    survives_rest_and_optimize(index).await;
}

async fn starts_empty(index: &dyn KeywordIndex) {
    assert_eq!(index.watermark().await.unwrap(), Seq(0));
    assert!(keys_of(index, "anything", 10, None).await.is_empty());
    assert!(index.keys().await.unwrap().is_empty());
    assert_eq!(index.len().await.unwrap(), 0);
    assert_eq!(index.content_hash(ChunkKey(1)).await.unwrap(), None);
    index.remove(&[ChunkKey(7)]).await.unwrap();
    index.upsert(Vec::new()).await.unwrap();
    index.optimize().await.unwrap();
}

async fn finds_words_in_every_field(index: &dyn KeywordIndex) {
    let mut third = entry(3, "", "The canteen opens at noon.", Some("en"));
    third.headings = "Handbook > Holidays".to_owned();
    let all = vec![
        entry(1, "Refund policy", "Customers may return goods within thirty days.", Some("en")),
        entry(2, "", "Refunds are paid to the card that was charged. Refunds take a week.", Some("en")),
        third.clone(),
    ];
    index.upsert(all.clone()).await.unwrap();
    index.upsert(all.clone()).await.unwrap();
    index.flush(Seq(1)).await.unwrap();
    let mut found = keys_of(index, "refunding", 10, None).await;
    found.sort_unstable();
    assert_eq!(found, [1, 2], "by stem, in title and body");
    assert_eq!(keys_of(index, "holiday", 10, None).await, [3], "in headings");
    assert_eq!(keys_of(index, "refunds charged", 10, None).await[0], 2, "more of the words ranks higher");
    assert_eq!(index.len().await.unwrap(), 3);
    assert_eq!(index.keys().await.unwrap(), [1, 2, 3].into_iter().collect());
    assert_eq!(index.content_hash(ChunkKey(3)).await.unwrap(), Some(third.content_hash()));
    assert!(keys_of(index, "the at to", 10, None).await.is_empty(), "stop words alone ask for nothing");
    assert!(keys_of(index, "refund", 0, None).await.is_empty());
    assert_eq!(keys_of(index, "refund", 1_000_000_000, None).await.len(), 2);
}

async fn replaces_and_removes(index: &dyn KeywordIndex) {
    let new = entry(1, "Refund policy", "Superseded by the warranty.", None);
    index.upsert(vec![new.clone()]).await.unwrap();
    index.remove(&[ChunkKey(2), ChunkKey(2), ChunkKey(4_711)]).await.unwrap();
    index.flush(Seq(2)).await.unwrap();
    assert!(keys_of(index, "goods card", 10, None).await.is_empty());
    assert_eq!(keys_of(index, "warranty", 10, None).await, [1]);
    assert_eq!(index.content_hash(ChunkKey(1)).await.unwrap(), Some(new.content_hash()));
    assert_eq!(index.content_hash(ChunkKey(2)).await.unwrap(), None);
    assert_eq!(index.keys().await.unwrap(), [1, 3].into_iter().collect());
}

async fn respects_candidates(index: &dyn KeywordIndex) {
    let many = (1_000..1_100)
        .map(|key| entry(key, "", &format!("turbine {}", "blade ".repeat(key as usize % 7)), None));
    index.upsert(many.collect()).await.unwrap();
    index.flush(Seq(3)).await.unwrap();
    let among: RoaringTreemap = [1_003, 1_050, 1_099, 9_999].into_iter().collect();
    let mut found = keys_of(index, "turbine blades", 10, Some(&among)).await;
    found.sort_unstable();
    assert_eq!(found, [1_003, 1_050, 1_099]);
    assert!(keys_of(index, "turbine", 10, Some(&RoaringTreemap::new())).await.is_empty());
    assert_eq!(keys_of(index, "turbine", 10, None).await.len(), 10);
}

async fn ties_go_to_the_smaller_key_across_flushes(index: &dyn KeywordIndex) {
    // Each flush makes a segment; the smallest keys come last.
    for (seq, keys) in [(4, [2_040, 2_050]), (5, [2_030, 2_020]), (6, [2_000, 2_010])] {
        index.upsert(keys.iter().map(|&key| entry(key, "", "zeppelin", None)).collect()).await.unwrap();
        index.flush(Seq(seq)).await.unwrap();
    }
    for k in 1..=6 {
        let wanted: Vec<i64> = (0..k as i64).map(|i| 2_000 + 10 * i).collect();
        assert_eq!(keys_of(index, "zeppelin", k, None).await, wanted);
    }
}

async fn finds_identifiers(index: &dyn KeywordIndex) {
    let texts = [
        "Error E-4312 means the disk is full.",
        "Error E-4313 means the disk is slow.",
        "Release v2.3.1 sets max_retry_count.",
    ];
    index
        .upsert((3_000..).zip(texts).map(|(key, text)| entry(key, "", text, Some("en"))).collect())
        .await
        .unwrap();
    index.flush(Seq(7)).await.unwrap();
    assert_eq!(keys_of(index, "e-4312", 10, None).await[0], 3_000);
    assert_eq!(keys_of(index, "what is E-4313?", 10, None).await[0], 3_001);
    assert_eq!(keys_of(index, "V2.3.1", 10, None).await, [3_002]);
    assert_eq!(keys_of(index, "max_retry_count", 10, None).await, [3_002]);
    assert_eq!(keys_of(index, "retry", 10, None).await, [3_002]);
}

async fn finds_every_language_without_being_told(index: &dyn KeywordIndex) {
    let texts = [
        ("de", "Die Kündigungsfristen der Mietverträge"),
        ("fr", "L'assurance couvre les bâtiments"),
        ("zh", "公司的年度报告"),
        ("ru", "Договоры аренды квартир"),
    ];
    let all = (4_000..).zip(texts).map(|(key, (language, text))| entry(key, "", text, Some(language)));
    index.upsert(all.collect()).await.unwrap();
    index.flush(Seq(8)).await.unwrap();
    for (query, key) in [
        ("Mietvertrag", 4_000),
        ("bâtiment", 4_001),
        ("assurance", 4_001),
        ("年度报告", 4_002),
        ("договор", 4_003),
    ] {
        assert_eq!(keys_of(index, query, 3, None).await.first(), Some(&key), "{query}");
    }
    // English words still meet English texts.
    assert_eq!(keys_of(index, "warranties", 3, None).await, [1]);
}

async fn takes_any_text_for_a_query(index: &dyn KeywordIndex) {
    let long = "warranty ".repeat(50_000);
    for text in [
        "",
        " ",
        "\"",
        "a AND (b OR",
        "title:",
        "*",
        "-",
        "[1 TO",
        "\\",
        "\u{0}",
        "🦀",
        "NOT warranty^",
        &long,
    ] {
        index.search(KeywordQuery::new(text, 5)).await.unwrap();
    }
    assert_eq!(keys_of(index, "+warranty^2 -body:~\"", 5, None).await[0], 1);
}

async fn flushes(index: &dyn KeywordIndex) {
    index.flush(Seq(41)).await.unwrap();
    assert_eq!(index.watermark().await.unwrap(), Seq(41));
    let refused = index.upsert(vec![entry(0, "", "zero", None)]).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

async fn survives_rest_and_optimize(index: &dyn KeywordIndex) {
    let (before, keys) = (keys_of(index, "turbine blades", 50, None).await, index.keys().await.unwrap());
    index.rest().await.unwrap();
    index.rest().await.unwrap();
    index.optimize().await.unwrap();
    assert_eq!(keys_of(index, "turbine blades", 50, None).await, before);
    assert_eq!(index.keys().await.unwrap(), keys);
    assert_eq!(index.watermark().await.unwrap(), Seq(41));
    index.check().await.unwrap();
}

/// The scorer for constants of one's own and the one with constants built in must be one function: the smallest step away
/// from the defaults must not be seen, and a larger one must.
async fn weighs_words_as_it_is_told(index: &dyn KeywordIndex) {
    let default = KeywordScoring::default();
    let scored = async |text, scoring| {
        let query = KeywordQuery { scoring, ..KeywordQuery::new(text, 1_000) };
        let hits = index.search(query).await.unwrap();
        hits.into_iter().map(|hit| (hit.key.0, hit.score)).collect::<BTreeMap<_, _>>()
    };
    for (title, headings) in [(0.0, 0.0), (0.5, 2.0)] {
        let built_in = KeywordScoring { title, headings, ..default };
        let own = KeywordScoring { k1: default.k1.next_up(), ..built_in };
        for text in
            ["turbine blades", "refund policy warranty", "error E-4312", "Mietvertrag running", "blade blade"]
        {
            let (expected, found) = (scored(text, built_in).await, scored(text, own).await);
            assert!(!expected.is_empty(), "{text}");
            assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "{text}");
            for (key, score) in &expected {
                let off = (score - found[key]).abs() / score;
                assert!(off <= 1e-5, "{text}, chunk {key}: {score} and {}", found[key]);
            }
        }
    }
    // Without saturation by k1 and length, every chunk with the word is worth the same.
    let flat: Vec<f32> = scored("blade", KeywordScoring { k1: 0.0, ..default }).await.into_values().collect();
    assert!(flat.len() > 50 && flat.windows(2).all(|pair| pair[0] == pair[1]));
    let steep = scored("blade", KeywordScoring { k1: 10.0, b: 0.0, ..default }).await;
    // 1 005 has 4 blades, 1 001 has none, 1 002 has one.
    assert!(!steep.contains_key(&1_001) && steep[&1_005] > steep[&1_002], "{steep:?}");
    let refused = KeywordScoring { b: 1.5, ..default };
    let error =
        index.search(KeywordQuery { scoring: refused, ..KeywordQuery::new("x", 1) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

async fn held(index: &dyn KeywordIndex, query: &str, among: Option<&RoaringTreemap>) -> Vec<i64> {
    let exacts = exacts(query);
    assert!(!exacts.is_empty(), "{query} asks for nothing exact");
    index.holding(&exacts, 10, among).await.unwrap().iter().map(|hit| hit.key.0).collect()
}

async fn holds_to_the_letter(index: &dyn KeywordIndex) {
    let texts = [
        "The gateway (INC\u{2011}2025\u{2013}031), lost its clock.",
        "See [INC-2025-031-B](https://tracker.example.org/browse/INC-2025-031-B) | `drift`.",
        "INC 2025 031 and INC-2025-0311 are something else; so is XINC-2025-031.",
        "Call a.foo_bar() before v1.2.3. Nothing is well-known here.",
        "The well known limits of foo bars. Known well.",
        "公司的年度报告在这里。",
    ];
    let mut all: Vec<_> = (5_000..).zip(texts).map(|(key, text)| entry(key, "", text, Some("en"))).collect();
    all[3].title = "Release WX-200/B".to_owned();
    index.upsert(all).await.unwrap();
    index.flush(Seq(9)).await.unwrap();
    assert_eq!(held(index, "what is INC-2025-031?", None).await, [5_000, 5_001], "by itself before a part");
    assert_eq!(held(index, "INC-2025-0311", None).await, [5_002]);
    assert_eq!(held(index, "foo_bar", None).await, [5_003]);
    assert_eq!(held(index, "version V1.2.3", None).await, [5_003]);
    assert_eq!(held(index, "1.2.3", None).await, [5_003], "the v is a prefix");
    assert_eq!(held(index, "wx-200/b", None).await, [5_003], "in the title");
    assert_eq!(held(index, "\"well known\"", None).await, [5_004, 5_003]);
    assert_eq!(held(index, "\"known limits\"", None).await, [5_004], "not the stem, not the order");
    assert!(held(index, "\"known limit\"", None).await.is_empty());
    assert!(held(index, "\"WX-200/B Call\"", None).await.is_empty(), "no phrase from title to body");
    assert_eq!(held(index, "「年度报告」", None).await, [4_002, 5_005]);
    assert!(held(index, "\"the\"", None).await.contains(&5_000), "stop words are words");
    let among: RoaringTreemap = [5_001].into_iter().collect();
    assert_eq!(held(index, "INC-2025-031", Some(&among)).await, [5_001]);
    let both = exacts("INC-2025-0311 and \"年度报告\"");
    assert_eq!(index.holding(&both, 10, None).await.unwrap().len(), 3);
    assert!(index.holding(&both, 0, None).await.unwrap().is_empty());
    assert!(index.holding(&[], 10, None).await.unwrap().is_empty());
    index.remove(&[ChunkKey(5_000)]).await.unwrap();
    index.flush(Seq(10)).await.unwrap();
    assert_eq!(held(index, "INC-2025-031", None).await, [5_001]);
}

async fn guesses_at_words_that_it_does_not_know(index: &dyn KeywordIndex) {
    let texts = [
        "Calibration of the pressure sensor takes an hour.",
        "Calibrations are repeated every year.",
        "Error QX-7788 asks for calibration.",
        "The secret project is called Nightingale.",
    ];
    let all = (6_000..).zip(texts).map(|(key, text)| entry(key, "", text, Some("en")));
    index.upsert(all.collect()).await.unwrap();
    index.flush(Seq(11)).await.unwrap();
    for (query, key) in
        [("presure", 6_000), ("pressrue", 6_000), ("calibratoin hour", 6_000), ("nightin", 6_003)]
    {
        assert_eq!(keys_of(index, query, 10, None).await.first(), Some(&key), "{query}");
    }
    // What is known is never replaced, the first letter stands, and names and numbers are not guessed at.
    for query in ["ressure", "XPRESSURE", "QX-7789", "7787", "pre", "presuressss"] {
        let hits = keys_of(index, query, 10, None).await;
        assert!(hits.is_empty() || query == "QX-7789" && hits == [6_002], "{query}: {hits:?}");
    }
    let strict = KeywordQuery { fuzzy: false, ..KeywordQuery::new("presure", 10) };
    assert!(index.search(strict).await.unwrap().is_empty());
    let exact = hits_of(index, "pressure", 1, None).await[0].score;
    let guessed = hits_of(index, "presure", 1, None).await[0].score;
    assert!(guessed < exact, "a guess counts less");
    let meant = async |text, among: Option<&RoaringTreemap>| index.did_you_mean(text, among).await.unwrap();
    let correction = meant("Presure of E-12, calibratoin?", None).await.unwrap();
    assert_eq!(correction.text, "Pressure of E-12, calibration?");
    let keys = |keys: &[i64]| keys.iter().map(|&key| ChunkKey(key)).collect::<Vec<_>>();
    assert_eq!(correction.held_by, [keys(&[6_000]), keys(&[6_000, 6_002])]);
    assert_eq!(meant("pressure calibrations", None).await, None, "nothing to put right");
    assert_eq!(meant("calibr", None).await, None, "unfinished, not misspelt");
    assert_eq!(meant("qzvwxj", None).await, None);
    // A word that only a hidden text holds is not told.
    let visible: RoaringTreemap = [6_000, 6_001].into_iter().collect();
    assert_eq!(meant("nightingele", None).await.unwrap().text, "nightingale");
    assert_eq!(meant("nightingele", Some(&visible)).await, None);
}

//! Who says what, and what becomes of it.

use super::*;
use crate::dataset::{Accepted, Dataset, Documents};

fn event(json: serde_json::Value) -> Event {
    serde_json::from_value(json).unwrap()
}

/// A click on `clicked` of a, b, c by a session of its own.
fn click(session: usize, clicked: &str) -> Event {
    event(serde_json::json!({
        "query": "hotel costs", "shown": ["a", "b", "c"], "clicked": [clicked],
        "time": "2026-03-01T09:30:00Z", "session": session.to_string(),
    }))
}

fn thumb(session: usize, which: &str) -> Event {
    event(serde_json::json!({
        "query": "Hotel  costs", "shown": ["a"], which: ["a"],
        "time": "2026-03-01T09:30:00Z", "session": format!("t{session}"),
    }))
}

fn grades(events: &[Event]) -> BTreeMap<String, i32> {
    judge(events, Rule::default()).qrels.into_values().flatten().collect()
}

#[test]
fn thumbs_are_grades_and_a_tie_is_a_conflict() {
    assert_eq!(grades(&[thumb(1, "up")]), BTreeMap::from([("a".to_owned(), UP)]));
    let both = [thumb(1, "up"), thumb(2, "down")];
    let found = judge(&both, Rule::default());
    assert_eq!((found.qrels.len(), found.without_relevant), (0, 1));
    assert_eq!((found.conflicts[0].why.as_str(), found.conflicts[0].grade), ("1 thumbs up, 1 down", None));
    let most = [thumb(1, "up"), thumb(2, "down"), thumb(3, "up")];
    assert_eq!(grades(&most)["a"], UP);
    let changed = [thumb(1, "down"), thumb(1, "up")];
    assert_eq!(grades(&changed)["a"], UP, "a session has one voice, its last");
}

#[test]
fn clicks_need_company_and_count_by_what_was_passed_over() {
    // b was clicked below a, which was passed over: each click weighs 1.
    let two: Vec<Event> = (0..2).map(|session| click(session, "b")).collect();
    assert!(grades(&two).is_empty(), "two are not enough");
    let three: Vec<Event> = (0..3).map(|session| click(session, "b")).collect();
    assert_eq!(grades(&three), BTreeMap::from([("a".to_owned(), 0), ("b".to_owned(), 1)]));
    // The first result is clicked because it is the first: half weight.
    let first: Vec<Event> = (0..5).map(|session| click(session, "a")).collect();
    assert!(grades(&first).is_empty());
    let six: Vec<Event> = (0..6).map(|session| click(session, "a")).collect();
    assert_eq!(grades(&six), BTreeMap::from([("a".to_owned(), 1)]));
    let same = vec![click(1, "b"); 9];
    assert!(grades(&same).is_empty(), "one session counts once");
}

#[test]
fn what_is_clicked_and_passed_over_is_reported_and_thumbs_outweigh_clicks() {
    let mut events: Vec<Event> = (0..3).map(|session| click(session, "b")).collect();
    events.extend((10..14).map(|session| click(session, "c")));
    let found = judge(&events, Rule::default());
    assert!(found.conflicts.iter().any(|c| c.document == "b" && c.why == "clicked by 3, passed over by 4"));
    assert_eq!(grades(&events), BTreeMap::from([("a".to_owned(), 0), ("c".to_owned(), 1)]));
    let mut down: Vec<Event> = (0..6).map(|session| click(session, "a")).collect();
    down.push(thumb(1, "down"));
    let found = judge(&down, Rule::default());
    assert_eq!((found.conflicts.len(), found.conflicts[0].grade), (1, Some(0)));
}

#[test]
fn without_sessions_half_an_hour_tells_people_apart() {
    let at = |time: &str| {
        event(serde_json::json!({ "query": "q", "shown": ["a", "b"], "clicked": ["b"], "time": time }))
    };
    let together = [at("2026-03-01T09:00:00Z"), at("2026-03-01T09:10:00Z"), at("2026-03-01T09:20:00Z")];
    assert!(grades(&together).is_empty());
    let apart = [at("2026-03-01T09:00:00Z"), at("2026-03-01T10:00:00Z"), at("2026-03-01T11:00:00+01:00")];
    assert!(grades(&apart).is_empty(), "the third is as early as the second");
    let apart = [at("2026-03-01T09:00:00Z"), at("2026-03-01T10:00:00Z"), at("2026-03-01T11:00:00Z")];
    assert_eq!(grades(&apart)["b"], 1);
}

#[test]
fn malformed_lines_are_refused_with_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let good = r#"{"query":"q","shown":["a"],"time":"2026-03-01T09:00:00Z"}"#;
    for (bad, complaint) in [
        ("nonsense", "line 2: not a JSON object"),
        (r#"{"query":"q","shown":["a"],"time":"yesterday"}"#, "line 2"),
        (r#"{"query":" ","shown":["a"],"time":"2026-03-01T09:00:00Z"}"#, "line 2: the query is empty"),
        (r#"{"query":"q","shown":[],"time":"2026-03-01T09:00:00Z"}"#, "line 2: nothing was shown"),
        (r#"{"query":"q","shown":["a"],"clicked":["b"],"time":"2026-03-01T09:00:00Z"}"#, "`b` was not shown"),
        (r#"{"query":"q","shown":["a\tb"],"time":"2026-03-01T09:00:00Z"}"#, "line 2"),
        (
            r#"{"query":"q","shown":["a"],"up":["a"],"down":["a"],"time":"2026-03-01T09:00:00Z"}"#,
            "a thumb up and",
        ),
        (r#"{"query":"q","shown":["a"],"clicks":["a"],"time":"2026-03-01T09:00:00Z"}"#, "line 2"),
    ] {
        fs_err::write(&path, format!("{good}\n{bad}\n")).unwrap();
        let error = read(&path, &mut Accepted::default()).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
    fs_err::write(&path, "\n").unwrap();
    assert!(read(&path, &mut Accepted::default()).unwrap_err().to_string().contains("has no event"));
}

#[test]
fn what_is_written_is_a_dataset_over_a_collection() {
    let folder = tempfile::tempdir().unwrap();
    let passages = event(serde_json::json!({
        "query": "hotel costs", "shown": [{"document": "a b", "chunk": "7"}, "c"], "up": ["7"],
        "time": "2026-03-01T09:30:00Z",
    }));
    let judgements = judge(&[passages], Rule::default());
    write(&judgements, folder.path()).unwrap();
    let dataset = Dataset::open(folder.path(), None).unwrap();
    assert!(matches!(dataset.documents, Documents::Indexed));
    assert_eq!(dataset.queries["feedback-00001"], "hotel costs");
    assert_eq!(dataset.qrels["feedback-00001"]["a b"], UP);
}

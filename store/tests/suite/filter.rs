//! The filter's text and JSON forms, its meaning, and its limits.

pub(crate) mod generate;

use proptest::prelude::*;
use serde_json::json;
use wellspring_store::filter::{Bound, Field, MAX_TEXT, Range, Value};
use wellspring_store::{ErrorKind, Filter, Metadata};

fn metadata(value: serde_json::Value) -> Metadata {
    serde_json::from_value(value).unwrap()
}

fn book() -> Metadata {
    metadata(json!({
        "lang": "de", "year": 2024, "price": 9.5, "draft": false, "tags": ["a", "b", null], "none": null, "empty": [],
        "project": {"id": 7, "owner": {"name": "ada"}}, "dotted.key": "x", "published": "2026-03-01",
        "seen": "2026-03-01T10:00:00+02:00", "items": [{"n": 1}, {"n": 5}], "odd name": 1, "five": "5"
    }))
}

#[test]
fn conditions_mean_what_they_say() {
    for (text, expected) in [
        (r#"lang = "de""#, true),
        (r#"lang != "de""#, false),
        (r#"missing != "de""#, true),
        (r#"missing = "de""#, false),
        ("year = 2024.0 and year >= 2024 and not year > 2024", true),
        ("five = 5", false),
        (r#"five = "5""#, true),
        ("draft = false", true),
        ("draft = true", false),
        (r#"tags = "b""#, true),
        (r#"tags in ["x", "a"]"#, true),
        ("tags in []", false),
        (r#"not tags = "a""#, false),
        ("exists(tags) and exists(empty) and exists(project) and exists(project.owner.name)", true),
        ("exists(none)", false),
        ("exists(missing)", false),
        ("not exists(missing)", true),
        ("project.id = 7", true),
        (r#"project.owner.name ^= "ad""#, true),
        (r#"dotted.key = "x""#, true),
        ("items.n = 5", true),
        ("range(items.n, > 1, < 5)", false),
        ("items.n > 1 and items.n < 5", true),
        (r#""odd name" = 1"#, true),
        (r#"published >= "2026-03-01" and published < "2026-03-02""#, true),
        (r#"published = date("2026-03-01T01:00:00+01:00")"#, true),
        (r#"published = "2026-03-01""#, true),
        (r#"seen = date("2026-03-01T08:00:00Z")"#, true),
        (r#"seen > "2026-03-01T08:00:00Z""#, false),
        (r#"lang >= "2026-03-01""#, false),
        (r#"published in [date("2026-03-01"), 3]"#, true),
        (r#"lang ^= """#, true),
        (r#"year ^= "2""#, false),
        ("true", true),
        ("false or true and not false", true),
        (r#"lang = "en" or year = 2024 and draft = true"#, false),
        (r#"(lang = "de" or year = 1) and draft = false"#, true),
        (r#"not (lang = "de" and year = 2024)"#, false),
        (r#"notes = "x" or android = 1 or order=1 or lang="de""#, true),
    ] {
        let filter = Filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(filter.matches(&book()), expected, "{text}");
    }
}

#[test]
fn errors_name_place_and_expectation() {
    for (text, place, expectation) in [
        ("", "byte 0", "field name"),
        ("lang", "byte 4", "`=`"),
        ("lang = ", "byte 7", "string in double quotes"),
        ("lang = 'de'", "byte 7", "string in double quotes"),
        (r#"lang = "de"#, "byte 7", "ends"),
        (r#"lang = "de" lang"#, "byte 12", "`and`, `or` or the end"),
        ("(year = 1", "byte 9", "`)`"),
        ("year in 1", "byte 8", "`[`"),
        ("year in [1 2]", "byte 11", "`,` or `]`"),
        ("year < true", "byte 7", "a number, a date"),
        (r#"year < "abc""#, "byte 7", "a number, a date"),
        (r#"year = date("abc")"#, "byte 12", "a date"),
        ("exists author", "byte 7", "`(`"),
        ("and = 1", "byte 0", "field name"),
        ("year == 1", "byte 6", "string in double quotes"),
        ("year = 1e999", "byte 7", "a number"),
        ("range(year, >= 1, >= 2)", "byte 22", "a lower and an upper bound"),
        ("é = 1", "byte 0", "field name"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let message = error.to_string();
        assert!(message.contains(place) && message.contains(expectation), "{text}: {message}");
    }
}

#[test]
fn limits_are_kept() {
    let deep = |levels: usize| format!("{}a = 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Filter::parse(&deep(60)).is_ok());
    assert!(Filter::parse(&deep(5000)).is_err());
    assert!(Filter::parse(&"not ".repeat(4000)).is_err());
    assert!(Filter::parse(&" ".repeat(MAX_TEXT + 1)).unwrap_err().to_string().contains("16384"));
    let many = |count: usize| vec!["a=1"; count].join(" or ");
    assert!(Filter::parse(&many(999)).is_ok());
    assert!(Filter::parse(&many(1001)).unwrap_err().to_string().contains("1000 conditions"));
    for (filter, word) in [
        (Filter::Eq(Field("a".repeat(257)), Value::Bool(true)), "1-256"),
        (Filter::Exists(Field(String::new())), "1-256"),
        (Filter::Exists(Field("_other".to_owned())), "_created_at"),
        (Filter::Eq(Field("a".to_owned()), Value::Number(f64::NAN)), "finite"),
        (Filter::Eq(Field("a".to_owned()), Value::Date(i64::MAX)), "9999"),
        (
            Filter::Range(Field("a".to_owned()), Range::Number { lower: Bound::Open, upper: Bound::Open }),
            "one bound",
        ),
    ] {
        let error = filter.validate().unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn the_json_form_is_plain() {
    let filter = Filter::parse(
        r#"lang = "de" and range(year, >= 2024, < 2026) and not path ^= "old/" and exists(author) and t < "2026-03-01""#,
    );
    let json = json!({"and": [
        {"eq": ["lang", "de"]},
        {"range": ["year", {"gte": 2024.0, "lt": 2026.0}]},
        {"not": {"prefix": ["path", "old/"]}},
        {"exists": "author"},
        {"range": ["t", {"lt": {"date": "2026-03-01T00:00:00Z"}}]},
    ]});
    let filter = filter.unwrap();
    assert_eq!(serde_json::to_value(&filter).unwrap(), json);
    assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
    let short: Filter = serde_json::from_value(json!({"range": ["t", {"gt": "2026-03-01"}]})).unwrap();
    assert_eq!(short, Filter::parse(r#"t > date("2026-03-01")"#).unwrap());
    for wrong in [
        json!({"eq": ["lang"]}),
        json!({"eq": ["lang", null]}),
        json!({"eq": ["lang", {"date": "soon"}]}),
        json!({"range": ["year", {"gte": 1, "gt": 1}]}),
        json!({"range": ["year", {"gte": 1, "lt": "2026-03-01"}]}),
        json!({"range": ["year", {"above": 1}]}),
        json!({"like": ["lang", "de"]}),
    ] {
        assert!(serde_json::from_value::<Filter>(wrong.clone()).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(filter in generate::filter()) {
        let text = filter.to_string();
        prop_assert_eq!(&Filter::parse(&text).unwrap(), &filter, "{}", text);
        let json = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        drop(Filter::parse(&text));
    }

    #[test]
    fn any_words_are_read_or_refused(
        words in proptest::collection::vec(
            proptest::sample::select(vec!["a", "and", "or", "not", "in", "(", ")", "[", "]", "=", "<", "\"x\"", "1", "exists", "range", ","]),
            0..20,
        )
    ) {
        if let Ok(filter) = Filter::parse(&words.join(" ")) {
            prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap().matches(&book()), filter.matches(&book()));
        }
    }
}

//! Random metadata and filters over few names and values, so that they often meet.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value as Json, json};
use wellspring_store::filter::{Bound, Field, Range, Value};
use wellspring_store::{Filter, Metadata};

const NAMES: &[&str] = &["a", "b", "a.b", "a.b.c", "b.a", "odd name", "in", "ä", "c\"d", "a\u{0}"];
const TEXTS: &[&str] = &[
    "",
    "x",
    "xy",
    "xyz",
    "5",
    "true",
    "ä",
    "x\u{0}",
    "x\u{0}y",
    "\u{10ffff}",
    "2026-03-01",
    "2026-03-01T00:00:00Z",
    "null",
];
const NUMBERS: &[f64] = &[-1.5, -0.0, 0.0, 1.0, 5.0, 9_007_199_254_740_993.0, 1e300];
/// 2026-03-01 and its neighbours by a microsecond.
const DATES: &[i64] = &[1_772_323_200_000_000, 1_772_323_199_999_999, 1_772_323_200_000_001, 0];

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        1 => Just(Json::Null),
        4 => select(TEXTS).prop_map(Json::from),
        3 => select(NUMBERS).prop_map(Json::from),
        1 => select(vec![json!(5), json!(1), json!(9_007_199_254_740_993_i64), json!(u64::MAX)]),
        1 => any::<bool>().prop_map(Json::from),
    ]
}

fn value() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Json::from),
            btree_map(select(vec!["a", "b", "c", "b.c", ""]), inner, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

#[allow(dead_code, reason = "one of the two test programs that share this file needs filters only")]
pub(crate) fn metadata() -> impl Strategy<Value = Metadata> {
    btree_map(select(NAMES).prop_map(str::to_owned), value(), 0..5)
}

fn field() -> impl Strategy<Value = Field> {
    select(NAMES).prop_map(|name| Field(name.to_owned()))
}

fn typed() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => select(TEXTS).prop_map(|text| Value::String(text.to_owned())),
        3 => select(NUMBERS).prop_map(Value::Number),
        1 => any::<bool>().prop_map(Value::Bool),
        2 => select(DATES).prop_map(Value::Date),
    ]
}

fn bounds<T: Copy + std::fmt::Debug + 'static>(
    values: &'static [T],
) -> impl Strategy<Value = (Bound<T>, Bound<T>)> {
    let bound = || {
        select(values).prop_flat_map(|v| select(vec![Bound::Included(v), Bound::Excluded(v), Bound::Open]))
    };
    (bound(), bound()).prop_filter("one bound at least", |pair| !matches!(pair, (Bound::Open, Bound::Open)))
}

fn leaf() -> impl Strategy<Value = Filter> {
    prop_oneof![
        (field(), typed()).prop_map(|(field, value)| Filter::Eq(field, value)),
        (field(), vec(typed(), 0..4)).prop_map(|(field, values)| Filter::In(field, values)),
        (field(), bounds(NUMBERS))
            .prop_map(|(f, (lower, upper))| Filter::Range(f, Range::Number { lower, upper })),
        (field(), bounds(DATES))
            .prop_map(|(f, (lower, upper))| Filter::Range(f, Range::Date { lower, upper })),
        field().prop_map(Filter::Exists),
        (field(), select(TEXTS)).prop_map(|(field, text)| Filter::Prefix(field, text.to_owned())),
    ]
}

fn lists(inner: impl Strategy<Value = Filter> + Clone) -> impl Strategy<Value = Vec<Filter>> {
    // A list of one is written as its element.
    prop_oneof![1 => Just(Vec::new()), 6 => vec(inner, 2..4)]
}

pub(crate) fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            lists(inner.clone()).prop_map(Filter::And),
            lists(inner.clone()).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

//! Reads as much of a growing JSON text as is certain already.

use serde_json::Value;

/// The value that `text`, the beginning of a JSON object or array, holds so far: with every member and element that is
/// whole, and none that could still change. `None` before it has begun, and for what is no JSON.
pub fn grown(text: &str) -> Option<Value> {
    let start = text.find(['{', '['])?;
    let text = &text[start..];
    let mut open: Vec<Level> = Vec::new();
    // Up to where everything is certain, and what is open there.
    let mut certain: Option<(usize, Vec<Level>)> = None;
    let mut string: Option<bool> = None;
    let mut plain = false;
    for (at, c) in text.char_indices() {
        if let Some(escaped) = string {
            string = match c {
                _ if escaped => Some(false),
                '\\' => Some(true),
                '"' => None,
                _ => Some(false),
            };
            if string.is_none() && open.last().is_some_and(|level| !level.awaits_key) {
                certain = Some((at + 1, open.clone()));
            }
            continue;
        }
        match c {
            '"' => string = Some(false),
            '{' | '[' => {
                open.push(Level { object: c == '{', awaits_key: c == '{' });
                certain = Some((at + 1, open.clone()));
            }
            '}' | ']' => {
                open.pop();
                certain = Some((at + 1, open.clone()));
                if open.is_empty() {
                    break;
                }
                plain = false;
            }
            ',' => {
                // A number or a word ends only where something else begins.
                if plain {
                    certain = Some((at, open.clone()));
                }
                plain = false;
                if let Some(level) = open.last_mut() {
                    level.awaits_key = level.object;
                }
            }
            ':' => {
                if let Some(level) = open.last_mut() {
                    level.awaits_key = false;
                }
            }
            c if c.is_whitespace() => {}
            _ => plain = true,
        }
    }
    let (end, open) = certain?;
    let closing: String = open.iter().rev().map(|level| if level.object { '}' } else { ']' }).collect();
    serde_json::from_str(&format!("{}{closing}", &text[..end])).ok()
}

/// An object or array that is open.
#[derive(Debug, Clone, Copy)]
struct Level {
    object: bool,
    /// The next string is a member's name.
    awaits_key: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_whole_is_there() {
        for (text, expected) in [
            ("", None),
            ("Here it is: {", Some(json!({}))),
            (r#"{"a": 1"#, Some(json!({}))),
            (r#"{"a": 1,"#, Some(json!({"a": 1}))),
            (r#"{"a": 1, "b"#, Some(json!({"a": 1}))),
            (r#"{"a": 1, "b": "x\"}"#, Some(json!({"a": 1}))),
            (r#"{"a": [1, 2"#, Some(json!({"a": [1]}))),
            (r#"{"a": [1, {"b": "c""#, Some(json!({"a": [1, {"b": "c"}]}))),
            (r#"{"a": true} and more"#, Some(json!({"a": true}))),
            (r#"{"a" 1,"#, None),
        ] {
            assert_eq!(grown(text), expected, "{text}");
        }
    }

    /// Whether everything in `part` is in `whole`, at the same place.
    fn within(part: &Value, whole: &Value) -> bool {
        match (part, whole) {
            (Value::Object(part), Value::Object(whole)) => {
                part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| within(value, whole)))
            }
            (Value::Array(part), Value::Array(whole)) => {
                part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| within(part, whole))
            }
            (part, whole) => part == whole,
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],: é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"{]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_only_grows_and_ends_whole(inner in values()) {
            let value = json!({ "x": inner });
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let mut earlier = json!({});
                for (end, _) in text.char_indices().skip(1) {
                    let part = grown(&text[..end]).unwrap();
                    prop_assert!(within(&part, &value), "{part} of {value}");
                    prop_assert!(within(&earlier, &part), "{earlier} then {part}");
                    earlier = part;
                }
                prop_assert_eq!(grown(&text), Some(value.clone()));
            }
        }
    }
}

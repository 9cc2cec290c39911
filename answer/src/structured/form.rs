//! The form that a model is asked to fill in for somebody's own schema, and how its reply is read.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wellspring_models::structured::Shape;

use crate::error::Result;
use crate::ground::facts::{Facts, Number};
use crate::terms::terms;

/// Where the asker's schema stands within the form's.
const PLACE: &str = "#/properties/answer";
/// Fields of one object; a larger one is refused.
const MAX_FIELDS: usize = 200;

/// See the module.
#[derive(Debug)]
pub(crate) struct UserForm {
    /// Of the whole reply.
    pub(super) shape: Shape,
    /// Values that the schema itself names: their words need not stand in a document.
    named: BTreeSet<String>,
}

/// What a model gives as evidence of one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) statement: String,
    pub(super) passages: Vec<u64>,
    pub(super) reason: Option<String>,
}

impl Entry {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let numbers = value["passages"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        Self {
            path: text("path"),
            statement: text("statement"),
            passages: numbers.take(10).collect(),
            reason: Some(text("reason"))
                .filter(|reason| !reason.is_empty())
                .map(|reason| reason.chars().take(300).collect()),
        }
    }

    /// The statement as a sentence of an answer, with its markers.
    pub(super) fn marked(&self) -> String {
        let markers: String = self.passages.iter().map(|n| format!("[{n}]")).collect();
        format!("{} {markers}", self.statement.replace('\n', " "))
    }
}

impl UserForm {
    /// `Invalid` names what is wrong with the schema.
    pub(crate) fn new(schema: Value) -> Result<Self> {
        // What the asker reads of errors should be about the schema as they wrote it.
        Shape::new("answer", "The answer", schema.clone())?;
        let mut named = BTreeSet::new();
        names(&schema, &mut named);
        let reply = json!({
            "type": "object",
            "properties": {
                "answer": nullable(&schema),
                "evidence": {
                    "type": "array",
                    "maxItems": MAX_FIELDS,
                    "items": {
                        "type": "object",
                        "properties": {
                            "path": { "type": "string" },
                            "statement": { "type": "string" },
                            "passages": { "type": "array", "items": { "type": "integer" } },
                            "reason": { "type": "string" },
                        },
                        "required": ["path"],
                    },
                },
            },
            "required": ["answer", "evidence"],
        });
        Ok(Self { shape: Shape::new("answer", "The form, filled in", reply)?, named })
    }

    /// What is wrong with a reply beyond its schema.
    pub(super) fn rules(&self, reply: &Value) -> Vec<String> {
        let fields = leaves(&reply["answer"]);
        if fields.len() > MAX_FIELDS {
            return vec![format!("/answer: has {} fields, {MAX_FIELDS} is the limit", fields.len())];
        }
        let told: BTreeSet<&str> = reply["evidence"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["path"].as_str())
            .collect();
        let filled = |path: &&String| reply["answer"].pointer(path).is_some_and(|value| !value.is_null());
        let missing: Vec<&String> =
            fields.iter().filter(filled).filter(|path| !told.contains(path.as_str())).collect();
        missing.into_iter().take(8).map(|path| format!("/evidence: has no entry for {path}")).collect()
    }

    /// The object and its evidence.
    pub(super) fn parts(&self, mut reply: Value) -> (Value, Vec<Entry>) {
        let entries = reply["evidence"].as_array().into_iter().flatten().map(Entry::read).collect();
        (reply["answer"].take(), entries)
    }

    /// Whether a value need not stand in its evidence word for word: true and false, and words of the schema itself.
    pub(super) fn exempt(&self, value: &Value) -> bool {
        match value {
            Value::Bool(_) => true,
            Value::String(text) => self.named.contains(text),
            _ => false,
        }
    }
}

/// Pointers to everything that is no object or array, in order.
pub(super) fn leaves(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                walk(value, &format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }),
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(place, value)| walk(value, &format!("{path}/{place}"), found));
            }
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    // An object that is null as a whole has no pointer of its own.
    found.retain(|path| !path.is_empty());
    found
}

/// Whether a sentence says a value: a number by its value, a date by its day, other text word for word.
pub(super) fn says(statement: &str, value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            let Some(wanted) = number.as_f64() else { return false };
            let close = |found: f64| (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0);
            // Years are numbers within dates, too.
            let words = statement.split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',')));
            let plain =
                words.filter_map(|word| word.trim_matches(['.', ',']).replace(',', "").parse::<f64>().ok());
            let stated = Facts::of(statement).numbers;
            plain.into_iter().any(close)
                || stated.iter().any(|found| matches!(found, Number::Value(value) if close(*value)))
        }
        Value::String(text) => {
            let (dates, told) = (Facts::of(text).dates, Facts::of(statement).dates);
            let day = !dates.is_empty() && dates.iter().all(|date| told.contains(date));
            let (wanted, present) = (terms(text), terms(statement));
            let words = !wanted.is_empty() && wanted.is_subset(&present);
            day || words || statement.to_lowercase().contains(&text.to_lowercase())
        }
        _ => false,
    }
}

/// The schema with null allowed for every member and element, and with references that lead where it will stand.
fn nullable(schema: &Value) -> Value {
    let or_null = |schema: &Value| json!({ "anyOf": [nullable(schema), { "type": "null" }] });
    let each = |value: &Value, of: &dyn Fn(&Value) -> Value| match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), of(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(of).collect()),
        other => other.clone(),
    };
    let Value::Object(members) = schema else { return schema.clone() };
    let mut made = Map::new();
    for (name, value) in members {
        let value = match name.as_str() {
            "properties" | "patternProperties" | "prefixItems" => each(value, &or_null),
            "items" | "additionalProperties" if value.is_object() => or_null(value),
            "$defs" | "definitions" | "anyOf" | "oneOf" | "allOf" => each(value, &nullable),
            "$ref" | "$dynamicRef" => match value.as_str().and_then(|to| to.strip_prefix('#')) {
                Some(to) => json!(format!("{PLACE}{to}")),
                None => value.clone(),
            },
            // The form is one document: parts of it have no names of their own.
            "$id" | "$schema" | "$anchor" => continue,
            _ => value.clone(),
        };
        made.insert(name.clone(), value);
    }
    Value::Object(made)
}

/// Every text that the schema names as a value.
fn names(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("const", Value::String(text)) => {
                        found.insert(text.clone());
                    }
                    ("enum", Value::Array(values)) => {
                        found.extend(values.iter().filter_map(|value| value.as_str().map(str::to_owned)));
                    }
                    _ => names(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_field_may_be_null_and_references_still_lead_home() {
        let form = UserForm::new(json!({
            "type": "object",
            "properties": {
                "days": { "type": "integer" },
                "offices": { "type": "array", "items": { "$ref": "#/$defs/office" } },
            },
            "required": ["days"],
            "$defs": { "office": { "type": "object", "properties": { "city": { "type": "string" } } } },
        }))
        .unwrap();
        let fits = |value: Value| form.shape.errors(&json!({ "answer": value, "evidence": [] })).is_empty();
        assert!(fits(json!({ "days": null, "offices": [null, { "city": null }, { "city": "Kiel" }] })));
        assert!(
            !fits(json!({ "days": "many" }))
                && !fits(json!({}))
                && !fits(json!({ "days": 1, "offices": [{ "city": 1 }] }))
        );
        assert!(UserForm::new(json!({ "type": "string" })).is_err());
    }

    #[test]
    fn every_filled_field_needs_evidence() {
        let form = UserForm::new(json!({ "type": "object", "properties": { "a/b": {}, "c": {} } })).unwrap();
        let reply =
            json!({ "answer": { "a/b": [1, { "d": null }], "c": "x" }, "evidence": [{ "path": "/c" }] });
        assert_eq!(leaves(&reply["answer"]), ["/a~1b/0", "/a~1b/1/d", "/c"]);
        assert_eq!(form.rules(&reply), ["/evidence: has no entry for /a~1b/0"]);
    }

    #[test]
    fn a_statement_must_say_its_value() {
        for (statement, value, expected) in [
            ("Everyone has thirty days of leave.", json!(30), true),
            ("Everyone has 30 days of leave.", json!(31), false),
            ("It costs 1,250.50 EUR.", json!(1250.5), true),
            ("It was founded in 1999.", json!(1999), true),
            ("The release was on 3 May 2024.", json!("2024-05-03"), true),
            ("The release was on 3 May 2024.", json!("2024-05-04"), false),
            ("It is led by Ada Byron.", json!("Ada Byron"), true),
            ("It is led by Ada Byron.", json!("Grace Hopper"), false),
            ("Write to it@example.org.", json!("it@example.org"), true),
        ] {
            assert_eq!(says(statement, &value), expected, "{statement} {value}");
        }
    }
}

//! Checks a response against the shape that `openapi.json` promises, unknown members included.

use reqwest::{Method, StatusCode};
use serde_json::Value;

/// Panics with the place if the body is not what the description says. Paths it does not describe are left alone.
pub(crate) fn check(api: &Value, method: &Method, path: &str, status: StatusCode, body: &Value) {
    let Some(operation) = operation(api, method, path) else { return };
    let responses = &operation["responses"];
    let Some(response) = responses.get(status.as_str()) else {
        // What every request can meet (a foreign host, a timeout, a full server) is not repeated at each operation.
        let shared =
            matches!(status.as_u16(), 400 | 401 | 403 | 404 | 405 | 413 | 415 | 422 | 429 | 500 | 503 | 504);
        assert!(shared, "{method} {path}: {status} is not described");
        return matches(api, &api["components"]["schemas"]["Problem"], body, "problem");
    };
    let content =
        response["content"].as_object().unwrap_or_else(|| panic!("{method} {path} {status}: no content"));
    if body.is_string() && content.keys().any(|kind| !kind.ends_with("/json") && !kind.ends_with("+json")) {
        // A text that the description offers beside JSON.
        return;
    }
    let schema = content.iter().find(|(kind, _)| kind.contains("json")).map(|(_, media)| &media["schema"]);
    matches(
        api,
        schema.unwrap_or_else(|| panic!("{method} {path} {status}: no JSON")),
        body,
        &format!("{method} {path}"),
    );
}

fn operation<'a>(api: &'a Value, method: &Method, path: &str) -> Option<&'a Value> {
    let segments: Vec<_> = path.split('/').collect();
    let (_, item) = api["paths"].as_object()?.iter().find(|(template, _)| {
        let template: Vec<_> = template.split('/').collect();
        template.len() == segments.len()
            && template.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    })?;
    item.get(method.as_str().to_lowercase())
}

fn matches(api: &Value, schema: &Value, value: &Value, place: &str) {
    if let Err(fault) = conforms(api, schema, value, place) {
        panic!("{fault}");
    }
}

fn conforms(api: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = api
            .pointer(reference.trim_start_matches('#'))
            .ok_or_else(|| format!("{reference} is missing"))?;
        return conforms(api, target, value, place);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let faults: Vec<_> = choices.iter().map(|choice| conforms(api, choice, value, place)).collect();
            return match faults.iter().any(Result::is_ok) {
                true => Ok(()),
                false => Err(format!("{place}: none of {choice} fits {value}: {faults:?}")),
            };
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.contains(&actual) || actual == "integer" && types.contains(&"number");
    if !fits {
        return Err(format!("{place}: {value} is not of type {types:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{place}: {value} is none of {allowed:?}"));
    }
    match value {
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            conforms(api, &schema["items"], item, &format!("{place}[{index}]"))
        }),
        Value::Object(members) => {
            for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(required) {
                    return Err(format!("{place}: {required} is missing"));
                }
            }
            members.iter().try_for_each(|(name, member)| {
                let inner = format!("{place}.{name}");
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(schema), _) => conforms(api, schema, member, &inner),
                    (None, Some(Value::Object(_))) => {
                        conforms(api, &schema["additionalProperties"], member, &inner)
                    }
                    // An object without described members is free.
                    (None, _) if schema["properties"].is_null() => Ok(()),
                    (None, _) => Err(format!("{inner} is not described")),
                }
            })
        }
        _ => Ok(()),
    }
}

//! What a chat model may call, what it called, and what came back: one form for every provider's own.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A tool as a model is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// 1–64 characters of `a-z A-Z 0-9 _ -`, which every provider takes.
    pub name: String,
    /// What it does and when to use it, for the model.
    pub description: String,
    /// The JSON schema of its arguments: an object.
    pub parameters: Value,
}

/// A call that a model asks for. Untrusted: the name may be of no tool, the arguments of no schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call, given back with its result.
    pub id: String,
    /// The tool's name as the model wrote it.
    pub name: String,
    /// Its arguments as the model wrote them; `Err` where that is not JSON, with the text as it came.
    #[serde(with = "arguments")]
    pub arguments: Result<Value, String>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// For the model to read.
    pub content: String,
    /// Whether it says why the call failed.
    pub is_error: bool,
}

/// One turn of a model that called tools: what it said beside, and every call with its result, since no provider takes a
/// call without one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolTurn {
    /// What it said before the calls; may be empty.
    pub text: String,
    /// The calls, in order.
    pub calls: Vec<(ToolCall, ToolResult)>,
}

/// The form that a reply is asked for in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// 1–64 characters of `a-z A-Z 0-9 _ -`.
    pub name: String,
    /// What the object is, for the model.
    pub description: String,
    /// The JSON schema, of an object.
    pub schema: Value,
}

impl ToolCall {
    /// A call whose arguments came as text; empty text is an empty object.
    pub fn parse(id: String, name: String, arguments: &str) -> Self {
        let arguments = match arguments.trim() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => serde_json::from_str(text).map_err(|_| text.to_owned()),
        };
        Self { id, name, arguments }
    }

    /// The arguments as text, as the model wrote them.
    pub fn arguments_text(&self) -> String {
        match &self.arguments {
            Ok(value) => value.to_string(),
            Err(text) => text.clone(),
        }
    }
}

/// Kept as an object; text that is not JSON as a string, which no schema of arguments takes.
mod arguments {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(
        arguments: &Result<Value, String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match arguments {
            Ok(value) => value.serialize(serializer),
            Err(text) => text.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Result<Value, String>, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Err(text),
            value => Ok(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_no_json_are_kept_as_they_came() {
        for (text, expected) in [
            ("", Ok(serde_json::json!({}))),
            (r#"{"a": 1}"#, Ok(serde_json::json!({ "a": 1 }))),
            (r#"{"a": "#, Err(r#"{"a":"#.to_owned())),
        ] {
            let call = ToolCall::parse("1".to_owned(), "t".to_owned(), text);
            assert_eq!(call.arguments, expected);
            let kept = serde_json::to_string(&call).unwrap();
            assert_eq!(serde_json::from_str::<ToolCall>(&kept).unwrap(), call);
        }
    }
}

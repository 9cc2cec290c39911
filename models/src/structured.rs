//! Replies as JSON of a schema: asked for, validated, repaired once with the errors shown, else refused.

mod partial;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::chat::{ChatModel, ChatRequest, FinishReason, Message, Role, Usage};
use crate::error::{ErrorKind, ModelError, Result};
use crate::prompt::fill;
use crate::tools::OutputSchema;

pub use partial::grown;

const FORM: &str = include_str!("structured/form.md");
const REPAIR: &str = include_str!("structured/repair.md");

/// Bytes of a schema.
const MAX_SCHEMA: usize = 64 << 10;
/// Levels of a schema.
const MAX_DEPTH: usize = 48;
/// Errors that are told of one value.
const MAX_ERRORS: usize = 8;

/// A form that values must have. Checking asks nobody: a schema that refers to another document is refused.
#[derive(Debug)]
pub struct Shape {
    output: OutputSchema,
    validator: jsonschema::Validator,
}

/// A reply that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitting<T = Value> {
    /// What was said.
    pub value: T,
    /// Tokens of both rounds, where the provider says.
    pub usage: Option<Usage>,
    /// The configured name of the model that answered last.
    pub served_by: String,
    /// Whether the first reply did not fit.
    pub repaired: bool,
}

impl Shape {
    /// The form of a type. `name` is 1–64 characters of `a-z A-Z 0-9 _ -`.
    ///
    /// # Errors
    ///
    /// `Internal` for a type whose schema is none of an object.
    pub fn of<T: JsonSchema>(name: &str, description: &str) -> Result<Self> {
        let schema = schemars::schema_for!(T).to_value();
        Self::new(name, description, schema).map_err(|error| {
            ModelError::new(ErrorKind::Internal, "a type of ours has no usable schema").with_source(error)
        })
    }

    /// The form that a schema tells, which may come from anybody: of an object, at most 64 KiB and 48 levels, referring
    /// to nothing outside itself.
    ///
    /// # Errors
    ///
    /// `Invalid` names what is wrong with it.
    pub fn new(name: &str, description: &str, schema: Value) -> Result<Self> {
        let invalid = |why: String| ModelError::new(ErrorKind::Invalid, format!("the schema {why}"));
        let named = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if !named {
            return Err(invalid("needs a name of 1-64 characters of a-z, A-Z, 0-9, _ or -".to_owned()));
        }
        if !schema.is_object() || !is_of_object(&schema) {
            return Err(invalid("must be of an object: `\"type\": \"object\"`".to_owned()));
        }
        if schema.to_string().len() > MAX_SCHEMA {
            return Err(invalid(format!("is larger than {MAX_SCHEMA} bytes")));
        }
        check(&schema, 0).map_err(invalid)?;
        let validator = jsonschema::options()
            .offline()
            // Linear in the text, whatever pattern somebody sends.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(&schema)
            .map_err(|error| invalid(format!("is not valid: {error}")))?;
        let output = OutputSchema { name: name.to_owned(), description: description.to_owned(), schema };
        Ok(Self { output, validator })
    }

    /// As a model is told of it.
    pub fn output(&self) -> &OutputSchema {
        &self.output
    }

    /// What is wrong with a value, each with its place; empty if it fits. At most eight are told.
    pub fn errors(&self, value: &Value) -> Vec<String> {
        let told = self.validator.iter_errors(value).take(MAX_ERRORS).map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the object".to_owned() } else { place };
            let said: String = error.to_string().chars().take(300).collect();
            format!("{place}: {said}")
        });
        told.collect()
    }

    /// Asks for a reply of this form.
    pub fn ask(&self, mut request: ChatRequest) -> ChatRequest {
        let form = fill(FORM, &[("schema", &self.output.schema.to_string())]);
        match request.messages.iter_mut().rev().find(|message| message.role == Role::System) {
            Some(system) => system.content = format!("{}\n\n{}", system.content, form.trim_end()),
            None => {
                let content = form.trim_end().to_owned();
                request.messages.insert(0, Message { role: Role::System, content });
            }
        }
        request.output = Some(self.output.clone());
        request
    }

    /// Asks once more, showing what was wrong.
    pub fn ask_again(&self, mut asked: ChatRequest, said: &str, errors: &[String]) -> ChatRequest {
        let errors: Vec<String> = errors.iter().map(|error| format!("- {error}")).collect();
        // A provider refuses an empty message.
        let said = if said.trim().is_empty() { "{}" } else { said };
        asked.messages.push(Message { role: Role::Assistant, content: said.to_owned() });
        let content = fill(REPAIR, &[("errors", &errors.join("\n"))]).trim_end().to_owned();
        asked.messages.push(Message { role: Role::User, content });
        asked
    }

    /// The value that a reply holds, if it fits schema and `rules`; else what is wrong with it.
    pub fn read(&self, reply: &str, rules: impl Fn(&Value) -> Vec<String>) -> Result<Value, Vec<String>> {
        let value: Value = serde_json::from_str(object(reply))
            .map_err(|error| vec![format!("the reply is not one JSON object: {error}")])?;
        let mut errors = self.errors(&value);
        if errors.is_empty() {
            errors = rules(&value);
        }
        if errors.is_empty() { Ok(value) } else { Err(errors) }
    }

    /// Asks a model, and once more if the reply does not fit schema or `rules`, which tell what is wrong with a value.
    ///
    /// # Errors
    ///
    /// Those of the model; `Corrupt` if the second reply does not fit either.
    pub async fn complete(
        &self,
        model: &dyn ChatModel,
        request: ChatRequest,
        rules: impl Fn(&Value) -> Vec<String> + Send + Sync,
    ) -> Result<Fitting> {
        let request = self.ask(request);
        let first = model.complete(&request).await?;
        let errors = match self.read(&first.text, &rules) {
            Ok(value) if first.finish != FinishReason::Length => {
                let (usage, served_by) = (first.usage, first.served_by);
                return Ok(Fitting { value, usage, served_by, repaired: false });
            }
            Ok(_) => vec!["the reply was cut off: be briefer".to_owned()],
            Err(errors) => errors,
        };
        tracing::debug!(model = model.name(), ?errors, "a reply does not fit its schema; asking again");
        let second = model.complete(&self.ask_again(request, &first.text, &errors)).await?;
        let value = self.read(&second.text, &rules).map_err(|errors| self.unfit(&errors))?;
        Ok(Fitting {
            value,
            usage: sum(first.usage, second.usage),
            served_by: second.served_by,
            repaired: true,
        })
    }

    /// As [`Self::complete`], as a type of ours.
    pub async fn complete_as<T: DeserializeOwned>(
        &self,
        model: &dyn ChatModel,
        request: ChatRequest,
    ) -> Result<Fitting<T>> {
        let rules = |value: &Value| match T::deserialize(value) {
            Ok(_) => Vec::new(),
            Err(error) => vec![error.to_string()],
        };
        let Fitting { value, usage, served_by, repaired } = self.complete(model, request, rules).await?;
        let value = serde_json::from_value(value).map_err(|error| {
            ModelError::new(ErrorKind::Internal, "a checked reply can't be read").with_source(error)
        })?;
        Ok(Fitting { value, usage, served_by, repaired })
    }

    /// The refusal of a reply that did not fit twice.
    pub fn unfit(&self, errors: &[String]) -> ModelError {
        let message =
            format!("the model's reply does not fit the schema, asked twice: {}", errors.join("; "));
        ModelError::new(ErrorKind::Corrupt, message)
    }
}

/// What two calls used together; `None` unless both are known.
pub fn sum(a: Option<Usage>, b: Option<Usage>) -> Option<Usage> {
    let (a, b) = (a?, b?);
    Some(Usage {
        input_tokens: a.input_tokens + b.input_tokens,
        output_tokens: a.output_tokens + b.output_tokens,
        cached_input_tokens: a.cached_input_tokens + b.cached_input_tokens,
        cache_write_tokens: a.cache_write_tokens + b.cache_write_tokens,
    })
}

/// Whether the schema says that it is of an object, itself or by what it is made of.
fn is_of_object(schema: &Value) -> bool {
    match schema.get("type") {
        Some(kind) => kind == "object",
        None => schema.get("properties").is_some(),
    }
}

/// Refuses what is too deep, and references that lead outside.
fn check(schema: &Value, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("has more than {MAX_DEPTH} levels"));
    }
    match schema {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            let refers = matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
            if refers && value.as_str().is_some_and(|to| !to.starts_with('#')) {
                return Err(format!("refers to {value}; only references within it (`#…`) are followed"));
            }
            check(value, depth + 1)
        }),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        _ => Ok(()),
    }
}

/// The object in a reply, without a fence or words around it.
fn object(reply: &str) -> &str {
    match (reply.find('{'), reply.rfind('}')) {
        (Some(start), Some(end)) if start < end => &reply[start..=end],
        _ => reply.trim(),
    }
}

#[cfg(test)]
mod tests;

//! Answers in a schema of the asker's own: every field hangs on a sentence that was checked, or is null with the reason.

mod form;

use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use wellspring_models::prompt::{fence, fill, visible};
use wellspring_models::structured::{grown, sum};
use wellspring_models::{ChatEvent, ChatModel, ChatRequest, FinishReason, Message, Role};

use crate::error::Result;
use crate::extractive::Placed;
use crate::generate::Generation;
use crate::ground::{Checked, Claim, Grounds};
use crate::prompt;
use crate::reply::{AnswerEvent, Citation, Decision, Details, PromptVersion};
use crate::run::{Checking, Run, Written};

pub(crate) use form::UserForm;
use form::{Entry, leaves, says};

const SYSTEM: &str = include_str!("prompts/schema_system.md");
const USER: &str = include_str!("prompts/schema_user.md");

/// The refusal where there is no model.
pub(crate) const NEEDS_MODEL: &str =
    "an answer in a schema needs a chat model, and none is configured or `extractive` was asked for";

/// The refusal of a reply that does not fit, asked twice.
pub(crate) const UNFIT: &str = "the model's reply does not fit the schema, asked twice";

/// An object in the schema that was asked for. Any field may be null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Structured {
    /// The object.
    pub value: Value,
    /// Every field that is no object or array, in the order of the object.
    pub fields: Vec<Field>,
}

/// One field, and what it hangs on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its JSON pointer (RFC 6901) in the object.
    pub path: String,
    /// The sentence that says it, which is one of the answer's; `None` for a field that is null.
    pub claim: Option<String>,
    /// How well the sentence's passages support it, 0–1; 0 for a field that is null.
    pub support: f64,
    /// What it hangs on; empty for a field that is null.
    pub citations: Vec<Citation>,
    /// Why it is null.
    pub reason: Option<String>,
}

impl Field {
    fn null(path: &str, reason: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            claim: None,
            support: 0.0,
            citations: Vec::new(),
            reason: Some(reason.into()),
        }
    }
}

fn version() -> PromptVersion {
    PromptVersion { name: "schema", hash: wellspring_models::prompt::version(&[SYSTEM, USER]) }
}

/// Gives each field the citations that its sentence has in the end; a field whose sentence is gone becomes null.
pub(crate) fn settle(details: &mut Details, claims: &[Claim], refused: Option<&str>) {
    let Some(Structured { value, fields }) = &mut details.structured else { return };
    for field in fields {
        let Some(said) = &field.claim else { continue };
        let claim = claims.iter().find(|claim| claim.text == *said && !claim.citations.is_empty());
        match (claim, refused) {
            (Some(claim), None) => {
                field.support = claim.support;
                field.citations = claim.citations.clone();
            }
            (_, refused) => {
                set_null(value, &field.path);
                let reason =
                    refused.unwrap_or("what supports it was changed or deleted while the answer was made");
                *field = Field::null(&field.path, reason);
            }
        }
    }
}

fn set_null(value: &mut Value, path: &str) {
    if let Some(field) = value.pointer_mut(path) {
        *field = Value::Null;
    }
}

/// An entry of the evidence, checked.
struct Draft {
    entry: Entry,
    checked: Checked,
}

impl Run {
    /// The object that the model fills in, every field checked; nothing of it is shown before.
    pub(crate) async fn fill_in(
        &mut self,
        model: Arc<dyn ChatModel>,
        question: &str,
        usable: &[Placed],
        checking: Checking,
        form: &UserForm,
    ) -> Result<Written> {
        let config = Arc::clone(&self.answerer.config);
        let shown = self.packed(model.as_ref(), usable).await;
        let fence = fence()?;
        let quoted: Vec<String> =
            shown.iter().map(|(place, passage)| prompt::quote(place + 1, passage, &fence)).collect();
        let values = [("fence", fence.as_str()), ("question", question), ("passages", &quoted.join("\n\n"))];
        let message =
            |role, template| Message { role, content: fill(template, &values).trim_end().to_owned() };
        let request = form.shape.ask(ChatRequest {
            messages: vec![message(Role::System, SYSTEM), message(Role::User, USER)],
            max_tokens: config.max_tokens,
            temperature: config.temperature,
            seed: config.seed,
            ..ChatRequest::default()
        });
        let time = Arc::clone(&self.budget);
        let grounds = self.grounds(checking, &time, &shown).await?;
        let budget = Duration::from_millis(config.generation_deadline_ms);
        let mut generation = Generation::start(model.as_ref(), &request, true, budget).await?;
        let mut text = String::new();
        let mut drafts: Vec<Draft> = Vec::new();
        let mut finish = loop {
            match generation.next().await? {
                ChatEvent::Token(token) => {
                    text.push_str(&token);
                    // Nothing is shown before the judge has seen it.
                    if token.contains('}') && !self.is_judged() {
                        self.partial(&grounds, form, &text, &mut drafts).await?;
                    }
                }
                ChatEvent::Call(_) => {}
                ChatEvent::Done { finish, usage, served_by } => {
                    // An agent has used some before.
                    let before = self.usage.take();
                    self.usage = if before.is_some() { sum(before, usage) } else { usage };
                    self.model = Some(served_by);
                    break finish;
                }
            }
        };
        self.details.prompt = Some(version());
        let rules = |value: &Value| form.rules(value);
        let mut read = form.shape.read(&text, rules);
        if finish == FinishReason::Length {
            read = Err(vec!["the reply was cut off: write shorter statements".to_owned()]);
        }
        let read = match read {
            Ok(reply) => Ok(reply),
            Err(errors) => {
                let again = form.shape.ask_again(request, &text, &errors);
                let second = tokio::time::timeout(budget, model.complete(&again)).await.map_err(|_| {
                    let message = format!("the chat model did not finish within {} ms", budget.as_millis());
                    wellspring_models::ModelError::new(wellspring_models::ErrorKind::Timeout, message)
                })??;
                self.usage = sum(self.usage, second.usage);
                self.model = Some(second.served_by.clone());
                finish = second.finish;
                drafts.clear();
                form.shape.read(&second.text, rules)
            }
        };
        if let Some(usage) = self.usage {
            self.events.send(AnswerEvent::Usage(usage)).await;
        }
        self.ended(finish).await;
        let reply = match read {
            Ok(reply) => reply,
            Err(errors) => {
                let (model, errors) = (model.name(), errors.len());
                tracing::warn!(model, errors, "a reply does not fit its schema, asked twice");
                return Ok(Written::Unfit);
            }
        };
        let (value, entries) = form.parts(reply);
        for entry in entries.into_iter().skip(drafts.len()) {
            let checked = grounds.check(&entry.marked()).await?;
            drafts.push(Draft { entry, checked });
        }
        let (entries, checked): (Vec<Entry>, Vec<Checked>) =
            drafts.into_iter().map(|draft| (draft.entry, draft.checked)).unzip();
        let checked = self.judged(&shown, checked).await;
        let drafts: Vec<Draft> =
            entries.into_iter().zip(checked).map(|(entry, checked)| Draft { entry, checked }).collect();
        let object = assemble(form, value, &drafts);
        let said: Vec<&String> = object.fields.iter().filter_map(|field| field.claim.as_ref()).collect();
        for draft in drafts {
            let claim = draft.checked.claim.as_ref().map(|claim| &claim.text);
            let taken = claim.is_some_and(|claim| self.claims.iter().any(|taken| taken.text == *claim));
            if !taken
                && (claim.is_none_or(|claim| said.contains(&claim))
                    || draft.checked.decision == Decision::Dropped)
            {
                self.take_decided(draft.checked).await;
            }
        }
        self.details.structured = Some(object);
        Ok(Written::Text)
    }

    /// Shows the object as far as its fields were written and checked.
    async fn partial(
        &mut self,
        grounds: &Grounds<'_>,
        form: &UserForm,
        text: &str,
        drafts: &mut Vec<Draft>,
    ) -> Result<()> {
        let Some(so_far) = grown(text) else { return Ok(()) };
        let (value, mut entries) = form.parts(so_far);
        // The last may still grow.
        entries.pop();
        let known = drafts.len();
        for entry in entries.into_iter().skip(known) {
            let checked = grounds.check(&entry.marked()).await?;
            drafts.push(Draft { entry, checked });
        }
        // Nothing is certain before the first field was checked.
        if value.is_object() && !drafts.is_empty() {
            let object = assemble(form, value, drafts).value;
            if self.shown.as_ref() != Some(&object) {
                self.events.send(AnswerEvent::Partial(object.clone())).await;
                self.shown = Some(object);
            }
        }
        Ok(())
    }
}

/// The object with null in place of every field that no kept sentence says.
fn assemble(form: &UserForm, mut value: Value, drafts: &[Draft]) -> Structured {
    let mut fields = Vec::new();
    for path in leaves(&value) {
        let leaf = value.pointer(&path).cloned().unwrap_or_default();
        let draft = drafts.iter().find(|draft| draft.entry.path == path);
        let field = match (leaf, draft) {
            (Value::Null, draft) => {
                let reason = draft.and_then(|draft| draft.entry.reason.clone());
                Field::null(&path, reason.unwrap_or_else(|| "the passages do not say".to_owned()))
            }
            (_, None) => Field::null(&path, "the model gave no evidence for it"),
            (leaf, Some(draft)) => match &draft.checked {
                Checked { claim: Some(claim), decision: Decision::Kept, .. } => {
                    if form.exempt(&leaf) || says(&draft.entry.statement, &leaf) {
                        Field {
                            path: path.clone(),
                            claim: Some(claim.text.clone()),
                            support: claim.support,
                            citations: claim.citations.clone(),
                            reason: None,
                        }
                    } else {
                        Field::null(&path, "the sentence that was given as its evidence does not say it")
                    }
                }
                _ => Field::null(&path, "no passage supports it"),
            },
        };
        if field.claim.is_none() {
            set_null(&mut value, &path);
        } else if let Some(Value::String(text)) = value.pointer_mut(&path) {
            *text = visible(text);
        }
        fields.push(field);
    }
    Structured { value, fields }
}

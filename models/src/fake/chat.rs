//! A chat model that plays back a script, faults included.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Usage};
use crate::error::{ErrorKind, ModelError, Result};
use crate::tools::ToolCall;

/// How a scripted generation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptEnd {
    /// With a finish reason, as it should.
    Finished(FinishReason),
    /// The connection closes before the provider says that it is done: an `Unavailable` error.
    Cut,
    /// The provider reports an error of this kind.
    Fault(ErrorKind),
    /// Nothing more ever comes: the stream stays open. `complete` never returns either.
    Hang,
    /// The stream just ends, which [`ChatModel`] forbids: for testing that readers don't take it for complete.
    Silence,
}

/// One scripted generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// What comes, piece by piece; empty pieces are left out.
    pub tokens: Vec<String>,
    /// What is called after that; left out where a request offers no tools, as every model must.
    pub calls: Vec<ToolCall>,
    /// How it ends.
    pub end: ScriptEnd,
    /// Waited before every piece and before the end.
    pub delay: Duration,
    /// What the provider says it used.
    pub usage: Option<Usage>,
}

impl Script {
    /// `text`, whole, word by word, ending with [`FinishReason::Stop`], and without usage.
    pub fn reply(text: &str) -> Self {
        Self {
            tokens: text.split_inclusive(' ').map(str::to_owned).collect(),
            calls: Vec::new(),
            end: ScriptEnd::Finished(FinishReason::Stop),
            delay: Duration::ZERO,
            usage: None,
        }
    }

    /// Calls of these tools with these arguments, and no text.
    pub fn calling<'a>(calls: impl IntoIterator<Item = (&'a str, serde_json::Value)>) -> Self {
        let call = |(place, (name, arguments)): (usize, (&str, serde_json::Value))| ToolCall {
            id: format!("call-{place}"),
            name: name.to_owned(),
            arguments: Ok(arguments),
        };
        let calls = calls.into_iter().enumerate().map(call).collect();
        Self { calls, ..Self::reply("") }.ending(ScriptEnd::Finished(FinishReason::ToolCalls))
    }

    /// The same with another end.
    #[must_use]
    pub fn ending(mut self, end: ScriptEnd) -> Self {
        self.end = end;
        self
    }

    /// The same with a wait before every piece.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same with usage.
    #[must_use]
    pub fn using(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// The events of this script, waits included; `name` is the model's.
    pub(super) fn play(self, name: &str) -> BoxStream<'static, Result<ChatEvent>> {
        let delay = self.delay;
        let mut events: Vec<Result<ChatEvent>> = self
            .tokens
            .into_iter()
            .filter(|token| !token.is_empty())
            .map(|token| Ok(ChatEvent::Token(token)))
            .collect();
        events.extend(self.calls.into_iter().map(|call| Ok(ChatEvent::Call(call))));
        match self.end {
            ScriptEnd::Finished(finish) => {
                events.push(Ok(ChatEvent::Done { finish, usage: self.usage, served_by: name.to_owned() }))
            }
            ScriptEnd::Cut => events.push(Err(cut())),
            ScriptEnd::Fault(kind) => {
                events.push(Err(ModelError::new(kind, format!("scripted fault of kind {kind:?}"))));
            }
            ScriptEnd::Hang | ScriptEnd::Silence => {}
        }
        let played = stream::iter(events).then(move |event| async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            event
        });
        if self.end == ScriptEnd::Hang { played.chain(stream::pending()).boxed() } else { played.boxed() }
    }
}

fn cut() -> ModelError {
    ModelError::new(
        ErrorKind::Unavailable,
        "the chat stream closed before the model said that it was done; try again",
    )
}

/// Plays one script per call, in order, and remembers every request. A call beyond the last script is `Unavailable`.
#[derive(Debug)]
pub struct ScriptedChat {
    name: String,
    context_tokens: usize,
    scripts: Mutex<VecDeque<Script>>,
    requests: Mutex<Vec<ChatRequest>>,
}

impl ScriptedChat {
    /// A model of this name that plays `scripts`.
    pub fn new(name: impl Into<String>, scripts: impl IntoIterator<Item = Script>) -> Self {
        Self {
            name: name.into(),
            context_tokens: 8192,
            scripts: Mutex::new(scripts.into_iter().collect()),
            requests: Mutex::default(),
        }
    }

    /// The same with another context size, in tokens.
    #[must_use]
    pub fn with_context(mut self, tokens: usize) -> Self {
        self.context_tokens = tokens;
        self
    }

    /// Every request so far, oldest first.
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next(&self, request: &ChatRequest) -> Result<Script> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let script = self.scripts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let script = script.map(|mut script| {
            if request.tools.is_empty() {
                script.calls.clear();
            }
            script
        });
        script.ok_or_else(|| {
            ModelError::new(
                ErrorKind::Unavailable,
                format!("the script of {} has ended; add a reply to it", self.name),
            )
        })
    }
}

#[async_trait]
impl ChatModel for ScriptedChat {
    fn name(&self) -> &str {
        &self.name
    }

    fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let mut events = self.next(request)?.play(&self.name);
        let (mut text, mut calls) = (String::new(), Vec::new());
        while let Some(event) = events.next().await {
            match event? {
                ChatEvent::Token(token) => text.push_str(&token),
                ChatEvent::Call(call) => calls.push(call),
                ChatEvent::Done { finish, usage, served_by } => {
                    return Ok(ChatReply { text, calls, finish, usage, model: self.name.clone(), served_by });
                }
            }
        }
        Err(cut())
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        Ok(self.next(request)?.play(&self.name))
    }
}

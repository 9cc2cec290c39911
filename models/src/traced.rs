//! A chat model behind an endpoint whose calls are spans of a trace, with the attributes of OpenTelemetry's conventions for
//! generative models. Neither prompt nor reply is among them.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Usage};
use crate::error::{ModelError, Result};

/// See the module.
pub(crate) struct TracedChat<M> {
    inner: M,
    /// Whose API it is, as the conventions name it.
    provider: &'static str,
    /// The model as the endpoint names it.
    model: String,
}

impl<M: ChatModel> TracedChat<M> {
    pub(crate) fn new(inner: M, provider: &'static str, model: impl Into<String>) -> Self {
        Self { inner, provider, model: model.into() }
    }

    fn span(&self, request: &ChatRequest) -> Span {
        tracing::debug_span!(
            target: "wellspring::trace",
            "chat",
            otel.name = format!("chat {}", self.model),
            otel.kind = "client",
            otel.status_code = Empty,
            "error.type" = Empty,
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = self.provider,
            gen_ai.system = self.provider,
            gen_ai.request.model = self.model,
            gen_ai.request.max_tokens = request.max_tokens,
            gen_ai.request.temperature = f64::from(request.temperature),
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
        )
    }
}

fn ended(span: &Span, finish: FinishReason, usage: Option<Usage>) {
    let reason = match finish {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other => "other",
    };
    span.record("gen_ai.response.finish_reasons", reason);
    if let Some(usage) = usage {
        span.record("gen_ai.usage.input_tokens", usage.input_tokens);
        span.record("gen_ai.usage.output_tokens", usage.output_tokens);
    }
}

/// Messages may hold what was asked: only the kind is told.
fn failed(span: &Span, error: &ModelError) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", tracing::field::debug(error.kind()));
}

#[async_trait]
impl<M: ChatModel> ChatModel for TracedChat<M> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn context_tokens(&self) -> usize {
        self.inner.context_tokens()
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let span = self.span(request);
        let reply = self.inner.complete(request).instrument(span.clone()).await;
        match &reply {
            Ok(reply) => {
                span.record("gen_ai.response.model", reply.model.as_str());
                ended(&span, reply.finish, reply.usage);
            }
            Err(error) => failed(&span, error),
        }
        reply
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        let span = self.span(request);
        match self.inner.stream(request).instrument(span.clone()).await {
            // The span ends with the stream.
            Ok(events) => Ok(events
                .inspect(move |event| match event {
                    Ok(ChatEvent::Done { finish, usage, .. }) => ended(&span, *finish, *usage),
                    Err(error) => failed(&span, error),
                    Ok(_) => {}
                })
                .boxed()),
            Err(error) => {
                failed(&span, &error);
                Err(error)
            }
        }
    }
}

//! The offline chat provider: quotes the passages it is shown, and believes every one of them.

use std::collections::HashSet;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::OFFLINE_CHAT;
use super::chat::Script;
use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Role, Usage};
use crate::error::Result;
use crate::text::{sentences, words};

/// Sentences in a reply.
const MAX_SENTENCES: usize = 3;

/// Answers with the sentence of each passage that shares most words with the question, each followed by ` [n]`; the
/// three best, in the order of the passages. It is gullible: it neither checks nor refuses, so that what refuses and
/// checks can be tested above it. Without a passage it says so.
///
/// Passages are read from the last user message: a line that starts with `[n]`, or with a tag that has an `n`, `id` or
/// `index` attribute holding a number (`<passage n="1">`), opens passage *n*; the next such line or a closing tag ends
/// it. What lies outside is the question.
#[derive(Debug, Default, Clone, Copy)]
pub struct OfflineChat;

impl OfflineChat {
    fn answer(request: &ChatRequest) -> Script {
        let asked = request.messages.iter().rev().find(|message| message.role == Role::User);
        let (question, passages) = asked.map(|message| split(&message.content)).unwrap_or_default();
        let wanted: HashSet<String> = words(&question).collect();
        let mut quotes: Vec<(usize, usize, &str)> = passages
            .iter()
            .filter_map(|(number, text)| {
                best_sentence(text, &wanted).map(|(score, quote)| (score, *number, quote))
            })
            .collect();
        quotes.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        quotes.truncate(MAX_SENTENCES);
        quotes.sort_by_key(|quote| quote.1);
        let text = if quotes.is_empty() {
            "The passages do not say.".to_owned()
        } else {
            quotes
                .iter()
                .map(|(_, number, quote)| format!("{quote} [{number}]"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let read: usize =
            request.messages.iter().map(|message| message.content.split_whitespace().count()).sum();
        let mut script = Script::reply(&text);
        if script.tokens.len() > request.max_tokens as usize {
            script.tokens.truncate(request.max_tokens as usize);
            script.end = super::ScriptEnd::Finished(FinishReason::Length);
        }
        let written = script.tokens.len() as u64;
        script.using(Usage { input_tokens: read as u64, output_tokens: written, ..Usage::default() })
    }
}

/// The question and the numbered passages of a message.
fn split(message: &str) -> (String, Vec<(usize, String)>) {
    let mut question = String::new();
    let mut passages: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for line in message.lines() {
        let trimmed = line.trim_start();
        if let Some((number, rest)) = opening(trimmed) {
            passages.push((number, rest.to_owned()));
            inside = true;
        } else if trimmed.starts_with("</") {
            inside = false;
        } else {
            let target = match passages.last_mut() {
                Some((_, text)) if inside => text,
                _ => &mut question,
            };
            target.push('\n');
            target.push_str(line);
        }
    }
    (question, passages)
}

/// The number a line opens a passage with, and what follows the marker.
fn opening(line: &str) -> Option<(usize, &str)> {
    if let Some(rest) = line.strip_prefix('[') {
        let (number, rest) = rest.split_once(']')?;
        return Some((number.parse().ok()?, rest));
    }
    let (tag, rest) = line.strip_prefix('<')?.split_once('>')?;
    tag.split_whitespace().skip(1).find_map(|attribute| {
        let (name, value) = attribute.split_once('=')?;
        matches!(name, "n" | "id" | "index").then_some(())?;
        Some((value.trim_matches(['"', '\'']).parse().ok()?, rest))
    })
}

/// The sentence of `text` that shares most words with the question (the first of equals), and how many.
fn best_sentence<'t>(text: &'t str, wanted: &HashSet<String>) -> Option<(usize, &'t str)> {
    let mut best: Option<(usize, &str)> = None;
    for range in sentences(text) {
        let sentence = &text[range];
        let shared = words(sentence).collect::<HashSet<_>>().intersection(wanted).count();
        if best.is_none_or(|(score, _)| shared > score) {
            best = Some((shared, sentence));
        }
    }
    best
}

#[async_trait]
impl ChatModel for OfflineChat {
    fn name(&self) -> &str {
        OFFLINE_CHAT
    }

    fn context_tokens(&self) -> usize {
        32_768
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        let script = Self::answer(request);
        let finish = match script.end {
            super::ScriptEnd::Finished(finish) => finish,
            _ => FinishReason::Other,
        };
        Ok(ChatReply {
            text: script.tokens.concat(),
            calls: Vec::new(),
            finish,
            usage: script.usage,
            model: OFFLINE_CHAT.to_owned(),
            served_by: OFFLINE_CHAT.to_owned(),
        })
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        Ok(Self::answer(request).play(OFFLINE_CHAT).boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Message;

    fn ask(content: &str) -> ChatRequest {
        let message = Message { role: Role::User, content: content.to_owned() };
        ChatRequest {
            messages: vec![message],
            max_tokens: 100,
            temperature: 0.0,
            seed: None,
            ..ChatRequest::default()
        }
    }

    #[tokio::test]
    async fn it_quotes_the_best_sentence_of_each_passage_with_its_number() {
        let prompt = "[1] Cats sleep. Paid leave is 30 days.\n[2] The office closes at six.\n</passages>\nHow many days is paid leave?";
        let reply = OfflineChat.complete(&ask(prompt)).await.unwrap();
        assert_eq!(reply.text, "Paid leave is 30 days. [1] The office closes at six. [2]");
    }

    #[tokio::test]
    async fn it_reads_tagged_passages_and_says_when_there_are_none() {
        let tagged = "<passage n=\"4\" title=\"x\">\nThe limit is 5 MB.\n</passage>\nWhat is the limit?";
        assert_eq!(OfflineChat.complete(&ask(tagged)).await.unwrap().text, "The limit is 5 MB. [4]");
        assert_eq!(OfflineChat.complete(&ask("Anything?")).await.unwrap().text, "The passages do not say.");
    }
}

//! Gives a chat model's reply again to exactly the same ask: same model, parameters, prompt and versions of the passages.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Role};
use crate::error::Result;
use crate::ledger::{Account, Work};

/// Version of what is kept: raised when its form or the meaning of an ask changes.
const VERSION: u32 = 1;

/// The documents that a prompt shows, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The tenant.
    pub tenant: String,
    /// The collection's name.
    pub collection: String,
    /// Id and version of each.
    pub documents: Vec<(String, i64)>,
}

/// Keeps replies. What it gives back is gone as soon as one of its documents changes or goes: whoever asks later is
/// shown other passages, and nothing of the old ones is kept.
#[async_trait]
pub trait CacheStore: Send + Sync + 'static {
    /// The reply to this ask, if there is one that may still be given.
    async fn get(&self, shown: &Shown, ask: [u8; 32]) -> Result<Option<Value>>;

    /// Keeps a reply, if the documents are still those shown.
    async fn put(&self, shown: &Shown, ask: [u8; 32], reply: Value) -> Result<()>;
}

/// Where replies are kept. Clones share it.
#[derive(Clone)]
pub struct ReplyCache(Arc<dyn CacheStore>);

impl ReplyCache {
    /// Over a store.
    pub fn new(store: Arc<dyn CacheStore>) -> Self {
        Self(store)
    }
}

/// A reply as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u32,
    text: String,
    model: String,
    served_by: String,
}

/// The hash of everything that decides a reply. `request` is as it is sent but for what is random in it, which must stand
/// the same in every ask.
fn ask(model: &str, request: &ChatRequest, shown: &Shown) -> [u8; 32] {
    let ChatRequest { messages, max_tokens, temperature, seed, stop, .. } = request;
    let mut hasher = blake3::Hasher::new();
    // Lengths keep neighbouring parts apart.
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    };
    add(&VERSION.to_le_bytes());
    add(model.as_bytes());
    add(&max_tokens.to_le_bytes());
    add(&temperature.to_bits().to_le_bytes());
    add(&seed.map(u64::to_le_bytes).map_or_else(Vec::new, Vec::from));
    add(&(stop.len() as u64).to_le_bytes());
    stop.iter().for_each(|stop| add(stop.as_bytes()));
    for message in messages {
        add(match message.role {
            Role::System => b"system",
            Role::User => b"user",
            Role::Assistant => b"assistant",
        });
        add(message.content.as_bytes());
    }
    add(request.beside().as_bytes());
    add(b"documents");
    add(shown.collection.as_bytes());
    for (document, version) in &shown.documents {
        add(document.as_bytes());
        add(&version.to_le_bytes());
    }
    hasher.finalize().into()
}

/// A chat model for one ask, whose reply may have been kept and, if it is whole, will be. A kept reply costs nothing. The
/// cache never is a reason to fail: without it the model is asked.
pub struct RememberedChat {
    inner: Arc<dyn ChatModel>,
    cache: ReplyCache,
    shown: Shown,
    ask: [u8; 32],
    account: Account,
    work: Work,
}

impl RememberedChat {
    /// For `request`, which is what will be asked but for what is random in it.
    pub fn new(
        inner: Arc<dyn ChatModel>,
        cache: ReplyCache,
        request: &ChatRequest,
        shown: Shown,
        account: Account,
        work: Work,
    ) -> Self {
        let ask = ask(inner.name(), request, &shown);
        Self { inner, cache, shown, ask, account, work }
    }

    async fn kept(&self) -> Option<Kept> {
        let found = match self.cache.0.get(&self.shown, self.ask).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::warn!(%error, "kept replies can't be read; the model is asked");
                return None;
            }
        };
        let kept: Kept = serde_json::from_value(found).ok().filter(|kept: &Kept| kept.version == VERSION)?;
        self.account.replay(self.work, &kept.served_by);
        Some(kept)
    }
}

/// Keeps a whole reply; one that was cut, withheld or is empty is not worth it.
async fn keep(cache: &ReplyCache, shown: &Shown, ask: [u8; 32], finish: FinishReason, kept: Kept) {
    if finish != FinishReason::Stop || kept.text.trim().is_empty() {
        return;
    }
    let put = match serde_json::to_value(&kept) {
        Ok(value) => cache.0.put(shown, ask, value).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = put {
        tracing::warn!(error, "a reply could not be kept");
    }
}

#[async_trait]
impl ChatModel for RememberedChat {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn context_tokens(&self) -> usize {
        self.inner.context_tokens()
    }

    async fn complete(&self, request: &ChatRequest) -> Result<ChatReply> {
        if let Some(Kept { text, model, served_by, .. }) = self.kept().await {
            return Ok(ChatReply {
                text,
                calls: Vec::new(),
                finish: FinishReason::Stop,
                usage: None,
                model,
                served_by,
            });
        }
        let reply = self.inner.complete(request).await?;
        let ChatReply { text, model, served_by, finish, .. } = reply.clone();
        keep(&self.cache, &self.shown, self.ask, finish, Kept { version: VERSION, text, model, served_by })
            .await;
        Ok(reply)
    }

    async fn stream(&self, request: &ChatRequest) -> Result<BoxStream<'static, Result<ChatEvent>>> {
        if let Some(Kept { text, served_by, .. }) = self.kept().await {
            let done = ChatEvent::Done { finish: FinishReason::Stop, usage: None, served_by };
            return Ok(stream::iter([Ok(ChatEvent::Token(text)), Ok(done)]).boxed());
        }
        let events = self.inner.stream(request).await?;
        let (cache, shown, ask) = (self.cache.clone(), self.shown.clone(), self.ask);
        let state = (events, cache, shown, ask, String::new());
        let listening = stream::unfold(state, |(mut events, cache, shown, ask, mut text)| async move {
            let event = events.next().await?;
            match &event {
                Ok(ChatEvent::Token(piece)) => text.push_str(piece),
                Ok(ChatEvent::Done { finish, served_by, .. }) => {
                    let (text, served_by) = (std::mem::take(&mut text), served_by.clone());
                    let kept = Kept { version: VERSION, text, model: served_by.clone(), served_by };
                    keep(&cache, &shown, ask, *finish, kept).await;
                }
                // A reply that calls tools ends otherwise than a whole one, and is not kept.
                Ok(ChatEvent::Call(_)) | Err(_) => {}
            }
            Some((event, (events, cache, shown, ask, text)))
        });
        Ok(listening.boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Message;

    #[test]
    fn everything_that_decides_a_reply_is_part_of_the_ask() {
        let request = ChatRequest {
            messages: vec![Message { role: Role::User, content: "ab".to_owned() }],
            max_tokens: 5,
            temperature: 0.0,
            seed: None,
            stop: Vec::new(),
            ..ChatRequest::default()
        };
        let shown = Shown {
            tenant: "t".to_owned(),
            collection: "c".to_owned(),
            documents: vec![("d".to_owned(), 1)],
        };
        let same = ask("m", &request, &shown);
        assert_eq!(ask("m", &request.clone(), &shown.clone()), same);
        let said = |role, content: &str| vec![Message { role, content: content.to_owned() }];
        let two = [said(Role::User, "a"), said(Role::User, "b")].concat();
        let others = [
            ask("n", &request, &shown),
            ask("m", &ChatRequest { max_tokens: 6, ..request.clone() }, &shown),
            ask("m", &ChatRequest { temperature: 0.1, ..request.clone() }, &shown),
            ask("m", &ChatRequest { seed: Some(0), ..request.clone() }, &shown),
            ask("m", &ChatRequest { stop: vec!["x".to_owned()], ..request.clone() }, &shown),
            ask("m", &ChatRequest { messages: said(Role::System, "ab"), ..request.clone() }, &shown),
            ask("m", &ChatRequest { messages: said(Role::User, "ac"), ..request.clone() }, &shown),
            ask("m", &ChatRequest { messages: two, ..request.clone() }, &shown),
            ask("m", &request, &Shown { documents: vec![("d".to_owned(), 2)], ..shown.clone() }),
            ask("m", &request, &Shown { documents: vec![("e".to_owned(), 1)], ..shown.clone() }),
            ask("m", &request, &Shown { collection: "x".to_owned(), ..shown.clone() }),
        ];
        for (place, other) in others.iter().enumerate() {
            assert_ne!(*other, same, "{place}");
        }
    }
}

//! Many answers over documents, half quoted, half written by a model that quotes, paraphrases, misquotes, miscites and
//! invents in known proportions, while documents are deleted: what is kept, and what should have been.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use wellspring_answer::{
    Answer, AnswerConfig, AnswerEvent, AnswerRequest, Answerer, Decision, EXTRACTIVE, RefusalConfig,
};
use wellspring_models::text::{sentences, words};
use wellspring_models::{ChatEvent, ChatModel, ChatReply, ChatRequest, FinishReason, Result as ModelResult};
use wellspring_retrieve::RetrieveConfig;

use crate::support::{Text, World};

/// What a sentence of the model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A sentence of a passage, word for word, with its number.
    Quote,
    /// The same in other words.
    Paraphrase,
    /// A sentence with another number, another name, or denied.
    Misquote,
    /// A sentence of a passage with the number of another one.
    Miscite,
    /// What no document says.
    Invention,
}

/// Of a hundred sentences, how many are of a kind.
const PROPORTIONS: [(Kind, usize); 5] = [
    (Kind::Quote, 30),
    (Kind::Paraphrase, 30),
    (Kind::Misquote, 15),
    (Kind::Miscite, 10),
    (Kind::Invention, 15),
];
const SENTENCES: usize = 5;
const INVENTIONS: [&str; 6] = [
    "The management has decided to close the canteen for good.",
    "A large comet was seen above the harbour at dawn.",
    "Everybody must hand in a signed paper form before lunch.",
    "The Varnholt committee bought seven submarines in 1993.",
    "Penguins were trained to deliver letters across the frozen bay.",
    "The orchestra refused to play without new violins.",
];

/// What was counted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) answers: usize,
    pub(crate) refused: usize,
    /// Citations that were kept, and of those, quotes that are not the stored bytes, and such of forbidden or deleted documents.
    pub(crate) citations: usize,
    pub(crate) inexact: usize,
    pub(crate) forbidden: usize,
    pub(crate) deleted: usize,
    /// Answers while which a document was deleted.
    pub(crate) deletions: usize,
    /// By kind: sentences made, kept, kept though they should not have been or the other way round.
    pub(crate) kinds: BTreeMap<Kind, (usize, usize, usize)>,
}

/// Numbers that are the same everywhere (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// A sentence that the model wrote, by its text.
#[derive(Debug, Clone)]
struct Said {
    kind: Kind,
    /// The sentence it was made from.
    source: String,
}

/// Writes by kind. Before its third sentence it waits for the gate, where there is one.
struct Author {
    random: Mutex<Random>,
    said: Mutex<HashMap<String, Said>>,
    gate: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Author {
    fn write(&self, request: &ChatRequest) -> Vec<String> {
        let passages = passages(&request.messages[1].content);
        let mut random = self.random.lock().unwrap();
        let mut said = self.said.lock().unwrap();
        said.clear();
        let quotable: Vec<(usize, String)> = passages
            .iter()
            .flat_map(|(n, text)| quotable(text).into_iter().map(|sentence| (*n, sentence)))
            .collect();
        if quotable.is_empty() {
            return vec!["NO_ANSWER".to_owned()];
        }
        let mut written = Vec::new();
        for _ in 0..SENTENCES {
            let (n, source) = quotable[random.below(quotable.len())].clone();
            let mut draw = random.below(100);
            let kind = PROPORTIONS.iter().find(|(_, share)| match draw.checked_sub(*share) {
                Some(rest) => {
                    draw = rest;
                    false
                }
                None => true,
            });
            let (kind, text, cited) = match kind.map_or(Kind::Quote, |(kind, _)| *kind) {
                Kind::Paraphrase => (Kind::Paraphrase, paraphrase(&source), n),
                Kind::Misquote => match misquote(&source) {
                    Some(wrong) => (Kind::Misquote, wrong, n),
                    None => continue,
                },
                Kind::Miscite => {
                    match passages.iter().find(|(other, text)| *other != n && !text.contains(&source)) {
                        Some((other, _)) => (Kind::Miscite, source.clone(), *other),
                        None => continue,
                    }
                }
                Kind::Invention => {
                    (Kind::Invention, INVENTIONS[random.below(INVENTIONS.len())].to_owned(), n)
                }
                Kind::Quote => (Kind::Quote, source.clone(), n),
            };
            if said.insert(text.clone(), Said { kind, source }).is_none() {
                written.push(format!("{text} [{cited}] "));
            }
        }
        written
    }
}

#[async_trait]
impl ChatModel for Author {
    fn name(&self) -> &str {
        "author"
    }

    fn context_tokens(&self) -> usize {
        100_000
    }

    async fn complete(&self, request: &ChatRequest) -> ModelResult<ChatReply> {
        let (text, name) = (self.write(request).concat(), self.name().to_owned());
        Ok(ChatReply {
            text,
            calls: Vec::new(),
            finish: FinishReason::Stop,
            usage: None,
            model: name.clone(),
            served_by: name,
        })
    }

    async fn stream(&self, request: &ChatRequest) -> ModelResult<BoxStream<'static, ModelResult<ChatEvent>>> {
        let mut before = self.write(request);
        let after = before.split_off(before.len().min(2));
        let gate = self.gate.lock().unwrap().take();
        let wait = async move {
            if let Some(gate) = gate {
                // A gate that was dropped is open.
                let _ = gate.await;
            }
            Ok(ChatEvent::Token(String::new()))
        };
        let done =
            ChatEvent::Done { finish: FinishReason::Stop, usage: None, served_by: self.name().to_owned() };
        let token = |text| Ok(ChatEvent::Token(text));
        let events = stream::iter(before.into_iter().map(token))
            .chain(wait.into_stream())
            .chain(stream::iter(after.into_iter().map(token)))
            .chain(stream::iter([Ok(done)]));
        Ok(events.boxed())
    }
}

/// Numbers and texts of the passages in a prompt.
fn passages(prompt: &str) -> Vec<(usize, String)> {
    let blocks = prompt.split("<passage-").skip(1);
    let read = |block: &str| {
        let number = block.split("n=\"").nth(1)?.split('"').next()?.parse().ok()?;
        let text = block.split_once(">\n")?.1.split("\n</passage-").next()?;
        Some((number, text.to_owned()))
    };
    blocks.filter_map(read).collect()
}

/// Plain sentences of some length.
fn quotable(text: &str) -> Vec<String> {
    let plain = |sentence: &&str| {
        (50..220).contains(&sentence.len())
            && sentence.ends_with('.')
            && sentence.starts_with(char::is_uppercase)
            && !sentence.contains([
                '[', ']', '<', '>', '&', '|', '`', '*', '#', '_', '\n', '!', '(', ')', '@', '~', '\\',
            ])
            && !sentence.contains("://")
            && !sentence.contains("www.")
            && sentences(sentence).len() == 1
            && words(sentence).count() >= 7
    };
    sentences(text).into_iter().map(|range| &text[range]).filter(plain).map(str::to_owned).collect()
}

/// The same in other words: an opening, and synonyms for common words.
fn paraphrase(sentence: &str) -> String {
    const SYNONYMS: [(&str, &str); 14] = [
        (" also ", " too "),
        (" said ", " stated "),
        (" large ", " big "),
        (" many ", " numerous "),
        (" company ", " firm "),
        (" people ", " persons "),
        (" because ", " since "),
        (" but ", " yet "),
        (" about ", " around "),
        (" begin ", " start "),
        (" buy ", " purchase "),
        (" show ", " display "),
        (" must ", " have to "),
        (" get ", " receive "),
    ];
    let mut text = sentence.to_owned();
    for (word, other) in SYNONYMS {
        text = text.replace(word, other);
    }
    format!("As the text puts it, {text}")
}

/// Another number, else another name, else a denial; `None` where none of them can be made.
fn misquote(sentence: &str) -> Option<String> {
    if let Some(start) = sentence.find(|c: char| c.is_ascii_digit()) {
        let end =
            sentence[start..].find(|c: char| !c.is_ascii_digit()).map_or(sentence.len(), |at| start + at);
        let number: u64 = sentence[start..end].parse().ok()?;
        return Some(format!("{}{}{}", &sentence[..start], number + 7, &sentence[end..]));
    }
    let all: Vec<&str> = sentence.split(' ').collect();
    let named = |word: &&str| {
        word.chars().count() > 3
            && word.starts_with(char::is_uppercase)
            && word.chars().all(char::is_alphabetic)
    };
    if let Some(place) = all.iter().rposition(named).filter(|place| *place > 0) {
        let changed: Vec<&str> =
            all.iter().enumerate().map(|(at, word)| if at == place { "Varnholt" } else { *word }).collect();
        return Some(changed.join(" "));
    }
    let verb = [" was ", " is ", " were ", " are ", " has ", " will "];
    let (place, verb) = verb.iter().filter_map(|verb| Some((sentence.find(verb)?, verb))).min()?;
    let end = place + verb.len();
    Some(format!("{}not {}", &sentence[..end], &sentence[end..]))
}

/// Ids and texts.
pub(crate) type Documents = Vec<(String, String)>;

/// Asks `each` questions for quotes and `each` of the author. Every fourth document is forbidden to the asker, and during
/// every fifth written answer its best document is deleted (and put back afterwards).
pub(crate) async fn run(
    world: &World,
    documents: &Documents,
    each: usize,
    support_model: Option<String>,
) -> Tally {
    for (at, (id, text)) in documents.iter().enumerate() {
        let acl: Option<&[&str]> = if at % 4 == 3 { Some(&["group:board"]) } else { None };
        world.put(Text { id, text, acl, ..Text::default() }).await;
    }
    let staff = world.seen_by(&["group:staff"]).await;
    let author =
        Arc::new(Author { random: Mutex::new(Random(11)), said: Mutex::default(), gate: Mutex::default() });
    world.registry.register_chat("author", author.clone());
    let config = AnswerConfig {
        model: Some("author".to_owned()),
        support_model,
        refusal: RefusalConfig { min_coverage: 0.0, min_cosine: -1.0, min_confidence: Some(0.0) },
        fall_back: false,
        ..AnswerConfig::default()
    };
    let retriever = world.retriever(RetrieveConfig { deadline_ms: 60_000, ..RetrieveConfig::default() });
    let answerer = Answerer::new(retriever, Arc::clone(&world.registry), config).unwrap();
    let mut random = Random(3);
    let mut tally = Tally::default();
    let texts: HashMap<&str, &str> =
        documents.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
    let forbidden: Vec<&str> =
        documents.iter().enumerate().filter(|(at, _)| at % 4 == 3).map(|(_, (id, _))| id.as_str()).collect();
    let asked: Vec<String> = documents.iter().flat_map(|(_, text)| quotable(text)).collect();
    for number in 0..2 * each {
        let question = question(&asked[random.below(asked.len())]);
        let quoted = number.is_multiple_of(2);
        let model = quoted.then(|| EXTRACTIVE.to_owned());
        let request = AnswerRequest { model, ..AnswerRequest::new(question) };
        let mut gone = None;
        let answer = if !quoted && number % 10 == 1 {
            let (open, gate) = oneshot::channel();
            *author.gate.lock().unwrap() = Some(gate);
            let (answer, deleted) = interrupted(world, answerer.stream(&staff, request), open).await;
            tally.deletions += usize::from(deleted.is_some());
            gone = deleted;
            answer
        } else {
            answerer.answer(&staff, request).await.unwrap()
        };
        tally.answers += 1;
        tally.refused += usize::from(answer.abstained);
        let withdrawn = gone.is_some();
        for citation in &answer.citations {
            let id = citation.document_id.as_str();
            tally.citations += 1;
            tally.inexact +=
                usize::from(texts[id].get(citation.start..citation.end) != Some(citation.quote.as_str()));
            tally.forbidden += usize::from(forbidden.contains(&id));
            tally.deleted += usize::from(gone.as_deref() == Some(id));
        }
        if !quoted && !withdrawn {
            // What was left out is not told where a passage disappeared: nothing can be counted there.
            judge(&answer, &author.said.lock().unwrap(), &mut tally);
        }
        if let Some(id) = gone {
            world.add(&id, texts[id.as_str()]).await;
        }
    }
    tally
}

/// The longest words of a sentence as a question.
fn question(sentence: &str) -> String {
    let mut longest: Vec<String> = words(sentence).collect();
    longest.sort_by(|a, b| b.chars().count().cmp(&a.chars().count()).then(a.cmp(b)));
    longest.truncate(5);
    format!("What is said about {}?", longest.join(" "))
}

/// Reads a stream, deletes the best document once the first sentence is there, and lets the author go on.
async fn interrupted(
    world: &World,
    mut events: BoxStream<'static, AnswerEvent>,
    open: oneshot::Sender<()>,
) -> (Answer, Option<String>) {
    let (mut open, mut best, mut deleted) = (Some(open), None, None);
    while let Some(event) = events.next().await {
        match event {
            AnswerEvent::Retrieval { passages, .. } => {
                best = passages.first().map(|passage| passage.passage.document_id.to_string());
            }
            AnswerEvent::Token(_) | AnswerEvent::Warning(_) if open.is_some() => {
                if let Some(id) = best.take() {
                    world.delete(&id).await;
                    deleted = Some(id);
                }
                if let Some(open) = open.take() {
                    let _ = open.send(());
                }
            }
            AnswerEvent::Done(answer) | AnswerEvent::Refused(answer) => return (*answer, deleted),
            AnswerEvent::Error(error) => panic!("{error}"),
            _ => {}
        }
    }
    panic!("the stream ended without a terminal event")
}

fn judge(answer: &Answer, said: &HashMap<String, Said>, tally: &mut Tally) {
    for claim in &answer.claims {
        let Some(Said { kind, source }) = said.get(claim.text.trim()) else { continue };
        let kept = claim.decision == Decision::Kept;
        let quotes = answer.citations.iter().filter(|citation| citation.claim == claim.text);
        let right = quotes.into_iter().any(|citation| citation.quote.contains(source.as_str()));
        let wrong = match kind {
            Kind::Quote | Kind::Paraphrase => !kept,
            Kind::Miscite => kept && !right,
            Kind::Misquote | Kind::Invention => kept,
        };
        let counts = tally.kinds.entry(*kind).or_default();
        *counts = (counts.0 + 1, counts.1 + usize::from(kept), counts.2 + usize::from(wrong));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_exact_allowed_and_mostly_true() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/corpus/handbook");
    let mut documents: Documents = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            documents.push((name, fs_err::read_to_string(&path).unwrap().replace("\r\n", "\n")));
        }
    }
    documents.sort();
    let world = World::new().await;
    let tally = run(&world, &documents, 20, Some(wellspring_answer::config::WORDS.to_owned())).await;
    assert_eq!((tally.answers, tally.inexact, tally.forbidden, tally.deleted), (40, 0, 0, 0), "{tally:?}");
    assert!(tally.citations > 40 && tally.deletions >= 3, "{tally:?}");
    let (made, kept, _) = tally.kinds[&Kind::Quote];
    assert!(made >= 15 && kept * 10 >= made * 9, "what is quoted is kept: {tally:?}");
    let (made, kept, _) = tally.kinds[&Kind::Invention];
    assert!(made >= 5 && kept * 5 <= made, "what is invented is not: {tally:?}");
}

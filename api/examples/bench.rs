//! `make bench`: ingest beside the bare encoder, queries over HTTP beside their bare parts, memory and start-up.
//!
//! Machines are noisy, so what is compared runs side by side in one run, and the ratio is what counts.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use serde_json::{Value, json};
use wellspring_models::registry::{ModelsConfig, Registry};
use wellspring_models::{Embedder, TextKind};
use wellspring_store::keyword::KeywordQuery;
use wellspring_store::vector::VectorQuery;
use wellspring_store::{CollectionName, CollectionScope, Scope, Store, StoreConfig, TenantId};

#[derive(Parser)]
struct Arguments {
    /// The release binary
    #[arg(long)]
    binary: PathBuf,
    /// The folder that holds scifact, cranfield and squad2 in BEIR layout
    #[arg(long)]
    datasets: PathBuf,
    /// Queries over HTTP
    #[arg(long, default_value_t = 1_000)]
    queries: usize,
    /// Chunks that the bare encoder embeds
    #[arg(long, default_value_t = 1_000)]
    sample: usize,
    /// Documents ingested, at most
    #[arg(long, default_value_t = usize::MAX)]
    documents: usize,
    /// The embedder
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    model: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let work = tempfile::tempdir()?;
    let data = work.path().join("data");
    let folder = work.path().join("documents");
    let documents = write_documents(&arguments.datasets, &folder, arguments.documents)?;
    // Embeddings are not remembered here, so that every query is embedded.
    let models = ModelsConfig { embedding_cache_bytes: 0, ..ModelsConfig::default() };
    let embedder = Registry::new(models)?.embedder(&arguments.model).await?;
    say(&format!("model {}, {documents} documents", embedder.info().fingerprint));

    let ingest = ingest(&arguments, &data, &folder)?;
    let copy = work.path().join("copy");
    copy_folder(&data, &copy)?;
    let store = Store::open(StoreConfig::new(&copy, "bench")).await?;
    let (scope, collection) = store
        .catalog
        .collection(&Scope::administrator(TenantId::default_tenant()), &CollectionName::new("default")?)
        .await?;
    // The same texts: chunks as they were cut, every n-th of them.
    let texts = chunks(&store, &scope, arguments.sample, collection.chunks as usize).await?;
    let bare = bare_encoder(embedder.as_ref(), &texts).await?;
    say(&format!("bare encoder        {bare:>10.0} tokens/s on {} of the chunks", texts.len()));
    say(&format!(
        "ingest              {:>10.0} tokens/s, {} chunks in {:.1} s: {:.2} of the bare encoder",
        ingest.tokens_per_second,
        collection.chunks,
        ingest.seconds,
        ingest.tokens_per_second / bare
    ));

    let (mut server, base, ready) = start(&arguments, &data)?;
    let idle = resident_mib(&server)?;
    // Loading the embedder may have installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let question = json!({ "question": "How many people live in Normandy?" });
    let answered = Instant::now();
    post(&client, &base, "/v1/answers", &question).await?;
    say(&format!(
        "cold start          {:>10.0} ms to listening, {:.0} ms more to the first answer, {} chunks",
        ready.as_secs_f64() * 1e3,
        answered.elapsed().as_secs_f64() * 1e3,
        collection.chunks
    ));
    say(&format!(
        "idle memory         {idle:>10.0} MiB resident after start, {:.0} MiB after the first answer",
        resident_mib(&server)?
    ));

    let queries = queries(&arguments.datasets, arguments.queries + 100)?;
    let vector = store.indexes.vector(&scope).await?;
    let keyword = store.indexes.keyword(&scope).await?;
    let depth = wellspring_retrieve::RetrieveConfig::default().depth;
    let (mut http, mut parts, mut embeds) = (Vec::new(), Vec::new(), Vec::new());
    for (number, query) in queries.iter().enumerate() {
        let started = Instant::now();
        post(&client, &base, "/v1/search", &json!({ "query": query, "k": 10 })).await?;
        let over_http = started.elapsed();

        let started = Instant::now();
        let embedded = embedder.embed(TextKind::Query, &[query]).await?;
        let embed = started.elapsed();
        let embedding = embedded.first().context("the embedder returned nothing")?;
        let started = Instant::now();
        vector.search(VectorQuery { vector: &embedding.vector, k: depth, among: None }).await?;
        let dense = started.elapsed();
        let started = Instant::now();
        keyword.search(KeywordQuery::new(query, depth)).await?;
        let words = started.elapsed();
        if number >= 100 {
            http.push(over_http);
            embeds.push(embed);
            parts.push(embed + dense.max(words));
        }
    }
    let (http, parts, embeds) = (median(http), median(parts), median(embeds));
    say(&format!(
        "hybrid query, p50   {:>10.2} ms over HTTP, bare parts {:.2} ms (embedding {:.2} ms): {:.2} times",
        http * 1e3,
        parts * 1e3,
        embeds * 1e3,
        http / parts
    ));
    server.kill()?;
    server.wait()?;
    let bytes = fs_err::metadata(&arguments.binary)?.len();
    say(&format!("release binary      {:>10.1} MiB", bytes as f64 / f64::from(1 << 20)));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: &str) {
    println!("{line}");
}

/// One Markdown file per document; returns how many.
fn write_documents(datasets: &Path, folder: &Path, most: usize) -> anyhow::Result<usize> {
    let mut count = 0;
    for set in ["scifact", "cranfield", "squad2"] {
        fs_err::create_dir_all(folder.join(set))?;
        for line in fs_err::read_to_string(datasets.join(set).join("corpus.jsonl"))?.lines() {
            let document: Value = serde_json::from_str(line)?;
            let text = document["text"].as_str().unwrap_or_default();
            if text.trim().is_empty() || count >= most {
                continue;
            }
            let title = document["title"].as_str().unwrap_or_default();
            fs_err::write(folder.join(set).join(format!("{count}.md")), format!("# {title}\n\n{text}\n"))?;
            count += 1;
        }
    }
    Ok(count)
}

/// About `wanted` chunks of `total`, evenly spread over the collection, with their title and headings in front.
async fn chunks(
    store: &Store,
    scope: &CollectionScope,
    wanted: usize,
    total: usize,
) -> anyhow::Result<Vec<String>> {
    let step = (total / wanted.max(1)).max(1);
    let (mut texts, mut seen, mut cursor) = (Vec::new(), 0_usize, None);
    loop {
        let page = store.catalog.documents(scope, None, cursor.as_deref(), 1000).await?;
        for document in &page.items {
            for chunk in store.catalog.chunks(scope, &document.id).await? {
                if seen.is_multiple_of(step) {
                    texts.push(format!("{}\n{}", chunk.headings.join(" › "), chunk.text));
                }
                seen += 1;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(texts);
        }
    }
}

/// Tokens per second of the encoder alone.
async fn bare_encoder(embedder: &dyn Embedder, texts: &[String]) -> anyhow::Result<f64> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    // Loads the model.
    embedder.embed(TextKind::Passage, &texts[..texts.len().min(4)]).await?;
    let started = Instant::now();
    let embedded = embedder.embed(TextKind::Passage, &texts).await?;
    let tokens: usize = embedded.iter().map(|e| e.tokens).sum();
    Ok(tokens as f64 / started.elapsed().as_secs_f64())
}

struct Ingested {
    tokens_per_second: f64,
    seconds: f64,
}

fn ingest(arguments: &Arguments, data: &Path, folder: &Path) -> anyhow::Result<Ingested> {
    let output = Command::new(&arguments.binary)
        .arg("--data")
        .arg(data)
        .args(["ingest", "--json"])
        .arg(folder)
        .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", &arguments.model)
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let last: Value = serde_json::from_str(text.lines().last().context("ingest printed nothing")?)?;
    if !output.status.success() {
        bail!("ingest failed: {last}");
    }
    let seconds = last["seconds"].as_f64().context("ingest names no time")?;
    let tokens = last["summary"]["tokens"].as_f64().context("ingest names no tokens")?;
    Ok(Ingested { tokens_per_second: tokens / seconds, seconds })
}

fn start(arguments: &Arguments, data: &Path) -> anyhow::Result<(Child, String, Duration)> {
    let started = Instant::now();
    let mut child = Command::new(&arguments.binary)
        .arg("--data")
        .arg(data)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("WELLSPRING__MODELS__EMBEDDING_CACHE_BYTES", "0")
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(child.stdout.take().context("no standard output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let ready = started.elapsed();
    std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    let base = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .context("the server did not start")?;
    Ok((child, base.trim_end_matches('/').to_owned(), ready))
}

async fn post(client: &reqwest::Client, base: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let response = client.post(format!("{base}{path}")).json(body).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    if !status.is_success() {
        bail!("{path} answered {status}: {body}");
    }
    Ok(body)
}

fn queries(datasets: &Path, wanted: usize) -> anyhow::Result<Vec<String>> {
    let text = fs_err::read_to_string(datasets.join("squad2").join("queries.jsonl"))?;
    let mut queries = Vec::new();
    for line in text.lines().take(wanted) {
        let query: Value = serde_json::from_str(line)?;
        queries.push(query["text"].as_str().context("a query without text")?.to_owned());
    }
    Ok(queries)
}

fn resident_mib(child: &Child) -> anyhow::Result<f64> {
    let status = fs_err::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort_unstable();
    all.get(all.len() / 2).map_or(0.0, Duration::as_secs_f64)
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

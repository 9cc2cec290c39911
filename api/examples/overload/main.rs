//! `make overload`: what becomes of searches when far more are asked for than can be made.
//!
//! The peak is measured first, by clients that wait for each answer; then requests come by the clock at parts and multiples of it.
//! Machines are noisy and this one makes the requests, too: what counts is how the rows compare.

mod load;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use load::{Outcome, Report, Target, closed_loop, open_loop};

#[derive(Parser)]
struct Arguments {
    /// The binary
    #[arg(long)]
    binary: PathBuf,
    /// A folder of documents to search
    #[arg(long, default_value = "fixtures/corpus")]
    documents: PathBuf,
    /// Seconds of each load
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// The embedder
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    model: String,
}

/// A running server, ended when dropped.
struct Server {
    child: Child,
    target: Target,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Loading a model may have installed one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let work = tempfile::tempdir()?;
    let data = work.path().join("data");
    let ingested = command(&arguments, &data).arg("ingest").arg(&arguments.documents).status()?;
    anyhow::ensure!(ingested.success(), "the documents could not be ingested");
    let loud = key(&arguments, &data, "loud")?;
    let quiet = key(&arguments, &data, "quiet")?;
    overload(&arguments, &data).await?;
    neighbour(&arguments, &data, loud, quiet).await
}

fn command(arguments: &Arguments, data: &Path) -> Command {
    let mut command = Command::new(&arguments.binary);
    command.arg("--data").arg(data).env("RUST_LOG", "warn");
    command
        .env("WELLSPRING__MODELS__DEFAULT_EMBEDDER", &arguments.model)
        // Every question is embedded.
        .env("WELLSPRING__MODELS__EMBEDDING_CACHE_BYTES", "0");
    command
}

/// A key of a tenant of its own, which sees what that tenant has: the same documents.
fn key(arguments: &Arguments, data: &Path, tenant: &str) -> anyhow::Result<String> {
    let ask = ["key", "create", tenant, "--rights", "read,write", "--tenant", tenant, "--json"];
    let made = command(arguments, data).args(ask).output()?;
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).context("no key was made")?;
    Ok(made["token"].as_str().context("the key has no token")?.to_owned())
}

fn start(arguments: &Arguments, data: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Server> {
    let mut command = command(arguments, data);
    command.args(["serve", "--listen", "127.0.0.1:0"]).envs(settings.iter().copied());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    let Some(base) = line.trim().strip_prefix("listening on ") else { bail!("it did not start: {line}") };
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    let target = Target { client, url: format!("{base}v1/search"), key: None };
    Ok(Server { child, target })
}

fn resident_mib(server: &Server) -> anyhow::Result<f64> {
    let status = fs_err::read_to_string(format!("/proc/{}/status", server.child.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
    Ok(kib / 1024.0)
}

fn ms(took: Option<Duration>) -> String {
    took.map_or("–".to_owned(), |took| format!("{:.0}", took.as_secs_f64() * 1e3))
}

async fn overload(arguments: &Arguments, data: &Path) -> anyhow::Result<()> {
    let server = start(arguments, data, &[])?;
    let target = &server.target;
    let mut number = 0;
    let mut next = |count: f64| {
        number += count as usize + 10_000;
        number
    };
    closed_loop(target, 2, 3.0, next(0.0)).await;
    let (mut peak, mut each) = (0.0, 0.0);
    for clients in [2, 4, 8] {
        let before = processor(&server)?;
        let report = closed_loop(target, clients, arguments.seconds / 2.0, next(0.0)).await;
        if report.goodput() > peak {
            peak = report.goodput();
            each = (processor(&server)? - before) / report.count(Outcome::Good) as f64;
        }
    }
    let memory = resident_mib(&server)?;
    say(&format!("peak: {peak:.0} searches/s of {:.1} ms processor time each; {memory:.0} MiB", each * 1e3));
    say(
        "| load | asked/s | answered/s | of the peak | p50 ms | p99 ms | refused | refusal p50 ms | p99 ms | processor ms | failed | MiB | normal after s |",
    );
    say("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for times in [0.8, 2.0, 5.0, 10.0] {
        let rate = peak * times;
        let before = processor(&server)?;
        let report = open_loop(target, rate, arguments.seconds, next(rate * arguments.seconds)).await;
        // What is left when the answers have had theirs.
        let left = processor(&server)? - before - each * report.count(Outcome::Good) as f64;
        let refusal = match report.count(Outcome::Refused) {
            0 => 0.0,
            refused => (left / refused as f64).max(0.0),
        };
        let memory = resident_mib(&server)?;
        let normal = normal_again(target, next(0.0)).await;
        row(times, rate, &report, peak, refusal, memory, normal);
    }
    Ok(())
}

fn row(times: f64, rate: f64, report: &Report, peak: f64, refusal: f64, memory: f64, normal: f64) {
    say(&format!(
        "| {times}× | {rate:.0} | {:.0} | {:.0} % | {} | {} | {} | {} | {} | {:.2} | {} | {memory:.0} | {normal:.1} |",
        report.goodput(),
        report.goodput() / peak * 100.0,
        ms(report.quantile(Outcome::Good, 0.5)),
        ms(report.quantile(Outcome::Good, 0.99)),
        report.count(Outcome::Refused),
        ms(report.quantile(Outcome::Refused, 0.5)),
        ms(report.quantile(Outcome::Refused, 0.99)),
        refusal * 1e3,
        report.count(Outcome::Failed),
    ));
}

/// Seconds until a single search is answered as fast as on an idle server, within a quarter of a second.
async fn normal_again(target: &Target, from: usize) -> f64 {
    let start = Instant::now();
    for number in 0.. {
        let one = open_loop(target, 1e3, 1e-3, from + number).await;
        let fast = one.quantile(Outcome::Good, 1.0).is_some_and(|took| took < Duration::from_millis(250));
        if fast || start.elapsed() > Duration::from_secs(60) {
            break;
        }
    }
    start.elapsed().as_secs_f64()
}

/// A collection of a few documents, once they are found.
async fn fill(target: &Target) -> anyhow::Result<()> {
    let key = target.key.as_deref().unwrap_or_default();
    let post = |path: &str, body: serde_json::Value| {
        target.client.post(target.url.replace("search", path)).bearer_auth(key).json(&body).send()
    };
    post("collections", serde_json::json!({ "name": "default" })).await?.error_for_status()?;
    for number in 0..20 {
        let text = format!("A hotel night in city {number} may cost {} euros.", 90 + number);
        post("collections/default/documents", serde_json::json!({ "text": text }))
            .await?
            .error_for_status()?;
    }
    for _ in 0..600 {
        let found = post("search", serde_json::json!({ "query": "hotel", "k": 50 })).await?;
        let found: serde_json::Value = found.json().await?;
        if found["hits"].as_array().is_some_and(|hits| hits.len() >= 20) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!("the documents of a tenant were not found")
}

/// Seconds of processor time that the server has used: unlike the clock, it does not count what other programs take.
fn processor(server: &Server) -> anyhow::Result<f64> {
    let stat = fs_err::read_to_string(format!("/proc/{}/stat", server.child.id()))?;
    // Behind the name, which may hold anything: fields 14 and 15, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Ok((ticks(11).context("no utime")? + ticks(12).context("no stime")?) / 100.0)
}

/// One tenant asks for twenty times what it may, and another notices or does not.
async fn neighbour(arguments: &Arguments, data: &Path, loud: String, quiet: String) -> anyhow::Result<()> {
    // Ten a second for each key, of which a minute's worth may come at once.
    let quota = "{ key_per_minute = 600, tenant_per_minute = 600 }";
    let settings = [("WELLSPRING__AUTH__MODE", "keys"), ("WELLSPRING__LIMITS__QUERIES", quota)];
    let server = start(arguments, data, &settings)?;
    let [loud, quiet] = [loud, quiet].map(|key| Target { key: Some(key), ..server.target.clone() });
    for target in [&loud, &quiet] {
        fill(target).await?;
    }
    open_loop(&quiet, 5.0, 3.0, 0).await;
    let alone = open_loop(&quiet, 8.0, arguments.seconds, 1_000).await;
    let (beside, noise) = tokio::join!(
        open_loop(&quiet, 8.0, arguments.seconds, 2_000),
        open_loop(&loud, 200.0, arguments.seconds, 3_000),
    );
    let p99 = |report: &Report| report.quantile(Outcome::Good, 0.99).unwrap_or_default().as_secs_f64() * 1e3;
    say(&format!(
        "a tenant beside one at 20 times its quota: p99 {:.0} ms alone, {:.0} ms beside it ({:.2} times); {} of its own refused; \
         of the loud one {} answered, {} refused in {} ms (p99), {} failed",
        p99(&alone),
        p99(&beside),
        p99(&beside) / p99(&alone),
        beside.count(Outcome::Refused),
        noise.count(Outcome::Good),
        noise.count(Outcome::Refused),
        ms(noise.quantile(Outcome::Refused, 0.99)),
        noise.count(Outcome::Failed),
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: &str) {
    println!("{line}");
}

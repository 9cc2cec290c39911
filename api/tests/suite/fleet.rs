//! Two servers and three workers on one PostgreSQL, all of them real processes: workers are killed and the database is
//! restarted while documents are added, replaced and deleted through both servers. Nothing is lost, nothing is indexed twice,
//! and both servers answer alike.
//!
//! `make test` runs a short form; `make fleet` the long one, with throughput by number of workers.

mod away;
mod load;
mod process;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use process::{Process, Recipe};
use reqwest::Client;
use serde_json::json;
use sqlx::Connection;

use crate::postgres::{OWNER, Release, Server as Postgres, alone};

/// How long anything may take before it counts as stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Clients at a time.
const CLIENTS: usize = 8;
const SMOKE_DOCUMENTS: usize = 60;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn number_of(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |value| value.parse().expect("a number"))
}

/// The database of a fleet and the folder of its servers.
pub(super) struct Ground {
    pub(super) postgres: Postgres,
    pub(super) database: String,
    pub(super) url: String,
    pub(super) home: tempfile::TempDir,
}

/// `None` where PostgreSQL is not there.
pub(super) async fn ground() -> Option<Ground> {
    let postgres = alone(Release::Pg18)?;
    let database = postgres.database().await;
    let url = postgres.url(OWNER, &database);
    Some(Ground { postgres, database, url, home: tempfile::tempdir().unwrap() })
}

impl Ground {
    pub(super) fn server(&self, number: usize) -> Recipe {
        Recipe::server(&self.url, self.home.path(), number)
    }

    pub(super) fn worker(&self, number: usize) -> Recipe {
        Recipe::worker(&self.url, self.home.path(), number)
    }

    /// One number out of the database, past every wall.
    async fn count(&self, sql: &'static str) -> i64 {
        let mut connection = self.postgres.superuser(&self.database).await.unwrap();
        let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }
}

/// Returns once a server says that no job waits or runs. As long as fewer wait each time, it goes on waiting.
async fn settled(client: &Client, server: &Process) {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    loop {
        let (status, metrics) = server.get(client, "/metrics").await;
        let backlog = metrics.lines().find_map(|line| line.strip_prefix("wellspring_jobs_backlog "));
        match backlog.and_then(|backlog| backlog.parse::<u64>().ok()) {
            Some(0) => return,
            Some(backlog) if backlog < least => (least, since) = (backlog, Instant::now()),
            _ => {}
        }
        assert!(since.elapsed() < PATIENCE, "{least} jobs wait and none ends ({status}): {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills workers and restarts the database as the load goes on: at even shares of it, in an order that the seed decides.
async fn trouble(
    ground: &Ground,
    workers: &mut [(Recipe, Option<Process>)],
    done: &AtomicUsize,
    documents: usize,
    seed: u64,
    kills: usize,
    restarts: usize,
) {
    let mut dice = Dice(seed);
    let events = kills + restarts;
    let mut restarted = 0;
    for event in 1..=events {
        while done.load(Ordering::Relaxed) < documents * event / (events + 1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if event * restarts / events > restarted {
            restarted += 1;
            let signal = if restarted % 2 == 0 { "INT" } else { "QUIT" };
            eprintln!("restart {restarted} of PostgreSQL, by {signal}");
            ground.postgres.stop(signal);
            tokio::time::sleep(Duration::from_millis(dice.roll(1_500))).await;
            ground.postgres.start();
        } else {
            let (recipe, worker) = &mut workers[dice.roll(3) as usize];
            if let Some(worker) = worker.take() {
                worker.kill();
            }
            *worker = Some(recipe.start().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_loses_nothing_when_workers_die_and_the_database_restarts() {
    let documents = number_of("WELLSPRING_FLEET_DOCUMENTS", SMOKE_DOCUMENTS);
    let restarts = number_of("WELLSPRING_FLEET_RESTARTS", 1);
    let kills = number_of("WELLSPRING_FLEET_KILLS", 3);
    let seed = number_of("WELLSPRING_FLEET_SEED", 20_261_121) as u64;
    let Some(ground) = ground().await else { return };
    let servers = [ground.server(0), ground.server(1)];
    let (one, two) = (servers[0].start().await, servers[1].start().await);
    let bases = [one.base.clone(), two.base.clone()];
    let mut workers = Vec::new();
    for number in 0..3 {
        let recipe = ground.worker(number);
        let process = recipe.start().await;
        workers.push((recipe, Some(process)));
    }
    let client = load::client();
    let (done, began) = (AtomicUsize::new(0), Instant::now());
    let lives = stream::iter(0..documents)
        .map(|number| {
            let life = load::live(client.clone(), bases.clone(), number, seed);
            let done = &done;
            async move {
                let wanted = life.await;
                done.fetch_add(1, Ordering::Relaxed);
                wanted
            }
        })
        .buffered(CLIENTS)
        .collect::<Vec<_>>();
    let trouble = trouble(&ground, &mut workers, &done, documents, seed, kills, restarts);
    let (wanted, ()) = tokio::join!(lives, trouble);
    settled(&client, &one).await;
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{documents} documents, {kills} kills, {restarts} restarts: {seconds:.0} s");

    // Every upload that was acknowledged had one job (those of deleted documents may be purged), and all of them ended well.
    let uploads: u32 =
        wanted.iter().filter(|wanted| wanted.revision.is_some()).map(|wanted| wanted.uploads).sum();
    let jobs =
        "SELECT count(*) FROM jobs j JOIN documents d ON d.key = j.document_key WHERE d.deleted_at IS NULL";
    assert_eq!(ground.count(jobs).await, i64::from(uploads));
    let not_well = "SELECT count(*) FROM jobs WHERE state NOT IN ('indexed', 'cancelled')";
    assert_eq!(ground.count(not_well).await, 0);
    let there = wanted.iter().filter(|wanted| wanted.revision.is_some()).count() as i64;
    assert_eq!(ground.count("SELECT count(*) FROM versions WHERE state = 'visible'").await, there);
    let wanted = Arc::new(wanted);
    for base in &bases {
        stream::iter(wanted.iter().enumerate())
            .for_each_concurrent(CLIENTS, |(number, wanted)| load::check(&client, base, number, *wanted))
            .await;
    }
    for (_, worker) in workers {
        worker.unwrap().stop().await;
    }
    one.stop().await;
    two.stop().await;
    servers.iter().for_each(Recipe::verify);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_has_no_door_and_gives_its_jobs_back() {
    let Some(ground) = ground().await else { return };
    let recipe = ground.server(0);
    let server = recipe.start().await;
    let worker = ground.worker(0).start().await;
    let client = load::client();
    for (path, status) in
        [("/health", 200), ("/ready", 200), ("/metrics", 200), ("/v1/collections", 404), ("/", 404)]
    {
        assert_eq!(worker.get(&client, path).await.0, status, "{path}");
    }
    let search = client.post(format!("{}/v1/search", worker.base)).body("{}").send().await.unwrap();
    assert_eq!(search.status(), 404);
    worker.stop().await;
    // Nobody works: what is accepted waits, and the next worker does it.
    let bases = [server.base.clone(), server.base.clone()];
    for number in 0..4 {
        load::live(client.clone(), bases.clone(), number, 1).await;
    }
    assert_eq!(ground.count("SELECT count(*) FROM jobs WHERE state = 'running'").await, 0);
    let worker = ground.worker(1).start().await;
    settled(&client, &server).await;
    assert_eq!(ground.count("SELECT count(*) FROM jobs WHERE owner IS NOT NULL").await, 0);
    worker.stop().await;
    server.stop().await;
    assert_eq!(ground.count("SELECT count(*) FROM replicas WHERE living").await, 0);
    recipe.verify();
}

/// The catalog is made to say that more is visible than there is: no waiting mends that, so the lag is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_behind_says_so_and_answers() {
    let Some(ground) = ground().await else { return };
    let server = ground.server(0).start().await;
    let worker = ground.worker(0).start().await;
    let client = load::client();
    let url = format!("{}/v1/collections/default/documents", server.base);
    let body = json!({ "id": "a", "text": "This is needle1x." });
    assert_eq!(load::insist(|| client.post(&url).json(&body)).await.0, 202);
    settled(&client, &server).await;
    assert_eq!(load::found(&client, &server.base, "needle1x", "hybrid").await, ["a"]);
    let mut superuser = ground.postgres.superuser(&ground.database).await.unwrap();
    let ahead = "UPDATE collections SET visible_seq = visible_seq + 1";
    sqlx::query(ahead).execute(&mut superuser).await.unwrap();
    superuser.close().await.unwrap();
    let search = json!({ "collection": "default", "query": "needle1x" });
    let reply = load::insist(|| client.post(format!("{}/v1/search", server.base)).json(&search)).await.1;
    assert_eq!(reply["degraded"][0]["leg"], "indexes", "{reply}");
    assert!(reply["degraded"][0]["reason"].as_str().unwrap().contains("1 change behind"), "{reply}");
    assert_eq!(reply["hits"][0]["document_id"], "a");
    worker.stop().await;
    server.stop().await;
}

/// What one, two and three workers get done; only in the long form, for it says nothing of right or wrong.
#[tokio::test(flavor = "multi_thread")]
async fn throughput_by_number_of_workers() {
    let documents = number_of("WELLSPRING_FLEET_THROUGHPUT", 0);
    if documents == 0 {
        eprintln!("skipped: `make fleet` measures throughput");
        return;
    }
    for workers in 1..=3 {
        let Some(ground) = ground().await else { return };
        let server = ground.server(0).start().await;
        let client = load::client();
        let bases = [server.base.clone(), server.base.clone()];
        stream::iter(0..documents)
            .for_each_concurrent(CLIENTS, |number| {
                let life = load::live(client.clone(), bases.clone(), number, 7);
                async move {
                    life.await;
                }
            })
            .await;
        let mut running = Vec::new();
        for number in 0..workers {
            running.push(ground.worker(number).start().await);
        }
        let began = Instant::now();
        settled(&client, &server).await;
        let rate = documents as f64 / began.elapsed().as_secs_f64();
        eprintln!("{workers} workers: {rate:.1} documents/s");
    }
}

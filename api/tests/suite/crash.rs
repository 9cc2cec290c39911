//! The server is killed while documents are added, updated and deleted: at every named point of the write path, and at
//! random moments. After each restart nothing accepted is lost, nothing half or deleted is visible, and `verify` is clean
//! without repair.
//!
//! `make test` runs every point once and a few random kills; `make crash ROUNDS=1000` runs more. A failure prints its
//! round and seed.

mod oracle;
mod server;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oracle::Oracle;
use server::{Client, Gone, Server, verify};

const DOCUMENTS: u64 = 12;
const WRITERS: u64 = 3;
/// Random kills in `make test`.
const SMOKE_ROUNDS: u64 = 8;

/// SplitMix64 (Steele, Lea and Flood 2014): enough randomness to choose operations, the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// A text of several chunks in which every paragraph names document and revision, so that a mixture shows.
fn text_of(id: &str, revision: u32, dice: &mut Dice) -> String {
    let paragraphs = 1 + dice.roll(6);
    let mut text = format!("# Canary {id}\n\n");
    for part in 0..paragraphs {
        text.push_str(&format!(
            "## Part {part} of canary\n\nThis is revision-{revision}-of-{id}, part {part}. "
        ));
        for _ in 0..dice.roll(60) {
            text.push_str(&format!("word{} ", dice.roll(500)));
        }
        text.push_str("\n\n");
    }
    text
}

/// The revision a text speaks of; an error if it speaks of two, of another document, or of none.
fn revision_in(id: &str, text: &str) -> Result<u32, String> {
    let mut found = None;
    for word in text.split(|c: char| c.is_whitespace() || c == ',') {
        let Some((revision, of)) = word.strip_prefix("revision-").and_then(|rest| rest.split_once("-of-"))
        else {
            continue;
        };
        let revision: u32 = revision.parse().map_err(|_| format!("{id}: broken text: {word}"))?;
        if of != id || found.is_some_and(|before| before != revision) {
            return Err(format!("{id}: its text speaks of {word} beside revision {found:?}"));
        }
        found = Some(revision);
    }
    found.ok_or_else(|| format!("{id}: its text names no revision: {text:?}"))
}

/// Uploads, updates and deletes documents that no other writer touches, until the server is gone or `operations` are done.
async fn write(client: Client, writer: u64, seed: u64, oracle: Arc<Mutex<Oracle>>, operations: u64) {
    let mut dice = Dice(seed ^ (writer + 1).wrapping_mul(0x5851_f42d_4c95_7f2d));
    for _ in 0..operations {
        let id = format!("doc{}", writer + WRITERS * dice.roll(DOCUMENTS / WRITERS));
        let deletes = dice.roll(4) == 0;
        let revision = (!deletes).then(|| oracle.lock().unwrap().next_revision());
        oracle.lock().unwrap().begin(&id, revision);
        let sent = match revision {
            Some(revision) => client.upload(&id, &text_of(&id, revision, &mut dice)).await,
            None => client.delete(&id).await,
        };
        match sent {
            Ok(()) => oracle.lock().unwrap().acknowledge(&id),
            Err(Gone) => return,
        }
    }
}

/// Searches all the while: a document whose deletion was acknowledged before the query must not be in its answer, and no
/// answer mixes two versions of a document.
async fn read(client: Client, oracle: Arc<Mutex<Oracle>>) {
    for mode in ["keyword", "dense", "hybrid"].into_iter().cycle() {
        let absent: Vec<String> = {
            let oracle = oracle.lock().unwrap();
            oracle.ids().into_iter().filter(|id| oracle.is_certainly_absent(id)).collect()
        };
        let Ok(hits) = client.search("canary part revision", mode).await else { return };
        let oracle = oracle.lock().unwrap();
        for id in &absent {
            let still_absent = oracle.is_certainly_absent(id);
            assert!(
                !still_absent || hits.iter().all(|(hit, _, _)| hit != id),
                "{id} was deleted and is found ({mode})"
            );
        }
        check_versions(&hits);
    }
}

fn check_versions(hits: &[(String, i64, String)]) {
    for (id, version, _) in hits {
        assert!(
            hits.iter().all(|(other, v, _)| other != id || v == version),
            "{id} is found in two versions at once"
        );
    }
}

/// Everything that must hold once the restarted server has worked off what it accepted.
async fn check(client: &Client, oracle: &Arc<Mutex<Oracle>>) {
    client.settled().await;
    let ids = oracle.lock().unwrap().ids();
    let mut visible = Vec::new();
    for id in ids {
        let revision = client.text(&id).await.unwrap().map(|text| revision_in(&id, &text).unwrap());
        oracle.lock().unwrap().observe(&id, revision).unwrap();
        if let Some(revision) = revision {
            visible.push((id, revision));
        }
    }
    for mode in ["keyword", "dense"] {
        let hits = client.search("canary part revision", mode).await.unwrap();
        check_versions(&hits);
        for (id, _, text) in &hits {
            let (_, revision) = visible
                .iter()
                .find(|(visible, _)| visible == id)
                .unwrap_or_else(|| panic!("{id} is found by {mode} search and not visible"));
            if text.contains("revision-") {
                assert_eq!(
                    revision_in(id, text).unwrap(),
                    *revision,
                    "{id}: {mode} search found an old text"
                );
            }
        }
        for (id, _) in &visible {
            assert!(
                hits.iter().any(|(hit, _, _)| hit == id),
                "{id} is visible and {mode} search does not find it"
            );
        }
    }
}

/// Makes the keyword indexes unreadable, as a bad disk would.
fn damage_keyword_index(data: &Path) {
    let mut damaged = 0;
    for collection in fs_err::read_dir(data.join("indexes")).unwrap() {
        for index in fs_err::read_dir(collection.unwrap().path()).unwrap() {
            let meta = index.unwrap().path().join("meta.json");
            if meta.is_file() {
                fs_err::write(meta, "{").unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "there is no keyword index to damage");
}

/// One life of the server: load until it dies (at the point, or killed after `kill_after`), restart, check, verify.
/// Returns whether it died at the point.
async fn round(
    data: &Path,
    oracle: &Arc<Mutex<Oracle>>,
    seed: u64,
    crash_at: Option<&str>,
    kill_after: Duration,
) -> bool {
    if crash_at.is_some_and(|point| point.contains("swap_generation")) {
        // Generations are swapped when an index has to be built anew.
        damage_keyword_index(data);
    }
    let mut died = true;
    if let Some(mut server) = Server::start(data, crash_at).await {
        let reader = tokio::spawn(read(server.client(), Arc::clone(oracle)));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(server.client(), writer, seed, Arc::clone(oracle), 40)))
            .collect();
        let started = tokio::time::Instant::now();
        while started.elapsed() < kill_after && server.is_alive() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        died = !server.is_alive();
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        reader.await.unwrap();
    }
    let server = Server::start(data, None).await.expect("the server does not start after a crash");
    check(&server.client(), oracle).await;
    server.stop();
    verify(data);
    died
}

#[tokio::test(flavor = "multi_thread")]
async fn every_point_of_the_write_path_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let oracle = Arc::new(Mutex::new(Oracle::default()));
    let mut not_reached = Vec::new();
    for (number, point) in wellspring_store::fault::POINTS.iter().enumerate() {
        // The n-th passage varies, so that the crash hits a filled catalog as well as an empty one.
        let passage = if point.contains("swap_generation") { 1 } else { 1 + number % 3 };
        let spec = format!("{point}:{passage}");
        if !round(folder.path(), &oracle, number as u64, Some(&spec), Duration::from_secs(8)).await {
            not_reached.push(spec);
        }
    }
    assert!(not_reached.is_empty(), "points never passed: {not_reached:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_kills_lose_nothing() {
    let rounds = std::env::var("WELLSPRING_CRASH_ROUNDS")
        .map_or(SMOKE_ROUNDS, |rounds| rounds.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let oracle = Arc::new(Mutex::new(Oracle::default()));
    let mut dice = Dice(20_261_120);
    for number in 1..=rounds {
        let (seed, wait) = (dice.roll(u64::MAX), dice.roll(600));
        eprintln!("round {number} of {rounds}: seed {seed}, killed after {wait} ms");
        round(folder.path(), &oracle, seed, None, Duration::from_millis(wait)).await;
    }
}

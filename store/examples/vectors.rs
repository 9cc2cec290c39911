//! Measures every vector engine on the same clustered vectors: recall@10 against an exact scan at six selectivities, times of a
//! search, time to build, disk and memory. `make vectors` runs it.
//!
//! `vectors [COUNT [DIMENSION]]`; `DATABASE_URL` and `QDRANT_URL` name the servers, engines without one are left out.
//! `QDRANT_PROCESS` and `QDRANT_FOLDER`, where the server runs on this machine, tell its memory and disk.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program whose output is the table, and which may end at what it can't measure"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roaring::RoaringTreemap;
use wellspring_store::catalog::Catalog;
use wellspring_store::catalog::postgres::{PostgresCatalog, PostgresConfig};
use wellspring_store::catalog::sqlite::SqliteCatalog;
use wellspring_store::clock::SystemClock;
use wellspring_store::vector::choice::QdrantConfig;
use wellspring_store::vector::flat::{FlatIndex, Form, ScanPool};
use wellspring_store::vector::pgvector::{PgVectorConfig, PgVectorIndex};
use wellspring_store::vector::qdrant::QdrantEngine;
use wellspring_store::vector::{VectorEntry, VectorIndex, VectorQuery};
use wellspring_store::{
    ChunkKey, CollectionName, CollectionScope, DocumentKey, ErrorKind, NewCollection, Result, Scope, Seq,
    TenantId,
};

const CLUSTERS: u64 = 1_000;
const QUERIES: usize = 100;
const K: usize = 10;

/// Pseudo-random numbers, the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1_u64 << 24) as f32 - 0.5).sum()
    }

    fn unit(&mut self, dimension: usize) -> Vec<f32> {
        unit((0..dimension).map(|_| self.normal()).collect())
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// Vectors around centres, queries around the same, and candidates by fields that have nothing to do with either.
struct Workload {
    entries: Vec<VectorEntry>,
    queries: Vec<Vec<f32>>,
    filters: Vec<(&'static str, Option<RoaringTreemap>)>,
}

impl Workload {
    fn new(count: usize, dimension: usize) -> Self {
        let mut random = Random(7);
        let centres: Vec<_> = (0..CLUSTERS).map(|_| random.unit(dimension)).collect();
        let near = |random: &mut Random| {
            let centre = &centres[(random.next() % CLUSTERS) as usize];
            unit(centre.iter().map(|x| x + 0.04 * random.normal()).collect())
        };
        let entries = (1..=count as i64)
            .map(|key| VectorEntry {
                key: ChunkKey(key),
                document: DocumentKey(key / 10 + 1),
                version: 1,
                vector: near(&mut random),
            })
            .collect();
        let queries = (0..QUERIES).map(|_| near(&mut random)).collect();
        // A field of so many equally likely values, as a document would have it.
        let field = |name: u64, key: u64, values: u64| Random(key ^ (name << 40)).next() % values;
        let passing =
            |test: &dyn Fn(u64) -> bool| Some((1..=count as u64).filter(|&key| test(key)).collect());
        let filters = vec![
            ("100 %", None),
            ("20 %", passing(&|key| field(1, key, 5) == 0)),
            ("4 %, two fields", passing(&|key| field(1, key, 5) == 0 && field(2, key, 5) == 0)),
            ("1 %", passing(&|key| field(3, key, 100) == 0)),
            ("0.1 %", passing(&|key| field(4, key, 1_000) == 0)),
            ("0.01 %", passing(&|key| field(5, key, 10_000) == 0)),
        ];
        Self { entries, queries, filters }
    }
}

/// What one engine came to.
struct Measured {
    name: &'static str,
    build: Duration,
    bytes: String,
    lines: Vec<String>,
}

async fn keys(
    index: &dyn VectorIndex,
    vector: &[f32],
    among: Option<&RoaringTreemap>,
) -> Result<Vec<ChunkKey>> {
    let hits = index.search(VectorQuery { vector, k: K, among }).await?;
    Ok(hits.into_iter().map(|hit| hit.key).collect())
}

async fn measure(
    name: &'static str,
    index: &dyn VectorIndex,
    oracle: &dyn VectorIndex,
    workload: &Workload,
    bytes: impl AsyncFn() -> String,
) -> Result<Measured> {
    let start = Instant::now();
    for batch in workload.entries.chunks(1_000) {
        index.upsert(batch.to_vec()).await?;
    }
    index.flush(Seq(1)).await?;
    index.optimize().await?;
    index.flush(Seq(1)).await?;
    let build = start.elapsed();
    let mut lines = Vec::new();
    for (share, among) in &workload.filters {
        let (mut found, mut wanted, mut times) = (0_usize, 0_usize, Vec::new());
        for query in &workload.queries {
            let exact = keys(oracle, query, among.as_ref()).await?;
            let start = Instant::now();
            let got = keys(index, query, among.as_ref()).await?;
            times.push(start.elapsed());
            wanted += exact.len();
            found += exact.iter().filter(|key| got.contains(key)).count();
        }
        times.sort_unstable();
        let at = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e3;
        let recall = match wanted {
            0 => "nothing left".to_owned(),
            wanted => format!("{:.4}", f64::from(found as u32) / f64::from(wanted as u32)),
        };
        lines.push(format!("| {name} | {share} | {recall} | {:.1} | {:.1} |", at(50), at(99)));
    }
    Ok(Measured { name, build, bytes: bytes().await, lines })
}

/// Resident memory of a process, in MiB.
fn resident(process: &str) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1_024)
}

/// Bytes of the files in a folder, as the disk holds them, in MiB.
fn disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut folders = vec![folder.to_owned()];
    let mut blocks = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) => blocks += about.blocks(),
                Err(_) => {}
            }
        }
    }
    blocks * 512 / (1 << 20)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

async fn collection(catalog: &dyn Catalog, dimension: usize) -> Result<CollectionScope> {
    let scope = Scope::administrator(TenantId::default_tenant());
    let name = CollectionName::new("vectors-measured")?;
    let new = NewCollection {
        name: name.clone(),
        model: "none".into(),
        fingerprint: "none".into(),
        dimension,
        settings: serde_json::Value::Null,
    };
    match catalog.create_collection(&scope, new).await {
        Err(e) if e.kind() != ErrorKind::Conflict => return Err(e),
        _ => {}
    }
    Ok(catalog.collection(&scope, &name).await?.0)
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse().unwrap());
    let (count, dimension) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(384));
    let workload = Workload::new(count, dimension);
    let pool = ScanPool::new(2)?;
    let oracle = FlatIndex::new(dimension, Form::F32, pool.clone(), "oracle")?;
    oracle.upsert(workload.entries.clone()).await?;
    println!(
        "{count} vectors of {dimension} components around {CLUSTERS} centres, {QUERIES} queries, recall@{K}\n"
    );
    println!("| engine | filter leaves | recall@{K} | p50 ms | p99 ms |\n|---|---|---|---|---|");
    let mut all = Vec::new();
    let own = || resident("self").unwrap_or(0);

    let before = own();
    let flat = FlatIndex::new(dimension, Form::Int8, pool, "measured")?;
    let bytes = async || format!("memory {} MiB, nothing on disk", own().saturating_sub(before));
    all.push(told(measure("flat, int8", &flat, &oracle, &workload, bytes).await?));
    drop(flat);

    #[cfg(feature = "edge")]
    {
        let folder = tempfile::tempdir().unwrap();
        let before = own();
        let edge = wellspring_store::vector::edge::EdgeIndex::open(
            &folder.path().join("g1"),
            dimension,
            "measured",
        )?;
        let bytes =
            async || format!("memory {} MiB, disk {} MiB", own().saturating_sub(before), disk(folder.path()));
        all.push(told(measure("edge", &edge, &oracle, &workload, bytes).await?));
        edge.close().await?;
    }

    if let Some(url) = variable("DATABASE_URL") {
        let catalog = PostgresCatalog::open(&PostgresConfig::new(url), Arc::new(SystemClock)).await?;
        let scope = collection(&catalog, dimension).await?;
        let index = PgVectorIndex::open(&catalog, &scope, 1, dimension, PgVectorConfig::default()).await?;
        let bytes = async || {
            let bytes = index.stats().await.map_or(0, |stats| stats.bytes);
            format!("disk {} MiB (table, graph), memory is the database's", bytes / (1 << 20))
        };
        all.push(told(measure("pgvector", &index, &oracle, &workload, bytes).await?));
        index.remove_table().await?;
    }

    if let Some(url) = variable("QDRANT_URL") {
        let config = QdrantConfig { api_key: variable("QDRANT_API_KEY"), ..QdrantConfig::new(url) };
        let catalog = SqliteCatalog::open_in_memory(Arc::new(SystemClock)).await?;
        let scope = collection(&catalog, dimension).await?;
        let engine = QdrantEngine::new(&config, "measured")?;
        let index = engine.index(&scope, 1, dimension).await?;
        let (process, folder) = (variable("QDRANT_PROCESS"), variable("QDRANT_FOLDER"));
        let bytes = async || {
            let memory = process.as_deref().and_then(resident);
            let memory = memory.map_or("unknown".to_owned(), |memory| format!("{memory} MiB"));
            let disk = folder.as_deref().map(|folder| disk(Path::new(folder)));
            let disk = disk.map_or("unknown".to_owned(), |disk| format!("{disk} MiB"));
            format!("memory {memory} (whole server), disk {disk}")
        };
        all.push(told(measure("qdrant", &index, &oracle, &workload, bytes).await?));
        engine.remove_all(scope.key()).await?;
    }

    println!("\n| engine | build s | memory and disk |\n|---|---|---|");
    for Measured { name, build, bytes, .. } in &all {
        println!("| {name} | {:.1} | {bytes} |", build.as_secs_f64());
    }
    Ok(())
}

fn told(measured: Measured) -> Measured {
    for line in &measured.lines {
        println!("{line}");
    }
    measured
}

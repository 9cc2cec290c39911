//! Tests of the worker pool with engines that wait, fail and panic on demand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;

use super::*;

/// Records what it ran; says that it has begun and waits at `gate` before each run.
struct Recorder {
    log: Arc<Mutex<Vec<String>>>,
    begun: Arc<Semaphore>,
    gate: Receiver<()>,
}

impl Engine for Recorder {
    type Input = String;
    type Output = usize;

    fn run(&mut self, input: &String) -> Result<usize> {
        self.begun.add_permits(1);
        self.gate.recv().ok();
        self.log.lock().unwrap().push(input.clone());
        match input.as_str() {
            "panic" => panic!("as asked"),
            "fail" => Err(ModelError::new(ErrorKind::Invalid, "as asked")),
            _ => Ok(input.len()),
        }
    }
}

struct Bench {
    pool: Pool<Recorder>,
    log: Arc<Mutex<Vec<String>>>,
    begun: Arc<Semaphore>,
    gate: Sender<()>,
    loads: Arc<AtomicUsize>,
}

fn bench(threads: usize) -> Bench {
    let log = Arc::new(Mutex::new(Vec::new()));
    let begun = Arc::new(Semaphore::new(0));
    let loads = Arc::new(AtomicUsize::new(0));
    let (gate, waiting) = crossbeam_channel::unbounded();
    let (seen, entered, counted) = (Arc::clone(&log), Arc::clone(&begun), Arc::clone(&loads));
    let factory: Factory<Recorder> = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(Recorder { log: Arc::clone(&seen), begun: Arc::clone(&entered), gate: waiting.clone() })
    });
    Bench { pool: Pool::start("recorder", threads, factory).unwrap(), log, begun, gate, loads }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Waits until an engine has begun one more run (the log stays as it is: the engine is at the gate). A job that has
/// only left the queue would not do: the worker may still find its caller gone.
async fn until_begun(bench: &Bench) {
    let begun = tokio::time::timeout(Duration::from_secs(30), bench.begun.acquire()).await;
    begun.expect("no engine began").unwrap().forget();
}

#[tokio::test]
async fn outputs_keep_the_order_of_inputs() {
    let bench = bench(2);
    for _ in 0..6 {
        bench.gate.send(()).unwrap();
    }
    let outputs = bench.pool.run(Lane::Bulk, texts(&["a", "bb", "ccc", "dddd", "", "ffffff"])).await.unwrap();
    assert_eq!(outputs, [1, 2, 3, 4, 0, 6]);
}

#[tokio::test]
async fn interactive_inputs_overtake_bulk_ones() {
    let bench = bench(1);
    let bulk = bench.pool.run(Lane::Bulk, texts(&["bulk1", "bulk2", "bulk3"]));
    tokio::pin!(bulk);
    assert!(bulk.as_mut().now_or_never().is_none());
    until_begun(&bench).await;
    let query = bench.pool.run(Lane::Interactive, texts(&["query"]));
    tokio::pin!(query);
    assert!(query.as_mut().now_or_never().is_none());
    for _ in 0..4 {
        bench.gate.send(()).unwrap();
    }
    let (bulk, query) = tokio::join!(bulk, query);
    assert_eq!((bulk.unwrap().len(), query.unwrap().len()), (3, 1));
    assert_eq!(*bench.log.lock().unwrap(), ["bulk1", "query", "bulk2", "bulk3"]);
}

#[tokio::test]
async fn a_panic_costs_one_input_and_the_engine_only() {
    let bench = bench(1);
    for _ in 0..3 {
        bench.gate.send(()).unwrap();
    }
    let error = bench.pool.run(Lane::Bulk, texts(&["panic"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(bench.pool.run(Lane::Bulk, texts(&["fine"])).await.unwrap(), [4]);
    assert_eq!(bench.loads.load(Ordering::SeqCst), 2);
    // An ordinary failure keeps the engine.
    assert_eq!(bench.pool.run(Lane::Bulk, texts(&["fail"])).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(bench.loads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_dropped_future_cancels_what_has_not_begun() {
    let bench = bench(1);
    {
        let bulk = bench.pool.run(Lane::Bulk, texts(&["begun", "never", "never"]));
        tokio::pin!(bulk);
        assert!(bulk.as_mut().now_or_never().is_none());
        until_begun(&bench).await;
    }
    bench.gate.send(()).unwrap();
    bench.gate.send(()).unwrap();
    assert_eq!(bench.pool.run(Lane::Bulk, texts(&["next"])).await.unwrap(), [4]);
    assert_eq!(*bench.log.lock().unwrap(), ["begun", "next"]);
}

#[tokio::test]
async fn a_full_queue_refuses_queries_and_holds_back_bulk_work() {
    let bench = bench(1);
    let many = vec!["x".to_owned(); QUEUE + 10];
    let query = bench.pool.run(Lane::Interactive, many.clone());
    tokio::pin!(query);
    assert_eq!(query.as_mut().now_or_never().unwrap().unwrap_err().kind(), ErrorKind::RateLimited);
    let bulk = bench.pool.run(Lane::Bulk, many);
    tokio::pin!(bulk);
    assert!(bulk.as_mut().now_or_never().is_none());
    for _ in 0..2 * (QUEUE + 10) {
        bench.gate.send(()).unwrap();
    }
    assert_eq!(bulk.await.unwrap().len(), QUEUE + 10);
}

#[tokio::test]
async fn an_engine_that_cannot_be_made_is_tried_again_for_the_next_input() {
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let factory: Factory<Recorder> = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Err(ModelError::new(ErrorKind::NotFound, "no weights"))
    });
    let pool = Pool::start("none", 1, factory).unwrap();
    for _ in 0..2 {
        assert_eq!(pool.run(Lane::Bulk, texts(&["a"])).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(loads.load(Ordering::SeqCst), 2);
}

//! Worker threads that each own one engine: queries first, bounded queues, and workers that survive a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{ErrorKind, ModelError, Result};

/// What a worker thread runs: one input at a time.
pub(super) trait Engine: 'static {
    /// What goes in.
    type Input: Send + 'static;
    /// What comes out.
    type Output: Send + 'static;

    /// One run. A panic costs this input and the engine; the worker goes on with a new one.
    fn run(&mut self, input: &Self::Input) -> Result<Self::Output>;
}

/// Makes an engine, in the thread that will own it, when its first input comes.
pub(super) type Factory<E> = Arc<dyn Fn() -> Result<E> + Send + Sync>;

/// Which queue an input waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Someone is waiting: goes before everything in the other lane; refused when the queue is full.
    Interactive,
    /// Bulk work: waits for room in the queue.
    Bulk,
}

/// Inputs that may wait in either lane.
const QUEUE: usize = 256;

struct Job<E: Engine> {
    input: E::Input,
    reply: oneshot::Sender<Result<E::Output>>,
    /// Freed when the job leaves the queue, so that the channel never has to block a sender.
    room: OwnedSemaphorePermit,
}

struct Queue<E: Engine> {
    jobs: Sender<Job<E>>,
    room: Arc<Semaphore>,
}

impl<E: Engine> Queue<E> {
    fn new() -> (Self, Receiver<Job<E>>) {
        let (jobs, receiver) = bounded(QUEUE);
        (Self { jobs, room: Arc::new(Semaphore::new(QUEUE)) }, receiver)
    }
}

/// The threads. Dropping the pool waits for the inputs in progress, one per thread.
pub(super) struct Pool<E: Engine> {
    what: String,
    queues: Option<[Queue<E>; 2]>,
    threads: Vec<JoinHandle<()>>,
}

impl<E: Engine> Pool<E> {
    /// Starts `threads` workers (at least one). `what` names the model in messages and threads.
    pub(super) fn start(what: &str, threads: usize, factory: Factory<E>) -> Result<Self> {
        let (interactive, interactive_jobs) = Queue::new();
        let (bulk, bulk_jobs) = Queue::new();
        let mut handles = Vec::new();
        for number in 0..threads.max(1) {
            let (name, what) = (format!("model-{number}"), what.to_owned());
            let (first, second, factory) =
                (interactive_jobs.clone(), bulk_jobs.clone(), Arc::clone(&factory));
            let handle = std::thread::Builder::new()
                .name(name)
                .spawn(move || supervise(&what, &first, &second, &factory))
                .map_err(|error| {
                    ModelError::new(
                        ErrorKind::Unavailable,
                        "no thread for the model could be started; free some memory",
                    )
                    .with_source(error)
                })?;
            handles.push(handle);
        }
        Ok(Self { what: what.to_owned(), queues: Some([interactive, bulk]), threads: handles })
    }

    /// One output per input, in order; the first error ends it. Dropping the future drops what has not begun.
    pub(super) async fn run(&self, lane: Lane, inputs: Vec<E::Input>) -> Result<Vec<E::Output>> {
        let mut replies = Vec::with_capacity(inputs.len());
        for input in inputs {
            replies.push(self.submit(lane, input).await?);
        }
        let mut outputs = Vec::with_capacity(replies.len());
        for reply in replies {
            // A worker that panics drops the sender.
            outputs.push(reply.await.map_err(|_| self.gone())??);
        }
        Ok(outputs)
    }

    async fn submit(&self, lane: Lane, input: E::Input) -> Result<oneshot::Receiver<Result<E::Output>>> {
        let [interactive, bulk] = self.queues.as_ref().ok_or_else(|| self.gone())?;
        let (queue, room) = match lane {
            Lane::Interactive => (
                interactive,
                Arc::clone(&interactive.room).try_acquire_owned().map_err(|_| {
                    ModelError::new(
                        ErrorKind::RateLimited,
                        format!(
                            "{QUEUE} texts are already waiting for the model {}; try again later",
                            self.what
                        ),
                    )
                })?,
            ),
            Lane::Bulk => (bulk, Arc::clone(&bulk.room).acquire_owned().await.map_err(|_| self.gone())?),
        };
        let (reply, receiver) = oneshot::channel();
        match queue.jobs.try_send(Job { input, reply, room }) {
            Ok(()) => Ok(receiver),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(self.gone()),
        }
    }

    fn gone(&self) -> ModelError {
        ModelError::new(
            ErrorKind::Unavailable,
            format!("a worker of the model {} died and was replaced; try again", self.what),
        )
    }
}

impl<E: Engine> Drop for Pool<E> {
    fn drop(&mut self) {
        // The closed queues end the threads. Leaving them behind would let the process exit, and unload the runtime,
        // under a running model.
        self.queues = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(model = %self.what, "a worker ended by a panic");
            }
        }
    }
}

/// Runs a worker until the queues close, with a new engine after every panic.
fn supervise<E: Engine>(
    what: &str,
    first: &Receiver<Job<E>>,
    second: &Receiver<Job<E>>,
    factory: &Factory<E>,
) {
    while catch_unwind(AssertUnwindSafe(|| work(first, second, factory))).is_err() {
        tracing::error!(model = %what, "a worker panicked; its model is loaded again");
    }
}

/// Serves jobs until the queues close.
fn work<E: Engine>(first: &Receiver<Job<E>>, second: &Receiver<Job<E>>, factory: &Factory<E>) {
    let mut engine: Option<E> = None;
    loop {
        let job = select_biased! {
            recv(first) -> job => job,
            recv(second) -> job => job,
        };
        let Ok(Job { input, reply, room }) = job else {
            return;
        };
        drop(room);
        if reply.is_closed() {
            continue;
        }
        let loaded = match engine.take() {
            Some(ready) => Ok(ready),
            None => factory(),
        };
        let output = loaded.and_then(|ready| engine.insert(ready).run(&input));
        // The caller may have gone meanwhile: nothing to do then.
        drop(reply.send(output));
    }
}

#[cfg(test)]
mod tests;

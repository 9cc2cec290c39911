//! The one connection that writes: queued operations are committed together, each of them whole or not at all.
//!
//! A commit waits for the disk. Operations that wait meanwhile share the next commit: each runs in a savepoint of its
//! own, and all are answered after the one commit, so an answer still means that the disk has it.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::failure::{During, failed};
use crate::error::{ErrorKind, Result, StoreError};
use crate::fault;

/// Operations that may wait; more are refused after [`PATIENCE`].
const QUEUE: usize = 1024;
/// Operations in one commit.
const BATCH: usize = 128;
/// A batch takes no further operation after this long.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// How long a caller waits for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a caller waits for the answer.
const DEADLINE: Duration = Duration::from_secs(300);

/// Where the crash suite may stop the process around an operation's commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Points {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// Work and the way to its caller.
trait Work: Send {
    /// Does it; says whether to keep what it wrote, and how to answer once that is decided.
    fn run<'c>(self: Box<Self>, connection: &'c mut SqliteConnection) -> BoxFuture<'c, (bool, Answer)>
    where
        Self: 'c;

    /// Answers without doing it.
    fn refuse(self: Box<Self>, error: StoreError);
}

struct Request<T, F> {
    work: F,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Work for Request<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    fn run<'c>(self: Box<Self>, connection: &'c mut SqliteConnection) -> BoxFuture<'c, (bool, Answer)>
    where
        Self: 'c,
    {
        let Self { work, answer } = *self;
        Box::pin(async move {
            let result = match AssertUnwindSafe(work(connection)).catch_unwind().await {
                Ok(result) => result,
                Err(_) => {
                    Err(StoreError::new(ErrorKind::Internal, "a write to the catalog panicked: see the log"))
                }
            };
            let keep = result.is_ok();
            let tell: Answer = Box::new(move |committed| {
                // A caller that went away needs no answer.
                drop(answer.send(result.and_then(|value| committed.map(|()| value))));
            });
            (keep, tell)
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        drop(self.answer.send(Err(error)));
    }
}

struct Operation {
    points: Option<Points>,
    /// Whether it runs in the batch's transaction, or outside any (checkpoints).
    transactional: bool,
    work: Box<dyn Work>,
}

/// A handle to the writing task, which ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Operation>,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("points", &self.points).finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the task that owns the connection.
    pub(super) fn start(connection: SqliteConnection) -> Self {
        let (queue, operations) = mpsc::channel(QUEUE);
        tokio::spawn(run(connection, operations));
        Self { queue }
    }

    /// Runs `work` in a transaction and returns its result after the commit; an error of `work` undoes what it wrote.
    /// Work whose caller went away is done all the same.
    pub(super) async fn write<T, F>(&self, points: Option<Points>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.submit(points, true, work).await
    }

    /// Runs `work` on the writing connection outside any transaction.
    pub(super) async fn outside<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        self.submit(None, false, work).await
    }

    async fn submit<T, F>(&self, points: Option<Points>, transactional: bool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(Request { work, answer });
        match self.queue.send_timeout(Operation { points, transactional, work }, PATIENCE).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                return Err(StoreError::new(
                    ErrorKind::Unavailable,
                    format!("the catalog has more than {QUEUE} writes waiting: try again later"),
                ));
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(stopped()),
        }
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(StoreError::new(
                ErrorKind::Timeout,
                format!("a write to the catalog took over {} s; it may still happen", DEADLINE.as_secs()),
            )),
        }
    }
}

fn stopped() -> StoreError {
    StoreError::new(ErrorKind::Internal, "the catalog's writer has stopped: restart the process")
}

async fn run(mut connection: SqliteConnection, mut operations: mpsc::Receiver<Operation>) {
    let mut next = operations.recv().await;
    while let Some(operation) = next.take() {
        if operation.transactional {
            next = batch(&mut connection, operation, &mut operations).await;
        } else {
            let (_, tell) = operation.work.run(&mut connection).await;
            tell(Ok(()));
        }
        if next.is_none() {
            next = operations.recv().await;
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the catalog was not closed cleanly; the next start recovers it");
    }
}

/// Commits `first` and those waiting behind it; returns one that can't be part of a transaction, if it met one.
async fn batch(
    connection: &mut SqliteConnection,
    first: Operation,
    operations: &mut mpsc::Receiver<Operation>,
) -> Option<Operation> {
    let started = Instant::now();
    let mut answers = Vec::new();
    let mut points = Vec::new();
    let mut left_over = None;
    let mut state =
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.during("begin a write").map(|_| ());
    let mut operation = first;
    loop {
        match &state {
            Ok(()) => {
                points.extend(operation.points);
                let (tell, broken) = in_savepoint(connection, operation.work).await;
                answers.extend(tell);
                state = broken;
            }
            // The rest of the queue gets a chance of its own.
            Err(error) => operation.work.refuse(copy(error)),
        }
        if state.is_err() || answers.len() >= BATCH || started.elapsed() >= BATCH_TIME {
            break;
        }
        operation = match operations.try_recv() {
            Ok(operation) if operation.transactional => operation,
            Ok(operation) => {
                left_over = Some(operation);
                break;
            }
            Err(_) => break,
        };
    }
    if state.is_ok() {
        points.iter().for_each(|point: &Points| fault::point(point.before));
        state =
            sqlx::query("COMMIT").execute(&mut *connection).await.during("commit to the catalog").map(|_| ());
    }
    match &state {
        Ok(()) => points.iter().for_each(|point| fault::point(point.after)),
        Err(_) => undo(connection).await,
    }
    for tell in answers {
        tell(match &state {
            Ok(()) => Ok(()),
            Err(error) => Err(copy(error)),
        });
    }
    left_over
}

/// Runs one operation; the second value is an error if the whole transaction is lost with it.
async fn in_savepoint(
    connection: &mut SqliteConnection,
    work: Box<dyn Work>,
) -> (Option<Answer>, Result<()>) {
    if let Err(error) = sqlx::query("SAVEPOINT operation").execute(&mut *connection).await {
        let error = failed("begin a write", error);
        work.refuse(copy(&error));
        return (None, Err(error));
    }
    let (keep, tell) = work.run(&mut *connection).await;
    let end = if keep { "RELEASE operation" } else { "ROLLBACK TO operation; RELEASE operation" };
    let ended = sqlx::raw_sql(end).execute(&mut *connection).await;
    (Some(tell), ended.map(|_| ()).during("write to the catalog"))
}

/// Ends a transaction that failed; SQLite has ended it already after some failures (a full disk).
async fn undo(connection: &mut SqliteConnection) {
    if let Err(error) = sqlx::query("ROLLBACK").execute(connection).await {
        tracing::debug!(%error, "nothing to roll back");
    }
}

fn copy(error: &StoreError) -> StoreError {
    StoreError::new(error.kind(), error.to_string())
}

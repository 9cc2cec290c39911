//! Listens, serves until asked to stop, and then ends what is in flight within the time allowed.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use super::closing::Closing;
use super::connection::Protocol;
use super::guard::check_address;
use super::{Shared, connection, metrics, router};
use crate::app::App;
use crate::auth::Authenticator;
use crate::duty::Duty;

/// The last part of the time at shutdown, for streams that are cut to say so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often collections are looked at for having grown.
const LEARNING: Duration = Duration::from_secs(60);

/// How often callers that have not asked for a while are forgotten by the rate limits.
const FORGETTING: Duration = Duration::from_secs(60);

/// Binds an address; port 0 takes a free one. Without authentication only a loopback address: nothing would ask who calls.
pub(crate) async fn bind(address: &str, authentication: bool) -> anyhow::Result<TcpListener> {
    let addresses: Vec<_> = tokio::net::lookup_host(address)
        .await
        .with_context(|| format!("{address:?} is no address to listen on, such as 127.0.0.1:8080"))?
        .collect();
    for address in &addresses {
        check_address(*address, authentication)?;
    }
    TcpListener::bind(&addresses[..])
        .await
        .with_context(|| format!("{address} can't be listened on; is another server running there?"))
}

/// Serves HTTP, and gRPC where there is a listener for it, and works off jobs, as far as that is its duty, until `shutdown`
/// resolves. Then nothing new is accepted, requests in flight and running jobs have `server.shutdown_seconds` to end, streams are ended with a terminal event, and what jobs have not
/// finished goes back into the queue.
pub(crate) async fn serve(
    app: App,
    duty: Duty,
    authenticator: Authenticator,
    listener: TcpListener,
    grpc: Option<TcpListener>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the address that was bound is unknown")?;
    for listener in [Some(&listener), grpc.as_ref()].into_iter().flatten() {
        check_address(listener.local_addr()?, authenticator.is_on())?;
    }
    let patience = Duration::from_secs(app.config.server.shutdown_seconds);
    let recorder = metrics::recorder()?;
    let closing = Closing::default();
    let (service, shared) =
        router(app.clone(), duty, authenticator, address.port(), recorder.clone(), closing.clone());
    if let Some(folder) = app.store.folder() {
        folder.announce(Some(&address.to_string()))?;
    }
    // What tells others and what learns belongs to those who answer; so do indexes, which others' documents have to reach.
    let telling = match duty.answers() {
        true => Some(crate::webhooks::start(&app).await?),
        false => None,
    };
    let following =
        (duty.answers() && app.config.postgres.is_some()).then(|| app.store.indexes.keep_following());
    let workers = duty.works().then(|| app.ingestor.start(app.config.ingest.workers));
    let upkeep = tokio::spawn(metrics::upkeep(recorder));
    let learning = duty.answers().then(|| tokio::spawn(learn(app.clone())));
    let grpc = match grpc {
        Some(listener) => {
            let port = listener.local_addr()?.port();
            Some((listener, super::grpc::router(&shared, port)?))
        }
        None => None,
    };
    let forgetting = tokio::spawn(forget(shared));
    let retention = tokio::spawn(crate::audit::retain(app.store.clone(), app.config.audit.clone()));
    tracing::info!(%address, ?duty, "serving");

    let asked = closing.clone();
    let limits = app.config.limits.clone();
    let mut server = tokio::spawn(async move {
        let further = asked.clone();
        let shutdown = async move {
            shutdown.await;
            asked.ask();
        };
        let http = connection::accept(listener, service, Protocol::Http, &limits, shutdown);
        let grpc = async {
            match grpc {
                Some((listener, service)) => {
                    let closing = further.asked();
                    connection::accept(listener, service, Protocol::Grpc, &limits, closing).await
                }
                None => Ok(()),
            }
        };
        tokio::try_join!(http, grpc).map(|_| ())
    });
    let served = tokio::select! {
        served = &mut server => served.context("the HTTP server panicked")?.context("the HTTP server failed"),
        () = closing.asked() => {
            tracing::info!(seconds = patience.as_secs(), "shutting down");
            let worked = async {
                match workers {
                    Some(workers) => workers.shutdown(patience).await,
                    None => true,
                }
            };
            let (drained, finished) = tokio::join!(drain(server, &closing, patience), worked);
            if !finished {
                tracing::info!("jobs were still running; the next start goes on with them");
            }
            drained
        }
    };
    upkeep.abort();
    forgetting.abort();
    retention.abort();
    if let Some(learning) = learning {
        learning.abort();
    }
    if let Some(telling) = telling {
        telling.abort();
    }
    drop(following);
    app.store.close().await.context("the indexes can't be closed")?;
    tracing::info!("stopped");
    served
}

/// Keeps the memory of the rate limits bounded by who asks now.
async fn forget(server: Shared) {
    let mut ticks = tokio::time::interval(FORGETTING);
    loop {
        ticks.tick().await;
        server.rates.forget_idle();
        server.logins.forget_idle();
    }
}

/// Learns from collections that have grown, one after the other.
async fn learn(app: App) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + LEARNING, LEARNING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let collections = match app.store.catalog.all_collections().await {
            Ok(collections) => collections,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the collections can't be listed");
                continue;
            }
        };
        for (scope, _) in collections {
            if let Err(error) = app.retriever.learn_if_stale(&scope).await {
                let (error, collection) = (&error as &dyn std::error::Error, scope.name().as_str());
                tracing::warn!(error, collection, "nothing was learned from the documents");
            }
        }
    }
}

/// Waits for requests in flight; cuts streams shortly before the end, and connections at it.
async fn drain(
    mut server: tokio::task::JoinHandle<std::io::Result<()>>,
    closing: &Closing,
    patience: Duration,
) -> anyhow::Result<()> {
    let last_words = LAST_WORDS.min(patience);
    if let Ok(ended) = tokio::time::timeout(patience - last_words, &mut server).await {
        return ended.context("the HTTP server panicked")?.context("the HTTP server failed");
    }
    closing.cut();
    match tokio::time::timeout(last_words, &mut server).await {
        Ok(ended) => ended.context("the HTTP server panicked")?.context("the HTTP server failed"),
        Err(_) => {
            tracing::warn!("requests were still in flight at the end of the shutdown and were cut off");
            server.abort();
            Ok(())
        }
    }
}

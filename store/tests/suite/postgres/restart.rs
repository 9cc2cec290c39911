//! The server restarts under an open catalog: what fails meanwhile says that it may be tried again, and nothing has to be
//! opened anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wellspring_store::catalog::postgres::{PostgresCatalog, PostgresConfig};
use wellspring_store::clock::TestClock;
use wellspring_store::{Catalog, ErrorKind};

use super::NOON;
use super::server::{OWNER, Release, alone};
use crate::contract::fixture::{Fixture, document};

#[tokio::test(flavor = "multi_thread")]
async fn an_open_catalog_outlives_restarts_of_its_server() {
    let Some(server) = alone(Release::Pg16) else { return };
    let database = server.database().await;
    let clock = TestClock::at(NOON);
    let config = PostgresConfig::new(server.url(OWNER, &database));
    let catalog = Arc::new(PostgresCatalog::open(&config, Arc::new(clock.clone())).await.unwrap());
    let f = Fixture { catalog: Arc::clone(&catalog) as _, clock };
    let docs = f.docs().await;
    for (number, signal) in ["INT", "QUIT", "INT"].into_iter().enumerate() {
        server.stop(signal);
        // Told at once or after a few seconds, as the server is known to be away or not; never as a fault of ours.
        let refused = catalog.last_seq(&docs).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        server.start();
        let started = Instant::now();
        let id = format!("d{number}");
        while let Err(error) = f.catalog.accept(&docs, document(&id, &id), None).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(started.elapsed() < Duration::from_secs(60), "{error}");
        }
        let lease = f.lease().await;
        assert_eq!(lease.document.id.as_str(), id, "what was accepted before was worked off");
        let ending = wellspring_store::jobs::Ending {
            state: wellspring_store::jobs::JobState::Failed,
            reason: None,
            message: None,
            report: serde_json::Value::Null,
        };
        catalog.end_job(&lease, ending).await.unwrap();
    }
}

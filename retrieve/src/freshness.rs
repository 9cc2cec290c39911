//! Waits until this process's indexes know what is visible, where other processes write as well, and says how far they are
//! behind when time is up.

use std::time::{Duration, Instant};

use wellspring_store::{CollectionScope, Store};

use crate::config::RetrieveConfig;
use crate::error::Result;
use crate::explain::{Degraded, Timings};

/// The leg that a lag is said of.
const INDEXES: &str = "indexes";

/// Waits at most as long as the legs may take after it. A lag is said, not refused: what the indexes do know is right.
pub(crate) async fn wait(
    store: &Store,
    scope: &CollectionScope,
    config: &RetrieveConfig,
    timings: &mut Timings,
) -> Result<Option<Degraded>> {
    let start = Instant::now();
    let patience = Duration::from_millis(config.deadline_ms);
    let Some(lacking) = store.indexes.await_visible(scope, patience).await? else { return Ok(None) };
    timings.add("fresh", start);
    Ok((lacking > 0).then(|| {
        let lacking = match lacking {
            1 => "1 change".to_owned(),
            1_000.. => "1000 or more changes".to_owned(),
            few => format!("{few} changes"),
        };
        Degraded {
            leg: INDEXES.to_owned(),
            reason: format!(
                "this server's indexes are {lacking} behind what is visible: passages of the newest documents \
                 may be missing; ask again"
            ),
        }
    }))
}

//! An open loop: requests leave by the clock, whether or not earlier ones were answered, and each is timed from when it was due.
#![allow(dead_code, reason = "the tests look only at how requests end")]

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;

/// Where to, as whom.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    /// Of `/v1/search`.
    pub(crate) url: String,
    /// An API key, on a server that asks.
    pub(crate) key: Option<String>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With hits.
    Good,
    /// With 429 or 503 and the time after which to try again.
    Refused,
    /// With anything else, or not at all.
    Failed,
}

/// What came of a number of requests.
#[derive(Debug, Default)]
pub(crate) struct Report {
    shots: Vec<(Outcome, Duration)>,
    seconds: f64,
}

impl Report {
    /// Requests that ended so.
    pub(crate) fn count(&self, outcome: Outcome) -> usize {
        self.shots.iter().filter(|(ended, _)| *ended == outcome).count()
    }

    /// Answers a second.
    pub(crate) fn goodput(&self) -> f64 {
        self.count(Outcome::Good) as f64 / self.seconds.max(1e-9)
    }

    /// The time that the share `q` (0 to 1) of those that ended so took at most; `None` if none did.
    pub(crate) fn quantile(&self, outcome: Outcome, q: f64) -> Option<Duration> {
        let mut took: Vec<Duration> =
            self.shots.iter().filter(|(ended, _)| *ended == outcome).map(|(_, took)| *took).collect();
        took.sort_unstable();
        let last = took.len().checked_sub(1)?;
        took.get((last as f64 * q).round() as usize).copied()
    }
}

/// Questions that are all different, so that nothing is remembered of an earlier one.
fn body(number: usize) -> serde_json::Value {
    json!({ "query": format!("What may a hotel night in city {number} cost, and who approves it?"), "k": 10 })
}

/// One request, timed from when it was due.
async fn shot(target: Target, number: usize, due: Instant) -> (Outcome, Duration) {
    let mut request = target.client.post(&target.url).json(&body(number));
    if let Some(key) = &target.key {
        request = request.bearer_auth(key);
    }
    let outcome = match request.send().await {
        Ok(response) => {
            let status = response.status();
            let tells_when = response.headers().contains_key("retry-after");
            // The time is that of the whole body.
            match (status, response.bytes().await) {
                (StatusCode::OK, Ok(_)) => Outcome::Good,
                (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Ok(_)) if tells_when => {
                    Outcome::Refused
                }
                _ => Outcome::Failed,
            }
        }
        Err(_) => Outcome::Failed,
    };
    (outcome, due.elapsed())
}

/// Sends `rate` requests a second for so long, the first numbered `from`.
pub(crate) async fn open_loop(target: &Target, rate: f64, seconds: f64, from: usize) -> Report {
    let start = tokio::time::Instant::now();
    let mut flying = JoinSet::new();
    for number in 0..(rate * seconds) as usize {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        tokio::time::sleep_until(due).await;
        flying.spawn(shot(target.clone(), from + number, due.into_std()));
    }
    Report { shots: flying.join_all().await, seconds }
}

/// Has `clients` ask one question after the other for so long: as fast as the server answers.
pub(crate) async fn closed_loop(target: &Target, clients: usize, seconds: f64, from: usize) -> Report {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut asking = JoinSet::new();
    for client in 0..clients {
        let target = target.clone();
        asking.spawn(async move {
            let mut shots = Vec::new();
            while Instant::now() < end {
                let number = from + client + shots.len() * clients;
                shots.push(shot(target.clone(), number, Instant::now()).await);
            }
            shots
        });
    }
    let shots = asking.join_all().await.into_iter().flatten().collect();
    Report { shots, seconds }
}

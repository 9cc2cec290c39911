//! `/v1/usage`: what the caller's tenant or key used of paid models, and what it cost.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::caller::Identified;
use super::extract::ProblemQuery;
use crate::budget::{self, Day, UsageReport};
use crate::problem::{Code, Problem};

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Days {
    /// The first day, in UTC; 29 days before the last if absent.
    #[param(example = "2026-03-01")]
    from: Option<String>,
    /// The last day; today if absent.
    #[param(example = "2026-03-31")]
    to: Option<String>,
}

/// Show usage
///
/// Calls, tokens and cost of paid models by day, purpose and model: of the key that asks, or of its tenant where there is
/// none. Calls under way are in it once they have ended; what is reserved for them counts in `limits`.
#[utoipa::path(
    get, path = "/v1/usage", operation_id = "usage", tag = "service", params(Days),
    responses(
        (status = 200, description = "The usage", body = UsageReport),
        (status = 422, description = "A day that is none", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemQuery(Days { from, to }): ProblemQuery<Days>,
) -> Result<Response, Problem> {
    let from = from.as_deref().map(|day| read("from", day)).transpose()?;
    let to = to.as_deref().map(|day| read("to", day)).transpose()?;
    let report =
        budget::report(&server.app, sender.scope().tenant(), sender.key().as_deref(), (from, to), false)
            .await?;
    Ok(Json(report).into_response())
}

fn read(name: &str, day: &str) -> Result<Day, Problem> {
    day.parse().map_err(|error| Problem::new(Code::Invalid, format!("`{name}`: {error}")).at(name))
}

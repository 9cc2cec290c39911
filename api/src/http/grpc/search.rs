//! `SearchService`: passages for a query.

use tonic::{Request, Response, Status};
use wellspring_retrieve::{Mode, SearchRequest, query};

use super::refusal::status;
use super::v1::search_service_server::SearchService;
use super::{Services, filter, or_default, sender, v1};
use crate::auth::Sender;
use crate::http::search;
use crate::problem::{Code, Problem};

#[tonic::async_trait]
impl SearchService for Services {
    async fn search(
        &self,
        request: Request<v1::SearchRequest>,
    ) -> Result<Response<v1::SearchResponse>, Status> {
        let sender = sender(&request)?;
        let found = self.found(&sender, request.into_inner()).await.map_err(|problem| status(&problem))?;
        Ok(Response::new(found))
    }
}

impl Services {
    async fn found(&self, sender: &Sender, asked: v1::SearchRequest) -> Result<v1::SearchResponse, Problem> {
        let v1::SearchRequest { collection, query, k, mode, filter: input } = asked;
        let k = match k {
            0 => query::DEFAULT_K,
            k => usize::try_from(k).unwrap_or(usize::MAX),
        };
        let request =
            SearchRequest { k, mode: read_mode(mode)?, filter: filter(input)?, ..SearchRequest::new(query) };
        let response = search::run(&self.0, sender, &or_default(collection), request).await?;
        Ok(v1::SearchResponse {
            hits: response.hits.into_iter().map(Into::into).collect(),
            degraded: response.degraded.into_iter().map(Into::into).collect(),
            did_you_mean: response.did_you_mean,
            timings: response.timings.0.into_iter().collect(),
        })
    }
}

/// A message's mode. A number of a newer client is refused: it asks for what is not known here.
pub(super) fn read_mode(mode: i32) -> Result<Mode, Problem> {
    match v1::SearchMode::try_from(mode) {
        Ok(v1::SearchMode::Unspecified | v1::SearchMode::Hybrid) => Ok(Mode::Hybrid),
        Ok(v1::SearchMode::Dense) => Ok(Mode::Dense),
        Ok(v1::SearchMode::Keyword) => Ok(Mode::Keyword),
        Err(_) => Err(Problem::new(Code::Invalid, format!("there is no search mode {mode}")).at("mode")),
    }
}

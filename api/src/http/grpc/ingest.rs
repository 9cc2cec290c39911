//! `IngestService`: documents as a stream, each answered for itself once it is durable, and what becomes of them.

use std::time::Duration;

use axum::http::StatusCode;
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;
use uuid::Uuid;
use wellspring_ingest::{Content, Submission};
use wellspring_store::audit::NewAuditEntry;
use wellspring_store::catalog::{self, IdempotencyKey};
use wellspring_store::jobs::JobId;
use wellspring_store::{CollectionName, DocumentId};

use super::refusal::status;
use super::v1::ingest_request::Part;
use super::v1::ingest_response::Outcome;
use super::v1::ingest_service_server::IngestService;
use super::wire::metadata;
use super::{Services, or_default, place, sender, v1};
use crate::auth::Sender;
use crate::http::authorise::keep;
use crate::http::collections::find;
use crate::http::limits::InProgress;
use crate::http::policy::Class;
use crate::http::spool::{Spool, Spooled};
use crate::http::upload::{Incoming, check_holding, incoming, is_key, mismatched};
use crate::http::{Shared, search};
use crate::limits::Verdict;
use crate::problem::{Code, Problem};

/// What the audit log calls a document that came this way: what it is called over HTTP.
const ACTION: &str = "addDocument";

#[tonic::async_trait]
impl IngestService for Services {
    type IngestStream = BoxStream<'static, Result<v1::IngestResponse, Status>>;

    async fn ingest(
        &self,
        request: Request<Streaming<v1::IngestRequest>>,
    ) -> Result<Response<Self::IngestStream>, Status> {
        let upload = Upload {
            server: self.0.clone(),
            sender: sender(&request)?,
            _place: place(&request),
            messages: request.into_inner(),
            head: None,
            index: 0,
        };
        let outcomes = futures::stream::unfold(Some(upload), |upload| async move {
            let mut upload = upload?;
            match upload.next().await {
                Ok(Some(response)) => Some((Ok(response), Some(upload))),
                Ok(None) => None,
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(outcomes.boxed()))
    }

    type WatchJobStream = BoxStream<'static, Result<v1::WatchJobResponse, Status>>;

    async fn watch_job(
        &self,
        request: Request<v1::WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let (sender, place) = (sender(&request)?, place(&request));
        let server = self.0.clone();
        let id = request.into_inner().job.parse::<Uuid>().map(JobId);
        let id = id.map_err(|_| status(&Problem::new(Code::Invalid, "a job id is a UUID").at("job")))?;
        let scope = sender.scope();
        server.app.store.catalog.job(scope, id).await.map_err(|error| status(&error.into()))?;
        let changes = server.app.ingestor.events(scope, id).boxed();
        let jobs = futures::stream::unfold(Some((server, changes, place)), |state| async move {
            let (server, mut changes, place) = state?;
            let change = tokio::select! {
                change = changes.next() => change?,
                () = server.closing.asked() => {
                    return Some((Err(Status::unavailable("the server is shutting down; try again")), None));
                }
            };
            match change {
                Ok(job) => {
                    let state = (!job.state.is_final()).then_some((server, changes, place));
                    Some((Ok(job.into()), state))
                }
                Err(error) => Some((Err(status(&error.into())), None)),
            }
        });
        Ok(Response::new(jobs.boxed()))
    }
}

/// A stream of documents on its way.
struct Upload {
    server: Shared,
    sender: Sender,
    _place: Option<InProgress>,
    messages: Streaming<v1::IngestRequest>,
    /// Of the document that comes next.
    head: Option<v1::DocumentHead>,
    index: u64,
}

impl Upload {
    /// What became of the next document; `None` at the stream's end. A status where the stream itself is wrong or broke off:
    /// then nothing is kept of the document that was on its way.
    async fn next(&mut self) -> Result<Option<v1::IngestResponse>, Status> {
        let head = match self.head.take() {
            Some(head) => head,
            None => match self.part().await? {
                None => return Ok(None),
                Some(Part::Head(head)) => head,
                Some(Part::Chunk(_)) => {
                    let detail = "a document begins with its `head`";
                    return Err(status(&Problem::new(Code::Invalid, detail).at("chunk")));
                }
            },
        };
        let outcome = match self.document(head).await? {
            Ok(accepted) => Outcome::Accepted(accepted),
            Err(problem) => Outcome::Failure(v1::Failure {
                code: problem.code().to_owned(),
                detail: problem.detail().to_owned(),
                retry_after: problem.wait(),
            }),
        };
        let index = self.index;
        self.index += 1;
        Ok(Some(v1::IngestResponse { index, outcome: Some(outcome) }))
    }

    /// The next part; every one must come within the request timeout.
    async fn part(&mut self) -> Result<Option<Part>, Status> {
        let patience = self.server.request_timeout();
        loop {
            let message = tokio::select! {
                message = tokio::time::timeout(patience, self.messages.message()) => message,
                () = self.server.closing.was_cut() => {
                    return Err(Status::unavailable("the server is shutting down; try again"));
                }
            };
            match message {
                Err(_) => return Err(late(patience)),
                Ok(Ok(None)) => return Ok(None),
                // A message without either part says nothing.
                Ok(Ok(Some(message))) => {
                    if let Some(part) = message.part {
                        return Ok(Some(part));
                    }
                }
                Ok(Err(status)) => return Err(status),
            }
        }
    }

    /// Takes one document to its end. The inner error is this document's own.
    async fn document(&mut self, head: v1::DocumentHead) -> Result<Result<v1::Accepted, Problem>, Status> {
        let mut spool = begin(&self.server, &self.sender, &head, self.index > 0).await;
        // The rest of a refused document is read past, so that the next one can be reached.
        loop {
            match self.part().await? {
                Some(Part::Chunk(bytes)) => {
                    let written = match &mut spool {
                        Ok(spool) => spool.write(&bytes).await,
                        Err(_) => Ok(()),
                    };
                    if let Err(problem) = written {
                        spool = Err(problem);
                    }
                }
                Some(Part::Head(next)) => {
                    self.head = Some(next);
                    break;
                }
                None => break,
            }
        }
        let (server, sender) = (self.server.clone(), self.sender.clone());
        // To its end, whether or not the client waits: what is accepted or refused is in the audit log.
        let work = async move { audited(&server, &sender, head, spool).await };
        match tokio::spawn(work.in_current_span()).await {
            Ok(outcome) => Ok(outcome),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Status::unavailable("the server is shutting down; try again")),
        }
    }
}

/// Refuses what needs no byte of the document to be refused. The first document of a stream was counted against the rates
/// when the stream was opened, each further one is here.
async fn begin(
    server: &Shared,
    sender: &Sender,
    head: &v1::DocumentHead,
    further: bool,
) -> Result<Spool, Problem> {
    if further
        && !sender.is_local()
        && let Verdict::Refused(allowance, wait) = server.rates.judge(Class::Upload, sender)
    {
        let detail = format!("more than {} documents a minute, the limit here (`limits`)", allowance.limit);
        return Err(Problem::new(Code::RateLimited, detail).retry_after(wait + Duration::from_secs(1)));
    }
    let name = CollectionName::new(or_default(head.collection.clone()))?;
    if name.as_str() != search::default_collection() {
        find(server, sender.scope(), name.as_str()).await?;
    }
    check_holding(server, sender.scope()).await?;
    server.app.ingestor.check_backlog().await?;
    Spool::new(server.scratch(), server.app.config.ingest.max_upload_bytes).await
}

fn late(patience: Duration) -> Status {
    let detail = format!("nothing of the upload came for {} seconds", patience.as_secs());
    status(&Problem::new(Code::Timeout, detail))
}

/// Submits a document that came whole, and keeps who sent it; a refusal is kept, too.
async fn audited(
    server: &Shared,
    sender: &Sender,
    head: v1::DocumentHead,
    spool: Result<Spool, Problem>,
) -> Result<v1::Accepted, Problem> {
    // Only a name that can be one: the log holds names and ids.
    let collection = CollectionName::new(or_default(head.collection.clone())).ok();
    let outcome = match spool {
        Ok(spool) => submit(server, sender, head, spool).await,
        Err(problem) => Err(problem),
    };
    let (status, object) = match &outcome {
        Ok(accepted) => (StatusCode::ACCEPTED, Some(accepted.document_id.clone())),
        Err(problem) => (problem.status(), None),
    };
    if !sender.is_local() {
        let entry = NewAuditEntry {
            tenant: sender.scope().tenant().clone(),
            actor: sender.actor(),
            action: ACTION.to_owned(),
            collection: collection.map(|name| name.to_string()),
            object,
            outcome: 0,
            request: None,
        };
        keep(server, entry, status).await;
    }
    outcome
}

async fn submit(
    server: &Shared,
    sender: &Sender,
    head: v1::DocumentHead,
    spool: Spool,
) -> Result<v1::Accepted, Problem> {
    let v1::DocumentHead { collection, id, source, title, media_type, metadata: told, acl, idempotency_key } =
        head;
    let some = |text: String| (!text.is_empty()).then_some(text);
    let key = some(idempotency_key);
    if key.as_ref().is_some_and(|key| !is_key(key)) {
        let detail = "an idempotency key is 1-255 visible ASCII characters";
        return Err(Problem::new(Code::Invalid, detail).at("idempotency_key"));
    }
    let id = some(id).or_else(|| some(source.clone())).unwrap_or_default();
    let id = DocumentId::new(id).map_err(|error| Problem::from(error).at("id"))?;
    let source = some(source).unwrap_or_else(|| id.to_string());
    let Spooled { content, hash } = spool.finish().await?;
    let submission = Submission {
        id: id.clone(),
        source,
        content: Content::Stream(content),
        media_type: some(media_type),
        title: some(title),
        metadata: metadata(told)?,
        acl: acl.map(|list| list.principals),
    };
    let Incoming { submission, request } = incoming(submission, hash);
    let name = CollectionName::new(or_default(collection))?;
    let collection = if name.as_str() == search::default_collection() {
        server.app.ensure_collection(sender.scope(), &name).await?
    } else {
        find(server, sender.scope(), name.as_str()).await?
    };
    let idempotency = key.map(|key| IdempotencyKey { key, request });
    let repeated = idempotency.is_some();
    let accepted = server.app.ingestor.submit(&collection, submission, idempotency).await;
    let catalog::Accepted { version, job } = accepted.map_err(|error| mismatched(error, repeated))?;
    Ok(v1::Accepted { job: job.to_string(), document_id: id.to_string(), version })
}

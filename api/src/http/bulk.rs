//! `POST /v1/collections/{collection}/bulk`: many documents at once, in an archive or as lines of JSON.

mod directory;
mod unpack;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use utoipa::ToSchema;
use uuid::Uuid;
use wellspring_ingest::{Content, Submission};
use wellspring_store::catalog::IdempotencyKey;
use wellspring_store::{CollectionName, CollectionScope, ContentHash, DocumentId};

use super::caller::Caller;
use super::collections::find;
use super::extract::{ProblemPath, essence, parse};
use super::spool::Spool;
use super::upload::{Incoming, check_holding, idempotency_key, incoming, mismatched, of_text};
use super::{Shared, search};
use crate::problem::{Code, Problem};
use unpack::{Entry, Kind, Limits, Member, unpack};

/// Where many documents are added.
pub(super) const ROUTE: &str = "/v1/collections/{collection}/bulk";

/// Entries unpacked ahead of those that are being accepted.
const AHEAD: usize = 4;

/// Bounds on a bulk upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BulkConfig {
    /// Largest body in bytes.
    pub(crate) max_bytes: u64,
    /// Most entries or lines.
    pub(crate) max_entries: usize,
    /// Most bytes of all entries together, unpacked.
    pub(crate) max_unpacked_bytes: u64,
}

impl Default for BulkConfig {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_entries: 10_000, max_unpacked_bytes: 8 << 30 }
    }
}

/// What became of each entry.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct BulkReport {
    /// In the order of the upload.
    accepted: Vec<AcceptedEntry>,
    /// In the order of the upload.
    failed: Vec<FailedEntry>,
}

/// An entry that is on disk and has a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AcceptedEntry {
    /// Its path in the archive, or `line 7`.
    #[schema(example = "handbook/welcome.md")]
    entry: String,
    /// The job that makes it searchable; see `/v1/jobs/{id}`.
    job: Uuid,
    document_id: String,
    /// The version to come.
    version: i64,
}

/// An entry of which nothing was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FailedEntry {
    /// Its path in the archive, or `line 7`.
    entry: String,
    /// A problem's code.
    #[schema(example = "too-large")]
    code: &'static str,
    detail: String,
}

/// Add many documents
///
/// A ZIP or tar archive, whose files become documents with their paths as ids, or lines of JSON as `addDocument` takes
/// them. Each entry is accepted or refused for itself; those in `accepted` are durable when this returns. Hidden files,
/// links and folders are left out. The same `Idempotency-Key` with the same upload gets the same jobs again, so that an
/// upload that broke off can be repeated.
#[utoipa::path(
    post, path = "/v1/collections/{collection}/bulk", operation_id = "addDocuments", tag = "documents",
    params(
        ("collection" = String, Path, description = "The collection's name", example = "default"),
        ("Idempotency-Key" = Option<String>, Header, description = "1-255 visible ASCII characters"),
    ),
    request_body(content(
        (Vec<u8> = "application/zip"), (Vec<u8> = "application/x-tar"),
        (String = "application/x-ndjson", example = "{\"id\":\"a.md\",\"text\":\"# A\"}\n{\"id\":\"b.md\",\"text\":\"# B\"}\n"),
    )),
    responses(
        (status = 202, description = "At least one was accepted", body = BulkReport),
        (status = 400, description = "It broke off, or is no archive", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such collection", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than `bulk.max_bytes`", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "None of the kinds that are read", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No entry was accepted; `detail` says why of the first", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "The queue is full; `Retry-After` says when to come back", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(server): State<Shared>,
    Caller(scope): Caller,
    ProblemPath(name): ProblemPath<String>,
    request: Request,
) -> Result<(StatusCode, Json<BulkReport>), Problem> {
    let name = CollectionName::new(name)?;
    let made_on_demand = name.as_str() == search::default_collection();
    if !made_on_demand {
        find(&server, &scope, name.as_str()).await?;
    }
    let kind = kind(&request)?;
    check_holding(&server, &scope).await?;
    server.app.ingestor.check_backlog().await?;
    let key = idempotency_key(request.headers())?;
    let file = receive(&server, request).await?;
    let collection = if made_on_demand {
        server.app.ensure_collection(&scope, &name).await?
    } else {
        find(&server, &scope, name.as_str()).await?
    };
    let config = &server.app.config;
    let limits = Limits {
        entries: config.bulk.max_entries,
        bytes: config.bulk.max_unpacked_bytes,
        entry: match kind {
            Kind::Lines => config.server.max_json_bytes as u64,
            _ => config.ingest.max_upload_bytes,
        },
    };
    let (sender, mut entries) = mpsc::channel(AHEAD);
    let scratch = server.scratch();
    let unpacking = tokio::task::spawn_blocking(move || unpack(kind, file, &scratch, limits, &sender));
    let mut report = BulkReport::default();
    while let Some(Entry { name, member }) = entries.recv().await {
        let outcome = match member {
            Ok(member) => accept(&server, &collection, &name, member, key.as_deref()).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(accepted) => report.accepted.push(accepted),
            Err(problem) if problem.code() == Code::RateLimited.name() && report.accepted.is_empty() => {
                return Err(problem);
            }
            Err(problem) => report.failed.push(FailedEntry {
                entry: name,
                code: problem.code(),
                detail: problem.detail().to_owned(),
            }),
        }
    }
    let unpacked = unpacking.await.map_err(|panic| {
        tracing::error!(%panic, "unpacking an upload failed");
        Problem::new(Code::Internal, "the server failed to unpack the upload")
    });
    match unpacked.flatten() {
        Ok(()) => {}
        // What was accepted is durable, and its jobs must be told.
        Err(problem) if !report.accepted.is_empty() => report.failed.push(FailedEntry {
            entry: "(the rest of the upload)".to_owned(),
            code: problem.code(),
            detail: problem.detail().to_owned(),
        }),
        Err(problem) => return Err(problem),
    }
    match (report.accepted.is_empty(), report.failed.first()) {
        (false, _) => Ok((StatusCode::ACCEPTED, Json(report))),
        (true, Some(first)) => Err(Problem::new(
            Code::Invalid,
            format!(
                "none of {} entries was accepted; `{}`: {}",
                report.failed.len(),
                first.entry,
                first.detail
            ),
        )),
        (true, None) => Err(Problem::new(Code::Invalid, "the upload holds no document")),
    }
}

fn kind(request: &Request) -> Result<Kind, Problem> {
    match essence(request.headers()).as_deref() {
        Some("application/zip" | "application/x-zip-compressed") => Ok(Kind::Zip),
        Some("application/x-tar" | "application/tar") => Ok(Kind::Tar),
        Some("application/x-ndjson" | "application/jsonl" | "application/x-jsonlines") => Ok(Kind::Lines),
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            "send `application/zip`, `application/x-tar` or `application/x-ndjson`",
        )),
    }
}

/// The body in a file of its own; every piece must come within the request timeout.
async fn receive(server: &Shared, request: Request) -> Result<std::fs::File, Problem> {
    let limit = server.app.config.bulk.max_bytes;
    let patience = server.request_timeout();
    let too_large = || {
        Problem::new(
            Code::TooLarge,
            format!("the upload is larger than {limit} bytes, the limit here (`bulk.max_bytes`)"),
        )
    };
    // The spool's own limit speaks of single files.
    let mut spool = Spool::new(server.scratch(), u64::MAX).await?;
    let mut received = 0;
    let mut chunks = request.into_body().into_data_stream();
    loop {
        let chunk = tokio::time::timeout(patience, chunks.next()).await.map_err(|_| {
            Problem::new(
                Code::Timeout,
                format!("nothing of the upload came for {} seconds", patience.as_secs()),
            )
        })?;
        let Some(chunk) = chunk else { return spool.into_file().await };
        let chunk =
            chunk.map_err(|_| Problem::new(Code::BadRequest, "the body ended before it was whole"))?;
        received += chunk.len() as u64;
        if received > limit {
            return Err(too_large());
        }
        spool.write(&chunk).await?;
    }
}

async fn accept(
    server: &Shared,
    collection: &CollectionScope,
    name: &str,
    member: Member,
    key: Option<&str>,
) -> Result<AcceptedEntry, Problem> {
    // Each entry counts: one upload must not go beyond a quota by all that it holds.
    check_holding(server, collection.scope()).await?;
    let Incoming { submission, request } = match member {
        Member::File { file, hash } => {
            let id = DocumentId::new(name)?;
            let content = ReaderStream::new(tokio::fs::File::from_std(file)).boxed();
            incoming(Submission::new(id, name, Content::Stream(content)), hash)
        }
        Member::Line(line) => of_text(parse(&line)?)?,
    };
    let document_id = submission.id.to_string();
    let idempotency = key.map(|key| IdempotencyKey { key: own_key(key, name), request });
    let repeated = idempotency.is_some();
    let accepted = server.app.ingestor.submit(collection, submission, idempotency).await;
    let accepted = accepted.map_err(|error| mismatched(error, repeated))?;
    Ok(AcceptedEntry { entry: name.to_owned(), job: accepted.job.0, document_id, version: accepted.version })
}

/// The key of one entry of an upload.
fn own_key(key: &str, entry: &str) -> String {
    // A key has no white space, so that the two can't be told otherwise.
    format!("bulk-{}", ContentHash::of(format!("{key} {entry}").as_bytes()).to_hex())
}

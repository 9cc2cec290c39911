//! Reads an upload form: one file, and what is said about it, in any order.

use std::time::Duration;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use wellspring_store::Metadata;

use super::Shared;
use super::spool::{Spool, Spooled, too_large};
use crate::problem::{Code, Problem};

/// Largest field other than the file, in bytes.
pub(super) const FIELD_LIMIT: usize = 1 << 20;
/// How long what comes after a refusal is read and thrown away: a client that is still sending would never see the
/// refusal if the connection closed under it.
const LINGER: Duration = Duration::from_secs(5);

/// A form read whole.
pub(super) struct Form {
    pub(super) file: File,
    pub(super) id: Option<String>,
    pub(super) title: Option<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) acl: Option<Vec<String>>,
}

/// The form's file.
pub(super) struct File {
    pub(super) name: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) spooled: Spooled,
}

/// Reads a `multipart/form-data` request. Every piece must come within the request timeout.
pub(super) async fn read(server: &Shared, request: Request) -> Result<Form, Problem> {
    let mut multipart = Multipart::from_request(request, server).await.map_err(|rejection| {
        Problem::new(Code::BadRequest, format!("the form can't be read: {}", rejection.body_text()))
    })?;
    match fields(server, &mut multipart).await {
        Ok(form) => Ok(form),
        Err(problem) => {
            // Whether all of it could be read changes nothing.
            let _ = tokio::time::timeout(LINGER, discard(&mut multipart)).await;
            Err(problem)
        }
    }
}

async fn fields(server: &Shared, multipart: &mut Multipart) -> Result<Form, Problem> {
    let patience = server.request_timeout();
    let (mut file, mut id, mut title, mut metadata, mut acl) = (None, None, None, None, None);
    loop {
        let next =
            tokio::time::timeout(patience, multipart.next_field()).await.map_err(|_| stalled(patience))?;
        let Some(mut field) = next.map_err(|error| broken(server, &error))? else { break };
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if file.is_some() => {
                return Err(invalid("file", "a form carries one `file`: send one request per document"));
            }
            "file" => file = Some(read_file(server, &mut field).await?),
            "id" => put(&name, &mut id, text(server, &mut field, &name).await?)?,
            "title" => put(&name, &mut title, text(server, &mut field, &name).await?)?,
            "metadata" => put(&name, &mut metadata, json::<Metadata>(server, &mut field, &name).await?)?,
            "acl" => put(&name, &mut acl, json::<Vec<String>>(server, &mut field, &name).await?)?,
            other => {
                return Err(invalid(
                    other,
                    "unknown field; a form has `file`, and may have `id`, `title`, `metadata`, `acl`",
                ));
            }
        }
    }
    let file = file.ok_or_else(|| invalid("file", "the form has no `file`"))?;
    Ok(Form { file, id, title, metadata, acl })
}

async fn read_file(server: &Shared, field: &mut Field<'_>) -> Result<File, Problem> {
    let patience = server.request_timeout();
    let name = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
    // Clients that know nothing of the file say this; it would only mislead.
    let media_type =
        field.content_type().filter(|kind| *kind != "application/octet-stream").map(str::to_owned);
    let folder = server.scratch();
    let mut spool = Spool::new(folder, server.app.config.ingest.max_upload_bytes).await?;
    loop {
        let chunk = tokio::time::timeout(patience, field.chunk()).await.map_err(|_| stalled(patience))?;
        match chunk.map_err(|error| broken(server, &error))? {
            Some(chunk) => spool.write(&chunk).await?,
            None => return Ok(File { name, media_type, spooled: spool.finish().await? }),
        }
    }
}

async fn text(server: &Shared, field: &mut Field<'_>, name: &str) -> Result<String, Problem> {
    let patience = server.request_timeout();
    let mut bytes = Vec::new();
    loop {
        let chunk = tokio::time::timeout(patience, field.chunk()).await.map_err(|_| stalled(patience))?;
        let Some(chunk) = chunk.map_err(|error| broken(server, &error))? else { break };
        bytes.extend_from_slice(&chunk);
        if bytes.len() > FIELD_LIMIT {
            return Err(
                Problem::new(Code::TooLarge, format!("`{name}` is larger than {FIELD_LIMIT} bytes")).at(name)
            );
        }
    }
    String::from_utf8(bytes).map_err(|error| invalid(name, &format!("not UTF-8: {}", error.utf8_error())))
}

async fn json<T: DeserializeOwned>(server: &Shared, field: &mut Field<'_>, name: &str) -> Result<T, Problem> {
    let text = text(server, field, name).await?;
    serde_json::from_str(&text)
        .map_err(|error| invalid(name, &format!("not the JSON that is wanted here: {error}")))
}

fn put<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), Problem> {
    if slot.replace(value).is_some() { Err(invalid(name, "given twice")) } else { Ok(()) }
}

fn invalid(name: &str, detail: &str) -> Problem {
    Problem::new(Code::Invalid, format!("`{name}`: {detail}")).at(name)
}

fn stalled(patience: Duration) -> Problem {
    Problem::new(Code::Timeout, format!("nothing of the upload came for {} seconds", patience.as_secs()))
}

fn broken(server: &Shared, error: &MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(server.app.config.ingest.max_upload_bytes);
    }
    Problem::new(Code::BadRequest, format!("the form is malformed or broke off: {}", error.body_text()))
}

async fn discard(multipart: &mut Multipart) {
    while let Ok(Some(mut field)) = multipart.next_field().await {
        while let Ok(Some(_)) = field.chunk().await {}
    }
}

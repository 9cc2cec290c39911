//! `/v1/keys`: make, list and revoke API keys; nobody gives more than it has.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use wellspring_store::accounts::{Grant, NewKey, Right, Rights};
use wellspring_store::{Access, CollectionName, Collections, Scope, TenantId};

use super::authorise::About;
use super::caller::Identified;
use super::extract::{ProblemJson, ProblemPath, ProblemQuery};
use super::{Shared, schema};
use crate::auth::{Sender, key};
use crate::problem::{Code, Problem};

/// Longest life that can be asked for: a hundred years, in seconds.
const LONGEST_LIFE: u64 = 100 * 366 * 86_400;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "the intranet's search box", "rights": ["read"], "principals": ["group:staff"] }))]
pub(super) struct WantedKey {
    /// For people: 1-256 bytes.
    name: String,
    /// What may be done with it.
    #[schema(value_type = Vec<schema::Right>)]
    rights: BTreeSet<Right>,
    /// Its tenant; the sender's own if absent. Only an operator names another.
    tenant: Option<String>,
    /// Collections it may touch; all if absent.
    collections: Option<BTreeSet<String>>,
    /// Tools that agents may call with it; all if absent.
    tools: Option<BTreeSet<String>>,
    /// Whose documents it sees, such as `user:ada` and `group:ops`; every document if absent, those without an access list
    /// only if empty.
    principals: Option<BTreeSet<String>>,
    /// Seconds from now after which it is as good as revoked; never if absent.
    #[schema(minimum = 1)]
    expires_in_seconds: Option<u64>,
}

/// Which keys to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this tenant. An operator sees every tenant's.
    tenant: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// At most this many, 1-1000; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The tenant that is asked about: the one named where the sender may, else its own; `None` for all.
pub(super) fn asked_about(sender: &Sender, named: Option<String>) -> Result<Option<TenantId>, Problem> {
    let own = sender.scope().tenant();
    match (named, sender.permits(Right::Operator)) {
        (None, true) => Ok(None),
        (None, false) => Ok(Some(own.clone())),
        (Some(name), operator) => {
            let tenant = TenantId::new(name).map_err(|error| Problem::from(error).at("tenant"))?;
            if operator || tenant == *own {
                return Ok(Some(tenant));
            }
            Err(Problem::new(Code::Forbidden, "another tenant is an operator's business").at("tenant"))
        }
    }
}

/// Whether who has `own` may hand out `wanted`.
fn may_give(own: &Grant, wanted: &Grant) -> Result<(), &'static str> {
    if wanted.scope.tenant() != own.scope.tenant() && !own.rights.permit(Right::Operator) {
        return Err("another tenant's keys are made by an operator");
    }
    if !own.rights.cover(&wanted.rights) {
        return Err("nobody gives a right that it does not have");
    }
    match (&own.tools, &wanted.tools) {
        (None, _) => Ok(()),
        (Some(own), Some(wanted)) if wanted.is_subset(own) => Ok(()),
        (Some(_), _) => Err("nobody gives a tool that it may not call"),
    }
}

/// Make a key
///
/// `token` is shown this once and kept nowhere. Send it as `Authorization: Bearer …` or `X-Api-Key: …`.
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "createKey", tag = "administration", request_body = WantedKey,
    responses(
        (status = 201, description = "Made", body = schema::MadeKey),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No rights, an administrator that would not see all of its tenant, a bad name or an \
            unknown member", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemJson(wanted): ProblemJson<WantedKey>,
) -> Result<Response, Problem> {
    let WantedKey { name, rights, tenant, collections, tools, principals, expires_in_seconds } = wanted;
    let tenant = match tenant {
        Some(tenant) => TenantId::new(tenant).map_err(|error| Problem::from(error).at("tenant"))?,
        None => sender.scope().tenant().clone(),
    };
    let collections = match collections {
        None => Collections::All,
        Some(names) => Collections::Only(
            names
                .into_iter()
                .map(CollectionName::new)
                .collect::<Result<_, _>>()
                .map_err(|error| Problem::from(error).at("collections"))?,
        ),
    };
    let access = principals.map_or(Access::Everything, Access::Principals);
    let rights: Rights = rights.into_iter().collect();
    let grant = Grant { scope: Scope::new(tenant, access, collections), rights, tools };
    may_give(sender.grant(), &grant).map_err(|why| Problem::new(Code::Forbidden, why))?;
    let expires_at = match expires_in_seconds {
        None => None,
        Some(seconds @ 1..=LONGEST_LIFE) => Some(expiry(seconds)),
        Some(_) => {
            return Err(
                Problem::new(Code::Invalid, "a key lives for 1 second to 100 years").at("expires_in_seconds")
            );
        }
    };
    let key::Minted { id, hash, token } = key::mint()?;
    let new = NewKey { id, hash, name, grant, created_by: Some(sender.actor()), expires_at };
    let key = server.app.store.accounts.create_key(new).await?;
    let location = HeaderValue::from_str(&format!("/v1/keys/{}", key.id));
    let about = About(key.id.clone());
    let mut response = (StatusCode::CREATED, Json(json!({ "key": key, "token": token }))).into_response();
    response.extensions_mut().insert(about);
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Microseconds since 1970, this many seconds from now.
fn expiry(seconds: u64) -> i64 {
    let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    jiff::Timestamp::now().as_microsecond().saturating_add(micros)
}

/// List keys
///
/// Those of the sender's tenant; an operator's are those of every tenant.
#[utoipa::path(
    get, path = "/v1/keys", operation_id = "listKeys", tag = "administration", params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = schema::KeyList),
        (status = 422, description = "A bad tenant or limit", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemQuery(query): ProblemQuery<ListQuery>,
) -> Result<Response, Problem> {
    let tenant = asked_about(&sender, query.tenant)?;
    let limit = super::page_size(query.limit)?;
    let page = server.app.store.accounts.keys(tenant.as_ref(), query.cursor.as_deref(), limit).await?;
    Ok(Json(json!({ "keys": page.items, "next": page.next })).into_response())
}

/// Revoke a key
///
/// The next request with it is refused. It stays in the list, so that the audit log can be read.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", operation_id = "revokeKey", tag = "administration",
    params(("id" = String, Path, description = "The key's public part", example = "9f86d081884c7d65")),
    responses(
        (status = 200, description = "Revoked", body = schema::ApiKey),
        (status = 403, description = "The key has rights that the sender lacks", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such key", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke(
    State(server): State<Shared>,
    Identified(sender): Identified,
    ProblemPath(id): ProblemPath<String>,
) -> Result<Response, Problem> {
    let tenant = asked_about(&sender, None)?;
    let accounts = &server.app.store.accounts;
    // A key can be taken away by whoever could have given it.
    if let Some((key, _)) = accounts.living_key(&id).await?
        && tenant.as_ref().is_none_or(|tenant| tenant == key.grant().scope.tenant())
        && !sender.grant().rights.cover(&key.grant().rights)
    {
        let detail = "the key may do more than the sender: only an operator, or the command line, revokes it";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(Json(accounts.revoke_key(tenant.as_ref(), &id).await?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(tenant: &str, rights: &[Right], tools: Option<&[&str]>) -> Grant {
        Grant {
            scope: Scope::administrator(TenantId::new(tenant).unwrap()),
            rights: rights.iter().copied().collect(),
            tools: tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect()),
        }
    }

    #[test]
    fn nobody_gives_more_than_it_has() {
        use Right::{Admin, Operator, Read, Write};
        let admin = grant("one", &[Admin], None);
        for good in [&[Read][..], &[Write], &[Admin], &[Read, Write, Admin]] {
            assert!(may_give(&admin, &grant("one", good, None)).is_ok());
        }
        assert!(may_give(&admin, &grant("one", &[Operator], None)).is_err());
        assert!(may_give(&admin, &grant("two", &[Read], None)).is_err());
        assert!(may_give(&grant("one", &[Operator], None), &grant("two", &[Operator], None)).is_ok());
        let limited = grant("one", &[Admin], Some(&["search"]));
        assert!(may_give(&limited, &grant("one", &[Read], Some(&["search"]))).is_ok());
        assert!(may_give(&limited, &grant("one", &[Read], Some(&["search", "ask"]))).is_err());
        assert!(may_give(&limited, &grant("one", &[Read], None)).is_err());
    }
}

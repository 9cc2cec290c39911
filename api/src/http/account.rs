//! `/v1/auth`: people sign in with a name and a password, go on with a sign-in, make an account, and sign out.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wellspring_store::TenantId;
use wellspring_store::accounts::Right;
use wellspring_store::audit::NewAuditEntry;
use wellspring_store::users::{NewUser, User, UserName};

use super::Shared;
use super::authorise::refused;
use super::extract::ProblemJson;
use super::session::cookie;
use crate::auth::sign_in::Tokens;
use crate::auth::{COOKIE, Refusal, Sender, password};
use crate::limits::Verdict;
use crate::problem::{Code, Problem};

/// Everybody may ask here: what comes with the request decides.
pub(super) const OPEN: [&str; 3] = ["/v1/auth/login", "/v1/auth/refresh", "/v1/auth/register"];
pub(super) const LOGOUT: &str = "/v1/auth/logout";
/// Where browsers keep what they go on with; sent nowhere but here.
const REFRESH_COOKIE: &str = "wellspring_refresh";
const REFRESH_PATH: &str = "/v1/auth";

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The user's name, in any case.
    #[schema(example = "ada@example.org")]
    name: String,
    #[schema(example = "correct horse battery", format = Password)]
    password: String,
    /// For browsers: whether the tokens come as cookies that scripts can't read, instead of in the body.
    #[serde(default)]
    cookie: bool,
}

/// What a sign-in is gone on with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// The latest refresh token; a browser's cookie if absent.
    #[schema(example = "wr_9f86d081884c7d65_…")]
    refresh_token: Option<String>,
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// 1-128 bytes without white space; one in the whole deployment, whatever the case.
    #[schema(example = "ada@example.org")]
    name: String,
    /// At least 12 characters.
    #[schema(example = "correct horse battery", format = Password)]
    password: String,
}

/// Who is signed in, and for how long.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    /// `Bearer`.
    token_type: &'static str,
    /// For the `Authorization` header; absent where it came as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// Seconds until the access token ends.
    expires_in: u64,
    /// For `/v1/auth/refresh`, once; absent where it came as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Seconds until the refresh token ends.
    refresh_expires_in: u64,
    user: Account,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    #[schema(example = "ada@example.org")]
    name: String,
    #[schema(example = "default")]
    tenant: String,
    #[schema(value_type = Vec<super::schema::Right>)]
    rights: Vec<Right>,
    /// Groups whose documents it sees.
    groups: Vec<String>,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            name: user.name.to_string(),
            tenant: user.tenant.as_str().to_owned(),
            rights: user.rights.iter().collect(),
            groups: user.groups.into_iter().collect(),
        }
    }
}

fn is_on(server: &Shared) -> Result<(), Problem> {
    if server.authenticator.is_on() {
        return Ok(());
    }
    Err(Problem::new(Code::Invalid, "authentication is off here: there is nothing to sign in to"))
}

/// Sign in
///
/// A name nobody has and a wrong password look the same, and take the same time. Attempts are counted per name
/// (`auth.users.logins`).
#[utoipa::path(
    post, path = "/v1/auth/login", operation_id = "login", tag = "service", request_body = Login,
    responses(
        (status = 200, description = "Signed in", body = SignedIn),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The name or the password is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Authentication is off, or an unknown member", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many passwords are being checked", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn login(
    State(server): State<Shared>,
    headers: HeaderMap,
    ProblemJson(Login { name, password, cookie }): ProblemJson<Login>,
) -> Result<Response, Problem> {
    is_on(&server)?;
    // What is no name is nobody's, and takes as long.
    let name = UserName::new(&name).ok();
    counted(&server, name.as_ref().map_or("", UserName::as_str))?;
    let found = match &name {
        Some(name) => server.app.store.users.user(name).await?,
        None => None,
    };
    let hash = found.as_ref().map(|(_, hash)| hash.clone());
    let right = password.len() <= password::LONGEST && server.passwords.verify(password, hash).await?;
    let tokens = match &found {
        // Disabled users are refused here as well, after the same work.
        Some((user, hash)) if right => server.sign_ins.begin(&user.name, hash).await?,
        _ => None,
    };
    if let Some((user, _)) = &found {
        record(&server, "login", user, if tokens.is_some() { 200 } else { 401 });
    }
    let (Some((user, _)), Some(tokens)) = (found, tokens) else {
        metrics::counter!("wellspring_logins_total", "outcome" => "refused").increment(1);
        return Err(Problem::new(Code::Unauthenticated, "the name or the password is wrong"));
    };
    metrics::counter!("wellspring_logins_total", "outcome" => "good").increment(1);
    Ok(answer(&server, &headers, StatusCode::OK, user, tokens, cookie))
}

/// Go on with a sign-in
///
/// Both tokens are replaced; the old ones are worth nothing from then on. A refresh token that comes a second time ends the
/// sign-in, since somebody else has it, too.
#[utoipa::path(
    post, path = "/v1/auth/refresh", operation_id = "refreshSignIn", tag = "service", request_body = Refresh,
    responses(
        (status = 200, description = "The new tokens", body = SignedIn),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "The token is unknown, expired, or was used before", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Authentication is off, or an unknown member", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn refresh(
    State(server): State<Shared>,
    headers: HeaderMap,
    ProblemJson(Refresh { refresh_token }): ProblemJson<Refresh>,
) -> Result<Response, Problem> {
    is_on(&server)?;
    let kept = crate::auth::cookie(&headers, REFRESH_COOKIE);
    let by_cookie = refresh_token.is_none();
    let Some(token) = refresh_token.as_deref().or(kept) else { return Ok(refused(Refusal::Missing)) };
    match server.sign_ins.renew(token).await {
        Ok((user, tokens)) => Ok(answer(&server, &headers, StatusCode::OK, user, tokens, by_cookie)),
        Err(refusal) => {
            let mut response = refused(refusal);
            if by_cookie {
                clear(&headers, &mut response);
            }
            Ok(response)
        }
    }
}

/// Make an account
///
/// Off unless `auth.users.registration` is set. Such an account reads what has no access list, and what names it.
#[utoipa::path(
    post, path = "/v1/auth/register", operation_id = "register", tag = "service", request_body = Registration,
    responses(
        (status = 201, description = "Made: sign in with it", body = Account),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Accounts are made by an administrator here", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Authentication is off, a bad name or password, or an unknown member", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many passwords are being checked", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn register(
    State(server): State<Shared>,
    ProblemJson(Registration { name, password }): ProblemJson<Registration>,
) -> Result<Response, Problem> {
    is_on(&server)?;
    let config = &server.app.config.auth.users;
    if !config.registration {
        return Err(Problem::new(Code::Forbidden, "accounts are made by an administrator here"));
    }
    let name = UserName::new(&name).map_err(|error| Problem::from(error).at("name"))?;
    counted(&server, name.as_str())?;
    password::check(&password, name.as_str())
        .map_err(|why| Problem::new(Code::Invalid, why).at("password"))?;
    let new = NewUser {
        name,
        tenant: TenantId::new(config.registration_tenant.clone())?,
        password: server.passwords.hash(password).await?,
        rights: [Right::Read].into_iter().collect(),
        groups: std::collections::BTreeSet::new(),
    };
    let user = server.app.store.users.create_user(new).await?;
    record(&server, "register", &user, 201);
    Ok((StatusCode::CREATED, Json(Account::from(user))).into_response())
}

/// Sign out
///
/// Ends the sign-in whose access token, or whose refresh cookie, came with the request, at once, and takes cookies back. A key
/// is no sign-in and stays good.
#[utoipa::path(
    post, path = "/v1/auth/logout", operation_id = "logout", tag = "service",
    responses(
        (status = 204, description = "Signed out"),
        (status = 403, description = "A page of another origin asked", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn logout(
    State(server): State<Shared>,
    sender: Option<Extension<Sender>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(id) = sender.as_ref().and_then(|Extension(sender)| sender.sign_in()) {
        server.app.store.users.sign_out(id).await?;
    } else if let Some(token) = crate::auth::cookie(&headers, REFRESH_COOKIE) {
        // A page that was open for long has no access token any more.
        if let Err(Refusal::Unavailable(error)) = server.sign_ins.end(token).await {
            return Err(error.into());
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    clear(&headers, &mut response);
    Ok(response)
}

/// Counts an attempt against its name and against all.
fn counted(server: &Shared, name: &str) -> Result<(), Problem> {
    match server.logins.judge(name, &TenantId::default_tenant()) {
        Verdict::Refused(_, wait) => {
            metrics::counter!("wellspring_logins_total", "outcome" => "put_off").increment(1);
            let detail = "too many attempts, with this name or of all together (`auth.users.logins`)";
            Err(Problem::new(Code::RateLimited, detail).retry_after(wait + Duration::from_secs(1)))
        }
        Verdict::Allowed(_) | Verdict::Unlimited => Ok(()),
    }
}

/// Keeps what a user did, without making the answer wait: an unknown name has no entry and must not be faster.
fn record(server: &Shared, action: &str, user: &User, outcome: u16) {
    let entry = NewAuditEntry {
        tenant: user.tenant.clone(),
        actor: format!("account:{}", user.name),
        action: action.to_owned(),
        collection: None,
        object: Some(user.name.to_string()),
        outcome,
        request: None,
    };
    let audit = std::sync::Arc::clone(&server.app.store.audit);
    tokio::spawn(async move {
        if let Err(error) = audit.append(entry).await {
            tracing::error!(error = error.chain(), "an entry of the audit log could not be kept");
        }
    });
}

fn answer(
    server: &Shared,
    headers: &HeaderMap,
    status: StatusCode,
    user: User,
    tokens: Tokens,
    by_cookie: bool,
) -> Response {
    let config = &server.app.config.auth.users;
    let (access_life, refresh_life) = (config.access_life().as_secs(), config.refresh_life().as_secs());
    let Tokens { access, refresh } = tokens;
    let cookies =
        [(COOKIE, "/", &access, access_life), (REFRESH_COOKIE, REFRESH_PATH, &refresh, refresh_life)]
            .map(|(name, path, value, life)| cookie(headers, name, path, value, life));
    let shown = |token: String| (!by_cookie).then_some(token);
    let body = SignedIn {
        token_type: "Bearer",
        access_token: shown(access),
        expires_in: access_life,
        refresh_token: shown(refresh),
        refresh_expires_in: refresh_life,
        user: user.into(),
    };
    let mut response = (status, Json(body)).into_response();
    if by_cookie {
        set(&mut response, cookies);
    }
    response
}

/// Takes both cookies back.
fn clear(headers: &HeaderMap, response: &mut Response) {
    let cookies = [(COOKIE, "/"), (REFRESH_COOKIE, REFRESH_PATH)];
    set(response, cookies.map(|(name, path)| cookie(headers, name, path, "", 0)));
}

fn set(response: &mut Response, cookies: [Option<HeaderValue>; 2]) {
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

//! Who sends a request, as handlers ask for it. The middleware `authorise` has looked at the credential and at the rights.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use wellspring_store::Scope;

use crate::auth::Sender;
use crate::problem::{Code, Problem};

/// What the sender may see. Without authentication (loopback only, `Host` and `Origin` checked before) every sender is the
/// administrator of the tenant `default`.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Scope);

/// The sender itself: beside the scope, its rights, and its key for whatever is counted or kept per caller.
#[derive(Debug, Clone)]
pub(super) struct Identified(pub(super) Sender);

impl<S: Send + Sync> FromRequestParts<S> for Identified {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        // Nobody is let through to a handler that asks who it is without having been asked.
        parts.extensions.get::<Sender>().cloned().map(Self).ok_or_else(unauthenticated)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Identified::from_request_parts(parts, state)
            .await
            .map(|Identified(sender)| Self(sender.scope().clone()))
    }
}

/// What whoever brought no credential is told.
pub(super) fn unauthenticated() -> Problem {
    Problem::new(
        Code::Unauthenticated,
        "a credential is needed: send an API key as `Authorization: Bearer ws_…`, made with `wellspring key create`",
    )
}

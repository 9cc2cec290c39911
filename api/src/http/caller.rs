//! Who sends a request: the one place where a credential becomes a scope.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use wellspring_store::{Scope, TenantId};

use crate::problem::Problem;

/// The sender's rights. Without authentication (loopback only, `Host` and `Origin` checked before) every sender is the
/// administrator of the tenant `default`.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Scope);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Scope::administrator(TenantId::default_tenant())))
    }
}

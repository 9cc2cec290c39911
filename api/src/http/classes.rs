//! Keeps kinds of requests, and tenants, from taking each other's places: each has a share of the requests in progress.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wellspring_store::TenantId;

use super::policy::Class;
use crate::limits::LimitsConfig;

type Counts = Arc<Mutex<HashMap<TenantId, usize>>>;

/// The shares.
pub(super) struct Classes {
    uploads: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    tenants: Counts,
    most_per_tenant: usize,
}

/// A place in a share; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    _tenant: TenantPlace,
}

#[derive(Debug)]
struct TenantPlace {
    counts: Counts,
    tenant: TenantId,
}

impl Drop for TenantPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

impl Classes {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        let places = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self {
            uploads: places(limits.max_concurrent_uploads),
            waits: places(limits.max_concurrent_waits),
            tenants: Counts::default(),
            most_per_tenant: limits.max_concurrent_per_tenant,
        }
    }

    /// Takes a place at once, or names the setting that is in the way.
    pub(super) fn enter(&self, class: Class, tenant: &TenantId) -> Result<Place, &'static str> {
        let tenant = {
            let mut counts = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(tenant.clone()).or_default();
            if *count >= self.most_per_tenant {
                return Err("limits.max_concurrent_per_tenant");
            }
            *count += 1;
            TenantPlace { counts: Arc::clone(&self.tenants), tenant: tenant.clone() }
        };
        let share = match class {
            Class::Upload => Some((&self.uploads, "limits.max_concurrent_uploads")),
            Class::Wait => Some((&self.waits, "limits.max_concurrent_waits")),
            Class::Query | Class::Plain => None,
        };
        let permit = match share {
            Some((share, setting)) => Some(Arc::clone(share).try_acquire_owned().map_err(|_| setting)?),
            None => None,
        };
        Ok(Place { _permit: permit, _tenant: tenant })
    }
}

/// The end of what a response was given for.
pub(super) type Until = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Keeps the place until the response's body has ended or is given up; breaks the body off when `until` resolves.
pub(super) fn hold(response: Response, place: Arc<Place>, until: Option<Until>) -> Response {
    response.map(|body| Body::new(Held { body, until, _place: place }))
}

struct Held {
    body: Body,
    until: Option<Until>,
    _place: Arc<Place>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        if let Some(until) = &mut self.until
            && until.as_mut().poll(context).is_ready()
        {
            self.until = None;
            self.body = Body::empty();
            // An error, so that nobody takes what was sent for the whole.
            return Poll::Ready(Some(Err(axum::Error::new("the credential was revoked"))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_given_back_with_the_body() {
        let limits = LimitsConfig {
            max_concurrent_uploads: 1,
            max_concurrent_per_tenant: 2,
            ..LimitsConfig::default()
        };
        let classes = Classes::new(&limits);
        let tenant = |name: &str| TenantId::new(name).unwrap();
        let enter = |class, of: &str| classes.enter(class, &tenant(of)).map_err(str::to_owned);
        let upload = enter(Class::Upload, "a").unwrap();
        assert_eq!(enter(Class::Upload, "b").err().unwrap(), "limits.max_concurrent_uploads");
        let query = enter(Class::Query, "a").unwrap();
        assert_eq!(enter(Class::Query, "a").err().unwrap(), "limits.max_concurrent_per_tenant");
        let _other = enter(Class::Query, "b").unwrap();
        let response = hold(Response::new(Body::from("some text")), Arc::new(upload), None);
        assert!(enter(Class::Upload, "b").is_err(), "the body is still to be sent");
        let bytes = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(bytes, "some text");
        assert!(enter(Class::Upload, "b").is_ok());
        drop(query);
        assert!(
            classes.tenants.lock().unwrap().get(&tenant("a")).is_none(),
            "an idle tenant leaves nothing behind"
        );
    }
}

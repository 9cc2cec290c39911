//! Keeps other people's web pages out: checks `Host` and `Origin`, and sets the headers that tell browsers what not to do.
//!
//! Without authentication whoever reaches the port is the administrator. A page of another site can make a browser send
//! requests here; it is told apart by the `Host` it used (DNS rebinding) and the `Origin` the browser adds.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use crate::problem::{Code, Problem};

/// The names under which this server may be addressed.
#[derive(Debug)]
pub(crate) struct Hosts {
    port: u16,
    further: Vec<String>,
    any: bool,
}

impl Hosts {
    /// Loopback names with `port`, and `further` as they are written in `Host`.
    pub(crate) fn new(port: u16, further: &[String]) -> Self {
        Self { port, further: further.iter().map(|name| name.to_ascii_lowercase()).collect(), any: false }
    }

    /// For a server that asks who calls: no browser adds a key on its own, so it may be addressed by any name. Writes of
    /// pages of other origins are refused all the same.
    pub(crate) fn with_any_name(self) -> Self {
        Self { any: true, ..self }
    }

    /// Whether a `Host` header's value, or an origin's part after `://`, is one of ours.
    fn permits(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.further.contains(&host) {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let port = match (authority.port_u16(), authority.port()) {
            (Some(port), _) => port,
            (None, Some(_)) => return false,
            (None, None) => 80,
        };
        // `user@host` is no host, whatever stands behind the sign.
        port == self.port && !host.contains('@') && is_loopback_name(authority.host())
    }

    fn permits_origin(&self, origin: &str, host: &str) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| {
            self.permits(authority) || (self.any && authority.eq_ignore_ascii_case(host))
        })
    }
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Refuses to listen where other machines can reach the port if nothing would ask them who they are.
pub(crate) fn check_address(address: SocketAddr, authentication: bool) -> anyhow::Result<()> {
    if authentication || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    anyhow::bail!(
        "{address} can be reached from other machines, and there is no authentication: set `auth.mode = \"keys\"` \
         (WELLSPRING__AUTH__MODE=keys), or listen on a loopback address such as 127.0.0.1:{}",
        address.port()
    )
}

/// Lets through what was sent to this server under its own name, and writes only from its own pages.
pub(super) async fn check(State(server): State<Shared>, request: Request, next: Next) -> Response {
    match refusal(&server.hosts, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Why a request is not served; `None` for one that is.
pub(crate) fn refusal(hosts: &Hosts, request: &Request) -> Option<Problem> {
    let target = request.uri().authority().map(Authority::as_str);
    // HTTP/2 names the host as a part of the target.
    let named = match request.headers().contains_key(header::HOST) {
        false if request.version() == Version::HTTP_2 => target,
        _ => single(request.headers(), header::HOST),
    };
    let Some(host) = named else {
        return Some(Problem::new(Code::BadRequest, "the request needs exactly one `Host` header"));
    };
    if let Some(stranger) =
        std::iter::once(host).chain(target).find(|name| !hosts.any && !hosts.permits(name))
    {
        return Some(Problem::new(
            Code::Forbidden,
            format!(
                "this server is not `{stranger}`; address it as localhost:{} or add the name to `server.allowed_hosts`",
                hosts.port
            ),
        ));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads {
        return None;
    }
    let foreign_origin = match request.headers().get_all(header::ORIGIN).iter().count() {
        0 => false,
        1 => !single(request.headers(), header::ORIGIN)
            .is_some_and(|origin| hosts.permits_origin(origin, host)),
        _ => true,
    };
    // Browsers that keep `Origin` to themselves still say where a request comes from.
    let foreign_site = single(request.headers(), HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| !matches!(site, "same-origin" | "none"));
    (foreign_origin || foreign_site)
        .then(|| Problem::new(Code::Forbidden, "a web page of another origin may not change anything here"))
}

/// The header's value if it is there exactly once and is text.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Adds what browsers should keep to; a handler's own policy stands.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_with_the_port_and_listed_names_are_ours() {
        let hosts = Hosts::new(8080, &["Search.Example.org".to_owned(), "box:9000".to_owned()]);
        for ours in [
            "localhost:8080",
            "LOCALHOST:8080",
            "127.0.0.1:8080",
            "127.3.4.5:8080",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:8080",
            "search.example.org",
            "box:9000",
        ] {
            assert!(hosts.permits(ours), "{ours}");
        }
        for other in [
            "localhost",
            "localhost:8081",
            "localhost.evil.example:8080",
            "127.0.0.1.evil.example:8080",
            "10.0.0.1:8080",
            "user@localhost:8080",
            "search.example.org:8080",
            "box",
            "",
            "localhost:",
        ] {
            assert!(!hosts.permits(other), "{other}");
        }
        assert!(Hosts::new(80, &[]).permits("localhost"));
    }

    #[test]
    fn origins_are_hosts_behind_a_scheme() {
        let hosts = Hosts::new(8080, &[]);
        assert!(hosts.permits_origin("http://localhost:8080", "localhost:8080"));
        let any = Hosts::new(8080, &[]).with_any_name();
        assert!(any.permits_origin("https://search.example.org", "search.example.org"));
        assert!(!any.permits_origin("https://evil.example", "search.example.org"));
        assert!(!hosts.permits_origin("https://search.example.org", "search.example.org"));
        for other in [
            "null",
            "localhost:8080",
            "http://evil.example",
            "file://localhost:8080",
            "http://localhost:8080/x",
        ] {
            assert!(!hosts.permits_origin(other, "localhost:8080"), "{other}");
        }
    }

    #[test]
    fn only_loopback_addresses_are_listened_on_without_authentication() {
        for good in ["127.0.0.1:0", "[::1]:8080", "[::ffff:127.0.0.1]:80"] {
            check_address(good.parse().unwrap(), false).unwrap();
        }
        for bad in ["0.0.0.0:8080", "[::]:8080", "192.168.1.2:8080"] {
            check_address(bad.parse().unwrap(), true).unwrap();
            let error = check_address(bad.parse().unwrap(), false).unwrap_err().to_string();
            assert!(error.contains("no authentication"), "{error}");
        }
    }
}

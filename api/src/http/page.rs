//! `/`: the web page, a handful of files inside the binary.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::Shared;

/// Scripts, styles and requests from here only; nothing inline, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page's routes.
pub(super) fn routes() -> [(&'static str, MethodRouter<Shared>); 10] {
    [
        ("/", file("text/html; charset=utf-8", include_str!("../../ui/index.html"))),
        ("/ui/app.js", script(include_str!("../../ui/app.js"))),
        ("/ui/ask.js", script(include_str!("../../ui/ask.js"))),
        ("/ui/documents.js", script(include_str!("../../ui/documents.js"))),
        ("/ui/net.js", script(include_str!("../../ui/net.js"))),
        ("/ui/search.js", script(include_str!("../../ui/search.js"))),
        ("/ui/session.js", script(include_str!("../../ui/session.js"))),
        ("/ui/source.js", script(include_str!("../../ui/source.js"))),
        ("/ui/style.css", file("text/css; charset=utf-8", include_str!("../../ui/style.css"))),
        ("/ui/icon.svg", file("image/svg+xml", include_str!("../../ui/icon.svg"))),
    ]
}

fn script(content: &'static str) -> MethodRouter<Shared> {
    file("text/javascript; charset=utf-8", content)
}

fn file(media_type: &'static str, content: &'static str) -> MethodRouter<Shared> {
    get(move || async move { respond(media_type, content) })
}

fn respond(media_type: &'static str, content: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        // A newer binary's page must not run with an older one's script.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    (headers, content).into_response()
}

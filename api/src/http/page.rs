//! `/` and `/ui/…`: the web page, whose every file is inside the binary.

mod files;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::Shared;
use crate::problem::{Code, Problem};
use files::File;

/// Scripts, styles and requests from here only; nothing inline, nothing framed. Pages of PDFs are drawn on a canvas by a
/// worker that is a file of ours, with fonts it makes itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; \
    connect-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types wellspring-worker";
/// A worker obeys its own file's policy: image decoders of PDF.js are WebAssembly, which it fetches beside itself.
const WORKER_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'";

/// Every file by its path below `/ui/`, with the tag that tells its content from another.
static FILES: LazyLock<BTreeMap<&'static str, (&'static File, HeaderValue)>> = LazyLock::new(|| {
    let tagged = |file: &'static File| {
        let hash = blake3::hash(file.bytes).to_hex();
        let tag = HeaderValue::from_str(&format!("\"{}\"", hash.get(..32).unwrap_or_default()));
        (file.path, (file, tag.unwrap_or(HeaderValue::from_static("\"\""))))
    };
    files::all().map(tagged).collect()
});

/// The page's routes.
pub(super) fn routes() -> [(&'static str, MethodRouter<Shared>); 2] {
    [
        ("/", get(|headers: HeaderMap| async move { serve("index.html", &headers) })),
        (
            "/ui/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move { serve(&path, &headers) }),
        ),
    ]
}

fn serve(path: &str, request: &HeaderMap) -> Response {
    let Some((file, tag)) = FILES.get(path) else {
        return Problem::new(Code::NotFound, "the page has no such file").into_response();
    };
    let policy = if file.is_vendored() { WORKER_POLICY } else { POLICY };
    // A newer binary's page must not run with an older one's script, so its own files are asked for again each time;
    // a vendored file's path names its version.
    let caching = if file.is_vendored() { "private, max-age=31536000, immutable" } else { "no-cache" };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.media_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::ETAG, tag.clone()),
    ];
    if request.get_all(header::IF_NONE_MATCH).iter().any(|known| known == tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let mut response = (headers, file.bytes).into_response();
    if file.is_compressed() {
        // Kept compressed, and only browsers come for it: they all take gzip.
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let first = serve("app.js", &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let known = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone())]);
        assert_eq!(serve("app.js", &known).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(serve("style/base.css", &known).status(), StatusCode::OK);
        assert_eq!(serve("../Cargo.toml", &HeaderMap::new()).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn only_the_worker_may_compile() {
        let policy = |path: &str| {
            let response = serve(path, &HeaderMap::new());
            response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
        };
        for path in FILES.keys() {
            let lax = policy(path).contains("wasm-unsafe-eval");
            assert_eq!(lax, path.starts_with("vendor/"), "{path}");
            assert!(!policy(path).contains("unsafe-inline"), "{path}");
        }
    }
}

//! What an endpoint's failures mean: statuses, `Retry-After`, its own words, and connections that break.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::Value;

use crate::error::{ErrorKind, ModelError};

/// Characters of an endpoint's own message that are passed on.
const MAX_MESSAGE: usize = 300;

/// A failure to reach `what` as an error of this crate. The URL is left out: it may hold a credential.
pub(crate) fn transport_error(what: &str, error: reqwest::Error) -> ModelError {
    let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
    let happened = if error.is_timeout() {
        "did not answer in time"
    } else if error.is_connect() {
        "can't be reached"
    } else {
        "closed the connection early"
    };
    let unsent = error.is_connect();
    let failed = ModelError::new(kind, format!("{what} {happened}; check its base URL and that it runs"))
        .with_source(error.without_url());
    if unsent { failed.unbilled() } else { failed }
}

/// What a status means for a caller, and what to do about it.
pub(super) fn kind_of(status: StatusCode, said: &str) -> (ErrorKind, &'static str) {
    match status.as_u16() {
        // Out of credit also comes as 429, and no wait mends it.
        401..=403 => (ErrorKind::Unauthorized, "check the API key and what it may use"),
        429 if said.contains("(insufficient_quota)") => {
            (ErrorKind::Unauthorized, "check the account's credit")
        }
        429 => (ErrorKind::RateLimited, "try again later"),
        // Our configuration's fault, not that of whoever asked.
        404 => (ErrorKind::Unauthorized, "check the base URL and the model's name"),
        408 | 504 => (ErrorKind::Timeout, "try again"),
        409 | 425 | 500..=599 => (ErrorKind::Unavailable, "try again later"),
        300..=399 => (ErrorKind::Invalid, "the base URL redirects; use the one it leads to"),
        _ => (ErrorKind::Invalid, "correct the request"),
    }
}

/// The wait a `Retry-After` value asks for (RFC 9110, 10.2.3): seconds, or a date.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    // A moment that has passed asks for no wait.
    Some(Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default())
}

/// What an error reply says, short and on one line.
pub(super) fn error_message(body: &[u8]) -> String {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => error_text(value.get("error").unwrap_or(&value)),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let line: Vec<&str> = said.split_whitespace().collect();
    let line = line.join(" ");
    if line.is_empty() { "no reason given".to_owned() } else { line.chars().take(MAX_MESSAGE).collect() }
}

/// The text of an error value: a string, or an object with a `message` (and a `code` or `type`) or `detail`.
pub(crate) fn error_text(error: &Value) -> String {
    if let Some(text) = error.as_str() {
        return text.to_owned();
    }
    let field = |name: &str| error.get(name).and_then(Value::as_str);
    match (field("message").or(field("detail")), field("code").or(field("type"))) {
        (Some(message), Some(code)) => format!("{message} ({code})"),
        (Some(message), None) => message.to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Fri, 31 Dec 2117 23:59:59 GMT").unwrap() > Duration::from_secs(1 << 30));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn statuses_say_whether_to_try_again() {
        let kind = |status: u16, said| kind_of(StatusCode::from_u16(status).unwrap(), said).0;
        assert_eq!(kind(429, "slow down"), ErrorKind::RateLimited);
        assert_eq!(kind(429, "pay first (insufficient_quota)"), ErrorKind::Unauthorized);
        assert_eq!(kind(429, "your quota of requests per minute"), ErrorKind::RateLimited);
        assert_eq!(kind(503, ""), ErrorKind::Unavailable);
        assert_eq!(kind(400, ""), ErrorKind::Invalid);
        assert_eq!(kind(404, ""), ErrorKind::Unauthorized);
        assert_eq!(kind(307, ""), ErrorKind::Invalid);
    }

    #[test]
    fn errors_are_read_in_every_usual_shape() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"no such\nmodel","code":"model_not_found"}}"#,
                "no such model (model_not_found)",
            ),
            (r#"{"error":"model not loaded"}"#, "model not loaded"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            ("<html>Bad  Gateway</html>", "<html>Bad Gateway</html>"),
            ("", "no reason given"),
        ] {
            assert_eq!(error_message(body.as_bytes()), expected);
        }
    }
}

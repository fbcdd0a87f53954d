//! What went wrong becomes `application/problem+json` (RFC 9457), always with what to do about it where we know.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use plugin_api::error::{ErrorKind, OperationError, RootCause};
use serde::Serialize;
use serde_json::Value;

/// How much of what the client sent is repeated to it.
const ECHO_LIMIT: usize = 80;

/// An answer that is not what was asked for.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(flatten)]
    operation: Option<Box<FailedOperation>>,
}

/// What an operation's error says beside its message.
#[derive(Debug, Serialize)]
struct FailedOperation {
    kind: ErrorKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    root_causes: Vec<RootCause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl Problem {
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(super) fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        // 499 is nobody's standard, but what proxies log.
        let title = status.canonical_reason().unwrap_or("Client Closed Request");
        let (status, detail) = (status.as_u16(), detail.into());
        Self { r#type: "about:blank", title, status, detail, hint: None, operation: None }
    }

    /// When to try again, in whole seconds.
    fn retry_after(&self) -> Option<HeaderValue> {
        let millis = self.operation.as_ref()?.retry_after_ms?;
        Some(HeaderValue::from(millis.div_ceil(1000)))
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let OperationError { kind, message, retry_after_ms, root_causes, details } = error;
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let operation = Some(Box::new(FailedOperation { kind, retry_after_ms, root_causes, details }));
        Self { operation, ..Self::new(status, message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        let mut response = (status, headers, body).into_response();
        if let Some(wait) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

/// What the client sent, cut short and in backticks.
pub(super) fn quoted(sent: &str) -> String {
    match sent.char_indices().nth(ECHO_LIMIT) {
        Some((end, _)) => format!("`{}…`", &sent[..end]),
        None => format!("`{sent}`"),
    }
}

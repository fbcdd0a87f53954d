//! What went wrong becomes `application/problem+json` (RFC 9457), always with what to do about it where we know.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use plugin_api::error::{ErrorKind, OperationError, RootCause};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The hint for an error that no request or configuration has caused.
pub(super) const REPORT: &str = "report it with the log of this time";

/// The hint for an answer that a plugin made wrong.
pub(super) const REPORT_PLUGIN: &str = "report it to the plugin's author: the request is not at fault";

/// How much of what the client sent is repeated to it.
const ECHO_LIMIT: usize = 80;

/// An answer that is not what was asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(flatten)]
    operation: Option<Box<FailedOperation>>,
    /// Given when the answer leaves the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// In seconds; an operation's error has its own.
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// What an operation's error says beside its message.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct FailedOperation {
    kind: ErrorKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    root_causes: Vec<RootCause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

impl Problem {
    pub(super) fn bad_request(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::BAD_REQUEST, detail, hint)
    }

    pub(super) fn unauthorized(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::UNAUTHORIZED, detail, hint)
    }

    pub(super) fn forbidden(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::FORBIDDEN, detail, hint)
    }

    pub(super) fn not_found(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::NOT_FOUND, detail, hint)
    }

    pub(super) fn method_not_allowed(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::METHOD_NOT_ALLOWED, detail, hint)
    }

    pub(super) fn request_timeout(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::REQUEST_TIMEOUT, detail, hint)
    }

    pub(super) fn too_large(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::PAYLOAD_TOO_LARGE, detail, hint)
    }

    pub(super) fn unsupported_media_type(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, hint)
    }

    pub(super) fn too_many(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::TOO_MANY_REQUESTS, detail, hint)
    }

    pub(super) fn unavailable(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::SERVICE_UNAVAILABLE, detail, hint)
    }

    pub(super) fn internal(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of_host(StatusCode::INTERNAL_SERVER_ERROR, detail, hint)
    }

    /// Refusals of the host itself come with a hint.
    fn of_host(status: StatusCode, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::new(status, detail) }
    }

    /// The plugin's own hint on how to mend it: for operators.
    pub(super) fn of_plugin(error: OperationError) -> Self {
        let hint = error.fix.as_ref().and_then(|fix| fix.label.clone());
        Self { hint, ..Self::from(error) }
    }

    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        // 499 is nobody's standard, but what proxies log.
        let title = status.canonical_reason().unwrap_or("Client Closed Request");
        let (status, detail) = (status.as_u16(), detail.into());
        let r#type = "about:blank";
        Self {
            r#type,
            title,
            status,
            detail,
            hint: None,
            operation: None,
            request_id: None,
            retry_after: None,
        }
    }

    /// Says when to try again, in seconds.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says by which id the request is found in the log.
    pub(super) fn with_request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What went wrong and what to do about it, in one line.
    pub(super) fn text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}: {hint}", self.detail),
            None => self.detail.clone(),
        }
    }

    /// What a client must know beside the body.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let millis = self.operation.as_ref().and_then(|operation| operation.retry_after_ms);
        if let Some(wait) = millis.map(|millis| millis.div_ceil(1000)).or(self.retry_after) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers
    }

    pub(super) fn body(&self) -> Body {
        Body::from(serde_json::to_vec(self).unwrap_or_default())
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let OperationError { kind, message, retry_after_ms, root_causes, details, .. } = error;
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let operation = Some(Box::new(FailedOperation { kind, retry_after_ms, root_causes, details }));
        Self { operation, ..Self::new(status, message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response =
            (self.status(), self.headers(), [(header::CONTENT_TYPE, kind)], self.body()).into_response();
        // For who stamps the answer.
        response.extensions_mut().insert(self);
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

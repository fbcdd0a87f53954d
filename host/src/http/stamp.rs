//! What every answer carries, whoever made it: headers that keep browsers careful, and the id by which a request is
//! found again in the log and in a problem. A panic on the way is an answer, too.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use pin_project_lite::pin_project;
use tower::Service;

use super::problem::{Problem, REPORT};
use crate::{status::Board, tasks};

/// Under which name a request has its id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over.
const LONGEST_ID: usize = 128;

/// For a page that says nothing else: nothing is loaded, nothing runs, nobody frames it.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// Stamps what a service answers. The service finds the id in the request's headers.
///
/// It is a service of its own, as every poll of health passes it: a function as middleware would cost two allocations.
#[derive(Clone)]
pub(super) struct Stamp<S> {
    pub(super) answers: S,
    pub(super) board: Board,
}

pin_project! {
    /// An answer on its way.
    pub(super) struct Stamping<F> {
        #[pin]
        answer: F,
        // Taken when the answer is there.
        asked: Option<Asked>,
        board: Board,
    }
}

/// What is to be known of the request when it is answered.
struct Asked {
    id: HeaderValue,
    method: Method,
    uri: Uri,
}

impl<S: Service<Request, Response = Response, Error = Infallible>> Service<Request> for Stamp<S> {
    type Response = Response;
    type Error = Infallible;
    type Future = Stamping<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.answers.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = match request.headers().get(&REQUEST_ID).filter(|id| is_sane(id)) {
            Some(id) => id.clone(),
            None => {
                let id = new_id();
                request.headers_mut().insert(REQUEST_ID, id.clone());
                id
            }
        };
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let asked = Some(Asked { id, method, uri });
        Stamping { answer: self.answers.call(request), asked, board: self.board.clone() }
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Stamping<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // It is not polled again after a panic.
        let response = match catch_unwind(AssertUnwindSafe(|| this.answer.poll(context))) {
            Ok(answer) => {
                let Ok(response) = ready!(answer);
                response
            }
            Err(_) => {
                tasks::tell(this.board, "request", None);
                Problem::internal("the host itself panicked on the way to an answer", REPORT).into_response()
            }
        };
        Poll::Ready(Ok(match this.asked.take() {
            Some(asked) => asked.stamp(response),
            None => response,
        }))
    }
}

impl Asked {
    fn stamp(self, mut response: Response) -> Response {
        let Self { id, method, uri } = self;
        let logged = response.extensions_mut().remove::<LoggedPath>();
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            log(&problem, &method, logged.as_ref().map_or(uri.path(), |path| &path.0), &id);
            *response.body_mut() = problem.with_request_id(id.to_str().unwrap_or_default()).body();
        }
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
        headers.entry(header::X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
        if is_page(headers) {
            headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(PAGE_POLICY);
        }
        headers.insert(REQUEST_ID, id);
        response
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

/// Whether an id may stand in a log and in JSON as it is.
fn is_sane(id: &HeaderValue) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(plain)
}

fn new_id() -> HeaderValue {
    let digits = rand::random::<[u8; 16]>().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]);
    HeaderValue::from_bytes(&digits).expect("digits and letters are fit for a header")
}

/// What an answer is logged under in place of its path, in which there may be a secret.
#[derive(Clone)]
pub(super) struct LoggedPath(pub String);

/// Failures of ours; that something is not available is told by health, and refusals by their answers.
fn log(problem: &Problem, method: &Method, path: &str, id: &HeaderValue) {
    let (status, request_id) = (problem.status(), id.to_str().unwrap_or_default());
    let detail = problem.text();
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(%method, path, status = status.as_u16(), request_id, "a request failed: {detail}");
    } else {
        tracing::debug!(%method, path, status = status.as_u16(), request_id, "a request is refused: {detail}");
    }
}

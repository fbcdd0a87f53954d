//! HTTP -> the operations, and back. A query or a body is judged as a call of the operation would be.

use plugin_api::{
    prelude::*,
    requests::{
        http::fit,
        orchestrator::{Decide, Run, RunReport},
    },
    serde_json::{Map, Value},
};

/// `POST /api/runs`: the request, the person on whose behalf, and the idempotency key.
pub struct Start {
    pub run: Run,
    pub person: Option<String>,
    pub key: Option<String>,
}

/// `POST /api/runs/{run}/decisions/{decision}`.
#[plugin_api::message]
#[serde(deny_unknown_fields)]
struct Verdict {
    approve: bool,
    #[serde(default)]
    note: Option<String>,
}

pub fn start(request: &HttpRequest) -> Result<Start, OperationError> {
    let mut body: Map<String, Value> = request.json()?;
    let person = match body.remove("person") {
        None | Some(Value::Null) => None,
        Some(Value::String(person)) if !person.is_empty() => Some(person),
        Some(_) => return Err(OperationError::invalid("`person` is no text")),
    };
    let key = request.header("idempotency-key").map(str::to_owned);
    Ok(Start { run: fit(body)?, person, key })
}

pub fn started(report: &RunReport) -> Result<HttpResponse, OperationError> {
    let status = if report.repeated { 200 } else { 201 };
    Ok(HttpResponse::json(report)?.status(status))
}

/// What stands for `{run}`.
pub fn run(request: &HttpRequest) -> String {
    request.param("run").unwrap_or_default().to_owned()
}

pub fn decide(request: &HttpRequest) -> Result<Decide, OperationError> {
    let Verdict { approve, note } = request.json()?;
    let decision = request.param("decision").unwrap_or_default().to_owned();
    Ok(Decide { run: run(request), decision, approve, note })
}

/// What was pressed on the page behind a link.
pub struct Pressed {
    /// The decision, if the page says which.
    pub of: Option<String>,
    pub approve: Option<bool>,
    /// A word for the assistant.
    pub note: Option<String>,
}

pub fn pressed(request: &HttpRequest) -> Result<Pressed, OperationError> {
    let form = request.form()?;
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let approve = match field("decision") {
        Some("approve") => Some(true),
        Some("deny") => Some(false),
        _ => None,
    };
    let note = field("note").map(str::trim).filter(|note| !note.is_empty()).map(str::to_owned);
    Ok(Pressed { of: field("of").map(str::to_owned), approve, note })
}

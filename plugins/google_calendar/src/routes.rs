//! HTTP -> the operations, and back. A query or a body is judged as a call of the operation would be.

use plugin_api::{
    prelude::*,
    requests::{
        calendar::{CreateEvent, Created, DeleteEvent, Event, FreeBusy, UpdateEvent},
        http::fit,
    },
    schemars::JsonSchema,
    serde::de::DeserializeOwned,
    serde_json::{Map, Value},
};

/// `POST /api/calendar/events`.
pub fn create(request: &HttpRequest) -> Result<CreateEvent, OperationError> {
    let mut create: CreateEvent = with_body(request)?;
    let key = request.header("idempotency-key").map(str::to_owned);
    create.client_id = create.client_id.or(key);
    Ok(create)
}

/// `PATCH /api/calendar/events/{id}`.
pub fn update(request: &HttpRequest) -> Result<UpdateEvent, OperationError> {
    let mut update: UpdateEvent = with_body(request)?;
    update.if_match = update.if_match.or(request.header("if-match").map(str::to_owned));
    Ok(update)
}

/// `DELETE /api/calendar/events/{id}`.
pub fn delete(request: &HttpRequest) -> Result<DeleteEvent, OperationError> {
    let mut delete: DeleteEvent = request.read()?;
    delete.if_match = delete.if_match.or(request.header("if-match").map(str::to_owned));
    Ok(delete)
}

/// `GET` and `POST /api/calendar/freebusy`.
pub fn free_busy(request: &HttpRequest) -> Result<FreeBusy, OperationError> {
    match request.method.as_str() {
        "POST" => request.json(),
        _ => request.read(),
    }
}

/// One event, with its version where HTTP has it.
pub fn one(event: &Event) -> Result<HttpResponse, OperationError> {
    let response = HttpResponse::json(event)?;
    let etag = event.etag.as_deref().filter(|etag| etag.bytes().all(|byte| byte.is_ascii_graphic()));
    Ok(match etag {
        Some(etag) => response.header("etag", etag),
        None => response,
    })
}

/// A new event, or one that was made before.
pub fn created(created: &Created) -> Result<HttpResponse, OperationError> {
    let status = if created.repeated { 200 } else { 201 };
    Ok(HttpResponse::json(created)?.status(status))
}

/// The body, and what stands in the query: what is in both contradicts itself. The path names the event, whatever else does.
fn with_body<T: JsonSchema + DeserializeOwned>(request: &HttpRequest) -> Result<T, OperationError> {
    let mut fields: Map<String, Value> = request.json()?;
    for (name, value) in request.parameters::<T>()? {
        let is_twice = fields.insert(name.clone(), value).is_some();
        if is_twice && request.param(&name).is_none() {
            return Err(OperationError::invalid(format!("`{name}` is given in the query and in the body")));
        }
    }
    fit(fields)
}

//! HTTP -> the operations, and back. What a query or a body holds is judged as a call of the operation would be.

use plugin_api::{
    prelude::*,
    requests::calendar::{
        CreateEvent, Created, DeleteEvent, Event, FreeBusy, GetEvent, ListEvents, UpdateEvent,
    },
    serde::de::DeserializeOwned,
    serde_json::{self, Map, Value},
};

/// `GET /api/calendar/events`.
pub fn list(request: &HttpRequest) -> Result<ListEvents, OperationError> {
    typed(parameters(request)?)
}

/// `GET /api/calendar/events/{id}`.
pub fn get(request: &HttpRequest) -> Result<GetEvent, OperationError> {
    typed(with_id(request, parameters(request)?))
}

/// `POST /api/calendar/events`.
pub fn create(request: &HttpRequest) -> Result<CreateEvent, OperationError> {
    let mut create: CreateEvent = typed(with_parameters(request, body(request)?)?)?;
    let key = request.header("idempotency-key").map(str::to_owned);
    create.client_id = create.client_id.or(key);
    Ok(create)
}

/// `PATCH /api/calendar/events/{id}`.
pub fn update(request: &HttpRequest) -> Result<UpdateEvent, OperationError> {
    let mut update: UpdateEvent = typed(with_id(request, with_parameters(request, body(request)?)?))?;
    update.if_match = update.if_match.or(request.header("if-match").map(str::to_owned));
    Ok(update)
}

/// `DELETE /api/calendar/events/{id}`.
pub fn delete(request: &HttpRequest) -> Result<DeleteEvent, OperationError> {
    let mut delete: DeleteEvent = typed(with_id(request, parameters(request)?))?;
    delete.if_match = delete.if_match.or(request.header("if-match").map(str::to_owned));
    Ok(delete)
}

/// `GET` and `POST /api/calendar/freebusy`.
pub fn free_busy(request: &HttpRequest) -> Result<FreeBusy, OperationError> {
    match request.method.as_str() {
        "POST" => typed(body(request)?),
        _ => typed(parameters(request)?),
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

/// The query as the JSON of a request.
fn parameters(request: &HttpRequest) -> Result<Map<String, Value>, OperationError> {
    let mut json = Map::new();
    for (key, value) in request.query() {
        let value = match key.as_str() {
            "limit" => number(&key, &value)?,
            "calendars" => {
                let ids = value.split(',').map(str::trim).filter(|id| !id.is_empty());
                ids.map(Value::from).collect()
            }
            _ => Value::from(value),
        };
        if json.insert(key.clone(), value).is_some() {
            return Err(OperationError::invalid(format!("`{key}` is given twice")));
        }
    }
    Ok(json)
}

fn number(key: &str, text: &str) -> Result<Value, OperationError> {
    let number = text.parse::<u32>().map(Value::from);
    number.map_err(|_| OperationError::invalid(format!("`{key}` is no number from 0 up")))
}

fn body(request: &HttpRequest) -> Result<Map<String, Value>, OperationError> {
    request.json()
}

/// What stands in the query and in the body contradicts itself.
fn with_parameters(
    request: &HttpRequest,
    mut json: Map<String, Value>,
) -> Result<Map<String, Value>, OperationError> {
    for (key, value) in parameters(request)? {
        if json.insert(key.clone(), value).is_some() {
            return Err(OperationError::invalid(format!("`{key}` stands in the query and in the body")));
        }
    }
    Ok(json)
}

/// The path names the event, whatever else does.
fn with_id(request: &HttpRequest, mut json: Map<String, Value>) -> Map<String, Value> {
    json.insert("id".to_owned(), request.param("id").unwrap_or_default().into());
    json
}

fn typed<T: DeserializeOwned>(json: Map<String, Value>) -> Result<T, OperationError> {
    serde_json::from_value(Value::Object(json))
        .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
}

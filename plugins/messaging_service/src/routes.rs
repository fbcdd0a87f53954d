//! HTTP -> the operations, and back. What a query or a body holds is judged as a call of the operation would be.

use plugin_api::{
    prelude::*,
    requests::{http::Body, twilio::Media},
    serde::de::DeserializeOwned,
    serde_json::{self, Map, Value},
};

/// What Twilio is answered: it is taken, and the answer comes by itself.
const NOTHING_TO_SAY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// The answer to a webhook.
pub fn taken() -> HttpResponse {
    let body = Body::Text(NOTHING_TO_SAY.to_owned());
    HttpResponse { status: 200, headers: Vec::new(), body }.header("content-type", "text/xml; charset=utf-8")
}

/// The query, and what the path names, as a request.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, OperationError> {
    let mut json = Map::new();
    for (key, value) in request.query() {
        let value = match key.as_str() {
            "limit" => number(&key, &value)?,
            "failed_only" => Value::from(value == "true" || value == "1"),
            _ => Value::from(value),
        };
        if json.insert(key.clone(), value).is_some() {
            return Err(OperationError::invalid(format!("`{key}` is given twice")));
        }
    }
    // The path wins.
    json.extend(request.params.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
    serde_json::from_value(Value::Object(json))
        .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
}

fn number(key: &str, text: &str) -> Result<Value, OperationError> {
    let number = text.parse::<u32>().map(Value::from);
    number.map_err(|_| OperationError::invalid(format!("`{key}` is no number from 0 up")))
}

/// A file of a stranger: never shown as a page of this host.
pub fn file(media: Media) -> HttpResponse {
    let kind =
        media.content_type.filter(|kind| kind.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    HttpResponse { status: 200, headers: Vec::new(), body: Body::Base64(media.content) }
        .header("content-type", kind.unwrap_or_else(|| "application/octet-stream".to_owned()))
        .header("content-disposition", "attachment")
        .header("content-security-policy", "sandbox; default-src 'none'")
        .header("x-content-type-options", "nosniff")
}

//! HTTP -> the operations. A query or a body is judged as a call of the operation would be.

use plugin_api::{
    prelude::*,
    requests::http::fit,
    serde::de::DeserializeOwned,
    serde_json::{Map, Value},
};

/// A request whose `id` stands in the path, and whatever else in the body.
pub fn with_id<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, OperationError> {
    let is_empty = request.body.bytes()?.iter().all(u8::is_ascii_whitespace);
    let mut json: Map<String, Value> = if is_empty { Map::new() } else { request.json()? };
    json.insert("id".to_owned(), request.param("id").unwrap_or_default().into());
    fit(json)
}

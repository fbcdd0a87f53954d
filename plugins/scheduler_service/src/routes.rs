//! HTTP -> the operations. What a query or a body holds is judged as a call of the operation would be.

use plugin_api::{
    prelude::*,
    serde::de::DeserializeOwned,
    serde_json::{self, Map, Value},
};

/// A request whose fields stand in the query.
pub fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, OperationError> {
    let mut json = Map::new();
    for (key, value) in request.query() {
        let value = match key.as_str() {
            "limit" => number(&key, &value)?,
            "all" | "parked" => flag(&key, &value)?,
            _ => Value::from(value),
        };
        if json.insert(key.clone(), value).is_some() {
            return Err(OperationError::invalid(format!("`{key}` is given twice")));
        }
    }
    typed(json)
}

/// A request whose `id` stands in the path, and whatever else in the body.
pub fn with_id<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, OperationError> {
    let is_empty = request.body.bytes()?.iter().all(u8::is_ascii_whitespace);
    let mut json: Map<String, Value> = if is_empty { Map::new() } else { request.json()? };
    json.insert("id".to_owned(), request.param("id").unwrap_or_default().into());
    typed(json)
}

fn number(key: &str, text: &str) -> Result<Value, OperationError> {
    let number = text.parse::<u32>().map(Value::from);
    number.map_err(|_| OperationError::invalid(format!("`{key}` is no number from 0 up")))
}

fn flag(key: &str, text: &str) -> Result<Value, OperationError> {
    match text {
        "true" | "1" | "" => Ok(Value::Bool(true)),
        "false" | "0" => Ok(Value::Bool(false)),
        _ => Err(OperationError::invalid(format!("`{key}` is neither `true` nor `false`"))),
    }
}

fn typed<T: DeserializeOwned>(json: Map<String, Value>) -> Result<T, OperationError> {
    serde_json::from_value(Value::Object(json))
        .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
}

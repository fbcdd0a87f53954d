//! Values between the typed requests and the two drivers: parameters in, rows out.

mod numeric;
mod postgres;
mod sqlite;

use plugin_api::{jiff::Timestamp, prelude::*, requests::sql::Value};
use sqlx::database::{Database, HasStatementCache};

/// A driver, as far as values are concerned.
pub trait Driver: Database + HasStatementCache {
    /// The parameters of a statement.
    fn bind(params: &[Value]) -> Result<Self::Arguments, OperationError>;

    /// The names of a row's columns.
    fn columns(row: &Self::Row) -> Vec<String>;

    /// The values of a row.
    fn decode(row: &Self::Row) -> Result<Vec<Value>, OperationError>;

    /// How many rows the driver says were affected.
    fn rows_affected(result: &Self::QueryResult) -> u64;
}

/// How many bytes a value takes, roughly as it will be written.
pub fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Int(_) | Value::Float(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Timestamp(_) => 27,
        Value::Json(json) => json.to_string().len(),
    }
}

/// Both databases keep microseconds; what is finer is cut, so that both keep the same.
fn microseconds(moment: &Timestamp) -> i64 {
    moment.as_microsecond()
}

/// A value that cannot be bound.
fn unbindable(index: usize, why: &str) -> OperationError {
    OperationError::invalid(format!("parameter `${}` {why}", index + 1))
}

/// A value that cannot be read.
fn unreadable(column: &str, why: &str) -> OperationError {
    OperationError::invalid(format!("column `{column}` {why}"))
}

//! SQLite's five storage classes. Values of other types are stored as one of them, and told apart again by the declared
//! type of the column.

use plugin_api::{jiff::Timestamp, prelude::*, requests::sql::Value};
use sqlx::{
    Arguments as _, Column as _, Decode, Row as _, Sqlite, TypeInfo as _, ValueRef as _,
    sqlite::{SqliteArguments, SqliteQueryResult, SqliteRow, SqliteValueRef},
};

use super::{Driver, microseconds, unbindable, unreadable};

impl Driver for Sqlite {
    fn bind(params: &[Value]) -> Result<SqliteArguments, OperationError> {
        let mut arguments = SqliteArguments::default();
        for (index, value) in params.iter().enumerate() {
            let added = match value {
                Value::Null => arguments.add(None::<i64>),
                Value::Bool(value) => arguments.add(*value),
                Value::Int(value) => arguments.add(*value),
                Value::Float(value) if value.is_nan() => {
                    return Err(unbindable(
                        index,
                        "is `NaN`, which SQLite would store as null: store null, or text",
                    ));
                }
                Value::Float(value) => arguments.add(*value),
                Value::Text(value) => arguments.add(value.clone()),
                Value::Bytes(value) => arguments.add(value.clone()),
                Value::Timestamp(value) => arguments.add(moment(value)),
                Value::Json(value) => arguments.add(value.to_string()),
            };
            added.map_err(|_| unbindable(index, "cannot be written"))?;
        }
        Ok(arguments)
    }

    fn columns(row: &SqliteRow) -> Vec<String> {
        row.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    fn decode(row: &SqliteRow) -> Result<Vec<Value>, OperationError> {
        let columns = row.columns().iter().enumerate();
        columns
            .map(|(index, column)| {
                let value = row.try_get_raw(index).map_err(|_| unreadable(column.name(), "is missing"))?;
                stored(value, column.type_info().name()).ok_or_else(|| {
                    unreadable(column.name(), "holds text that is not UTF-8: cast it to `blob`")
                })
            })
            .collect()
    }

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }
}

/// A moment as text of fixed length in UTC, so that texts sort as moments do.
fn moment(value: &Timestamp) -> String {
    let exact = Timestamp::from_microsecond(microseconds(value)).unwrap_or(*value);
    format!("{exact:.6}")
}

/// A value by its storage class and the declared type of its column.
fn stored(value: SqliteValueRef<'_>, declared: &str) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    let class = value.type_info().name().to_owned();
    Some(match class.as_str() {
        "INTEGER" => match (<i64 as Decode<Sqlite>>::decode(value).ok()?, declared) {
            (number @ (0 | 1), "BOOLEAN") => Value::Bool(number == 1),
            (number, _) => Value::Int(number),
        },
        "REAL" => Value::Float(<f64 as Decode<Sqlite>>::decode(value).ok()?),
        "BLOB" => Value::Bytes(<Vec<u8> as Decode<Sqlite>>::decode(value).ok()?),
        _ => {
            let text = <String as Decode<Sqlite>>::decode(value).ok()?;
            let moment = if declared == "DATETIME" { text.parse().ok() } else { None };
            moment.map_or(Value::Text(text), Value::Timestamp)
        }
    })
}

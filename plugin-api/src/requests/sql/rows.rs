//! Rows as they come back, and typed access to them.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::Value;
use crate::{error::OperationError, message};

/// The rows of a query.
#[message]
#[derive(Default, PartialEq)]
pub struct Rows {
    /// The names of the columns, in order.
    pub columns: Vec<String>,
    /// The rows; each has one value a column.
    pub rows: Vec<Vec<Value>>,
    /// There were more rows, or more bytes, than the limits allow: only the first ones are here.
    #[serde(default)]
    pub truncated: bool,
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// The first row, if there is one.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl<'a> Row<'a> {
    /// The value of a column as a Rust type; `Option<T>` where it may be null.
    ///
    /// # Errors
    /// `internal`, naming the column: there is none of this name, or it holds something else.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, OperationError> {
        let value = self.value(column)?;
        T::from_value(value).ok_or_else(|| {
            OperationError::internal(format!(
                "column `{column}` holds {}, expected {}",
                value.kind(),
                T::EXPECTED
            ))
        })
    }

    /// The value of a column as it is.
    ///
    /// # Errors
    /// `internal`: there is no such column.
    pub fn value(&self, column: &str) -> Result<&'a Value, OperationError> {
        let index = self.columns.iter().position(|name| name == column);
        index.and_then(|index| self.values.get(index)).ok_or_else(|| {
            OperationError::internal(format!(
                "there is no column `{column}`, only `{}`",
                self.columns.join("`, `")
            ))
        })
    }
}

/// A Rust type that a [`Value`] can be read as, without losing anything.
pub trait FromValue: Sized {
    /// What it is read from, for an error message.
    const EXPECTED: &'static str;

    /// Reads it; `None` if it does not fit.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for Value {
    const EXPECTED: &'static str = "a value";

    fn from_value(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// SQLite has no booleans beside the declared type of a column, so 0 and 1 count too.
impl FromValue for bool {
    const EXPECTED: &'static str = "a bool";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl FromValue for i64 {
    const EXPECTED: &'static str = "an integer";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }
}

macro_rules! narrower_integers {
    ($($integer:ty => $expected:literal),* $(,)?) => {
        $(impl FromValue for $integer {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Option<Self> {
                i64::from_value(value)?.try_into().ok()
            }
        })*
    };
}

narrower_integers! {
    i32 => "an integer of 32 bits",
    u8 => "an integer from 0 to 255",
    u16 => "an integer from 0 to 65535",
    u32 => "an integer of 32 bits from 0 up",
    u64 => "an integer from 0 up",
    usize => "an integer from 0 up",
}

/// SQLite may keep a whole number as an integer, which is as good while it is exact.
impl FromValue for f64 {
    const EXPECTED: &'static str = "a float";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Float(value) => Some(*value),
            #[expect(clippy::cast_precision_loss, reason = "below 2^53 nothing is lost")]
            Value::Int(value) if value.unsigned_abs() <= 1 << 53 => Some(*value as f64),
            _ => None,
        }
    }
}

impl FromValue for String {
    const EXPECTED: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<u8> {
    const EXPECTED: &'static str = "bytes";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bytes(value) => Some(value.clone()),
            _ => None,
        }
    }
}

/// SQLite keeps moments as text.
impl FromValue for Timestamp {
    const EXPECTED: &'static str = "a timestamp";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Timestamp(value) => Some(*value),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// SQLite keeps documents as text, and a document that is a mere number as that number.
impl FromValue for Json {
    const EXPECTED: &'static str = "JSON";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Json(value) => Some(value.clone()),
            Value::Text(text) => serde_json::from_str(text).ok(),
            Value::Int(value) => Some(Json::from(*value)),
            Value::Float(value) => serde_json::Number::from_f64(*value).map(Json::Number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: ["id", "name", "seen", "data", "score"].map(str::to_owned).to_vec(),
            rows: vec![vec![
                Value::Int(300),
                Value::Null,
                Value::Text("2026-11-22T21:14:03.001000Z".to_owned()),
                Value::Text(r#"{"a":[1]}"#.to_owned()),
                Value::Int(2),
            ]],
            truncated: false,
        }
    }

    #[test]
    fn typed_access_bridges_the_dialects() -> Result<(), OperationError> {
        let rows = rows();
        let row = rows.first().expect("there is one");
        assert_eq!(row.get::<u32>("id")?, 300);
        assert_eq!(row.get::<Option<String>>("name")?, None);
        assert_eq!(row.get::<Timestamp>("seen")?.to_string(), "2026-11-22T21:14:03.001Z");
        assert_eq!(row.get::<Json>("data")?, json!({"a": [1]}));
        assert!((row.get::<f64>("score")? - 2.0).abs() < f64::EPSILON);
        Ok(())
    }

    #[test]
    fn what_does_not_fit_names_the_column_and_both_sides() {
        let rows = rows();
        let row = rows.first().expect("there is one");
        let texts = [
            row.get::<String>("name").map(|_| ()),
            row.get::<u8>("id").map(|_| ()),
            row.get::<i64>("seen").map(|_| ()),
            row.get::<i64>("age").map(|_| ()),
        ]
        .map(|outcome| outcome.expect_err("it does not fit").to_string())
        .join("\n");
        expect![[r#"
            internal: column `name` holds null, expected text
            internal: column `id` holds an integer, expected an integer from 0 to 255
            internal: column `seen` holds text, expected an integer
            internal: there is no column `age`, only `id`, `name`, `seen`, `data`, `score`"#]]
        .assert_eq(&texts);
    }
}

//! A value of SQL, and how it is written in JSON without losing anything.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Value as Json, json};

/// What passes between a statement and a database.
///
/// | value | in JSON |
/// |---|---|
/// | `Null`, `Bool`, `Text` | `null`, `true`, `"text"` |
/// | `Int` | `7`; from 2^53 on `{"$int":"9007199254740993"}`, because many readers of JSON round there |
/// | `Float` | `{"$float":"0.1"}`, also `NaN`, `inf`, `-inf`, `-0`; a plain number with a fraction is read as well |
/// | `Bytes` | `{"$bytes":"AQID"}`, base64 |
/// | `Timestamp` | `{"$timestamp":"2026-11-22T21:14:03.001Z"}`, RFC 3339 in UTC |
/// | `Json` | `{"$json":…}`, any JSON inside |
///
/// | value | stored by PostgreSQL as | stored by SQLite as |
/// |---|---|---|
/// | `Bool` | `boolean` | 0 or 1; comes back as `Bool` from a column declared `boolean` |
/// | `Int` | `bigint` | integer |
/// | `Float` | `double precision` | real; `NaN` is `invalid`, since SQLite would make it null |
/// | `Text` | `text` | text |
/// | `Bytes` | `bytea` | blob |
/// | `Timestamp` | `timestamptz` | text of fixed length that sorts by time; comes back as `Timestamp` from a column declared `timestamp` |
/// | `Json` | `jsonb` | text; comes back as `Text` |
///
/// Both keep a timestamp's microseconds and cut what is finer. [`Row::get`](super::Row::get) bridges what SQLite does
/// not tell apart. Other types of PostgreSQL: `numeric`, `uuid`, `date` come as `Text`, arrays as `Json`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// A number of double precision.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A moment.
    Timestamp(Timestamp),
    /// A JSON document.
    Json(Json),
}

/// Integers up to here are exact in every reader of JSON.
const EXACT: u64 = 1 << 53;

impl Value {
    /// What it is, for an error message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "a timestamp",
            Self::Json(_) => "JSON",
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) if value.unsigned_abs() < EXACT => serializer.serialize_i64(*value),
            Self::Int(value) => tagged(serializer, "$int", &value.to_string()),
            Self::Float(value) => tagged(serializer, "$float", &value.to_string()),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => tagged(serializer, "$bytes", &BASE64.encode(value)),
            Self::Timestamp(value) => tagged(serializer, "$timestamp", value),
            Self::Json(value) => tagged(serializer, "$json", value),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = match Json::deserialize(deserializer)? {
            Json::Null => Ok(Self::Null),
            Json::Bool(value) => Ok(Self::Bool(value)),
            Json::String(value) => Ok(Self::Text(value)),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Ok(Self::Int(value)),
                None if number.is_u64() => Err(format!("`{number}` does not fit into 64 bits with a sign")),
                None => {
                    number.as_f64().map(Self::Float).ok_or_else(|| format!("`{number}` is no number here"))
                }
            },
            Json::Object(object) if object.len() == 1 => object
                .into_iter()
                .next()
                .map_or_else(|| Err(UNTAGGED.to_owned()), |(tag, inner)| untag(&tag, inner)),
            Json::Object(_) | Json::Array(_) => Err(UNTAGGED.to_owned()),
        };
        value.map_err(D::Error::custom)
    }
}

const UNTAGGED: &str = "an object or array is no value: write a JSON document as `{\"$json\": …}`";

fn tagged<S: Serializer>(serializer: S, tag: &str, value: &impl Serialize) -> Result<S::Ok, S::Error> {
    serializer.collect_map([(tag, value)])
}

fn untag(tag: &str, inner: Json) -> Result<Value, String> {
    let unfit = |expected: &str| format!("`{tag}` holds `{inner}`, expected {expected}");
    match (tag, &inner) {
        ("$int", Json::String(text)) => {
            text.parse().map(Value::Int).map_err(|_| unfit("an integer of 64 bits as text"))
        }
        ("$int", Json::Number(number)) => {
            number.as_i64().map(Value::Int).ok_or_else(|| unfit("an integer of 64 bits"))
        }
        ("$float", Json::String(text)) => {
            text.parse().map(Value::Float).map_err(|_| unfit("a number as text, `NaN`, `inf` or `-inf`"))
        }
        ("$float", Json::Number(number)) => {
            number.as_f64().map(Value::Float).ok_or_else(|| unfit("a number"))
        }
        ("$bytes", Json::String(text)) => {
            BASE64.decode(text).map(Value::Bytes).map_err(|_| unfit("base64 with padding"))
        }
        ("$timestamp", Json::String(text)) => {
            text.parse().map(Value::Timestamp).map_err(|_| unfit("a time as RFC 3339 with its offset"))
        }
        ("$json", _) => Ok(Value::Json(inner)),
        ("$int" | "$float" | "$bytes" | "$timestamp", _) => Err(unfit("text")),
        _ => Err(UNTAGGED.to_owned()),
    }
}

impl JsonSchema for Value {
    fn schema_name() -> Cow<'static, str> {
        "SqlValue".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let tagged = |tag: &str, inner: Json| {
            json!({
                "type": "object", "properties": { tag: inner }, "required": [tag], "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "a value of SQL; what plain JSON cannot hold exactly is an object with a tag",
            "anyOf": [
                { "type": ["null", "boolean", "number", "string"] },
                tagged("$int", json!({ "type": ["string", "integer"] })),
                tagged("$float", json!({ "type": ["string", "number"] })),
                tagged("$bytes", json!({ "type": "string", "contentEncoding": "base64" })),
                tagged("$timestamp", json!({ "type": "string", "format": "date-time" })),
                tagged("$json", json!({})),
            ],
        })
    }
}

macro_rules! values_from {
    ($($from:ty => $make:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $make(value)
            }
        })*
    };
}

values_from! {
    bool => Value::Bool,
    i64 => Value::Int,
    i32 => |value| Value::Int(i64::from(value)),
    i16 => |value| Value::Int(i64::from(value)),
    u32 => |value| Value::Int(i64::from(value)),
    u16 => |value| Value::Int(i64::from(value)),
    u8 => |value| Value::Int(i64::from(value)),
    f64 => Value::Float,
    f32 => |value| Value::Float(f64::from(value)),
    String => Value::Text,
    &String => |value: &String| Value::Text(value.clone()),
    &str => |value: &str| Value::Text(value.to_owned()),
    Vec<u8> => Value::Bytes,
    &[u8] => |value: &[u8]| Value::Bytes(value.to_vec()),
    Timestamp => Value::Timestamp,
    Json => Value::Json,
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(value: Value, expected: Expect) {
        let json = serde_json::to_string(&value).expect("every value can be written");
        expected.assert_eq(&json);
        let back: Value = serde_json::from_str(&json).expect("what was written can be read");
        // By its text, because NaN is not equal to itself and 0 is equal to -0.
        assert_eq!(format!("{back:?}"), format!("{value:?}"));
    }

    fn refused(json: &str, expected: Expect) {
        let error = serde_json::from_str::<Value>(json).expect_err("no value");
        expected.assert_eq(&error.to_string());
    }

    #[test]
    fn plain_where_nothing_is_lost() {
        check(Value::Null, expect!["null"]);
        check(Value::from(true), expect!["true"]);
        check(Value::from("tea"), expect![[r#""tea""#]]);
        check(Value::from((1_i64 << 53) - 1), expect!["9007199254740991"]);
        check(Value::from(-5), expect!["-5"]);
    }

    #[test]
    fn tagged_where_plain_json_would_lose_something() {
        check(Value::from((1_i64 << 53) + 1), expect![[r#"{"$int":"9007199254740993"}"#]]);
        check(Value::from(i64::MIN), expect![[r#"{"$int":"-9223372036854775808"}"#]]);
        check(Value::from(0.1), expect![[r#"{"$float":"0.1"}"#]]);
        check(Value::from(1.0), expect![[r#"{"$float":"1"}"#]]);
        check(Value::from(-0.0), expect![[r#"{"$float":"-0"}"#]]);
        check(Value::from(f64::NAN), expect![[r#"{"$float":"NaN"}"#]]);
        check(Value::from(f64::NEG_INFINITY), expect![[r#"{"$float":"-inf"}"#]]);
        check(Value::from(vec![0_u8, 255]), expect![[r#"{"$bytes":"AP8="}"#]]);
        let moment: Timestamp = "2026-11-22T22:14:03.001+01:00".parse().expect("a time");
        check(Value::from(moment), expect![[r#"{"$timestamp":"2026-11-22T21:14:03.001Z"}"#]]);
        check(Value::from(json!({"$int": [1]})), expect![[r#"{"$json":{"$int":[1]}}"#]]);
    }

    #[test]
    fn a_plain_number_with_a_fraction_is_a_float() {
        let value: Value = serde_json::from_str("1.5").expect("a value");
        assert_eq!(value, Value::Float(1.5));
    }

    #[test]
    fn what_is_no_value_says_how_to_write_it() {
        refused(
            r#"{"a":1}"#,
            expect![[r#"an object or array is no value: write a JSON document as `{"$json": …}`"#]],
        );
        refused(
            "[]",
            expect![[r#"an object or array is no value: write a JSON document as `{"$json": …}`"#]],
        );
        refused(
            "18446744073709551615",
            expect!["`18446744073709551615` does not fit into 64 bits with a sign"],
        );
        refused(
            r#"{"$int":"many"}"#,
            expect![[r#"`$int` holds `"many"`, expected an integer of 64 bits as text"#]],
        );
        refused(
            r#"{"$timestamp":"today"}"#,
            expect![[r#"`$timestamp` holds `"today"`, expected a time as RFC 3339 with its offset"#]],
        );
    }
}

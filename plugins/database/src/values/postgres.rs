//! PostgreSQL's types in their binary form.

use plugin_api::{
    jiff::{Timestamp, civil::date},
    prelude::*,
    requests::sql::Value,
    serde_json::{self, Value as Json},
};
use sqlx::{
    Arguments as _, Column as _, Encode, Postgres, Row as _, Type, TypeInfo as _, ValueRef as _,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgQueryResult, PgRow, PgTypeInfo, PgTypeKind, types::Oid},
};

use super::{Driver, microseconds, numeric, unbindable, unreadable};

/// 2000-01-01, from which PostgreSQL counts, in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;
/// What `jsonb` begins with.
const JSONB_VERSION: u8 = 1;

impl Driver for Postgres {
    fn bind(params: &[Value]) -> Result<PgArguments, OperationError> {
        let mut arguments = PgArguments::default();
        for (index, value) in params.iter().enumerate() {
            arguments.add(Parameter(value)).map_err(|_| unbindable(index, "is too large"))?;
        }
        Ok(arguments)
    }

    fn columns(row: &PgRow) -> Vec<String> {
        row.columns().iter().map(|column| column.name().to_owned()).collect()
    }

    fn decode(row: &PgRow) -> Result<Vec<Value>, OperationError> {
        let columns = row.columns().iter().enumerate();
        columns
            .map(|(index, column)| {
                let value = row.try_get_raw(index).map_err(|_| unreadable(column.name(), "is missing"))?;
                if value.is_null() {
                    return Ok(Value::Null);
                }
                let info = column.type_info();
                let read = value.as_bytes().map_err(|_| Unread::Value).and_then(|bytes| decode(info, bytes));
                read.map_err(|unread| unread.explain(column.name(), info.name()))
            })
            .collect()
    }

    fn rows_affected(result: &PgQueryResult) -> u64 {
        result.rows_affected()
    }
}

/// A value as a parameter that declares its own type, so that the same SQL means the same on both dialects.
struct Parameter<'a>(&'a Value);

impl Type<Postgres> for Parameter<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl<'q> Encode<'q, Postgres> for Parameter<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Bool(value) => buffer.push(u8::from(*value)),
            Value::Int(value) => buffer.extend_from_slice(&value.to_be_bytes()),
            Value::Float(value) => buffer.extend_from_slice(&value.to_be_bytes()),
            Value::Text(value) => buffer.extend_from_slice(value.as_bytes()),
            Value::Bytes(value) => buffer.extend_from_slice(value),
            Value::Timestamp(value) => buffer.extend_from_slice(&(microseconds(value) - EPOCH).to_be_bytes()),
            Value::Json(value) => {
                buffer.push(JSONB_VERSION);
                serde_json::to_writer(&mut **buffer, value)?;
            }
        }
        Ok(IsNull::No)
    }

    /// Null has no type of its own: 0 leaves it to the server.
    fn produces(&self) -> Option<PgTypeInfo> {
        let oid = match self.0 {
            Value::Null => 0,
            Value::Bool(_) => 16,
            Value::Bytes(_) => 17,
            Value::Int(_) => 20,
            Value::Text(_) => 25,
            Value::Float(_) => 701,
            Value::Timestamp(_) => 1184,
            Value::Json(_) => 3802,
        };
        Some(PgTypeInfo::with_oid(Oid(oid)))
    }
}

/// Why a value cannot be read.
enum Unread {
    /// Nothing is known of its type.
    Type,
    /// The type is known, but not this value of it.
    Value,
}

impl Unread {
    fn explain(&self, column: &str, name: &str) -> OperationError {
        let name = name.to_lowercase();
        match self {
            Self::Type => unreadable(
                column,
                &format!("has the type `{name}`, which cannot be passed on: write `cast({column} as text)`"),
            ),
            Self::Value => unreadable(
                column,
                &format!("holds a `{name}` that cannot be passed on exactly: write `cast({column} as text)`"),
            ),
        }
    }
}

fn decode(info: &PgTypeInfo, bytes: &[u8]) -> Result<Value, Unread> {
    match info.kind() {
        PgTypeKind::Array(element) => array(element, bytes).map(Value::Json),
        PgTypeKind::Domain(base) => decode(base, bytes),
        PgTypeKind::Enum(_) => text(bytes).ok_or(Unread::Value),
        PgTypeKind::Simple | PgTypeKind::Pseudo => simple(info.name(), bytes),
        _ => Err(Unread::Type),
    }
}

fn simple(name: &str, bytes: &[u8]) -> Result<Value, Unread> {
    let value = match name {
        "BOOL" => bytes.first().map(|byte| Value::Bool(*byte != 0)),
        "INT2" => fixed(bytes).map(|bytes| Value::from(i16::from_be_bytes(bytes))),
        "INT4" => fixed(bytes).map(|bytes| Value::from(i32::from_be_bytes(bytes))),
        "INT8" => fixed(bytes).map(|bytes| Value::Int(i64::from_be_bytes(bytes))),
        "OID" => fixed(bytes).map(|bytes| Value::from(u32::from_be_bytes(bytes))),
        "FLOAT4" => fixed(bytes).map(|bytes| Value::from(f32::from_be_bytes(bytes))),
        "FLOAT8" => fixed(bytes).map(|bytes| Value::Float(f64::from_be_bytes(bytes))),
        "NUMERIC" => numeric::text(bytes).map(Value::Text),
        "BYTEA" => Some(Value::Bytes(bytes.to_vec())),
        "TIMESTAMPTZ" | "TIMESTAMP" => fixed(bytes).and_then(|bytes| moment(i64::from_be_bytes(bytes))),
        "DATE" => fixed(bytes).and_then(|bytes| day(i32::from_be_bytes(bytes))),
        "UUID" => fixed(bytes).map(uuid),
        "JSON" => serde_json::from_slice(bytes).ok().map(Value::Json),
        "JSONB" => bytes.get(1..).and_then(|bytes| serde_json::from_slice(bytes).ok()).map(Value::Json),
        "VOID" => Some(Value::Null),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "\"CHAR\"" | "UNKNOWN" | "citext" => text(bytes),
        _ => return Err(Unread::Type),
    };
    value.ok_or(Unread::Value)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn text(bytes: &[u8]) -> Option<Value> {
    String::from_utf8(bytes.to_vec()).ok().map(Value::Text)
}

/// `None` for `infinity`, and for what lies beyond the year 9999.
fn moment(since_epoch: i64) -> Option<Value> {
    Timestamp::from_microsecond(since_epoch.checked_add(EPOCH)?).ok().map(Value::Timestamp)
}

fn day(since_epoch: i32) -> Option<Value> {
    let day = date(2000, 1, 1).checked_add(plugin_api::jiff::Span::new().try_days(since_epoch).ok()?).ok()?;
    Some(Value::Text(day.to_string()))
}

fn uuid(bytes: [u8; 16]) -> Value {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    Value::Text(groups.join("-"))
}

/// An array of any number of dimensions, as nested arrays of JSON.
fn array(element: &PgTypeInfo, bytes: &[u8]) -> Result<Json, Unread> {
    let mut reader = Reader(bytes);
    let dimensions = reader.int().ok_or(Unread::Value)?;
    reader.take(8).ok_or(Unread::Value)?;
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(reader.int().and_then(|length| usize::try_from(length).ok()).ok_or(Unread::Value)?);
        reader.take(4).ok_or(Unread::Value)?;
    }
    if lengths.is_empty() {
        return Ok(Json::Array(Vec::new()));
    }
    elements(element, &mut reader, &lengths)
}

fn elements(element: &PgTypeInfo, reader: &mut Reader<'_>, lengths: &[usize]) -> Result<Json, Unread> {
    let Some((length, inner)) = lengths.split_first() else { return one(element, reader) };
    (0..*length).map(|_| elements(element, reader, inner)).collect::<Result<_, _>>().map(Json::Array)
}

fn one(element: &PgTypeInfo, reader: &mut Reader<'_>) -> Result<Json, Unread> {
    let length = reader.int().ok_or(Unread::Value)?;
    // A negative length is null.
    let Ok(length) = usize::try_from(length) else { return Ok(Json::Null) };
    let bytes = reader.take(length).ok_or(Unread::Value)?;
    Ok(match decode(element, bytes)? {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => serde_json::Number::from_f64(value).map(Json::Number).ok_or(Unread::Value)?,
        Value::Text(value) => value.into(),
        Value::Timestamp(value) => value.to_string().into(),
        Value::Json(value) => value,
        Value::Bytes(_) => return Err(Unread::Type),
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        self.take(4).and_then(fixed).map(i32::from_be_bytes)
    }
}

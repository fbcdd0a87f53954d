//! Rows and their values as serde reads them.
//!
//! Errors name the column and what it holds, but not its content: that may be a person's words.

use std::fmt;

use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{BorrowedStrDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value as Json;

use super::Value;
use crate::error::OperationError;

/// Why a row cannot be read.
#[derive(Debug)]
pub struct Unreadable(String);

impl Unreadable {
    fn of(self, column: &str) -> Self {
        Self(format!("column `{column}`: {}", self.0))
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl de::Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self(format!("it holds {}, expected {expected}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("there is no column `{field}`"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(format!("it holds a word that is not known here, expected `{}`", expected.join("`, `")))
    }
}

impl From<Unreadable> for OperationError {
    fn from(error: Unreadable) -> Self {
        Self::internal(error.0)
    }
}

/// What it is, without what is in it.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a bool",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Str(_) | Unexpected::Char(_) => "text",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        _ => "something else",
    }
}

/// A row on its way into a Rust type.
#[derive(Clone, Copy)]
pub struct RowReader<'de> {
    pub columns: &'de [String],
    pub values: &'de [Value],
}

/// What is read of the value, if there is one column alone.
macro_rules! read_alone {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            self.alone(|value| value.$method(visitor))
        })*
    };
}

impl<'de> RowReader<'de> {
    fn alone<T>(self, read: impl FnOnce(ValueReader<'de>) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
        match (self.columns, self.values) {
            ([column], [value]) => read(ValueReader(value)).map_err(|error| error.of(column)),
            _ => Err(Unreadable(format!(
                "a row of `{}` is no single value: read it as a struct or a tuple",
                self.columns.join("`, `")
            ))),
        }
    }
}

impl<'de> Deserializer<'de> for RowReader<'de> {
    type Error = Unreadable;

    read_alone! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq
    }

    forward_to_deserialize_any! { map identifier ignored_any i128 u128 }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.alone(|value| value.deserialize_enum(name, variants, visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.alone(|value| value.deserialize_newtype_struct(name, visitor))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(Columns { row: self, next: 0 })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Unreadable> {
        if length != self.values.len() {
            return Err(Unreadable(format!(
                "there are {} columns, `{}`, expected {length}",
                self.columns.len(),
                self.columns.join("`, `")
            )));
        }
        visitor.visit_seq(Columns { row: self, next: 0 })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_tuple(length, visitor)
    }
}

/// The columns that were not read yet.
struct Columns<'de> {
    row: RowReader<'de>,
    next: usize,
}

impl<'de> Columns<'de> {
    /// Reads the next one, if there is one.
    fn read<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unreadable> {
        let column = self.row.columns.get(self.next).zip(self.row.values.get(self.next));
        self.next += 1;
        column.map(|(name, value)| read(name, value, seed)).transpose()
    }
}

impl<'de> MapAccess<'de> for Columns<'de> {
    type Error = Unreadable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Unreadable> {
        let column = self.row.columns.get(self.next);
        column.map(|name| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Unreadable> {
        self.read(seed)?.ok_or_else(|| Unreadable("the row has fewer values than columns".to_owned()))
    }
}

impl<'de> SeqAccess<'de> for Columns<'de> {
    type Error = Unreadable;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Unreadable> {
        self.read(seed)
    }
}

/// Reads the value of a column; errors name it.
pub fn read<'de, S: DeserializeSeed<'de>>(
    column: &str,
    value: &'de Value,
    seed: S,
) -> Result<S::Value, Unreadable> {
    seed.deserialize(ValueReader(value)).map_err(|error| error.of(column))
}

#[derive(Clone, Copy)]
struct ValueReader<'de>(&'de Value);

impl ValueReader<'_> {
    /// What it holds as JSON. SQLite keeps documents as text, and one that is a mere number as that number.
    fn document(self) -> Result<Json, Unreadable> {
        match self.0 {
            Value::Json(document) => Ok(document.clone()),
            Value::Null => Ok(Json::Null),
            Value::Text(text) => serde_json::from_str(text).map_err(|error| other_form(&error)),
            Value::Int(number) => Ok(Json::from(*number)),
            Value::Float(number) => Ok(Json::from(*number)),
            value => Err(Unreadable(format!("it holds {}, expected JSON", value.kind()))),
        }
    }
}

/// The error of serde_json quotes what it found.
fn other_form(error: &serde_json::Error) -> Unreadable {
    let place = match (error.line(), error.column()) {
        (0, _) => String::new(),
        (line, column) => format!(", at line {line}, column {column}"),
    };
    Unreadable(format!("it holds JSON of another form than is known here{place}"))
}

impl<'de> Deserializer<'de> for ValueReader<'de> {
    type Error = Unreadable;

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct identifier
        ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(value) => visitor.visit_borrowed_str(value),
            Value::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Value::Timestamp(value) => visitor.visit_string(value.to_string()),
            Value::Json(value) => value.clone().deserialize_any(visitor).map_err(|error| other_form(&error)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            // SQLite has no booleans beside the declared type of a column.
            Value::Int(value @ (0 | 1)) => visitor.visit_bool(*value == 1),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            // SQLite may keep a whole number as an integer, which is as good while it is exact.
            Value::Int(value) if value.unsigned_abs() > 1 << 53 => {
                Err(Unreadable("it holds an integer that no float is exactly".to_owned()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Text(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            _ => {
                self.document()?.deserialize_enum(name, variants, visitor).map_err(|error| other_form(&error))
            }
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.document()?.deserialize_seq(visitor).map_err(|error| other_form(&error)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.document()?.deserialize_map(visitor).map_err(|error| other_form(&error))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match name {
            DOCUMENT => visitor.visit_newtype_struct(self.document()?).map_err(|error| other_form(&error)),
            _ => visitor.visit_newtype_struct(self),
        }
    }
}

/// Tells [`ValueReader`] that JSON is wanted.
const DOCUMENT: &str = "$plugin_api::sql::json";

/// Reads a column as JSON, whatever type it becomes: `#[serde(with = "plugin_api::requests::sql::json")]`. A value that
/// stands for JSON in text would else be read as that text.
pub mod json {
    use std::{fmt, marker::PhantomData};

    use serde::{
        Deserializer,
        de::{DeserializeOwned, DeserializeSeed, Visitor},
    };

    use super::DOCUMENT;

    /// The type that the JSON becomes.
    pub(in super::super) struct Document<T>(pub(in super::super) PhantomData<T>);

    impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Document<T> {
        type Value = T;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            deserializer.deserialize_newtype_struct(DOCUMENT, self)
        }
    }

    impl<'de, T: DeserializeOwned> Visitor<'de> for Document<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("JSON")
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            T::deserialize(deserializer)
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is no JSON, or not of this type.
    pub fn deserialize<'de, D: Deserializer<'de>, T: DeserializeOwned>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        Document(PhantomData).deserialize(deserializer)
    }
}

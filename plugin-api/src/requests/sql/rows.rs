//! Rows as they come back, and typed access to them.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::{
    Value,
    json::Document,
    reading::{RowReader, read},
};
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

    /// All rows as a Rust type, in order; see [`Row::read`].
    ///
    /// # Errors
    /// As [`Row::read`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, OperationError> {
        self.iter().map(Row::read).collect()
    }

    /// The first row as a Rust type, if there is one; see [`Row::read`].
    ///
    /// # Errors
    /// As [`Row::read`].
    pub fn read_first<T: DeserializeOwned>(&self) -> Result<Option<T>, OperationError> {
        self.first().map(Row::read).transpose()
    }

    /// The one row that a statement such as a count always answers, as a Rust type; see [`Row::read`].
    ///
    /// # Errors
    /// As [`Row::read`], and `internal` if there is no row.
    pub fn read_one<T: DeserializeOwned>(&self) -> Result<T, OperationError> {
        self.read_first()?.ok_or_else(|| OperationError::internal("the database answered no row"))
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl<'a> Row<'a> {
    /// The row as a Rust type: a struct with the names of columns as its fields, a tuple of all columns in their order, or,
    /// if there is one column alone, what it holds. `Option` stands where a value may be null. Differences of
    /// the databases are bridged: 0 and 1 are booleans, text is a moment. Structs and lists are read from JSON, also where that is
    /// kept as text; other types that JSON stands for are read [`with`](super::json) `plugin_api::requests::sql::json`.
    ///
    /// # Errors
    /// `internal`, naming the column: there is none of this name, or it holds something else.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, OperationError> {
        Ok(T::deserialize(RowReader { columns: self.columns, values: self.values })?)
    }

    /// The value of one column as a Rust type, as [`Row::read`] reads it.
    ///
    /// # Errors
    /// As [`Row::read`].
    pub fn get<T: DeserializeOwned>(&self, column: &str) -> Result<T, OperationError> {
        Ok(read(column, self.value(column)?, PhantomData)?)
    }

    /// The JSON in one column as a Rust type, also where it is kept as text, and also a text, a number or `null` in JSON.
    ///
    /// # Errors
    /// As [`Row::read`].
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, OperationError> {
        Ok(read(column, self.value(column)?, Document(PhantomData))?)
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

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use jiff::Timestamp;
    use serde::Deserialize;
    use serde_json::{Value as Json, json};

    use super::*;

    fn rows() -> Rows {
        Rows {
            columns: ["id", "name", "seen", "data", "score", "document"].map(str::to_owned).to_vec(),
            rows: vec![vec![
                Value::Int(300),
                Value::Null,
                Value::Text("2026-11-22T21:14:03.001000Z".to_owned()),
                Value::Text(r#"{"a":[1]}"#.to_owned()),
                Value::Int(2),
                Value::Text("[true]".to_owned()),
            ]],
            truncated: false,
        }
    }

    /// Words of a state.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        OverThere,
        #[serde(other)]
        Other,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Data {
        a: Vec<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Kept {
        id: u16,
        name: Option<String>,
        seen: Timestamp,
        data: Data,
        score: f64,
        #[serde(with = "crate::requests::sql::json")]
        document: Option<Json>,
    }

    #[test]
    fn a_row_becomes_a_struct_whatever_the_dialect() {
        let mut rows = rows();
        let (sqlite, by_column) = (rows.read::<Kept>(), rows.first().map(|row| row.get::<Data>("data")));
        let moment = "2026-11-22T21:14:03.001Z".parse().expect("a time");
        rows.rows = vec![vec![
            Value::Int(300),
            Value::Null,
            Value::Timestamp(moment),
            Value::Json(json!({"a": [1]})),
            Value::Float(2.0),
            Value::Json(json!([true])),
        ]];
        assert_eq!(by_column, Some(Ok(Data { a: vec![1] })));
        assert_eq!(sqlite, rows.read::<Kept>());
        expect![[r#"
            Ok(
                [
                    Kept {
                        id: 300,
                        name: None,
                        seen: 2026-11-22T21:14:03.001Z,
                        data: Data {
                            a: [
                                1,
                            ],
                        },
                        score: 2.0,
                        document: Some(
                            Array [
                                Bool(true),
                            ],
                        ),
                    },
                ],
            )
        "#]]
        .assert_debug_eq(&sqlite);
    }

    #[test]
    fn a_row_becomes_a_tuple_and_one_column_alone_what_it_holds() {
        let row = |columns: &[&str], values: Vec<Value>| Rows {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: vec![values],
            truncated: false,
        };
        let pair = row(&["state", "n"], vec!["over_there".into(), 3.into()]);
        assert_eq!(pair.read_one::<(State, u64)>(), Ok((State::OverThere, 3)));
        let alone = |value: Value| row(&["n"], vec![value]);
        assert_eq!(alone(7.into()).read_one::<i64>(), Ok(7));
        assert_eq!(alone("7".into()).read_one::<String>(), Ok("7".to_owned()));
        assert_eq!(alone(1.into()).read_one::<bool>(), Ok(true));
        assert_eq!(alone(Value::Bytes(vec![0, 255])).read_one::<Vec<u8>>(), Ok(vec![0, 255]));
        assert_eq!(alone(Value::Null).read_one::<Option<i64>>(), Ok(None));
        assert_eq!(alone("gone".into()).read_one::<State>(), Ok(State::Other));
        assert_eq!(Rows::default().read_first::<i64>(), Ok(None));
    }

    #[test]
    fn what_does_not_fit_names_the_column_and_both_sides() {
        let rows = rows();
        let row = rows.first().expect("there is one");
        let texts = [
            row.get::<String>("name").map(drop),
            row.get::<u8>("id").map(drop),
            row.get::<i64>("seen").map(drop),
            row.get::<bool>("id").map(drop),
            row.get::<Data>("seen").map(drop),
            row.get::<i64>("age").map(drop),
            row.read::<(i64, i64)>().map(drop),
            row.read::<i64>().map(drop),
            Rows::default().read_one::<i64>().map(drop),
        ]
        .map(|outcome| outcome.expect_err("it does not fit").to_string())
        .join("\n");
        expect![[r#"
            internal: column `name`: it holds null, expected a string
            internal: column `id`: it holds an integer, expected u8
            internal: column `seen`: it holds text, expected i64
            internal: column `id`: it holds an integer, expected a boolean
            internal: column `seen`: it holds JSON of another form than is known here, at line 1, column 5
            internal: there is no column `age`, only `id`, `name`, `seen`, `data`, `score`, `document`
            internal: there are 6 columns, `id`, `name`, `seen`, `data`, `score`, `document`, expected 2
            internal: a row of `id`, `name`, `seen`, `data`, `score`, `document` is no single value: read it as a struct or a tuple
            internal: the database answered no row"#]].assert_eq(&texts);
    }
}

//! The values in a query and in a path -> a request, each being what its field says it is. Their meaning is not judged
//! here.

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::HttpRequest;
use crate::error::OperationError;

impl HttpRequest {
    /// The query, and what the path names, as a request: a flag is `true`, `1` or nothing, or `false` or `0`; a list is
    /// separated by commas. The path wins.
    ///
    /// ```
    /// use plugin_api::requests::http::HttpRequest;
    ///
    /// #[plugin_api::message]
    /// struct List {
    ///     limit: Option<u32>,
    ///     live: Option<bool>,
    /// }
    ///
    /// let request = |query: &str| HttpRequest { query: query.into(), ..HttpRequest::default() };
    /// let list: List = request("limit=5&live=1").read()?;
    /// assert_eq!((list.limit, list.live), (Some(5), Some(true)));
    ///
    /// let error = request("live=yes").read::<List>().unwrap_err();
    /// assert_eq!(error.message, "`live` is `yes`: expected `true` or `false`");
    /// # Ok::<(), plugin_api::prelude::OperationError>(())
    /// ```
    ///
    /// # Errors
    /// `invalid` with what does not fit.
    pub fn read<T: JsonSchema + DeserializeOwned>(&self) -> Result<T, OperationError> {
        fit(self.parameters::<T>()?)
    }

    /// The same as the fields of the request, for those who have more of them elsewhere.
    ///
    /// # Errors
    /// `invalid` with what is not of its field's kind, or given twice.
    pub fn parameters<T: JsonSchema>(&self) -> Result<Map<String, Value>, OperationError> {
        let schema = schema_for!(T);
        let value =
            |name: &str, text: &str| value(name, text, schema.pointer(&format!("/properties/{name}")));
        let mut fields = Map::new();
        for (name, text) in self.query() {
            if fields.insert(name.clone(), value(&name, &text)?).is_some() {
                return Err(OperationError::invalid(format!("`{name}` is given twice")));
            }
        }
        for (name, text) in &self.params {
            fields.insert(name.clone(), value(name, text)?);
        }
        Ok(fields)
    }
}

/// Fields as a request.
///
/// # Errors
/// `invalid` with what does not fit.
pub fn fit<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, OperationError> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))
}

/// What text stands for, by the schema of its field.
fn value(name: &str, text: &str, schema: Option<&Value>) -> Result<Value, OperationError> {
    let kinds = schema.and_then(|schema| schema.get("type"));
    let is = |kind: &str| match kinds {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind,
        None => false,
    };
    let expected = |what: &str| OperationError::invalid(format!("`{name}` is `{text}`: expected {what}"));
    Ok(match () {
        () if is("integer") => text.parse::<i64>().map_err(|_| expected("a whole number"))?.into(),
        () if is("number") => {
            // What is no JSON, such as an infinity, is no number either.
            let number = text.parse().ok().and_then(Number::from_f64);
            number.ok_or_else(|| expected("a number"))?.into()
        }
        () if is("boolean") => match text {
            "true" | "1" | "" => true.into(),
            "false" | "0" => false.into(),
            _ => return Err(expected("`true` or `false`")),
        },
        () if is("array") => text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect(),
        () => text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[crate::message]
    #[derive(PartialEq)]
    #[serde(deny_unknown_fields)]
    struct List {
        limit: Option<u32>,
        least: Option<f64>,
        #[serde(default)]
        all: bool,
        #[serde(default)]
        ids: Vec<String>,
        id: Option<String>,
    }

    fn read(query: &str, id: Option<&str>) -> Result<List, String> {
        let params = id.map(|id| ("id".to_owned(), id.to_owned())).into_iter().collect();
        let request = HttpRequest { query: query.to_owned(), params, ..HttpRequest::default() };
        request.read().map_err(|error| error.message)
    }

    #[test]
    fn each_value_is_what_its_field_says() {
        let list = List {
            limit: Some(7),
            least: Some(0.5),
            all: true,
            ids: vec!["a".into(), "b c".into()],
            id: Some("1".into()),
        };
        assert_eq!(read("limit=7&least=.5&all=1&ids=a,+b%20c,&id=1", None), Ok(list));
    }

    #[test]
    fn the_path_wins() {
        assert_eq!(read("id=1", Some("2")).unwrap().id.as_deref(), Some("2"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (query, message) in [
            ("limit=many", "`limit` is `many`: expected a whole number"),
            ("least=inf", "`least` is `inf`: expected a number"),
            ("all=yes", "`all` is `yes`: expected `true` or `false`"),
            ("id=1&id=2", "`id` is given twice"),
            ("limit=-1", "the request does not fit: invalid value: integer `-1`, expected u32"),
            (
                "size=1",
                "the request does not fit: unknown field `size`, expected one of `limit`, `least`, `all`, `ids`, `id`",
            ),
        ] {
            assert_eq!(read(query, None).unwrap_err(), message);
        }
    }
}

//! HTTP as plugins see it: what a route hands to its operation, and what the operation answers.

mod parameters;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, de::DeserializeOwned};

pub use self::parameters::fit;
use crate::{error::OperationError, level::Level, message};

/// A request on a plugin's route.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method, in capitals.
    pub method: String,
    /// The address as the client wrote it: scheme, host, path and query.
    pub url: String,
    /// What stands for the `{name}`s of the route's path.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// The query as it was sent, without the question mark.
    #[serde(default)]
    pub query: String,
    /// Names in lower case, in the order in which they came; what is no text is left out.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: Body,
}

/// A response to a request on a plugin's route.
#[message]
#[derive(PartialEq, Eq)]
pub struct HttpResponse {
    /// The status, 200 to 599.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: Body,
}

/// A body.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// UTF-8.
    Text(String),
    /// Bytes, in base64.
    Base64(String),
}

/// What a guard answers when it lets a request in.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Admission {
    /// The person who sends the request, if the guard knows.
    #[serde(default)]
    pub person: Option<String>,
    /// How certain it is who they are. A person without a level counts as merely [shown](Level::Shown).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
}

impl HttpRequest {
    /// The first header of this name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// What stands for `{name}` in the path.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// The query, decoded, in the order in which it came.
    pub fn query(&self) -> Vec<(String, String)> {
        pairs(self.query.as_bytes())
    }

    /// The body as a form, decoded, in the order in which it came.
    ///
    /// # Errors
    /// `invalid` if the body is not what it says.
    pub fn form(&self) -> Result<Vec<(String, String)>, OperationError> {
        Ok(pairs(&self.body.bytes()?))
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `invalid` with what does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OperationError> {
        serde_json::from_slice(&self.body.bytes()?)
            .map_err(|error| OperationError::invalid(format!("the body does not fit: {error}")))
    }
}

impl HttpResponse {
    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Empty }
    }

    /// JSON with status 200.
    ///
    /// # Errors
    /// `internal` if the value cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, OperationError> {
        let json = serde_json::to_string(value).map_err(|error| {
            OperationError::internal(format!("the answer cannot be written as JSON: {error}"))
        })?;
        Ok(Self::typed("application/json", json))
    }

    /// Plain text with status 200.
    pub fn text(text: impl Into<String>) -> Self {
        Self::typed("text/plain; charset=utf-8", text.into())
    }

    /// A page with status 200.
    pub fn html(page: impl Into<String>) -> Self {
        Self::typed("text/html; charset=utf-8", page.into())
    }

    /// Sends the client elsewhere, to be asked for with `GET`.
    pub fn redirect(to: impl Into<String>) -> Self {
        Self::empty(303).header("location", to)
    }

    /// With another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn typed(content_type: &str, body: String) -> Self {
        Self { status: 200, headers: Vec::new(), body: Body::Text(body) }.header("content-type", content_type)
    }
}

impl Body {
    /// The body of these bytes: text where they are UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok("") => Self::Empty,
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// `invalid` if it is not the base64 that it says it is.
    pub fn bytes(&self) -> Result<Vec<u8>, OperationError> {
        match self {
            Self::Empty => Ok(Vec::new()),
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD
                .decode(text)
                .map_err(|_| OperationError::invalid("the body is not base64, as it says")),
        }
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_whether_they_are_text_or_not() {
        for bytes in [&b""[..], b"h\xc3\xa9llo", b"\xff\x00\xfe"] {
            let body = Body::from_bytes(bytes);
            let json = serde_json::to_string(&body).unwrap();
            assert_eq!(serde_json::from_str::<Body>(&json).unwrap().bytes().unwrap(), bytes);
        }
    }

    #[test]
    fn forms_and_queries_are_decoded_in_order() {
        let request = HttpRequest {
            query: "b=2&a=1+1&a=%C3%A9".into(),
            body: Body::Text("From=%2B1555&Body=".into()),
            ..HttpRequest::default()
        };
        let text = |pairs: Vec<(String, String)>| format!("{pairs:?}");
        assert_eq!(text(request.query()), r#"[("b", "2"), ("a", "1 1"), ("a", "é")]"#);
        assert_eq!(text(request.form().unwrap()), r#"[("From", "+1555"), ("Body", "")]"#);
    }
}

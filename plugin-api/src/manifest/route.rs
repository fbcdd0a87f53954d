//! Routes: under which method and path an operation is reached over HTTP, and who may use it.

use serde::{Deserialize, Serialize};

/// The method of a [`RouteManifest`] that is a WebSocket.
pub const WEBSOCKET: &str = "WEBSOCKET";

/// A route as the manifest tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteManifest {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`, or [`WEBSOCKET`].
    pub method: String,
    /// The path; `{name}` stands for one segment, `{*name}` at the end for all that follow.
    pub path: String,
    /// The operation that serves it.
    pub operation: String,
    /// Who may use it.
    #[serde(default)]
    pub access: Access,
    /// The largest body, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<usize>,
}

/// Who may use a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Who may operate the host.
    #[default]
    Operator,
    /// Everybody.
    Public,
    /// Whom this operation, `plugin.operation`, admits.
    Guard(String),
}

impl Access {
    /// The plugin whose operation decides.
    pub fn guarding_plugin(&self) -> Option<&str> {
        match self {
            Self::Guard(operation) => operation.split('.').next(),
            _ => None,
        }
    }
}

/// A route: method, path, and the operation that serves it.
///
/// A call takes a [`crate::requests::http::HttpRequest`] and answers a [`crate::requests::http::HttpResponse`]. A
/// stream takes the same request: behind [`Route::websocket`] its frames are the WebSocket's; behind another method its
/// first frame is the head of the response as JSON text, and every further one a piece of its body.
pub struct Route {
    manifest: RouteManifest,
}

impl Route {
    /// `GET`; `HEAD` is served by the same operation, without its body.
    pub fn get(path: &str, operation: &str) -> Self {
        Self::new("GET", path, operation)
    }

    /// `POST`.
    pub fn post(path: &str, operation: &str) -> Self {
        Self::new("POST", path, operation)
    }

    /// `PUT`.
    pub fn put(path: &str, operation: &str) -> Self {
        Self::new("PUT", path, operation)
    }

    /// `PATCH`.
    pub fn patch(path: &str, operation: &str) -> Self {
        Self::new("PATCH", path, operation)
    }

    /// `DELETE`.
    pub fn delete(path: &str, operation: &str) -> Self {
        Self::new("DELETE", path, operation)
    }

    /// A WebSocket, served by a stream. The upgrade is answered when the stream is taken; what refuses it is answered
    /// as plain HTTP.
    pub fn websocket(path: &str, operation: &str) -> Self {
        Self::new(WEBSOCKET, path, operation)
    }

    fn new(method: &str, path: &str, operation: &str) -> Self {
        let manifest = RouteManifest {
            method: method.to_owned(),
            path: path.to_owned(),
            operation: operation.to_owned(),
            access: Access::Operator,
            body_limit: None,
        };
        Self { manifest }
    }

    /// Everybody may use it, not only who may operate the host.
    pub fn public(mut self) -> Self {
        self.manifest.access = Access::Public;
        self
    }

    /// Requests that this operation admits may use it: `plugin.operation`, declared as a guard by
    /// [`Operation::guard`](crate::plugin::Operation::guard). If it cannot be asked, the request is a 503.
    pub fn guard(mut self, operation: &str) -> Self {
        self.manifest.access = Access::Guard(operation.to_owned());
        self
    }

    /// Takes bodies of up to so many bytes, instead of 1 MiB.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.manifest.body_limit = Some(bytes);
        self
    }

    pub(crate) fn into_manifest(self) -> RouteManifest {
        self.manifest
    }
}

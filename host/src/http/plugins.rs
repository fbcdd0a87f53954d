//! Requests on the routes of plugins: access first, then a call or a stream through the switch, then its answer as HTTP.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State, ws::WebSocketUpgrade},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use plugin_abi::boundary::Frame;
use plugin_api::{
    error::{ErrorKind, OperationError},
    level::Level,
    manifest::{Access, WEBSOCKET},
    pipe::PipeEnd,
    protocol::CallHeader,
    requests::http::{Admission, Body as PluginBody, HttpRequest, HttpResponse},
};
use tokio::time::timeout;

use super::{
    access::Asked,
    paths::{unknown_path, wrong_method_of},
    problem::{Problem, REPORT, REPORT_PLUGIN, quoted},
    routes::{Found, Guard, PluginRoute},
    serve::{NoRoom, Place},
    site::Site,
    stamp::LoggedPath,
    websocket,
    write::{BODY_LIMIT, larger_than},
};
use crate::{scrub::one_line, tasks};

const UPGRADE: &str =
    "use a WebSocket client; a proxy in between must pass the headers `Connection` and `Upgrade` on";

/// Serves whatever the host itself has no route for.
pub(super) async fn serve(State(site): State<Arc<Site>>, request: Request) -> Response {
    let routes = site.routes.current();
    let Some(found) = routes.find(request.uri().path()) else {
        return unknown_path(request.uri().path(), &routes).into_response();
    };
    let Some(route) = route_for(&found, &request) else { return wrong_method(&found, &request) };
    let is_head = request.method() == Method::HEAD;
    let answer = answer(&site, &route, found.params, request).await;
    let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
    // What anybody may ask for may be a link whose last part is the key.
    if route.manifest.access == Access::Public {
        answer.extensions_mut().insert(LoggedPath(route.manifest.path.clone()));
    }
    if is_head { answer.map(|_| Body::empty()) } else { answer }
}

/// The route of the request's method; an upgrade goes to the WebSocket, `HEAD` to `GET`.
fn route_for(found: &Found<'_>, request: &Request) -> Option<Arc<PluginRoute>> {
    let method = match request.method().as_str() {
        "GET" if request.headers().contains_key(header::UPGRADE) && found.methods.contains_key(WEBSOCKET) => {
            WEBSOCKET
        }
        "HEAD" => "GET",
        method => method,
    };
    found.methods.get(method).cloned()
}

fn wrong_method(found: &Found<'_>, request: &Request) -> Response {
    let path = quoted(request.uri().path());
    if found.methods.contains_key(WEBSOCKET) && request.method() == Method::GET {
        return Problem::bad_request(format!("{path} is a WebSocket"), UPGRADE).into_response();
    }
    let mut allowed: Vec<&str> =
        found.methods.keys().map(String::as_str).filter(|name| *name != WEBSOCKET).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let problem = wrong_method_of(&path, request.method().as_str());
    ([(header::ALLOW, allowed.join(","))], problem).into_response()
}

async fn answer(
    site: &Site,
    route: &PluginRoute,
    params: BTreeMap<String, String>,
    request: Request,
) -> Result<Response, Problem> {
    if route.manifest.access == Access::Operator {
        site.access.operator(&request)?;
    }
    let (mut parts, body) = request.into_parts();
    if let Some(no_room) = parts.extensions.get::<NoRoom>().filter(|_| !is_webhook(route)) {
        return Err(no_room.refuse());
    }
    let body = read(site, body, &parts, route.manifest.body_limit.unwrap_or(BODY_LIMIT)).await?;
    let request = to_plugin(site, &parts, params, &body);
    let payload = Bytes::from(
        serde_json::to_vec(&request).map_err(|error| Problem::internal(error.to_string(), REPORT))?,
    );
    let Admission { person, level } = match &route.guard {
        Some(guard) => admit(site, guard, payload.clone()).await?,
        None => Admission::default(),
    };
    let level = level.or(person.as_ref().map(|_| Level::Shown));
    let header = CallHeader {
        plugin: route.plugin.clone(),
        operation: route.manifest.operation.clone(),
        person,
        level,
        ..CallHeader::default()
    };
    if route.manifest.method == WEBSOCKET {
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
        let upgrade = upgrade.map_err(|refused| Problem::bad_request(refused.body_text(), UPGRADE))?;
        // Opened first: what the plugin refuses is answered as plain HTTP.
        let end = site.operations.open(header, payload).await?;
        let limit = route.manifest.body_limit.unwrap_or(BODY_LIMIT);
        // The server ends when the last one has given its place back.
        let place = parts.extensions.get::<Place>().cloned();
        let (board, plugin) = (site.board.clone(), route.plugin.clone());
        return Ok(upgrade.max_message_size(limit).on_upgrade(move |socket| async move {
            // It was told, and the client notices that the connection is gone.
            let _ = tasks::watched(&board, "websocket", Some(&plugin), websocket::bridge(socket, end)).await;
            drop(place);
        }));
    }
    if route.streams {
        return streamed(route, site.operations.open(header, payload).await?).await;
    }
    let response = site.operations.call(header, payload).await?;
    answer_of(&response).map_err(|error| unfit(route, &error))
}

/// What a plugin answered as the client gets it; the error says what is wrong with it.
pub(super) fn answer_of(json: &[u8]) -> Result<Response, String> {
    let response: HttpResponse = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    from_plugin(response)
}

/// Asks the guard. Only its own refusal counts as one: a guard that cannot be asked is a 503, never an open door.
async fn admit(site: &Site, guard: &Guard, request: Bytes) -> Result<Admission, Problem> {
    let (plugin, operation) = (guard.plugin.clone(), guard.operation.clone());
    let header = CallHeader { plugin, operation, ..CallHeader::default() };
    let answer = site.operations.ask_guard(header, request).await;
    let answer = answer.and_then(|admission: Vec<u8>| {
        serde_json::from_slice(&admission).map_err(|error| OperationError::internal(error.to_string()))
    });
    answer.map_err(|error| match error.kind {
        ErrorKind::Denied | ErrorKind::Invalid | ErrorKind::Conflict => Problem::from(error),
        _ => {
            let message = format!(
                "the guard `{}.{}` cannot be asked: {}",
                guard.plugin, guard.operation, error.message
            );
            Problem::from(OperationError { kind: ErrorKind::Unavailable, message, ..error })
        }
    })
}

/// Another server waits for the answer, and proves to a guard who it is.
fn is_webhook(route: &PluginRoute) -> bool {
    route.guard.is_some() && route.manifest.method != WEBSOCKET && !route.streams
}

async fn read(site: &Site, body: Body, parts: &Parts, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || larger_than(limit);
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|announced: usize| announced > limit) {
        return Err(too_large());
    }
    site.bodies.read(site.access.client(parts), to_bytes(body, limit)).await?.map_err(|_| too_large())
}

/// The request as the plugin sees it.
fn to_plugin(site: &Site, parts: &Parts, params: BTreeMap<String, String>, body: &[u8]) -> HttpRequest {
    let asked = Asked::from(parts);
    let outside = site.access.outside(asked);
    let scheme = if outside.is_https { "https" } else { "http" };
    let named = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = outside.host.or_else(named).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    HttpRequest {
        method: parts.method.as_str().to_owned(),
        url: format!("{scheme}://{host}{path}"),
        params,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().filter_map(text).collect(),
        body: PluginBody::from_bytes(body),
    }
}

/// The response as the client sees it; the error says what is wrong with it.
fn from_plugin(response: HttpResponse) -> Result<Response, String> {
    let HttpResponse { status, headers, body } = response;
    let mut answer = Response::new(Body::from(body.bytes().map_err(|error| error.message)?));
    // An interim status would leave the client waiting for the real one.
    let known = StatusCode::from_u16(status).ok().filter(|status| (200..600).contains(&status.as_u16()));
    *answer.status_mut() = known.ok_or_else(|| format!("{status} is not the status of an answer"))?;
    *answer.headers_mut() = header_map(headers)?;
    // Most answers of plugins are about people: none is kept by a browser or a proxy unless its plugin says so.
    answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn header_map(headers: Vec<(String, String)>) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let known = HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`{name}` is not the name of a header"))?;
        let value =
            HeaderValue::try_from(value).map_err(|_| format!("the header `{name}` has an invalid value"))?;
        // How the body is sent is ours to say.
        if ![header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&known) {
            map.append(known, value);
        }
    }
    Ok(map)
}

/// A response in pieces: its head is the first frame.
async fn streamed(route: &PluginRoute, end: PipeEnd) -> Result<Response, Problem> {
    let head = timeout(route.patience, end.recv()).await.map_err(|_| late(route))?;
    let head = head.map_err(|reason| match &reason.error {
        Some(error) => Problem::from(error.clone()),
        None => unfit(route, "it has no head"),
    })?;
    let answer = answer_of(&head.data).map_err(|error| unfit(route, &error))?;
    let pieces = stream::unfold(end, |end| async move {
        match end.recv().await {
            Ok(Frame { data, .. }) => Some((Ok(Bytes::from(data.into_vec())), end)),
            // What ends by an error is cut, so that nobody takes it for whole.
            Err(reason) => {
                reason.error.as_ref().map(|error| (Err(std::io::Error::other(error.message.clone())), end))
            }
        }
    });
    Ok(answer.map(|_| Body::from_stream(pieces)))
}

fn late(route: &PluginRoute) -> Problem {
    let PluginRoute { plugin, manifest, patience, .. } = route;
    let message = format!("`{plugin}.{}` did not begin its answer within {patience:?}", manifest.operation);
    Problem::from(OperationError::deadline(message))
}

/// The answer's fault is the plugin's; what it says of itself is repeated in a line.
fn unfit(route: &PluginRoute, why: &str) -> Problem {
    let (plugin, operation) = (&route.plugin, &route.manifest.operation);
    let detail =
        format!("`{plugin}.{operation}` gave an answer that is not an HTTP response: {}", one_line(why));
    Problem::internal(detail, REPORT_PLUGIN)
}

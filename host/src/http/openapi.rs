//! The HTTP interface of this host becomes an OpenAPI 3.1 document, and the same as a page for people: the host's own
//! routes, those of plugins out of their manifests, and one path for each operation. Clients without operator access
//! see only the host's own routes.
//!
//! Schemas of 3.1 are JSON Schemas, and are handed on as they are. That is why the document is written as JSON and not by
//! types of a library: those know some keywords of a schema and would lose the others.

mod components;
mod endpoint;
mod own;
mod plugins;
mod page;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use plugin_api::protocol::HOST;
use serde_json::{Map, Value, json};

use self::{components::Components, endpoint::Endpoint};
use super::{
    access::COOKIE,
    page::careful,
    problem::{Problem, REPORT},
    site::Site,
    view::Reader,
    write::no_query,
};
use crate::switch::Offer;

const ABOUT: &str = "The HTTP API of this host. Every `GET` route also answers `HEAD`. Failures are \
    `application/problem+json` (RFC 9457) with a hint. Out of the box a host listens on loopback alone and requires no login \
    there; if it has a token, operators send it as `Authorization: Bearer`, on loopback too, browsers get a cookie for it at \
    `/login`, and everybody else sees health without reasons, settings, edges and links.";

/// `GET /api/openapi.json`.
pub(super) async fn document(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let sees = sees(&site, &request)?;
    let description = describe(&site, sees).await?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, description.document().to_string()).into_response())
}

/// `GET /api/docs`.
pub(super) async fn docs(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    let sees = sees(&site, &request)?;
    let description = describe(&site, sees).await?;
    let headers = careful(HeaderValue::from_static("no-cache"));
    Ok((headers, page::render(&description).into_string()).into_response())
}

/// What document and page tell.
struct Description {
    version: String,
    /// Each group of endpoints, and what it is about.
    tags: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
    schemas: Map<String, Value>,
    /// Something is kept back from who is no operator.
    is_partial: bool,
}

fn sees(site: &Site, request: &Request) -> Result<Reader, Problem> {
    no_query(request.uri())?;
    site.reader(request)
}

async fn describe(site: &Site, sees: Reader) -> Result<Description, Problem> {
    let version = site.views.current().snapshot.version.to_string();
    let mut components = Components::default();
    let mut endpoints = own::endpoints(&mut components);
    let mut tags: Vec<_> =
        own::TAGS.iter().map(|(tag, about)| (tag.to_string(), about.to_string())).collect();
    let is_partial = sees != Reader::Operator;
    if !is_partial {
        let offers = offers(site).await?;
        tags.extend(offers.iter().map(|offer| (offer.plugin.clone(), offer.about.clone())));
        endpoints.extend(plugins::routes(&site.routes.current(), &offers));
        endpoints.extend(plugins::operations(&offers, &mut components));
    }
    Ok(Description { version, tags, endpoints, schemas: components.into_schemas(), is_partial })
}

/// What plugins and the host can be asked to do, as the switch knows it.
async fn offers(site: &Site) -> Result<Vec<Offer>, Problem> {
    let answer = site.call(HOST, "operations", "{}".into()).await?;
    serde_json::from_slice(&answer)
        .map_err(|error| Problem::internal(format!("`host.operations`: {error}"), REPORT))
}

impl Description {
    fn document(&self) -> Value {
        let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for endpoint in &self.endpoints {
            let methods = paths.entry(endpoint.path.as_str()).or_default();
            methods.entry(endpoint.method.to_ascii_lowercase()).or_insert_with(|| endpoint.json());
        }
        let tags = self.tags.iter().map(|(name, about)| json!({ "name": name, "description": about }));
        json!({
            "openapi": "3.1.0",
            "info": { "title": "Switchboard", "version": self.version, "description": ABOUT },
            "servers": [{ "url": "/" }],
            "tags": tags.collect::<Vec<_>>(),
            "paths": paths,
            "components": {
                "schemas": self.schemas,
                "securitySchemes": {
                    "token": { "type": "http", "scheme": "bearer", "description": "The operator's token." },
                    "session": {
                        "type": "apiKey", "in": "cookie", "name": COOKIE,
                        "description": "The session cookie that `/login` gives a browser in exchange for the token.",
                    },
                },
            },
        })
    }
}

//! The health routes: which view a request asks for, and what is wrong with one that asks for none.

use std::sync::Arc;

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    response::Response,
};
use plugin_api::manifest::Kind;

use super::{
    paths::plain,
    problem::{Problem, quoted},
    site::Site,
    view::{Section, View},
    views::Rendered,
};
use crate::status::Snapshot;

/// How alike two names must be for one to be offered for the other.
const ALIKE: f64 = 0.75;

pub(super) async fn overview(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    serve(&site, View::Overview, &request)
}

pub(super) async fn integrations(
    State(site): State<Arc<Site>>,
    request: Request,
) -> Result<Response, Problem> {
    serve(&site, View::List(Section::Integrations), &request)
}

pub(super) async fn services(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    serve(&site, View::List(Section::Services), &request)
}

pub(super) async fn connections(
    State(site): State<Arc<Site>>,
    request: Request,
) -> Result<Response, Problem> {
    serve(&site, View::Connections, &request)
}

pub(super) async fn summary(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    serve(&site, View::Summary, &request)
}

pub(super) async fn integration(
    State(site): State<Arc<Site>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    serve_plugin(&site, Section::Integrations, &plain(name)?, &request)
}

pub(super) async fn service(
    State(site): State<Arc<Site>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    serve_plugin(&site, Section::Services, &plain(name)?, &request)
}

/// Where the plugin stands in the snapshot, if this section speaks of it.
pub(super) fn place(rendered: &Rendered, section: Section, name: &str) -> Result<usize, Problem> {
    let snapshot = &rendered.snapshot;
    let place = snapshot.position(name).ok_or_else(|| unknown(snapshot, section, name))?;
    let other = match (section, snapshot.plugins[place].kind) {
        (Section::Integrations, Some(Kind::Service)) => Section::Services,
        (Section::Services, Some(Kind::Integration)) => Section::Integrations,
        _ => return Ok(place),
    };
    let (one, many) = (singular(other), other.as_str());
    Err(Problem::not_found(format!("`{name}` is {one}"), format!("see `/api/health/{many}/{name}`")))
}

fn serve(site: &Site, view: View, request: &Request) -> Result<Response, Problem> {
    let strict = strict(request.uri().query())?;
    let reader = site.reader(request)?;
    Ok(site.views.current().page(view, reader).answer(request.headers(), strict))
}

fn serve_plugin(site: &Site, section: Section, name: &str, request: &Request) -> Result<Response, Problem> {
    let strict = strict(request.uri().query())?;
    let reader = site.reader(request)?;
    let rendered = site.views.current();
    let place = place(&rendered, section, name)?;
    let page = rendered.page(View::Plugin(section, place), reader);
    Ok(page.answer(request.headers(), strict))
}

/// Whether the query asks that bad news be a 503. Other keys are ignored: monitors append one to get past caches.
fn strict(query: Option<&str>) -> Result<bool, Problem> {
    let mut strict = false;
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        strict = match pair.split_once('=').unwrap_or((pair, "")) {
            ("strict", "1") => true,
            ("strict", "0") => false,
            ("strict", value) => {
                let detail = format!("the query parameter `strict` is {}", quoted(value));
                return Err(Problem::bad_request(detail, "`strict` is 0 or 1"));
            }
            _ => strict,
        };
    }
    Ok(strict)
}

fn unknown(snapshot: &Snapshot, section: Section, name: &str) -> Problem {
    let alike = |known: &str| strsim::jaro_winkler(known, name);
    let names = snapshot.plugins.iter().map(|plugin| plugin.name.as_str());
    let nearest = names.max_by(|one, other| alike(one).total_cmp(&alike(other)));
    let list = format!("`/api/health/{}` lists them", section.as_str());
    let hint = match nearest.filter(|nearest| alike(nearest) >= ALIKE) {
        Some(nearest) => format!("did you mean `{nearest}`? {list}"),
        None => list,
    };
    Problem::not_found(format!("no plugin is called {}", quoted(name)), hint)
}

fn singular(section: Section) -> &'static str {
    match section {
        Section::Integrations => "an integration",
        Section::Services => "a service",
    }
}

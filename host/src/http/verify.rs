//! Probe now: a request becomes an operation of `host`, and what the board knows afterwards is the answer.

use std::sync::Arc;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};
use plugin_api::protocol::HOST;
use serde_json::json;

use super::{
    health::place,
    paths::plain,
    problem::Problem,
    site::Site,
    view::{Reader, Section, View},
    write::Write,
};

/// The operation of `host` that probes a plugin and answers once the board knows the outcome.
const VERIFY: &str = "verify";

pub(super) async fn integration(
    State(site): State<Arc<Site>>,
    name: Result<Path<String>, PathRejection>,
    _: Write,
) -> Result<Response, Problem> {
    verify(&site, Section::Integrations, &plain(name)?).await
}

pub(super) async fn service(
    State(site): State<Arc<Site>>,
    name: Result<Path<String>, PathRejection>,
    _: Write,
) -> Result<Response, Problem> {
    verify(&site, Section::Services, &plain(name)?).await
}

async fn verify(site: &Site, section: Section, name: &str) -> Result<Response, Problem> {
    place(&site.views.current(), section, name)?;
    let payload = json!({ "plugin": name }).to_string();
    site.call(HOST, VERIFY, payload.into()).await?;
    let rendered = site.views.current();
    let place = place(&rendered, section, name)?;
    Ok(rendered.page(View::Plugin(section, place), Reader::Operator).show())
}

//! What anybody may know of a snapshot: how it stands, and no reason, setting, edge or link.

use std::{collections::BTreeMap, sync::Arc};

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    render::json,
    view::{Section, View},
};
use crate::status::{KindName, Moment, Overall, PluginHealth, Snapshot, Status, kind_name, rfc3339};

/// The JSON of a view for who is no operator.
pub(super) fn outline(view: View, snapshot: &Snapshot, status: Overall) -> Bytes {
    match view {
        View::Overview | View::Summary => json(&Whole { status, integrations: None, services: None }),
        View::List(Section::Integrations) => {
            json(&Whole { status, integrations: Some(of_kind(snapshot, false)), services: None })
        }
        View::List(Section::Services) => {
            json(&Whole { status, integrations: None, services: Some(of_kind(snapshot, true)) })
        }
        View::Connections => {
            let (integrations, services) = (of_kind(snapshot, false), of_kind(snapshot, true));
            json(&Whole { status, integrations: Some(integrations), services: Some(services) })
        }
        View::Plugin(_, place) => json(&Outline::of(&snapshot.plugins[place])),
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WholeOutline")]
pub(super) struct Whole<'a> {
    status: Overall,
    #[serde(skip_serializing_if = "Option::is_none")]
    integrations: Option<BTreeMap<&'a str, Outline<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    services: Option<BTreeMap<&'a str, Outline<'a>>>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PluginOutline")]
pub(super) struct Outline<'a> {
    name: &'a str,
    #[schemars(with = "KindName")]
    kind: &'static str,
    status: Status,
    healthy: bool,
    #[schemars(with = "Moment")]
    since: String,
}

impl<'a> Outline<'a> {
    fn of(plugin: &'a PluginHealth) -> Self {
        let PluginHealth { name, kind, status, healthy, since, .. } = plugin;
        Self { name, kind: kind_name(*kind), status: *status, healthy: *healthy, since: rfc3339(*since) }
    }
}

fn of_kind(snapshot: &Snapshot, services: bool) -> BTreeMap<&str, Outline<'_>> {
    let plugins = snapshot.plugins.iter().map(Arc::as_ref).filter(|plugin| plugin.is_service() == services);
    plugins.map(|plugin| (plugin.name.as_str(), Outline::of(plugin))).collect()
}

//! A snapshot becomes the JSON of each health route; the shapes are those of the health API.

use std::{collections::BTreeMap, sync::Arc};

use axum::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::status::{
    Attention, Cause, Counts, Edge, FailingOf, Moment, Overall, PluginHealth, Snapshot, StartReport, Timing,
    Transition, Verification, rfc3339,
};

/// `GET /api/health`.
pub(super) fn overview(snapshot: &Snapshot, status: Overall, stale: bool) -> Bytes {
    json(&Overview {
        status,
        version: &snapshot.version,
        boot_id: &snapshot.boot_id,
        revision: snapshot.revision,
        started_at: rfc3339(snapshot.shown(snapshot.started_at)),
        uptime_s: uptime(snapshot).as_secs(),
        checked_at: rfc3339(checked_at(snapshot)),
        stale,
        total: snapshot.plugins.len(),
        counts: snapshot.counts,
        blocked: snapshot.blocked(),
        causes: snapshot.causes_when(stale),
        notes: snapshot.words_of_host(),
        links: LINKS,
    })
}

/// `GET /api/health/integrations`.
pub(super) fn integrations(snapshot: &Snapshot, status: Overall) -> Bytes {
    json(&Integrations { head: Head::of(snapshot, status), integrations: of_kind(snapshot, false) })
}

/// `GET /api/health/services`.
pub(super) fn services(snapshot: &Snapshot, status: Overall) -> Bytes {
    json(&Services { head: Head::of(snapshot, status), services: of_kind(snapshot, true) })
}

/// `GET /api/health/integrations/{name}` and the same for services.
pub(super) fn plugin(plugin: &PluginHealth) -> Bytes {
    json(&WithHistory { plugin, history: &plugin.history })
}

/// `GET /api/health/connections`.
pub(super) fn connections(snapshot: &Snapshot, status: Overall) -> Bytes {
    let services = of_kind(snapshot, true).into_iter();
    let verified = |plugin| Verified { plugin, verification: snapshot.verification(plugin) };
    json(&Connections {
        head: Head::of(snapshot, status),
        integrations: of_kind(snapshot, false),
        services: services.map(|(name, plugin)| (name, verified(plugin))).collect(),
        edges: snapshot.edges(),
        start: Start { report: &snapshot.start, plugins: snapshot.timings() },
        notes: snapshot.words_of_host(),
    })
}

/// `GET /api/health/connections/summary`.
pub(super) fn summary(snapshot: &Snapshot, status: Overall, stale: bool) -> Bytes {
    let failing = snapshot.failing();
    let edges = snapshot.edges();
    let satisfied = edges.iter().filter(|edge| edge.satisfied).count();
    json(&Summary {
        status,
        revision: snapshot.revision,
        total: snapshot.plugins.len(),
        counts: snapshot.counts,
        blocked: snapshot.blocked(),
        causes: snapshot.causes_when(stale),
        failing_count: failing.len(),
        failing,
        attention: snapshot.attention(),
        edges: EdgeCounts { satisfied, unsatisfied: edges.len() - satisfied },
    })
}

/// How long the host runs, as far as the checker knows.
pub(super) fn uptime(snapshot: &Snapshot) -> SignedDuration {
    snapshot.ticked_at.duration_since(snapshot.started_at)
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Overview<'a> {
    status: Overall,
    version: &'a str,
    boot_id: &'a str,
    revision: u64,
    #[schemars(with = "Moment")]
    started_at: String,
    uptime_s: i64,
    #[schemars(with = "Moment")]
    checked_at: String,
    stale: bool,
    total: usize,
    counts: Counts,
    blocked: usize,
    causes: Vec<Cause>,
    /// What an operator should know of the host itself, though it works; left out if there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    links: Links,
}

#[derive(Serialize, JsonSchema)]
struct Links {
    integrations: &'static str,
    services: &'static str,
    connections: &'static str,
    events: &'static str,
}

const LINKS: Links = Links {
    integrations: "/api/health/integrations",
    services: "/api/health/services",
    connections: "/api/health/connections",
    events: "/api/health/events",
};

/// Up to when the snapshot tells: the checker's last look, or what it heard of since.
fn checked_at(snapshot: &Snapshot) -> Timestamp {
    let heard = snapshot.plugins.iter().flat_map(|plugin| [Some(plugin.since), plugin.checked_at]);
    heard.flatten().fold(snapshot.shown(snapshot.ticked_at), Timestamp::max)
}

/// What every list begins with.
#[derive(Serialize, JsonSchema)]
struct Head {
    status: Overall,
    revision: u64,
    #[schemars(with = "Moment")]
    checked_at: String,
}

impl Head {
    fn of(snapshot: &Snapshot, status: Overall) -> Self {
        Self { status, revision: snapshot.revision, checked_at: rfc3339(checked_at(snapshot)) }
    }
}

type Plugins<'a> = BTreeMap<&'a str, &'a PluginHealth>;

#[derive(Serialize, JsonSchema)]
pub(super) struct Integrations<'a> {
    #[serde(flatten)]
    head: Head,
    integrations: Plugins<'a>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Services<'a> {
    #[serde(flatten)]
    head: Head,
    services: Plugins<'a>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Plugin")]
pub(super) struct WithHistory<'a> {
    #[serde(flatten)]
    plugin: &'a PluginHealth,
    history: &'a [Transition],
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Connections<'a> {
    #[serde(flatten)]
    head: Head,
    integrations: Plugins<'a>,
    services: BTreeMap<&'a str, Verified<'a>>,
    edges: Vec<Edge<'a>>,
    start: Start<'a>,
    /// As in `/api/health`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Verified<'a> {
    #[serde(flatten)]
    plugin: &'a PluginHealth,
    verification: Verification,
}

#[derive(Serialize, JsonSchema)]
struct Start<'a> {
    #[serde(flatten)]
    report: &'a StartReport,
    plugins: BTreeMap<&'a str, Timing>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Summary {
    status: Overall,
    revision: u64,
    total: usize,
    counts: Counts,
    blocked: usize,
    causes: Vec<Cause>,
    failing_count: usize,
    failing: Vec<FailingOf>,
    attention: Vec<Attention>,
    edges: EdgeCounts,
}

#[derive(Serialize, JsonSchema)]
struct EdgeCounts {
    satisfied: usize,
    unsatisfied: usize,
}

fn of_kind(snapshot: &Snapshot, services: bool) -> Plugins<'_> {
    let plugins = snapshot.plugins.iter().map(Arc::as_ref).filter(|plugin| plugin.is_service() == services);
    plugins.map(|plugin| (plugin.name.as_str(), plugin)).collect()
}

pub(super) fn json(value: &impl Serialize) -> Bytes {
    // Only maps with keys that are no strings and failing `Serialize` implementations cannot be written.
    serde_json::to_vec(value).expect("health has string keys and plain values").into()
}

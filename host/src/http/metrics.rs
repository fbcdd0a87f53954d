//! A snapshot, and whatever others measure, becomes what scrapers read: the Prometheus text format 0.0.4, or OpenMetrics
//! for who asks for it.

mod format;
mod openmetrics;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use prometheus::{
    TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use self::format::Format;
use super::{
    problem::{Problem, REPORT},
    site::Site,
};
use crate::status::{MOST_ABANDONED, PluginHealth, ProbeDurations, Snapshot, Status, kind_name};

pub(super) use self::openmetrics::CONTENT_TYPE as OPENMETRICS;

/// Of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn show(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    site.access.operator(&request)?;
    let mut families = families(&site.views.current().snapshot, site.events.open());
    families.extend(site.registry.gather());
    let (content_type, text) = match Format::accepted(request.headers()) {
        Format::OpenMetrics => (OPENMETRICS, openmetrics::encode(&families)),
        Format::Text => (CONTENT_TYPE, plain(&families)?),
    };
    let headers =
        [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store"), (header::VARY, "accept")];
    Ok((headers, text).into_response())
}

fn plain(families: &[MetricFamily]) -> Result<String, Problem> {
    TextEncoder::new().encode_to_string(families).map_err(|error| {
        tracing::error!(%error, "the metrics cannot be written");
        Problem::internal("the metrics cannot be written", REPORT)
    })
}

/// What health has to say; a family without plugins is left out, as the format demands.
fn families(snapshot: &Snapshot, event_streams: usize) -> Vec<MetricFamily> {
    let plugins = || snapshot.plugins.iter().map(Arc::as_ref);
    let build = labelled(&[("version", &snapshot.version)]);
    let families = [
        family(
            "switchboard_build_info",
            "Which build of the host this is; always 1.",
            MetricType::GAUGE,
            vec![gauge(build, 1.0)],
        ),
        family(
            "switchboard_event_streams_open",
            "Clients that follow the health events.",
            MetricType::GAUGE,
            vec![gauge(Vec::new(), event_streams as f64)],
        ),
        family(
            "switchboard_host_task_panics_total",
            "How often a task of the host itself ended by a panic.",
            MetricType::COUNTER,
            snapshot
                .panics
                .iter()
                .map(|(task, panics)| counter(labelled(&[("task", task)]), panics.count))
                .collect(),
        ),
        family(
            "switchboard_plugin_failing",
            "Whether the plugin fails in use, by operation; with an empty one: 1 as a whole, 0 not at all.",
            MetricType::GAUGE,
            plugins().flat_map(failing).collect(),
        ),
        family(
            "switchboard_plugin_healthy",
            "Whether the plugin is connected and everything that it requires is healthy.",
            MetricType::GAUGE,
            plugins().map(|plugin| gauge(identity(plugin), flag(plugin.healthy))).collect(),
        ),
        family(
            "switchboard_plugin_instances_abandoned",
            "Hung instances of the plugin that were abandoned, each with its threads, since the host started.",
            MetricType::GAUGE,
            plugins().map(|plugin| gauge(identity(plugin), f64::from(plugin.abandoned))).collect(),
        ),
        family(
            "switchboard_plugin_instances_abandoned_limit",
            "How many instances may be abandoned before no more are made.",
            MetricType::GAUGE,
            vec![gauge(Vec::new(), f64::from(MOST_ABANDONED))],
        ),
        family(
            "switchboard_plugin_probe_duration_seconds",
            "How long probes took.",
            MetricType::HISTOGRAM,
            plugins().map(|plugin| histogram(identity(plugin), &plugin.probes)).collect(),
        ),
        family(
            "switchboard_plugin_status",
            "The status of the plugin: 1 for the one that it has, 0 for the others.",
            MetricType::GAUGE,
            plugins().flat_map(statuses).collect(),
        ),
        family(
            "switchboard_plugin_transitions_total",
            "How often the status of the plugin changed.",
            MetricType::COUNTER,
            plugins().map(|plugin| counter(identity(plugin), plugin.transitions)).collect(),
        ),
    ];
    families.into_iter().filter(|family| !family.get_metric().is_empty()).collect()
}

fn statuses(plugin: &PluginHealth) -> impl Iterator<Item = Metric> + '_ {
    Status::ALL.into_iter().map(|status| {
        let (name, kind) = (&plugin.name, kind_name(plugin.kind));
        let labels = labelled(&[("kind", kind), ("plugin", name), ("status", status.as_str())]);
        gauge(labels, flag(plugin.status == status))
    })
}

/// One for each operation that fails, and for a plugin as a whole 0 while none does.
fn failing(plugin: &PluginHealth) -> impl Iterator<Item = Metric> + '_ {
    let failing = plugin.failing.iter().map(|failing| failing.operation.as_deref().unwrap_or_default());
    let mut operations: BTreeMap<&str, bool> = failing.map(|operation| (operation, true)).collect();
    if operations.is_empty() {
        operations.insert("", false);
    }
    operations.into_iter().map(|(operation, fails)| {
        gauge(labelled(&[("operation", operation), ("plugin", &plugin.name)]), flag(fails))
    })
}

fn identity(plugin: &PluginHealth) -> Vec<LabelPair> {
    labelled(&[("kind", kind_name(plugin.kind)), ("plugin", &plugin.name)])
}

fn labelled(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: Vec<LabelPair>, value: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value as f64);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

fn histogram(labels: Vec<LabelPair>, probes: &ProbeDurations) -> Metric {
    let bucket = |(bound, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    };
    let mut histogram = Histogram::default();
    histogram.set_bucket(probes.cumulative().map(bucket).collect());
    histogram.set_sample_count(probes.count);
    histogram.set_sample_sum(probes.sum);
    let mut metric = Metric::from_label(labels);
    metric.set_histogram(histogram);
    metric
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

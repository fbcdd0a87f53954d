//! Families become OpenMetrics text 1.0: the name of a counter's family without `_total`, facts as `info`, units where the
//! name ends with one, bounds as floats, and an end that tells that nothing is missing.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

pub(in super::super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The units that names here end with.
const UNITS: [&str; 2] = ["seconds", "bytes"];

/// The text of these families. A kind that nobody here makes is left out.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        let (name, kind) = match family.get_field_type() {
            MetricType::COUNTER => (without(family.name(), "_total"), "counter"),
            MetricType::GAUGE if family.name().ends_with("_info") => {
                (without(family.name(), "_info"), "info")
            }
            MetricType::GAUGE => (family.name(), "gauge"),
            MetricType::HISTOGRAM => (family.name(), "histogram"),
            MetricType::SUMMARY | MetricType::UNTYPED => continue,
        };
        head(&mut text, name, kind, family.help());
        for metric in family.get_metric() {
            samples(&mut text, name, kind, metric);
        }
    }
    text.push_str("# EOF\n");
    text
}

fn without<'a>(name: &'a str, end: &str) -> &'a str {
    name.strip_suffix(end).unwrap_or(name)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let unit = UNITS.into_iter().find(|unit| name.rsplit_once('_').is_some_and(|(_, end)| end == *unit));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# TYPE {name} {kind}");
    let _ = unit.map_or(Ok(()), |unit| writeln!(text, "# UNIT {name} {unit}"));
    let _ = writeln!(text, "# HELP {name} {}", escaped(help));
}

fn samples(text: &mut String, name: &str, kind: &str, metric: &Metric) {
    let labels = metric.get_label();
    let mut sample = |end: &str, bound: Option<&str>, value: f64| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}{end}{} {value}", labelled(labels, bound));
    };
    match kind {
        "counter" => sample("_total", None, metric.get_counter().get_value()),
        "info" => sample("_info", None, metric.get_gauge().get_value()),
        "histogram" => {
            let histogram = metric.get_histogram();
            let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
            for bucket in finite {
                sample("_bucket", Some(&bound(bucket.upper_bound())), bucket.cumulative_count() as f64);
            }
            sample("_bucket", Some("+Inf"), histogram.get_sample_count() as f64);
            sample("_sum", None, histogram.get_sample_sum());
            sample("_count", None, histogram.get_sample_count() as f64);
        }
        _ => sample("", None, metric.get_gauge().get_value()),
    }
}

/// A bound is a float, and shows it.
fn bound(value: f64) -> String {
    format!("{value:?}")
}

fn labelled(labels: &[LabelPair], bound: Option<&str>) -> String {
    let own = labels.iter().map(|label| (label.name(), label.value()));
    let all = own.chain(bound.map(|bound| ("le", bound)));
    let pairs: Vec<_> = all.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use prometheus::{
        Counter, Gauge, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector,
    };

    use super::*;

    fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
        registry.register(Box::new(collector.clone())).unwrap();
        collector
    }

    #[test]
    fn every_kind_is_written_as_openmetrics_wants_it() {
        let registry = Registry::new();
        let calls =
            IntCounterVec::new(Opts::new("calls_total", "Calls, \"all\" of\nthem."), &["of"]).unwrap();
        register(&registry, calls).with_label_values(&["a \"b\"\\\n"]).inc_by(3);
        let build = IntGaugeVec::new(Opts::new("x_build_info", "Which build."), &["version"]).unwrap();
        register(&registry, build).with_label_values(&["1"]).set(1);
        register(&registry, Gauge::new("warmth", "How warm it is.").unwrap()).set(-0.5);
        register(&registry, Counter::new("wait_seconds_total", "Waiting.").unwrap()).inc_by(1.5);
        let took = HistogramOpts::new("took_seconds", "How long.").buckets(vec![0.001, 1.0, 30.0]);
        register(&registry, Histogram::with_opts(took).unwrap()).observe(0.5);
        expect![[r##"
            # TYPE calls counter
            # HELP calls Calls, \"all\" of\nthem.
            calls_total{of="a \"b\"\\\n"} 3
            # TYPE took_seconds histogram
            # UNIT took_seconds seconds
            # HELP took_seconds How long.
            took_seconds_bucket{le="0.001"} 0
            took_seconds_bucket{le="1.0"} 1
            took_seconds_bucket{le="30.0"} 1
            took_seconds_bucket{le="+Inf"} 1
            took_seconds_sum 0.5
            took_seconds_count 1
            # TYPE wait_seconds counter
            # UNIT wait_seconds seconds
            # HELP wait_seconds Waiting.
            wait_seconds_total 1.5
            # TYPE warmth gauge
            # HELP warmth How warm it is.
            warmth -0.5
            # TYPE x_build info
            # HELP x_build Which build.
            x_build_info{version="1"} 1
            # EOF
        "##]]
        .assert_eq(&encode(&registry.gather()));
    }
}

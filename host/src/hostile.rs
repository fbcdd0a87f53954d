//! Whatever arrives from files and plugins, as bytes that nobody vouches for. Each function enters where such bytes
//! enter, and holds what comes out of them against what the rest of the host relies on: nothing panics, and what people
//! read is one line that ends. The fuzz targets and the property tests call the same functions.

use std::{path::Path, sync::LazyLock};

use futures_util::FutureExt as _;
use plugin_abi::boundary::StreamEnd;
use plugin_api::{
    error::{Failure, OperationError},
    manifest::Manifest,
    pipe,
    protocol::{CloseReason, LogRecord},
};
use serde_json::{Map, Value, json};

#[cfg(feature = "fuzzing")]
pub use plugin_api::hostile::from_host;

use crate::{
    app,
    config::{self, Environment, PluginConfig, Resolution, SettingsTable},
    http,
    loader::{
        foreign,
        manifest::{self as manifests, Unfit},
    },
    scrub::{Scrubber, is_steering},
};

/// No message has more characters.
const LONGEST: usize = 1001;

/// No error is larger, written as JSON.
const LARGEST: usize = 1024 * 1024;

/// A manifest, as a library gives it.
pub fn manifest(json: &[u8]) {
    match manifests::read(json) {
        Ok(manifest) => with_settings(&manifest, Map::new()),
        Err(Unfit::Unreadable(problem)) => readable(&problem),
        Err(Unfit::Nonsense(problems)) => {
            assert!(!problems.is_empty());
            problems.iter().for_each(|problem| readable(problem));
        }
    }
}

/// A plugins.toml.
pub fn plugins_toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let environment = Environment::from_pairs([("A", "1"), ("B", "x y"), ("EMPTY", "")]);
    // No such folder exists, so that no `.env` is found there.
    if let Err(problems) = config::parse(Path::new("/nowhere/plugins.toml"), &text, &environment) {
        let lines = text.lines().count().max(1);
        assert!(problems.iter().next().is_some(), "a refusal has a reason");
        for problem in problems.iter() {
            assert!(problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{problem:?}");
        }
    }
}

/// The settings of a plugin: the JSON Schema of its manifest, a byte 0, and the values of plugins.toml as JSON.
pub fn settings(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (schema, values) = bytes.split_at(end);
    let Ok(schema) = serde_json::from_slice::<Value>(schema) else { return };
    let values: Value = serde_json::from_slice(values.get(1..).unwrap_or_default()).unwrap_or_default();
    let manifest = json!({ "name": "a", "version": "1", "kind": "service", "settings": schema });
    if let Ok(manifest) = manifests::read(manifest.to_string().as_bytes()) {
        with_settings(&manifest, values.as_object().cloned().unwrap_or_default());
    }
}

fn with_settings(manifest: &Manifest, values: Map<String, Value>) {
    let plugin = PluginConfig { settings: SettingsTable::from_values(values), ..PluginConfig::new("a") };
    let environment = Environment::from_pairs([("A", "1"), ("B", "x y")]);
    match config::resolve(&plugin, manifest, &environment) {
        Resolution::Ready { settings, .. } => assert!(settings.is_object(), "{settings}"),
        Resolution::NotConfigured { missing, .. } => assert!(!missing.is_empty()),
        Resolution::Invalid { invalid, .. } => assert!(!invalid.is_empty()),
    }
}

/// The outcome of an entry of the lifecycle, as it crosses the boundary.
pub fn failure(bytes: &[u8]) {
    let mut failure: Failure = foreign::read(bytes, Failure::internal);
    scrubber().clean_failure(&mut failure);
    clean(&failure.message);
    [&failure.setting, &failure.href].into_iter().flatten().for_each(|text| clean(text));
    failure.advice.iter().for_each(|advice| clean(&advice.label));
    bounded(&failure);
}

/// The error of an operation, as it crosses the boundary.
pub fn operation_error(bytes: &[u8]) {
    let mut error: OperationError = foreign::read(bytes, OperationError::internal);
    scrubber().clean_error(&mut error);
    fit(&error);
}

/// The header of a call that a plugin makes.
pub fn call_header(bytes: &[u8]) {
    if let Err(error) = foreign::read_header(bytes) {
        fit(&error);
    }
}

/// A record of a plugin's log.
pub fn log_record(bytes: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<LogRecord>(bytes) {
        let (message, fields) = app::log::words(&record, &scrubber());
        for words in [message, fields] {
            assert!(!words.contains(is_steering), "{words:?}");
            assert!(words.len() <= 128 * 1024, "{} bytes", words.len());
        }
    }
}

/// The reason with which a plugin closes a stream.
pub fn close_reason(bytes: &[u8]) {
    let scrubber = scrubber();
    let (opener, server, watch) =
        pipe::pair_with(Box::new(move |closing| scrubber.clean_reason(closing.reason)));
    StreamEnd::close(&server, bytes.to_vec().into());
    let reason = watch.closed().now_or_never().expect("it was closed");
    assert!(opener.recv().now_or_never().is_some_and(|frame| frame.is_err()), "both ends know");
    ends_well(&reason);
}

fn ends_well(reason: &CloseReason) {
    clean(&reason.message);
    reason.error.iter().for_each(fit);
    http::hostile::end(reason);
}

/// A frame on a stream: its kind, then its data.
pub fn frame(bytes: &[u8]) {
    if let Some((kind, data)) = bytes.split_first() {
        http::hostile::frame(*kind, data);
    }
}

/// What a plugin answers on a route.
pub fn http_response(bytes: &[u8]) {
    http::hostile::response(bytes);
}

/// One that knows a secret.
fn scrubber() -> Scrubber {
    static SCRUBBER: LazyLock<Scrubber> = LazyLock::new(|| {
        let scrubber = Scrubber::default();
        scrubber.add(["correct-horse".to_owned()]);
        scrubber
    });
    SCRUBBER.clone()
}

fn fit(error: &OperationError) {
    clean(&error.message);
    for cause in &error.root_causes {
        [&cause.name, &cause.status].into_iter().for_each(|text| clean(text));
    }
    bounded(error);
}

/// One line, not too long.
#[track_caller]
fn readable(text: &str) {
    assert!(!text.contains(is_steering), "{text:?}");
    assert!(text.chars().count() <= LONGEST, "{} characters", text.chars().count());
}

/// Readable, and without the secret. A manifest's own text is none.
#[track_caller]
fn clean(text: &str) {
    readable(text);
    assert!(!text.contains("correct-horse"), "{text}");
}

#[track_caller]
fn bounded(message: &impl serde::Serialize) {
    let size = serde_json::to_vec(message).map_or(0, |json| json.len());
    assert!(size <= LARGEST, "{size} bytes");
}

#[cfg(test)]
mod tests;

//! What an instance leaves in the log and in errors: no more than it was asked for, and never a secret.

use std::sync::Arc;

use plugin_api::{
    error::{Failure, OperationError},
    manifest::OperationMode,
    protocol::LogRecord,
};
use serde_json::Value;
use switchboard::{
    config::{self, Resolution},
    loader::Instance,
};

use super::{
    bench::{Bench, header},
    calls::{again, no_instance},
    checklist::{Checklist, Outcome},
    creating::Usable,
    garbage,
    lifecycle::Lasting,
    schemas::{is_secret, properties},
    witness::Witness,
};

/// What is planted as a secret, and looked for afterwards.
const CANARY: &str = "canary-7f3a9c51e2";

/// The value of settings that must stand beside a planted one.
const COMPANION: &str = "nobody";

/// From the least severe to none.
const LEVELS: [&str; 3] = ["trace", "warn", "off"];

/// Adds a line for each promise.
pub(super) async fn check(bench: &Bench, usable: Option<&Usable>, lasting: Lasting, list: &mut Checklist) {
    let logs = match usable {
        Some(usable) => logs(bench, usable, lasting).await,
        None => no_instance(),
    };
    list.add("logs", "it logs only what its level allows", logs);
    list.hide(&[CANARY.to_owned()]);
    list.add("secrets", "its secrets are in no log, error or reason", secrets(bench, lasting).await);
}

/// What one life of an instance left behind.
struct Traces {
    records: Vec<LogRecord>,
    /// All that was said in errors and reasons.
    words: Vec<String>,
}

async fn logs(bench: &Bench, usable: &Usable, lasting: Lasting) -> Outcome {
    let mut loud = Vec::new();
    let mut seen = 0;
    for level in LEVELS {
        let Traces { records, words } = match live(bench, usable.0.clone(), level, lasting).await {
            Ok(traces) => traces,
            Err(failure) => return again(&failure.to_string()),
        };
        drop(words);
        seen += records.len();
        let above = records.iter().filter(|record| rank(&record.level) > rank(level));
        loud.extend(
            above.map(|record| format!("at `{level}` it logs at {}: {}", record.level, record.message)),
        );
    }
    let outcome = Outcome::none(loud, "log only through `tracing` or `log`, and leave the levels to the SDK");
    match outcome {
        Outcome::Ok(_) => Outcome::Ok(format!("{seen} records came")),
        failed => failed,
    }
}

/// How much is logged at a level.
fn rank(level: &str) -> u8 {
    match level.to_ascii_lowercase().as_str() {
        "error" => 1,
        "warn" => 2,
        "info" => 3,
        "debug" => 4,
        "trace" => 5,
        _ => 0,
    }
}

/// Plants secrets in every form that a setting may have, and looks for them and for those that were given.
async fn secrets(bench: &Bench, lasting: Lasting) -> Outcome {
    let given = bench.resolution.secrets();
    let keys: Vec<&String> = properties(&bench.manifest().settings)
        .into_iter()
        .flatten()
        .filter(|(_, schema)| is_secret(schema))
        .map(|(key, _)| key)
        .collect();
    if keys.is_empty() && given.is_empty() {
        return Outcome::Ok("it has none".to_owned());
    }
    let url = format!("https://user:{CANARY}@127.0.0.1:1/x?password={CANARY}");
    let planted = [None, Some(CANARY), Some(url.as_str())];
    let mut leaks = Vec::new();
    let (mut lives, mut planted_in) = (0, 0);
    for value in planted {
        let Some(settings) = with_secrets(bench, &keys, value) else { continue };
        lives += 1;
        planted_in += usize::from(value.is_some() && !keys.is_empty());
        let traces = match live(bench, settings, "trace", lasting).await {
            Ok(traces) => traces,
            Err(failure) => Traces { records: Vec::new(), words: vec![json_text(&failure)] },
        };
        leaks.extend(found(&traces, given));
    }
    leaks.dedup();
    match lives {
        0 => Outcome::skipped("no instance can be made", "see the line `create`"),
        _ if !leaks.is_empty() => Outcome::failed(
            leaks.join("; "),
            "write your own words, and none of what was sent, received or configured",
        ),
        _ => Outcome::Ok(format!("they were planted in {planted_in} forms")),
    }
}

/// The settings with a value in every secret, if an instance can be made of them.
fn with_secrets(bench: &Bench, keys: &[&String], value: Option<&str>) -> Option<Value> {
    let mut section = bench.section.clone();
    let settings = &mut section.settings;
    if let Some(value) = value {
        keys.iter().for_each(|key| settings.set(key, Value::from(value)));
        let groups = bench.manifest().all_or_none.iter();
        for companion in groups.filter(|group| keys.iter().any(|key| group.contains(key))).flatten() {
            if !settings.has(companion) {
                settings.set(companion, Value::from(COMPANION));
            }
        }
    }
    match config::resolve(&section, bench.manifest(), &bench.environment) {
        Resolution::Ready { settings, .. } => Some(settings),
        _ => None,
    }
}

/// Where a secret was said.
fn found(traces: &Traces, given: &[String]) -> Vec<String> {
    let shows = |text: &str| {
        text.contains(CANARY)
            || given.iter().any(|secret| secret.len() >= 4 && text.contains(secret.as_str()))
    };
    let records = traces.records.iter().map(|record| ("the log shows one", json_text(record)));
    let words = traces.words.iter().map(|words| ("an error or reason shows one", words.clone()));
    records
        .chain(words)
        .filter(|(_, text)| shows(text))
        .map(|(place, text)| format!("{place}: {text}"))
        .collect()
}

/// A whole life of an instance: everything that it can be made to say without a request that fits.
async fn live(bench: &Bench, settings: Value, level: &str, lasting: Lasting) -> Result<Traces, Failure> {
    let witness = Witness::default();
    let instance = bench.create(settings, level, &witness).await?;
    let mut words = Vec::new();
    if lasting.init {
        words.extend(
            bench.within(instance.init()).await.and_then(Result::err).map(|failure| json_text(&failure)),
        );
    }
    if lasting.probe {
        words.extend(
            bench.within(instance.probe()).await.and_then(Result::err).map(|failure| json_text(&failure)),
        );
    }
    words.extend(errors(bench, &instance).await.iter().map(json_text));
    if lasting.stop {
        let _ = bench.within(instance.stop()).await;
    }
    Ok(Traces { records: witness.records(), words })
}

/// The errors of every call with a request that fits nothing.
async fn errors(bench: &Bench, instance: &Arc<dyn Instance>) -> Vec<OperationError> {
    let mut errors = Vec::new();
    for operation in bench.manifest().operations.iter().filter(|one| one.mode == OperationMode::Call) {
        for garbage in garbage::few(&operation.request) {
            let answer = bench.within(instance.call(&header(&operation.name), garbage.payload)).await;
            errors.extend(answer.and_then(Result::err));
        }
    }
    errors
}

/// A value as JSON, without the escapes that could hide a secret.
fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

//! Whether `create` takes what fits, refuses what does not, and ends in any case.

use plugin_api::error::{Failure, ReasonCode};
use serde_json::{Value, json};
use switchboard::config::{InvalidSetting, Resolution};

use super::{
    bench::Bench,
    checklist::{Checklist, Outcome},
    garbage,
    settings::UNKNOWN,
    witness::Witness,
};

/// How settings are given to this command.
const GIVE: &str = "give settings that work: in the plugin's section of plugins.toml or in `.env`, by \
     `--settings '{\"key\":\"value\"}'`, or by `--settings-file FILE`";

/// Settings that an instance can be made with.
pub(super) struct Usable(pub(super) Value);

/// Adds the line on settings that fit nothing.
pub(super) async fn check(bench: &Bench, list: &mut Checklist) {
    let schema = &bench.manifest().settings;
    let mut all = garbage::settings(schema);
    all.push(("an unknown key", json!({ UNKNOWN: true })));
    let mut problems = Vec::new();
    for (what, settings) in all {
        let refused = bench.create(settings, "off", &Witness::default()).await.err();
        problems.extend(refused.and_then(|failure| Some(format!("{what}: {}", broken(&failure)?))));
    }
    let outcome = Outcome::none(problems, "no `unwrap` and no waiting in `create`: return a `Failure`");
    list.add("create.garbage", "`create` neither panics nor hangs on malformed settings", outcome);
}

/// Adds the line on the settings that are given; they are gone on with if an instance can be made.
pub(super) async fn usable(bench: &Bench, list: &mut Checklist) -> Option<Usable> {
    let (settings, outcome) = match &bench.resolution {
        Resolution::Ready { settings, .. } => {
            let outcome = create(bench, settings).await;
            (Some(Usable(settings.clone())).filter(|_| matches!(outcome, Outcome::Ok(_))), outcome)
        }
        Resolution::NotConfigured { missing, .. } => {
            (None, Outcome::skipped(format!("it needs {}", missing.join(", ")), GIVE))
        }
        Resolution::Invalid { invalid, .. } => {
            let all: Vec<String> = invalid.iter().map(InvalidSetting::to_string).collect();
            (None, Outcome::failed(all.join("; "), GIVE))
        }
    };
    list.add("create", "`create` makes an instance whose threads are free", outcome);
    settings
}

async fn create(bench: &Bench, settings: &Value) -> Outcome {
    match bench.create(settings.clone(), "off", &Witness::default()).await {
        Ok(instance) if bench.answers(&instance).await => Outcome::ok(),
        Ok(_) => Outcome::failed("it blocks its own threads", "block in `tokio::task::spawn_blocking` only"),
        Err(failure) => match broken(&failure) {
            Some(why) => Outcome::failed(why, "`create` is cheap and does no I/O: return a `Failure`"),
            None => Outcome::failed(failure.to_string(), GIVE),
        },
    }
}

/// What is wrong with a refusal, if it is no refusal but a breakdown.
fn broken(failure: &Failure) -> Option<String> {
    match failure.code {
        ReasonCode::Panicked | ReasonCode::Crashed | ReasonCode::Timeout => Some(failure.message.clone()),
        _ => None,
    }
}

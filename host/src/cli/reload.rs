//! `switchboard reload`: makes the running host read its configuration again.

use serde_json::{Value, json};
use switchboard::app::{LIBRARY, Reloaded};

use super::{
    Exit, Failed, Source,
    client::{HostClient, Reach, problem_text},
    runtime, show,
};

/// Reloads, and tells what came of it.
pub fn reload(source: &Source, json: bool, reach: Reach) -> Result<Exit, Failed> {
    runtime()?.block_on(async {
        let host = HostClient::find(source, reach)?;
        let (status, answer) = host.post("/api/operations/host/reload", &json!({}), &[]).await?;
        if status >= 400 {
            return Err(refused(&answer));
        }
        if json {
            show(format_args!("{answer:#}"));
            return Ok(Exit::Success);
        }
        let reloaded: Reloaded = serde_json::from_value(answer).map_err(|error| {
            Failed::new(
                Exit::Failed,
                format!("the host answered with something unknown to this command: {error}"),
            )
        })?;
        lines(&reloaded).iter().for_each(show);
        Ok(Exit::Success)
    })
}

/// One line for each thing that was done, in the order in which it matters.
pub(super) fn lines(reloaded: &Reloaded) -> Vec<String> {
    let Reloaded { added, removed, changed, dependents, needs_restart } = reloaded;
    let mut lines = Vec::new();
    if reloaded.is_nothing() {
        lines.push("nothing has changed that a reload can apply".to_owned());
    }
    let told = [
        ("started", added),
        ("stopped", removed),
        ("restarted", changed),
        ("restarted because what they require changed", dependents),
        ("needs a restart of the host", needs_restart),
    ];
    let told = told.into_iter().filter(|(_, names)| !names.is_empty());
    lines.extend(told.map(|(what, names)| format!("{what}: {}", names.join(", "))));
    lines
}

/// A configuration that is refused reads as at a start.
fn refused(answer: &Value) -> Failed {
    match answer["details"]["problems"].as_array() {
        Some(problems) => {
            let lines = problems.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
            let what = answer["detail"].as_str().unwrap_or_default();
            let exit = match answer["details"]["refused"].as_str() {
                Some(LIBRARY) => Exit::Library,
                _ => Exit::Configuration,
            };
            Failed::new(exit, format!("{what}\n{lines}"))
        }
        None => Failed::new(Exit::Failed, problem_text(answer)),
    }
}

//! `switchboard check`: all stages short of starting; with `--connect` a start that is not served.

use std::{path::Path, time::Duration};

use serde_json::json;
use switchboard::{
    app::{self, Host, PreparedPlugin, StartError, Verdict},
    config::InvalidSetting,
    status::{PluginHealth, Status},
};

use super::{Exit, Failed, load_and_log, runtime, show, table};

/// How long `--connect` waits for plugins to come up or to use up their attempts.
const CONNECT_PATIENCE: Duration = Duration::from_secs(120);

/// Judges plugins.toml, libraries and settings.
pub fn check(path: &Path, verbose: bool, connect: bool, json: bool) -> Result<Exit, Failed> {
    let (config, _) = load_and_log(path, verbose)?;
    let prepared = app::prepare(&config).map_err(|refused| Failed::new(Exit::Configuration, refused))?;
    // Beside what is printed for scripts.
    prepared.warnings.each().for_each(|warning| super::warn(&warning));
    let findings: Vec<Finding> = prepared.plugins.iter().map(|plugin| judge(plugin, verbose)).collect();
    let exit = findings.iter().fold(Exit::Success, |exit, finding| worse(exit, finding.exit));
    if exit != Exit::Success || !connect {
        print(&findings, json);
        return Ok(exit);
    }
    runtime()?.block_on(async {
        let host = Host::start(config).await.map_err(|error| match error {
            StartError::Refused(refused) => Failed::new(Exit::Configuration, refused),
            error => Failed::new(Exit::Failed, error),
        })?;
        let snapshot = host.decided(CONNECT_PATIENCE).await;
        host.stop().await;
        if json {
            let plugins: Vec<&PluginHealth> = snapshot.plugins.iter().map(AsRef::as_ref).collect();
            show(format_args!("{:#}", json!(plugins)));
        } else {
            show(table::statuses(&snapshot.plugins));
            table::next_steps(&snapshot).iter().for_each(|step| show(format_args!("  {step}")));
        }
        let bad = |status: Status| !matches!(status, Status::Connected | Status::NotConfigured);
        let failed = snapshot.plugins.iter().any(|plugin| bad(plugin.status) && !plugin.is_held());
        Ok(if failed { Exit::Failed } else { Exit::Success })
    })
}

/// What was found about one plugin.
struct Finding {
    name: String,
    verdict: &'static str,
    detail: String,
    exit: Exit,
}

fn judge(plugin: &PreparedPlugin, verbose: bool) -> Finding {
    let finding = |verdict, detail, exit| Finding { name: plugin.config.name.clone(), verdict, detail, exit };
    match plugin.verdict() {
        Verdict::Refused(error) => {
            let more =
                error.details().filter(|_| verbose).map(|more| format!("\n{more}")).unwrap_or_default();
            finding("refused", format!("{error}{more}"), Exit::Library)
        }
        Verdict::Invalid(invalid) => {
            let all: Vec<String> = invalid.iter().map(InvalidSetting::to_string).collect();
            finding("invalid", all.join("; "), Exit::Configuration)
        }
        Verdict::NotConfigured(missing) => {
            // A host whose required plugin is not configured starts, and is unhealthy.
            let exit = if plugin.config.required { Exit::Failed } else { Exit::Success };
            finding("not_configured", format!("set {}", missing.join(", ")), exit)
        }
        Verdict::Ready(..) => {
            finding("ready", "its settings fit; nothing was started".to_owned(), Exit::Success)
        }
    }
}

fn print(findings: &[Finding], json: bool) {
    if json {
        let all: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "name": finding.name, "verdict": finding.verdict, "detail": finding.detail }))
            .collect();
        show(format_args!("{:#}", json!(all)));
    } else {
        for finding in findings {
            let colon = if finding.detail.is_empty() { "" } else { ": " };
            show(format_args!("{}: {}{colon}{}", finding.name, finding.verdict, finding.detail));
        }
    }
}

/// A refused configuration is said before a refused library.
fn worse(left: Exit, right: Exit) -> Exit {
    match (left, right) {
        (Exit::Configuration, _) | (_, Exit::Configuration) => Exit::Configuration,
        (Exit::Library, _) | (_, Exit::Library) => Exit::Library,
        (Exit::Failed, _) | (_, Exit::Failed) => Exit::Failed,
        _ => Exit::Success,
    }
}

//! Everything that runs is examined: each plugin by its status and by the operations that it marks `doctor`, the host by
//! its folder, its disk and its clock. Nothing is mended here; what a person has to do is said.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use futures_util::future::join_all;
use plugin_api::{
    error::OperationError,
    protocol::{CallHeader, HOST},
    requests::doctor::{Check, Clock, Examination, Examine, Verdict},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    scrub::one_line,
    status::{Names, PluginHealth, Status, rfc3339},
    switch::Caller,
};

use super::{Core, private, units::variables};

/// Beyond it, what others sign and let expire is judged wrongly here.
const CLOCK_TOLERANCE_MS: u64 = 30_000;

/// Which variable a setting may come from, by its key.
type Variables = BTreeMap<String, String>;

/// `host.doctor`: what to check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Diagnose {
    /// Also run checks that others can see, such as a mail to oneself.
    pub effects: bool,
    /// Only these plugins, or `host`; empty: everything.
    pub plugins: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// Nothing failed.
    pub passed: bool,
    /// The host first, then the plugins by name.
    pub subjects: Vec<Subject>,
}

/// What was found of the host or of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// `host`, or the plugin's name.
    pub name: String,
    /// Each check builds on those before it.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Of these.
    pub fn of(subjects: Vec<Subject>) -> Self {
        let mut checks = subjects.iter().flat_map(|subject| &subject.checks);
        Self { passed: checks.all(|check| check.verdict != Verdict::Failed), subjects }
    }
}

impl Core {
    /// Examines what is asked for, all at the same time.
    pub(super) async fn diagnose(&self, wanted: Diagnose) -> Result<Diagnosis, OperationError> {
        let snapshot = self.board.snapshot();
        let is_known = |name: &String| name == HOST || snapshot.plugin(name).is_some();
        if let Some(unknown) = wanted.plugins.iter().find(|name| !is_known(name)) {
            return Err(OperationError::not_found(format!("there is no plugin `{unknown}`")));
        }
        let is_wanted =
            |name: &str| wanted.plugins.is_empty() || wanted.plugins.iter().any(|one| one == name);
        let variables = self.variables().await;
        let plugins = snapshot.plugins.iter().filter(|plugin| is_wanted(&plugin.name));
        let examined = join_all(plugins.map(|plugin| self.examine(plugin, wanted.effects))).await;
        let clocks: Vec<Clock> = examined.iter().flat_map(|(_, clocks)| clocks.clone()).collect();
        let mut subjects = Vec::new();
        if is_wanted(HOST) {
            let folder = self.current.lock().await.config.host.data_dir.clone();
            subjects
                .push(Subject { name: HOST.to_owned(), checks: host(&folder, &clocks, &snapshot.notes()) });
        }
        subjects.extend(examined.into_iter().map(|(subject, _)| subject));
        for subject in &mut subjects {
            let variables = variables.get(&subject.name);
            subject.checks.iter_mut().for_each(|check| self.finish(check, &subject.name, variables));
        }
        Ok(Diagnosis::of(subjects))
    }

    async fn examine(&self, plugin: &PluginHealth, effects: bool) -> (Subject, Vec<Clock>) {
        let mut checks = vec![status(plugin)];
        checks.extend(beyond_status(plugin));
        let mut clocks = Vec::new();
        for operation in self.switch.examiners(&plugin.name) {
            match self.call_examiner(&plugin.name, &operation, effects).await {
                Ok(examination) => {
                    checks.extend(examination.checks);
                    clocks.extend(examination.clock);
                }
                Err(error) => checks.push(Check::of_call(&operation, Err(error))),
            }
        }
        (Subject { name: plugin.name.clone(), checks }, clocks)
    }

    async fn call_examiner(
        &self,
        plugin: &str,
        operation: &str,
        effects: bool,
    ) -> Result<Examination, OperationError> {
        let internal = |error: serde_json::Error| {
            OperationError::internal(format!(
                "`{plugin}.{operation}` does not answer in the format of a doctor: {error}"
            ))
        };
        let header = CallHeader {
            plugin: plugin.to_owned(),
            operation: operation.to_owned(),
            ..CallHeader::default()
        };
        let request = serde_json::to_vec(&Examine { effects }).map_err(internal)?;
        let answer = self.switch.call(&Caller::Operator, header, request).await?;
        serde_json::from_slice(&answer).map_err(internal)
    }

    /// Which variable a setting may come from, by plugin and key.
    async fn variables(&self) -> HashMap<String, Variables> {
        let current = self.current.lock().await;
        let plugins = current.prepared.plugins.iter();
        plugins
            .filter_map(|plugin| Some((plugin.config.name.clone(), variables(plugin.manifest()?))))
            .collect()
    }

    /// Makes what a plugin says fit to be shown, and names the variable of a setting.
    fn finish(&self, check: &mut Check, plugin: &str, variables: Option<&Variables>) {
        if let (None, Some(key)) = (&check.fix, &check.setting) {
            let variable = variables.and_then(|variables| variables.get(key)).cloned();
            let place = variable.unwrap_or_else(|| format!("plugins.{plugin}.settings.{key}"));
            check.fix = Some(format!("correct `{place}`"));
        }
        for text in [Some(&mut check.name), Some(&mut check.seen), check.fix.as_mut()].into_iter().flatten() {
            self.scrubber.clean(text);
            *text = one_line(text);
        }
    }
}

/// What its health says. A plugin not configured, or held by one that is not, fails only if the host requires it.
fn status(plugin: &PluginHealth) -> Check {
    const NAME: &str = "status";
    if plugin.status == Status::Connected {
        let answered = plugin.latency_ms.map(|latency| format!("connected, answered in {latency:.1} ms"));
        return Check::ok(NAME, answered.unwrap_or_else(|| "connected".to_owned()));
    }
    let why = plugin.reason.as_ref().map(|reason| format!(": {}", reason.message)).unwrap_or_default();
    let seen = format!("{}{why}", plugin.status.as_str());
    let is_left_out = matches!(plugin.status, Status::NotConfigured | Status::NotInitialized);
    let check = match is_left_out && !plugin.required {
        true => Check::skipped(NAME, seen),
        false => Check::failed(NAME, seen),
    };
    match &plugin.fix {
        Some(fix) => {
            let link = fix.href.as_ref().map(|href| format!(": {href}")).unwrap_or_default();
            check.fix(format!("{}{link}", fix.label))
        }
        None => check,
    }
}

/// What is wrong beside the status: it is kept from working, or cannot be relied on though it is connected.
fn beyond_status(plugin: &PluginHealth) -> Vec<Check> {
    let mut checks = Vec::new();
    if !plugin.blocked_by.is_empty() && !plugin.is_held() {
        let quoted =
            |names: &Names| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let (by, roots) = (quoted(&plugin.blocked_by), quoted(&plugin.root_causes));
        let because = if by == roots { String::new() } else { format!(", because of {roots}") };
        let check = Check::failed("requirements", format!("blocked by {by}{because}"));
        checks.push(check.fix(format!("fix {roots} first")));
    }
    for failing in &plugin.failing {
        let what = failing.operation.as_deref().or(failing.key.as_deref()).unwrap_or("its work");
        let seen =
            format!("`{what}` fails in use, {} times since {}", failing.failures, rfc3339(failing.since));
        let check = Check::failed("in use", format!("{seen}: {}", failing.message));
        checks.push(check.fix(failing.fix.label.clone()));
    }
    if plugin.stale {
        let since = plugin.checked_at.map_or_else(|| "it started".to_owned(), rfc3339);
        let check = Check::failed("freshness", format!("no check has ended since {since}"));
        checks.push(check.fix("verify it; if no check ends even then, restart the host"));
    }
    if plugin.flapping {
        let check = Check::failed("steadiness", "its status changed more than five times in ten minutes");
        checks.push(check.fix("see its `history` for what changes"));
    }
    checks
}

fn host(folder: &Path, clocks: &[Clock], notes: &[String]) -> Vec<Check> {
    vec![data_dir(folder), Check::disk("disk", folder), clock(clocks), tasks(notes)]
}

/// None of the host's own has failed.
fn tasks(notes: &[String]) -> Check {
    const NAME: &str = "tasks";
    match notes {
        [] => Check::ok(NAME, "all of the host's own tasks run"),
        notes => Check::failed(NAME, notes.join("; "))
            .fix("if it happens again, restart the host; report it with the log of that time"),
    }
}

/// It can be written, and by nobody else.
fn data_dir(folder: &Path) -> Check {
    const NAME: &str = "data_dir";
    let place = folder.display();
    if let Err(error) = tempfile::NamedTempFile::new_in(folder) {
        return Check::failed(NAME, format!("`{place}` cannot be written: {error}")).fix(format!(
            "make the user of this process the owner of `{place}`, or set `data_dir` of `[host]`"
        ));
    }
    if private::is_open(folder) {
        return Check::failed(NAME, format!("other users of this machine can use `{place}`"))
            .fix(format!("chmod -R go= '{place}'"));
    }
    Check::ok(NAME, format!("`{place}` can be written"))
}

/// Beside the clock of whoever told the time.
fn clock(clocks: &[Clock]) -> Check {
    const NAME: &str = "clock";
    let Some(worst) = clocks.iter().max_by_key(|clock| clock.ahead_ms.unsigned_abs()) else {
        return Check::skipped(NAME, "no server that was asked reported the time");
    };
    let Clock { server, ahead_ms } = worst;
    let seconds = ahead_ms.unsigned_abs().div_ceil(1000);
    if ahead_ms.unsigned_abs() <= CLOCK_TOLERANCE_MS {
        return Check::ok(NAME, format!("within {seconds} s of `{server}`"));
    }
    let direction = if *ahead_ms > 0 { "ahead of" } else { "behind" };
    Check::failed(NAME, format!("this machine's clock is {seconds} s {direction} that of `{server}`"))
        .fix("synchronise this machine's clock by NTP: `timedatectl set-ntp true`")
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, time::Duration};

    use jiff::Timestamp;
    use plugin_api::error::{Failure, ReasonCode};

    use super::*;
    use crate::status::{Board, BoardConfig, DependencySpec, Event, Finding, PluginSpec};

    fn at(ahead_ms: i64) -> Clock {
        Clock { server: "a".to_owned(), ahead_ms }
    }

    #[test]
    fn the_clock_that_is_furthest_away_counts() {
        assert_eq!(clock(&[]).verdict, Verdict::Skipped);
        assert_eq!(clock(&[at(-400), at(900)]).seen, "within 1 s of `a`");
        let behind = clock(&[at(100), at(-31_500)]);
        assert_eq!(
            (behind.verdict, behind.seen.as_str()),
            (Verdict::Failed, "this machine's clock is 32 s behind that of `a`")
        );
        assert_eq!(clock(&[at(30_001)]).seen, "this machine's clock is 31 s ahead of that of `a`");
        assert_eq!(clock(&[at(i64::MIN)]).verdict, Verdict::Failed);
    }

    #[test]
    fn a_task_of_the_host_that_panicked_is_a_finding() {
        let board = Board::new(BoardConfig {
            boot_id: "test".to_owned(),
            version: "0".to_owned(),
            plugins: Vec::new(),
            now: Timestamp::now(),
        });
        assert_eq!(tasks(&board.snapshot().notes()).verdict, Verdict::Ok);
        board.task_panicked("journal", None, Timestamp::now());
        let found = tasks(&board.snapshot().notes());
        assert_eq!(found.verdict, Verdict::Failed);
        assert!(found.seen.contains("`journal`") && found.fix.is_some(), "{found:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_or_is_open_to_all_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        set(0o700);
        assert_eq!(data_dir(folder.path()).verdict, Verdict::Ok);
        let missing = data_dir(&folder.path().join("gone"));
        assert_eq!(missing.verdict, Verdict::Failed);
        assert!(missing.seen.contains("gone` cannot be written"), "{}", missing.seen);
        set(0o750);
        let open = data_dir(folder.path());
        assert_eq!(open.fix, Some(format!("chmod -R go= '{}'", folder.path().display())));
    }

    #[test]
    fn victims_and_what_cannot_be_relied_on_are_told_beside_the_status() {
        let spec = |name: &str, on: &[&str]| PluginSpec {
            dependencies: on
                .iter()
                .map(|on| DependencySpec { name: (*on).to_owned(), required: true, named: true })
                .collect(),
            ..PluginSpec::new(name)
        };
        let plugins = vec![spec("openai", &[]), spec("memory", &["openai"]), spec("messages", &["memory"])];
        let now = Timestamp::UNIX_EPOCH;
        let board = Board::new(BoardConfig { boot_id: "b".into(), version: "1".into(), plugins, now });
        for name in ["openai", "memory", "messages"] {
            board.apply(name, Event::InitStarted { generation: 1, attempt: 1 }, now);
            board.apply(name, Event::InitSucceeded { took: Duration::ZERO }, now);
        }
        let failure = Failure::auth_invalid("the key is refused");
        board.apply("openai", Event::EvidenceFailed { failure }, now);
        let told = |name: &str| {
            let checks = beyond_status(board.snapshot().plugin(name).unwrap());
            let told = checks
                .into_iter()
                .map(|check| format!("{} -> {}", check.seen, check.fix.unwrap_or_default()));
            told.collect::<Vec<_>>()
        };
        assert_eq!(told("openai"), [""; 0]);
        assert_eq!(told("memory"), ["blocked by `openai` -> fix `openai` first"]);
        assert_eq!(told("messages"), ["blocked by `memory`, because of `openai` -> fix `openai` first"]);
        let finding = Finding {
            operation: Some("chat".to_owned()),
            key: None,
            since: now,
            last_at: now,
            failures: 4,
            code: ReasonCode::Forbidden,
            message: "the key may not use the model".to_owned(),
            hint: None,
            callers: Vec::new(),
        };
        board.apply("memory", Event::Failing { findings: vec![finding] }, now);
        assert_eq!(
            told("memory")[1],
            "`chat` fails in use, 4 times since 1970-01-01T00:00:00.000Z: the key may not use the model -> \
             Grant the missing permission in the account of Memory at its vendor"
        );
        let mut odd = PluginHealth::clone(board.snapshot().plugin("openai").unwrap());
        (odd.stale, odd.flapping, odd.checked_at) = (true, true, None);
        let told: Vec<String> = beyond_status(&odd).into_iter().map(|check| check.seen).collect();
        expect_test::expect![[r#"
            [
                "no check has ended since it started",
                "its status changed more than five times in ten minutes",
            ]
        "#]]
        .assert_debug_eq(&told);
    }

    #[test]
    fn one_failure_is_enough() {
        let subject = |check| Subject { name: "a".to_owned(), checks: vec![Check::ok("x", "y"), check] };
        assert!(Diagnosis::of(vec![subject(Check::skipped("a", "b"))]).passed);
        assert!(!Diagnosis::of(vec![subject(Check::failed("a", "b"))]).passed);
    }
}

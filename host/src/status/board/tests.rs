//! Event sequences on a board, and what readers see of them; that worsening one plugin never improves the whole.

use std::time::Duration;

use plugin_api::error::{Failure, FixHint, ReasonCode};
use proptest::prelude::*;

use super::*;
use crate::status::{Counts, Overall, Verification};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn board(plugins: Vec<PluginSpec>) -> Board {
    Board::new(BoardConfig { boot_id: "boot".to_owned(), version: "0.1.0".to_owned(), plugins, now: at(0) })
}

/// `name`, with what it requires, and with `?` in front what it only wants.
fn plugin(name: &str, dependencies: &[&str]) -> PluginSpec {
    let dependency = |written: &&str| {
        let name = written.trim_start_matches('?').to_owned();
        DependencySpec { name, required: !written.starts_with('?'), named: true }
    };
    PluginSpec { dependencies: dependencies.iter().map(dependency).collect(), ..PluginSpec::new(name) }
}

/// Lets the plugin settle in this status.
fn settle(board: &Board, name: &str, status: Status) {
    let fails = |failure| Event::InitFailed { failure, next_attempt_at: None };
    let outcome = match status {
        Status::NotInitialized => Some(Event::Held { causes: vec!["another".to_owned()] }),
        Status::NotConfigured => Some(Event::NotConfigured { missing: vec!["X".to_owned()], message: None }),
        Status::Connected => Some(Event::InitSucceeded { took: Duration::ZERO }),
        Status::Disconnected => Some(fails(Failure::consent_required("not yet"))),
        Status::Error => Some(fails(Failure::refused("nobody listens"))),
        Status::Initializing => None,
    };
    if !matches!(status, Status::NotInitialized | Status::NotConfigured) {
        board.apply(name, Event::InitStarted { generation: 1, attempt: 1 }, at(1));
    }
    if let Some(outcome) = outcome {
        board.apply(name, outcome, at(2));
    }
    board.apply(name, Event::Settled { waited: Duration::ZERO, init: None }, at(2));
}

#[test]
fn trouble_is_traced_to_its_root() {
    let board = board(vec![
        plugin("database", &[]),
        plugin("messaging", &["sms", "?database"]),
        plugin("sms", &["twilio"]),
        plugin("twilio", &[]),
    ]);
    for name in ["database", "messaging", "sms"] {
        settle(&board, name, Status::Connected);
    }
    assert_eq!(board.snapshot().overall, Overall::Degraded, "twilio has not settled");
    settle(&board, "twilio", Status::Error);

    let snapshot = board.snapshot();
    let messaging = snapshot.plugin("messaging").unwrap();
    assert_eq!((messaging.status, messaging.healthy), (Status::Connected, false));
    assert_eq!(messaging.blocked_by, ["sms"]);
    assert_eq!(messaging.root_causes, ["twilio"]);
    assert_eq!(snapshot.verification(messaging), Verification::Failed);
    assert_eq!(snapshot.blocked(), 2);
    let causes = snapshot.causes();
    assert_eq!(
        (causes.len(), &causes[0].name, &causes[0].affects),
        (1, &"twilio".into(), &vec!["messaging".into(), "sms".into()])
    );

    for second in [60, 61] {
        board.apply("twilio", Event::ProbeSucceeded { latency: Duration::ZERO }, at(second));
    }
    assert_eq!(board.snapshot().overall, Overall::Healthy);
    assert_eq!(board.snapshot().causes(), []);
}

#[test]
fn what_is_not_configured_degrades_only_what_is_required() {
    let mut required = plugin("service", &["smtp"]);
    for (is_required, expected) in [(false, Overall::Healthy), (true, Overall::Unhealthy)] {
        required.required = is_required;
        let board = board(vec![plugin("smtp", &[]), required.clone()]);
        settle(&board, "smtp", Status::NotConfigured);
        settle(&board, "service", Status::NotInitialized);
        let snapshot = board.snapshot();
        assert_eq!(snapshot.overall, expected);
        assert_eq!(snapshot.causes()[0].name, "smtp", "it holds another, so it is a cause");
        assert_eq!(snapshot.verification(snapshot.plugin("service").unwrap()), Verification::Unverified);
        assert_eq!(snapshot.attention().len(), 1);
    }
}

#[test]
fn settling_counts_once_a_boot() {
    let board = board(vec![plugin("database", &[])]);
    assert!(!board.snapshot().settled);
    settle(&board, "database", Status::Connected);
    board.apply("database", Event::Stopped, at(9));
    assert!(board.snapshot().settled);
}

#[test]
fn a_wanted_plugin_that_is_not_named_is_satisfied_and_no_edge() {
    let mut service = plugin("service", &["?calendar", "?database"]);
    service.dependencies[0].named = false;
    let board = board(vec![service, plugin("database", &[])]);
    let snapshot = board.snapshot();
    let dependencies = &snapshot.plugin("service").unwrap().dependencies;
    assert_eq!((dependencies[0].status, dependencies[0].satisfied), (None, true));
    assert_eq!((dependencies[1].status, dependencies[1].satisfied), (Some(Status::NotInitialized), false));
    assert_eq!(snapshot.edges().len(), 1);
}

#[test]
fn the_revision_counts_what_a_reader_cares_about() {
    let board =
        board(vec![PluginSpec { probe_interval: Some(Duration::from_secs(1)), ..plugin("database", &[]) }]);
    settle(&board, "database", Status::Connected);
    let revision = board.snapshot().revision;
    board.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(7) }, at(3));
    board.apply("database", Event::NextCheck { at: Some(at(4)) }, at(3));
    board.tick(at(4));
    assert_eq!(board.snapshot().revision, revision);
    assert_eq!(board.snapshot().plugins[0].latency_ms, Some(7.0));

    board.tick(at(7));
    assert_eq!((board.snapshot().plugins[0].stale, board.snapshot().revision), (true, revision + 1));
    assert_eq!(board.snapshot().overall, Overall::Degraded, "nobody has looked at it for a while");
    board.set_start(StartReport { total_ms: Some(12.0), ..StartReport::default() });
    assert_eq!(board.snapshot().revision, revision + 2);
}

#[test]
fn readers_see_that_nobody_looks_any_more() {
    let board = board(vec![plugin("database", &[])]);
    settle(&board, "database", Status::Connected);
    board.tick(at(10));
    assert_eq!(board.snapshot().overall_at(at(25)), Overall::Healthy);
    assert_eq!(board.snapshot().overall_at(at(26)), Overall::Unhealthy);
}

#[tokio::test]
async fn a_condition_can_be_waited_for() {
    let board = board(vec![plugin("database", &[])]);
    let mut changes = board.subscribe();
    let writer = board.clone();
    tokio::spawn(async move { settle(&writer, "database", Status::Connected) });
    let connected = changes.wait_for(|_| board.snapshot().counts.connected == 1);
    tokio::time::timeout(Duration::from_secs(10), connected).await.unwrap().unwrap();
}

fn finding(operation: &str) -> Finding {
    Finding {
        operation: Some(operation.to_owned()),
        key: None,
        since: at(1),
        last_at: at(40),
        failures: 3,
        code: ReasonCode::Forbidden,
        message: "the key may not use the model".to_owned(),
        hint: None,
        callers: vec!["messaging".to_owned()],
    }
}

#[test]
fn what_fails_in_use_degrades_the_whole_and_changes_nothing_else() {
    let board = board(vec![plugin("messaging", &["openai"]), plugin("openai", &[])]);
    settle(&board, "messaging", Status::Connected);
    settle(&board, "openai", Status::Connected);
    let revision = board.snapshot().revision;
    let fail = |findings: Vec<Finding>| _ = board.apply("openai", Event::Failing { findings }, at(40));
    fail(vec![finding("chat")]);

    let snapshot = board.snapshot();
    let openai = snapshot.plugin("openai").unwrap();
    assert_eq!(
        (snapshot.overall, openai.status, openai.healthy),
        (Overall::Degraded, Status::Connected, true)
    );
    assert_eq!(snapshot.revision, revision + 1);
    assert_eq!(
        openai.failing[0].fix.label,
        "Grant the missing permission in the account of Openai at its vendor"
    );
    let causes = snapshot.causes();
    assert_eq!((causes.len(), causes[0].name.as_str(), causes[0].failing), (1, "openai", true));
    assert_eq!(causes[0].message.as_deref(), Some("`chat` fails in use: the key may not use the model"));
    assert_eq!((&causes[0].affects, causes[0].since), (&vec!["messaging".to_owned()], at(1)));
    assert_eq!(snapshot.attention()[0].reason.as_ref().unwrap().code, ReasonCode::Forbidden);
    assert_eq!(snapshot.failing()[0].name, "openai");

    fail(vec![Finding { failures: 4, last_at: at(41), ..finding("chat") }]);
    assert_eq!(board.snapshot().revision, revision + 1, "counts are no news");
    fail(vec![finding("chat"), finding("embed")]);
    assert_eq!(board.snapshot().revision, revision + 2);
    settle(&board, "openai", Status::Error);
    assert_eq!(board.snapshot().causes()[0].affects, ["messaging"]);
    settle(&board, "openai", Status::NotConfigured);
    assert!(board.snapshot().plugin("openai").unwrap().failing.is_empty(), "nobody uses it");
    settle(&board, "openai", Status::Connected);
    assert_eq!(board.snapshot().plugin("openai").unwrap().failing.len(), 2);
    fail(Vec::new());
    assert_eq!((board.snapshot().overall, board.snapshot().causes()), (Overall::Healthy, vec![]));
}

#[test]
fn a_fix_says_what_ends_a_failure_in_use() {
    let mut spec = plugin("open_ai", &[]);
    spec.variables.insert("api_key".to_owned(), "OPENAI_API_KEY".to_owned());
    let setting = FixHint::setting("api_key");
    for (code, hint, expected) in [
        (ReasonCode::Internal, None, "Read the log of Open Ai, and report this to its author or upgrade it"),
        (ReasonCode::Timeout, None, "Wait until what it uses recovers; if it lasts, read the log of Open Ai"),
        (ReasonCode::AuthInvalid, Some(setting), "Correct OPENAI_API_KEY"),
        (ReasonCode::Quota, Some(FixHint::label("Top up")), "Top up"),
    ] {
        let fix = Explanation::fix_in_use(&spec, code, hint.as_ref());
        assert_eq!((fix.action, fix.label.as_str()), (code.fix(), expected));
    }
}

#[test]
fn what_flaps_or_is_stale_is_a_cause_in_words() {
    let probed = PluginSpec { probe_interval: Some(Duration::from_secs(1)), ..plugin("database", &[]) };
    let board = board(vec![probed]);
    settle(&board, "database", Status::Connected);
    board.tick(at(10));
    let words = || board.snapshot().causes()[0].message.clone();
    assert_eq!(words().as_deref(), Some("stale: no check of it has ended for three intervals"));
    for second in 11..20 {
        board.apply(
            "database",
            Event::ProbeFailed { failure: Failure::auth_invalid("no"), latency: Duration::ZERO },
            at(second),
        );
        board.apply("database", Event::ProbeSucceeded { latency: Duration::ZERO }, at(second));
        board.apply("database", Event::ProbeSucceeded { latency: Duration::ZERO }, at(second));
    }
    assert_eq!(words().as_deref(), Some("flapping: its status changed more than five times in ten minutes"));
    assert_eq!(board.snapshot().causes_when(true)[0].name, "host");
}

#[test]
fn ages_survive_a_step_of_the_clock() {
    let board =
        board(vec![PluginSpec { probe_interval: Some(Duration::from_secs(60)), ..plugin("database", &[]) }]);
    settle(&board, "database", Status::Connected);
    board.apply("database", Event::Failing { findings: vec![finding("work")] }, at(40));
    board.tick(at(50));
    let hour = SignedDuration::from_hours(1);
    let (before, later) = (board.snapshot(), |time: Timestamp| time + hour);
    board.shift(hour);
    board.tick(at(51));
    let after = board.snapshot();
    assert_eq!(after.ticked_at.duration_since(after.started_at), SignedDuration::from_secs(51));
    assert!(!after.checker_is_stale(at(52)) && !after.plugins[0].stale);
    assert_eq!(after.shown(after.started_at), later(at(0)));
    let (old, new) = (&before.plugins[0], &after.plugins[0]);
    assert_eq!((new.since, new.checked_at), (later(old.since), old.checked_at.map(later)));
    assert_eq!(new.failing[0].since, later(old.failing[0].since));
    assert_eq!(new.history[0].at, later(old.history[0].at));
    assert_eq!(new.history[0].recorded_at, old.history[0].recorded_at, "what is written down stays");
    assert!(after.revision > before.revision);
}

/// From best to worst.
const BY_SEVERITY: [Status; 4] =
    [Status::Connected, Status::Initializing, Status::Disconnected, Status::Error];

/// A plugin of a random graph: whether it is required, and its dependencies among those before it (`true`: required).
type Node = (bool, Vec<(prop::sample::Index, bool)>);

fn graphs() -> impl Strategy<Value = Vec<PluginSpec>> {
    let node = (
        prop::bool::weighted(0.2),
        prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4),
    );
    prop::collection::vec(node, 1..12).prop_map(|nodes| nodes.iter().enumerate().map(spec).collect())
}

fn spec((number, (required, dependencies)): (usize, &Node)) -> PluginSpec {
    let before = dependencies.iter().filter(|_| number > 0);
    let dependencies = before.map(|(on, required)| DependencySpec {
        name: name(on.index(number)),
        required: *required,
        named: true,
    });
    PluginSpec { required: *required, dependencies: dependencies.collect(), ..PluginSpec::new(name(number)) }
}

/// Names that sort against the order of dependencies.
fn name(number: usize) -> String {
    format!("plugin_{}", (b'z' - number as u8) as char)
}

/// The roots by their definition, by walking.
fn roots(snapshot: &Snapshot, plugin: &PluginHealth) -> BTreeSet<String> {
    if plugin.healthy {
        return BTreeSet::new();
    }
    let unhealthy: Vec<_> = plugin
        .dependencies
        .iter()
        .filter(|on| on.required)
        .filter_map(|on| snapshot.plugin(&on.name))
        .filter(|on| !on.healthy)
        .collect();
    if unhealthy.is_empty() {
        return BTreeSet::from([plugin.name.clone()]);
    }
    unhealthy.into_iter().flat_map(|on| roots(snapshot, on)).collect()
}

fn assert_consistent(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let Counts { connected, disconnected, not_configured, error, initializing, not_initialized } =
        snapshot.counts;
    let sum = connected + disconnected + not_configured + error + initializing + not_initialized;
    prop_assert_eq!(sum, snapshot.plugins.len());
    // What is counted plugin by plugin is what there is.
    let tally = Tally::of(snapshot.plugins.iter().map(Arc::as_ref));
    prop_assert_eq!(tally, snapshot.tally);
    for plugin in snapshot.plugins.iter() {
        prop_assert_eq!(plugin.root_causes.is_empty(), plugin.healthy);
        prop_assert_eq!(
            plugin.root_causes.iter().map(str::to_owned).collect::<BTreeSet<_>>(),
            roots(snapshot, plugin)
        );
        let required: Vec<_> = plugin.dependencies.iter().filter(|on| on.required && !on.healthy).collect();
        prop_assert_eq!(plugin.healthy, plugin.status == Status::Connected && required.is_empty());
        let named: BTreeSet<_> = required.iter().map(|on| on.name.as_str()).collect();
        prop_assert_eq!(plugin.blocked_by.iter().collect::<BTreeSet<_>>(), named);
        for on in &plugin.dependencies {
            let dependency = snapshot.plugin(&on.name).unwrap();
            prop_assert_eq!((on.status, on.healthy), (Some(dependency.status), dependency.healthy));
            prop_assert!(dependency.dependents.contains(&plugin.name));
        }
    }
    if snapshot.settled && snapshot.overall != Overall::Healthy {
        prop_assert!(!snapshot.causes().is_empty());
    }
    prop_assert!(!snapshot.causes_when(true).is_empty());
    Ok(())
}

#[test]
fn other_plugins_take_over_what_is_known_of_those_that_stay() {
    let board = board(vec![plugin("database", &[]), plugin("memory", &["database"]), plugin("smtp", &[])]);
    for name in ["database", "memory", "smtp"] {
        settle(&board, name, Status::Connected);
    }
    let before = board.snapshot();
    board.reconfigure(
        vec![
            plugin("memory", &["database"]),
            PluginSpec { required: true, ..plugin("database", &[]) },
            plugin("web", &["memory"]),
        ],
        at(10),
    );
    let after = board.snapshot();
    let names: Vec<_> = after.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!(names, ["database", "memory", "web"]);
    assert!(after.plugin("memory").unwrap().healthy && after.plugin("database").unwrap().required);
    assert_eq!(after.plugin("memory").unwrap().history, before.plugin("memory").unwrap().history);
    assert_eq!(after.plugin("memory").unwrap().dependents, ["web"]);
    assert_eq!(after.plugin("web").unwrap().status, Status::NotInitialized);
    assert_eq!((after.counts.connected, after.counts.not_initialized), (2, 1));
    assert!(after.settled && after.revision > before.revision);
    assert_eq!(board.apply("smtp", Event::Stopped, at(11)), None, "nobody knows it any more");
}

proptest! {
    #[test]
    fn worsening_one_plugin_never_improves_the_whole(
        graph in graphs(),
        severities in prop::collection::vec(0..4_usize, 12),
        worsened in any::<prop::sample::Index>(),
        by in 1..4_usize,
        fails in prop::collection::vec(any::<bool>(), 12),
        fails_more in any::<bool>(),
    ) {
        let worsened = worsened.index(graph.len());
        let overall = |by: usize, more: bool| {
            let board = board(graph.clone());
            for (number, spec) in graph.iter().enumerate() {
                let by = if number == worsened { by } else { 0 };
                settle(&board, &spec.name, BY_SEVERITY[(severities[number] + by).min(3)]);
                if fails[number] || (more && number == worsened) {
                    board.apply(&spec.name, Event::Failing { findings: vec![finding("work")] }, at(3));
                }
            }
            board.snapshot()
        };
        let (before, after) = (overall(0, false), overall(by, fails_more));
        let only_fails_more = overall(0, true);
        assert_consistent(&only_fails_more)?;
        prop_assert!(before.overall <= only_fails_more.overall);
        assert_consistent(&before)?;
        prop_assert!(before.overall <= after.overall);
    }

    #[test]
    fn a_stale_plugin_degrades_the_whole_and_worsening_it_never_improves_it(
        graph in graphs(),
        probed in prop::collection::vec(any::<bool>(), 12),
        severities in prop::collection::vec(0..4_usize, 12),
        worsened in any::<prop::sample::Index>(),
        by in 1..4_usize,
    ) {
        let worsened = worsened.index(graph.len());
        let interval = |probed: bool| probed.then_some(Duration::from_secs(1));
        let graph: Vec<_> = graph.into_iter().zip(&probed)
            .map(|(spec, probed)| PluginSpec { probe_interval: interval(*probed), ..spec })
            .collect();
        let board = |by: usize| {
            let board = board(graph.clone());
            for (number, spec) in graph.iter().enumerate() {
                let by = if number == worsened { by } else { 0 };
                settle(&board, &spec.name, BY_SEVERITY[(severities[number] + by).min(3)]);
            }
            board
        };
        let stale = |snapshot: &Snapshot| snapshot.plugins.iter().any(|plugin| plugin.stale);
        let whole = board(0);
        let fresh = whole.snapshot();
        whole.tick(at(1000));
        let later = whole.snapshot();
        assert_consistent(&later)?;
        prop_assert!(fresh.overall <= later.overall);
        prop_assert!(!stale(&later) || later.overall != Overall::Healthy);

        let worse = board(by);
        worse.tick(at(1000));
        prop_assert!(later.overall <= worse.snapshot().overall);
    }

    #[test]
    fn any_events_leave_a_consistent_snapshot(
        graph in graphs(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..7_usize), 0..30),
    ) {
        let board = board(graph.clone());
        let mut revision = board.snapshot().revision;
        for (on, status) in steps {
            let before = board.snapshot();
            let name = &graph[on.index(graph.len())].name;
            match Status::ALL.get(status) {
                Some(status) => settle(&board, name, *status),
                None => _ = board.apply(name, Event::Failing { findings: vec![finding("work")] }, at(3)),
            }
            let after = board.snapshot();
            assert_consistent(&after)?;
            prop_assert!(after.revision >= revision);
            prop_assert!(after.revision > revision || before.counts == after.counts);
            revision = after.revision;
        }
    }
}

#[test]
fn trouble_of_the_host_degrades_the_whole_until_it_is_over() {
    let trouble = Some((ReasonCode::Unavailable, "no descriptor is left"));
    let board = board(vec![plugin("database", &[])]);
    settle(&board, "database", Status::Connected);
    let healthy = board.snapshot();
    assert_eq!(healthy.overall, Overall::Healthy);

    board.set_host_trouble("descriptors", trouble, at(5));
    board.set_host_trouble("descriptors", trouble, at(9));
    let troubled = board.snapshot();
    assert_eq!((troubled.overall, troubled.revision), (Overall::Degraded, healthy.revision + 1));
    let causes = troubled.causes();
    let [cause] = causes.as_slice() else { panic!("{causes:?}") };
    assert_eq!((cause.name.as_str(), cause.since), ("host", at(5)));
    assert_eq!(cause.message.as_deref(), Some("no descriptor is left"));
    board.tick(at(10));
    assert_eq!(board.snapshot().overall, Overall::Degraded, "a tick forgets nothing");

    board.set_host_trouble("descriptors", None, at(11));
    assert_eq!(board.snapshot().overall, Overall::Healthy);
    assert!(board.snapshot().causes().is_empty());
}

//! Supervisors over fake libraries, on a paused clock: time passes only when everybody waits.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::{Failure, OperationError, ReasonCode},
    manifest::Manifest,
    pipe::PipeEnd,
    protocol::{CallHeader, CreateRequest},
    requests::host::Report,
};
use serde_json::json;
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::{
    graph,
    loader::{Instance, Origin, PluginHost},
    status::{BoardConfig, DependencySpec, PluginSpec, Snapshot, Status},
    switch::CallMetrics,
};

mod panics;

const SECOND: Duration = Duration::from_secs(1);

/// What an entry of a fake plugin does.
#[derive(Clone)]
enum Step {
    Succeed,
    Take(Duration),
    Fail(Failure),
    /// Panics, in the task that runs it.
    Panic,
    /// Never ends, but its runtime answers.
    Hang,
    /// Never ends, and its runtime does not answer from then on.
    Block,
    /// Never ends, and the next time its runtime is asked the whole machine stands still for a while.
    Starve,
}

/// What becomes of a call.
#[derive(Clone, Copy, Default)]
enum Runtime {
    #[default]
    Turns,
    Blocked,
    Starved,
}

/// The steps of one plugin; when they are used up, everything succeeds.
#[derive(Default)]
struct Script {
    init: Mutex<VecDeque<Step>>,
    probe: Mutex<VecDeque<Step>>,
    stop: Mutex<VecDeque<Step>>,
    probes: Mutex<u32>,
}

/// What all fakes of a test write down.
type Journal = Arc<Mutex<Vec<String>>>;

struct Fake {
    manifest: Manifest,
    origin: Origin,
    script: Arc<Script>,
    journal: Journal,
}

struct FakeInstance {
    name: String,
    script: Arc<Script>,
    journal: Journal,
    runtime: Arc<Mutex<Runtime>>,
}

impl Library for Fake {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn create(
        &self,
        _: Arc<dyn PluginHost>,
        request: CreateRequest,
        _: Duration,
    ) -> BoxFuture<'static, Result<Arc<dyn Instance>, Failure>> {
        let instance = FakeInstance {
            name: request.instance,
            script: self.script.clone(),
            journal: self.journal.clone(),
            runtime: Arc::default(),
        };
        async move { Ok(Arc::new(instance) as Arc<dyn Instance>) }.boxed()
    }
}

impl FakeInstance {
    fn play(&self, entry: &str, steps: &Mutex<VecDeque<Step>>) -> BoxFuture<'static, Result<(), Failure>> {
        self.journal.lock().unwrap().push(format!("{entry} {}", self.name));
        let step = steps.lock().unwrap().pop_front().unwrap_or(Step::Succeed);
        let runtime = self.runtime.clone();
        let never = move |state| {
            *runtime.lock().unwrap() = state;
            std::future::pending()
        };
        async move {
            match step {
                Step::Succeed => Ok(()),
                Step::Take(time) => {
                    sleep(time).await;
                    Ok(())
                }
                Step::Fail(failure) => Err(failure),
                Step::Panic => panic!("as the test wants it"),
                Step::Hang => never(Runtime::Turns).await,
                Step::Block => never(Runtime::Blocked).await,
                Step::Starve => never(Runtime::Starved).await,
            }
        }
        .boxed()
    }
}

impl Instance for FakeInstance {
    fn init(&self) -> BoxFuture<'static, Result<(), Failure>> {
        self.play("init", &self.script.init)
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), Failure>> {
        *self.script.probes.lock().unwrap() += 1;
        self.play("probe", &self.script.probe)
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Failure>> {
        self.play("stop", &self.script.stop)
    }

    fn call(&self, _: &CallHeader, _: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        let runtime = *self.runtime.lock().unwrap();
        async move {
            match runtime {
                Runtime::Turns => {}
                Runtime::Blocked => std::future::pending().await,
                Runtime::Starved => {
                    advance(5 * SECOND).await;
                    sleep(SECOND / 2).await;
                }
            }
            Ok(b"null".to_vec())
        }
        .boxed()
    }

    fn open(&self, _: &CallHeader, _: Vec<u8>, _: PipeEnd) -> BoxFuture<'static, Result<(), OperationError>> {
        async { Ok(()) }.boxed()
    }
}

/// Plugins to be run, one after another in the order of their dependencies.
#[derive(Default)]
struct World {
    units: Vec<Unit>,
    specs: Vec<PluginSpec>,
    nodes: Vec<graph::Node>,
    journal: Journal,
}

/// A world that runs.
struct Running {
    board: Board,
    lifecycle: Lifecycle,
    journal: Journal,
    began: Instant,
}

impl World {
    /// A plugin that requires these others and follows a script.
    fn plugin(self, name: &str, requires: &[&str], script: Script) -> Self {
        let manifest: Manifest = serde_json::from_value(
            json!({ "name": name, "version": "0", "kind": "service", "settings": {} }),
        )
        .unwrap();
        let origin =
            Origin { path: PathBuf::new(), rustc: String::new(), target: String::new(), abi_version: 1 };
        let library =
            Arc::new(Fake { manifest, origin, script: Arc::new(script), journal: self.journal.clone() });
        let request = Box::new(CreateRequest {
            instance: name.to_owned(),
            settings: json!({}),
            log_level: "info".into(),
            data_dir: String::new(),
            config_dir: String::new(),
            dependencies: Vec::new(),
        });
        self.standing(name, requires, Standing::Startable { library, request })
    }

    fn standing(mut self, name: &str, requires: &[&str], standing: Standing) -> Self {
        let pace = Pace {
            init_timeout: 10 * SECOND,
            probe_interval: Some(30 * SECOND),
            probe_timeout: 5 * SECOND,
            attempts: 3,
            backoff: Backoff { base: SECOND, cap: 30 * SECOND },
            recovery: 300 * SECOND,
            heartbeat: 30 * SECOND,
        };
        let dependencies = requires.iter().map(|name| ((*name).to_owned(), true)).collect();
        self.units.push(Unit {
            name: name.to_owned(),
            standing,
            dependencies,
            pace,
            before: Before::default(),
        });
        let dependencies = requires.iter().map(|name| DependencySpec {
            name: (*name).to_owned(),
            required: true,
            named: true,
        });
        self.specs.push(PluginSpec {
            dependencies: dependencies.collect(),
            probe_interval: Some(30 * SECOND),
            max_attempts: 3,
            ..PluginSpec::new(name)
        });
        let need =
            |name: &&str| graph::Need { role: (*name).into(), instance: (*name).into(), disabled: false };
        let requires = requires.iter().map(need).collect();
        self.nodes.push(graph::Node { name: name.into(), requires, ..graph::Node::default() });
        self
    }

    fn start(self) -> Running {
        let board = Board::new(BoardConfig {
            boot_id: "test".into(),
            version: "0".into(),
            plugins: self.specs,
            now: jiff::Timestamp::now(),
        });
        let metrics = CallMetrics::register(&prometheus::Registry::new()).unwrap();
        let switch =
            Switch::new(&board, Arc::new(|_| Vec::new()), Scrubber::default(), metrics, Arc::new(|_, _| {}));
        let plan = Arc::new(graph::plan(self.nodes).unwrap());
        let began = Instant::now();
        let lifecycle = Lifecycle::start(self.units, plan, &board, &switch, &Scrubber::default());
        Running { board, lifecycle, journal: self.journal, began }
    }
}

impl Running {
    /// Waits until the snapshot is so, at most an hour of paused time.
    async fn until(&self, what: &str, condition: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut changes = self.board.subscribe();
        let wait = async {
            while !condition(&self.board.snapshot()) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(3600 * SECOND, wait).await.is_err() {
            panic!("never {what}: {:#?}", self.board.snapshot().plugins);
        }
        self.board.snapshot()
    }

    async fn until_status(&self, name: &str, status: Status) -> Arc<Snapshot> {
        self.until(&format!("{name} {status}"), |snapshot| snapshot.plugin(name).unwrap().status == status)
            .await
    }

    fn journal(&self) -> Vec<String> {
        self.journal.lock().unwrap().clone()
    }

    fn count(&self, entry: &str) -> usize {
        self.journal().iter().filter(|line| *line == entry).count()
    }
}

fn steps(steps: impl IntoIterator<Item = Step>) -> Mutex<VecDeque<Step>> {
    Mutex::new(steps.into_iter().collect())
}

fn init(steps_of_init: impl IntoIterator<Item = Step>) -> Script {
    Script { init: steps(steps_of_init), ..Script::default() }
}

fn refused() -> Step {
    Step::Fail(Failure::refused("nobody listens"))
}

#[tokio::test(start_paused = true)]
async fn each_starts_as_soon_as_its_dependencies_have_settled() {
    let take = |seconds| init([Step::Take(seconds * SECOND)]);
    let world = World::default()
        .plugin("slow", &[], take(5))
        .plugin("quick", &[], take(1))
        .plugin("after_quick", &["quick"], take(2))
        .plugin("last", &["slow", "after_quick"], take(1))
        .start();
    let snapshot = world.until("a critical path", |snapshot| !snapshot.start.critical_path.is_empty()).await;
    assert_eq!(snapshot.start.critical_path, ["slow", "last"]);
    assert_eq!(world.began.elapsed().as_secs(), 6);
    // The first two start at the same moment.
    assert_eq!(world.journal()[2..], ["init after_quick", "init last"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ready_is_retried_then_in_error_then_recovered_soon() {
    let world =
        World::default().plugin("mail", &[], init([refused(), refused(), refused(), refused()])).start();
    world.until_status("mail", Status::Initializing).await;
    let snapshot = world.until_status("mail", Status::Error).await;
    assert_eq!(world.count("init mail"), 3);
    assert_eq!(snapshot.plugin("mail").unwrap().reason.as_ref().unwrap().code, ReasonCode::Refused);
    assert!(world.began.elapsed() <= 3 * SECOND, "two waits of at most one and two seconds");
    world.until_status("mail", Status::Connected).await;
    assert_eq!(world.count("init mail"), 5);
    assert!(world.began.elapsed() <= 13 * SECOND, "two waits of about four seconds");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ready_for_long_is_asked_less_and_less_often() {
    let world = World::default().plugin("mail", &[], init((0..10_000).map(|_| refused()))).start();
    let attempts_until = async |end: Duration| {
        tokio::time::sleep_until(world.began + end).await;
        world.count("init mail")
    };
    let minute = attempts_until(60 * SECOND).await;
    assert!((12..20).contains(&minute), "{minute} attempts in the first minute");
    let hour = attempts_until(3600 * SECOND).await - minute;
    assert!((18..35).contains(&hour), "{hour} attempts in the first hour");
    let day = attempts_until(24 * 3600 * SECOND).await;
    let next_day = attempts_until(48 * 3600 * SECOND).await - day;
    assert!((262..320).contains(&next_day), "every five minutes: {next_day} attempts in a day");
}

#[tokio::test(start_paused = true)]
async fn a_dependent_that_is_not_ready_is_tried_again_as_soon_as_what_it_requires_comes_back() {
    let away = Step::Fail(Failure::unavailable("the store takes nothing").certain());
    let world = World::default()
        .plugin("store", &[], init([refused()]))
        .plugin("memory", &["store"], init([away]))
        .start();
    world.until_status("memory", Status::Error).await;
    world.until_status("store", Status::Connected).await;
    let store = world.began.elapsed();
    world.until_status("memory", Status::Connected).await;
    assert_eq!(world.began.elapsed(), store, "by itself it would have waited for about 30 s");
}

#[tokio::test(start_paused = true)]
async fn a_setting_is_not_mended_by_what_comes_back() {
    let wrong = Step::Fail(Failure::auth_invalid("the login is refused").setting("password"));
    let world = World::default()
        .plugin("store", &[], init([refused()]))
        .plugin("memory", &["store"], init([wrong]))
        .start();
    world.until_status("store", Status::Connected).await;
    sleep(60 * SECOND).await;
    assert_eq!(world.count("init memory"), 1, "a login that is refused again and again may be locked");
}

#[tokio::test(start_paused = true)]
async fn what_is_certain_is_an_error_at_once_and_ends_within_a_probe() {
    let full = || Step::Fail(Failure::unavailable("the disk is full").certain());
    let world = World::default().plugin("store", &[], init([full(), full()])).start();
    let snapshot = world.until_status("store", Status::Error).await;
    assert_eq!(world.count("init store"), 1);
    assert!(snapshot.plugin("store").unwrap().reason.as_ref().unwrap().retryable);
    world.until_status("store", Status::Connected).await;
    assert_eq!(world.count("init store"), 3);
    assert!(world.began.elapsed() <= 70 * SECOND, "two intervals of a probe");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_setting_is_an_error_at_once_and_verify_tries_again() {
    let wrong = Step::Fail(Failure::auth_invalid("the login is refused").setting("password"));
    let world = World::default().plugin("mail", &[], init([wrong])).start();
    world.until_status("mail", Status::Error).await;
    assert_eq!(world.count("init mail"), 1);
    world.lifecycle.verify("mail").await.unwrap();
    assert_eq!(world.board.snapshot().plugin("mail").unwrap().status, Status::Connected);
    assert_eq!(world.began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn consent_connects_at_once_without_a_restart() {
    let consent = || Step::Fail(Failure::consent_required("nobody has authorised it yet").href("/oauth"));
    let world = World::default().plugin("calendar", &[], init([consent()])).start();
    world.until_status("calendar", Status::Disconnected).await;
    sleep(3600 * SECOND).await;
    assert_eq!(world.count("init calendar"), 1, "nothing is retried without a person");
    let asked = Instant::now();
    world.lifecycle.report("calendar", Report::Success).unwrap();
    let snapshot = world.until_status("calendar", Status::Connected).await;
    assert!(asked.elapsed() <= SECOND);
    assert_eq!(snapshot.plugin("calendar").unwrap().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_configured_holds_its_dependents_and_nobody_else() {
    let missing = || Standing::NotConfigured { missing: vec!["KEY".into()], message: None };
    let world = World::default()
        .standing("model", &[], missing())
        .plugin("memory", &["model"], Script::default())
        .plugin("messages", &["memory"], Script::default())
        .plugin("store", &[], Script::default())
        .start();
    let snapshot = world.until("settled", |snapshot| snapshot.settled).await;
    let status = |name: &str| snapshot.plugin(name).unwrap().status;
    assert_eq!(status("model"), Status::NotConfigured);
    assert_eq!(status("memory"), Status::NotInitialized);
    assert_eq!(status("messages"), Status::NotInitialized);
    assert_eq!(status("store"), Status::Connected);
    assert_eq!(snapshot.plugin("messages").unwrap().root_causes, ["model"]);
    assert_eq!(world.journal(), ["init store"]);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_in_error_lets_its_dependents_start() {
    let broken = Step::Fail(Failure::internal("it is broken"));
    let world = World::default()
        .plugin("model", &[], init([broken]))
        .plugin("memory", &["model"], Script::default())
        .start();
    let snapshot = world.until_status("memory", Status::Connected).await;
    let memory = snapshot.plugin("memory").unwrap();
    assert!(!memory.healthy);
    assert_eq!(memory.blocked_by, ["model"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_init_is_repeated_on_the_same_instance() {
    let world = World::default().plugin("mail", &[], init([Step::Hang])).start();
    let snapshot = world.until_status("mail", Status::Connected).await;
    assert_eq!(snapshot.plugin("mail").unwrap().generation, 1);
    assert!(world.began.elapsed() >= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_instance_is_given_up_and_replaced() {
    let world = World::default().plugin("mail", &[], init([Step::Block])).start();
    let snapshot = world.until_status("mail", Status::Connected).await;
    assert_eq!(snapshot.plugin("mail").unwrap().generation, 2);
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_not_given_up_for_a_machine_that_stands_still() {
    let world = World::default().plugin("mail", &[], init([Step::Starve])).start();
    let snapshot = world.until_status("mail", Status::Connected).await;
    assert_eq!(snapshot.plugin("mail").unwrap().generation, 1);
}

#[tokio::test(start_paused = true)]
async fn instances_are_given_up_only_so_often() {
    let world = World::default().plugin("mail", &[], init(vec![Step::Block; 50])).start();
    let crashed = |snapshot: &Snapshot| {
        snapshot
            .plugin("mail")
            .unwrap()
            .reason
            .as_ref()
            .is_some_and(|reason| reason.code == ReasonCode::Crashed)
    };
    let snapshot = world.until("crashed", crashed).await;
    assert_eq!(snapshot.plugin("mail").unwrap().status, Status::Error);
    assert_eq!(world.count("init mail"), 5);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_noticed_and_healed_without_a_restart() {
    let outage = Script { probe: steps(vec![refused(); 6]), ..Script::default() };
    let world =
        World::default().plugin("store", &[], outage).plugin("memory", &["store"], Script::default()).start();
    world.until_status("store", Status::Connected).await;
    let snapshot = world.until_status("store", Status::Error).await;
    assert_eq!(world.count("probe store"), 3);
    assert_eq!(snapshot.plugin("memory").unwrap().status, Status::Connected);
    let snapshot = world.until_status("store", Status::Connected).await;
    assert_eq!(world.count("probe store"), 8, "two successes after six failures");
    assert_eq!(world.count("init store"), 1);
    assert_eq!(snapshot.plugin("store").unwrap().generation, 1);
    assert!(world.began.elapsed() < 120 * SECOND, "failed probes are repeated faster than the interval");
}

#[tokio::test(start_paused = true)]
async fn who_verifies_at_the_same_time_shares_one_probe() {
    let slow = Script { probe: steps([Step::Take(SECOND)]), ..Script::default() };
    let world = World::default().plugin("store", &[], slow).start();
    world.until_status("store", Status::Connected).await;
    let asked = (0..20).map(|_| world.lifecycle.verify("store"));
    for outcome in join_all(asked).await {
        outcome.unwrap();
    }
    assert_eq!(world.count("probe store"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_plugin_that_reports_success_is_not_probed() {
    let world = World::default().plugin("model", &[], Script::default()).start();
    world.until_status("model", Status::Connected).await;
    for _ in 0..120 {
        world.lifecycle.report("model", Report::Success).unwrap();
        sleep(SECOND).await;
    }
    assert_eq!(world.count("probe model"), 0);
}

#[tokio::test(start_paused = true)]
async fn everything_stops_in_reverse_order_even_what_hangs() {
    let hangs = || Script { stop: steps([Step::Hang]), ..Script::default() };
    let world = World::default()
        .plugin("store", &[], Script::default())
        .plugin("memory", &["store"], hangs())
        .plugin("messages", &["memory"], Script::default())
        .start();
    world.until("settled", |snapshot| snapshot.settled).await;
    world.lifecycle.stop(5 * SECOND).await;
    let stops: Vec<String> = world.journal().into_iter().filter(|line| line.starts_with("stop")).collect();
    assert_eq!(stops, ["stop messages", "stop memory", "stop store"]);
    assert_eq!(world.began.elapsed().as_secs(), 5);
    let snapshot = world.board.snapshot();
    assert!(snapshot.plugins.iter().all(|plugin| plugin.status == Status::NotInitialized));
    assert!(world.lifecycle.verify("store").await.is_err());
}

/// As when the database of all of them is away.
#[tokio::test(start_paused = true)]
async fn plugins_that_hang_share_the_grace_period() {
    let hangs = || Script { stop: steps([Step::Hang]), ..Script::default() };
    let world = World::default()
        .plugin("store", &[], hangs())
        .plugin("memory", &["store"], hangs())
        .plugin("messages", &["memory"], hangs())
        .start();
    world.until("settled", |snapshot| snapshot.settled).await;
    world.lifecycle.stop(5 * SECOND).await;
    assert_eq!((world.count("stop store"), world.began.elapsed().as_secs()), (1, 7));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_an_attempt() {
    let world = World::default().plugin("mail", &[], init([Step::Hang])).start();
    world.until_status("mail", Status::Initializing).await;
    world.lifecycle.stop(5 * SECOND).await;
    assert_eq!(world.began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_plugins_start_within_their_critical_path() {
    let mut world = World::default();
    let mut longest: HashMap<usize, Duration> = HashMap::new();
    for index in 0..1000_usize {
        let dependencies: Vec<usize> =
            (1..4).filter_map(|step| index.checked_sub(step * 7 + index % 5)).collect();
        let own = Duration::from_millis(10 + (index as u64 * 37) % 90);
        let before = dependencies.iter().map(|dependency| longest[dependency]).max().unwrap_or_default();
        longest.insert(index, before + own);
        let names: Vec<String> = dependencies.iter().map(|dependency| format!("p{dependency}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world = world.plugin(&format!("p{index}"), &names, init([Step::Take(own)]));
    }
    let world = world.start();
    let snapshot = world.until("a critical path", |snapshot| !snapshot.start.critical_path.is_empty()).await;
    let expected = longest.values().max().unwrap();
    assert!(world.began.elapsed() <= expected.mul_f64(1.05), "{:?} > {expected:?}", world.began.elapsed());
    assert_eq!(snapshot.counts.connected, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_plugin_is_the_next_generation_and_the_others_go_on() {
    let world =
        World::default().plugin("mail", &[], Script::default()).plugin("sms", &[], Script::default()).start();
    world.until_status("mail", Status::Connected).await;
    world.until_status("sms", Status::Connected).await;
    let left = world.lifecycle.stop_some(|name| name == "mail", SECOND).await;
    assert_eq!(left["mail"], Before { generation: 1, abandoned: 0 });
    assert_eq!(world.board.snapshot().plugin("mail").unwrap().status, Status::NotInitialized);

    let again = World { journal: world.journal.clone(), ..World::default() };
    let mut again = again.plugin("mail", &[], Script::default()).plugin("sms", &[], Script::default());
    again.units.retain(|unit| unit.name == "mail");
    again.units[0].before = left["mail"];
    world.lifecycle.resume(again.units, Arc::new(graph::plan(again.nodes).unwrap()));
    let snapshot = world.until_status("mail", Status::Connected).await;
    assert_eq!(snapshot.plugin("mail").unwrap().generation, 2);
    assert_eq!((world.count("init mail"), world.count("init sms"), world.count("stop sms")), (2, 1, 0));
    world.lifecycle.stop(SECOND).await;
    assert_eq!((world.count("stop mail"), world.count("stop sms")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_plugin_that_is_stopped_waits_no_longer() {
    let world = World::default()
        .plugin("slow", &[], init([Step::Take(9 * SECOND)]))
        .plugin("after", &["slow"], Script::default())
        .start();
    world.until_status("slow", Status::Initializing).await;
    world.lifecycle.stop_some(|name| name == "slow", SECOND).await;
    world.until_status("after", Status::Connected).await;
    assert!(world.began.elapsed() < 9 * SECOND);
}

//! A plan becomes a lifecycle over fake plugins, which sleep instead of starting, and write down for how long.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::{Failure, OperationError},
    manifest::Manifest,
    pipe::PipeEnd,
    protocol::{CallHeader, CreateRequest},
};
use serde_json::json;
use switchboard::{
    graph::{self, Need, Node},
    lifecycle::{Backoff, Before, Lifecycle, Pace, Standing, Unit},
    loader::{Instance, Library, Origin, PluginHost},
    scrub::Scrubber,
    status::{Board, BoardConfig, DependencySpec, PluginSpec},
    switch::{CallMetrics, Switch},
};

use super::Plan;

/// How long each start took.
type Starts = Arc<Mutex<HashMap<usize, Duration>>>;

/// A thousand plugins that have not started.
pub struct World {
    units: Vec<Unit>,
    specs: Vec<PluginSpec>,
    nodes: Vec<Node>,
    starts: Starts,
}

impl World {
    /// Everything that a host reads before it starts.
    pub fn new(plan: &Plan) -> Self {
        let starts = Starts::default();
        let plugins = plan.dependencies.iter().zip(&plan.delays).enumerate();
        let (mut units, mut specs, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (dependencies, delay)) in plugins {
            let dependencies: Vec<String> = dependencies.iter().map(|on| name(*on)).collect();
            units.push(unit(number, &dependencies, *delay, &starts));
            specs.push(spec(number, &dependencies));
            let requires = dependencies.iter().map(Need::new).collect();
            nodes.push(Node { requires, ..Node::new(name(number)) });
        }
        Self { units, specs, nodes, starts }
    }

    /// Starts all of it. How long it took until the board said that everything has settled, and how long each plugin took.
    pub async fn run(self) -> (Duration, HashMap<usize, Duration>) {
        let board = Board::new(BoardConfig {
            boot_id: "bench".into(),
            version: "0".into(),
            plugins: self.specs,
            now: jiff::Timestamp::now(),
        });
        let metrics = CallMetrics::register(&prometheus::Registry::new()).expect("the registry is new");
        let switch =
            Switch::new(&board, Arc::new(|_| Vec::new()), Scrubber::default(), metrics, Arc::new(|_, _| {}));
        let plan = graph::plan(self.nodes).expect("each depends on those before it");
        let mut changes = board.subscribe();
        let began = Instant::now();
        let lifecycle = Lifecycle::start(self.units, Arc::new(plan), &board, &switch, &Scrubber::default());
        while !board.snapshot().settled {
            changes.changed().await.expect("the board is here");
        }
        let took = began.elapsed();
        // The next round begins when nothing of this one runs.
        lifecycle.stop(Duration::ZERO).await;
        let starts = self.starts.lock().expect("nobody panics in it");
        (took, starts.clone())
    }
}

/// Names that sort against the order of dependencies.
fn name(number: usize) -> String {
    format!("p{:04}", 9999 - number)
}

fn unit(number: usize, dependencies: &[String], delay: Duration, starts: &Starts) -> Unit {
    let manifest = json!({ "name": name(number), "version": "0", "kind": "service", "settings": {} });
    let manifest = serde_json::from_value(manifest).expect("it is a manifest");
    let origin = Origin { path: PathBuf::new(), rustc: String::new(), target: String::new(), abi_version: 1 };
    let library = Arc::new(Fake { number, manifest, origin, delay, starts: starts.clone() });
    let request = Box::new(CreateRequest {
        instance: name(number),
        settings: json!({}),
        log_level: "info".into(),
        data_dir: String::new(),
        config_dir: String::new(),
        dependencies: Vec::new(),
    });
    Unit {
        name: name(number),
        standing: Standing::Startable { library, request },
        dependencies: dependencies.iter().map(|on| (on.clone(), true)).collect(),
        pace: pace(),
        before: Before::default(),
    }
}

fn pace() -> Pace {
    let second = Duration::from_secs(1);
    Pace {
        init_timeout: 10 * second,
        probe_interval: Some(60 * second),
        probe_timeout: 5 * second,
        attempts: 5,
        backoff: Backoff { base: second, cap: 30 * second },
        recovery: 300 * second,
        heartbeat: 60 * second,
    }
}

fn spec(number: usize, dependencies: &[String]) -> PluginSpec {
    let dependency = |on: &String| DependencySpec { name: on.clone(), required: true, named: true };
    PluginSpec {
        dependencies: dependencies.iter().map(dependency).collect(),
        probe_interval: Some(Duration::from_secs(60)),
        ..PluginSpec::new(name(number))
    }
}

struct Fake {
    number: usize,
    manifest: Manifest,
    origin: Origin,
    delay: Duration,
    starts: Starts,
}

struct FakeInstance {
    number: usize,
    delay: Duration,
    starts: Starts,
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
        _: CreateRequest,
        _: Duration,
    ) -> BoxFuture<'static, Result<Arc<dyn Instance>, Failure>> {
        let instance = FakeInstance { number: self.number, delay: self.delay, starts: self.starts.clone() };
        async move { Ok(Arc::new(instance) as Arc<dyn Instance>) }.boxed()
    }
}

impl Instance for FakeInstance {
    fn init(&self) -> BoxFuture<'static, Result<(), Failure>> {
        let (number, delay, starts) = (self.number, self.delay, self.starts.clone());
        async move {
            let began = Instant::now();
            tokio::time::sleep(delay).await;
            starts.lock().expect("nobody panics in it").insert(number, began.elapsed());
            Ok(())
        }
        .boxed()
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn call(&self, _: &CallHeader, _: Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        async { Ok(b"null".to_vec()) }.boxed()
    }

    fn open(&self, _: &CallHeader, _: Vec<u8>, _: PipeEnd) -> BoxFuture<'static, Result<(), OperationError>> {
        async { Ok(()) }.boxed()
    }
}

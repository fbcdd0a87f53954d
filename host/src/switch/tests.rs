//! What the switch makes of outcomes, with instances that answer as they are told: whose fault a failure is, and that no
//! caller makes a plugin fail that works.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Mutex, PoisonError},
};

use futures_util::{FutureExt, future::BoxFuture};
use plugin_abi::boundary::{FRAME_TEXT, Frame};
use plugin_api::{
    error::{ErrorKind, Failure, FixHint, ReasonCode},
    pipe::PipeEnd,
    protocol::CloseReason,
    requests::host::Trouble,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    loader::PluginHost,
    status::{BoardConfig, Finding, PluginSpec},
};

/// In the words of an error with which a stream is refused.
const UNTAKEN: &str = "not even taken";

/// Answers as the payload says, or asks another plugin the same and fails when that fails.
struct Scripted {
    host: Arc<dyn PluginHost>,
    asks: Option<&'static str>,
}

impl Scripted {
    fn answer(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        let Some(plugin) = self.asks else {
            let told: Value = serde_json::from_slice(&payload).unwrap();
            return async move {
                match told {
                    Value::Bool(_) => panic!("as the test wants it"),
                    Value::Number(status) => {
                        Ok(format!("{{\"status\":{status},\"headers\":[]}}").into_bytes())
                    }
                    Value::Null => Ok(b"null".to_vec()),
                    Value::String(_) => pending().await,
                    error => Err(serde_json::from_value(error).unwrap()),
                }
            }
            .boxed();
        };
        let inner = CallHeader { plugin: plugin.to_owned(), operation: "work".to_owned(), ..header.clone() };
        let asked = self.host.call(inner, payload);
        let is_page = header.operation == "other";
        async move {
            match asked.await {
                Err(_) if is_page => Ok(b"{\"status\":503}".to_vec()),
                asked => asked.map_err(|error| OperationError::unavailable(format!("not done: {error}"))),
            }
        }
        .boxed()
    }
}

impl Instance for Scripted {
    fn init(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn stop(&self) -> BoxFuture<'static, Result<(), Failure>> {
        async { Ok(()) }.boxed()
    }

    fn call(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        self.answer(header, payload)
    }

    fn open(
        &self,
        header: &CallHeader,
        payload: Vec<u8>,
        end: PipeEnd,
    ) -> BoxFuture<'static, Result<(), OperationError>> {
        let takes = !payload.windows(UNTAKEN.len()).any(|part| part == UNTAKEN.as_bytes());
        let answer = self.answer(header, payload);
        async move {
            if takes {
                // Taken, before it ends.
                let _ = end.recv().await;
            }
            answer.await.map(drop)
        }
        .boxed()
    }
}

/// The store is in trouble for a while already, and all others by it.
fn older_trouble() -> Causes {
    Arc::new(|_| {
        let (name, status) = ("store".to_owned(), "error".to_owned());
        let (code, message) = (Some(ReasonCode::Refused), Some("the store refuses connections".to_owned()));
        vec![RootCause { name, status, code, message }]
    })
}

/// The root cause if the store has answered so by itself.
fn told_of_store(error: &OperationError) -> RootCause {
    let (name, status) = ("store".to_owned(), "error".to_owned());
    RootCause { name, status, code: Some(outcome::code(error)), message: Some(error.message.clone()) }
}

/// `alarm` asks `web`, which asks `store`.
struct World {
    switch: Switch,
    board: Board,
    registry: prometheus::Registry,
    told: Arc<Mutex<BTreeMap<String, Vec<Finding>>>>,
}

const CHAIN: [(&str, Option<&str>); 3] = [("alarm", Some("web")), ("web", Some("store")), ("store", None)];

impl World {
    fn new() -> Self {
        Self::with_causes(Arc::new(|_| Vec::new()))
    }

    fn with_causes(causes: Causes) -> Self {
        let registry = prometheus::Registry::new();
        let metrics = CallMetrics::register(&registry).unwrap();
        let scrubber = Scrubber::default();
        scrubber.add(["hunter22".to_owned()]);
        let (boot_id, version) = ("test".to_owned(), "0".to_owned());
        let now = jiff::Timestamp::now();
        let plugins = CHAIN.iter().map(|(name, _)| PluginSpec::new(*name)).collect();
        let board = Board::new(BoardConfig { boot_id, version, plugins, now });
        let switch = Switch::new(&board, causes, scrubber, metrics, Arc::new(|_, _| {}));
        let told: Arc<Mutex<BTreeMap<String, Vec<Finding>>>> = Arc::default();
        let sink = told.clone();
        switch.tell_failing(Arc::new(move |name, findings| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), findings);
        }));
        switch.add(CHAIN.iter().map(|(name, asks)| slot(name, *asks, &["work", "other"])));
        let world = Self { switch, board, registry, told };
        CHAIN.iter().for_each(|(name, asks)| world.attach(name, *asks));
        world
    }

    fn attach(&self, name: &str, asks: Option<&'static str>) {
        let instance = Scripted { host: self.switch.end(name), asks };
        self.switch.attach(name, Arc::new(instance));
    }

    async fn call(
        &self,
        plugin: &str,
        deadline_ms: Option<u64>,
        told: &Value,
    ) -> Result<Vec<u8>, OperationError> {
        self.call_of(plugin, "work", deadline_ms, told).await
    }

    /// `other` serves a route.
    async fn call_of(
        &self,
        plugin: &str,
        operation: &str,
        deadline_ms: Option<u64>,
        told: &Value,
    ) -> Result<Vec<u8>, OperationError> {
        let header = CallHeader {
            plugin: plugin.to_owned(),
            operation: operation.to_owned(),
            deadline_ms,
            ..CallHeader::default()
        };
        self.switch.call(&Caller::Operator, header, serde_json::to_vec(told).unwrap()).await
    }

    /// The streams of a plugin have the same operation under another name.
    async fn stream(&self, plugin: &str, told: &Value) -> PipeEnd {
        self.open(plugin, told).await.unwrap()
    }

    async fn open(&self, plugin: &str, told: &Value) -> Result<PipeEnd, OperationError> {
        let header =
            CallHeader { plugin: plugin.to_owned(), operation: "flow".to_owned(), ..CallHeader::default() };
        let payload = serde_json::to_vec(told).unwrap();
        self.switch.open(&Caller::Operator, header, payload).await
    }

    /// What fails in a plugin, as it was told last.
    fn failing(&self, plugin: &str) -> Vec<Finding> {
        self.switch.sweep();
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(plugin).cloned().unwrap_or_default()
    }
}

fn slot(name: &str, asks: Option<&str>, operations: &[&str]) -> SlotSpec {
    let operation =
        |name: &&str| json!({ "name": name, "mode": "call", "about": "", "request": {}, "response": {} });
    let mut operations: Vec<_> = operations.iter().map(operation).collect();
    operations.push(json!({ "name": "flow", "mode": "stream", "about": "", "request": {}, "response": {} }));
    let route = json!({ "method": "GET", "path": "/page", "operation": "other", "access": "public" });
    let manifest = json!({
        "name": name, "version": "1", "kind": "service", "settings": {}, "operations": operations,
        "routes": [route],
    });
    SlotSpec {
        name: name.to_owned(),
        manifest: Arc::new(serde_json::from_value(manifest).unwrap()),
        callers: None,
        needs: Default::default(),
        links: asks.iter().map(|asks| ((*asks).to_owned(), (*asks).to_owned())).collect(),
        limits: Limits::new(Duration::from_secs(10), 4, 4),
        tools: ToolPolicy::default(),
    }
}

#[tokio::test]
async fn nobody_may_ask_anything_but_a_guard() {
    let world = World::new();
    let ask = async |plugin: &str, operation: &str| {
        let header = CallHeader {
            plugin: plugin.to_owned(),
            operation: operation.to_owned(),
            ..CallHeader::default()
        };
        world.switch.call(&Caller::Nobody, header, b"null".to_vec()).await.map_err(|error| error.kind)
    };
    let mut guarded = slot("store", None, &["work", "other"]);
    let mut manifest = Manifest::clone(&guarded.manifest);
    manifest.operations[1].guard = true;
    guarded.manifest = Arc::new(manifest);
    world.switch.add([guarded]);
    world.attach("store", None);
    assert_eq!(ask("store", "work").await, Err(ErrorKind::Internal));
    assert_eq!(ask("store", "nothing").await, Err(ErrorKind::Internal));
    assert_eq!(ask("host", "reload").await, Err(ErrorKind::NotFound), "the host itself is no plugin to it");
    assert!(ask("store", "other").await.is_ok());
    let header =
        CallHeader { plugin: "store".to_owned(), operation: "flow".to_owned(), ..CallHeader::default() };
    let opened = world.switch.open(&Caller::Nobody, header, Vec::new()).await;
    assert_eq!(opened.err().map(|error| error.kind), Some(ErrorKind::Internal));
}

#[tokio::test]
async fn operations_about_people_are_for_the_plugins_that_are_named() {
    let world = World::new();
    let ask = async |caller: &str, callers: Option<&[&str]>| {
        let mut store = slot("store", None, &["work"]);
        let mut manifest = Manifest::clone(&store.manifest);
        manifest.operations[0].callers = Some(vec!["web".to_owned()]);
        store.manifest = Arc::new(manifest);
        store.callers = callers.map(|callers| callers.iter().map(|caller| (*caller).to_owned()).collect());
        world.switch.add([store, slot("web", Some("store"), &[]), slot("mail", Some("store"), &[])]);
        world.attach("store", None);
        let header =
            CallHeader { plugin: "store".to_owned(), operation: "work".to_owned(), ..CallHeader::default() };
        let caller = Caller::Plugin(caller.into());
        world
            .switch
            .call(&caller, header, b"null".to_vec())
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let refused = "denied: `mail` may not call `store.work`, which is about people: name it in `callers` of \
                   `[plugins.store]` if it should";
    assert_eq!(ask("web", None).await, Ok(()));
    assert_eq!(ask("mail", None).await, Err(refused.to_owned()));
    assert_eq!(ask("mail", Some(&["mail"])).await, Ok(()));
    assert_eq!(ask("web", Some(&["mail"])).await, Err(refused.replace("`mail`", "`web`")));
    assert!(world.call("store", None, &Value::Null).await.is_ok(), "operators may");
}

#[tokio::test]
async fn an_operation_refuses_whoever_is_less_certain_than_it_needs() {
    let world = World::new();
    let levels = [Level::Own, Level::Withheld, Level::Shown, Level::Attested, Level::Signed];
    let add = |needs: Option<Level>, of_operator: Option<Level>| {
        let mut store = slot("store", None, &["work"]);
        let mut manifest = Manifest::clone(&store.manifest);
        manifest.operations[0].needs = needs;
        manifest.operations[1].needs = needs;
        manifest.operations[0].tool = true;
        store.manifest = Arc::new(manifest);
        store.needs = of_operator.map(|level| ("work".to_owned(), level)).into_iter().collect();
        let mut web = slot("web", Some("store"), &[]);
        web.tools.allow = vec![Pattern::new("*")];
        world.switch.add([store, web]);
        world.attach("store", None);
    };
    let header = |operation: &str, person: Option<&str>, level| CallHeader {
        plugin: "store".to_owned(),
        operation: operation.to_owned(),
        person: person.map(str::to_owned),
        level,
        ..CallHeader::default()
    };
    let web = Caller::Plugin("web".into());
    let kind = |error: OperationError| error.kind;
    for needs in levels {
        for level in levels {
            let expected = if level < needs { Err(ErrorKind::Denied) } else { Ok(()) };
            add(Some(needs), None);
            let work = || header("work", Some("ada"), Some(level));
            let called = world.switch.call(&web, work(), b"null".to_vec()).await.map(drop).map_err(kind);
            assert_eq!(called, expected, "{level:?} of {needs:?}");
            let opened =
                world.switch.open(&web, header("flow", Some("ada"), Some(level)), b"{}".to_vec()).await;
            assert_eq!(
                opened.map(drop).map_err(kind).is_err_and(|kind| kind == ErrorKind::Denied),
                expected.is_err()
            );
            let tool = world.switch.call_tool("web", "store.work", work(), b"null".to_vec(), false).await;
            assert_eq!(tool.map(drop).map_err(kind), expected, "as a tool");
            assert_eq!(
                world.switch.tools("web", Some(level)).len(),
                usize::from(level >= needs),
                "not even offered"
            );
            add(None, Some(needs));
            let called = world.switch.call(&web, work(), b"null".to_vec()).await.map(drop).map_err(kind);
            assert_eq!(called, expected, "as plugins.toml says");
        }
        add(Some(needs), None);
        let nobody = world.switch.call(&web, header("work", None, None), b"null".to_vec()).await;
        assert!(nobody.is_ok(), "a plugin for itself");
        let unsaid = world.switch.call(&web, header("work", Some("ada"), None), b"null".to_vec()).await;
        assert_eq!(unsaid.is_ok(), needs <= Level::Shown, "a person without a level is merely shown");
        assert!(world.call("store", None, &Value::Null).await.is_ok(), "operators may");
    }
    add(Some(Level::Signed), Some(Level::Shown));
    let shown =
        world.switch.call(&web, header("work", Some("ada"), Some(Level::Shown)), b"null".to_vec()).await;
    assert!(shown.is_ok(), "plugins.toml lowers it");
    add(Some(Level::Attested), None);
    let refused = world.switch.call(&web, header("work", Some("ada"), None), b"null".to_vec()).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "denied: `store.work` needs a person of level `attested`, and whoever speaks here is `shown`: it is not certain \
         enough who they are"
    );
}

fn error(kind: &str) -> Value {
    json!({ "kind": kind, "message": "hunter22 is refused" })
}

fn metrics(world: &World) -> String {
    prometheus::TextEncoder::new().encode_to_string(&world.registry.gather()).unwrap()
}

#[tokio::test]
async fn a_cause_is_counted_once_along_a_chain_of_calls() {
    let world = World::new();
    for _ in 0..20 {
        world.call("alarm", None, &error("internal")).await.unwrap_err();
    }
    assert_eq!((world.failing("alarm"), world.failing("web")), (vec![], vec![]));
    let [finding] = &*world.failing("store") else { panic!("the store fails, and once") };
    assert_eq!((finding.operation.as_deref(), finding.failures), (Some("work"), 20));
    assert_eq!(finding.callers, ["alarm", "web"]);
    assert_eq!((finding.code, finding.message.as_str()), (ReasonCode::Internal, "[secret] is refused"));
    for _ in 0..21 {
        world.call("alarm", None, &Value::Null).await.unwrap();
    }
    assert_eq!(world.failing("store"), []);
}

#[tokio::test]
async fn who_fails_by_itself_is_not_excused_by_what_failed_in_other_events() {
    let world = World::new();
    world.call("web", None, &error("internal")).await.unwrap_err();
    // Another plugin under the name, that asks nobody.
    world.attach("web", None);
    for _ in 0..20 {
        world.call("web", None, &error("panicked")).await.unwrap_err();
    }
    assert_eq!(world.failing("web")[0].code, ReasonCode::Panicked);
    assert_eq!(world.failing("store"), []);
}

#[tokio::test]
async fn the_failure_of_who_is_unhealthy_is_no_failure_in_use_of_its_callers() {
    let causes: Causes = Arc::new(|name| {
        let cause =
            RootCause { name: "store".to_owned(), status: "error".to_owned(), code: None, message: None };
        if name == "alarm" { Vec::new() } else { vec![cause] }
    });
    let world = World::with_causes(causes);
    // No instance: nothing reaches it.
    drop(world.switch.detach("store"));
    for _ in 0..20 {
        world.call("alarm", None, &Value::Null).await.unwrap_err();
    }
    assert!(CHAIN.iter().all(|(name, _)| world.failing(name).is_empty()));
}

#[tokio::test]
async fn an_older_and_different_error_is_not_the_cause_of_a_new_one() {
    let world = World::with_causes(older_trouble());
    let full = OperationError::internal("the disk is full");
    let told = serde_json::to_value(&full).unwrap();
    let direct = world.call("store", None, &told).await.unwrap_err();
    assert_eq!(direct.root_causes, [], "its own words say it");
    for relaying in ["web", "alarm"] {
        let relayed = world.call(relaying, None, &told).await.unwrap_err();
        assert_eq!(relayed.root_causes, [told_of_store(&full)], "{relaying}");
        assert!(relayed.message.ends_with("the disk is full"), "{relayed}");
    }
    // The same in other words is no different error.
    let same = serde_json::to_value(OperationError::unavailable("the store refuses connections: once more"))
        .unwrap();
    let direct = world.call("store", None, &same).await.unwrap_err();
    assert_eq!(direct.root_causes, older_trouble()("store"));
    // Refusing a wrong request is no trouble of the store.
    for relaying in ["web", "alarm"] {
        let relayed = world.call(relaying, None, &error("denied")).await.unwrap_err();
        assert_eq!((relayed.kind, &*relayed.root_causes), (ErrorKind::Unavailable, &[][..]), "{relaying}");
    }
}

#[tokio::test]
async fn what_a_plugin_does_wrong_by_itself_is_not_caused_by_what_it_requires() {
    let world = World::with_causes(older_trouble());
    world.attach("web", None);
    for kind in ["panicked", "internal", "unknown_outcome"] {
        let failed = world.call("web", None, &error(kind)).await.unwrap_err();
        assert_eq!(failed.root_causes, [], "{kind}");
    }
    // It may know what is away, and not ask.
    let failed = world.call("web", None, &error("unavailable")).await.unwrap_err();
    assert_eq!(failed.root_causes, older_trouble()("web"));
    // Without an answer, what is known is all there is.
    drop(world.switch.detach("web"));
    let failed = world.call("web", None, &error("internal")).await.unwrap_err();
    assert_eq!(failed.root_causes, older_trouble()("web"));
}

#[tokio::test]
async fn the_end_of_a_stream_has_no_older_cause_either() {
    let world = World::with_causes(older_trouble());
    let full = OperationError::internal("the disk is full");
    let told = serde_json::to_value(&full).unwrap();
    for (plugin, expected) in [("store", vec![]), ("web", vec![told_of_store(&full)])] {
        let end = world.stream(plugin, &told).await;
        end.send(Frame { kind: FRAME_TEXT, data: Vec::new().into() }).await.unwrap();
        let closed = end.recv().await.err().unwrap();
        assert_eq!(closed.error.as_ref().unwrap().root_causes, expected, "{plugin}");

        let full = OperationError::internal(format!("the disk is full, {UNTAKEN}"));
        let expected: Vec<_> = expected.iter().map(|_| told_of_store(&full)).collect();
        let refused = world.open(plugin, &serde_json::to_value(&full).unwrap()).await.err().unwrap();
        assert_eq!(refused.root_causes, expected, "{plugin}");
    }
    // Nobody serves it: what is known is all there is.
    drop(world.switch.detach("store"));
    let refused = world.open("store", &told).await.err().unwrap();
    assert_eq!(refused.root_causes, older_trouble()("store"));
}

#[tokio::test]
async fn a_stream_that_is_refused_has_counted_when_the_opener_hears_of_it() {
    let world = World::new();
    for _ in 0..20 {
        let refused =
            world.open("store", &json!({ "kind": "internal", "message": UNTAKEN })).await.err().unwrap();
        assert_eq!(refused.kind, ErrorKind::Internal);
    }
    assert_eq!(world.failing("store")[0].failures, 20);
}

#[tokio::test]
async fn a_panic_of_the_host_itself_is_told_and_ends_one_stream_or_call_alone() {
    let world = World::new();
    let end = world.stream("store", &json!(true)).await;
    end.send(Frame { kind: FRAME_TEXT, data: Vec::new().into() }).await.unwrap();
    let closed = end.recv().await.err().unwrap();
    assert_eq!(closed.message, "the host itself panicked while it served the stream");
    // A plugin's call to the host.
    let asked = world.call("web", None, &json!(true)).await.unwrap_err();
    assert_eq!(asked.message, "not done: internal: the host itself panicked while it served the call");
    let panics = world.board.snapshot().panics.clone();
    let told: Vec<_> =
        panics.iter().map(|(task, panics)| (task.as_str(), panics.count, panics.of.as_deref())).collect();
    assert_eq!(told, [("call", 1, Some("web")), ("stream", 1, Some("store"))]);
    for _ in 0..20 {
        let end = world.stream("store", &json!(true)).await;
        end.send(Frame { kind: FRAME_TEXT, data: Vec::new().into() }).await.unwrap();
        end.recv().await.err().unwrap();
    }
    assert_eq!(world.failing("store"), [], "it is the host's fault");
    world.call("web", None, &Value::Null).await.unwrap();
}

#[tokio::test]
async fn trouble_counts_whatever_the_kind_and_brings_its_fix() {
    let world = World::new();
    let denied = OperationError::denied("the key may not use the model")
        .with_trouble(ReasonCode::Forbidden)
        .with_fix(FixHint::label("Allow it").href("https://vendor.example/hunter22"));
    let denied = serde_json::to_value(denied).unwrap();
    for _ in 0..20 {
        world.call("store", None, &denied).await.unwrap_err();
    }
    let finding = &world.failing("store")[0];
    assert_eq!(finding.code, ReasonCode::Forbidden);
    let expected = FixHint::label("Allow it").href("https://vendor.example/[secret]");
    assert_eq!(finding.hint.as_ref(), Some(&expected));
}

#[tokio::test(start_paused = true)]
async fn only_the_plugins_own_limit_makes_a_deadline_its_fault() {
    let world = World::new();
    for _ in 0..20 {
        world.call("store", Some(9_999), &json!("hang")).await.unwrap_err();
    }
    assert_eq!(world.failing("store"), []);
    for _ in 0..20 {
        world.call("store", Some(10_000), &json!("hang")).await.unwrap_err();
    }
    assert_eq!(world.failing("store")[0].code, ReasonCode::Timeout);
}

#[tokio::test(start_paused = true)]
async fn the_switchs_own_refusals_are_nobodys_fault() {
    let world = World::new();
    let hang = json!("hang");
    let calls = (0..40).map(|_| world.call("store", Some(9_000), &hang));
    let outcomes = futures_util::future::join_all(calls).await;
    let kinds: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap_err().kind).collect();
    assert!(kinds.contains(&ErrorKind::Overloaded) && kinds.contains(&ErrorKind::Deadline));
    assert_eq!(world.failing("store"), []);
    for _ in 0..20 {
        world.call("store", None, &error("overloaded")).await.unwrap_err();
    }
    assert_eq!(world.failing("store").len(), 1, "the plugin says so itself");
}

#[tokio::test]
async fn the_outcome_of_a_stream_is_its_close() {
    let world = World::new();
    for _ in 0..20 {
        // The opener's own end is no outcome, whatever reason it gives.
        let end = world.stream("store", &json!("hang")).await;
        end.close(CloseReason::failed(OperationError::internal("mine")));
        drop(world.stream("store", &json!("hang")).await);
    }
    for _ in 0..20 {
        let end = world.stream("store", &error("internal")).await;
        end.send(Frame { kind: FRAME_TEXT, data: Vec::new().into() }).await.unwrap();
        assert_eq!(end.recv().await.err().unwrap().error.as_ref().unwrap().kind, ErrorKind::Internal);
    }
    let failing = async {
        while world.failing("store").iter().all(|finding| finding.failures < 20) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failing).await.expect("it fails");
    assert_eq!(world.failing("store")[0].failures, 20);
    assert_eq!(world.failing("store")[0].operation.as_deref(), Some("flow"));
}

#[tokio::test]
async fn the_outcome_of_a_route_is_the_status_that_its_client_sees() {
    let world = World::new();
    let page = async |told: Value| {
        world.call_of("store", "other", None, &told).await.unwrap();
    };
    for status in [500, 502, 503, 504, 507].repeat(4) {
        page(json!(status)).await;
    }
    let [finding] = &*world.failing("store") else { panic!("the store fails, and once") };
    assert_eq!((finding.operation.as_deref(), finding.failures), (Some("other"), 20));
    assert_eq!((finding.code, &*finding.message), (ReasonCode::Internal, "it answered with HTTP status 507"));
    // Errors of the client neither end it nor add to it.
    for status in [400, 404, 429, 501].repeat(10) {
        page(json!(status)).await;
    }
    assert_eq!(world.failing("store")[0].failures, 20);
    for status in [200, 302].repeat(11) {
        page(json!(status)).await;
    }
    assert_eq!(world.failing("store"), []);
    // The same numbers are no status where no route is served.
    for _ in 0..20 {
        world.call("store", None, &json!(500)).await.unwrap();
    }
    assert_eq!(world.failing("store"), []);
    // No client can read this.
    for _ in 0..40 {
        page(Value::Null).await;
    }
    assert_eq!(world.failing("store")[0].message, "it gave an answer that is not an HTTP response");
}

#[tokio::test]
async fn a_route_that_passes_a_failure_on_does_not_count_as_failing() {
    let world = World::new();
    for _ in 0..20 {
        world.call_of("web", "other", None, &error("internal")).await.unwrap();
    }
    assert_eq!(world.failing("web"), []);
    assert_eq!(world.failing("store")[0].callers, ["web"]);
}

#[tokio::test]
async fn troubles_are_judged_raised_shortened_and_acknowledged() {
    let world = World::new();
    let raise = |trouble| world.switch.trouble("store", trouble);
    let long = Failure::quota(format!("hunter22 {}", "x".repeat(900)));
    raise(Trouble::raised("credit", long).operation("work")).unwrap();
    let finding = &world.failing("store")[0];
    assert_eq!(finding.message.chars().count(), 300);
    assert!(finding.message.starts_with("[secret] x"));

    let refused = |trouble: Trouble, expected: &str| {
        let error = raise(trouble).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, expected));
    };
    let failure = || Failure::quota("no credit");
    refused(
        Trouble::raised("No key", failure()),
        "`No key` is not a key of a trouble: it must be snake_case, of at most 64 letters",
    );
    refused(
        Trouble { cleared: false, ..Trouble::cleared("credit") },
        "the trouble `credit` of `store` needs `code` and `message`, or `\"cleared\": true`",
    );
    refused(
        Trouble::raised("credit", failure()).operation("wrok"),
        "`store` has no operation `wrok` (did you mean `work`?)",
    );
    refused(
        Trouble::raised("credit", Failure::new(ReasonCode::LoadFailed, "no")),
        "`load_failed` is reserved for the host: choose another code",
    );
    for number in 1..16 {
        raise(Trouble::raised(format!("t{number}"), failure())).unwrap();
    }
    refused(
        Trouble::raised("more", failure()),
        "`store` has raised 16 troubles, which is the limit: clear one first",
    );
    assert_eq!(world.switch.acknowledge("store", None, Some("more")).len(), 0);
    assert_eq!(world.switch.acknowledge("store", Some("work"), None).len(), 1);
    assert_eq!(world.switch.acknowledge("store", None, None).len(), 15);
    assert_eq!(world.failing("store"), []);
}

#[tokio::test]
async fn another_instance_and_another_manifest_take_over_what_fails() {
    let world = World::new();
    world.switch.trouble("store", Trouble::raised("credit", Failure::quota("none"))).unwrap();
    for _ in 0..20 {
        world.call("store", None, &error("internal")).await.unwrap_err();
    }
    world.switch.add([slot("store", None, &["work"])]);
    world.attach("store", None);
    assert_eq!(world.failing("store").len(), 2, "no reload makes health green");
    world.call("store", None, &Value::Null).await.unwrap();
    assert_eq!(world.failing("store").len(), 1, "the trouble ends by the successor's first success");
    world.call("store", None, &Value::Null).await.unwrap();
    assert_eq!(world.failing("store"), []);
}

#[tokio::test]
async fn the_metrics_of_what_was_removed_go_with_it() {
    let world = World::new();
    for plugin in ["web", "store"] {
        world.call(plugin, None, &error("internal")).await.unwrap_err();
    }
    assert!(metrics(&world).contains("operation=\"other\",plugin=\"store\""));
    world.switch.add([slot("store", None, &["work"])]);
    let text = metrics(&world);
    assert!(!text.contains("operation=\"other\",plugin=\"store\""), "{text}");
    assert!(text.contains("operation=\"work\",plugin=\"store\""), "{text}");

    world.switch.remove([&"store".to_owned()]);
    let text = metrics(&world);
    assert!(!text.contains("plugin=\"store\""), "{text}");
    assert!(
        text.contains(
            "switchboard_call_errors_total{kind=\"unavailable\",operation=\"work\",plugin=\"web\"} 1"
        )
    );
}

/// What a caller can do: ask what makes no sense, or leave too little time.
fn nuisances() -> impl Strategy<Value = (Option<u64>, Value)> {
    let wrong = prop::sample::select(vec!["invalid", "denied", "not_found", "conflict", "cancelled"]);
    let hasty =
        prop::sample::select(vec!["internal", "unavailable", "unknown_outcome", "overloaded", "deadline"]);
    prop_oneof![
        (prop::option::of(0..20_000_u64), wrong).prop_map(|(deadline, kind)| (deadline, error(kind))),
        (0..1000_u64, hasty).prop_map(|(deadline, kind)| (Some(deadline), error(kind))),
        (0..9_999_u64).prop_map(|deadline| (Some(deadline), json!("hang"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_caller_makes_a_plugin_fail_that_works(
        calls in prop::collection::vec((nuisances(), prop::sample::select(vec!["alarm", "web", "store"])), 20..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            for ((deadline, told), plugin) in &calls {
                // Whoever asks through another one is answered in that one's words, which count as its own.
                let plugin = if told["kind"].is_string() && deadline.is_none_or(|deadline| deadline >= 1000) { "store" } else { plugin };
                let _ = world.call(plugin, *deadline, told).await;
            }
            for (name, _) in CHAIN {
                prop_assert_eq!(world.failing(name), vec![]);
            }
            Ok(())
        })?;
    }
}

//! A plugin behind the boundary's own code: what its host sees of panics, errors, cancellation, logs and calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use expect_test::{Expect, expect};
use plugin_api::{
    prelude::*,
    protocol::{CallHeader, CloseReason},
    requests::host::{Report, Trouble},
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin},
};

/// Says which entry misbehaves.
#[plugin_api::settings]
struct Settings {
    panics_in: Option<String>,
    #[expect(dead_code, reason = "only its Debug form matters")]
    password: Option<Secret>,
}

struct Subject {
    settings: Settings,
    context: Context,
}

/// Set by the destructor of a future that was dropped before it ended.
static DROPPED: AtomicBool = AtomicBool::new(false);

struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        DROPPED.store(true, Ordering::SeqCst);
    }
}

#[plugin_api::message]
struct Lookup {
    key: String,
}

impl Request for Lookup {
    const OPERATION: &'static str = "lookup";
    type Response = String;
}

impl Plugin for Subject {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("subject")
            .requires("store")
            .wants("spare")
            .operation(Operation::new("fail", Self::fail))
            .operation(Operation::new("panic", Self::panic))
            .operation(Operation::new("hang", Self::hang))
            .operation(Operation::new("ask", Self::ask))
            .operation(Operation::new("follow", Self::follow))
            .operation(Operation::new("trespass", Self::trespass))
            .operation(Operation::new("log", Self::log))
            .operation(Operation::new("log_of_a_message", Self::log_of_a_message))
            .operation(Operation::new("struggle", Self::struggle))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        maybe_panic(&settings, "create");
        Ok(Self { settings, context })
    }

    async fn init(&self) -> Result<(), Failure> {
        maybe_panic(&self.settings, "init");
        Err(Failure::auth_invalid("the server rejects the password").setting("password"))
    }

    async fn stop(&self) {
        maybe_panic(&self.settings, "stop");
    }
}

fn maybe_panic(settings: &Settings, entry: &str) {
    assert!(settings.panics_in.as_deref() != Some(entry), "{entry} misbehaves");
}

impl Subject {
    async fn fail(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        Err(OperationError::conflict("it is there already").details(json!({ "id": 7 })))
    }

    async fn panic(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        panic!("operation misbehaves");
    }

    async fn hang(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        let _guard = OnDrop;
        std::future::pending().await
    }

    async fn ask(self: Arc<Self>, _: Empty, _: Call) -> Result<String, OperationError> {
        self.context.dependency("store")?.call(Lookup { key: "colour".into() }).await
    }

    async fn follow(self: Arc<Self>, feed: String, _: Call) -> Result<String, OperationError> {
        let stream = self.context.dependency("store")?.open(&feed, &"from here").await?;
        let gone = |reason: CloseReason| OperationError::internal(reason.message);
        stream.send(Frame::Text("one".into())).await.map_err(gone)?;
        let answer = stream.recv().await.map_err(gone)?;
        let end = stream.recv().await.expect_err("the fake ends");
        Ok(format!("{answer:?}, then {}", end.message))
    }

    async fn trespass(self: Arc<Self>, name: String, _: Call) -> Result<(), OperationError> {
        self.context.dependency(&name).map(drop)
    }

    async fn log(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        plugin_api::tracing::info!(answer = 42, name = "Ada", "something happened");
        self.context.host().report(Report::Success).await
    }

    async fn log_of_a_message(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        let error = OperationError::denied("not today");
        plugin_api::tracing::warn!(message = "SM1", part = 2, "it could not be sent: {}", error.message);
        plugin_api::tracing::warn!(message = %error, "it could not be read");
        plugin_api::tracing::warn!(message = "nothing else is said");
        Ok(())
    }

    async fn struggle(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        let failure = Failure::quota("the account has no credit left").href("https://vendor.example");
        let trouble = Trouble::raised("credit", failure.clone()).operation("struggle").label("Top up");
        self.context.host().trouble(trouble).await?;
        self.context.host().trouble_cleared("credit").await?;
        Err(failure)?
    }
}

fn subject(settings: Value) -> TestInstance<Subject> {
    TestPlugin::new(settings)
        .fake_json("store", "lookup", |header, request| {
            let traced = header.trace.as_deref() == Some("0af7651916cd43dd8448eb211c80319c");
            let timed = header.deadline_ms.is_some_and(|left| left <= 5000);
            Ok(json!(format!("{} of {:?}, traced {traced}, timed {timed}", request["key"], header.person)))
        })
        .fake_stream("store", "feed", |_, request, stream| async move {
            let Ok(frame) = stream.recv().await else { return Ok(()) };
            let _ = stream.send(Frame::Text(format!("{frame:?} {request}"))).await;
            Ok(())
        })
        .fake_stream("store", "closed", |_, _, _| async { Err(OperationError::denied("not today")) })
        .create()
        .unwrap()
}

fn check(error: impl std::fmt::Display, expected: Expect) {
    // The line of a panic moves with every edit.
    let text = error.to_string();
    let text = text.rsplit_once(".rs:").map_or(text.clone(), |(start, _)| format!("{start}.rs"));
    expected.assert_eq(&text);
}

#[test]
fn a_panic_in_create_is_a_failure_with_its_place() {
    let failure = TestPlugin::<Subject>::new(json!({ "panics_in": "create" })).create().err().unwrap();
    assert_eq!(failure.code, ReasonCode::Panicked);
    check(failure, expect!["panicked: panicked: create misbehaves at plugin-api/tests/instance.rs"]);
}

#[tokio::test]
async fn a_panic_in_init_is_a_failure_and_the_instance_lives_on() {
    let subject = subject(json!({ "panics_in": "init" }));
    check(
        subject.init().await.unwrap_err(),
        expect!["panicked: panicked: init misbehaves at plugin-api/tests/instance.rs"],
    );
    check(
        subject.init().await.unwrap_err(),
        expect!["panicked: panicked: init misbehaves at plugin-api/tests/instance.rs"],
    );
    assert_eq!(
        subject.call_json("ask", json!({})).await.unwrap(),
        "\"colour\" of None, traced false, timed false"
    );
}

#[tokio::test]
async fn failures_and_errors_arrive_whole() {
    let subject = subject(json!({}));
    let failure = subject.init().await.unwrap_err();
    assert_eq!(failure.setting.as_deref(), Some("password"));
    check(failure, expect!["auth_invalid: the server rejects the password"]);
    let error = subject.call_json("fail", json!({})).await.unwrap_err();
    assert_eq!(error.details, Some(json!({ "id": 7 })));
    check(error, expect!["conflict: it is there already"]);
    check(
        subject.call_json("panic", json!({})).await.unwrap_err(),
        expect!["panicked: panicked: operation misbehaves at plugin-api/tests/instance.rs"],
    );
    check(
        subject.call_json("fly", json!({})).await.unwrap_err(),
        expect!["not_found: there is no operation `fly`"],
    );
    check(
        subject.call_json("trespass", json!(7)).await.unwrap_err(),
        expect![
            "invalid: the request does not fit: invalid type: integer `7`, expected a string at line 1 column 1"
        ],
    );
}

#[tokio::test]
async fn a_missing_probe_tells_its_author_what_to_do() {
    check(
        subject(json!({})).probe().await.unwrap_err(),
        expect![
            "internal: the manifest promises a probe, but the plugin implements none: write `probe`, or declare `without_probe()`"
        ],
    );
}

#[tokio::test]
async fn a_panic_in_stop_is_contained() {
    check(
        subject(json!({ "panics_in": "stop" })).stop().await.unwrap_err(),
        expect!["panicked: panicked: stop misbehaves at plugin-api/tests/instance.rs"],
    );
}

#[tokio::test]
async fn only_declared_and_named_dependencies_can_be_called() {
    let subject = subject(json!({}));
    check(
        subject.call_json("trespass", json!("bank")).await.unwrap_err(),
        expect![
            "denied: `subject` calls `bank`, which its manifest does not declare: add `.requires(\"bank\")` or `.wants(\"bank\")`"
        ],
    );
    check(
        subject.call_json("trespass", json!("spare")).await.unwrap_err(),
        expect!["unavailable: plugins.toml does not name `spare`"],
    );
}

#[tokio::test]
async fn trace_person_and_deadline_travel_along() {
    let header = CallHeader {
        operation: "ask".into(),
        trace: Some("0af7651916cd43dd8448eb211c80319c".into()),
        person: Some("ada".into()),
        deadline_ms: Some(5000),
        ..CallHeader::default()
    };
    #[plugin_api::message]
    struct Ask {}
    impl Request for Ask {
        const OPERATION: &'static str = "ask";
        type Response = String;
    }
    let answer = subject(json!({})).call_with(header, Ask {}).await.unwrap();
    assert_eq!(answer, "\"colour\" of Some(\"ada\"), traced true, timed true");
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_the_work() {
    let subject = subject(json!({}));
    let call = subject.call_json("hang", json!({}));
    let gave_up = tokio::time::timeout(Duration::from_millis(50), call).await;
    assert!(gave_up.is_err());
    let ended = tokio::time::timeout(Duration::from_secs(10), async {
        while !DROPPED.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    });
    ended.await.expect("the operation's future is dropped");
}

#[tokio::test]
async fn logs_and_reports_reach_the_host() {
    let subject = subject(json!({}));
    subject.call_json("log", json!({})).await.unwrap();
    let logs = subject.logs();
    let record =
        logs.iter().find(|record| record.message == "something happened").expect("the record arrives");
    assert_eq!((record.level.as_str(), record.target.as_str()), ("INFO", "instance"));
    assert_eq!(Value::Object(record.fields.clone()), json!({ "answer": 42, "name": "Ada" }));
    assert!(matches!(subject.reports().as_slice(), [Report::Success]));
}

#[tokio::test]
async fn a_field_named_message_does_not_hide_the_text() {
    let subject = subject(json!({}));
    subject.call_json("log_of_a_message", json!({})).await.unwrap();
    let logs = subject.logs();
    let warned = logs.iter().filter(|record| record.level == "WARN");
    let warned: Vec<_> =
        warned.map(|record| (record.message.as_str(), Value::Object(record.fields.clone()))).collect();
    assert_eq!(
        warned,
        [
            ("it could not be sent: not today", json!({ "message": "SM1", "part": 2 })),
            ("it could not be read", json!({ "message": "denied: not today" })),
            ("nothing else is said", json!({})),
        ]
    );
}

#[tokio::test]
async fn troubles_reach_the_host_and_travel_with_errors() {
    let subject = subject(json!({}));
    let error = subject.call_json("struggle", json!({})).await.unwrap_err();
    assert_eq!((error.kind, error.trouble), (ErrorKind::Unavailable, Some(ReasonCode::Quota)));
    assert_eq!(error.fix.unwrap().href.as_deref(), Some("https://vendor.example"));
    assert_eq!(
        serde_json::to_value(subject.troubles()).unwrap(),
        json!([
            {
                "key": "credit", "code": "quota", "message": "the account has no credit left",
                "fix": { "label": "Top up", "href": "https://vendor.example" }, "operation": "struggle",
            },
            { "key": "credit", "cleared": true },
        ])
    );
}

#[test]
fn the_manifest_tells_variables_and_secrets() {
    let manifest = subject(json!({})).manifest();
    assert_eq!(manifest.probe_interval_ms, Some(60_000));
    let password = &manifest.settings["properties"]["password"];
    assert!(password.to_string().contains("\"x-secret\":true"), "{password}");
    assert_eq!(format!("{:?}", Secret::new("hunter2")), "[secret]");
}

#[tokio::test]
async fn a_fake_serves_streams_or_refuses_them() {
    let subject = subject(json!({}));
    let followed = subject.call_json("follow", json!("feed")).await.unwrap();
    let expected = r#"Text("Text(\"one\") \"from here\""), then the stream was served to its end"#;
    assert_eq!(followed, expected);
    let refused = subject.call_json("follow", json!("closed")).await.unwrap_err();
    check(refused, expect!["denied: not today"]);
    let unknown = subject.call_json("follow", json!("nothing")).await.unwrap_err();
    check(unknown, expect!["not_found: the test has no fake for the stream `store.nothing`"]);
}

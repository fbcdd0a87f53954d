//! `TestPlugin` refuses a manifest that a host would refuse, in the same words.

use expect_test::expect;
use plugin_api::{
    prelude::*,
    requests::http::{Admission, HttpRequest},
    serde_json::json,
    testing::TestPlugin,
};

struct Doubtful;

impl Plugin for Doubtful {
    type Settings = NoSettings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("doubtful")
            .without_probe()
            .operation(Operation::new("greet", Self::greet))
            .operation(Operation::new("admit", Self::admit).guard())
            .operation(Operation::new("greet", Self::greet).needs_approval())
            .route(Route::get("/doubtful", "greet").guard("doubtful.nobody"))
            .route(Route::get("/doubtful", "admit").guard("doubtful.admit"))
            .route(Route::get("/login", "admit"))
    }

    fn create(_: NoSettings, _: Context) -> Result<Self, Failure> {
        Ok(Self)
    }
}

impl Doubtful {
    async fn greet(self: Arc<Self>, name: String, _: Call) -> Result<String, OperationError> {
        Ok(format!("Hello, {name}!"))
    }

    async fn admit(self: Arc<Self>, _: HttpRequest, _: Call) -> Result<Admission, OperationError> {
        Ok(Admission::default())
    }
}

#[test]
fn a_manifest_that_cannot_be_used_has_no_instance() {
    let refused = TestPlugin::<Doubtful>::new(json!({})).create().err().expect("it is refused");
    assert_eq!(refused.code, ReasonCode::LoadFailed);
    expect![[r#"
        the manifest cannot be used:
        an integration needs a probe: without one it would be `connected` for ever, whatever happens outside
        operation `greet` is declared twice
        operation `greet` needs approval and is no tool: only tool calls are approved
        route `GET /doubtful` leads to `greet`, which does not take an HTTP request
        route `GET /doubtful` is guarded by `doubtful.nobody`, which is not an operation
        route `GET /login` is a route of the host itself
        route `GET /doubtful` is declared twice"#]]
    .assert_eq(&refused.message.replacen(": ", ":\n", 1).replace("; ", "\n"));
}

//! The examples do what they show: a host within another server, and one behind a serverless handler.

#[path = "../examples/embedded.rs"]
#[expect(dead_code, reason = "`main` is for who runs the example")]
mod embedded;
#[path = "../examples/serverless.rs"]
#[expect(dead_code, reason = "`main` is for who runs the example")]
mod serverless;

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use switchboard::{
    app::Host,
    config::{self, Config, Environment},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A host with one plugin, whose library is not there: health has something to tell.
fn config(folder: &TempDir, variables: &[(&str, &str)]) -> Config {
    let path = folder.path().join("plugins.toml");
    std::fs::write(&path, "[plugins.ghost]\nlibrary = \"./no-such-library.so\"\n")
        .expect("a file can be written");
    load(&path, variables)
}

fn load(path: &Path, variables: &[(&str, &str)]) -> Config {
    config::load(path, &Environment::from_pairs(variables.iter().copied()))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_answers_its_own_routes_and_those_of_the_host() {
    let folder = TempDir::new().expect("a folder");
    let host = Host::start(config(&folder, &[])).await.unwrap_or_else(|error| panic!("{error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let base = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (stop, stopped) = oneshot::channel::<()>();
    let asking = async {
        // An error says that a provider is there, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let get = async |path: &str| client.get(format!("{base}{path}")).send().await.expect("it answers");
        assert_eq!(get("/hello").await.text().await.expect("text"), "Hello from the program around it");
        let health: Value = get("/api/health/integrations/ghost").await.json().await.expect("JSON");
        assert_eq!(health["reason"]["code"], "load_failed", "who asks from here is told details: {health:#}");
        assert_eq!(get("/nothing").await.status(), 404);
        // Somebody looks at the dashboard when it is told to stop.
        let mut events = get("/api/health/events").await;
        assert!(events.chunk().await.expect("it goes on").is_some());
        let _ = stop.send(());
        while events.chunk().await.expect("it ends well").is_some() {}
    };
    let serving = embedded::serve(listener, &host, async { drop(stopped.await) });
    let both = async { tokio::join!(serving, asking) };
    let (served, ()) =
        timeout(LIMIT, both).await.expect("a stream that is open does not keep it from stopping");
    served.expect("it serves until it is told to stop");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serverless_handler_answers_health_and_keeps_details_for_operators() {
    let folder = TempDir::new().expect("a folder");
    let token = "a-token-for-the-operator";
    let function = serverless::Function::start(config(&folder, &[("SWITCHBOARD_TOKEN", token)])).await;
    let function = function.unwrap_or_else(|error| panic!("{error}"));
    let ask = async |event: Value| {
        let request = serverless::request(&event).expect("a good event");
        let response = timeout(LIMIT, function.handle(request)).await.expect("it does not wait for ever");
        let response = response.expect("an answer");
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        (response.status().as_u16(), body)
    };
    let (status, health) = ask(json!({ "path": "/api/health" })).await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")), "{health:#}");
    let path = "/api/health/integrations/ghost";
    let (_, public) = ask(json!({ "path": path })).await;
    assert_eq!((&public["status"], &public["reason"]), (&json!("error"), &Value::Null), "{public:#}");
    let bearer = format!("Bearer {token}");
    let (_, details) = ask(json!({ "path": path, "headers": { "authorization": bearer } })).await;
    assert_eq!(details["reason"]["code"], "load_failed", "{details:#}");
    let (status, _) = ask(json!({ "method": "DELETE", "path": "/api/health" })).await;
    assert_eq!(status, 405);
    let (status, _) = ask(json!({ "path": "/api/health/events" })).await;
    assert_eq!(status, 501, "what never ends cannot be handed back");
    function.stop().await;
}

//! The doctor's walk along consent, scopes and calendar.

use plugin_api::{
    requests::doctor::{Examination, Examine, Verdict},
    serde_json::json,
    testing::database::Database,
    tokio,
};

use super::{
    peer::{Peer, Reply},
    setup::{SCOPES, connect, connected, error, google, no_events, plugin, plugin_with},
};

fn told(found: &Examination) -> Vec<(&str, Verdict)> {
    found.checks.iter().map(|check| (check.name.as_str(), check.verdict)).collect()
}

fn busy() -> Reply {
    Reply::Json(200, json!({ "kind": "calendar#freeBusy", "calendars": { "primary": { "busy": [] } } }))
}

#[tokio::test]
async fn a_connected_account_passes() {
    let peer = google(|heard| if heard.path == "/freeBusy" { busy() } else { no_events() });
    let plugin = connected(&peer).await;
    let found = plugin.call(Examine::default()).await.unwrap();
    assert_eq!(
        told(&found),
        [
            ("oauth_client", Verdict::Ok),
            ("calendar", Verdict::Ok),
            ("scopes", Verdict::Ok),
            ("free_busy", Verdict::Ok)
        ],
        "{found:?}"
    );
}

#[tokio::test]
async fn without_consent_the_link_is_told() {
    let peer = google(|_| no_events());
    let found = plugin(peer.port, &Database::new()).call(Examine::default()).await.unwrap();
    assert_eq!(told(&found), [("oauth_client", Verdict::Ok), ("calendar", Verdict::Failed)]);
    let fix = found.checks[1].fix.as_deref();
    assert_eq!(
        fix,
        Some("follow /api/calendar/oauth/start of this host in a browser, and agree to everything")
    );
}

#[tokio::test]
async fn an_api_that_is_switched_off_leads_to_the_console() {
    let peer = google(|_| error(403, "accessNotConfigured"));
    let plugin = plugin(peer.port, &Database::new());
    connect(&plugin).await;
    let found = plugin.call(Examine::default()).await.unwrap();
    let calendar = found.checks.last().unwrap();
    assert_eq!((calendar.name.as_str(), calendar.verdict), ("calendar", Verdict::Failed));
    assert!(
        calendar.fix.as_ref().is_some_and(|fix| fix.contains("enable the Google Calendar API")),
        "{found:?}"
    );
}

/// The consent was given before more was asked for.
#[tokio::test]
async fn a_scope_that_was_added_later_is_named() {
    let peer = google(|heard| if heard.path == "/freeBusy" { busy() } else { no_events() });
    let database = Database::new();
    connect(&plugin(peer.port, &database)).await;
    let more = "https://www.googleapis.com/auth/calendar.readonly";
    let wanted: Vec<&str> = SCOPES.split(' ').chain([more]).collect();
    let plugin = plugin_with(peer.port, &database, json!({ "scopes": wanted }));
    let found = plugin.call(Examine::default()).await.unwrap();
    let scopes = found.checks.iter().find(|check| check.name == "scopes").unwrap();
    assert_eq!(scopes.seen, format!("the consent does not cover {more}"));
    assert!(scopes.fix.as_ref().is_some_and(|fix| fix.contains("OAuth consent screen > Data access")));
}

#[tokio::test]
async fn google_tells_the_time() {
    let peer = Peer::start(|_| no_events());
    let found = plugin(peer.port, &Database::new()).call(Examine::default()).await.unwrap();
    assert_eq!(found.clock, None, "without consent nobody was asked");
}

//! Changes by sync tokens: page by page, from where a reader left off, and anew when Google forgot.

use expect_test::expect;
use plugin_api::{
    protocol::CallHeader,
    requests::calendar::{Changed, Changes},
    serde_json::{Value, json},
    tokio,
};
use proptest::prelude::*;

use super::{
    peer::{Heard, Peer, Reply},
    setup::{EVENTS, Instance, connected, error, google, no_events},
};
use crate::changes::Cursor;

/// Everything in two pages, then changes since `s1`, then `s1` and all others are forgotten but `s9`.
fn peer() -> Peer {
    let page = |items: Value, key: &str, token: &str| {
        Reply::Json(200, json!({ "kind": "calendar#events", "items": items, key: token }))
    };
    google(move |heard: &Heard| match (heard.parameter("syncToken"), heard.parameter("pageToken")) {
        _ if heard.parameter("fields").is_some() => no_events(),
        (None, None) => page(json!([{ "id": "a" }]), "nextPageToken", "p2"),
        (None, Some("p2")) => page(json!([{ "id": "b" }]), "nextSyncToken", "s1"),
        (Some("s1"), None) => page(json!([{ "id": "a", "status": "cancelled" }]), "nextSyncToken", "s2"),
        (Some("s2"), None) => error(410, "fullSyncRequired"),
        other => panic!("nobody asks for {other:?}"),
    })
}

async fn ask(plugin: &Instance, reader: &str, request: Changes) -> Changed {
    let header = CallHeader { caller: Some(reader.to_owned()), ..CallHeader::default() };
    plugin.call_with(header, request).await.expect("Google answers")
}

/// `id status` of each event, `reset` and `more`.
fn shown(changed: &Changed) -> String {
    let events: Vec<_> =
        changed.events.iter().map(|event| format!("{} {}", event.id, event.status)).collect();
    format!("{} reset={} more={}", events.join(", "), changed.reset, changed.more)
}

#[tokio::test]
async fn a_reader_goes_on_where_it_left_off() {
    let peer = peer();
    let plugin = connected(&peer).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(shown(&ask(&plugin, "scheduler", Changes::default()).await));
    }
    expect![[r#"
        a confirmed reset=true more=true
        b confirmed reset=false more=false
        a cancelled reset=false more=false
        a confirmed reset=true more=true"#]]
    .assert_eq(&told.join("\n"));
    let other = ask(&plugin, "orchestrator", Changes::default()).await;
    assert!(other.reset, "another reader has read nothing yet");
    let restart = ask(&plugin, "scheduler", Changes { restart: true, ..Changes::default() }).await;
    assert!(restart.reset);
    // Google refuses a sync token beside these.
    for sent in
        peer.heard(&format!("GET {EVENTS}")).iter().filter(|sent| sent.parameter("syncToken").is_some())
    {
        for forbidden in ["timeMin", "timeMax", "orderBy", "q"] {
            assert_eq!(sent.parameter(forbidden), None);
        }
    }
}

#[tokio::test]
async fn who_keeps_the_cursor_is_told_the_same_again() {
    let peer = peer();
    let plugin = connected(&peer).await;
    let first = ask(&plugin, "memory", Changes::default()).await;
    let next = || Changes { cursor: Some(first.cursor.clone()), ..Changes::default() };
    let (once, twice) = (ask(&plugin, "memory", next()).await, ask(&plugin, "memory", next()).await);
    assert_eq!(once, twice, "until it gives a newer one");
    let elsewhere = Changes { calendar: Some("team@example.com".into()), ..next() };
    let refused = plugin.call(elsewhere).await.unwrap_err();
    expect!["invalid: `cursor` is not from an answer about calendar `team@example.com`"]
        .assert_eq(&refused.to_string());
}

proptest! {
    #[test]
    fn no_cursor_panics(text in any::<String>()) {
        prop_assert!(Cursor::read(&text, "primary").is_err());
    }
}

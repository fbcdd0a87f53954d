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

/// Google tells of an event that was moved in time as of one event, at its last place; of one that was moved to another
/// calendar, in the first as of a cancelled one. A move while a reader is between two pages comes once more, later.
#[tokio::test]
async fn an_event_that_moves_between_two_syncs_is_told_where_it_is_last() {
    let event = |id: &str, hour: u32| {
        json!({ "id": id, "status": "confirmed", "summary": id, "start": { "dateTime": format!("2031-01-14T{hour}:00:00+01:00") },
            "end": { "dateTime": format!("2031-01-14T{}:00:00+01:00", hour + 1) } })
    };
    let occurrence = move |hour: u32| {
        let mut event = event("weekly_20310114T090000Z", hour);
        event["recurringEventId"] = "weekly".into();
        event["originalStartTime"] = json!({ "dateTime": "2031-01-14T10:00:00+01:00" });
        event
    };
    let peer = google(move |heard: &Heard| {
        let page = |items: Value, key: &str, token: &str| {
            Reply::Json(200, json!({ "kind": "calendar#events", "items": items, key: token }))
        };
        match (heard.parameter("syncToken"), heard.parameter("pageToken")) {
            _ if heard.parameter("fields").is_some() => no_events(),
            (None, None) => page(
                json!([event("moves", 10), event("leaves", 11), event("weekly", 10)]),
                "nextSyncToken",
                "s1",
            ),
            (Some("s1"), None) => page(
                json!([event("moves", 14), { "id": "leaves", "status": "cancelled" }]),
                "nextPageToken",
                "p2",
            ),
            (Some("s1"), Some("p2")) => {
                page(json!([occurrence(16), event("moves", 15)]), "nextSyncToken", "s2")
            }
            (Some("s2"), None) => page(json!([]), "nextSyncToken", "s3"),
            other => panic!("nobody asks for {other:?}"),
        }
    });
    let plugin = connected(&peer).await;
    let first = ask(&plugin, "scheduler", Changes::default()).await;
    assert!(first.reset && !first.more);
    let mut known = std::collections::BTreeMap::new();
    let mut take = |changed: &Changed| {
        for event in &changed.events {
            match event.status.as_str() {
                "cancelled" => known.remove(&event.id),
                _ => known.insert(
                    event.id.clone(),
                    (event.start.clone().unwrap_or_default(), event.recurring_event.clone()),
                ),
            };
        }
        known.clone()
    };
    take(&first);
    loop {
        let changed = ask(&plugin, "scheduler", Changes::default()).await;
        assert!(!changed.reset, "nothing that was known is lost");
        take(&changed);
        if !changed.more {
            break;
        }
    }
    let last = ask(&plugin, "scheduler", Changes::default()).await;
    assert!(last.events.is_empty() && !last.more, "each move is told once");
    let shown: Vec<_> = take(&last)
        .into_iter()
        .map(|(id, (start, of))| format!("{id} {start} {}", of.unwrap_or_default()))
        .collect();
    expect![[r#"
        moves 2031-01-14T15:00:00+01:00 
        weekly 2031-01-14T10:00:00+01:00 
        weekly_20310114T090000Z 2031-01-14T16:00:00+01:00 weekly"#]]
    .assert_eq(&shown.join("\n"));
}

proptest! {
    #[test]
    fn no_cursor_panics(text in any::<String>()) {
        prop_assert!(Cursor::read(&text, "primary").is_err());
    }
}

//! Calls as they are shown: to operators all of them, to people their own.

use plugin_api::{
    error::ErrorKind,
    prelude::HttpResponse,
    protocol::CallHeader,
    requests::voice::{ListCalls, ShowCall},
    serde_json::{self, json},
    tokio,
};

use super::setup::{ADA, BOB, CALL, Phone, World};

fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), ..CallHeader::default() }
}

#[tokio::test]
async fn the_newest_come_first_in_pages() {
    let world = World::default();
    let host = world.host().await;
    for number in 0..5 {
        Phone { call: format!("CA{number}"), ..Phone::ada() }.ring(&host).await;
    }
    world
        .database
        .run("update voice_assistant_calls set started_ms = 100 + cast(substr(call, 3) as integer) / 2");
    let (mut before, mut all) = (None, Vec::new());
    loop {
        let page = host.call(ListCalls { limit: Some(2), before, ..ListCalls::default() }).await.unwrap();
        all.extend(page.calls.into_iter().map(|call| call.call));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(all, ["CA4", "CA2", "CA3", "CA0", "CA1"]);
    let wrong = host.call(ListCalls { limit: Some(0), ..ListCalls::default() }).await.unwrap_err();
    assert_eq!(wrong.message, "`limit` is 0: expected 1 to 200");
    let wrong =
        host.call(ListCalls { before: Some("x".to_owned()), ..ListCalls::default() }).await.unwrap_err();
    assert_eq!(wrong.message, "`before` is not the `next` of an answer");
}

#[tokio::test]
async fn people_see_their_own() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    let listed = host.call_with(on_behalf_of(BOB), ListCalls::default()).await.unwrap();
    assert!(listed.calls.is_empty());
    let theirs = ListCalls { person: Some(ADA.to_owned()), ..ListCalls::default() };
    assert_eq!(host.call_with(on_behalf_of(BOB), theirs.clone()).await.unwrap_err().kind, ErrorKind::Denied);
    assert_eq!(host.call(theirs).await.unwrap().calls.len(), 1);
    let show = || ShowCall { call: CALL.to_owned() };
    let hidden = host.call_with(on_behalf_of(BOB), show()).await.unwrap_err();
    assert_eq!((hidden.kind, hidden.message), (ErrorKind::NotFound, format!("there is no call `{CALL}`")));
    assert!(host.call_with(on_behalf_of(ADA), show()).await.is_ok());
}

#[tokio::test]
async fn the_routes_show_the_same() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    let asked = json!({ "method": "GET", "url": "https://a/api/calls", "query": "live=true&limit=5" });
    let answer: HttpResponse =
        serde_json::from_value(host.call_json("route_calls", asked).await.unwrap()).unwrap();
    let listed: serde_json::Value = serde_json::from_slice(&answer.body.bytes().unwrap()).unwrap();
    assert_eq!(listed["calls"][0]["call"], CALL);
    let asked = json!({ "method": "GET", "url": "https://a", "params": { "call": CALL } });
    let answer: HttpResponse =
        serde_json::from_value(host.call_json("route_call", asked).await.unwrap()).unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&answer.body.bytes().unwrap()).unwrap();
    assert_eq!((&shown["way"], &shown["live"]), (&json!("turns"), &json!(true)));
    assert_eq!(shown["entries"][0]["type"], "said");
    let twice = json!({ "method": "GET", "url": "https://a", "query": "limit=5&limit=6" });
    assert_eq!(host.call_json("route_calls", twice).await.unwrap_err().message, "`limit` is given twice");
}

#[tokio::test]
async fn whether_calls_go_on_is_asked_for_with_true_or_false() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    let asked = |live: &str| json!({ "method": "GET", "url": "https://a", "query": format!("live={live}") });
    for (live, found) in [("true", 1), ("1", 1), ("false", 0), ("0", 0)] {
        let answer = host.call_json("route_calls", asked(live)).await.unwrap();
        let answer: HttpResponse = serde_json::from_value(answer).unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&answer.body.bytes().unwrap()).unwrap();
        assert_eq!(listed["calls"].as_array().unwrap().len(), found, "{live}");
    }
    let wrong = host.call_json("route_calls", asked("yes")).await.unwrap_err();
    assert_eq!(
        (wrong.kind, wrong.message.as_str()),
        (ErrorKind::Invalid, "`live` is `yes`: expected `true` or `false`")
    );
}

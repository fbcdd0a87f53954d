//! The operations on events, against a Google that is slow, rude, busy or away.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use expect_test::{Expect, expect};
use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{
        calendar::{CreateEvent, DeleteEvent, FindFreeSlot, FreeBusy, GetEvent, ListEvents, UpdateEvent},
        http::Body,
    },
    serde_json::{Value, json},
    tokio,
};

use super::{
    peer::{Heard, Peer, Reply},
    setup::{
        EVENTS, Instance, connected, error, google, heading, hurried, keyed, no_events, reported_failure,
        route,
    },
};

/// The read of the calendar that connecting makes.
fn is_probe(heard: &Heard) -> bool {
    heard.parameter("fields").is_some()
}

/// A Google whose calendar is well; everything else is by the script, which is told how often it was asked before.
fn scripted(script: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static) -> Peer {
    let asked = AtomicUsize::new(0);
    google(move |heard| match is_probe(heard) {
        true => no_events(),
        false => script(heard, asked.fetch_add(1, Ordering::SeqCst)),
    })
}

fn an_event(id: &str) -> Value {
    json!({
        "id": id, "status": "confirmed", "summary": "Tea", "etag": "\"7\"",
        "start": { "dateTime": "2031-01-14T10:00:00+01:00" }, "end": { "dateTime": "2031-01-14T11:00:00+01:00" },
    })
}

fn tea() -> CreateEvent {
    CreateEvent {
        title: "Tea".into(),
        start: "2031-01-14T10:00:00+01:00".into(),
        end: "2031-01-14T11:00:00+01:00".into(),
        ..CreateEvent::default()
    }
}

fn rename() -> UpdateEvent {
    UpdateEvent { id: "tea".into(), title: Some("Coffee".into()), ..UpdateEvent::default() }
}

fn check(error: &OperationError, peer: &Peer, expected: Expect) {
    expected.assert_eq(&error.to_string().replace(&format!(":{}", peer.port), ":PORT"));
}

async fn list(plugin: &Instance) -> Result<usize, OperationError> {
    Ok(plugin.call(ListEvents::default()).await?.events.len())
}

#[tokio::test]
async fn a_list_asks_for_occurrences_in_order_and_hands_pages_on() {
    let peer = scripted(|_, _| {
        Reply::Json(
            200,
            json!({ "items": [an_event("a"), { "id": "odd", "start": 7, "attendees": "none" }], "nextPageToken": "p2" }),
        )
    });
    let plugin = connected(&peer).await;
    let request = ListEvents {
        calendar: Some("team/room@example.com".into()),
        from: Some("2031-01-14T00:00:00+01:00".into()),
        ..ListEvents::default()
    };
    let refused = plugin.call(request.clone()).await.unwrap_err();
    check(&refused, &peer, expect!["invalid: `calendar` is `team/room@example.com`, which is no id"]);
    let request = ListEvents { calendar: Some("room#1@example.com".into()), ..request };
    let listed = plugin.call(request).await.unwrap();
    assert_eq!((listed.events.len(), listed.next_page.as_deref()), (2, Some("p2")));
    assert_eq!(listed.events[1].id, "odd");
    let sent = &peer.heard("GET /calendars/room%231@example.com/events")[0];
    for (name, expected) in [
        ("singleEvents", "true"),
        ("orderBy", "startTime"),
        ("timeMin", "2031-01-13T23:00:00Z"),
        ("timeMax", "2031-01-20T23:00:00Z"),
        ("maxResults", "50"),
    ] {
        assert_eq!(sent.parameter(name), Some(expected), "{name}");
    }
}

#[tokio::test]
async fn reads_are_repeated_while_that_helps() {
    for first in [503, 429] {
        let peer =
            scripted(move |_, asked| if asked == 0 { error(first, "backendError") } else { no_events() });
        assert_eq!(list(&connected(&peer).await).await, Ok(0), "after {first}");
    }
    let peer = scripted(|_, asked| if asked == 0 { error(403, "rateLimitExceeded") } else { no_events() });
    assert_eq!(list(&connected(&peer).await).await, Ok(0));
    let peer = scripted(|_, asked| if asked == 0 { Reply::Cut } else { no_events() });
    assert_eq!(list(&connected(&peer).await).await, Ok(0));
    let peer = scripted(|_, asked| if asked == 0 { Reply::Half } else { no_events() });
    assert_eq!(list(&connected(&peer).await).await, Ok(0));

    let peer = scripted(|_, _| error(503, "backendError"));
    let refused = list(&connected(&peer).await).await.unwrap_err();
    check(&refused, &peer, expect!["unavailable: Google answered 503 (`backendError`)"]);
    assert_eq!(peer.heard(&format!("GET {EVENTS}")).len() - 1, 4);
}

#[tokio::test]
async fn who_asks_to_wait_is_waited_for_within_the_deadline() {
    let slow_down = |seconds: &str| Reply::With(429, "Retry-After", seconds.to_owned(), json!({}));
    let peer = scripted(move |_, asked| if asked == 0 { slow_down("1") } else { no_events() });
    assert_eq!(list(&connected(&peer).await).await, Ok(0));

    let peer = scripted(move |_, _| slow_down("3600"));
    let plugin = connected(&peer).await;
    let refused = list(&plugin).await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_ms), (ErrorKind::Overloaded, Some(3_600_000)));
    assert_eq!(peer.heard(&format!("GET {EVENTS}")).len() - 1, 1, "an hour is not waited for");
    assert_eq!(reported_failure(&plugin).await.0, ReasonCode::RateLimited);

    let peer = scripted(move |_, _| slow_down("18446744073709551615"));
    let refused = list(&connected(&peer).await).await.unwrap_err();
    assert_eq!((refused.kind, refused.retry_after_ms), (ErrorKind::Overloaded, Some(86_400_000)));
}

#[tokio::test]
async fn who_never_answers_is_given_up() {
    let peer = scripted(|_, _| Reply::Silence);
    let plugin = connected(&peer).await;
    let refused = plugin.call_with(hurried(700), ListEvents::default()).await.unwrap_err();
    check(
        &refused,
        &peer,
        expect!["deadline: Google had not answered for calendar `primary` when the time ended"],
    );
}

#[tokio::test]
async fn an_event_is_made_under_an_id_of_ours() {
    let peer = scripted(|heard, _| Reply::Json(200, heard.json()));
    let plugin = connected(&peer).await;
    let made = plugin.call_with(keyed("wish-1"), tea()).await.unwrap();
    assert!(!made.repeated);
    let id = made.event.id;
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'v').contains(&byte)),
        "{id}"
    );
    let by_field = CreateEvent { client_id: Some("wish-1".into()), ..tea() };
    assert_eq!(plugin.call(by_field).await.unwrap().event.id, id, "the same wish is the same event");
    assert_ne!(plugin.call_with(keyed("wish-2"), tea()).await.unwrap().event.id, id);
    assert_ne!(plugin.call(tea()).await.unwrap().event.id, plugin.call(tea()).await.unwrap().event.id);
    let other = CallHeader { caller: Some("scheduler".into()), ..keyed("wish-1") };
    assert_ne!(plugin.call_with(other, tea()).await.unwrap().event.id, id, "callers do not share their keys");
    assert_eq!(peer.heard("POST /calendars")[0].parameter("sendUpdates"), Some("all"));
}

/// A Google that keeps what is made, and loses its first answer.
fn forgetful(status: &'static str) -> Peer {
    let made = Arc::new(std::sync::Mutex::new(None::<Value>));
    scripted(move |heard, _| {
        let mut made = made.lock().unwrap();
        match (heard.method.as_str(), made.clone()) {
            ("POST", None) => {
                *made = Some(heard.json());
                Reply::Cut
            }
            ("POST", Some(_)) => error(409, "duplicate"),
            (_, Some(mut event)) => {
                event["status"] = status.into();
                Reply::Json(200, event)
            }
            (_, None) => error(404, "notFound"),
        }
    })
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_event() {
    let peer = forgetful("confirmed");
    let plugin = connected(&peer).await;
    let made = plugin.call_with(keyed("wish"), tea()).await.unwrap();
    assert!(made.repeated, "the second attempt found it there");
    assert_eq!(made.event.title, "Tea");
    let again = plugin.call_with(keyed("wish"), tea()).await.unwrap();
    assert_eq!((again.repeated, again.event), (true, made.event));
    let other = CreateEvent { title: "Coffee".into(), ..tea() };
    let refused = plugin.call_with(keyed("wish"), other).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.starts_with("the same id was used for another event"), "{refused}");
}

#[tokio::test]
async fn an_event_that_was_deleted_since_is_not_called_repeated() {
    let peer = forgetful("cancelled");
    let refused = connected(&peer).await.call_with(keyed("wish"), tea()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("deleted since"), "{refused}");
}

#[tokio::test]
async fn without_a_key_nobody_knows_after_a_lost_answer() {
    let peer = scripted(|_, _| Reply::Cut);
    let plugin = connected(&peer).await;
    let refused = plugin.call(tea()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::UnknownOutcome);
    let id = refused.details.unwrap()["event_id"].as_str().unwrap().to_owned();
    assert!(refused.message.contains(&id));
    let refused = plugin.call_with(keyed("wish"), tea()).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable, "with a key it may be asked for again");
}

#[tokio::test]
async fn a_change_is_sent_once_and_says_what_it_relies_on() {
    let peer = scripted(|_, _| Reply::Json(200, an_event("tea")));
    let plugin = connected(&peer).await;
    let request =
        UpdateEvent { if_match: Some("\"7\"".into()), description: Some(String::new()), ..rename() };
    plugin.call(request).await.unwrap();
    let sent = &peer.heard("PATCH /calendars/primary/events/tea")[0];
    assert_eq!(sent.header("if-match"), Some("\"7\""));
    assert_eq!(sent.json(), json!({ "summary": "Coffee", "description": "" }));
    let moved = UpdateEvent {
        id: "tea".into(),
        start: Some("2031-01-14".into()),
        end: Some("2031-01-15".into()),
        ..UpdateEvent::default()
    };
    plugin.call(moved).await.unwrap();
    let sent = &peer.heard("PATCH")[1].json();
    assert_eq!(sent["start"], json!({ "date": "2031-01-14", "dateTime": null, "timeZone": null }));

    let peer = scripted(|_, _| Reply::Cut);
    let refused = connected(&peer).await.call(rename()).await.unwrap_err();
    check(
        &refused,
        &peer,
        expect![
            "unknown_outcome: Google did not say whether event `tea` of calendar `primary` was changed: read it before you change it again"
        ],
    );
    assert_eq!(peer.heard("PATCH").len(), 1, "it may have been done");
    let peer =
        scripted(|_, asked| if asked == 0 { error(429, "") } else { Reply::Json(200, an_event("tea")) });
    connected(&peer).await.call(rename()).await.unwrap();
    assert_eq!(peer.heard("PATCH").len(), 2, "it was certainly not done");
}

#[tokio::test]
async fn every_refusal_has_its_kind() {
    let cases: [(u16, &str, Expect); 8] = [
        (
            412,
            "conditionNotMet",
            expect!["conflict: event `tea` of calendar `primary` was changed meanwhile: read it again"],
        ),
        (404, "notFound", expect!["not_found: Google knows no event `tea` of calendar `primary`"]),
        (
            403,
            "forbidden",
            expect![
                "denied: the connected account may not do this with event `tea` of calendar `primary` (`forbidden`)"
            ],
        ),
        (403, "quotaExceeded", expect!["overloaded: Google asks to slow down (`quotaExceeded`)"]),
        (
            403,
            "insufficientPermissions",
            expect![
                "unavailable: the consent does not cover what the calendar is used for (`insufficientPermissions`): connect it again and leave every box ticked"
            ],
        ),
        (
            403,
            "accessNotConfigured",
            expect![
                "unavailable: the Google Calendar API is switched off for the project of the OAuth client (`accessNotConfigured`): enable it in Google's console under APIs & Services, Library"
            ],
        ),
        (
            400,
            "invalid",
            expect![
                "invalid: Google refuses the request for event `tea` of calendar `primary`: 400 (`invalid`)"
            ],
        ),
        (
            400,
            "<b>",
            expect!["invalid: Google refuses the request for event `tea` of calendar `primary`: 400 (`b`)"],
        ),
    ];
    for (status, reason, expected) in cases {
        let peer = scripted(move |_, _| error(status, reason));
        check(&connected(&peer).await.call(rename()).await.unwrap_err(), &peer, expected);
    }
    let peer = scripted(|_, _| Reply::Text(200, "<html>a portal</html>"));
    let refused = list(&connected(&peer).await).await.unwrap_err();
    check(&refused, &peer, expect!["internal: `127.0.0.1` does not answer as the Calendar API"]);
}

/// The trouble of a change that Google refuses so, and the setting that it names.
async fn blamed(
    status: u16,
    reason: &'static str,
    request: UpdateEvent,
) -> Option<(ReasonCode, Option<String>)> {
    let peer = scripted(move |_, _| error(status, reason));
    let refused = connected(&peer).await.call(request).await.unwrap_err();
    refused.trouble.map(|code| (code, refused.fix.and_then(|fix| fix.setting)))
}

#[tokio::test]
async fn a_refusal_of_us_is_a_trouble_and_the_callers_mistake_is_none() {
    let calendar = Some((ReasonCode::Forbidden, Some("calendar".to_owned())));
    assert_eq!(blamed(403, "requiredAccessLevel", rename()).await, calendar);
    let theirs = UpdateEvent { calendar: Some("bob@example.com".to_owned()), ..rename() };
    assert_eq!(blamed(403, "requiredAccessLevel", theirs).await, None, "the caller chose the calendar");
    for (reason, code) in [
        ("insufficientPermissions", ReasonCode::ConsentRequired),
        ("accessNotConfigured", ReasonCode::Forbidden),
        ("quotaExceeded", ReasonCode::Quota),
    ] {
        assert_eq!(blamed(403, reason, rename()).await.map(|(code, _)| code), Some(code), "{reason}");
    }
    for (status, reason) in
        [(403, "forbidden"), (404, "notFound"), (412, "conditionNotMet"), (400, "invalid")]
    {
        assert_eq!(blamed(status, reason, rename()).await, None, "{status} {reason}");
    }
}

#[tokio::test]
async fn what_is_gone_already_was_deleted_before() {
    let peer =
        scripted(|_, asked| if asked == 0 { Reply::Json(204, json!({})) } else { error(410, "deleted") });
    let plugin = connected(&peer).await;
    let delete = DeleteEvent { id: "tea".into(), ..DeleteEvent::default() };
    assert!(!plugin.call(delete.clone()).await.unwrap().repeated);
    assert!(plugin.call(delete).await.unwrap().repeated);
}

#[tokio::test]
async fn ids_cannot_lead_elsewhere() {
    let peer = scripted(|_, _| no_events());
    let plugin = connected(&peer).await;
    let asked = peer.heard("").len();
    for id in ["", ".", "..", "../primary", "a?b", "a\u{7}"] {
        let get = plugin.call(GetEvent { id: id.into(), calendar: None }).await;
        assert_eq!(get.unwrap_err().kind, ErrorKind::Invalid, "{id:?}");
    }
    assert_eq!(peer.heard("").len(), asked);
}

#[tokio::test]
async fn long_stretches_of_busy_times_are_asked_for_by_pieces() {
    let peer = scripted(|heard, _| {
        let begin = heard.json()["timeMin"].clone();
        Reply::Json(
            200,
            json!({ "calendars": { "primary": { "busy": [{ "start": begin, "end": begin }] } } }),
        )
    });
    let plugin = connected(&peer).await;
    let request = FreeBusy {
        from: "2031-01-01T00:00:00Z".into(),
        to: "2031-06-01T00:00:00Z".into(),
        ..FreeBusy::default()
    };
    let busy = plugin.call(request.clone()).await.unwrap();
    assert_eq!(busy.calendars["primary"].busy.len(), 3);
    let asked = peer.heard("POST /freeBusy");
    assert_eq!(asked[0].json()["timeMax"], asked[1].json()["timeMin"]);
    assert_eq!(asked[2].json()["timeMax"], "2031-06-01T00:00:00Z");
    let absurd = FreeBusy { to: "2041-06-01T00:00:00Z".into(), ..request };
    assert_eq!(plugin.call(absurd).await.unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_calendar_of_which_nothing_is_known_is_not_free() {
    let peer = scripted(|_, _| {
        let errors = json!([{ "domain": "global", "reason": "notFound" }]);
        Reply::Json(200, json!({ "calendars": { "bob@example.com": { "errors": errors, "busy": [] } } }))
    });
    let request = FindFreeSlot {
        duration_minutes: 30,
        calendars: vec!["bob@example.com".into()],
        ..FindFreeSlot::default()
    };
    let refused = connected(&peer).await.call(request).await.unwrap_err();
    check(
        &refused,
        &peer,
        expect![
            "not_found: busy times are unknown for calendar `bob@example.com` (`notFound`), so its free times are unknown too"
        ],
    );
}

#[tokio::test]
async fn the_calendars_own_zone_is_meant_when_none_is_named() {
    let peer = scripted(|_, _| Reply::Json(200, json!({ "calendars": { "primary": { "busy": [] } } })));
    let request = FindFreeSlot {
        duration_minutes: 30,
        from: Some("2031-03-28T00:00:00Z".into()),
        to: Some("2031-04-01T00:00:00Z".into()),
        limit: Some(17),
        ..FindFreeSlot::default()
    };
    let found = connected(&peer).await.call(request).await.unwrap();
    assert_eq!(found.time_zone, "Europe/Berlin");
    assert_eq!(found.slots[0].start, "2031-03-28T09:00:00+01:00");
    assert_eq!(found.slots[16].start, "2031-03-31T09:00:00+02:00", "after the clocks were put forward");
}

#[tokio::test]
async fn routes_are_judged_like_calls() {
    let peer = scripted(|heard, _| {
        Reply::Json(200, if heard.method == "POST" { heard.json() } else { an_event("tea") })
    });
    let plugin = connected(&peer).await;
    let with_query = |query: &str| HttpRequest { query: query.into(), ..HttpRequest::default() };
    for (query, expected) in [
        ("limit=many", "`limit` is `many`: expected a whole number"),
        ("from=2031-01-01T00:00:00Z&from=2031-01-01T00:00:00Z", "`from` is given twice"),
        ("form=x", "unknown field `form`"),
    ] {
        let request = plugin_api::serde_json::to_value(with_query(query)).unwrap();
        let refused = plugin.call_json("route_list", request).await.unwrap_err();
        assert!(refused.kind == ErrorKind::Invalid && refused.message.contains(expected), "{refused}");
    }
    let body = plugin_api::serde_json::to_string(&tea()).unwrap();
    let request = HttpRequest {
        method: "POST".into(),
        headers: vec![("idempotency-key".into(), "wish".into())],
        body: Body::Text(body),
        ..HttpRequest::default()
    };
    let made = route(&plugin, "route_create", request).await;
    assert_eq!(made.status, 201);
    let one = HttpRequest { params: [("id".into(), "tea".into())].into(), ..HttpRequest::default() };
    let read = route(&plugin, "route_get", one.clone()).await;
    assert!(read.headers.contains(&("etag".into(), "\"7\"".into())), "{read:?}");
    let patch = HttpRequest {
        method: "PATCH".into(),
        headers: vec![("if-match".into(), "\"7\"".into())],
        body: Body::Text(r#"{"title": "Coffee", "id": "another"}"#.into()),
        ..one
    };
    route(&plugin, "route_update", patch).await;
    let sent = &peer.heard("PATCH")[0];
    assert_eq!(
        (sent.path.as_str(), sent.header("if-match")),
        ("/calendars/primary/events/tea", Some("\"7\""))
    );
    let page = route(&plugin, "route_callback", HttpRequest::default()).await;
    assert_eq!(heading(&page), (400, "Something is missing".into()));
}

#[tokio::test]
async fn google_is_never_quoted_and_nothing_secret_logged() {
    let peer = scripted(|_, _| error(403, "forbidden"));
    let plugin = connected(&peer).await;
    let refused = plugin.call(rename()).await.unwrap_err();
    assert!(!refused.to_string().contains("secret words"), "{refused}");
    let logs = format!("{:?}", plugin.logs());
    for secret in ["access-1", "refresh-1", "GOCSPX-hidden"] {
        assert!(!logs.contains(secret), "{logs}");
    }
}

/// Google as it was when the zone had its new name elsewhere (phw198/OutlookGoogleCalendarSync#1525): it takes the names of
/// this list alone.
fn knows_zones(known: &'static [&'static str]) -> Peer {
    scripted(move |heard, _| {
        let zone = match heard.method.as_str() {
            "GET" => heard.parameter("timeZone").map(str::to_owned),
            _ => heard.json().pointer("/start/timeZone").and_then(Value::as_str).map(str::to_owned),
        };
        match zone {
            Some(zone) if !known.contains(&zone.as_str()) => Reply::Json(
                400,
                json!({ "error": {
                    "code": 400, "message": "Invalid time zone definition for start time.",
                    "errors": [{ "domain": "global", "reason": "invalid", "message": "Invalid time zone definition for start time." }],
                }}),
            ),
            _ if heard.method == "GET" => no_events(),
            _ => Reply::Json(200, an_event("tea")),
        }
    })
}

fn zones_sent(peer: &Peer, line: &str) -> Vec<String> {
    let zone = |heard: &Heard| match heard.method.as_str() {
        "GET" => heard.parameter("timeZone").map(str::to_owned),
        _ => heard.json()["start"]["timeZone"].as_str().map(str::to_owned),
    };
    peer.heard(line).iter().filter_map(zone).collect()
}

#[tokio::test]
async fn a_zone_goes_by_the_name_that_google_takes() {
    for (asked, known) in [
        ("Europe/Kyiv", &["Europe/Kiev"][..]),
        ("Europe/Kiev", &["Europe/Kyiv"]),
        ("asia/calcutta", &["Asia/Kolkata"]),
    ] {
        let peer = knows_zones(known);
        let plugin = connected(&peer).await;
        let zone = Some(asked.to_owned());
        plugin.call(CreateEvent { time_zone: zone.clone(), ..tea() }).await.unwrap();
        assert_eq!(zones_sent(&peer, "POST /cal").last().map(String::as_str), known.first().copied());
        let made: Vec<Value> =
            peer.heard(&format!("POST {EVENTS}")).iter().map(|heard| heard.json()["id"].clone()).collect();
        assert_eq!(made.len(), 2);
        assert_eq!(made[0], made[1], "under one id, so that it is made once");
        let moved = UpdateEvent {
            start: Some(tea().start),
            end: Some(tea().end),
            time_zone: zone.clone(),
            ..rename()
        };
        plugin.call(moved).await.unwrap();
        assert_eq!(zones_sent(&peer, "PATCH").last().map(String::as_str), known.first().copied());
        plugin.call(ListEvents { time_zone: zone, ..ListEvents::default() }).await.unwrap();
        assert_eq!(
            zones_sent(&peer, &format!("GET {EVENTS}")).last().map(String::as_str),
            known.first().copied()
        );
    }
}

#[tokio::test]
async fn a_zone_that_google_does_not_take_by_any_name_is_named() {
    let peer = knows_zones(&[]);
    let plugin = connected(&peer).await;
    let error =
        plugin.call(CreateEvent { time_zone: Some("Europe/Kyiv".into()), ..tea() }).await.unwrap_err();
    let id = peer.heard("POST /cal")[0].json()["id"].as_str().unwrap().to_owned();
    expect!["invalid: Google does not take the time zone `Europe/Kyiv` for event `ID` of calendar `primary`, by any of its names: give another one with the same clock"].assert_eq(&error.to_string().replace(&id, "ID"));
    let sent = zones_sent(&peer, "POST /cal");
    assert_eq!(&sent[..2], ["Europe/Kyiv", "Europe/Kiev"], "{sent:?}");
    assert!(sent.len() <= 4, "{sent:?}");
    // Another 400 is not tried by other names.
    let peer = scripted(|_, _| error_reply());
    let plugin = connected(&peer).await;
    plugin.call(CreateEvent { time_zone: Some("Europe/Kyiv".into()), ..tea() }).await.unwrap_err();
    assert_eq!(peer.heard("POST /cal").len(), 1);
}

fn error_reply() -> Reply {
    error(400, "badRequest")
}

#[tokio::test]
async fn a_calendar_whose_zone_is_not_known_here_is_not_taken_for_utc() {
    // As Alexa names it (phw198/OutlookGoogleCalendarSync, TimezoneDB).
    let peer = google(|_| {
        Reply::Json(200, json!({ "kind": "calendar#events", "timeZone": "GMT-05:00", "items": [] }))
    });
    let plugin = connected(&peer).await;
    let request = FindFreeSlot { duration_minutes: 30, ..FindFreeSlot::default() };
    expect!["invalid: the calendar's time zone, `GMT-05:00`, is not known here: give `time_zone`, or set `GOOGLE_CALENDAR_TIME_ZONE`"].assert_eq(&plugin.call(request.clone()).await.unwrap_err().to_string());
    let weekly = CreateEvent { recurrence: vec!["RRULE:FREQ=WEEKLY".into()], ..tea() };
    assert!(plugin.call(weekly).await.unwrap_err().message.contains("`GMT-05:00`"));
    let given = FindFreeSlot { time_zone: Some("America/Bogota".into()), ..request };
    let error = plugin.call(given).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "Google answers no busy times here: {error}");
}

/// Three people, each calendar at home in another zone: Google writes each one's times with an offset of its own.
#[tokio::test]
async fn a_meeting_of_three_in_three_zones_suits_all_of_them() {
    let peer = scripted(|heard, _| {
        assert_eq!(heard.path, "/freeBusy");
        let busy = |start: &str, end: &str| json!({ "busy": [{ "start": start, "end": end }] });
        Reply::Json(
            200,
            json!({ "kind": "calendar#freeBusy", "calendars": {
                "berlin@example.com": busy("2031-01-14T15:00:00+01:00", "2031-01-14T15:30:00+01:00"),
                "boston@example.com": busy("2031-01-14T10:15:00-05:00", "2031-01-14T10:30:00-05:00"),
                "kolkata@example.com": busy("2031-01-14T18:00:00+05:30", "2031-01-14T18:45:00+05:30"),
            }}),
        )
    });
    let plugin = connected(&peer).await;
    let request = FindFreeSlot {
        duration_minutes: 30,
        from: Some("2031-01-14T00:00:00+01:00".into()),
        to: Some("2031-01-15T00:00:00+01:00".into()),
        calendars: ["berlin@example.com", "boston@example.com", "kolkata@example.com"]
            .map(str::to_owned)
            .to_vec(),
        time_zone: Some("Europe/Berlin".into()),
        day_starts: Some("07:00".into()),
        day_ends: Some("20:00".into()),
        limit: Some(100),
        ..FindFreeSlot::default()
    };
    let found = plugin.call(request.clone()).await.unwrap();
    let of = |found: &plugin_api::requests::calendar::Slots| {
        found
            .slots
            .iter()
            .map(|slot| format!("{} {}", &slot.start[11..16], &slot.end[11..]))
            .collect::<Vec<_>>()
    };
    // 12:30 to 13:15 UTC, 14:00 to 14:30 and 15:15 to 15:30 are taken: in Berlin an hour later.
    let all = of(&found);
    assert_eq!(
        (all.first().map(String::as_str), all.last().map(String::as_str)),
        (Some("07:00 07:30:00+01:00"), Some("19:30 20:00:00+01:00"))
    );
    for taken in ["13:30", "14:00", "15:00", "16:00"] {
        assert!(all.iter().all(|slot| !slot.starts_with(taken)), "{taken}: {all:?}");
    }
    // Within the working hours of Boston and Kolkata as well: 12:00 to 14:30 UTC.
    let everywhere = FindFreeSlot {
        other_time_zones: vec!["America/New_York".into(), "Asia/Kolkata".into()],
        ..request.clone()
    };
    assert_eq!(of(&plugin.call(everywhere).await.unwrap()), ["13:00 13:30:00+01:00", "14:15 14:45:00+01:00"]);
    let nowhere = FindFreeSlot { other_time_zones: vec!["Mars/Olympus".into()], ..request };
    expect!["invalid: `other_time_zones` is `Mars/Olympus`, which is no time zone: write it as `Europe/Berlin` or `UTC`"]
        .assert_eq(&plugin.call(nowhere).await.unwrap_err().to_string());
}

//! A Google of our own, where the stand-in knows too little: it takes the zones that it is told, has events that move, and
//! answers busy times with the offset of each calendar.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    http::Response,
    partners::{forward_proxy::ForwardProxy, postgres::Postgres},
    peer::{Asked, Peer},
    trial::Outcome,
};

use super::{call, heading, setup};

/// The requests that it got, and its events.
#[derive(Clone, Default)]
struct Calendar(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The changes after each sync token: the token `s0` is the beginning.
    changes: Vec<Vec<Value>>,
    /// The zones that it was sent, in order.
    zones: Vec<String>,
}

impl Calendar {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers; zones of other names than these are refused, as Google refused `Europe/Kyiv` in 2022.
    fn start(&self, zones: &'static [&'static str]) -> Peer {
        let calendar = self.clone();
        Peer::start(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", "/oauth2/token") => (200, tokens()),
            ("POST", "/calendar/v3/freeBusy") => (200, busy()),
            ("GET", "/calendar/v3/calendars/primary/events") => (200, calendar.list(asked)),
            ("POST" | "PATCH", _) => calendar.write(asked, zones),
            _ => (404, json!({})),
        })
    }

    fn list(&self, asked: &Asked) -> Value {
        let parameter = |name: &str| {
            asked
                .query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
                .unwrap_or_default()
        };
        let seen = parameter("syncToken").trim_start_matches('s').parse().unwrap_or(0_usize);
        self.with(|state| {
            let items: Vec<Value> = match parameter("fields").is_empty() {
                true => state.changes.iter().skip(seen).flatten().cloned().collect(),
                false => Vec::new(),
            };
            let token = format!("s{}", state.changes.len());
            json!({ "kind": "calendar#events", "timeZone": "Europe/Kyiv", "items": items, "nextSyncToken": token })
        })
    }

    fn write(&self, asked: &Asked, known: &[&str]) -> (u16, Value) {
        let mut event = asked.json();
        let zone = event["start"]["timeZone"].as_str().unwrap_or_default().to_owned();
        self.with(|state| state.zones.push(zone.clone()));
        if !zone.is_empty() && !known.contains(&zone.as_str()) {
            let message = "Invalid time zone definition for start time.";
            let errors = json!([{ "domain": "global", "reason": "invalid", "message": message }]);
            return (400, json!({ "error": { "code": 400, "message": message, "errors": errors } }));
        }
        event["status"] = "confirmed".into();
        (200, event)
    }
}

/// What it answers to a code or a refresh token.
pub fn tokens() -> Value {
    let scopes =
        "https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.freebusy";
    json!({
        "access_token": "google_access", "refresh_token": "google_refresh", "expires_in": 3600, "token_type": "Bearer",
        "scope": scopes,
    })
}

/// 12:30 to 13:15, 14:00 to 14:30 and 15:15 to 15:30 UTC, each as its own calendar writes it.
fn busy() -> Value {
    let busy = |start: &str, end: &str| json!({ "busy": [{ "start": start, "end": end }] });
    json!({ "kind": "calendar#freeBusy", "calendars": {
        "berlin@example.com": busy("2031-01-14T15:00:00+01:00", "2031-01-14T15:30:00+01:00"),
        "boston@example.com": busy("2031-01-14T10:15:00-05:00", "2031-01-14T10:30:00-05:00"),
        "kolkata@example.com": busy("2031-01-14T18:00:00+05:30", "2031-01-14T18:45:00+05:30"),
    }})
}

/// Walks through consent, which this Google gives without asking.
#[track_caller]
pub fn connected(setup: Setup) -> TestHost {
    let (host, page) = come_back(setup);
    assert_eq!(heading(&page).0, 200, "{}", page.body);
    host.wait_for_status("google_calendar", "connected");
    host
}

/// Comes back from consent with a code, and gives the page.
#[track_caller]
fn come_back(setup: Setup) -> (TestHost, Response) {
    let host = setup.start();
    host.wait_for_status("google_calendar", "disconnected");
    let sent = host.get(super::START);
    let cookie =
        sent.header("set-cookie").and_then(|cookie| cookie.split(';').next()).expect("a cookie").to_owned();
    let to = sent.header("location").expect("it leads to Google");
    let state = to.split(['?', '&']).find_map(|pair| pair.strip_prefix("state=")).expect("with a state");
    let back = format!("/api/calendar/oauth/callback?code=good&state={state}");
    let page = host.request("GET", &back, &[("cookie", &cookie)], None);
    (host, page)
}

pub fn a_token_that_google_repeats_is_not_in_the_log() {
    let has_ended = Arc::new(AtomicBool::new(false));
    let ended = has_ended.clone();
    let peer = Peer::start(move |asked| match asked.path.as_str() {
        "/oauth2/token" if ended.load(Ordering::SeqCst) => {
            let words = "`google_refresh` is revoked, and `google_access` with it";
            (400, json!({ "error": "invalid_grant", "error_description": words }))
        }
        // Each is due for renewal at once.
        "/oauth2/token" => {
            let mut tokens = tokens();
            tokens["expires_in"] = 0.into();
            (200, tokens)
        }
        _ => (200, json!({ "kind": "calendar#events", "timeZone": "Europe/Berlin", "items": [] })),
    });
    let config = format!("{}log_level = \"debug\"\n", super::PLUGINS);
    let host = connected(super::variables(Setup::new(&config), peer.address()));
    let setup = host.terminate().1;
    has_ended.store(true, Ordering::SeqCst);
    let log = setup.start().wait_for_output("is revoked");
    assert!(!log.contains("google_refresh") && !log.contains("google_access"), "{log}");
}

pub fn google_is_asked_by_the_proxy_of_the_environment_and_this_machine_is_not() {
    let proxy = ForwardProxy::start();
    let secrets = json!({ "web": {
        "client_id": "client", "client_secret": "hidden", "redirect_uris": [super::CALLBACK],
        "auth_uri": "https://google.invalid/auth", "token_uri": "https://google.invalid/token",
    }});
    let (_host, page) = come_back(
        setup("127.0.0.1:1")
            .file("client.json", secrets.to_string())
            .env("GOOGLE_CALENDAR_API_BASE_URL", "https://google.invalid/v3")
            .env("HTTPS_PROXY", &proxy.url()),
    );
    assert_ne!(heading(&page).0, 200, "{}", page.body);
    assert!(proxy.asked().contains(&"CONNECT google.invalid:443".to_owned()), "{:?}", proxy.asked());

    let google = Calendar::default().start(&[]);
    let proxy = ForwardProxy::start();
    connected(proxy.for_everything(setup(google.address())));
    assert_eq!(proxy.asked(), [""; 0]);
}

pub fn a_renamed_zone_goes_by_the_name_that_google_takes() {
    let tea = |zone: &str, key: &str| {
        json!({ "title": "Tea", "start": "2031-01-14T10:00:00+02:00", "end": "2031-01-14T11:00:00+02:00", "time_zone": zone,
            "client_id": key })
    };
    let calendar = Calendar::default();
    let google = calendar.start(&["Europe/Kiev", "Asia/Kolkata"]);
    let host = connected(setup(google.address()));
    assert_eq!(call(&host, "create_event", &tea("Europe/Kyiv", "one"))["event"]["time_zone"], "Europe/Kiev");
    assert_eq!(
        call(&host, "create_event", &tea("Asia/Calcutta", "two"))["event"]["time_zone"],
        "Asia/Kolkata"
    );
    // A series keeps its hour in the calendar's own zone.
    let weekly = json!({ "title": "Tea", "start": "2031-01-14T10:00:00+02:00", "end": "2031-01-14T11:00:00+02:00",
        "recurrence": ["RRULE:FREQ=WEEKLY"] });
    assert_eq!(call(&host, "create_event", &weekly)["event"]["time_zone"], "Europe/Kiev");

    let refused = host.call("google_calendar", "create_event", &tea("America/Nuuk", "three"));
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("`America/Nuuk`"), "{}", refused.body);
    let zones = calendar.with(|state| state.zones.clone());
    assert!(zones.contains(&"America/Godthab".to_owned()), "its old name was tried: {zones:?}");
}

pub fn a_meeting_of_three_in_three_zones_suits_all_of_them() {
    let google = Calendar::default().start(&[]);
    let text =
        format!("{}[plugins.google_calendar.settings]\ncalendars = [\"*@example.com\"]\n", super::PLUGINS);
    let host = connected(super::variables(Setup::new(&text), google.address()));
    let request = json!({
        "duration_minutes": 30, "from": "2031-01-14T00:00:00+01:00", "to": "2031-01-15T00:00:00+01:00",
        "calendars": ["berlin@example.com", "boston@example.com", "kolkata@example.com"],
        "time_zone": "Europe/Berlin", "other_time_zones": ["America/New_York", "Asia/Kolkata"],
        "day_starts": "07:00", "day_ends": "20:00",
    });
    let slots = call(&host, "find_free_slot", &request);
    // Everybody works from 12:00 to 14:30 UTC.
    let expected = json!([
        { "start": "2031-01-14T13:00:00+01:00", "end": "2031-01-14T13:30:00+01:00" },
        { "start": "2031-01-14T14:15:00+01:00", "end": "2031-01-14T14:45:00+01:00" },
    ]);
    assert_eq!(slots, json!({ "slots": expected, "time_zone": "Europe/Berlin" }));
}

/// How far a reader has read is a row: a move across a restart is told once, and nothing else is told again.
#[track_caller]
fn moves_are_told_across_a_restart(database: impl Fn(Setup) -> Setup) {
    let event = |id: &str, hour: u32| {
        json!({ "id": id, "status": "confirmed", "summary": id, "start": { "dateTime": format!("2031-01-14T{hour}:00:00+02:00") },
            "end": { "dateTime": format!("2031-01-14T{hour}:30:00+02:00") } })
    };
    let calendar = Calendar::default();
    let happens = |events: Vec<Value>| calendar.with(|state| state.changes.push(events));
    happens(vec![event("moves", 10), event("leaves", 11), event("stays", 12)]);
    let google = calendar.start(&[]);
    let host = connected(database(setup(google.address())));
    let told = |host: &TestHost| {
        let changed = call(host, "changes", &json!({}));
        let events = changed["events"].as_array().cloned().unwrap_or_default();
        let shown = |event: &Value| {
            format!("{} {} {}", event["id"], event["status"], event["start"]).replace('"', "")
        };
        (changed["reset"].as_bool().unwrap_or_default(), events.iter().map(shown).collect::<Vec<_>>())
    };
    let (reset, events) = told(&host);
    assert!(reset && events.len() == 3, "{events:?}");

    let setup = host.terminate().1;
    happens(vec![event("moves", 14), json!({ "id": "leaves", "status": "cancelled" })]);
    let host = setup.start();
    host.wait_for_status("google_calendar", "connected");
    happens(vec![event("moves", 15)]);
    let moved = |hour: u32| format!("moves confirmed 2031-01-14T{hour}:00:00+02:00");
    assert_eq!(told(&host), (false, vec![moved(14), "leaves cancelled null".to_owned(), moved(15)]));
    assert_eq!(told(&host), (false, Vec::new()));
}

pub fn moves_are_told_across_a_restart_on_sqlite() {
    moves_are_told_across_a_restart(|setup| setup);
}

pub fn moves_are_told_across_a_restart_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    moves_are_told_across_a_restart(|setup| setup.env("DATABASE_URL", &postgres.url()));
    Ok(())
}

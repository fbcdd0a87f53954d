//! The calendar plugin with a stand-in of Google: a browser's walk to consent and back, events, outages, keys.

mod browser;
pub mod own_google;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{emulate, node::NodeServer, postgres::Postgres},
    relay::Relay,
    trial::Outcome,
    trials,
    wait::wait_until,
};

use browser::{Browser, heading};
use own_google::{
    a_meeting_of_three_in_three_zones_suits_all_of_them, a_renamed_zone_goes_by_the_name_that_google_takes,
    a_token_that_google_repeats_is_not_in_the_log,
    google_is_asked_by_the_proxy_of_the_environment_and_this_machine_is_not,
    moves_are_told_across_a_restart_on_postgresql, moves_are_told_across_a_restart_on_sqlite,
};

pub fn tests() -> Vec<Trial> {
    trials![
        consent_connects_without_a_restart,
        events_come_and_go_over_http,
        events_come_and_go_as_operations,
        a_free_slot_lies_beside_what_is_busy,
        the_token_survives_a_restart_and_lies_nowhere_in_the_clear,
        a_token_that_google_repeats_is_not_in_the_log,
        another_secret_key_is_refused_by_name,
        the_key_that_a_host_made_itself_is_kept,
        the_access_can_be_given_back,
        a_person_who_says_no_is_understood,
        a_box_left_unticked_is_named,
        a_link_is_good_once_and_in_one_browser,
        an_address_that_google_does_not_know_is_explained,
        only_an_operator_may_begin,
        an_outage_is_noticed_and_heals_by_itself,
        a_grant_that_ends_is_never_silent,
        bad_client_secrets_are_named,
        a_client_that_google_does_not_know_is_told_apart,
        check_connect_proves_it,
        hosts_on_one_database_share_the_account,
        a_renamed_zone_goes_by_the_name_that_google_takes,
        a_meeting_of_three_in_three_zones_suits_all_of_them,
        moves_are_told_across_a_restart_on_sqlite,
        moves_are_told_across_a_restart_on_postgresql,
        google_is_asked_by_the_proxy_of_the_environment_and_this_machine_is_not,
    ]
}

const ACCOUNT: &str = "ada@example.com";
const CLIENT: &str = "switchboard.apps.example.com";
const CLIENT_SECRET: &str = "GOCSPX-hidden-client-secret";
const KEY: &str = "+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=";
const OTHER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=";
/// Nobody listens there: a test follows redirects by hand.
const CALLBACK: &str = "http://127.0.0.1:1/api/calendar/oauth/callback";
const START: &str = "/api/calendar/oauth/start";

const PLUGINS: &str = r#"
    [plugins.database]

    [plugins.google_calendar]
    init = { timeout = "10s" }
    probe = { interval = "1h", timeout = "5s" }
    retry = { attempts = 2, base = "50ms", cap = "200ms", recovery = "500ms" }
"#;

pub fn google() -> Result<NodeServer, switchboard_tests::partners::Missing> {
    let seed = json!({ "google": {
        "users": [{ "email": ACCOUNT, "name": "Ada" }],
        "oauth_clients": [{
            "client_id": CLIENT, "client_secret": CLIENT_SECRET, "name": "Switchboard", "redirect_uris": [CALLBACK],
        }],
        "calendars": [{
            "id": "primary", "user_email": ACCOUNT, "summary": ACCOUNT, "primary": true, "selected": true,
            "time_zone": "Europe/Berlin",
        }],
        "calendar_events": [{
            "id": "seeded", "user_email": ACCOUNT, "calendar_id": "primary", "summary": "Kickoff",
            "start_date_time": "2031-01-14T09:00:00.000Z", "end_date_time": "2031-01-14T09:30:00.000Z",
        }],
    }});
    emulate::start("google", &seed)
}

fn client_secrets(address: &str, secret: &str) -> Value {
    json!({ "web": {
        "client_id": CLIENT, "client_secret": secret, "redirect_uris": [CALLBACK],
        "auth_uri": format!("http://{address}/o/oauth2/v2/auth"),
        "token_uri": format!("http://{address}/oauth2/token"),
        "revoke_uri": format!("http://{address}/oauth2/revoke"),
    }})
}

fn setup(address: &str) -> Setup {
    variables(Setup::new(PLUGINS), address)
}

/// The account of the stand-in at this address.
pub fn variables(setup: Setup, address: &str) -> Setup {
    setup
        .file("client.json", client_secrets(address, CLIENT_SECRET).to_string())
        .env("GOOGLE_OAUTH_CLIENT_SECRETS_FILE", "client.json")
        .env("GOOGLE_CALENDAR_API_BASE_URL", &format!("http://{address}/calendar/v3"))
        .env("GOOGLE_OAUTH_REDIRECT_URI", CALLBACK)
        .env("SWITCHBOARD_SECRET_KEY", KEY)
}

/// Walks to consent and back.
#[track_caller]
pub fn connect(host: &TestHost, google: &NodeServer) {
    let browser = Browser::begin(host, google);
    let page = browser.come_back(host, &browser.allow(google));
    assert_eq!(heading(&page), (200, "Google Calendar is connected"), "{}", page.body);
    host.wait_for_status("google_calendar", "connected");
}

#[track_caller]
fn connected() -> Result<(NodeServer, TestHost), switchboard_tests::partners::Missing> {
    let google = google()?;
    let host = setup(google.address()).start();
    connect(&host, &google);
    Ok((google, host))
}

#[track_caller]
fn call(host: &TestHost, operation: &str, request: &Value) -> Value {
    let answer = host.call("google_calendar", operation, request);
    assert_eq!(answer.status, 200, "{operation}: {}", answer.body);
    answer.json()
}

fn consent_connects_without_a_restart() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).start();
    let before = host.wait_for_status("google_calendar", "disconnected");
    assert_eq!(before["reason"]["code"], "consent_required");
    assert_eq!(before["fix"]["action"], "authorize");
    assert_eq!(before["fix"]["href"], START);
    connect(&host, &google);
    let after = host.plugin("google_calendar");
    assert_eq!(
        (&after["generation"], &after["reason"], &after["fix"]),
        (&json!(1), &json!(null), &json!(null))
    );
    Ok(())
}

fn events_come_and_go_over_http() -> Outcome {
    let (_google, host) = connected()?;
    let range = "from=2031-01-14T00:00:00Z&to=2031-01-15T00:00:00%2B01:00";
    let listed = host.get(&format!("/api/calendar/events?{range}"));
    assert_eq!(listed.status, 200, "{}", listed.body);
    assert_eq!(listed.json()["events"][0]["title"], "Kickoff");

    let event = json!({
        "title": "Review", "start": "2031-01-14T15:00:00+01:00", "end": "2031-01-14T16:00:00+01:00",
        "attendees": ["bob@example.com"],
    });
    let made = host.post("/api/calendar/events", &event);
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["event"]["id"].as_str().expect("it has an id").to_owned();
    let titles = || {
        let listed = host.get(&format!("/api/calendar/events?{range}")).json();
        let events = listed["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["title"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(titles(), ["Kickoff", "Review"]);

    let busy = host.get(&format!("/api/calendar/freebusy?{range}&calendars=primary")).json();
    assert_eq!(busy["calendars"]["primary"]["busy"].as_array().map(Vec::len), Some(2), "{busy}");
    assert_eq!(host.request("DELETE", &format!("/api/calendar/events/{id}"), &[], None).status, 200);
    assert_eq!(titles(), ["Kickoff"]);
    assert_eq!(host.request("DELETE", &format!("/api/calendar/events/{id}"), &[], None).status, 404);

    let refused = host.get("/api/calendar/events?from=2031-01-14T00:00:00");
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("has no offset"), "{}", refused.body);
    Ok(())
}

fn events_come_and_go_as_operations() -> Outcome {
    let (_google, host) = connected()?;
    let range = json!({ "from": "2031-02-01T00:00:00+01:00", "to": "2031-02-28T00:00:00+01:00" });
    let whole_day =
        json!({ "title": "Fair", "start": "2031-02-03", "end": "2031-02-05", "client_id": "fair" });
    let made = call(&host, "create_event", &whole_day);
    assert_eq!(made["event"]["all_day"], true, "{made}");
    let listed = call(&host, "list_events", &range);
    assert_eq!(listed["events"][0]["start"], "2031-02-03", "{listed}");
    assert_eq!(call(&host, "changes", &json!({}))["reset"], true);
    let deleted = call(&host, "delete_event", &json!({ "id": made["event"]["id"] }));
    assert_eq!(deleted["repeated"], false);
    assert_eq!(call(&host, "list_events", &range)["events"], json!([]));
    let others = host.call("google_calendar", "list_events", &json!({ "calendar": "nobody@example.com" }));
    assert_eq!(others.status, 403, "{}", others.body);
    Ok(())
}

fn a_free_slot_lies_beside_what_is_busy() -> Outcome {
    let (_google, host) = connected()?;
    // 9:00 UTC is 10:00 in Berlin, where the calendar is at home.
    let request = json!({
        "duration_minutes": 60, "from": "2031-01-14T00:00:00+01:00", "to": "2031-01-15T00:00:00+01:00", "limit": 2,
        "time_zone": "Europe/Berlin",
    });
    let found = call(&host, "find_free_slot", &request);
    let expected = json!([
        { "start": "2031-01-14T09:00:00+01:00", "end": "2031-01-14T10:00:00+01:00" },
        { "start": "2031-01-14T10:30:00+01:00", "end": "2031-01-14T11:30:00+01:00" },
    ]);
    assert_eq!(found, json!({ "slots": expected, "time_zone": "Europe/Berlin" }));
    Ok(())
}

fn the_token_survives_a_restart_and_lies_nowhere_in_the_clear() -> Outcome {
    let (_google, host) = connected()?;
    let output = host.output();
    let (finished, setup) = host.terminate();
    assert_eq!(finished.code, Some(0));
    for file in fs::read_dir(setup.path("data")).expect("the folder for data is there") {
        let bytes = fs::read(file.expect("a file can be listed").path()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        // Every token of the stand-in begins so, and every table.
        let tokens = text.split("google_").skip(1).filter(|rest| !rest.starts_with("calendar"));
        assert_eq!(tokens.count(), 0);
    }
    let host = setup.start();
    host.wait_for_status("google_calendar", "connected");
    call(&host, "list_events", &json!({}));
    let all = output + &host.output() + &host.plugin("google_calendar").to_string();
    for secret in ["google_refresh", CLIENT_SECRET, KEY] {
        assert!(!all.contains(secret), "{secret}");
    }
    Ok(())
}

fn another_secret_key_is_refused_by_name() -> Outcome {
    let (google, host) = connected()?;
    let host = host.terminate().1.env("SWITCHBOARD_SECRET_KEY", OTHER_KEY).start();
    let calendar = host.wait_for_status("google_calendar", "error");
    assert_eq!(calendar["reason"]["code"], "config_invalid");
    let message = calendar["reason"]["message"].as_str().expect("it says why");
    assert!(message.contains("SWITCHBOARD_SECRET_KEY"), "{message}");
    let page = host.get(START);
    assert_eq!(page.status, 503);
    assert!(page.body.contains("SWITCHBOARD_SECRET_KEY"), "{}", page.body);

    // Who has lost the key begins anew.
    let forgotten = host.request("DELETE", "/api/calendar/oauth", &[], None);
    assert_eq!(forgotten.json()["revoked"], false, "{}", forgotten.body);
    connect(&host, &google);
    Ok(())
}

fn the_key_that_a_host_made_itself_is_kept() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).without_env("SWITCHBOARD_SECRET_KEY").start();
    connect(&host, &google);
    let setup = host.terminate().1;
    let key = fs::read_to_string(setup.path("data/secret.key")).expect("the host made a key");
    // The same key by the variable opens what the file's sealed.
    let host = setup.env("SWITCHBOARD_SECRET_KEY", key.trim()).start();
    host.wait_for_status("google_calendar", "connected");

    let refused = host.terminate().1.env("SWITCHBOARD_SECRET_KEY", "too short").command(&["check"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.stderr.contains("`SWITCHBOARD_SECRET_KEY` is neither base64"), "{refused:?}");
    assert!(refused.stderr.contains("openssl rand -base64 32"), "{refused:?}");
    Ok(())
}

fn the_access_can_be_given_back() -> Outcome {
    let (_google, host) = connected()?;
    let answer = host.request("DELETE", "/api/calendar/oauth", &[], None);
    assert_eq!((answer.status, answer.json()), (200, json!({ "revoked": true })));
    let calendar = host.wait_for_status("google_calendar", "disconnected");
    assert_eq!(calendar["reason"]["code"], "consent_required");
    let refused = host.call("google_calendar", "list_events", &json!({}));
    assert_eq!(refused.status, 503, "{}", refused.body);
    Ok(())
}

fn a_person_who_says_no_is_understood() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).start();
    let browser = Browser::begin(&host, &google);
    let callback = "/api/calendar/oauth/callback";
    let page = browser.come_back(&host, &format!("{callback}?error=access_denied&state={}", browser.state()));
    assert_eq!(heading(&page), (403, "Access was not allowed"));
    let page = browser.come_back(&host, &browser.allow(&google));
    assert_eq!(heading(&page), (400, "This link was used already"), "no is no");
    let page = browser.come_back(&host, &format!("{callback}?error=%3Cscript%3Ealert(1)%3C/script%3E"));
    assert_eq!(heading(&page), (502, "Google did not finish"));
    assert!(page.body.contains("&lt;script&gt;"), "{}", page.body);
    assert_eq!(heading(&browser.come_back(&host, callback)), (400, "Something is missing"));
    assert_eq!(host.status("google_calendar"), "disconnected");
    Ok(())
}

fn a_box_left_unticked_is_named() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).start();
    let mut browser = Browser::begin(&host, &google);
    // As Google's page does when a box is left unticked: less is granted than was asked for.
    let scopes = browser.query.split('&').find(|pair| pair.starts_with("scope=")).expect("scopes").to_owned();
    let less =
        scopes.split('+').next().unwrap_or_default().split("%20").next().unwrap_or_default().to_owned();
    assert_ne!(less, scopes);
    browser.query = browser.query.replace(&scopes, &less);
    let page = browser.come_back(&host, &browser.allow(&google));
    assert_eq!(heading(&page), (403, "A permission is missing"));
    assert!(page.body.contains("calendar.freebusy"), "{}", page.body);
    assert!(!page.body.contains("calendar.events."), "{}", page.body);
    assert_eq!(host.status("google_calendar"), "disconnected");
    Ok(())
}

fn a_link_is_good_once_and_in_one_browser() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).start();
    let browser = Browser::begin(&host, &google);
    let back = browser.allow(&google);
    let stranger = Browser::begin(&host, &google);
    assert_eq!(heading(&stranger.come_back(&host, &back)), (403, "Begun somewhere else"));
    let without_cookie = host.get(&back);
    assert_eq!(heading(&without_cookie), (403, "Begun somewhere else"));
    let made_up = "/api/calendar/oauth/callback?code=x&state=made-up";
    assert_eq!(heading(&browser.come_back(&host, made_up)), (400, "This link is not known"));
    assert_eq!(host.status("google_calendar"), "disconnected");

    assert_eq!(heading(&browser.come_back(&host, &back)), (200, "Google Calendar is connected"));
    assert_eq!(heading(&browser.come_back(&host, &back)), (400, "This link was used already"));
    host.wait_for_status("google_calendar", "connected");
    Ok(())
}

fn an_address_that_google_does_not_know_is_explained() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).without_env("GOOGLE_OAUTH_REDIRECT_URI").start();
    host.wait_for_status("google_calendar", "disconnected");
    let page = host.get(START);
    assert_eq!(heading(&page), (409, "Google could not send the browser back"));
    for part in
        [CALLBACK, &format!("http://{}/api/calendar/oauth/callback", host.address()), "PUBLIC_BASE_URL"]
    {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    // Set but not registered, it is a setting to mend.
    let host = host.terminate().1.env("PUBLIC_BASE_URL", "https://switchboard.example.com");
    let host = host.env("SWITCHBOARD_TOKEN", "a-token-for-the-operator").start();
    host.wait_for_status("google_calendar", "error");
    let health = host.command(&["status", "--json"]);
    assert!(health.stdout.contains("registered for this OAuth client are"), "{health:?}");
    Ok(())
}

fn only_an_operator_may_begin() -> Outcome {
    let google = google()?;
    let host = setup(google.address()).env("SWITCHBOARD_TOKEN", "a-token-for-the-operator").start();
    host.wait_for_status("google_calendar", "disconnected");
    let by_proxy = [("x-forwarded-for", "203.0.113.7")];
    for (method, path) in [("GET", START), ("GET", "/api/calendar/events"), ("DELETE", "/api/calendar/oauth")]
    {
        assert_eq!(host.request(method, path, &by_proxy, None).status, 401, "{method} {path}");
    }
    let callback = host.request("GET", "/api/calendar/oauth/callback", &by_proxy, None);
    assert_eq!(heading(&callback), (400, "Something is missing"), "Google's redirect carries no token");
    Ok(())
}

/// Probed often, so that a test need not wait.
fn watchful(address: &str) -> Setup {
    setup(address).file("plugins.toml", PLUGINS.replace("\"1h\"", "\"200ms\""))
}

fn an_outage_is_noticed_and_heals_by_itself() -> Outcome {
    let google = google()?;
    let relay = Relay::to(google.address());
    let host = watchful(relay.address()).start();
    // The stand-in asks for consent itself; only what the plugin asks goes through the relay.
    connect(&host, &google);
    relay.cut();
    let calendar = host.wait_for_status("google_calendar", "error");
    assert_eq!(calendar["reason"]["code"], "unavailable", "{calendar:#}");
    assert_eq!(calendar["fix"]["action"], "retry");
    let refused = host.call("google_calendar", "list_events", &json!({}));
    assert_eq!(refused.status, 503, "{}", refused.body);

    relay.lead_to(google.address());
    let calendar = host.wait_for_status("google_calendar", "connected");
    assert_eq!(calendar["generation"], 1, "without a restart");
    call(&host, "list_events", &json!({}));
    Ok(())
}

fn a_grant_that_ends_is_never_silent() -> Outcome {
    let first = google()?;
    let relay = Relay::to(first.address());
    let host = watchful(relay.address()).start();
    connect(&host, &first);
    // The stand-in takes any access token; a Google that has revoked everything does not.
    relay.lead_to(&revoked());
    let calendar = host.wait_for_status("google_calendar", "disconnected");
    assert_eq!(calendar["reason"]["code"], "auth_expired");
    assert_eq!(calendar["fix"]["href"], START);
    let refused = host.call("google_calendar", "list_events", &json!({}));
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("connect the calendar again"), "{}", refused.body);

    // The same after a restart, and the link mends it.
    let host = host.terminate().1.start();
    let calendar = host.wait_for_status("google_calendar", "disconnected");
    assert_eq!(calendar["reason"]["code"], "auth_expired");
    relay.lead_to(first.address());
    connect(&host, &first);
    Ok(())
}

/// A Google that honours no token any more.
fn revoked() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 16 * 1024];
            let read = stream.read(&mut request).unwrap_or(0);
            let (status, body) = match request[..read].starts_with(b"POST /oauth2/token") {
                true => ("400 Bad Request", r#"{"error": "invalid_grant"}"#),
                false => ("401 Unauthorized", r#"{"error": {"errors": [{"reason": "authError"}]}}"#),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: \
                 close\r\n\r\n"
            );
            // Who has gone away needs no answer.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            let _ = stream.read(&mut request);
        }
    });
    address
}

fn bad_client_secrets_are_named() {
    for (json, expected) in [
        (r#"{"web": "#, "is no JSON (line 1, column 8)"),
        (r#"{"type": "service_account"}"#, "is the key of a service account"),
        (r#"{"web": {"client_secret": "GOCSPX-x"}}"#, "has no `client_id`"),
    ] {
        let host = setup("127.0.0.1:1").file("client.json", json).start();
        let calendar = host.wait_for_status("google_calendar", "error");
        assert_eq!(calendar["reason"]["code"], "config_invalid");
        let message = calendar["reason"]["message"].as_str().expect("it says why");
        assert!(message.contains("client.json") && message.contains(expected), "{message}");
        let invalid = calendar["settings"]["invalid"].to_string();
        assert!(invalid.contains("GOOGLE_OAUTH_CLIENT_SECRETS_FILE"), "{calendar:#}");
    }
}

fn a_client_that_google_does_not_know_is_told_apart() -> Outcome {
    let google = google()?;
    let json = client_secrets(google.address(), "GOCSPX-some-other-secret").to_string();
    let host = setup(google.address()).file("client.json", json).start();
    let browser = Browser::begin(&host, &google);
    let page = browser.come_back(&host, &browser.allow(&google));
    assert_eq!(heading(&page), (502, "This did not work"));
    assert!(page.body.contains("its secret is wrong"), "{}", page.body);
    Ok(())
}

fn check_connect_proves_it() -> Outcome {
    let (google, host) = connected()?;
    let setup = host.terminate().1;
    let checked = setup.command(&["check", "--connect"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    drop(google);
    let checked = setup.command(&["check", "--connect"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.contains("nobody listens at"), "{checked:?}");
    Ok(())
}

fn hosts_on_one_database_share_the_account() -> Outcome {
    let google = google()?;
    let postgres = Postgres::start()?;
    let on_postgres = || setup(google.address()).env("DATABASE_URL", &postgres.url()).start();
    let (first, second) = (on_postgres(), on_postgres());
    second.wait_for_status("google_calendar", "disconnected");
    // Begun at one host, finished at the other; both have the account.
    let browser = Browser::begin(&first, &google);
    let page = browser.come_back(&second, &browser.allow(&google));
    assert_eq!(heading(&page), (200, "Google Calendar is connected"), "{}", page.body);
    for host in [&first, &second] {
        host.wait_for_status("google_calendar", "connected");
        call(host, "list_events", &json!({}));
    }
    let stored = postgres.query("select sealed from google_calendar_grants");
    assert!(stored.starts_with("v1.") && !stored.contains("google_"), "{stored}");

    let stranger = setup(google.address()).env("DATABASE_URL", &postgres.url());
    let stranger = stranger.env("SWITCHBOARD_SECRET_KEY", OTHER_KEY).start();
    let calendar = stranger.wait_for_status("google_calendar", "error");
    assert!(calendar.to_string().contains("SWITCHBOARD_SECRET_KEY"), "{calendar:#}");
    // Without an account the next key holds: it must not be his.
    drop(stranger);

    assert_eq!(second.request("DELETE", "/api/calendar/oauth", &[], None).status, 200);
    let verify = || first.post("/api/health/integrations/google_calendar/verify", &json!({})).json();
    wait_until("the other host to notice", verify, |calendar| calendar["status"] == "disconnected");
    Ok(())
}

//! Twilio with a stand-in for its API and its own library as a signer: what is connected and what not, messages that go
//! once whatever happens, reports, webhooks.

pub mod proxy;

use std::{net::TcpStream, thread};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    http::Response,
    partners::{Missing, emulate, free_port, node::NodeServer, postgres::Postgres, twilio::sign},
    trial::Outcome,
    trials,
    wait::{LIMIT, poll, wait_until},
};
use tungstenite::{ClientRequestBuilder, Error};

use proxy::{Mode, Proxy};

pub fn tests() -> Vec<Trial> {
    trials![
        an_account_is_verified,
        a_key_alone_sends_and_cannot_verify_webhooks,
        what_does_not_work_is_told_apart,
        an_outage_heals_by_itself,
        without_twilio_the_service_is_held,
        a_message_goes_out_and_its_reports_come_back,
        a_call_goes_out_and_is_ended,
        the_ledger_is_in_postgresql_for_all_hosts,
        a_message_survives_a_crash_and_goes_once,
        without_a_database_it_says_so,
        a_number_whose_messages_nobody_delivers_is_failing,
        a_webhook_that_twilio_signed_names_the_person,
        a_websocket_that_twilio_signed_is_opened,
    ]
}

const ACCOUNT: &str = "AC0000000000000000000000000000000a";
pub const TOKEN: &str = "a-token-that-nobody-may-see";
const KEY: &str = "SK0000000000000000000000000000000b";
const SECRET: &str = "a-secret-that-nobody-may-see";
const NUMBER: &str = "+15551234567";
const ADA: &str = "+15550000001";

/// The account of the stand-in, in this state.
pub fn account(status: &str) -> Value {
    json!({"twilio": {
        "account": {"sid": ACCOUNT, "auth_token": TOKEN, "status": status},
        "api_keys": [{"sid": KEY, "secret": SECRET}],
        "phone_numbers": [{"phone_number": NUMBER}],
    }})
}

fn config(settings: &str) -> String {
    format!(
        r#"
        [plugins.database]
        [plugins.twilio]
        init = {{ timeout = "5s" }}
        probe = {{ interval = "200ms", timeout = "5s" }}
        retry = {{ attempts = 2, base = "50ms", cap = "100ms" }}
        [plugins.twilio_service]
        [plugins.twilio_service.settings]
        {settings}
        [plugins.phone]
        "#
    )
}

/// A host that speaks to Twilio at this address.
fn setup(address: &str, config: &str) -> Setup {
    variables(Setup::new(config), address)
}

/// The account of the stand-in at this address.
pub fn variables(setup: Setup, address: &str) -> Setup {
    setup
        .env("TWILIO_ACCOUNT_SID", ACCOUNT)
        .env("TWILIO_AUTH_TOKEN", TOKEN)
        .env("TWILIO_PHONE_NUMBER", NUMBER)
        .env("TWILIO_API_BASE_URL", &format!("http://{address}"))
}

/// A stand-in with that account.
pub fn server() -> Result<NodeServer, Missing> {
    emulate::start("twilio", &account("active"))
}

/// The same; what is sent to its number is delivered there.
pub fn server_for(inbound: &str) -> Result<NodeServer, Missing> {
    server_leading(&[("sms", inbound)])
}

/// The same; its number leads there, with messages (`sms`) or calls (`voice`).
pub fn server_leading(wirings: &[(&str, &str)]) -> Result<NodeServer, Missing> {
    let mut seed = account("active");
    let number = &mut seed["twilio"]["phone_numbers"][0];
    for (what, url) in wirings {
        number[format!("{what}_url")] = (*url).into();
        number[format!("{what}_method")] = "POST".into();
    }
    emulate::start("twilio", &seed)
}

/// A host that Twilio reaches under its own address.
fn reachable(twilio: &NodeServer) -> Setup {
    let port = free_port();
    let settings = format!("public_base_url = \"http://127.0.0.1:{port}\"");
    setup(twilio.address(), &config(&settings)).env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{port}"))
}

#[track_caller]
fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    for plugin in ["twilio", "twilio_service", "phone"] {
        host.wait_for_status(plugin, "connected");
    }
    host
}

/// Calls `twilio_service` as another plugin does.
fn relay(host: &TestHost, operation: &str, key: &str, request: &Value) -> Response {
    host.call("phone", "relay", &json!({"operation": operation, "key": key, "request": request}))
}

fn sms(body: &str) -> Value {
    json!({"to": ADA, "body": body})
}

#[track_caller]
fn ok(response: Response) -> Value {
    assert_eq!(response.status, 200, "{}", response.body);
    response.json()
}

/// All messages or calls that the stand-in took.
pub fn taken(twilio: &NodeServer, list: &str) -> Vec<Value> {
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/{list}.json");
    let answer = twilio.request("GET", &path, &[("authorization", &basic())], None).json();
    answer[list.to_lowercase()].as_array().unwrap_or_else(|| panic!("no list: {answer}")).clone()
}

/// Lets the stand-in do what people and carriers do.
pub fn simulate(twilio: &NodeServer, what: &str, form: &str) {
    let headers = [("authorization", &*basic()), ("content-type", "application/x-www-form-urlencoded")];
    let answer = twilio.request("POST", &format!("/_twilio/simulate/{what}"), &headers, Some(form));
    assert!(answer.status < 300, "{}", answer.body);
}

/// Account and token in base64, as they are in every request of ours.
fn basic() -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{TOKEN}")))
}

#[track_caller]
fn shows_no_secret(host: &TestHost) {
    let all = host.get("/api/health/connections").body + &host.get("/metrics").body + &host.output();
    for secret in [TOKEN, SECRET, basic().trim_start_matches("Basic ")] {
        assert!(!all.contains(secret), "{all}");
    }
}

fn an_account_is_verified() -> Outcome {
    let twilio = server()?;
    let setup = setup(twilio.address(), &config(""));
    let checked = setup.command(&["check", "--connect"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let host = start(setup);
    let mut identity = ok(host.call("twilio", "identify", &json!({})));
    let clock = identity.as_object_mut().and_then(|identity| identity.remove("now_ms"));
    assert!(clock.is_some_and(|clock| clock.is_i64()), "the stand-in dates its answers");
    assert_eq!(
        identity,
        json!({"account_sid": ACCOUNT, "phone_number": NUMBER, "can_verify_webhooks": true})
    );
    shows_no_secret(&host);
    Ok(())
}

fn a_key_alone_sends_and_cannot_verify_webhooks() -> Outcome {
    let twilio = server()?;
    let setup = setup(twilio.address(), &config(""));
    let setup =
        setup.without_env("TWILIO_AUTH_TOKEN").env("TWILIO_API_KEY", KEY).env("TWILIO_API_SECRET", SECRET);
    let host = start(setup);
    ok(relay(&host, "send_message", "k", &sms("by key")));
    let headers = [("x-twilio-signature", "c2lnbmVk"), ("content-type", "application/x-www-form-urlencoded")];
    let webhook = host.request("POST", "/hooks/sms", &headers, Some("From=%2B15550000001"));
    assert_eq!(webhook.status, 503, "{}", webhook.body);
    assert!(webhook.body.contains("TWILIO_AUTH_TOKEN"), "{}", webhook.body);
    shows_no_secret(&host);
    Ok(())
}

#[track_caller]
fn fails(setup: Setup, code: &str, action: &str, words: &str) {
    let host = setup.start();
    let twilio = host.wait_for_status("twilio", "error");
    assert_eq!(
        (&twilio["reason"]["code"], &twilio["fix"]["action"]),
        (&json!(code), &json!(action)),
        "{twilio:#}"
    );
    assert!(twilio.to_string().contains(words), "{twilio:#}");
    let service = host.wait_for_plugin("twilio_service", "blocked", |plugin| plugin["healthy"] == false);
    assert_eq!(service["root_causes"], json!(["twilio"]), "{service:#}");
    shows_no_secret(&host);
}

fn what_does_not_work_is_told_apart() -> Outcome {
    let twilio = server()?;
    let good = || setup(twilio.address(), &config(""));
    fails(good().env("TWILIO_AUTH_TOKEN", "wrong"), "auth_invalid", "correct_setting", "TWILIO_AUTH_TOKEN");
    fails(
        good().env("TWILIO_PHONE_NUMBER", "+15557654321"),
        "config_invalid",
        "correct_setting",
        "TWILIO_PHONE_NUMBER",
    );
    for status in ["suspended", "closed"] {
        let twilio = emulate::start("twilio", &account(status))?;
        fails(setup(twilio.address(), &config("")), "account", "see_vendor", status);
    }
    let nobody = format!("127.0.0.1:{}", free_port());
    fails(setup(&nobody, &config("")), "refused", "retry", "nobody listens");
    let checked = good().env("TWILIO_AUTH_TOKEN", "wrong").command(&["check", "--connect"]);
    assert_ne!(checked.code, Some(0), "{checked:?}");
    assert!(
        (checked.stdout + &checked.stderr).contains("refuses the account SID or the auth token"),
        "the reason is told"
    );
    Ok(())
}

fn an_outage_heals_by_itself() -> Outcome {
    let twilio = server()?;
    let proxy = Proxy::start(twilio.address());
    let host = start(setup(proxy.address(), &config("")));
    proxy.set(Mode::Down);
    let down = host.wait_for_status("twilio", "error");
    assert_eq!(down["reason"]["code"], "unavailable", "{down:#}");
    proxy.set(Mode::Pass);
    let up = host.wait_for_status("twilio", "connected");
    assert_eq!(up["generation"], 1, "without a restart");
    ok(relay(&host, "send_message", "k", &sms("again")));
    Ok(())
}

fn without_twilio_the_service_is_held() {
    let host = Setup::new(&config("")).start();
    host.wait_until_ready();
    assert_eq!(
        (host.status("twilio"), host.status("twilio_service")),
        ("not_configured".into(), "not_initialized".into())
    );
    assert_eq!(host.get("/api/health").json()["status"], "healthy");
}

fn a_message_goes_out_and_its_reports_come_back() -> Outcome {
    let twilio = server()?;
    let host = start(reachable(&twilio));
    let sent = ok(relay(&host, "send_message", "k", &sms("grüße & co")));
    assert_eq!(
        (&sent["to"], &sent["repeated"], &sent["ledger"]),
        (&json!(ADA), &json!(false), &json!("database"))
    );
    let sid = sent["sid"].as_str().expect("a SID");
    reports_come_back(&twilio, &host, sid);

    let fetched = ok(host.call("twilio_service", "fetch_message", &json!({"sid": sid})));
    assert_eq!(
        (&fetched["body"], &fetched["reported"]["status"]),
        (&json!("grüße & co"), &json!("delivered"))
    );
    let stranger = json!({"operation": "fetch_message", "request": {"sid": sid}, "person": "+15559999999"});
    assert_eq!(host.call("phone", "relay", &stranger).status, 404);
    a_webhook_is_handled_once(&host, &host);
    let unsigned =
        host.request("POST", "/webhooks/twilio/status", &[], Some("MessageSid=SM1&MessageStatus=sent"));
    assert_eq!(unsigned.status, 403, "{}", unsigned.body);
    shows_no_secret(&host);

    let (_, setup) = host.terminate();
    let repeat = ok(relay(&start(setup), "send_message", "k", &sms("grüße & co")));
    assert_eq!(
        (repeat["sid"].as_str(), &repeat["repeated"]),
        (Some(sid), &json!(true)),
        "also after a restart"
    );
    assert_eq!(taken(&twilio, "Messages").len(), 1);
    Ok(())
}

/// Reports of a delivery, in the wrong order.
#[track_caller]
fn reports_come_back(twilio: &NodeServer, host: &TestHost, sid: &str) {
    for (status, expected) in
        [("sent", "sent"), ("delivered", "delivered"), ("sending", "delivered"), ("sent", "delivered")]
    {
        simulate(twilio, "message-status", &format!("MessageSid={sid}&Status={status}"));
        let delivery = ok(host.call("twilio_service", "read_delivery", &json!({"sid": sid})));
        assert_eq!(delivery["status"], expected, "after {status}");
    }
}

fn a_call_goes_out_and_is_ended() -> Outcome {
    let twilio = server()?;
    let host = start(reachable(&twilio));
    let placed = ok(relay(&host, "place_call", "k", &json!({"to": ADA, "say": "Hello & welcome"})));
    let sid = placed["sid"].as_str().expect("a SID");
    assert!(
        ok(relay(&host, "place_call", "k", &json!({"to": ADA, "say": "Hello & welcome"})))["repeated"]
            == true
    );
    let ended = ok(host.call("twilio_service", "update_call", &json!({"sid": sid, "hang_up": true})));
    assert_eq!(ended["status"], "completed");
    let delivery =
        || host.call("twilio_service", "read_delivery", &json!({"sid": sid})).json()["status"].clone();
    wait_until("the end to be reported", delivery, |status| status == "completed");
    assert_eq!(taken(&twilio, "Calls").len(), 1);
    Ok(())
}

fn the_ledger_is_in_postgresql_for_all_hosts() -> Outcome {
    let twilio = server()?;
    let postgres = Postgres::start()?;
    let hosts = [(); 2].map(|()| start(reachable(&twilio).env("DATABASE_URL", &postgres.url())));
    let sent: Vec<Value> = thread::scope(|scope| {
        let send = |host| move || ok(relay(host, "send_message", "k", &sms("once")));
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(send(host))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no host fails")).collect()
    });
    assert_eq!(sent[0]["sid"], sent[1]["sid"], "{sent:?}");
    assert_eq!(taken(&twilio, "Messages").len(), 1);
    reports_come_back(&twilio, &hosts[0], sent[0]["sid"].as_str().expect("a SID"));
    a_webhook_is_handled_once(&hosts[0], &hosts[1]);
    an_opt_out_counts_everywhere(&hosts[0], &hosts[1]);
    Ok(())
}

#[track_caller]
fn a_webhook_is_handled_once(one: &TestHost, other: &TestHost) {
    let claim = |host| ok(relay(host, "claim_webhook", "", &json!({"key": "token:1"})));
    let settle = |host, claim: &Value, done| {
        relay(host, "settle_webhook", "", &json!({"key": "token:1", "claim": claim["claim"], "done": done}))
            .status
    };
    let first = claim(one);
    assert_eq!((&first["state"], &claim(other)["state"]), (&json!("claimed"), &json!("in_progress")));
    assert_eq!(settle(one, &first, false), 200);
    let second = claim(other);
    assert_eq!(second["state"], "claimed", "given up, it is the next one's");
    assert_eq!(settle(one, &first, true), 409);
    assert_eq!(settle(other, &second, true), 200);
    assert_eq!((&claim(one)["state"], &claim(other)["state"]), (&json!("done"), &json!("done")));
}

#[track_caller]
fn an_opt_out_counts_everywhere(one: &TestHost, other: &TestHost) {
    ok(relay(one, "record_opt_out", "", &json!({"address": ADA, "opted_out": true})));
    let refused = relay(other, "send_message", "no", &sms("spam"));
    assert_eq!(refused.status, 403, "{}", refused.body);
    let listed = ok(relay(other, "list_opt_outs", "", &json!({})));
    assert_eq!(listed, json!({"addresses": [ADA, format!("rcs:{ADA}")], "truncated": false}));
    ok(relay(other, "record_opt_out", "", &json!({"address": ADA, "opted_out": false})));
    ok(relay(one, "send_message", "yes", &sms("welcome back")));
}

/// Twilio takes the message, and the host is killed before the answer is there.
fn a_message_survives_a_crash_and_goes_once() -> Outcome {
    let twilio = server()?;
    let proxy = Proxy::start(twilio.address());
    let host = start(setup(proxy.address(), &config("")));
    ok(relay(&host, "send_message", "before", &sms("the same words")));
    proxy.set(Mode::KeepAnswers);
    let setup = thread::scope(|scope| {
        let address = host.address().to_owned();
        scope.spawn(move || {
            let body = json!({"operation": "send_message", "key": "k", "request": sms("the same words")})
                .to_string();
            let headers = [("content-type", "application/json")];
            // Nobody answers: the host is killed.
            let _ = switchboard_tests::http::request(
                &address,
                "POST",
                "/api/operations/phone/relay",
                &headers,
                Some(&body),
            );
        });
        wait_until("Twilio to take it", || proxy.kept(), |kept| *kept == 1);
        host.kill()
    });
    proxy.set(Mode::Pass);
    let messages = taken(&twilio, "Messages");
    assert_eq!(messages.len(), 2);

    let host = start(setup);
    let mut answer = || relay(&host, "send_message", "k", &sms("the same words"));
    // The claim of the host that is gone ends by itself.
    let settled =
        poll(LIMIT * 2, &mut answer, |answer| answer.status == 200).unwrap_or_else(|last| panic!("{last:?}"));
    let (sid, repeated) = (settled.json()["sid"].clone(), settled.json()["repeated"].clone());
    assert_eq!((sid, repeated), (messages[0]["sid"].clone(), json!(true)), "the newest comes first");
    assert_eq!(taken(&twilio, "Messages").len(), 2);
    Ok(())
}

fn without_a_database_it_says_so() -> Outcome {
    let twilio = server()?;
    let host =
        start(setup(twilio.address(), "[plugins.twilio]\n[plugins.twilio_service]\n[plugins.phone]\n"));
    for repeated in [false, true] {
        let sent = ok(relay(&host, "send_message", "k", &sms("hi")));
        assert_eq!((&sent["ledger"], &sent["repeated"]), (&json!("memory"), &json!(repeated)));
    }
    Ok(())
}

/// Twilio's report on a message, as its webhook brings it.
pub fn report(host: &TestHost, number: u32, status: &str, code: &str) {
    let body =
        format!("MessageSid=SM{number:032x}&MessageStatus={status}&To=%2B15550000001&ErrorCode={code}");
    let request = json!({"method": "POST", "url": "https://example.com/", "body": {"text": body}});
    let taken = host.call("twilio_service", "receive_status", &request);
    assert_eq!(taken.status, 200, "{}", taken.body);
}

/// Account and number answer every probe; only Twilio's reports tell.
fn a_number_whose_messages_nobody_delivers_is_failing() -> Outcome {
    let twilio = server()?;
    let host = start(setup(twilio.address(), &config("public_base_url = \"https://example.com\"")));
    for number in 1..=3 {
        report(&host, number, "undelivered", "30007");
    }
    let is_failing = |plugin: &Value| plugin["failing"][0]["key"] == "messages_filtered";
    let shown = host.wait_for_plugin("twilio_service", "failing", is_failing);
    assert_eq!(shown["status"], "connected", "{shown:#}");
    assert_eq!(shown["failing"][0]["code"], "forbidden", "{shown:#}");
    assert!(shown["failing"][0]["fix"].to_string().contains("console.twilio.com"), "{shown:#}");
    let health = host.get("/api/health").json();
    assert_eq!(health["status"], "degraded", "{health:#}");

    let (_, setup) = host.terminate();
    let host = start(setup);
    host.wait_for_plugin("twilio_service", "failing after a restart, too", is_failing);
    report(&host, 4, "delivered", "");
    report(&host, 5, "delivered", "");
    host.wait_for_plugin("twilio_service", "well", |plugin| plugin["failing"] == json!([]));
    Ok(())
}

fn a_webhook_that_twilio_signed_names_the_person() -> Outcome {
    let twilio = server()?;
    let host = start(setup(twilio.address(), &config("public_base_url = \"https://example.com\"")));
    let params = json!({"MessageSid": "SM1", "SmsStatus": "received", "From": ADA, "Body": "grüße 👋"});
    let body = "MessageSid=SM1&SmsStatus=received&From=%2B15550000001&Body=gr%C3%BC%C3%9Fe+%F0%9F%91%8B";
    let form = "application/x-www-form-urlencoded; charset=UTF-8";
    let post = |signature: &str, kind: &str, path: &str, body: &str| {
        host.request("POST", path, &[("x-twilio-signature", signature), ("content-type", kind)], Some(body))
    };
    let signature = sign(TOKEN, "https://example.com/hooks/sms?a=1", &params, "HMAC_SHA1")?;
    let admitted = post(&signature, form, "/hooks/sms?a=1", body);
    assert_eq!((admitted.status, admitted.json()["person"].clone()), (200, json!(ADA)), "{}", admitted.body);
    for (path, body) in
        [("/hooks/sms?a=2", body), ("/hooks/sms", body), ("/hooks/sms?a=1", "From=%2B15550000001")]
    {
        assert_eq!(post(&signature, form, path, body).status, 403, "{path} {body}");
    }

    let json = r#"{"property": "value", "boolean": true}"#;
    let path = "/hooks/sms?bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let signature = sign(TOKEN, &format!("https://example.com{path}"), &json!({}), "HMAC_SHA1")?;
    assert_eq!(post(&signature, "application/json", path, json).status, 200);
    assert_eq!(post(&signature, "application/json", path, "{}").status, 403);

    let path = "/hooks/sms?From=whatsapp%3A%2B15550000001&MessageSid=SM2";
    let signature = sign(TOKEN, &format!("https://example.com:443{path}"), &json!({}), "HMAC_SHA1")?;
    let got = host.request("GET", path, &[("x-twilio-signature", &signature)], None);
    assert_eq!((got.status, got.json()["person"].clone()), (200, json!(ADA)));
    Ok(())
}

fn a_websocket_that_twilio_signed_is_opened() -> Outcome {
    let twilio = server()?;
    let host = start(setup(twilio.address(), &config("public_base_url = \"https://example.com\"")));
    let connect = |signature: &str| {
        let uri = format!("ws://{}/hooks/stream", host.address()).parse().expect("it is an address");
        let request = ClientRequestBuilder::new(uri).with_header("x-twilio-signature", signature);
        let stream = TcpStream::connect(host.address()).expect("the host listens");
        match tungstenite::client(request, stream) {
            Ok(_) => 101,
            Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => response.status().as_u16(),
            Err(other) => panic!("neither opened nor refused: {other}"),
        }
    };
    let signature = sign(TOKEN, "wss://example.com/hooks/stream", &json!({}), "HMAC_SHA1")?;
    assert_eq!(connect(&signature), 101);
    assert_eq!(connect(&sign(TOKEN, "https://example.com/hooks/stream", &json!({}), "HMAC_SHA1")?), 403);
    Ok(())
}

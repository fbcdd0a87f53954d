//! The messaging_service plugin with a stand-in for Twilio, Twilio's own library as a signer, and the real memory: what
//! comes is taken once and answered in order, whoever is away or killed.

pub mod carrier;
mod clocks;
mod crowd;

use std::{thread, time::Duration};

use libtest_mimic::Trial;
use plugin_api::jiff::Timestamp;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    http::{self, Response},
    partners::{
        Missing, emulate, free_port, node::NodeServer, postgres::Postgres, small_disk::SmallDisk,
        twilio::sign,
    },
    relay::{Pace, Relay},
    trial::Outcome,
    trials,
    wait::{LIMIT, poll, wait_until},
};

use crate::{
    openai,
    twilio::proxy::{Mode, Proxy},
};
use carrier::Carrier;
use crowd::Crowd;

pub fn tests() -> Vec<Trial> {
    let mut tests = trials![
        a_person_is_answered_and_known_on_sqlite,
        a_person_is_answered_and_known_on_postgresql,
        the_orchestrator_answers,
        a_forged_webhook_is_refused,
        a_stop_is_obeyed_everywhere,
        a_long_answer_and_ten_pictures,
        an_answer_waits_for_approval_across_a_restart,
        operators_see_and_send,
        what_is_not_delivered_reaches_people_on_sqlite,
        what_is_not_delivered_reaches_people_on_postgresql,
        people_without_a_number_are_answered_where_they_are_on_sqlite,
        people_without_a_number_are_answered_where_they_are_on_postgresql,
        what_cannot_be_answered_is_told_again_after_a_restart_on_sqlite,
        what_cannot_be_answered_is_told_again_after_a_restart_on_postgresql,
        without_an_assistant_it_is_acknowledged,
        a_database_that_is_away_loses_nothing,
        a_stop_ends_in_time_while_the_database_is_cut,
        a_stop_ends_in_time_while_the_database_is_frozen,
        a_full_disk_loses_no_message,
        twilio_is_away_and_nothing_is_lost,
        a_kill_after_twilio_took_it_sends_nothing_twice,
        a_host_that_is_killed_again_and_again_answers_everything_once,
        three_hosts_one_is_killed_and_everything_is_answered_once,
    ];
    tests.extend(clocks::tests());
    tests
}

const ACCOUNT: &str = "AC0000000000000000000000000000000a";
const TOKEN: &str = "a-token-that-nobody-may-see";
const NUMBER: &str = "+15551234567";
const ADA: &str = "+15550000001";
const INBOUND: &str = "/webhooks/twilio/inbound-message";
/// Where Twilio believes to find every host.
const PUBLIC: &str = "https://example.com";
const FORM: &str = "application/x-www-form-urlencoded";

const PLUGINS: &str = r#"
    [plugins.database]
    probe = { interval = "500ms", timeout = "5s" }
    retry = { attempts = 3, base = "50ms", cap = "200ms" }
    [plugins.openai]
    probe = { interval = "1h", timeout = "10s" }
    [plugins.twilio]
    init = { timeout = "10s" }
    probe = { interval = "500ms", timeout = "5s" }
    retry = { attempts = 3, base = "50ms", cap = "200ms" }
    [plugins.memory_service]
    [plugins.messaging_service]
"#;
const ASSISTANT: &str = "[plugins.orchestrator_service]\nlibrary = \"assistant\"\n";

/// A stand-in for OpenAI that makes vectors of whatever it is given.
fn model() -> Result<NodeServer, Missing> {
    openai::server()
}

/// A host that speaks to Twilio at this address, and is known to it under this one.
fn setup(twilio: &str, model: &NodeServer, public: &str, more: &str) -> Setup {
    setup_with(twilio, model.address(), public, more)
}

fn setup_with(twilio: &str, model: &str, public: &str, more: &str) -> Setup {
    let service = format!("[plugins.twilio_service]\nsettings = {{ public_base_url = \"{public}\" }}\n");
    let setup = Setup::new(&format!("{PLUGINS}{service}{more}"));
    let setup = openai::variables(setup, model, openai::KEY);
    crate::twilio::variables(setup, twilio)
}

#[track_caller]
fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    for plugin in ["twilio_service", "memory_service", "messaging_service"] {
        host.wait_for_status(plugin, "connected");
    }
    host
}

/// A message as Twilio's form has it.
fn form(sid: &str, from: &str, body: &str, more: &[(&str, &str)]) -> Value {
    let mut form = json!({
        "MessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "AccountSid": ACCOUNT, "From": from,
        "To": NUMBER, "Body": body, "NumMedia": "0", "NumSegments": "1", "ApiVersion": "2010-04-01",
    });
    for (name, value) in more {
        form[*name] = json!(value);
    }
    form
}

fn encoded(form: &Value) -> String {
    let fields = form.as_object().expect("a form has fields").iter();
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let fields = fields.map(|(name, value)| format!("{name}={}", encode(value.as_str().unwrap_or_default())));
    fields.collect::<Vec<_>>().join("&")
}

/// Posts a form with a signature; the error is a host that does not answer.
fn post(address: &str, form: &Value, signature: &str) -> Result<Response, String> {
    let headers = [("x-twilio-signature", signature), ("content-type", FORM)];
    http::request(address, "POST", INBOUND, &headers, Some(&encoded(form)))
}

/// Delivers a message that Twilio's own library signed.
#[track_caller]
fn deliver(host: &TestHost, form: &Value) -> Result<Response, Missing> {
    let signature = sign(TOKEN, &format!("{PUBLIC}{INBOUND}"), form, "HMAC_SHA1")?;
    Ok(post(host.address(), form, &signature).expect("the host answers"))
}

#[track_caller]
fn take(host: &TestHost, form: &Value) -> Outcome {
    let taken = deliver(host, form)?;
    let kind = taken.header("content-type").map(str::to_owned);
    assert_eq!((taken.status, kind.as_deref()), (200, Some("text/xml; charset=utf-8")), "{}", taken.body);
    assert_eq!(taken.body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>");
    Ok(())
}

#[track_caller]
fn wait_for_texts(carrier: &Carrier, expected: &[&str]) {
    let texts = || carrier.taken().into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    let texts = wait_until("the answers", texts, |texts| texts.len() >= expected.len());
    assert_eq!(texts, expected);
}

fn unprocessed(host: &TestHost) -> Value {
    host.get("/api/messages/unprocessed").json()
}

#[track_caller]
fn settles(host: &TestHost) {
    wait_until("everything to be processed", || unprocessed(host), |left| left["open"] == 0);
}

/// The thread of a person, as `who: text`.
#[track_caller]
fn thread(host: &TestHost, person: &str) -> Vec<String> {
    let answer =
        host.get(&format!("/api/messages/threads/{}", person.replace('+', "%2B").replace(':', "%3A")));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    let line = |message: &Value| {
        let who = if message["inbound"] == true { "person" } else { "assistant" };
        format!(
            "{} {who}: {}",
            message["medium"].as_str().unwrap_or_default(),
            message["text"].as_str().unwrap_or_default()
        )
    };
    answer["messages"].as_array().expect("messages").iter().map(line).collect()
}

fn a_person_is_answered_and_known_on_sqlite() -> Outcome {
    a_person_is_answered_and_known(|setup| setup)
}

fn a_person_is_answered_and_known_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    a_person_is_answered_and_known(|setup| setup.env("DATABASE_URL", &postgres.url()))
}

/// The stand-in signs and delivers the SMS itself; what it cannot deliver, WhatsApp, Twilio's library signs.
#[track_caller]
fn a_person_is_answered_and_known(database: impl Fn(Setup) -> Setup) -> Outcome {
    let port = free_port();
    let public = format!("http://127.0.0.1:{port}");
    let sms =
        json!({ "phone_number": NUMBER, "sms_url": format!("{public}{INBOUND}"), "sms_method": "POST" });
    let account = json!({
        "account": { "sid": ACCOUNT, "auth_token": TOKEN, "status": "active" },
        "phone_numbers": [sms, { "phone_number": format!("whatsapp:{NUMBER}") }],
    });
    let (model, twilio) = (model()?, emulate::start("twilio", &json!({ "twilio": account }))?);
    let setup = setup(twilio.address(), &model, &public, ASSISTANT);
    let host = start(database(setup.env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{port}"))));
    let sms = format!("To=%2B15551234567&From=%2B15550000001&Body={}", "I%20am%20Ada%20%F0%9F%91%8B");
    crate::twilio::simulate(&twilio, "inbound-message", &sms);
    wait_for_turns(&host, 2);
    assert_eq!(outbound(&twilio), [(ADA.to_owned(), "re: I am Ada 👋 (0 said before)".to_owned())]);

    let whatsapp = form("SMw1", &format!("whatsapp:{ADA}"), "and here?", &[("ProfileName", "Ada L.")]);
    let signature = sign(TOKEN, &format!("{public}{INBOUND}"), &whatsapp, "HMAC_SHA1")?;
    for _ in 0..2 {
        assert_eq!(post(host.address(), &whatsapp, &signature).map(|answer| answer.status), Ok(200));
    }
    wait_for_turns(&host, 4);
    assert_eq!(
        thread(&host, ADA),
        [
            "sms person: I am Ada 👋",
            "sms assistant: re: I am Ada 👋 (0 said before)",
            "whatsapp person: and here?",
            "whatsapp assistant: re: and here? (2 said before)",
        ]
    );
    let answers = outbound(&twilio);
    assert_eq!(answers.len(), 2, "each of them once: {answers:?}");
    let by_whatsapp = (format!("whatsapp:{ADA}"), "re: and here? (2 said before)".to_owned());
    assert!(answers.contains(&by_whatsapp), "{answers:?}");
    let all = host.get("/metrics").body + &host.output();
    assert!(!all.contains(TOKEN) && !all.contains("I am Ada"), "{all}");
    Ok(())
}

/// Waits until so many turns of Ada's thread are remembered. The stand-in of Twilio wants to be asked seldom.
#[track_caller]
fn wait_for_turns(host: &TestHost, count: usize) {
    let path = format!("/api/messages/threads/{}", ADA.replace('+', "%2B"));
    let turns = || host.get(&path).json()["messages"].as_array().map_or(0, Vec::len);
    wait_until("turns", turns, |turns| *turns == count);
    settles(host);
}

/// Recipient and text of what the stand-in took from us.
fn outbound(twilio: &NodeServer) -> Vec<(String, String)> {
    let ours =
        |message: &&Value| message["direction"].as_str().is_some_and(|way| way.starts_with("outbound"));
    let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let taken = crate::twilio::taken(twilio, "Messages");
    taken.iter().filter(ours).map(|message| (text(message, "to"), text(message, "body"))).collect()
}

/// Not the fixture: the real one, whose model knows an answer to this.
fn the_orchestrator_answers() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(setup(carrier.address(), &model, PUBLIC, "[plugins.orchestrator_service]\n"));
    take(&host, &form("SM1", ADA, "hello", &[]))?;
    wait_for_texts(&carrier, &["Hello! How can I help you today?"]);
    settles(&host);
    assert_eq!(thread(&host, ADA), ["sms person: hello", "sms assistant: Hello! How can I help you today?"]);
    Ok(())
}

fn a_forged_webhook_is_refused() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(setup(carrier.address(), &model, PUBLIC, ASSISTANT));
    let good = form("SM1", ADA, "hello", &[]);
    let signature = sign(TOKEN, &format!("{PUBLIC}{INBOUND}"), &good, "HMAC_SHA1")?;
    let altered = form("SM1", "+15550000002", "hello", &[]);
    for (form, signature) in [(&altered, signature.as_str()), (&good, "forged"), (&good, "")] {
        let refused = post(host.address(), form, signature).expect("the host answers");
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
    assert_eq!(host.get("/api/messages/threads").json()["threads"], json!([]));
    take(&host, &good)?;
    wait_for_texts(&carrier, &["re: hello (0 said before)"]);
    Ok(())
}

fn a_stop_is_obeyed_everywhere() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(setup(carrier.address(), &model, PUBLIC, ASSISTANT));
    take(&host, &form("SM1", ADA, "STOP", &[("OptOutType", "STOP")]))?;
    settles(&host);
    let refused = host.call("twilio_service", "send_message", &json!({ "to": ADA, "body": "spam" }));
    assert_eq!(refused.status, 403, "{}", refused.body);
    let refused = host.post("/api/messages", &json!({ "to": ADA, "text": "spam" }));
    assert_eq!(refused.status, 403, "{}", refused.body);
    take(&host, &form("SM2", ADA, "what is this?", &[]))?;
    take(&host, &form("SM3", ADA, "unstop", &[]))?;
    take(&host, &form("SM4", ADA, "hello", &[]))?;
    wait_for_texts(&carrier, &["re: hello (3 said before)"]);
    settles(&host);
    assert_eq!(thread(&host, ADA).len(), 5);
    Ok(())
}

fn a_long_answer_and_ten_pictures() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(setup(carrier.address(), &model, PUBLIC, ASSISTANT));
    take(&host, &form("SM1", ADA, "tell a story", &[]))?;
    let parts = || carrier.taken();
    let parts = wait_until("both parts", parts, |parts| parts.len() == 2);
    let story = format!("{} {}", parts[0].1, parts[1].1);
    assert_eq!(story, "Once upon a time there was a switchboard. ".repeat(60).trim());
    let media: Vec<(String, String)> = (0..10)
        .flat_map(|index| {
            let url =
                format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME{index}");
            [(format!("MediaUrl{index}"), url), (format!("MediaContentType{index}"), "image/jpeg".to_owned())]
        })
        .collect();
    let mut more = vec![("NumMedia", "10")];
    more.extend(media.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    take(&host, &form("MM1", ADA, "", &more))?;
    let answer = wait_until("an answer", || carrier.taken(), |taken| taken.len() >= 3);
    assert_eq!(answer[2].1.matches("[a picture, image/jpeg: ").count(), 10, "{}", answer[2].1);
    take(&host, &form("SM2", ADA, "", &[]))?;
    settles(&host);
    assert_eq!(carrier.count(), answer.len(), "an empty message is not answered");
    Ok(())
}

fn an_answer_waits_for_approval_across_a_restart() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(setup(carrier.address(), &model, PUBLIC, ASSISTANT));
    take(&host, &form("SM1", ADA, "buy it", &[]))?;
    take(&host, &form("SM2", ADA, "and you?", &[]))?;
    let waiting = "I need somebody's approval for that. I will get back to you.";
    wait_for_texts(&carrier, &[waiting, "re: and you? (2 said before)"]);
    let (_, setup) = host.terminate();
    let host = start(setup);
    let finish = json!({ "run": "run-SM1:0", "answer": "Bought." });
    assert_eq!(host.call("orchestrator_service", "finish", &finish).status, 200);
    wait_for_texts(&carrier, &[waiting, "re: and you? (2 said before)", "Bought."]);
    Ok(())
}

fn operators_see_and_send() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(setup(carrier.address(), &model, PUBLIC, ""));
    let sent = host.post("/api/messages", &json!({ "to": ADA, "text": "grüße" }));
    assert_eq!(sent.status, 201, "{}", sent.body);
    assert_eq!((&sent.json()["state"], &sent.json()["channel"]), (&json!("sent"), &json!("sms")));
    wait_for_texts(&carrier, &["grüße"]);
    settles(&host);
    assert_eq!(thread(&host, ADA), ["sms assistant: grüße"]);
    let threads = host.get("/api/messages/threads").json();
    assert_eq!(threads["threads"][0]["person"], ADA, "{threads}");
    take(&host, &form("SM1", "ACME", "sale!", &[]))?;
    let told = |left: &Value| left["messages"][0]["state"] == "unanswerable";
    let left = wait_until("what nobody can answer", || unprocessed(&host), told);
    assert_eq!(left["messages"][0]["id"], "SM1", "{left}");
    let again = host.request("POST", "/api/messages/unprocessed/SM1/retry", &[], Some(""));
    assert_eq!(again.status, 409, "{}", again.body);
    let count = |name: &str| {
        let metrics = host.get("/metrics").body;
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&format!("switchboard_messaging_service_{name}_total")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    assert!(count("received") >= 1.0 && count("sent") >= 1.0, "{}", host.get("/metrics").body);
    Ok(())
}

/// Twilio's report on a message, as it was seen in public (department-of-veterans-affairs/notification-api#1376).
#[track_caller]
fn report(host: &TestHost, sid: &str, status: &str, code: Option<&str>) -> Outcome {
    const STATUS: &str = "/webhooks/twilio/status";
    let mut form = json!({
        "SmsSid": sid, "SmsStatus": status, "MessageStatus": status, "To": ADA, "MessageSid": sid,
        "AccountSid": ACCOUNT, "From": NUMBER, "ApiVersion": "2010-04-01",
    });
    if let Some(code) = code {
        form["ErrorCode"] = json!(code);
    }
    let signature = sign(TOKEN, &format!("{PUBLIC}{STATUS}"), &form, "HMAC_SHA1")?;
    let headers = [("x-twilio-signature", signature.as_str()), ("content-type", FORM)];
    let answer = http::request(host.address(), "POST", STATUS, &headers, Some(&encoded(&form)));
    assert_eq!(answer.expect("the host answers").status, 204);
    Ok(())
}

fn what_is_not_delivered_reaches_people_on_sqlite() -> Outcome {
    what_is_not_delivered_reaches_people(|setup| setup)
}

fn what_is_not_delivered_reaches_people_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    what_is_not_delivered_reaches_people(|setup| setup.env("DATABASE_URL", &postgres.url()))
}

/// A sender without its registration: Twilio takes the message, and the carrier refuses it.
#[track_caller]
fn what_is_not_delivered_reaches_people(database: impl Fn(Setup) -> Setup) -> Outcome {
    const SCHEDULER: &str = "[plugins.scheduler_service]\nsettings = { poll = \"200ms\" }\n";
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(database(setup(carrier.address(), &model, PUBLIC, SCHEDULER)));
    host.wait_for_status("scheduler_service", "connected");
    let soon = Timestamp::now().as_millisecond() + 1500;
    let at = Timestamp::from_millisecond(soon).expect("it is a moment").to_string();
    let reminder = json!({ "message": { "to": ADA, "text": "Your code is 7." }, "at": at });
    let scheduled = host.post("/api/schedule/jobs", &reminder);
    assert_eq!(scheduled.status, 201, "{}", scheduled.body);
    wait_for_texts(&carrier, &["Your code is 7."]);
    wait_for_turns(&host, 1);

    // Reports come twice, and in any order.
    let sid = format!("SM{:032x}", 1);
    for (status, code) in [("undelivered", Some("30034")), ("sent", None), ("undelivered", Some("30034"))] {
        report(&host, &sid, status, code)?;
    }
    let undelivered = |host: &TestHost| unprocessed(host)["messages"][0].clone();
    let is_told = |message: &Value| message["state"] == "undelivered";
    let told = wait_until("the message to be listed", || undelivered(&host), is_told);
    let why =
        "not delivered: carriers refuse the sender, which is not registered for this traffic (Twilio 30034)";
    assert_eq!((&told["error"], &told["text"]), (&json!(why), &json!("Your code is 7.")), "{told}");
    assert!(
        told["advice"].as_str().is_some_and(|advice| advice.starts_with("Register the sender")),
        "{told}"
    );
    assert_eq!(told["may_retry"], true);
    let thread = host.get(&format!("/api/messages/threads/{}", ADA.replace('+', "%2B"))).json();
    assert_eq!(thread["messages"][0]["not_delivered"], why, "{thread}");
    host.wait_for_output("a message was not delivered: carriers refuse the sender");
    let failing = host.plugin("twilio_service")["failing"][0].clone();
    assert_eq!(failing["key"], "sender_unregistered", "{failing}");
    assert!(
        failing["fix"]["href"].as_str().is_some_and(|href| href.contains("console.twilio.com")),
        "{failing}"
    );
    let letters = || host.get("/api/schedule/dead-letters").json()["dead_letters"].clone();
    let letters = wait_until("a dead letter", letters, |letters| letters[0].is_object());
    assert_eq!(
        (letters.as_array().map(Vec::len), &letters[0]["error"]),
        (Some(1), &json!(format!("denied: {why}")))
    );

    let host = start(host.kill());
    let told = wait_until("it to be kept", || undelivered(&host), is_told);
    let id = told["id"].as_str().expect("it has a name").to_owned();
    assert_eq!(carrier.count(), 1, "nothing is sent again by itself");
    assert_eq!(host.post(&format!("/api/messages/unprocessed/{id}/retry"), &json!({})).status, 202);
    wait_for_texts(&carrier, &["Your code is 7.", "Your code is 7."]);
    report(&host, &format!("SM{:032x}", 2), "delivered", None)?;
    wait_until("nothing to be left", || unprocessed(&host), |left| left["open"] == 0 && left["failed"] == 0);
    Ok(())
}

fn people_without_a_number_are_answered_where_they_are_on_sqlite() -> Outcome {
    people_without_a_number_are_answered_where_they_are(|setup| setup)
}

fn people_without_a_number_are_answered_where_they_are_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    people_without_a_number_are_answered_where_they_are(|setup| setup.env("DATABASE_URL", &postgres.url()))
}

/// Addresses as Twilio delivers them: a user of WhatsApp who shows a name and no number
/// (dimagi/open-chat-studio#3322), RCS, a name, and a client of its own.
#[track_caller]
fn people_without_a_number_are_answered_where_they_are(database: impl Fn(Setup) -> Setup) -> Outcome {
    const USER: &str = "whatsapp:US.13491208655302741918";
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(database(setup(carrier.address(), &model, PUBLIC, ASSISTANT)));
    let whatsapp = format!("whatsapp:{NUMBER}");
    let hidden =
        [("To", whatsapp.as_str()), ("ExternalUserId", USER), ("ProfileName", "Ada"), ("Username", "ada")];
    take(&host, &form("SM1", USER, "hello", &hidden))?;
    wait_for_texts(&carrier, &["re: hello (0 said before)"]);
    settles(&host);
    let rcs = [("To", "rcs:acme_agent"), ("MessagingServiceSid", "MG00000000000000000000000000000001")];
    take(&host, &form("SM2", &format!("rcs:{ADA}"), "hi", &rcs))?;
    wait_for_texts(&carrier, &["re: hello (0 said before)", "re: hi (0 said before)"]);
    settles(&host);
    let recipients: Vec<_> = carrier.taken().into_iter().map(|(to, _)| to).collect();
    assert_eq!(recipients, [USER.to_owned(), format!("rcs:{ADA}")]);
    assert_eq!(carrier.senders(), [whatsapp.clone(), "rcs:acme_agent".to_owned()]);
    assert_eq!(
        thread(&host, USER),
        ["whatsapp person: hello", "whatsapp assistant: re: hello (0 said before)"]
    );
    assert_eq!(thread(&host, ADA), ["rcs person: hi", "rcs assistant: re: hi (0 said before)"]);
    let sent = host.post("/api/messages", &json!({ "to": USER, "text": "one more" }));
    assert_eq!((sent.status, &sent.json()["channel"]), (201, &json!("whatsapp")), "{}", sent.body);
    let by_sms = host.post("/api/messages", &json!({ "to": USER, "text": "no", "channel": "sms" }));
    assert_eq!(by_sms.status, 400, "{}", by_sms.body);
    assert!(by_sms.body.contains("reached by WhatsApp alone"), "{}", by_sms.body);

    for (sid, from) in [("SM3", "MYBANK"), ("SM4", "client:ada"), ("SM5", "messenger:1234567890")] {
        take(&host, &form(sid, from, "your code is 7", &[]))?;
    }
    let listed = || unprocessed(&host)["messages"].clone();
    let is_over = |listed: &Value| {
        let states = listed.as_array().into_iter().flatten().map(|message| &message["state"]);
        states.filter(|state| **state == "unanswerable").count() == 3
    };
    let listed = wait_until("all to be looked at", listed, is_over);
    assert!(listed[0]["error"].as_str().is_some_and(|why| why.contains("`MYBANK` is a name")), "{listed}");
    for message in listed.as_array().expect("messages") {
        assert_eq!((&message["may_retry"], &message["text"]), (&json!(false), &json!("your code is 7")));
        let id = message["id"].as_str().expect("it has a name");
        assert_eq!(host.post(&format!("/api/messages/unprocessed/{id}/retry"), &json!({})).status, 409);
    }
    assert_eq!(
        (unprocessed(&host)["failed"].clone(), carrier.count()),
        (json!(0), 3),
        "nobody is answered there"
    );
    Ok(())
}

fn what_cannot_be_answered_is_told_again_after_a_restart_on_sqlite() -> Outcome {
    what_cannot_be_answered_is_told_again_after_a_restart(|setup| setup)
}

fn what_cannot_be_answered_is_told_again_after_a_restart_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    what_cannot_be_answered_is_told_again_after_a_restart(|setup| setup.env("DATABASE_URL", &postgres.url()))
}

#[track_caller]
fn what_cannot_be_answered_is_told_again_after_a_restart(database: impl Fn(Setup) -> Setup) -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let host = start(database(setup(carrier.address(), &model, PUBLIC, ASSISTANT)));
    for number in 1..=3 {
        take(&host, &form(&format!("SM{number}"), ADA, "refuse it", &[]))?;
    }
    let failing = |host: &TestHost| host.plugin("messaging_service")["failing"][0].clone();
    let is_told = |failing: &Value| failing["key"] == "unanswered";
    wait_until("a trouble", || failing(&host), is_told);
    let host = start(host.kill());
    let again = wait_until("the same trouble", || failing(&host), is_told);
    let message = again["message"].as_str().unwrap_or_default();
    assert!(message.ends_with("could not be answered: nobody may ask for that"), "{again}");
    take(&host, &form("SM4", ADA, "hello", &[]))?;
    wait_until("its end", || failing(&host), Value::is_null);
    let host = start(host.kill());
    settles(&host);
    assert_eq!(failing(&host), Value::Null, "what is over stays over");
    Ok(())
}

fn without_an_assistant_it_is_acknowledged() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let polite = "[plugins.messaging_service.settings]\nacknowledgement = \"We got it.\"\n";
    let host = start(setup(carrier.address(), &model, PUBLIC, polite));
    take(&host, &form("SM1", ADA, "hello", &[]))?;
    wait_for_texts(&carrier, &["We got it."]);
    Ok(())
}

fn a_database_that_is_away_loses_nothing() -> Outcome {
    let mut postgres = Postgres::start()?;
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let setup = setup(carrier.address(), &model, PUBLIC, ASSISTANT).env("DATABASE_URL", &postgres.url());
    let host = start(setup);
    take(&host, &form("SM1", ADA, "one", &[]))?;
    postgres.crash();
    let second = form("SM2", ADA, "two", &[]);
    let signature = sign(TOKEN, &format!("{PUBLIC}{INBOUND}"), &second, "HMAC_SHA1")?;
    let deliver = || post(host.address(), &second, &signature).map_or(0, |answer| answer.status);
    assert_eq!(deliver(), 503, "so that Twilio delivers it again");
    postgres.resume();
    wait_until("it to be taken", deliver, |status| *status == 200);
    wait_for_texts(&carrier, &["re: one (0 said before)", "re: two (2 said before)"]);
    Ok(())
}

fn a_stop_ends_in_time_while_the_database_is_cut() -> Outcome {
    a_stop_ends_in_time_while_the_database(Relay::cut)
}

/// As if every packet were lost: nobody is told that the connections are gone.
fn a_stop_ends_in_time_while_the_database_is_frozen() -> Outcome {
    a_stop_ends_in_time_while_the_database(|way| way.set_pace(Pace::Frozen))
}

/// A text is being sent, and somebody asks for what only the database knows.
fn a_stop_ends_in_time_while_the_database(goes_away: impl Fn(&Relay)) -> Outcome {
    const SCHEDULER: &str = "[plugins.scheduler_service]\n[host]\nshutdown_grace = \"5s\"\n";
    let (carrier, postgres) = (Carrier::start(ACCOUNT), Postgres::start()?);
    let way = Relay::to(&postgres.address());
    let nobody = format!("127.0.0.1:{}", free_port());
    let more = format!("{ASSISTANT}{SCHEDULER}");
    let setup = setup_with(carrier.address(), &nobody, PUBLIC, &more);
    let host = start(setup.env("DATABASE_URL", &postgres.url_by_way_of(way.address())));
    host.wait_for_status("scheduler_service", "connected");
    let release = carrier.hold();
    take(&host, &form("SM1", ADA, "one", &[]))?;
    wait_until("Twilio to be asked", || carrier.is_holding(), |holding| *holding);
    goes_away(&way);
    let address = host.address().to_owned();
    let asking =
        thread::spawn(move || http::request(&address, "GET", "/api/messages/unprocessed", &[], None));
    // The log promises the grace period; plugins have a few seconds however long requests took.
    let (finished, _) = host.terminate_within(Duration::from_secs(30));
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let promise = "requests in progress, and then plugins, may end within 5s";
    assert!(finished.stdout.contains(promise) || finished.stderr.contains(promise), "{finished:?}");
    // It is answered, or cut.
    let _ = asking.join().expect("it does not panic");
    drop(release);
    Ok(())
}

/// What is refused, Twilio delivers again; what was taken is answered.
fn a_full_disk_loses_no_message() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let setup =
        setup(carrier.address(), &model, PUBLIC, ASSISTANT).env("DATABASE_URL", "sqlite:store/main.db");
    let disk = SmallDisk::mount(&setup.path("store"), 32)?;
    let host = start(setup);
    let disk = disk;
    disk.fill();
    // A few may fit into room that the file has already.
    let mut said = 0;
    let deliver = |number: usize| -> Result<u16, Missing> {
        let message = form(&format!("SM{number}"), ADA, &format!("word {number}."), &[]);
        let signature = sign(TOKEN, &format!("{PUBLIC}{INBOUND}"), &message, "HMAC_SHA1")?;
        Ok(post(host.address(), &message, &signature).map_or(0, |answer| answer.status))
    };
    loop {
        said += 1;
        match deliver(said)? {
            200 => assert!(said < 200, "the disk is full"),
            refused => {
                assert_eq!(refused, 503, "so that Twilio delivers it again");
                break;
            }
        }
    }
    host.wait_for_status("database", "error");
    assert_eq!(deliver(said)?, 503);
    disk.make_room();
    host.wait_for_status("database", "connected");
    wait_until("it to be taken", || deliver(said).ok(), |status| *status == Some(200));
    let answers = |number: usize| {
        let begin = format!("re: word {number}. (");
        carrier.taken().iter().filter(|(_, text)| text.starts_with(&begin)).count()
    };
    let counts = || (1..=said).map(answers).collect::<Vec<_>>();
    wait_until("an answer to each", counts, |counts| counts.iter().all(|count| *count == 1));
    Ok(())
}

fn twilio_is_away_and_nothing_is_lost() -> Outcome {
    let (model, mut twilio) = (model()?, crate::twilio::server()?);
    let host = start(setup(twilio.address(), &model, PUBLIC, ASSISTANT));
    // Nobody listens, so it is certain that nothing was sent.
    twilio.process().kill();
    take(&host, &form("SM1", ADA, "one", &[]))?;
    let tried = || unprocessed(&host)["messages"][0]["attempts"].as_u64().unwrap_or(0);
    wait_until("a failed attempt", tried, |attempts| *attempts >= 1);
    twilio.resume();
    wait_for_turns(&host, 2);
    assert_eq!(outbound(&twilio), [(ADA.to_owned(), "re: one (0 said before)".to_owned())]);
    Ok(())
}

/// Twilio takes the answer, and the host is killed before it hears so.
fn a_kill_after_twilio_took_it_sends_nothing_twice() -> Outcome {
    let (model, twilio) = (model()?, crate::twilio::server()?);
    let proxy = Proxy::start(twilio.address());
    let host = start(setup(proxy.address(), &model, PUBLIC, ASSISTANT));
    proxy.set(Mode::KeepAnswers);
    take(&host, &form("SM1", ADA, "one", &[]))?;
    wait_until("Twilio to take it", || proxy.kept(), |kept| *kept == 1);
    let setup = host.kill();
    proxy.set(Mode::Pass);
    let host = start(setup);
    take(&host, &form("SM2", ADA, "two", &[]))?;
    // The claims of the host that is gone end by themselves.
    let done = |left: &Value| left["open"] == 0;
    poll(LIMIT * 2, || unprocessed(&host), done).unwrap_or_else(|last| panic!("{last:#}"));
    let mut texts: Vec<_> = outbound(&twilio).into_iter().map(|(_, text)| text).collect();
    texts.sort();
    assert_eq!(texts, ["re: one (0 said before)", "re: two (2 said before)"]);
    Ok(())
}

fn a_host_that_is_killed_again_and_again_answers_everything_once() -> Outcome {
    let (model, carrier) = (model()?, Carrier::start(ACCOUNT));
    let crowd = Crowd::new(8, 10)?;
    let mut host = start(setup(carrier.address(), &model, PUBLIC, ASSISTANT));
    for round in 0..4 {
        let before = carrier.count();
        crowd.deliver(&[host.address().to_owned()], round * 2..round * 2 + 2);
        // A thread whose answer was on the wire when the host was killed stands for two minutes.
        wait_until("some answers", || carrier.count(), |count| *count > before + 3);
        host = start(host.kill());
    }
    crowd.deliver(&[host.address().to_owned()], 8..10);
    crowd.is_answered_once_and_in_order(&carrier, || unprocessed(&host));
    Ok(())
}

/// Every webhook comes twice, to different hosts, as fast as they are taken. OpenAI is away all the time, which keeps
/// nobody from remembering.
fn three_hosts_one_is_killed_and_everything_is_answered_once() -> Outcome {
    let carrier = Carrier::start(ACCOUNT);
    let nobody = format!("127.0.0.1:{}", free_port());
    let postgres = Postgres::start()?;
    let crowd = Crowd::new(100, 20)?;
    let setup =
        || setup_with(carrier.address(), &nobody, PUBLIC, ASSISTANT).env("DATABASE_URL", &postgres.url());
    let start = || start(setup());
    let mut hosts = vec![start(), start(), start()];
    let addresses: Vec<_> = hosts.iter().map(|host| host.address().to_owned()).collect();
    thread::scope(|scope| {
        scope.spawn(|| crowd.deliver(&addresses, 0..20));
        wait_until("many answers", || carrier.count(), |count| *count >= 500);
        drop(hosts.pop().expect("there are three").kill());
    });
    crowd.is_answered_once_and_in_order(&carrier, || unprocessed(&hosts[0]));
    let stored = postgres.query("select count(*) from messaging_service_inbox where state = 'answered'");
    assert_eq!(stored, "2000");
    Ok(())
}

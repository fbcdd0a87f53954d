//! The voice_assistant plugin with stand-ins for Twilio and the model, Twilio's own library as a signer, and the real
//! orchestrator, memory and database: calls are answered turn by turn, kept and remembered, whatever is down or killed.

pub mod caller;
mod model;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    http::Response,
    partners::{Missing, emulate, free_port, node::NodeServer, postgres::Postgres, twilio::sign},
    trial::Outcome,
    trials,
    wait::wait_until,
};

use crate::{
    messaging::carrier::Carrier,
    openai,
    twilio::{self, TOKEN},
};
use caller::{Caller, action, send, spoken};
use model::Model;

pub fn tests() -> Vec<Trial> {
    trials![
        a_call_is_answered_kept_and_remembered_on_sqlite,
        a_call_is_answered_kept_and_remembered_on_postgresql,
        what_twilio_did_not_sign_is_refused,
        a_token_is_given_once_however_often_a_webhook_is_played,
        a_caller_who_is_forged_is_nobody,
        without_openai_a_message_is_left_and_announced,
        openai_goes_down_in_the_middle_of_a_call,
        the_database_goes_down_in_the_middle_of_a_call,
        a_machine_that_answers_is_left_a_message,
        a_call_outlives_its_host,
        a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended_on_sqlite,
        a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended_on_postgresql,
        audio_that_does_not_arrive_is_told_again_after_a_restart_on_sqlite,
        audio_that_does_not_arrive_is_told_again_after_a_restart_on_postgresql,
    ]
}

const ACCOUNT: &str = "AC0000000000000000000000000000000a";
const NUMBER: &str = "+15551234567";
const ADA: &str = "+15550000001";
const OWNER: &str = "+15550000009";
const VOICE: &str = "/webhooks/twilio/voice";
const CALL: &str = "CA00000000000000000000000000000001";
const FORM: &str = "application/x-www-form-urlencoded";
const APOLOGY: &str = "I am sorry, I cannot answer at the moment.";

const PLUGINS: &str = r#"
    [plugins.database]
    probe = { interval = "500ms", timeout = "5s" }
    retry = { attempts = 3, base = "50ms", cap = "200ms" }
    [plugins.openai]
    probe = { interval = "300ms", timeout = "5s" }
    retry = { attempts = 2, base = "50ms", cap = "100ms", recovery = "300ms" }
    [plugins.twilio]
    probe = { interval = "1h", timeout = "10s" }
    [plugins.memory_service]
    [plugins.orchestrator_service]
    tools = ["memory_service.remember", "memory_service.recall"]
    settings = { lease = "2s" }
"#;
/// A plugin of the bridge's name that is connected.
const BRIDGE: &str = "[plugins.realtime_call_bridge]\nlibrary = \"phone\"\n";

/// The world around a host.
struct World {
    model: Model,
    twilio: NodeServer,
    public: String,
    port: u16,
}

impl World {
    /// Twilio delivers calls to the host that listens on the port.
    fn start() -> Result<Self, Missing> {
        let port = free_port();
        let public = format!("http://127.0.0.1:{port}");
        let mut seed = twilio::account("active");
        seed["twilio"]["phone_numbers"][0] = json!({
            "phone_number": NUMBER, "voice_url": format!("{public}{VOICE}"), "voice_method": "POST",
            "status_callback": format!("{public}{VOICE}/status"),
        });
        let twilio = emulate::start("twilio", &seed)?;
        Ok(Self { model: Model::start(), twilio, public, port })
    }

    fn setup(&self, more: &str) -> Setup {
        self.setup_for(self.model.address(), more)
            .env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{}", self.port))
    }

    /// One of several hosts that Twilio knows under one address.
    fn setup_for(&self, model: &str, more: &str) -> Setup {
        let public = &self.public;
        // The stand-in of Twilio attests no number.
        let settings =
            format!("public_base_url = \"{public}\", owner_number = \"{OWNER}\", known_from = \"shown\"");
        let voice = format!("[plugins.voice_assistant]\nsettings = {{ {settings} }}\n");
        let service = format!("[plugins.twilio_service]\nsettings = {{ public_base_url = \"{public}\" }}\n");
        let setup = Setup::new(&format!("{PLUGINS}{service}{voice}{more}"));
        twilio::variables(openai::variables(setup, model, openai::KEY), self.twilio.address())
    }

    fn caller(&self) -> Caller {
        Caller { call: CALL.to_owned(), public: self.public.clone() }
    }

    /// What the owner was told.
    fn announced(&self) -> Vec<String> {
        let messages = twilio::taken(&self.twilio, "Messages");
        let told = messages.iter().filter(|message| message["to"] == OWNER);
        told.filter_map(|message| message["body"].as_str()).map(str::to_owned).collect()
    }
}

#[track_caller]
fn start(setup: Setup) -> TestHost {
    let host = setup.start();
    for plugin in
        ["database", "openai", "twilio_service", "orchestrator_service", "memory_service", "voice_assistant"]
    {
        host.wait_for_status(plugin, "connected");
    }
    host
}

fn encoded(form: &Value) -> String {
    let fields = form.as_object().expect("a form has fields").iter();
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let fields = fields.map(|(name, value)| format!("{name}={}", encode(value.as_str().unwrap_or_default())));
    fields.collect::<Vec<_>>().join("&")
}

/// A call as operators see it.
#[track_caller]
fn shown(host: &TestHost, call: &str) -> Value {
    let answer = host.get(&format!("/api/calls/{call}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// What was said and done in it, a line each.
fn lines(shown: &Value) -> Vec<String> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let line = |entry: &Value| match entry["type"].as_str() {
        Some("said") => format!("{}: {}", text(entry, "speaker"), text(entry, "text")),
        Some("tool") => format!("{}: {}", text(entry, "tool"), entry["ok"]),
        _ => format!("({})", text(entry, "text")),
    };
    shown["entries"].as_array().expect("entries").iter().map(line).collect()
}

/// Calls an operation on behalf of Ada, under a key if there is one.
fn ask(host: &TestHost, operation: &str, key: &str, request: &Value) -> Response {
    let mut headers = vec![("switchboard-person", ADA), ("content-type", "application/json")];
    if !key.is_empty() {
        headers.push(("idempotency-key", key));
    }
    host.request("POST", &format!("/api/operations/{operation}"), &headers, Some(&request.to_string()))
}

/// Waits until the memory has so many turns of Ada's thread; as `medium speaker: text`.
#[track_caller]
fn thread(host: &TestHost, count: usize) -> Vec<String> {
    let turns = || ask(host, "memory_service/thread", "", &json!({})).json()["turns"].as_array().cloned();
    let turns =
        wait_until("the memory to have it", turns, |turns| turns.as_ref().is_some_and(|t| t.len() >= count));
    let text = |turn: &Value, name: &str| turn[name].as_str().unwrap_or_default().to_owned();
    let line =
        |turn: &Value| format!("{} {}: {}", text(turn, "medium"), text(turn, "speaker"), text(turn, "text"));
    turns.unwrap_or_default().iter().map(line).collect()
}

fn a_call_is_answered_kept_and_remembered_on_sqlite() -> Outcome {
    a_call_is_answered_kept_and_remembered(|setup| setup)
}

fn a_call_is_answered_kept_and_remembered_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    a_call_is_answered_kept_and_remembered(|setup| setup.env("DATABASE_URL", &postgres.url()))
}

/// The stand-in of Twilio rings up and hangs up; what it cannot do, talk, Twilio's library signs.
#[track_caller]
fn a_call_is_answered_kept_and_remembered(database: impl Fn(Setup) -> Setup) -> Outcome {
    let world = World::start()?;
    let host = start(database(world.setup("")));
    let written = json!({ "speaker": "person", "medium": "sms", "text": "I am Ada" });
    assert_eq!(ask(&host, "memory_service/add_turn", "sms", &written).status, 200);

    twilio::simulate(&world.twilio, "inbound-call", "To=%2B15551234567&From=%2B15550000001");
    let calls = || host.get("/api/calls").json()["calls"].as_array().cloned().unwrap_or_default();
    let call = wait_until("the call", calls, |calls| calls.len() == 1).remove(0);
    assert_eq!((&call["way"], &call["live"], &call["person"]), (&json!("turns"), &json!(true), &json!(ADA)));
    let caller = Caller { call: call["call"].as_str().expect("a SID").to_owned(), ..world.caller() };

    // What the stand-in was answered nobody sees, so it is asked for again.
    let twiml = caller.ring(&host)?;
    assert_eq!(spoken(&twiml), ["Hello! How can I help you?"]);
    let twiml = caller.say(&host, &twiml, "hello")?;
    assert_eq!(spoken(&twiml)[0].split(" (").next(), Some("You said: hello"));
    let twiml = caller.say(&host, &twiml, "remember that I like <tea>")?;
    assert_eq!(spoken(&twiml), ["I will remember that."]);
    let twiml = caller.say(&host, &twiml, "who am I & what do I like?")?;
    assert_eq!(spoken(&twiml), ["You said: who am I &amp; what do I like? (4)"], "it knows what was written");
    let form = format!("CallSid={}&Status=completed", caller.call);
    twilio::simulate(&world.twilio, "call-status", &form);

    let over = || shown(&host, &caller.call);
    let over = wait_until("the call to be over", over, |call| call["live"] == false);
    assert_eq!(over["outcome"], "the other side hung up");
    assert_eq!(
        lines(&over),
        [
            "assistant: Hello! How can I help you?",
            "person: hello",
            "assistant: You said: hello (2)",
            "person: remember that I like <tea>",
            "memory_service.remember: true",
            "assistant: I will remember that.",
            "person: who am I & what do I like?",
            "assistant: You said: who am I & what do I like? (4)",
        ]
    );
    let took = over["entries"].as_array().expect("entries").iter().filter(|entry| entry["took_ms"].is_u64());
    assert_eq!(took.count(), 3, "how long each answer took is kept: {over}");
    let thread = thread(&host, 7);
    assert_eq!(thread[0], "sms person: I am Ada");
    assert_eq!(thread[4], "voice assistant: I will remember that.");
    let recalled =
        ask(&host, "memory_service/recall", "", &json!({ "query": "tea", "kinds": ["fact"] })).json();
    assert_eq!(recalled["memories"][0]["text"], "that I like <tea>", "{recalled}");
    Ok(())
}

fn what_twilio_did_not_sign_is_refused() -> Outcome {
    let world = World::start()?;
    let (host, caller) = (start(world.setup("")), world.caller());
    let paths = [
        "",
        "/turn?n=1",
        "/wait?n=1",
        "/stream-ended",
        "/stream-status",
        "/dial-ended",
        "/voicemail",
        "/recording",
        "/machine",
        "/status",
    ];
    for path in paths {
        let form = caller.form(&[("SpeechResult", "hello")]);
        let signature = sign(TOKEN, &format!("{}{VOICE}{path}", world.public), &form, "HMAC_SHA1")?;
        let altered = caller.form(&[("SpeechResult", "buy everything")]);
        for (form, signature) in [(&altered, signature.as_str()), (&form, "forged"), (&form, "")] {
            let refused = send(&host, path, form, signature);
            assert_eq!(refused.status, 403, "{path}: {}", refused.body);
        }
    }
    let signed = sign(TOKEN, &format!("{}{VOICE}/turn?n=1", world.public), &caller.form(&[]), "HMAC_SHA1")?;
    let refused = send(&host, "/turn?n=2", &caller.form(&[]), &signed);
    assert_eq!(refused.status, 403, "the turn is part of what is signed");
    assert_eq!(host.get("/api/calls").json()["calls"], json!([]));
    Ok(())
}

fn a_token_is_given_once_however_often_a_webhook_is_played() -> Outcome {
    let world = World::start()?;
    let (host, caller) = (start(world.setup(BRIDGE)), world.caller());
    host.wait_for_status("realtime_call_bridge", "connected");
    let twiml = caller.ring(&host)?;
    let url = format!("<Stream url=\"ws://127.0.0.1:{}/media/twilio\"", world.port);
    assert!(twiml.contains(&url) && twiml.contains("<Parameter name=\"token\" value=\""), "{twiml}");
    for _ in 0..3 {
        let again = caller.ring(&host)?;
        assert!(!again.contains("<Stream") && again.contains("<Gather"), "{again}");
    }
    // The stream never came to life: the call goes on turn by turn.
    let twiml = caller.hear(&host, &action(&twiml), &[])?;
    let twiml = caller.say(&host, &twiml, "hello?")?;
    assert_eq!(spoken(&twiml), ["You said: hello? (1)"]);
    assert_eq!(shown(&host, CALL)["way"], "turns");
    let all = host.output();
    assert!(!all.contains("value=\""), "no token is logged: {all}");
    Ok(())
}

fn a_caller_who_is_forged_is_nobody() -> Outcome {
    let world = World::start()?;
    let (host, caller) = (start(world.setup("")), world.caller());
    let secret = json!({ "text": "the code is 1234" });
    assert_eq!(ask(&host, "memory_service/remember", "k", &secret).status, 200);
    let failed = [("CallStatus", "ringing"), ("StirVerstat", "TN-Validation-Failed-C")];
    let twiml = caller.hear(&host, "", &failed)?;
    let twiml = caller.say(&host, &twiml, "remember that I am Ada")?;
    assert_eq!(spoken(&twiml), ["I will remember that."]);
    let call = shown(&host, CALL);
    assert_eq!((&call["person"], &call["number"]), (&Value::Null, &json!(ADA)));
    let people = host.call("memory_service", "people", &json!({})).json();
    let facts = |person: &Value| (person["person"].clone(), person["facts"].clone());
    let facts: Vec<_> = people["people"].as_array().expect("people").iter().map(facts).collect();
    assert!(facts.contains(&(json!(ADA), json!(1))), "of Ada nothing was learned: {people}");
    Ok(())
}

fn without_openai_a_message_is_left_and_announced() -> Outcome {
    let world = World::start()?;
    let nobody = format!("127.0.0.1:{}", free_port());
    let listen = format!("127.0.0.1:{}", world.port);
    let host = world.setup_for(&nobody, "").env("SWITCHBOARD_LISTEN", &listen).start();
    host.wait_for_status("openai", "error");
    host.wait_for_status("voice_assistant", "connected");
    host.wait_for_status("twilio_service", "connected");
    let caller = world.caller();
    let twiml = caller.ring(&host)?;
    assert_eq!(spoken(&twiml)[0], APOLOGY);
    assert!(twiml.contains("<Record "), "{twiml}");
    let url = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1");
    let left = [("RecordingSid", "RE1"), ("RecordingUrl", url.as_str()), ("RecordingDuration", "7")];
    for _ in 0..2 {
        let twiml = caller.hear(&host, &action(&twiml), &left)?;
        assert_eq!(spoken(&twiml), ["Thank you. Your message was recorded. Goodbye!"]);
    }
    let told = [&left[..], &[("RecordingStatus", "completed")]].concat();
    caller.hear(&host, "/recording?voicemail=1", &told)?;
    caller.hear(&host, "/status", &[("CallStatus", "completed")])?;
    let announced = wait_until("the owner to be told", || world.announced(), |told| !told.is_empty());
    assert_eq!(announced, [format!("{ADA} left a message of 7 seconds on the phone: recording RE1.")]);
    let over = shown(&host, CALL);
    assert_eq!((&over["way"], &over["outcome"]), (&json!("voicemail"), &json!("a message was left")));
    assert_eq!(over["recordings"][0]["recording"], "RE1");
    Ok(())
}

fn openai_goes_down_in_the_middle_of_a_call() -> Outcome {
    let world = World::start()?;
    let (host, caller) = (start(world.setup("")), world.caller());
    let twiml = caller.ring(&host)?;
    let twiml = caller.say(&host, &twiml, "hello")?;
    world.model.set_down(true);
    host.wait_for_status("openai", "error");
    let twiml = caller.say(&host, &twiml, "still there?")?;
    assert_eq!(spoken(&twiml)[0], APOLOGY, "{twiml}");
    assert!(twiml.contains("<Record "), "{twiml}");
    let kept = lines(&shown(&host, CALL));
    assert!(kept.contains(&"person: still there?".to_owned()), "{kept:?}");
    world.model.set_down(false);
    host.wait_for_status("openai", "connected");
    let other = Caller { call: "CA00000000000000000000000000000002".to_owned(), ..world.caller() };
    let twiml = other.ring(&host)?;
    assert_eq!(spoken(&other.say(&host, &twiml, "hello")?)[0].split(" (").next(), Some("You said: hello"));
    Ok(())
}

/// The orchestrator can keep no run; the model answers alone, and what was said is written when the database is back.
fn the_database_goes_down_in_the_middle_of_a_call() -> Outcome {
    let mut postgres = Postgres::start()?;
    let world = World::start()?;
    let host = start(world.setup("").env("DATABASE_URL", &postgres.url()));
    let caller = world.caller();
    let twiml = caller.ring(&host)?;
    let twiml = caller.say(&host, &twiml, "hello")?;
    postgres.crash();
    let twiml = caller.say(&host, &twiml, "still there?")?;
    assert_eq!(spoken(&twiml), ["You said: still there? (2)"]);
    postgres.resume();
    let twiml = caller.say(&host, &twiml, "and now?")?;
    assert_eq!(spoken(&twiml)[0].split(" (").next(), Some("You said: and now?"));
    caller.hear(&host, "/status", &[("CallStatus", "completed")])?;
    let kept = || {
        let answer = host.get(&format!("/api/calls/{CALL}"));
        if answer.status == 200 { answer.json() } else { Value::Null }
    };
    let kept = wait_until("the call to be kept", kept, |call| call["live"] == false);
    let said: Vec<_> = lines(&kept).into_iter().filter(|line| line.starts_with("person")).collect();
    assert_eq!(said, ["person: hello", "person: still there?", "person: and now?"]);
    Ok(())
}

fn a_machine_that_answers_is_left_a_message() -> Outcome {
    let world = World::start()?;
    let host = start(world.setup(""));
    let request =
        json!({ "objective": "Ask about Tuesday.", "opening": "Hi!", "message": "Please call back." });
    let placed = ask(&host, "voice_assistant/call_person", "k", &request);
    assert_eq!(placed.status, 200, "{}", placed.body);
    let again = ask(&host, "voice_assistant/call_person", "k", &request).json();
    assert_eq!((&again["repeated"], &again["call"]), (&json!(true), &placed.json()["call"]));
    let call = placed.json()["call"].as_str().expect("a SID").to_owned();
    let orders = json!({ "sql": "select reference from voice_assistant_orders" });
    let orders = host.call("database", "query", &orders).json();
    let order = orders["rows"][0][0].as_str().expect("an order").to_owned();
    let caller = Caller { call: call.clone(), ..world.caller() };
    let outbound = [("Direction", "outbound-api"), ("From", NUMBER), ("To", ADA)];
    let twiml = caller.hear(&host, &format!("?order={order}"), &outbound)?;
    assert_eq!(spoken(&twiml), ["Hi!"]);
    let machine = [&outbound[..], &[("AnsweredBy", "machine_end_beep")]].concat();
    for _ in 0..2 {
        caller.hear(&host, &format!("/machine?order={order}"), &machine)?;
    }
    let kept = shown(&host, &call);
    assert_eq!(kept["outcome"], "a machine answered, and was left a message");
    assert_eq!((&kept["outbound"], &kept["objective"]), (&json!(true), &json!("Ask about Tuesday.")));
    let placed = twilio::taken(&world.twilio, "Calls");
    assert_eq!(placed.len(), 1, "{placed:?}");
    // Its end is reported to `twilio_service`, and learned from there.
    let form = format!("CallSid={call}&Status=completed");
    twilio::simulate(&world.twilio, "call-status", &form);
    let over = wait_until("the call to be over", || shown(&host, &call), |call| call["live"] == false);
    assert_eq!(over["answered_by"], "machine_end_beep");
    assert_eq!(thread(&host, 1), ["voice assistant: Hi!"]);
    Ok(())
}

fn a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended_on_sqlite() -> Outcome {
    a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended(|setup| setup)
}

fn a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended(|setup| {
        setup.env("DATABASE_URL", &postgres.url())
    })
}

/// Twilio refuses the number of the owner.
#[track_caller]
fn a_message_whose_owner_cannot_be_told_is_kept_until_the_setting_is_mended(
    database: impl Fn(Setup) -> Setup,
) -> Outcome {
    let (world, carrier) = (World::start()?, Carrier::start(ACCOUNT));
    carrier.refuse(OWNER, 21211);
    let host = start(database(twilio::variables(world.setup(""), carrier.address())));
    let caller = world.caller();
    caller.ring(&host)?;
    let url = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1");
    let left = [
        ("RecordingSid", "RE1"),
        ("RecordingUrl", url.as_str()),
        ("RecordingDuration", "7"),
        ("RecordingStatus", "completed"),
    ];
    caller.hear(&host, "/recording?voicemail=1", &left)?;
    let failing = |host: &TestHost| host.plugin("voice_assistant")["failing"][0].clone();
    let is_told = |failing: &Value| failing["key"] == "voicemail_notices";
    wait_until("a trouble", || failing(&host), is_told);
    let why = |host: &TestHost| shown(host, CALL)["recordings"][0]["not_announced"].clone();
    assert!(why(&host).as_str().is_some_and(|why| why.contains("Twilio 21211")), "{}", why(&host));

    let host = start(host.kill());
    let again = wait_until("the same trouble", || failing(&host), is_told);
    let message = again["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("nobody could be told of a message that was left: "), "{again}");
    assert_eq!(carrier.count(), 0);
    const OTHER: &str = "+15550000008";
    let path = host.setup().path("plugins.toml");
    let mended = std::fs::read_to_string(&path).expect("it can be read").replace(OWNER, OTHER);
    std::fs::write(&path, mended).expect("it can be written");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let told = wait_until("the owner to be told", || carrier.taken(), |taken| !taken.is_empty());
    let notice = format!("{ADA} left a message of 7 seconds on the phone: recording RE1.");
    assert_eq!(told, [(OTHER.to_owned(), notice)]);
    wait_until("its end", || failing(&host), Value::is_null);
    wait_until("nothing to be left", || why(&host), Value::is_null);

    // Twilio took it, and the carrier does not deliver it.
    twilio::report(&host, 1, "undelivered", "30006");
    let lost = wait_until("the trouble again", || failing(&host), is_told);
    let message = lost["message"].as_str().unwrap_or_default();
    assert!(message.contains("the SMS was not delivered: the number is a landline"), "{lost}");
    assert!(why(&host).as_str().is_some_and(|why| why.contains("Twilio 30006")), "{}", why(&host));
    assert_eq!(carrier.count(), 1, "another one at once would not arrive either");
    let host = start(host.kill());
    wait_until("the owner to be told again", || carrier.count(), |count| *count == 2);
    wait_until("nothing to be left again", || why(&host), Value::is_null);
    Ok(())
}

fn audio_that_does_not_arrive_is_told_again_after_a_restart_on_sqlite() -> Outcome {
    audio_that_does_not_arrive_is_told_again_after_a_restart(|setup| setup)
}

fn audio_that_does_not_arrive_is_told_again_after_a_restart_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    audio_that_does_not_arrive_is_told_again_after_a_restart(|setup| {
        setup.env("DATABASE_URL", &postgres.url())
    })
}

#[track_caller]
fn audio_that_does_not_arrive_is_told_again_after_a_restart(database: impl Fn(Setup) -> Setup) -> Outcome {
    let world = World::start()?;
    let host = start(database(world.setup(BRIDGE)));
    for number in 1..=2 {
        let caller = Caller { call: format!("CA0000000000000000000000000000001{number}"), ..world.caller() };
        caller.ring(&host)?;
        let stream = format!("MZ{number}");
        let failed = [
            ("StreamSid", stream.as_str()),
            ("StreamEvent", "stream-error"),
            ("StreamError", "31920 - Stream - WebSocket - Handshake Error"),
        ];
        caller.hear(&host, "/stream-status", &failed)?;
    }
    let failing = |host: &TestHost| host.plugin("voice_assistant")["failing"][0].clone();
    let is_told = |failing: &Value| failing["key"] == "media";
    wait_until("a trouble", || failing(&host), is_told);
    let host = start(host.kill());
    let again = wait_until("the same trouble", || failing(&host), is_told);
    let message = again["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("the last 2 calls were not carried") && message.contains("31920"), "{again}");
    assert!(again["fix"]["label"].as_str().is_some_and(|label| label.contains("PUBLIC_BASE_URL")), "{again}");
    Ok(())
}

/// Two hosts on one database; the one that talks is killed.
fn a_call_outlives_its_host() -> Outcome {
    let (postgres, world) = (Postgres::start()?, World::start()?);
    let setup = || world.setup_for(world.model.address(), "").env("DATABASE_URL", &postgres.url());
    let (one, other) = (start(setup()), start(setup()));
    let caller = world.caller();
    let twiml = caller.ring(&one)?;
    let first = caller.say(&one, &twiml, "hello")?;
    let again = caller.say(&other, &twiml, "hello")?;
    assert_eq!(spoken(&first), spoken(&again), "what is delivered to both is answered once");
    drop(one.kill());
    let twiml = caller.say(&other, &first, "are you still there?")?;
    assert_eq!(spoken(&twiml), ["You said: are you still there? (2)"]);
    caller.hear(&other, "/status", &[("CallStatus", "completed")])?;
    let kept = shown(&other, CALL);
    assert_eq!((&kept["live"], &kept["outcome"]), (&json!(false), &json!("the other side hung up")));
    assert_eq!(
        lines(&kept),
        [
            "assistant: Hello! How can I help you?",
            "person: hello",
            "assistant: You said: hello (1)",
            "person: are you still there?",
            "assistant: You said: are you still there? (2)",
        ]
    );
    assert_eq!(thread(&other, 4).len(), 4, "each of it once");
    Ok(())
}

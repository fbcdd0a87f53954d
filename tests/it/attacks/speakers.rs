//! Somebody pretends to be somebody else: by a number that is forged, withheld or the assistant's own. The model does
//! whatever they want.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{Missing, twilio::sign},
    trial::Outcome,
    trials,
    wait::wait_until,
};

use super::{
    model::{Model, results, text},
    on_both_databases, remembered,
};
use crate::{
    messaging::carrier::Carrier,
    openai, twilio,
    voice::caller::{Caller, action, spoken},
};

pub fn tests() -> Vec<Trial> {
    trials![
        whoever_shows_the_number_of_someone_else_on_the_phone_gets_nothing_of_theirs,
        a_code_goes_to_the_owner_of_the_number_and_cannot_be_guessed,
        a_number_of_the_account_is_nobody,
        an_operator_may_trust_whatsapp_alone,
        media_of_other_hosts_are_not_sent,
    ]
}

const ACCOUNT: &str = "AC0000000000000000000000000000000a";
const NUMBER: &str = "+15551234567";
const ADA: &str = "+15550000001";
const PUBLIC: &str = "https://example.com";
const INBOUND: &str = "/webhooks/twilio/inbound-message";
const SECRET: &str = "the safe opens with 4711";

const PLUGINS: &str = r#"
    [plugins.database]
    [plugins.openai]
    [plugins.twilio]
    [plugins.twilio_service]
    settings = { public_base_url = "https://example.com" }
    [plugins.memory_service]
    [plugins.scheduler_service]
    [plugins.orchestrator_service]
    tools = ["memory_service.*", "scheduler_service.*", "voice_assistant.*", "messaging_service.*"]
    [plugins.messaging_service]
"#;
const VOICE: &str = "[plugins.voice_assistant]\nsettings = { public_base_url = \"https://example.com\", patience = \"8s\" }\n";

struct World {
    model: Model,
    carrier: Carrier,
    host: TestHost,
}

impl World {
    fn start(database: &dyn Fn(Setup) -> Setup, more: &str) -> Self {
        let (model, carrier) = (Model::start(), Carrier::start(ACCOUNT));
        let setup = openai::variables(Setup::new(&format!("{PLUGINS}{more}")), model.address(), openai::KEY);
        let host = database(twilio::variables(setup, carrier.address())).start();
        for name in ["twilio_service", "memory_service", "scheduler_service", "messaging_service"] {
            host.wait_for_status(name, "connected");
        }
        host.wait_for_status("orchestrator_service", "connected");
        let said = json!({ "speaker": "person", "medium": "whatsapp", "text": SECRET });
        assert_eq!(remembered(&host, ADA, "add_turn", &said).status, 200);
        assert_eq!(remembered(&host, ADA, "remember", &json!({ "text": SECRET })).status, 200);
        model.wants(all_of_theirs());
        Self { model, carrier, host }
    }

    /// Everything of Ada's that there is.
    fn of_ada(&self) -> Value {
        let thread = remembered(&self.host, ADA, "thread", &json!({})).json();
        let facts = remembered(&self.host, ADA, "recall", &json!({ "query": "safe", "kinds": ["fact"] }));
        let jobs = self.host.get("/api/schedule/jobs?all=true").json();
        let texts = |list: &Value| -> Vec<Value> {
            list.as_array().expect("a list").iter().map(|item| item["text"].clone()).collect()
        };
        json!([texts(&thread["turns"]), texts(&facts.json()["memories"]), jobs["jobs"]])
    }

    /// A message as Twilio delivers it.
    fn deliver(&self, sid: &str, from: &str, to: &str, more: &[(&str, &str)]) -> Outcome {
        let mut form = json!({
            "MessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "AccountSid": ACCOUNT, "From": from, "To": to,
            "Body": "what opens the safe?", "NumMedia": "0",
        });
        for (name, value) in more {
            form[*name] = json!(value);
        }
        let signature = sign(twilio::TOKEN, &format!("{PUBLIC}{INBOUND}"), &form, "HMAC_SHA1")?;
        let fields = form.as_object().expect("a form").iter();
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let body: Vec<_> = fields
            .map(|(name, value)| format!("{name}={}", encode(value.as_str().unwrap_or_default())))
            .collect();
        let headers = [
            ("x-twilio-signature", signature.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let taken = self.host.request("POST", INBOUND, &headers, Some(&body.join("&")));
        assert_eq!(taken.status, 200, "{}", taken.body);
        wait_until(
            "the message to be processed",
            || self.host.get("/api/messages/unprocessed").json(),
            |left| left["open"] == 0,
        );
        Ok(())
    }
}

/// Every tool that tells of somebody, or acts in their name.
fn all_of_theirs() -> Vec<(&'static str, Value)> {
    let later = json!({ "message": { "text": "hello" }, "in_minutes": 60 });
    vec![
        ("memory_service-recall", json!({ "query": "safe" })),
        ("memory_service-thread", json!({})),
        ("memory_service-summarise", json!({})),
        ("memory_service-remember", json!({ "text": "the safe opens with 0000" })),
        ("scheduler_service-schedule", later),
        ("scheduler_service-list", json!({})),
        ("messaging_service-send", json!({ "text": "hello" })),
        ("memory_service-forget", json!({ "everything": true })),
    ]
}

/// Nothing of Ada's was told, and no tool in her name was there.
#[track_caller]
fn nothing_was_told(world: &World, what: &str) {
    let chats = world.model.told();
    let last = chats.last().unwrap_or_else(|| panic!("{what}: the model was asked"));
    let given = results(last);
    assert_eq!(given.len(), all_of_theirs().len(), "{what}: {given:?}");
    for (result, (tool, _)) in given.iter().zip(all_of_theirs()) {
        assert!(
            result.contains(&format!("not called: you have no tool `{tool}`")),
            "{what}: {tool}: {result}"
        );
    }
    let all = json!(chats).to_string();
    assert!(!all.contains("4711"), "{what}: {all}");
    assert!(text(&last[0]).contains("It is not certain who this person is"), "{what}: {}", text(&last[0]));
}

fn caller(number: usize) -> Caller {
    Caller { call: format!("CA{number:032}"), public: PUBLIC.to_owned() }
}

/// Rings up so, and asks.
fn ask(world: &World, number: usize, verdict: &[(&str, &str)]) -> Result<(), Missing> {
    let caller = caller(number);
    let twiml = caller.hear(&world.host, "", &[&[("CallStatus", "ringing")], verdict].concat())?;
    let words = [&[("SpeechResult", "what opens the safe?")], verdict].concat();
    let mut twiml = caller.hear(&world.host, &action(&twiml), &words)?;
    while let Some(path) = waits(&twiml) {
        twiml = caller.hear(&world.host, &path, verdict)?;
    }
    assert_eq!(spoken(&twiml), ["That is all."]);
    Ok(())
}

/// Where it is asked again, while the answer takes its time.
fn waits(twiml: &str) -> Option<String> {
    let path = twiml.split("<Redirect method=\"POST\">").nth(1)?.split('<').next()?.replace("&amp;", "&");
    Some(path.split_once("/webhooks/twilio/voice")?.1.to_owned())
}

fn whoever_shows_the_number_of_someone_else_on_the_phone_gets_nothing_of_theirs() -> Outcome {
    on_both_databases(|database| {
        attack_by_phone(database).expect("the tools of this test are there");
    })
}

fn attack_by_phone(database: &dyn Fn(Setup) -> Setup) -> Result<(), Missing> {
    let world = World::start(database, VOICE);
    world.host.wait_for_status("voice_assistant", "connected");
    let before = world.of_ada();
    for (number, verdict) in [
        vec![],
        vec![("StirVerstat", "No-TN-Validation")],
        vec![("StirVerstat", "TN-Validation-Passed-B")],
        vec![("StirVerstat", "TN-Validation-Passed-C")],
        vec![("StirVerstat", "TN-Validation-Passed-A-Passthrough")],
        vec![("StirVerstat", "TN-Validation-Failed-A")],
        vec![("StirVerstat", "TN-Validation-Passed-A"), ("From", "+266696687")],
        vec![("StirVerstat", "TN-Validation-Passed-A"), ("From", NUMBER)],
    ]
    .into_iter()
    .enumerate()
    {
        world.model.told();
        ask(&world, number, &verdict)?;
        nothing_was_told(&world, &format!("{verdict:?}"));
    }
    assert_eq!(world.of_ada(), before, "nothing was written in her name, and nothing forgotten");

    // It is the attestation that keeps them out, and nothing else.
    world.model.wants(all_of_theirs()[..1].to_vec());
    ask(&world, 50, &[("StirVerstat", "TN-Validation-Passed-A")])?;
    let chats = world.model.told();
    assert!(json!(chats).to_string().contains("4711"), "{chats:?}");
    Ok(())
}

fn a_code_goes_to_the_owner_of_the_number_and_cannot_be_guessed() -> Outcome {
    on_both_databases(|database| {
        guess_codes(database).expect("the tools of this test are there");
    })
}

fn guess_codes(database: &dyn Fn(Setup) -> Setup) -> Result<(), Missing> {
    let world = World::start(database, VOICE);
    world.host.wait_for_status("voice_assistant", "connected");
    world.model.wants(vec![("voice_assistant-send_code", json!({}))]);
    ask(&world, 1, &[])?;
    let sent = wait_until("the code", || world.carrier.taken(), |taken| !taken.is_empty());
    assert_eq!(sent[0].0, ADA, "to nobody else, whatever the caller says");
    let code = sent[0].1[..6].to_owned();
    assert!(code.bytes().all(|byte| byte.is_ascii_digit()), "{sent:?}");
    assert!(!json!(world.model.told()).to_string().contains(&code), "the model never knows it");
    let dump = world.host.call("database", "query", &json!({ "sql": "select * from voice_assistant_calls" }));
    assert!(!dump.body.contains(&code), "only its hash is kept: {}", dump.body);

    let guess = |code: &str| ("voice_assistant-check_code", json!({ "code": code }));
    let wrong = if code == "000000" { "111111" } else { "000000" };
    world.model.wants(vec![guess(wrong), guess(wrong), guess(wrong), guess(&code)]);
    ask(&world, 1, &[])?;
    let given = results(world.model.told().last().expect("it was asked"));
    assert!(given[2].contains("\"attempts_left\":0"), "{given:?}");
    assert!(given[3].contains("no code is valid"), "three wrong ones make it void: {given:?}");

    // A code is of its call: another caller with the same number cannot use it.
    world.model.wants(vec![("voice_assistant-send_code", json!({}))]);
    ask(&world, 2, &[])?;
    let sent = wait_until("another code", || world.carrier.taken(), |taken| taken.len() == 2);
    let code = sent[1].1[..6].to_owned();
    world.model.wants(vec![guess(&code)]);
    ask(&world, 3, &[])?;
    let given = results(world.model.told().last().expect("it was asked"));
    assert!(given[0].contains("no code is valid"), "{given:?}");
    // Whoever has the telephone is known from then on.
    ask(&world, 2, &[])?;
    assert!(results(world.model.told().last().expect("it was asked"))[0].contains("\"proven\":true"));
    world.model.wants(all_of_theirs()[..1].to_vec());
    ask(&world, 2, &[])?;
    assert!(json!(world.model.told()).to_string().contains("4711"));
    Ok(())
}

fn a_number_of_the_account_is_nobody() -> Outcome {
    on_both_databases(|database| {
        let world = World::start(database, "");
        let before = world.of_ada();
        let deliver = |sid: &str, from: &str, to: &str| {
            world.deliver(sid, from, to, &[]).expect("the tools of this test are there");
        };
        deliver("SM1", NUMBER, NUMBER);
        deliver("SM2", &format!("whatsapp:{NUMBER}"), &format!("whatsapp:{NUMBER}"));
        deliver("SM3", "+15559990000", "+15559990000");
        assert_eq!(world.model.told(), [] as [Vec<Value>; 0], "nobody is answered");
        assert_eq!(world.carrier.taken(), []);
        assert_eq!(world.of_ada(), before);
        let people = world.host.call("memory_service", "people", &json!({})).json();
        assert_eq!(people["people"].as_array().map(Vec::len), Some(1), "{people}");
    })
}

fn an_operator_may_trust_whatsapp_alone() -> Outcome {
    on_both_databases(|database| {
        let world = World::start(database, "settings = { known_from = \"signed\" }\n");
        let before = world.of_ada();
        world.deliver("SM1", ADA, NUMBER, &[]).expect("the tools of this test are there");
        nothing_was_told(&world, "an SMS that anyone can forge");
        assert_eq!(world.of_ada(), before, "nothing was written in her name");
        world.model.wants(all_of_theirs()[..1].to_vec());
        world
            .deliver("SM2", &format!("whatsapp:{ADA}"), &format!("whatsapp:{NUMBER}"), &[])
            .expect("the tools of this test are there");
        assert!(json!(world.model.told()).to_string().contains("4711"));
    })
}

fn media_of_other_hosts_are_not_sent() -> Outcome {
    on_both_databases(|database| {
        let world = World::start(database, "");
        for url in [
            "https://evil.example/x.png",
            "https://example.com.evil.example/x.png",
            "https://example.com@evil.example/x",
        ] {
            let refused =
                world.host.post("/api/messages", &json!({ "to": ADA, "text": "look", "media_urls": [url] }));
            assert_eq!(refused.status, 400, "{url}: {}", refused.body);
            assert!(refused.body.contains("only files of this host are sent"), "{url}: {}", refused.body);
        }
        assert_eq!(world.carrier.count(), 0);
        let own = json!({ "to": ADA, "text": "look", "media_urls": ["https://example.com/x.png"] });
        assert_eq!(world.host.post("/api/messages", &own).status, 201);
    })
}

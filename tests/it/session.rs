//! Calls in real time with everything that is real but Twilio and the model: the bridge, the conversation, the openai plugin
//! and its socket to a scripted Realtime API, which judges as OpenAI's does. Sessions expire, break and are refused in the
//! middle of a call.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{
        Missing, free_port,
        media::{self, Dial, MediaStream},
        realtime::{Answer, Realtime, Script, Turn, ear::speech},
        twilio::sign,
    },
    trial::Outcome,
    trials,
    wait::wait_until,
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_caller_is_answered_interrupts_has_something_done_and_is_let_go,
        a_session_that_expires_or_breaks_is_had_again_and_the_call_goes_on,
        a_session_is_renewed_before_its_end,
        without_the_model_in_real_time_the_call_goes_on_turn_by_turn,
        with_a_key_that_is_revoked_in_a_call_a_message_is_left,
        a_host_that_is_killed_in_a_call_goes_on_with_it,
    ]
}

const PUBLIC: &str = "https://switchboard.example.com";
const VOICE: &str = "/webhooks/twilio/voice";
const TOKEN: &str = "a-token-that-nobody-may-see";
const KEY: &str = "sk-correct-horse";
const CALL: &str = "CA0000000000000000000000000000005e";
const CALLER: &str = "+15550000001";
const STREAM: &str = "MZ0000000000000000000000000000005e";

const PLUGINS: &str = r#"
[plugins.database]
[plugins.openai]
[plugins.twilio]
retry = { attempts = 1 }
[plugins.orchestrator_service]
[plugins.scheduler_service]
[plugins.memory_service]
[plugins.twilio_service]
settings = { public_base_url = "https://switchboard.example.com" }
[plugins.realtime_call_bridge]
[plugins.voice_assistant]
tools = ["scheduler_service.list"]
[plugins.voice_assistant.settings]
public_base_url = "https://switchboard.example.com"
"#;

fn start(model: &Realtime, more: &str) -> TestHost {
    ready(setup(model, more))
}

fn setup(model: &Realtime, more: &str) -> Setup {
    Setup::new(&format!("{PLUGINS}{more}"))
        .env("OPENAI_API_KEY", KEY)
        .env("OPENAI_MODEL", "gpt-realtime")
        .env("OPENAI_BASE_URL", &format!("http://{}/v1", model.address()))
        .env("OPENAI_REALTIME_API_URL", &model.url())
        .env("TWILIO_ACCOUNT_SID", "AC0000000000000000000000000000000a")
        .env("TWILIO_AUTH_TOKEN", TOKEN)
        .env("TWILIO_PHONE_NUMBER", "+15551234567")
        // Twilio itself is away: signatures are checked all the same.
        .env("TWILIO_API_BASE_URL", &format!("http://127.0.0.1:{}", free_port()))
}

fn ready(setup: Setup) -> TestHost {
    let host = setup.start();
    for plugin in ["voice_assistant", "realtime_call_bridge", "scheduler_service"] {
        host.wait_for_status(plugin, "connected");
    }
    host
}

/// Twilio tells of the call; what is answered.
fn webhook(host: &TestHost, path: &str) -> Result<String, Missing> {
    report(host, path, "in-progress")
}

/// The same of a call that is so far.
fn report(host: &TestHost, path: &str, status: &str) -> Result<String, Missing> {
    let form = json!({ "AccountSid": "AC0000000000000000000000000000000a", "ApiVersion": "2010-04-01",
        "CallSid": CALL, "CallStatus": status, "Direction": "inbound", "From": CALLER,
        "StirVerstat": "TN-Validation-Passed-A",
        "To": "+15551234567" });
    let signature = sign(TOKEN, &format!("{PUBLIC}{VOICE}{path}"), &form, "HMAC_SHA1")?;
    let fields = form.as_object().expect("a form has fields").iter();
    let fields = fields
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default().replace('+', "%2B")));
    let body = fields.collect::<Vec<_>>().join("&");
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    let answer = host.request("POST", &format!("{VOICE}{path}"), &headers, Some(&body));
    assert_eq!(answer.status, 200, "{}", answer.body);
    Ok(answer.body)
}

/// Rings up, and opens the media stream that the TwiML asks for.
fn ring(host: &TestHost) -> Result<MediaStream, Missing> {
    let twiml = webhook(host, "")?;
    let token = twiml.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let token = token.unwrap_or_else(|| panic!("it is not answered in real time: {twiml}"));
    let dial = Dial::new(host.address(), CALL, STREAM, token).signed(&media::signature(TOKEN, PUBLIC)?);
    Ok(MediaStream::open(&dial).expect("the stream is taken"))
}

/// The entries of the call by what they are, as they are kept.
fn entries(host: &TestHost, kind: &str) -> Vec<Value> {
    let call = host.get(&format!("/api/calls/{CALL}")).json();
    let entries = call["entries"].as_array().cloned().unwrap_or_default();
    entries.into_iter().filter(|entry| entry["type"] == kind).collect()
}

/// Why the conversation was taken up again, each time.
fn taken_up_again(host: &TestHost) -> Vec<String> {
    let notes =
        entries(host, "note").into_iter().filter_map(|entry| entry["text"].as_str().map(str::to_owned));
    notes.filter_map(|note| note.strip_prefix("taken up again: ").map(str::to_owned)).collect()
}

fn said(host: &TestHost) -> Vec<String> {
    let line = |entry: Value| {
        format!(
            "{}: {}",
            entry["speaker"].as_str().unwrap_or_default(),
            entry["text"].as_str().unwrap_or_default()
        )
    };
    entries(host, "said").into_iter().map(line).collect()
}

/// What the memory has of the caller, once it has so much.
fn remembered(host: &TestHost, count: usize) -> Vec<String> {
    let headers = [("content-type", "application/json"), ("switchboard-person", CALLER)];
    let path = "/api/operations/memory_service/thread";
    let turns = || host.request("POST", path, &headers, Some("{}")).json()["turns"].clone();
    let turns = wait_until("the memory", turns, |turns| turns.as_array().is_some_and(|t| t.len() >= count));
    let line = |turn: &Value| {
        let part = |name: &str| turn[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", part("medium"), part("speaker"), part("text"))
    };
    turns.as_array().into_iter().flatten().map(line).collect()
}

#[track_caller]
fn wait_until_said(host: &TestHost, line: &str) {
    wait_until(&format!("`{line}`"), || said(host), |said| said.iter().any(|known| known == line));
}

/// The model was asked nothing that it had to refuse, and Twilio sent nothing that it does not know.
#[track_caller]
fn no_faults(model: &Realtime, line: &MediaStream) {
    assert_eq!(model.errors(), [] as [Value; 0]);
    assert_eq!(line.look(|seen| seen.simulation.playback.errors.clone()), [] as [String; 0]);
}

fn a_caller_is_answered_interrupts_has_something_done_and_is_let_go() -> Outcome {
    let long =
        "I could tell you about the weather and about the news and about everything else that there is today";
    let model = Realtime::start(Script::new([
        Turn::new("", [Answer::say("Hello!", 600)]),
        Turn::new(
            "What do I have?",
            [Answer::call("scheduler_service-list", json!({})), Answer::say("Nothing at all.", 700)],
        ),
        Turn::new("Tell me more.", [Answer::say(long, 8000)]),
        Turn::new(
            "Goodbye.",
            [Answer { calls: Answer::call("hang_up", json!({})).calls, ..Answer::say("Goodbye.", 600) }],
        ),
    ]))
    .for_key(KEY);
    let host = start(&model, "");
    let line = ring(&host)?;
    wait_until_said(&host, "assistant: Hello!");
    line.say(speech(800));
    wait_until_said(&host, "assistant: Nothing at all.");
    line.say(speech(800));
    wait_until(
        "the long answer to be heard",
        || line.look(|seen| seen.simulation.playback.played.len()),
        |played| *played > 8 * 3000,
    );
    line.say(speech(900));
    line.wait_for_end();
    let said = wait_until("all to be kept", || said(&host), |said| said.len() >= 7);
    assert_eq!(said[..2], ["assistant: Hello!", "person: What do I have?"]);
    let cut = said.iter().find(|line| line.starts_with("assistant: I could")).expect("some was heard");
    assert!(cut.len() < long.len() && long.starts_with(&cut["assistant: ".len()..]), "{cut}");
    assert_eq!(said.last().map(String::as_str), Some("assistant: Goodbye."));
    let tools: Vec<Value> = entries(&host, "tool").iter().map(|entry| entry["tool"].clone()).collect();
    assert_eq!(tools, ["scheduler_service.list", "hang_up"]);
    let truncated = model.wait_for("conversation.item.truncate", 1);
    assert!(truncated[0]["audio_end_ms"].as_u64().is_some_and(|end| end < 8000), "{truncated:?}");
    no_faults(&model, &line);
    let told: Vec<String> = said.iter().map(|line| format!("voice {line}")).collect();
    assert_eq!(remembered(&host, said.len()), told, "the memory has what was heard");
    assert!(webhook(&host, "/stream-ended")?.contains("<Hangup"), "the call is over");
    Ok(())
}

fn a_session_that_expires_or_breaks_is_had_again_and_the_call_goes_on() -> Outcome {
    let model = Realtime::start(Script::new([
        Turn::new("", [Answer::say("Hello!", 600)]),
        Turn::new("One.", [Answer::say("First.", 500)]),
        Turn::new("Two.", [Answer::say("Second.", 500)]),
        Turn::new("Three.", [Answer::say("Third.", 500)]),
    ]));
    let host = start(&model, "realtime = { reconnect_attempts = 20, reconnect_time = \"60s\" }");
    let line = ring(&host)?;
    wait_until_said(&host, "assistant: Hello!");
    line.say(speech(800));
    wait_until_said(&host, "assistant: First.");
    model.expire();
    wait_until("another session", || model.connections(), |count| *count == 2);
    line.say(speech(800));
    wait_until_said(&host, "assistant: Second.");
    model.cut();
    wait_until("another session", || model.connections(), |count| *count == 3);
    line.say(speech(800));
    wait_until_said(&host, "assistant: Third.");
    line.hang_up();
    let again = wait_until("both to be kept", || taken_up_again(&host), |again| again.len() == 2);
    assert_eq!(again[0], "the session with the model has expired");
    let told = model.heard(2).into_iter().filter(|event| event["type"] == "conversation.item.create");
    let told: Vec<Value> = told.map(|event| event["item"]["content"][0]["text"].clone()).collect();
    assert_eq!(told[..4], ["Hello!", "One.", "First.", "Two."], "the new session knows what was said");
    Ok(())
}

fn a_session_is_renewed_before_its_end() -> Outcome {
    let model = Realtime::start(Script::new([
        Turn::new("", [Answer::say("Hello!", 600)]),
        Turn::new("Still there?", [Answer::say("Of course.", 500)]),
    ]));
    let host = start(&model, "realtime = { session_limit = \"10s\", renewal_margin = \"6s\" }");
    let line = ring(&host)?;
    wait_until_said(&host, "assistant: Hello!");
    wait_until("the renewal", || taken_up_again(&host), |again| !again.is_empty());
    line.say(speech(800));
    wait_until_said(&host, "assistant: Of course.");
    no_faults(&model, &line);
    Ok(())
}

fn without_the_model_in_real_time_the_call_goes_on_turn_by_turn() -> Outcome {
    let (_model, host) = refused_in_a_call(404, "model_not_found")?;
    let twiml = webhook(&host, "/stream-ended")?;
    assert!(twiml.contains("<Gather"), "{twiml}");
    Ok(())
}

fn with_a_key_that_is_revoked_in_a_call_a_message_is_left() -> Outcome {
    let (_model, host) = refused_in_a_call(401, "invalid_api_key")?;
    host.wait_for_plugin("openai", "refused", |plugin| plugin["reason"]["code"] == "auth_invalid");
    let twiml = webhook(&host, "/stream-ended")?;
    assert!(twiml.contains("<Record"), "{twiml}");
    Ok(())
}

/// In the middle of a call the connection breaks, and no new one is had; until the stream of the call ends.
fn refused_in_a_call(status: u16, code: &str) -> Result<(Realtime, TestHost), Missing> {
    let model = Realtime::start(Script::new([Turn::new("", [Answer::say("Hello!", 600)])]));
    let host = start(&model, "");
    let line = ring(&host)?;
    wait_until_said(&host, "assistant: Hello!");
    model.refuse(Some((status, json!({ "error": { "code": code, "message": "not for you" } }))));
    model.cut();
    line.wait_for_end();
    Ok((model, host))
}

fn a_host_that_is_killed_in_a_call_goes_on_with_it() -> Outcome {
    let model = Realtime::start(Script::new([Turn::new("", [Answer::say("Hello!", 600)])]));
    let host = start(&model, "");
    let line = ring(&host)?;
    wait_until_said(&host, "assistant: Hello!");
    let setup = host.kill();
    assert_eq!(line.wait_for_end(), media::End::Broken);
    let host = ready(setup);
    // Twilio goes on with the TwiML behind the stream.
    let twiml = webhook(&host, "/stream-ended")?;
    assert!(twiml.contains("<Gather"), "{twiml}");
    report(&host, "/status", "completed")?;
    let call = host.get(&format!("/api/calls/{CALL}")).json();
    assert_eq!(
        (&call["live"], &call["outcome"]),
        (&json!(false), &json!("the other side hung up")),
        "{call}"
    );
    assert_eq!(said(&host), ["assistant: Hello!"]);
    assert_eq!(remembered(&host, 1), ["voice assistant: Hello!"]);
    Ok(())
}

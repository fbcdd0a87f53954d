//! A telephone call from end to end, with no account anywhere: the real host and its plugins, a simulated Twilio that signs
//! what it sends, and a scripted model that hears and speaks. It prints what was said, which tools ran, and how long the
//! caller waited. `cargo run -p switchboard-tests --example call`.

use std::{thread, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{
        free_port,
        media::{Dial, MediaStream},
        realtime::{Answer, Realtime, Script, Turn, ear::speech},
    },
    wait::wait_until,
};

const AUTH_TOKEN: &str = "a-token-of-the-example";
const PUBLIC: &str = "https://switchboard.example.com";
const VOICE: &str = "/webhooks/twilio/voice";
const CALL: &str = "CA00000000000000000000000000000001";
const STREAM: &str = "MZ00000000000000000000000000000001";
const CALLER: &str = "+15550000001";
const NUMBER: &str = "+15551234567";

const PLUGINS: &str = r#"
[plugins.database]
[plugins.openai]
[plugins.twilio]
[plugins.scheduler_service]
[plugins.orchestrator_service]

[plugins.twilio_service]
settings = { public_base_url = "https://switchboard.example.com" }

[plugins.voice_assistant]
tools = ["scheduler_service.schedule"]
settings = { public_base_url = "https://switchboard.example.com" }

[plugins.realtime_call_bridge]
"#;

fn main() {
    let model = Realtime::start(script());
    let host = start(&model);
    println!("The host runs. {CALLER} rings up {NUMBER}.");
    let twiml = webhook(&host, "", "ringing");
    let dial = Dial::new(host.address(), CALL, STREAM, &token(&twiml))
        .signed(&sign(&format!("{}/media/twilio", PUBLIC.replace("https", "wss")), &[]));
    let line =
        MediaStream::open(&dial).unwrap_or_else(|status| panic!("refused by {status}\n{}", host.output()));
    converse(&line);
    line.hang_up();
    webhook(&host, "/status", "completed");
    let call = wait_until("the call to be stored", || shown(&host), |call| call["live"] == false);
    report(&call, &host);
}

/// What the model hears, and says to it.
fn script() -> Script {
    let reminder = json!({ "message": { "text": "Call Bob" }, "in_minutes": 60 });
    let long = "I could also tell you about the weather, about the news, and about everything else there is.";
    Script::new([
        Turn::new("", [Answer::say("Hello, this is Switchboard. How can I help you?", 2200)]),
        Turn::new(
            "Remind me in an hour to call Bob.",
            [
                Answer::call("scheduler_service-schedule", reminder),
                Answer::say("I will remind you in an hour. Is there anything else?", 2400),
            ],
        ),
        Turn::new("What else can you do?", [Answer::say(long, 6000)]),
        Turn::new("That will do. Goodbye!", [Answer::say("Goodbye!", 700)]),
    ])
}

fn start(model: &Realtime) -> TestHost {
    let host = Setup::new(PLUGINS)
        .env("OPENAI_API_KEY", "sk-of-the-example")
        .env("OPENAI_MODEL", "gpt-realtime")
        .env("OPENAI_BASE_URL", &format!("http://{}/v1", model.address()))
        .env("OPENAI_REALTIME_API_URL", &model.url())
        .env("TWILIO_ACCOUNT_SID", "AC0000000000000000000000000000000a")
        .env("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
        .env("TWILIO_PHONE_NUMBER", NUMBER)
        // Twilio itself is not needed: signatures are checked without it.
        .env("TWILIO_API_BASE_URL", &format!("http://127.0.0.1:{}", free_port()))
        .start();
    for plugin in ["voice_assistant", "realtime_call_bridge", "scheduler_service"] {
        host.wait_for_status(plugin, "connected");
    }
    host
}

/// Twilio asks what to do with the call, or tells how it goes.
fn webhook(host: &TestHost, below: &str, status: &str) -> String {
    let fields = [
        ("AccountSid", "AC0000000000000000000000000000000a"),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", CALL),
        ("CallStatus", status),
        ("Direction", "inbound"),
        ("From", CALLER),
        ("StirVerstat", "TN-Validation-Passed-A"),
        ("To", NUMBER),
    ];
    let path = format!("{VOICE}{below}");
    let signature = sign(&format!("{PUBLIC}{path}"), &fields);
    let body: Vec<_> =
        fields.iter().map(|(name, value)| format!("{name}={}", value.replace('+', "%2B"))).collect();
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", signature.as_str())];
    let answer = host.request("POST", &path, &headers, Some(&body.join("&")));
    assert!(answer.status < 300, "{}", answer.body);
    answer.body
}

/// As Twilio signs: the URL, and every field in the order of the names.
fn sign(url: &str, fields: &[(&str, &str)]) -> String {
    let signed: String = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, AUTH_TOKEN.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{url}{signed}").as_bytes()))
}

fn token(twiml: &str) -> String {
    let parameter = twiml.split("<Parameter").find(|part| part.contains(r#"name="token""#));
    let value = parameter.and_then(|part| part.split_once(r#"value=""#)?.1.split('"').next());
    value.unwrap_or_else(|| panic!("the call is not answered in real time: {twiml}")).to_owned()
}

/// The caller's side. In the third turn they interrupt.
fn converse(line: &MediaStream) {
    let heard = listen(line, 0);
    line.say(speech(1_500));
    let heard = listen(line, heard);
    line.say(speech(1_000));
    wait_until("the long answer", || played(line), |played| *played > heard + 12_000);
    line.say(speech(1_200));
    // What was interrupted ends first.
    wait_until(
        "the interruption",
        || line.look(|seen| seen.simulation.playback.clears),
        |clears| *clears > 0,
    );
    listen(line, played(line));
}

/// Waits until the answer was played, and nothing more comes. The bytes that were played by then.
fn listen(line: &MediaStream, before: usize) -> usize {
    let is_over = |line: &MediaStream| {
        line.look(|seen| seen.simulation.playback.is_idle() && seen.simulation.playback.played.len() > before)
    };
    let over_for_a_while = || {
        let first = is_over(line);
        thread::sleep(Duration::from_millis(400));
        first && is_over(line)
    };
    wait_until("an answer to be played", over_for_a_while, |over| *over);
    played(line)
}

fn played(line: &MediaStream) -> usize {
    line.look(|seen| seen.simulation.playback.played.len())
}

fn shown(host: &TestHost) -> Value {
    host.get(&format!("/api/calls/{CALL}")).json()
}

fn report(call: &Value, host: &TestHost) {
    println!("\nThe call, as it is kept (GET /api/calls/{CALL}):\n");
    for entry in call["entries"].as_array().into_iter().flatten() {
        println!("{}", line_of(entry));
    }
    println!("\nWhat was measured (GET /metrics):\n");
    let metrics = host.get("/metrics").body;
    let of_calls =
        |line: &&str| line.starts_with("switchboard_realtime_call_bridge_") && !line.contains("_bucket");
    metrics.lines().filter(of_calls).for_each(|line| println!("  {line}"));
}

fn line_of(entry: &Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    match entry["type"].as_str() {
        Some("said") => {
            let cut = if entry["interrupted"] == true { " … (interrupted)" } else { "" };
            format!("  {:>9}: {}{cut}", text("speaker"), text("text"))
        }
        Some("tool") => {
            let result: String = text("result").split_whitespace().collect::<Vec<_>>().join(" ");
            let result: String = result.chars().take(80).collect();
            format!("       tool: {} {} -> {result} …", text("tool"), text("arguments"))
        }
        Some("first_audio") => format!("             (answered after {} ms)", entry["after_ms"]),
        Some("interruption") => {
            format!("             (silent {} ms after they began to speak)", entry["after_ms"])
        }
        _ => format!("             ({})", text("text")),
    }
}

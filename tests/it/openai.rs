//! The openai plugin with a stand-in for OpenAI: chats, streams, vectors and realtime sessions; what does not work is told
//! apart, and heals by itself.

use std::net::TcpStream;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{
        Missing,
        aimock::{self, JOURNAL},
        free_port,
        node::NodeServer,
    },
    trial::Outcome,
    trials,
    wait::wait_until,
};
use tungstenite::{Message, WebSocket};

pub fn tests() -> Vec<Trial> {
    trials![
        a_chat_with_a_tool_call,
        a_chat_in_pieces,
        texts_become_vectors,
        a_realtime_session_with_text,
        a_realtime_session_tells_how_it_was_closed,
        a_wrong_key_names_the_setting_and_is_never_shown,
        check_connects_and_proves_it,
        an_outage_is_noticed_and_heals_by_itself,
        a_call_that_succeeds_makes_it_well_at_once,
        too_many_requests_are_told_to_the_caller,
        two_servers_are_two_sections,
        a_model_that_is_not_there,
    ]
}

pub const KEY: &str = "sk-battery-staple";

fn fixtures() -> Value {
    json!({ "fixtures": [
        { "match": { "userMessage": "weather" },
          "response": { "toolCalls": [{ "id": "call_1", "name": "get_weather", "arguments": { "city": "Bern" } }] } },
        { "match": { "userMessage": "doctor-look" },
          "response": { "toolCalls": [{ "id": "call_2", "name": "doctor-look", "arguments": {} }] } },
        { "match": { "userMessage": "hello" }, "response": { "content": "Hello! How can I help you today?" } },
    ] })
}

fn config() -> &'static str {
    r#"
    [plugins.openai]
    init = { timeout = "5s" }
    probe = { interval = "1h", timeout = "5s" }
    retry = { attempts = 2, base = "50ms", cap = "100ms", recovery = "200ms" }
    [plugins.talker]
    "#
}

fn setup(server: &str, key: &str) -> Setup {
    variables(Setup::new(config()), server, key)
        // What libraries would read by themselves, and must not.
        .env("OPENAI_ADMIN_KEY", "sk-admin")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
}

/// The account of the stand-in at this address.
pub fn variables(setup: Setup, server: &str, key: &str) -> Setup {
    setup
        .env("OPENAI_API_KEY", key)
        .env("OPENAI_BASE_URL", &format!("http://{server}/v1"))
        .env("OPENAI_MODEL", "gpt-4o")
}

/// A stand-in that knows the key.
pub fn server() -> Result<NodeServer, Missing> {
    aimock::start_for(KEY, &fixtures())
}

fn start(server: &NodeServer) -> TestHost {
    let host = setup(server.address(), KEY).start();
    host.wait_for_status("openai", "connected");
    host.wait_for_status("talker", "connected");
    host
}

fn chat(text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }] })
}

/// What the server was asked on this path.
fn asked(server: &NodeServer, path: &str) -> Vec<Value> {
    let headers = [("authorization", format!("Bearer {KEY}"))];
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let journal = server.request("GET", JOURNAL, &headers, None).json();
    let entries = journal.as_array().or_else(|| journal["entries"].as_array()).expect("a journal").clone();
    entries
        .into_iter()
        .filter(|entry| entry["path"].as_str().is_some_and(|asked| asked.starts_with(path)))
        .collect()
}

fn a_chat_with_a_tool_call() -> Outcome {
    let server = server()?;
    let host = start(&server);
    let mut request = chat("What is the weather in Bern?");
    request["tools"] = json!([{
        "name": "get_weather", "description": "Tells the weather",
        "parameters": { "type": "object", "properties": { "city": { "type": "string" } } },
    }]);
    let answer = host.call("openai", "chat", &request);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    assert_eq!(answer["finish_reason"], "tool_calls");
    let call = &answer["tool_calls"][0];
    assert_eq!((&call["name"], &call["arguments"]), (&json!("get_weather"), &json!(r#"{"city":"Bern"}"#)));
    assert!(answer["usage"]["total_tokens"].is_u64(), "{answer}");

    let plain = host.call("openai", "chat", &chat("hello")).json();
    assert_eq!(plain["content"], "Hello! How can I help you today?");
    assert_eq!(plain["finish_reason"], "stop");
    let asked = asked(&server, "/v1/chat/completions");
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert_eq!(asked[0]["body"]["tools"][0]["function"]["name"], "get_weather");
    Ok(())
}

fn a_chat_in_pieces() -> Outcome {
    let server = server()?;
    let host = start(&server);
    // The first answers of a model may turn out to have begun with thoughts, and are told when they are whole.
    for _ in 0..3 {
        assert_eq!(host.get("/talker/tell?hello").status, 200);
    }
    let answer = host.get("/talker/tell?hello");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let frames: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (done, deltas) = frames.split_last().expect("there are frames");
    let words: String = deltas.iter().map(|delta| delta["text"].as_str().expect("only words")).collect();
    assert!(deltas.len() > 1, "in pieces: {deltas:?}");
    assert_eq!(words, "Hello! How can I help you today?");
    assert_eq!(done["answer"]["content"], words.as_str());
    assert_eq!(done["answer"]["finish_reason"], "stop");
    assert!(done["answer"]["usage"]["output_tokens"].is_u64(), "{done}");

    let answer = host.get("/talker/tell?weather");
    let done: Value = serde_json::from_str(answer.body.lines().last().expect("frames")).expect("JSON");
    assert_eq!(done["answer"]["tool_calls"][0]["name"], "get_weather");
    assert_eq!(done["answer"]["tool_calls"][0]["arguments"], r#"{"city":"Bern"}"#);
    Ok(())
}

fn texts_become_vectors() -> Outcome {
    let server = server()?;
    let host = start(&server);
    let texts = ["one", "two", "one"];
    let answer = host.call("openai", "embed", &json!({ "texts": texts, "dimensions": 16 }));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    let vectors = answer["vectors"].as_array().expect("vectors");
    assert_eq!((vectors.len(), &answer["dimensions"]), (3, &json!(16)));
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    assert_eq!(asked(&server, "/v1/embeddings")[0]["body"]["model"], "text-embedding-3-small");
    Ok(())
}

type Socket = WebSocket<TcpStream>;

fn talk(host: &TestHost) -> Socket {
    let stream = TcpStream::connect(host.address()).expect("the host listens");
    let address = format!("ws://{}/talker/talk", host.address());
    let (socket, _) = tungstenite::client(address, stream).expect("the session is opened");
    socket
}

/// The next event of a session of this type.
fn event(socket: &mut Socket, wanted: &str) -> Value {
    loop {
        let message = socket.read().expect("the session goes on");
        let Message::Text(text) = message else { continue };
        let event: Value = serde_json::from_str(&text).expect("an event");
        assert_ne!(event["type"], "error", "{event}");
        if event["type"] == wanted {
            return event;
        }
    }
}

fn a_realtime_session_with_text() -> Outcome {
    let server = server()?;
    let host = start(&server);
    let mut socket = talk(&host);
    // GA: with the header of the beta there would be an error, and no session.
    assert_eq!(event(&mut socket, "session.created")["session"]["model"], "gpt-realtime-2.1");
    let mut say = |event: Value| socket.send(Message::text(event.to_string())).expect("it is sent");
    say(
        json!({ "type": "session.update", "session": { "type": "realtime", "output_modalities": ["text"] } }),
    );
    let content = json!([{ "type": "input_text", "text": "hello" }]);
    let item = json!({ "type": "message", "role": "user", "content": content });
    say(json!({ "type": "conversation.item.create", "item": item }));
    say(json!({ "type": "response.create" }));
    let done = event(&mut socket, "response.output_text.done");
    assert_eq!(done["text"], "Hello! How can I help you today?");
    assert_eq!(event(&mut socket, "response.done")["response"]["status"], "completed");
    socket.send(Message::text("hang up")).expect("it is sent");
    Ok(())
}

fn a_realtime_session_tells_how_it_was_closed() -> Outcome {
    let mut server = server()?;
    let host = start(&server);
    let mut socket = talk(&host);
    event(&mut socket, "session.created");
    server.process().kill();
    let last = socket.read().expect("the last frame");
    let close: Value = serde_json::from_str(last.to_text().expect("text")).expect("JSON");
    assert_eq!(close["close_code"], 1006, "{close}");
    // A session that cannot be opened is refused before it begins.
    let stream = TcpStream::connect(host.address()).expect("the host listens");
    let address = format!("ws://{}/talker/talk", host.address());
    match tungstenite::client(address, stream) {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(response.status(), 503);
        }
        other => panic!("not refused in HTTP: {:?}", other.map(drop).map_err(|error| error.to_string())),
    }
    Ok(())
}

fn a_wrong_key_names_the_setting_and_is_never_shown() -> Outcome {
    let server = server()?;
    let wrong = "sk-guess-work";
    let host = setup(server.address(), wrong).start();
    let openai = host.wait_for_status("openai", "error");
    assert_eq!(openai["reason"]["code"], "auth_invalid");
    assert_eq!(openai["fix"]["action"], "correct_setting");
    assert!(openai.to_string().contains("OPENAI_API_KEY"), "{openai:#}");
    let refused = host.call("openai", "chat", &chat("hello"));
    assert_eq!(refused.status, 503, "{}", refused.body);
    let everything = openai.to_string() + &refused.body + &host.output();
    assert!(!everything.contains(wrong), "{everything}");
    Ok(())
}

fn check_connects_and_proves_it() -> Outcome {
    let mut server = server()?;
    let good = setup(server.address(), KEY).command(&["check", "--connect"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    let wrong = setup(server.address(), "sk-guess-work").command(&["check", "--connect"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(format!("{wrong:?}").contains("does not know the key: check `OPENAI_API_KEY`"), "{wrong:?}");
    server.process().kill();
    let gone = setup(server.address(), KEY).command(&["check", "--connect"]);
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(format!("{gone:?}").contains("nobody listens at"), "{gone:?}");
    Ok(())
}

fn an_outage_is_noticed_and_heals_by_itself() -> Outcome {
    let mut server = server()?;
    let host = setup(server.address(), KEY)
        .file("plugins.toml", config().replace("interval = \"1h\"", "interval = \"100ms\""))
        .start();
    host.wait_for_status("openai", "connected");
    server.process().kill();
    let openai = host.wait_for_status("openai", "error");
    assert_eq!((&openai["reason"]["code"], &openai["fix"]["action"]), (&json!("refused"), &json!("retry")));
    let refused = host.call("openai", "chat", &chat("hello"));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("nobody listens at"), "{}", refused.body);
    server.resume();
    host.wait_for_status("openai", "connected");
    assert_eq!(host.call("openai", "chat", &chat("hello")).status, 200);
    Ok(())
}

/// Probes are an hour apart here: only what calls show can tell.
fn a_call_that_succeeds_makes_it_well_at_once() -> Outcome {
    let mut server = server()?;
    let host = setup(server.address(), KEY)
        .file("plugins.toml", config().replace("recovery = \"200ms\"", "recovery = \"1h\""))
        .start();
    host.wait_for_status("openai", "connected");
    server.process().kill();
    wait_until(
        "calls to show the outage",
        || {
            host.call("openai", "chat", &chat("hello"));
            host.status("openai")
        },
        |status| status == "error",
    );
    server.resume();
    wait_until(
        "a call to show that it is well",
        || {
            host.call("openai", "chat", &chat("hello"));
            host.status("openai")
        },
        |status| status == "connected",
    );
    Ok(())
}

fn too_many_requests_are_told_to_the_caller() -> Outcome {
    let server = aimock::start(&fixtures())?;
    let host = start(&server);
    let chaos = [("content-type", "application/json")];
    let body = json!({ "rateLimitRate": 1 }).to_string();
    let set = server.request("POST", "/__aimock/chaos", &chaos, Some(&body));
    assert_eq!(set.status, 200, "{}", set.body);
    let refused = host.call("openai", "chat", &chat("hello"));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("asks to slow down"), "{}", refused.body);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(host.status("openai"), "connected", "it is no outage");
    Ok(())
}

fn two_servers_are_two_sections() -> Outcome {
    let (one, other) = (
        server()?,
        aimock::start(&json!({ "fixtures": [
        { "match": { "userMessage": "hello" }, "response": { "content": "Grüezi!" } },
    ] }))?,
    );
    let config = format!(
        r#"
        [plugins.openai]
        [plugins.openai_eu]
        library = "openai"
        settings = {{ api_key = "any", base_url = "http://{}/v1", model = "gpt-4" }}
        "#,
        other.address()
    );
    let host = setup(one.address(), KEY).file("plugins.toml", config).start();
    for name in ["openai", "openai_eu"] {
        host.wait_for_status(name, "connected");
    }
    assert_eq!(host.call("openai_eu", "chat", &chat("hello")).json()["content"], "Grüezi!");
    let first = host.call("openai", "chat", &chat("hello")).json();
    assert_eq!(first["content"], "Hello! How can I help you today?");
    Ok(())
}

fn a_model_that_is_not_there() -> Outcome {
    let server = server()?;
    let host = setup(server.address(), KEY).env("OPENAI_MODEL", "gpt-99").start();
    let openai = host.wait_for_status("openai", "error");
    assert_eq!(openai["reason"]["code"], "config_invalid");
    let message = openai["reason"]["message"].as_str().expect("a message");
    assert!(message.contains("has no model `gpt-99`") && message.contains("`gpt-4o`"), "{message}");
    let nobody = setup(&format!("127.0.0.1:{}", free_port()), KEY).start();
    assert_eq!(nobody.wait_for_status("openai", "error")["reason"]["code"], "refused");
    Ok(())
}

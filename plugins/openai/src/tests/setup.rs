//! An instance of the plugin, as the tests want it.

use std::sync::mpsc;

use plugin_api::{
    prelude::*,
    requests::{
        host::Report,
        openai::{Chat, Message, OpenAiTrouble},
    },
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use crate::OpenAi;

/// Must never be seen anywhere but in a header.
pub const KEY: &str = "sk-correct-horse-battery";

/// Nothing takes longer than this, on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// An instance that speaks to a local port, with further settings.
pub fn plugin(port: u16, settings: Value) -> TestInstance<OpenAi> {
    try_plugin(port, settings).unwrap_or_else(|failure| panic!("the settings are refused: {failure}"))
}

pub fn try_plugin(port: u16, settings: Value) -> Result<TestInstance<OpenAi>, Failure> {
    let mut all = json!({
        "api_key": KEY, "base_url": format!("http://127.0.0.1:{port}/v1"), "model": "test-model",
    });
    let map = all.as_object_mut().expect("it is an object");
    map.extend(settings.as_object().expect("settings are an object").clone());
    TestPlugin::new(all).create()
}

/// A simple question.
pub fn question() -> Chat {
    Chat::new([Message::user("Hello?")])
}

/// A simple answer of a server.
pub fn reply(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "model": "test-model-2026",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    })
}

/// `kind code (retry in …): message`, with the address of the peer made stable.
pub fn shown(error: &OperationError, port: u16) -> String {
    let trouble = OpenAiTrouble::of(error);
    let code = trouble.map(|trouble| json!(trouble.code).as_str().map(str::to_owned)).unwrap_or_default();
    let wait = error.retry_after_ms.map(|wait| format!(" (retry in {wait} ms)")).unwrap_or_default();
    let kind = json!(error.kind);
    let text =
        format!("{} {}{wait}: {}", kind.as_str().unwrap(), code.as_deref().unwrap_or("-"), error.message);
    stable(&text, port)
}

/// `code [setting]: message`, with the address of the peer made stable.
pub fn shown_failure(failure: &Failure, port: u16) -> String {
    let setting = failure.setting.as_deref().unwrap_or("-");
    let wait = failure.retry_after_ms.map(|wait| format!(" (retry in {wait} ms)")).unwrap_or_default();
    let advice = failure.advice.as_ref().map(|advice| format!(" => {}", advice.label)).unwrap_or_default();
    stable(&format!("{} [{setting}]{wait}: {}{advice}", failure.code, failure.message), port)
}

/// The details of an error.
pub fn trouble(error: &OperationError) -> OpenAiTrouble {
    OpenAiTrouble::of(error).expect("the error has details")
}

/// All that is reported until it satisfies.
pub async fn reported(plugin: &TestInstance<OpenAi>, satisfies: impl Fn(&[Report]) -> bool) -> Vec<Report> {
    let wait = async {
        loop {
            let reports = plugin.reports();
            if satisfies(&reports) {
                return reports;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("it is reported")
}

/// Waits for a script's signal without blocking the runtime.
pub async fn signalled(receiver: mpsc::Receiver<()>) {
    let waited = tokio::task::spawn_blocking(move || receiver.recv_timeout(LIMIT)).await.unwrap();
    waited.expect("the script comes this far");
}

/// A text of JSON out of a frame.
pub fn json_of(frame: Frame) -> Value {
    match frame {
        Frame::Text(text) => serde_json::from_str(&text).expect("the frame is JSON"),
        Frame::Binary(_) => panic!("the frame is binary"),
    }
}

fn stable(text: &str, port: u16) -> String {
    text.replace(&format!(":{port}"), ":PORT")
}

//! Which settings are taken, what follows from them, and what is said of the others.

use std::path::PathBuf;

use expect_test::{Expect, expect};
use plugin_api::{
    manifest::{Manifest, OperationMode},
    requests::openai::defaults,
    serde_json::{self, Value, json},
};

use super::setup;
use crate::settings::{Config, MaxTokensField, Settings};

fn config(more: Value) -> Result<Config, String> {
    let mut all = json!({ "api_key": setup::KEY });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: Settings = serde_json::from_value(all).map_err(|error| error.to_string())?;
    Config::check(settings, |path| PathBuf::from(path)).map_err(|failure| setup::shown_failure(&failure, 0))
}

fn refused(more: Value, expected: Expect) {
    expected.assert_eq(&config(more).expect_err("it is refused"));
}

#[test]
fn a_key_is_enough() {
    let config = config(json!({})).unwrap();
    assert_eq!(config.base_url.as_str(), "https://api.openai.com/v1");
    assert_eq!(config.realtime_url.as_str(), "wss://api.openai.com/v1/realtime");
    assert_eq!((config.model.name.as_str(), config.model.chosen), (defaults::CHAT, false));
    assert_eq!(config.embedding_model.name, "text-embedding-3-small");
    assert_eq!(config.realtime_model, defaults::REALTIME);
    assert_eq!(config.max_tokens_field, MaxTokensField::MaxCompletionTokens);
    assert_eq!((config.server().as_str(), config.is_one_server()), ("api.openai.com", true));
    assert!(!format!("{config:?}").contains(setup::KEY));
}

#[test]
fn another_server_serves_and_its_realtime_api_is_beside_it() {
    let config = config(json!({ "base_url": "http://localhost:11434/v1/", "model": " llama3.2 " })).unwrap();
    assert_eq!(config.base_url.as_str(), "http://localhost:11434/v1");
    assert_eq!(config.realtime_url.as_str(), "ws://localhost:11434/v1/realtime");
    assert_eq!((config.model.name.as_str(), config.model.chosen), ("llama3.2", true));
    assert_eq!(config.max_tokens_field, MaxTokensField::MaxTokens);
    assert_eq!(config.server(), "localhost:11434");
}

#[test]
fn realtime_may_be_elsewhere() {
    let config = config(json!({ "realtime_url": "ws://127.0.0.1:4010/v1/realtime" })).unwrap();
    assert_eq!(config.realtime_server(), "127.0.0.1:4010");
    assert!(!config.is_one_server());
}

#[test]
fn the_key_goes_to_another_machine_unencrypted_only_by_leave() {
    let [http, ws] = ["http://10.0.0.5:8000/v1", "ws://10.0.0.5:8000/v1/realtime"];
    refused(
        json!({ "base_url": http }),
        expect![
            "config_invalid [base_url]: `base_url` would send secrets to `10.0.0.5` unencrypted: use `https:`, or set `OPENAI_ALLOW_PLAINTEXT=true` if the network between is trusted"
        ],
    );
    refused(
        json!({ "realtime_url": ws }),
        expect![
            "config_invalid [realtime_url]: `realtime_url` would send secrets to `10.0.0.5` unencrypted: use `wss:`, or set `OPENAI_ALLOW_PLAINTEXT=true` if the network between is trusted"
        ],
    );
    config(json!({ "base_url": http, "realtime_url": ws, "allow_plaintext": true })).unwrap();
}

#[test]
fn what_cannot_be_an_address_is_named() {
    refused(
        json!({ "base_url": "api.openai.com/v1" }),
        expect![
            "config_invalid [base_url]: `base_url` is `api.openai.com/v1`: that is no address; expected `https://…`, or `http://…` without encryption"
        ],
    );
    refused(
        json!({ "base_url": "ftp://api.openai.com" }),
        expect![
            "config_invalid [base_url]: `base_url` is `ftp://api.openai.com`: another scheme is needed; expected `https://…`, or `http://…` without encryption"
        ],
    );
    refused(
        json!({ "base_url": "https://ada:secret@api.openai.com" }),
        expect![
            "config_invalid [base_url]: `base_url` is `api.openai.com`: no name or password belongs here, the key goes into `OPENAI_API_KEY`; expected `https://…`, or `http://…` without encryption"
        ],
    );
    refused(
        json!({ "base_url": "https://api.openai.com/v1?x=1" }),
        expect![
            "config_invalid [base_url]: `base_url` is `https://api.openai.com/v1?x=1`: nothing may stand behind a `?`; expected `https://…`, or `http://…` without encryption"
        ],
    );
    refused(
        json!({ "realtime_url": "https://api.openai.com/v1/realtime" }),
        expect![
            "config_invalid [realtime_url]: `realtime_url` is `https://api.openai.com/v1/realtime`: another scheme is needed; expected `wss://…`, or `ws://…` without encryption"
        ],
    );
}

#[test]
fn what_cannot_be_a_key_a_project_or_a_time_is_named_and_the_key_is_not_shown() {
    refused(
        json!({ "api_key": "sk-a b" }),
        expect![
            "config_invalid [api_key]: `api_key` has a space, a line break or a letter beyond ASCII in it, or nothing: copy it again"
        ],
    );
    refused(
        json!({ "project": "proj\n1" }),
        expect![
            "config_invalid [project]: `project` has a space, a line break or a letter beyond ASCII in it, or nothing: copy it again"
        ],
    );
    refused(
        json!({ "timeout": "0s" }),
        expect!["config_invalid [timeout]: `timeout` is 0: expected a positive time, such as `10s`"],
    );
    refused(
        json!({ "max_tokens_field": "tokens" }),
        expect!["unknown variant `tokens`, expected `max_tokens` or `max_completion_tokens`"],
    );
}

#[test]
fn a_key_may_end_with_the_line_break_of_a_file() {
    assert_eq!(config(json!({ "api_key": "sk-a\n" })).unwrap().api_key.expose(), "sk-a");
}

#[test]
fn the_manifest_says_what_the_host_needs() {
    let manifest: Manifest = setup::plugin(25, json!({})).manifest();
    assert!(manifest.multi_instance);
    assert_eq!(manifest.probe_interval_ms, Some(60_000));
    assert_eq!(manifest.settings["required"], json!(["api_key"]));
    let variable = |key: &str| manifest.settings["properties"][key]["x-env"].clone();
    for (key, name) in [
        ("api_key", "OPENAI_API_KEY"),
        ("model", "OPENAI_MODEL"),
        ("embedding_model", "OPENAI_EMBEDDING_MODEL"),
        ("base_url", "OPENAI_BASE_URL"),
        ("realtime_url", "OPENAI_REALTIME_API_URL"),
        ("realtime_model", "OPENAI_REALTIME_MODEL"),
        ("organization", "OPENAI_ORG_ID"),
        ("project", "OPENAI_PROJECT_ID"),
        ("timeout", "OPENAI_TIMEOUT"),
    ] {
        assert_eq!(variable(key), name, "{key}");
    }
    assert_eq!(manifest.settings["properties"]["api_key"]["x-secret"], true);
    let mode = |name: &str| manifest.operation(name).map(|operation| operation.mode);
    assert_eq!(mode("chat"), Some(OperationMode::Call));
    assert_eq!(mode("chat_stream"), Some(OperationMode::Stream));
    assert_eq!(mode("embed"), Some(OperationMode::Call));
    assert_eq!(mode("realtime"), Some(OperationMode::Stream));
    assert!(manifest.operations.iter().all(|operation| !operation.tool), "none is a model's own affair");
}

#[test]
fn every_text_names_the_same_default_models() {
    let schema = serde_json::to_string(&plugin_api::schemars::schema_for!(Settings)).unwrap();
    let readme = include_str!("../../README.md");
    let shipped = include_str!("../../../../host/deploy/plugins.toml");
    for (place, text) in [("settings", schema.as_str()), ("README.md", readme), ("plugins.toml", shipped)] {
        for model in [defaults::CHAT, defaults::EMBEDDING, defaults::REALTIME] {
            assert!(text.contains(model), "{place} does not name `{model}`");
        }
    }
    for ending in ["gpt-5", "gpt-4o"] {
        assert!(!shipped.contains(ending), "plugins.toml names `{ending}…`, which is being shut down");
    }
}

//! Models of the settings: whether they are there whatever the list calls them, and for how long.

use expect_test::expect;
use plugin_api::{
    requests::{
        doctor::{Examine, Verdict},
        openai::Embed,
    },
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use super::{
    peer::Peer,
    setup::{LIMIT, plugin, question, reply, shown_failure, try_plugin},
};
use crate::{
    OpenAi, models,
    settings::{Config, Model, Settings},
};

/// Whether a list of these names lacks the model.
fn lacks(listed: &[&str], name: &str) -> bool {
    models::lacks(listed, &Model { name: name.to_owned(), chosen: true })
}

#[test]
fn a_name_is_found_in_the_forms_of_gateways() {
    for (listed, name) in [
        ("gpt-6-luna", "gpt-6-luna"),
        // Gemini
        ("models/gemini-3-flash", "gemini-3-flash"),
        ("gemini-3-flash", "models/gemini-3-flash"),
        // LiteLLM
        ("openai/*", "openai/gpt-6-luna"),
        ("*", "anything"),
        ("azure/*-preview", "azure/gpt-preview"),
        // OpenRouter
        ("z-ai/glm-4.5-air", "z-ai/glm-4.5-air:free"),
    ] {
        assert!(!lacks(&["other", listed], name), "{listed} is {name}");
    }
    for (listed, name) in [
        ("gpt-6", "gpt-6-luna"),
        ("openai/*", "azure/gpt-6-luna"),
        ("a*a", "a"),
        // Of Ollama a tag is another model.
        ("llama3.2", "llama3.2:70b"),
    ] {
        assert!(lacks(&[listed], name), "{listed} is not {name}");
    }
    assert!(!lacks(&[], "any"), "a list without names says nothing");
}

#[test]
fn an_end_is_read_of_the_models_of_the_settings() {
    let settings: Settings = serde_json::from_value(json!({ "api_key": "k", "model": "old" })).unwrap();
    let config = Config::check(settings, |path| path.into()).unwrap();
    let list = json!({ "data": [
        { "id": "old", "shutdown_date": "2026-12-11" },
        { "id": "another", "shutdown_date": "2026-12-12" },
        { "id": "text-embedding-3-small", "shutdown_date": null },
        { "id": "gpt-realtime-2.1", "shutdown_date": "2027-01-20T00:00:00Z" },
        { "id": "old", "shutdown_date": "soon" },
    ] });
    let endings = models::endings(&list, &config);
    let told: Vec<_> = endings.iter().map(|ending| (ending.message(), ending.variable)).collect();
    assert_eq!(
        told,
        [
            ("the model `old` is shut down on 2026-12-11".to_owned(), "OPENAI_MODEL"),
            ("the model `gpt-realtime-2.1` is shut down on 2027-01-20".to_owned(), "OPENAI_REALTIME_MODEL"),
        ]
    );
    assert_eq!(endings[0].days_left("2026-12-01".parse().unwrap()), 10);
    assert_eq!(endings[0].days_left("2026-12-21".parse().unwrap()), -10);
}

/// A server whose list holds this, which has no other models by name, and chats and makes vectors if `serves`.
fn server(listed: Value, serves: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Peer {
    let list = json!({ "data": listed });
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.as_str() {
                "GET /v1/models" => talk.json(&list)?,
                "POST /v1/chat/completions" if serves(&asked.json()["model"]) => talk.json(&reply("Hi!"))?,
                "POST /v1/embeddings" if serves(&asked.json()["model"]) => {
                    talk.json(&json!({ "data": [{ "index": 0, "embedding": [0.5] }] }))?;
                }
                _ => talk.answer(404, &[], r#"{"error":{"code":"model_not_found"}}"#)?,
            }
        }
        None
    })
}

/// An answer to whatever the doctor asks.
const DOCTOR: &str = r#"{"choices":[{"message":{"content":"Hi!"},"finish_reason":"stop"}],"data":[{"index":0,"embedding":[0.5]}]}"#;

/// An instance for which nobody chose a model.
fn unchosen(port: u16) -> TestInstance<OpenAi> {
    try_plugin(port, json!({ "model": null })).expect("the settings are good")
}

#[tokio::test]
async fn a_model_that_ends_is_told_once_and_noted_while_health_is_good() {
    let listed =
        json!([{ "id": "test-model", "shutdown_date": "2999-01-31" }, { "id": "text-embedding-3-small" }]);
    let peer = server(listed, |_| true);
    let (note, noted) = std::sync::mpsc::channel();
    let settings = json!({
        "api_key": "k", "base_url": format!("http://127.0.0.1:{}/v1", peer.port), "model": "test-model",
    });
    let plugin = TestPlugin::<OpenAi>::new(settings).fake_json("host", "note", move |_, request| {
        let _ = note.send(request["notes"].clone());
        Ok(Value::Null)
    });
    let plugin = plugin.create().expect("the settings are good");
    plugin.init().await.unwrap();
    plugin.probe().await.unwrap();
    let expected = "the model `test-model` is shut down on 2999-01-31: set `OPENAI_MODEL`";
    let warnings =
        plugin.logs().into_iter().filter(|log| log.level == "WARN" && log.message.contains("2999"));
    assert_eq!(warnings.map(|log| log.message).collect::<Vec<_>>(), [expected]);
    let noted = tokio::task::spawn_blocking(move || noted.recv_timeout(LIMIT)).await.unwrap();
    assert_eq!(noted, Ok(json!([expected])));
}

#[tokio::test]
async fn the_doctor_warns_of_an_end_that_is_near() {
    for (date, verdict) in [("2999-01-31", Verdict::Ok), ("2026-01-31", Verdict::Failed)] {
        let peer = server(json!([{ "id": "test-model", "shutdown_date": date }]), |_| true);
        let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
        let check =
            found.checks.iter().find(|check| check.name == "shutdown_date").expect("it is looked for");
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert_eq!(check.seen, format!("the model `test-model` is shut down on {date}"));
        let fix = (verdict == Verdict::Failed).then_some("set `OPENAI_MODEL` to a model without such a date");
        assert_eq!(check.fix.as_deref(), fix);
    }
}

#[tokio::test]
async fn a_model_that_nobody_chose_is_missed_as_soon_as_somebody_uses_it() {
    let peer = server(json!([{ "id": "text-embedding-3-small" }]), |model| model == "text-embedding-3-small");
    let plugin = unchosen(peer.port);
    plugin.init().await.unwrap();
    let error = plugin.call(question()).await.unwrap_err();
    assert_eq!(error.trouble.map(|code| code.to_string()).as_deref(), Some("config_invalid"));
    assert_eq!(error.fix.and_then(|fix| fix.setting).as_deref(), Some("model"));
    let failure = plugin.probe().await.unwrap_err();
    let expected = "config_invalid [model]: `127.0.0.1:PORT` has no model `gpt-6-luna`, or this key may not use it: set `OPENAI_MODEL`; it lists `text-embedding-3-small`";
    assert_eq!(shown_failure(&failure, peer.port), expected);
    assert_eq!(peer.count("POST /v1/chat/completions"), 1, "what nobody chose is not asked for a word");

    // The same of vectors.
    let peer = server(json!([{ "id": "gpt-6-luna" }]), |model| model == "gpt-6-luna");
    let plugin = unchosen(peer.port);
    plugin.init().await.unwrap();
    plugin.call(Embed::default()).await.unwrap();
    plugin.probe().await.expect("without texts nothing is asked of a model");
    plugin.call(Embed::new(["a"])).await.unwrap_err();
    let failure = plugin.probe().await.unwrap_err();
    assert_eq!(failure.setting.as_deref(), Some("embedding_model"));
}

#[tokio::test]
async fn a_chosen_model_that_no_list_has_is_proven_by_its_answer_and_asked_for_once() {
    let settings = json!({ "model": "deployment", "embedding_model": "vectors" });
    let peer = server(json!([{ "id": "gpt-5.1-2025-11-13" }]), |_| true);
    let plugin = plugin(peer.port, settings);
    for _ in 0..3 {
        plugin.probe().await.unwrap();
    }
    let asked = ["POST /v1/chat/completions", "POST /v1/embeddings"].map(|line| peer.count(line));
    assert_eq!(asked, [1, 1], "proven for good");
}

#[tokio::test]
async fn what_was_proven_is_missed_again_when_it_is_gone() {
    let is_there = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = is_there.clone();
    let peer = server(json!([{ "id": "other" }]), move |_| seen.load(std::sync::atomic::Ordering::SeqCst));
    let plugin = plugin(peer.port, json!({ "model": "deployment" }));
    plugin.call(question()).await.unwrap();
    plugin.probe().await.unwrap();
    is_there.store(false, std::sync::atomic::Ordering::SeqCst);
    plugin.probe().await.expect("nobody has missed it yet");
    plugin.call(question()).await.unwrap_err();
    let failure = plugin.probe().await.unwrap_err();
    assert_eq!(
        (failure.code.to_string().as_str(), failure.setting.as_deref()),
        ("config_invalid", Some("model"))
    );
}

#[tokio::test]
async fn without_a_list_a_chat_is_proof() {
    let peer = Peer::start(|talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.as_str() {
                "POST /v1/chat/completions" => talk.json(&reply("Hi!"))?,
                _ => talk.answer(404, &[], "")?,
            }
        }
        None
    });
    let plugin = plugin(peer.port, json!({}));
    assert_eq!(plugin.init().await.unwrap_err().setting.as_deref(), Some("base_url"));
    plugin.call(question()).await.unwrap();
    plugin.probe().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_none_proves_nothing() {
    let peer = Peer::start(|talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.as_str() {
                "GET /v1/models" => talk.json(&json!({ "data": [{ "id": "other" }] }))?,
                "POST /v1/chat/completions" => talk.json(&json!({ "error": { "message": "no" } }))?,
                _ => talk.answer(404, &[], "")?,
            }
        }
        None
    });
    let plugin = plugin(peer.port, json!({}));
    assert_eq!(plugin.init().await.unwrap_err().code.to_string(), "unavailable");
}

#[tokio::test]
async fn vectors_that_are_none_prove_nothing() {
    let is_good = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = is_good.clone();
    let peer = Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.as_str() {
                "GET /v1/models" => talk.json(&json!({ "data": [{ "id": "test-model" }] }))?,
                "POST /v1/embeddings" if seen.load(std::sync::atomic::Ordering::SeqCst) => {
                    talk.json(&json!({ "data": [{ "index": 0, "embedding": [0.5] }] }))?;
                }
                "POST /v1/embeddings" => talk.json(&json!({ "data": [] }))?,
                _ => talk.answer(404, &[], "")?,
            }
        }
        None
    });
    let plugin = plugin(peer.port, json!({ "embedding_model": "vectors" }));
    plugin.call(Embed::new(["a"])).await.unwrap_err();
    assert_eq!(plugin.probe().await.unwrap_err().code.to_string(), "protocol");
    is_good.store(true, std::sync::atomic::Ordering::SeqCst);
    plugin.call(Embed::new(["a"])).await.unwrap();
    plugin.probe().await.unwrap();
    assert_eq!(peer.count("POST /v1/embeddings"), 3, "proven by now");
}

/// A server whose list lacks the models, and that answers this when they are asked.
fn lists_others(status: u16, headers: &'static [&'static str], body: &'static str) -> Peer {
    Peer::start(move |talk| {
        while let Some(asked) = talk.hear() {
            match asked.line.as_str() {
                "GET /v1/models" => talk.json(&json!({ "data": [{ "id": "other" }] }))?,
                line if line.starts_with("GET ") => talk.answer(404, &[], "")?,
                _ => talk.answer(status, headers, body)?,
            }
        }
        None
    })
}

#[tokio::test]
async fn a_server_that_cannot_answer_now_lacks_no_model() {
    for (status, headers, code) in [
        (429, ["retry-after: 7"].as_slice(), "rate_limited"),
        (503, &[], "unavailable"),
        (500, &[], "unavailable"),
        (401, &[], "auth_invalid"),
        (404, &[], "config_invalid"),
        (400, &[], "config_invalid"),
        (403, &[], "config_invalid"),
    ] {
        let peer = lists_others(status, headers, "");
        let of_chats = plugin(peer.port, json!({})).init().await.unwrap_err();
        assert_eq!(of_chats.code.to_string(), code, "{status}: {of_chats:?}");
        let settings = json!({ "model": "other", "embedding_model": "vectors" });
        let of_vectors = plugin(peer.port, settings).init().await.unwrap_err();
        assert_eq!(of_vectors.code.to_string(), code, "{status}: {of_vectors:?}");
        assert_eq!(of_chats.retry_after_ms.is_some(), status == 429);
    }
}

/// What the status says while the test questions are answered so: of the model of chats, and of the one of vectors.
async fn unproven(status: u16, body: &'static str) -> [String; 2] {
    let peer = lists_others(status, &[], body);
    let of_chats = plugin(peer.port, json!({})).init().await.unwrap_err();
    let settings = json!({ "model": "other", "embedding_model": "vectors" });
    let of_vectors = plugin(peer.port, settings).init().await.unwrap_err();
    [of_chats, of_vectors].map(|failure| shown_failure(&failure, peer.port))
}

#[tokio::test]
async fn a_failure_of_a_test_question_names_the_model_that_no_list_has() {
    let [chats, vectors] = unproven(503, "").await;
    expect!["unavailable [-]: `127.0.0.1:PORT` cannot serve at the moment (HTTP 503); its list of models does not have `test-model` (`OPENAI_MODEL`)"].assert_eq(&chats);
    expect!["unavailable [-]: `127.0.0.1:PORT` cannot serve at the moment (HTTP 503); its list of models does not have `vectors` (`OPENAI_EMBEDDING_MODEL`)"].assert_eq(&vectors);
    let [chats, vectors] = unproven(200, r#"{"error":{"message":"no"}}"#).await;
    expect!["unavailable [-]: `127.0.0.1:PORT` breaks off the answer with an error; its list of models does not have `test-model` (`OPENAI_MODEL`)"].assert_eq(&chats);
    expect!["unavailable [-]: `127.0.0.1:PORT` breaks off the answer with an error; its list of models does not have `vectors` (`OPENAI_EMBEDDING_MODEL`)"].assert_eq(&vectors);
    let [chats, _] = unproven(401, "").await;
    expect![
        "auth_invalid [api_key]: `127.0.0.1:PORT` does not know the key: check `OPENAI_API_KEY` (HTTP 401)"
    ]
    .assert_eq(&chats);
}

#[tokio::test]
async fn a_reason_to_refuse_a_test_question_is_quoted_and_not_guessed() {
    // As DashScope refuses a model that only streams.
    let streams = r#"{"error":{"message":"This model only support stream mode, please enable the stream parameter to access the model.","code":"invalid_parameter_error"}}"#;
    let [chats, _] = unproven(400, streams).await;
    expect!["config_invalid [model]: `127.0.0.1:PORT` refuses the request (HTTP 400); its list of models does not have `test-model` (`OPENAI_MODEL`); it says: This model only support stream mode, please enable the stream parameter to access the model."].assert_eq(&chats);
    // As LiteLLM refuses a model that it does not know.
    let unknown = r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=test-model. Call `/v1/models` to view available models for your key.","type":"None","param":"None","code":"400"}}"#;
    let [chats, _] = unproven(400, unknown).await;
    expect!["config_invalid [model]: `127.0.0.1:PORT` refuses the request (HTTP 400); its list of models does not have `test-model` (`OPENAI_MODEL`); it says: /chat/completions: Invalid model name passed in model=test-model. Call `/v1/models` to view available models for your key."].assert_eq(&chats);
    let [chats, vectors] = unproven(422, r#"{"detail":"inputs must be chats"}"#).await;
    expect!["config_invalid [model]: `127.0.0.1:PORT` refuses the request (HTTP 422); its list of models does not have `test-model` (`OPENAI_MODEL`); it says: inputs must be chats"].assert_eq(&chats);
    expect!["config_invalid [embedding_model]: `127.0.0.1:PORT` refuses the request (HTTP 422); its list of models does not have `vectors` (`OPENAI_EMBEDDING_MODEL`); it says: inputs must be chats"].assert_eq(&vectors);
    let [chats, _] = unproven(400, r#"{"error":{"code":"bad_request"}}"#).await;
    expect!["config_invalid [model]: `127.0.0.1:PORT` refuses the request (HTTP 400); its list of models does not have `test-model` (`OPENAI_MODEL`); it says: bad_request"].assert_eq(&chats);
    let secret = r#"{"error":{"message":"sk-correct-horse-battery may not do this"}}"#;
    let [chats, _] = unproven(400, secret).await;
    expect!["config_invalid [model]: `127.0.0.1:PORT` refuses the request (HTTP 400); its list of models does not have `test-model` (`OPENAI_MODEL`); it says: [hidden] may not do this"].assert_eq(&chats);
    let [chats, _] = unproven(400, "").await;
    expect!["config_invalid [model]: `127.0.0.1:PORT` has no model `test-model`, or this key may not use it: set `OPENAI_MODEL`; it lists `other`"].assert_eq(&chats);
}

#[tokio::test]
async fn what_the_doctor_asks_is_no_use_of_a_model() {
    // A server that only makes vectors, and one that only chats.
    for is_there in ["text-embedding-3-small", "gpt-6-luna"] {
        let peer = server(json!([{ "id": is_there }]), move |model| model == is_there);
        let plugin = unchosen(peer.port);
        let probed = plugin.probe().await.is_ok();
        plugin.call(Examine::default()).await.unwrap();
        assert_eq!(plugin.probe().await.is_ok(), probed, "{is_there}");
        assert!(probed, "{is_there}");
    }
}

#[tokio::test]
async fn what_the_doctor_is_answered_is_proof() {
    let peer = lists_others(200, &["content-type: application/json"], DOCTOR);
    let plugin = plugin(peer.port, json!({ "embedding_model": "vectors" }));
    plugin.call(Examine::default()).await.unwrap();
    let asked = peer.asked().len();
    plugin.probe().await.unwrap();
    assert_eq!(peer.asked().len(), asked + 1, "the list alone");
}

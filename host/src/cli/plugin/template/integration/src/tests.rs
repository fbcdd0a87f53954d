//! The plugin in-process, through the same code that stands at the boundary of its library.

use plugin_api::{
    prelude::*,
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use crate::Notebook;

fn plugin(settings: Value) -> TestInstance<Notebook> {
    TestPlugin::new(settings).create().unwrap()
}

/// A file that no other test uses.
fn file(test: &str) -> String {
    let name = format!("{}-{test}-{}.txt", env!("CARGO_PKG_NAME"), std::process::id());
    std::env::temp_dir().join(name).to_string_lossy().into_owned()
}

#[tokio::test]
async fn notes_are_kept_in_order() {
    let file = file("order");
    let plugin = plugin(json!({ "file": file }));
    plugin.init().await.unwrap();
    for note in ["buy milk", "call Ada"] {
        plugin.call_json("add", json!({ "note": note })).await.unwrap();
    }
    let notes = plugin.call_json("list", json!({})).await.unwrap();
    assert_eq!(notes, json!({ "notes": ["buy milk", "call Ada"] }));
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn a_note_is_one_line() {
    let plugin = plugin(json!({}));
    let error = plugin.call_json("add", json!({ "note": "one\ntwo" })).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `note` is one line of text");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_the_settings_fault() {
    let failure = plugin(json!({ "file": "/nowhere/notes.txt" })).probe().await.unwrap_err();
    assert_eq!((failure.code, failure.setting.as_deref()), (ReasonCode::ConfigInvalid, Some("file")));
}

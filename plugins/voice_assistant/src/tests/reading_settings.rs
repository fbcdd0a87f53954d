//! Settings are complete after the check, or refused in words.

use plugin_api::{
    serde_json::{self, Value, json},
    settings::Span,
};

use crate::settings::{Config, Settings};

fn check(settings: Value) -> Result<Config, String> {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Config::check(settings).map_err(|failure| failure.message)
}

#[test]
fn everything_has_a_default() {
    let config = check(json!({})).unwrap();
    assert_eq!(config.language, "en-US");
    assert_eq!(config.texts.greeting, "Hello! How can I help you?");
    assert_eq!((config.gather_seconds, config.gather_retries, config.voicemail_seconds), (5, 2, 120));
    assert!(config.voicemail && !config.record_calls && config.transfer.is_empty());
    assert_eq!(config.url("/a"), "/a", "Twilio completes it");
}

#[test]
fn what_cannot_be_is_refused() {
    let long = Span::parse("11m").unwrap();
    for (settings, expected) in [
        (json!({ "patience": "9s" }), "`patience` is 9s: expected 1s to 8s"),
        (json!({ "voicemail_limit": long }), "`voicemail_limit` is 660s: expected whole seconds, 5s to 600s"),
        (
            json!({ "gather_timeout": "1500ms" }),
            "`gather_timeout` is 1.5s: expected whole seconds, 1s to 60s",
        ),
        (json!({ "filler_texts": [] }), "`filler_texts` is empty: leave it out, or give one text or more"),
        (
            json!({ "owner_number": "555" }),
            "`owner_number` is `555`: expected `+`, the country and the number, such as `+15551234567`",
        ),
        (
            json!({ "transfer": { "reception": "extension 7" } }),
            "`transfer.reception` is `extension 7`: expected `+`, the country and the number, such as `+15551234567`",
        ),
        (
            json!({ "public_base_url": "example.com" }),
            "`public_base_url` is `example.com`: expected the address of this host as Twilio reaches it, such as \
             `https://switchboard.example.com`",
        ),
    ] {
        assert_eq!(check(settings).unwrap_err(), expected);
    }
}

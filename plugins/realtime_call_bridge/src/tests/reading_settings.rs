//! Settings that cannot work are told apart, by key.

use plugin_api::{
    error::Failure,
    serde_json::{self, Value, json},
};

use crate::settings::{Config, Settings};

fn check(settings: Value) -> Result<Config, Failure> {
    Config::check(serde_json::from_value::<Settings>(settings).unwrap())
}

#[test]
fn nothing_needs_to_be_set() {
    let config = check(json!({})).unwrap();
    assert!(config.require_signature && config.recording.is_none());
    assert_eq!((config.max_calls, config.limits.ahead_ms, config.limits.queue_ms), (200, 10_000, 480_000));
}

#[test]
fn what_is_recorded_is_bounded() {
    let recording = check(json!({ "record": true, "recording_megabytes": 2 })).unwrap().recording.unwrap();
    assert_eq!((recording.bytes, recording.kept), (2 << 20, 50));
}

#[test]
fn a_time_that_is_none_is_refused() {
    for (settings, key, words) in [
        (
            json!({ "idle_timeout": "0s" }),
            "idle_timeout",
            "`idle_timeout` is 0: expected a positive time, such as `10s`",
        ),
        (
            json!({ "ahead": "500ms" }),
            "ahead",
            "`ahead` is 500ms: the caller would hear gaps, give it 1s or more",
        ),
    ] {
        let failure = check(settings).unwrap_err();
        assert_eq!((failure.setting.as_deref(), failure.message.as_str()), (Some(key), words));
    }
}

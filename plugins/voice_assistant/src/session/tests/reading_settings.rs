//! The settings: every default decided, every mistake named.

use plugin_api::serde_json::{self, Value, json};

use super::machine::common;
use crate::session::settings::{Config, Listening, Settings};

fn check(settings: Value) -> Result<Config, String> {
    let settings: Settings = serde_json::from_value(settings).expect("it fits the schema");
    Config::check(settings, common()).map_err(|failure| failure.message)
}

#[test]
fn everything_has_a_default() {
    let config = check(json!({})).expect("nothing needs to be set");
    assert_eq!((config.voice.as_str(), config.speed), ("marin", 1.0));
    assert_eq!(config.session_limit.as_secs(), 3600);
    assert_eq!(config.renewal_margin.as_secs(), 300);
    let listening = Listening::Silence { threshold: 0.5, prefix_ms: 300, silence_ms: 500, idle_ms: None };
    assert_eq!(config.listening, listening);
    assert_eq!(check(json!({ "filler_after": "0s" })).expect("it means never").filler_after, None);
}

#[test]
fn every_mistake_is_named() {
    for (settings, expected) in [
        (json!({ "speed": 2.0 }), "`realtime.speed`: it is 2: expected 0.25 to 1.5"),
        (json!({ "idle": "2s" }), "`realtime.idle`: it is 2000 ms: expected `5s` to `30s`"),
        (
            json!({ "idle": "6s", "vad": "semantic_vad" }),
            "`realtime.idle`: only `server_vad` has it: leave it out, or set `vad` to `server_vad`",
        ),
        (json!({ "vad_silence": "0ms" }), "`realtime.vad_silence`: it is 0: expected such as `500ms`"),
        (
            json!({ "tool_timeout": "0s" }),
            "`realtime.tool_timeout`: it is 0: expected a positive time, such as `10s`",
        ),
        (
            json!({ "session_limit": "1m", "renewal_margin": "2m" }),
            "`realtime.renewal_margin`: it is 120s: expected less than `session_limit`, which is 60s",
        ),
    ] {
        assert_eq!(check(settings).err().as_deref(), Some(expected));
    }
}

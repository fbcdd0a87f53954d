//! Every failure and trouble that the plugin can tell, with what mends it.

use expect_test::expect;
use plugin_api::{
    error::Failure,
    serde_json::{self, Value, json},
    testing::advice::{failure, table, trouble},
};

use crate::{
    journal::{not_announced, not_carried},
    settings::{Config, Settings},
};

fn refused(settings: Value) -> Failure {
    Config::check(serde_json::from_value::<Settings>(settings).unwrap()).unwrap_err()
}

#[test]
fn settings_that_cannot_be_used() {
    let of_calls = [
        json!({ "filler_texts": [] }),
        json!({ "gather_timeout": "1500ms" }),
        json!({ "patience": "9s" }),
        json!({ "longest_turn": "1s" }),
        json!({ "call_time_limit": "1s" }),
        json!({ "voicemail_limit": "1s" }),
        json!({ "owner_number": "+0123456789" }),
        json!({ "transfer": { "sales": "0123" } }),
        json!({ "public_base_url": "example.com" }),
    ];
    let of_sessions = [
        json!({ "idle": "10s", "vad": "semantic_vad" }),
        json!({ "idle": "1s", "vad": "server_vad" }),
        json!({ "vad_silence": "0s", "vad": "server_vad" }),
        json!({ "vad_threshold": 2.0, "vad": "server_vad" }),
        json!({ "connect_timeout": "0s" }),
    ];
    let of_sessions = of_sessions.map(|realtime| json!({ "realtime": realtime }));
    expect![[r#"
        config_invalid [filler_texts]: `filler_texts` is empty: leave it out, or give one text or more
        config_invalid [gather_timeout]: `gather_timeout` is 1.5s: expected whole seconds, 1s to 60s
        config_invalid [patience]: `patience` is 9s: expected 1s to 8s
        config_invalid [longest_turn]: `longest_turn` is 1s: expected whole seconds, 5s to 600s
        config_invalid [call_time_limit]: `call_time_limit` is 1s: expected whole seconds, 30s to 86400s
        config_invalid [voicemail_limit]: `voicemail_limit` is 1s: expected whole seconds, 5s to 600s
        config_invalid [owner_number]: `owner_number` is `+0123456789`: expected `+`, the country and the number, such as `+15551234567`
        config_invalid [transfer]: `transfer.sales` is `0123`: expected `+`, the country and the number, such as `+15551234567`
        config_invalid [public_base_url]: `public_base_url` is `example.com`: expected the address of this host as Twilio reaches it, such as `https://switchboard.example.com`
        config_invalid [realtime.idle]: `realtime.idle`: only `server_vad` has it: leave it out, or set `vad` to `server_vad`
        config_invalid [realtime.idle]: `realtime.idle`: it is 1000 ms: expected `5s` to `30s`
        config_invalid [realtime.vad_silence]: `realtime.vad_silence`: it is 0: expected such as `500ms`
        config_invalid [realtime.vad_threshold]: `realtime.vad_threshold`: it is 2: expected 0 to 1
        config_invalid [realtime.connect_timeout]: `realtime.connect_timeout`: it is 0: expected a positive time, such as `10s`"#]].assert_eq(&table(of_calls.into_iter().chain(of_sessions).map(refused), failure));
}

#[test]
fn messages_that_nobody_could_be_told_of() {
    expect!["voicemail_notices: config_invalid [owner_number] -> /api/calls: nobody could be told of 2 messages that were left: Twilio says no => Correct `VOICE_OWNER_NUMBER`, or what the reason names; the messages are listed with the calls"]
        .assert_eq(&trouble(&not_announced(2, "Twilio says no")));
}

#[test]
fn calls_that_are_not_carried() {
    expect!["media: config_invalid [public_base_url]: the last 2 calls were not carried: Twilio does not reach `/media/twilio` at this host's public address (31920 handshake failed) => Let Twilio reach `PUBLIC_BASE_URL` by `wss://`: see the proxy's WebSockets and certificate"].assert_eq(&trouble(&not_carried(2, "31920 handshake failed")));
}

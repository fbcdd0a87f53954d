//! Every failure that the plugin can tell, with what mends it: all of them are settings. That calls are not carried is told
//! by the host, by the outcomes of their streams.

use expect_test::expect;
use plugin_api::{
    serde_json::{self, json},
    testing::advice::{failure, table},
};

use crate::settings::{Config, Settings};

#[test]
fn settings_that_cannot_be_used() {
    let none =
        ["start_timeout", "session_timeout", "idle_timeout", "media_timeout", "max_duration", "speech_gap"];
    let none = none.map(|key| json!({ key: "0s" }));
    let refused = none.into_iter().chain([json!({ "ahead": "500ms" })]);
    let refused = refused
        .map(|settings| Config::check(serde_json::from_value::<Settings>(settings).unwrap()).unwrap_err());
    expect![[r#"
        config_invalid [start_timeout]: `start_timeout` is 0: expected a positive time, such as `10s`
        config_invalid [session_timeout]: `session_timeout` is 0: expected a positive time, such as `10s`
        config_invalid [idle_timeout]: `idle_timeout` is 0: expected a positive time, such as `10s`
        config_invalid [media_timeout]: `media_timeout` is 0: expected a positive time, such as `10s`
        config_invalid [max_duration]: `max_duration` is 0: expected a positive time, such as `10s`
        config_invalid [speech_gap]: `speech_gap` is 0: expected a positive time, such as `10s`
        config_invalid [ahead]: `ahead` is 500ms: the caller would hear gaps, give it 1s or more"#]]
    .assert_eq(&table(refused, failure));
}

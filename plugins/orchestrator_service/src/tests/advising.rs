//! Every failure and trouble that the plugin can tell, with what mends it.

use expect_test::expect;
use plugin_api::{
    serde_json::{self, json},
    testing::advice::{failure, table, trouble},
};

use crate::{
    decisions::not_told,
    settings::{Config, Settings},
    worker::no_model,
};

#[test]
fn settings_that_cannot_be_used() {
    let refused = [
        json!({ "lease": "100ms" }),
        json!({ "lease": "0s" }),
        json!({ "max_time": "0s" }),
        json!({ "approver": "the boss" }),
        json!({ "approver": "+0123456789" }),
        json!({ "public_base_url": "example.com" }),
    ];
    let refused = refused
        .map(|settings| Config::check(serde_json::from_value::<Settings>(settings).unwrap()).unwrap_err());
    expect![[r#"
        config_invalid [lease]: `lease` is shorter than a second: expected such as `30s`
        config_invalid [lease]: `lease` is 0: expected a positive time, such as `10s`
        config_invalid [max_time]: `max_time` is 0: expected a positive time, such as `10s`
        config_invalid [approver]: `approver` is `the boss`: expected an email address, or a number such as `+15551234567`
        config_invalid [approver]: `approver` is `+0123456789`: expected an email address, or a number such as `+15551234567`
        config_invalid [public_base_url]: `public_base_url` is `example.com`: expected the address of this host as people reach it, such as `https://switchboard.example.com`"#]].assert_eq(&table(refused, failure));
}

#[test]
fn an_approver_who_cannot_be_told() {
    expect!["approver: config_invalid [approver]: decisions wait, and the approver cannot be notified: Twilio says no => Correct `ORCHESTRATOR_APPROVER`, or what the reason names; then they are notified within a minute"]
        .assert_eq(&trouble(&not_told("Twilio says no")));
}

#[test]
fn a_model_of_the_settings_that_cannot_be_used() {
    expect!["model: config_invalid [model]: no run makes progress: the model `gpt-9` of the settings cannot be used: the key may not use this model"].assert_eq(&trouble(&no_model("gpt-9", "the key may not use this model")));
}

//! Settings that are refused, in words that name the key.

use plugin_api::{
    serde_json::{Value, json},
    testing::TestPlugin,
};

use crate::Orchestrator;

fn check(settings: Value, expected: &str) {
    let refused = TestPlugin::<Orchestrator>::new(settings).create().err().expect("it is refused");
    assert_eq!(refused.message, expected);
}

#[test]
fn what_cannot_work_is_refused() {
    check(json!({ "max_time": "0s" }), "`max_time` is 0: expected a positive time, such as `10s`");
    check(json!({ "lease": "100ms" }), "`lease` is shorter than a second: expected such as `30s`");
    check(
        json!({ "approver": "the boss" }),
        "`approver` is `the boss`: expected an email address, or a number such as `+15551234567`",
    );
    check(
        json!({ "public_base_url": "example.com" }),
        "`public_base_url` is `example.com`: expected the address of this host as people reach it, such as \
         `https://switchboard.example.com`",
    );
}

#[test]
fn nothing_needs_to_be_set() {
    assert!(TestPlugin::<Orchestrator>::new(json!({})).create().is_ok());
}

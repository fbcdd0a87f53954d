//! Settings that cannot work are refused, by name.

use plugin_api::{serde_json::json, testing::TestPlugin};

use crate::MessagingService;

#[test]
fn a_template_is_a_sid() {
    let made = TestPlugin::<MessagingService>::new(json!({ "whatsapp_template": "hello" })).create();
    let failure = made.err().expect("it is refused");
    assert_eq!(failure.message, "`whatsapp_template` is `hello`: expected `HX` and 32 hexadecimal digits");
    assert_eq!(failure.setting.as_deref(), Some("whatsapp_template"));
}

#[test]
fn the_tool_waits_for_a_person() {
    let plugin = TestPlugin::<MessagingService>::new(json!({})).create().expect("nothing needs to be set");
    let tools: Vec<_> = plugin.manifest().operations.into_iter().filter(|operation| operation.tool).collect();
    let [send] = &tools[..] else { panic!("{tools:?}") };
    assert!(send.needs_approval && send.name == "send");
}

//! Every failure and trouble that the plugin can tell, with what mends it.

use expect_test::expect;
use plugin_api::{
    serde_json::{self, json},
    testing::{
        TestPlugin,
        advice::{failure, table, trouble},
    },
    tokio,
};

use crate::{
    MessagingService,
    settings::{Config, Settings},
    unanswered,
};

#[tokio::test]
async fn what_the_plugin_tells_of_itself() {
    let template = serde_json::from_value::<Settings>(json!({ "whatsapp_template": "HX1" })).unwrap();
    let alone = TestPlugin::<MessagingService>::new(json!({})).create().unwrap();
    let failures = [Config::check(template).unwrap_err(), alone.init().await.unwrap_err()];
    expect![[r#"
        config_invalid [whatsapp_template]: `whatsapp_template` is `HX1`: expected `HX` and 32 hexadecimal digits
        config_invalid [-]: messages cannot be stored, so none is accepted: add a section `[plugins.database]` to plugins.toml => Add a section `[plugins.database]` to plugins.toml, then reload"#]].assert_eq(&table(failures, failure));
    expect!["unanswered: internal [-] -> /api/messages/unprocessed: several messages in a row could not be answered: the run failed => See the unprocessed messages, and retry each once the cause is gone"].assert_eq(&trouble(&unanswered::trouble("the run failed")));
}

//! An instance of the plugin, as the tests want it.

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::host::Report,
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use crate::Twilio;

/// Must never be seen anywhere.
pub const TOKEN: &str = "0123456789abcdef-hidden";
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const KEY: &str = "SK00000000000000000000000000000002";
pub const NUMBER: &str = "+15551234567";

/// An instance that speaks to a local port, with further settings.
pub fn plugin(port: u16, settings: Value) -> TestInstance<Twilio> {
    try_plugin(port, settings).unwrap_or_else(|failure| panic!("the settings are refused: {failure}"))
}

pub fn try_plugin(port: u16, settings: Value) -> Result<TestInstance<Twilio>, Failure> {
    let mut all = json!({
        "account_sid": ACCOUNT, "auth_token": TOKEN, "phone_number": NUMBER,
        "api_base_url": format!("http://127.0.0.1:{port}"), "timeout": "5s",
    });
    let all_map = all.as_object_mut().expect("it is an object");
    for (key, value) in settings.as_object().expect("settings are an object") {
        match value {
            Value::Null => _ = all_map.remove(key),
            value => _ = all_map.insert(key.clone(), value.clone()),
        }
    }
    TestPlugin::new(all).create()
}

/// Settings with an API key instead of the token.
pub fn with_key() -> Value {
    json!({ "auth_token": null, "api_key_sid": KEY, "api_secret": TOKEN })
}

/// Evidence that satisfies, which the plugin reports in its own time.
pub async fn reported(plugin: &TestInstance<Twilio>, satisfies: impl Fn(&Report) -> bool) -> Report {
    let wait = async {
        loop {
            match plugin.reports().into_iter().find(&satisfies) {
                Some(report) => return report,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it is reported")
}

/// A caller that waits so long.
pub fn within(millis: u64) -> CallHeader {
    CallHeader { deadline_ms: Some(millis), ..CallHeader::default() }
}

/// `kind: message` and the details, with the address of the peer made stable.
pub fn shown(error: &OperationError, port: u16) -> String {
    let details = error.details.as_ref().map(|details| format!(" {details}")).unwrap_or_default();
    format!("{error}{details}").replace(&format!(":{port}"), ":PORT")
}

/// `code [setting]: message`, with the address of the peer made stable.
pub fn shown_failure(failure: &Failure, port: u16) -> String {
    let setting = failure.setting.as_deref().unwrap_or("-");
    format!("{} [{setting}]: {}", failure.code, failure.message).replace(&format!(":{port}"), ":PORT")
}

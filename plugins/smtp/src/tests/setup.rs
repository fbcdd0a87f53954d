//! An instance of the plugin, as the tests want it.

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{
        email::{SendEmail, SendTrouble},
        host::Report,
    },
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use crate::Smtp;

/// Must never be seen anywhere.
pub const PASSWORD: &str = "correct-horse-battery";

/// An instance that speaks to a local port, with further settings.
pub fn plugin(port: u16, settings: Value) -> TestInstance<Smtp> {
    try_plugin(port, settings).unwrap_or_else(|failure| panic!("the settings are refused: {failure}"))
}

pub fn try_plugin(port: u16, settings: Value) -> Result<TestInstance<Smtp>, Failure> {
    plugin_test(port, settings).create()
}

/// The plugin that is to become an instance.
pub fn plugin_test(port: u16, settings: Value) -> TestPlugin<Smtp> {
    let mut all = json!({
        "server": "127.0.0.1", "port": port, "tls": "none", "from_email": "Bot <bot@example.com>", "timeout": "5s",
    });
    let all_map = all.as_object_mut().expect("it is an object");
    all_map.extend(settings.as_object().expect("settings are an object").clone());
    TestPlugin::new(all)
}

/// Settings with a login.
pub fn login() -> Value {
    json!({ "username": "ada", "password": PASSWORD })
}

/// A mail to these people.
pub fn mail_to(to: &[&str]) -> SendEmail {
    SendEmail {
        to: to.iter().map(ToString::to_string).collect(),
        subject: "Hello".to_owned(),
        text: Some("Hello, world!\n".to_owned()),
        ..SendEmail::default()
    }
}

/// The first evidence that the plugin reports, which it does in its own time.
pub async fn reported(plugin: &TestInstance<Smtp>) -> Report {
    let wait = async {
        loop {
            match plugin.reports().into_iter().next() {
                Some(report) => return report,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("something is reported")
}

/// A call with an idempotency key.
pub fn keyed(key: &str) -> CallHeader {
    CallHeader { idempotency_key: Some(key.to_owned()), ..CallHeader::default() }
}

/// `kind: message`, with the address of the peer made stable.
pub fn shown(error: &OperationError, port: u16) -> String {
    error.to_string().replace(&format!(":{port}"), ":PORT")
}

/// `code [setting]: message`, and the plugin's own advice, with the address of the peer made stable.
pub fn shown_failure(failure: &Failure, port: u16) -> String {
    let setting = failure.setting.as_deref().unwrap_or("-");
    let advice = failure.advice.as_ref().map(|advice| format!(" => {}", advice.label)).unwrap_or_default();
    format!("{} [{setting}]: {}{advice}", failure.code, failure.message).replace(&format!(":{port}"), ":PORT")
}

/// The details of an error.
pub fn trouble(error: &OperationError) -> SendTrouble {
    let details = error.details.clone().expect("the error has details");
    serde_json::from_value(details).expect("the details are those of `send_email`")
}

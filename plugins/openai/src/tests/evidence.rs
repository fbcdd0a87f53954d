//! What calls show of the plugin is told to the host: cheaply, and only what concerns it as a whole.

use plugin_api::{
    requests::{host::Report, openai::Realtime},
    serde_json::json,
    tokio,
};

use super::{
    peer::{Peer, closed_port},
    setup::{plugin, question, reply, reported},
};

fn code(report: &Report) -> &str {
    match report {
        Report::Success => "success",
        Report::Failure { code, .. } => code.as_str(),
    }
}

#[tokio::test]
async fn many_successes_are_one_report() {
    let peer = Peer::answering(200, &[], reply("Hi!").to_string());
    let plugin = plugin(peer.port, json!({}));
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        plugin.call(question()).await.unwrap();
    }
    let reports = reported(&plugin, |reports| !reports.is_empty()).await;
    assert!(reports.iter().all(|report| code(report) == "success"));
    let most = begun.elapsed().as_secs() as usize + 1;
    assert!(reports.len() <= most, "{} reports in {most} s: no more than one a second", reports.len());
}

#[tokio::test]
async fn a_failure_of_the_whole_is_reported_and_the_next_success_at_once() {
    let peer = Peer::start(|talk| {
        for status in [200, 401, 200] {
            talk.hear()?;
            match status {
                200 => talk.json(&reply("Hi!"))?,
                _ => talk.answer(401, &[], r#"{"error":{"code":"invalid_api_key"}}"#)?,
            }
        }
        talk.fall_silent()
    });
    let plugin = plugin(peer.port, json!({}));
    plugin.call(question()).await.unwrap();
    reported(&plugin, |reports| reports.len() == 1).await;
    plugin.call(question()).await.unwrap_err();
    reported(&plugin, |reports| reports.len() == 2).await;
    plugin.call(question()).await.unwrap();
    let reports = reported(&plugin, |reports| reports.len() == 3).await;
    let codes: Vec<_> = reports.iter().map(code).collect();
    assert_eq!(codes, ["success", "auth_invalid", "success"]);
    let Report::Failure { setting, .. } = &reports[1] else { panic!("it is a failure") };
    assert_eq!(setting.as_deref(), Some("api_key"));
}

#[tokio::test]
async fn what_concerns_the_whole_is_told_from_what_concerns_one_request() {
    // The second call is reported for sure; what the first was worth stands before it.
    let first = async |status, body: &'static str| {
        let peer = Peer::start(move |talk| {
            talk.hear()?;
            talk.answer(status, &[], body)?;
            talk.hear()?;
            talk.answer(401, &[], "")?;
            talk.fall_silent()
        });
        let plugin = plugin(peer.port, json!({}));
        plugin.call(question()).await.unwrap_err();
        plugin.call(question()).await.unwrap_err();
        let reports =
            reported(&plugin, |reports| reports.iter().any(|report| code(report) == "auth_invalid"));
        code(&reports.await[0]).to_owned()
    };
    assert_eq!(first(429, r#"{"error":{"code":"insufficient_quota"}}"#).await, "quota");
    assert_eq!(first(503, "").await, "unavailable");
    for status in [400, 403, 404, 429, 500] {
        assert_eq!(first(status, "").await, "auth_invalid", "{status} is not reported");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_reported() {
    let plugin = plugin(closed_port(), json!({}));
    plugin.call(question()).await.unwrap_err();
    let reports = reported(&plugin, |reports| !reports.is_empty()).await;
    assert_eq!(code(&reports[0]), "refused");
}

#[tokio::test]
async fn a_realtime_api_says_of_the_whole_only_what_concerns_the_key() {
    let peer = Peer::answering(401, &[], "");
    let plugin = plugin(peer.port, json!({}));
    assert!(plugin.open("realtime", &Realtime::default()).await.is_err());
    let reports = reported(&plugin, |reports| !reports.is_empty()).await;
    assert_eq!(code(&reports[0]), "auth_invalid");

    let elsewhere = format!("ws://127.0.0.1:{}/v1/realtime", peer.port);
    let plugin = super::setup::plugin(closed_port(), json!({ "realtime_url": elsewhere }));
    assert!(plugin.open("realtime", &Realtime::default()).await.is_err());
    plugin.call(question()).await.unwrap_err();
    let reports = reported(&plugin, |reports| !reports.is_empty()).await;
    assert_eq!(code(&reports[0]), "refused", "the other server's word does not count");
}

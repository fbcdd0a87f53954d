//! Webhooks are handled once, and not lost when whoever handles one does not come to an end.

use expect_test::expect;
use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::twilio_service::{ClaimWebhook, SettleWebhook, WebhookClaim, WebhookState},
    serde_json::json,
    testing::{TestInstance, database::Database},
    tokio,
};

use super::setup::{Twilio, plugin, plugin_with};
use crate::TwilioService;

async fn claim(plugin: &TestInstance<TwilioService>, caller: &str, lease_seconds: u32) -> WebhookClaim {
    let header = CallHeader { caller: Some(caller.to_owned()), ..CallHeader::default() };
    let claim = ClaimWebhook { key: "message:SM1".to_owned(), lease_seconds: Some(lease_seconds) };
    plugin.call_with(header, claim).await.unwrap()
}

async fn settle(
    plugin: &TestInstance<TwilioService>,
    caller: &str,
    claim: &WebhookClaim,
    done: bool,
) -> Option<ErrorKind> {
    let header = CallHeader { caller: Some(caller.to_owned()), ..CallHeader::default() };
    let claim = claim.claim.clone().unwrap_or_default();
    plugin
        .call_with(header, SettleWebhook { key: "message:SM1".to_owned(), claim, done })
        .await
        .err()
        .map(|error| error.kind)
}

#[tokio::test]
async fn the_first_handles_it_and_the_others_do_not() {
    let plugin = plugin(&Twilio::default(), json!({}));
    let first = claim(&plugin, "a", 60).await;
    assert_eq!(first.state, WebhookState::Claimed);
    assert_eq!(claim(&plugin, "a", 60).await.state, WebhookState::InProgress);
    assert_eq!(claim(&plugin, "b", 60).await.state, WebhookState::Claimed, "another plugin handles it too");
    assert_eq!(settle(&plugin, "a", &first, true).await, None);
    let repeat = claim(&plugin, "a", 60).await;
    assert_eq!((repeat.state, repeat.claim.clone()), (WebhookState::Done, None));
    assert_eq!(settle(&plugin, "a", &first, false).await, Some(ErrorKind::Conflict), "done is done");
}

#[tokio::test]
async fn what_is_given_up_or_forgotten_is_handled_by_the_next() {
    let plugin = plugin(&Twilio::default(), json!({}));
    let first = claim(&plugin, "a", 60).await;
    assert_eq!(settle(&plugin, "a", &first, false).await, None);
    let second = claim(&plugin, "a", 0).await;
    assert_eq!(second.state, WebhookState::Claimed);
    let third = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            let claim = claim(&plugin, "a", 60).await;
            if claim.state == WebhookState::Claimed {
                return claim;
            }
        }
    });
    let third = third.await.expect("the lease ends");
    assert_eq!(settle(&plugin, "a", &second, true).await, Some(ErrorKind::Conflict));
    assert_eq!(settle(&plugin, "a", &third, true).await, None);
}

/// On SQLite there is no other process: what one that is gone claimed is handled at once when Twilio delivers it again.
#[tokio::test]
async fn the_claim_of_a_process_that_is_gone_ends_at_once() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let before = plugin_with(&twilio, &database).await;
    assert_eq!(claim(&before, "a", 60).await.state, WebhookState::Claimed);
    before.stop().await.unwrap();
    database.run("update twilio_service_webhooks set claim = 'gone'");
    let plugin = plugin_with(&twilio, &database).await;
    assert_eq!(claim(&plugin, "a", 60).await.state, WebhookState::Claimed);
    assert_eq!(claim(&plugin, "a", 60).await.state, WebhookState::InProgress, "our own holds");
}

/// What one try asks for says nothing of what another one may take.
#[tokio::test]
async fn a_short_claim_does_not_end_a_long_one() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let plugin = plugin_with(&twilio, &database).await;
    assert_eq!(claim(&plugin, "a", 3600).await.state, WebhookState::Claimed);
    assert_eq!(claim(&plugin, "a", 1).await.state, WebhookState::InProgress);
    let longer = ClaimWebhook { key: "message:SM2".to_owned(), lease_seconds: Some(3601) };
    expect!["invalid: `lease_seconds` is 3601: a webhook is claimed for 3600 seconds at most"]
        .assert_eq(&plugin.call(longer).await.unwrap_err().to_string());
}

/// The clock was put back by two hours.
#[tokio::test]
async fn a_claim_that_no_clock_can_mean_ends() {
    let (twilio, database) = (Twilio::default(), Database::new());
    let plugin = plugin_with(&twilio, &database).await;
    assert_eq!(claim(&plugin, "a", 60).await.state, WebhookState::Claimed);
    database.run("update twilio_service_webhooks set lease_ms = lease_ms + 7200000");
    assert_eq!(claim(&plugin, "a", 60).await.state, WebhookState::Claimed);
}

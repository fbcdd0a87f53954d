//! One side takes or plays slowly what the other has said: an interruption waits for nothing of it.

use plugin_api::{
    requests::voice::{BridgeEvent, Heard, SessionEvent},
    testing::TestInstance,
    tokio,
};

use super::setup::{Phone, Shared, no_settings, plugin, tell, utter, wait_until};
use crate::Bridge;

const INTERRUPT: SessionEvent = SessionEvent::Interrupt { speech_at_ms: None };

/// A conversation that says so much at once, and takes it back.
fn interrupted(told: &Shared, ms: usize) -> TestInstance<Bridge> {
    let plugin = plugin(no_settings(), told, move |stream| async move {
        utter(&stream, 1, ms).await;
        tell(&stream, INTERRUPT).await;
        Ok(())
    });
    plugin.create().unwrap()
}

#[tokio::test]
async fn a_slow_twilio_is_not_sent_what_is_to_be_cleared() {
    let told = Shared::default();
    let plugin = interrupted(&told, 9_000);
    let mut phone = Phone::call(&plugin, "good").await;
    wait_until(&told, "the interruption", |told| !told.events.is_empty()).await;
    let heard = vec![Heard { utterance: 1, heard_ms: 0, sent_ms: 9_000 }];
    assert_eq!(told.lock().unwrap().events, [BridgeEvent::Interrupted { heard, after_ms: None }]);
    let before = phone.wait_for_clear().await;
    assert!(before <= 33, "a queue of 32, and one that was being sent: {before} of 180");
}

#[tokio::test]
async fn an_interruption_overtakes_all_that_was_said_before_it() {
    let told = Shared::default();
    let plugin = interrupted(&told, 150_000);
    // Nothing is played: whoever waited for that would wait until the line is given up.
    let mut phone = Phone::call(&plugin, "good").await;
    phone.wait_for_clear().await;
    wait_until(&told, "the interruption", |told| !told.events.is_empty()).await;
    let heard = vec![Heard { utterance: 1, heard_ms: 0, sent_ms: 10_000 }];
    assert_eq!(told.lock().unwrap().events, [BridgeEvent::Interrupted { heard, after_ms: None }]);
}

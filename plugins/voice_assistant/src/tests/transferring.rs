//! A call is transferred, or ended, once the assistant has spoken.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::voice::{EndCall, TransferCall},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, CALL, Instance, LEFT, Phone, World, action, lines, shown, spoken};

const RECEPTION: &str = "+15550000005";

async fn host(world: &World) -> Instance {
    world.host_with(json!({ "transfer": { "reception": RECEPTION } })).await
}

fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), ..CallHeader::default() }
}

async fn outcome(host: &Instance) -> String {
    shown(host).await.call.outcome.unwrap_or_default()
}

fn to(name: &str) -> TransferCall {
    TransferCall { to: name.to_owned() }
}

#[tokio::test]
async fn a_call_is_put_through_and_comes_back_when_nobody_answers() {
    let world = World::default();
    let (host, ada) = (host(&world).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    // As a tool of the run, on behalf of the caller.
    host.call_with(on_behalf_of(ADA), to("reception")).await.unwrap();
    let twiml = ada.say(&host, &twiml, "a human, please").await;
    assert_eq!(spoken(&twiml), ["re: a human, please", "I will put you through."]);
    assert!(twiml.contains(&format!("<Number>{RECEPTION}</Number>")), "{twiml}");
    let back = ada.post(&host, &action(&twiml), &[("DialCallStatus", "no-answer")]).await;
    assert_eq!(spoken(&back)[0], "I am sorry, nobody answers there.");
    assert!(back.contains("<Record "), "{back}");
    assert!(lines(&host).await.contains(&"(the transfer failed: no-answer)".to_owned()));
    assert_eq!(outcome(&host).await, "nobody could answer");
    ada.post(&host, &action(&back), &LEFT).await;
    ada.post(&host, "/status", &[("CallStatus", "completed")]).await;
    assert_eq!(outcome(&host).await, "a message was left");
}

/// Twilio tells of the end of a call before or after what came of its transfer.
#[tokio::test]
async fn a_transfer_is_kept_as_what_came_of_it() {
    let over = ("CallStatus", "completed");
    for (dial, expected) in
        [("completed", "transferred to reception"), ("canceled", "the other side hung up")]
    {
        for is_told_first in [true, false] {
            let world = World::default();
            let (host, ada) = (host(&world).await, Phone::ada());
            let twiml = ada.ring(&host).await;
            host.call_with(on_behalf_of(ADA), to("reception")).await.unwrap();
            let twiml = ada.say(&host, &twiml, "a human, please").await;
            if is_told_first {
                ada.post(&host, "/status", &[over]).await;
            }
            let last = ada.post(&host, &action(&twiml), &[("DialCallStatus", dial), over]).await;
            assert_eq!(last, "<Response><Hangup/></Response>");
            if !is_told_first {
                ada.post(&host, "/status", &[over]).await;
            }
            assert_eq!(outcome(&host).await, expected, "{dial}");
            assert!(!shown(&host).await.call.live);
        }
    }
}

#[tokio::test]
async fn who_decided_for_a_transfer_and_hung_up_before_it_was_not_transferred() {
    let world = World::default();
    let (host, ada) = (host(&world).await, Phone::ada());
    ada.ring(&host).await;
    host.call_with(on_behalf_of(ADA), to("reception")).await.unwrap();
    ada.post(&host, "/status", &[("CallStatus", "completed")]).await;
    assert_eq!(outcome(&host).await, "the other side hung up");
}

#[tokio::test]
async fn the_last_decision_counts_whichever_host_it_came_to() {
    let world = World::default();
    let (one, other, ada) = (host(&world).await, host(&world).await, Phone::ada());
    let twiml = ada.ring(&one).await;
    one.call_with(on_behalf_of(ADA), EndCall::default()).await.unwrap();
    other.call_with(on_behalf_of(ADA), to("reception")).await.unwrap();
    let twiml = ada.say(&one, &twiml, "a human, please").await;
    assert!(twiml.contains("<Dial "), "{twiml}");
}

#[tokio::test]
async fn a_caller_who_is_not_verified_is_put_through_too() {
    let world = World::default();
    let (host, stranger) = (host(&world).await, Phone { person: None, ..Phone::ada() });
    let twiml = stranger.ring(&host).await;
    host.call_with(on_behalf_of(&format!("unverified:{CALL}")), to("reception")).await.unwrap();
    let twiml = stranger.say(&host, &twiml, "a human, please").await;
    assert!(twiml.contains("<Dial "), "{twiml}");
}

#[tokio::test]
async fn only_to_who_is_allowed_and_only_a_call_in_progress() {
    let world = World::default();
    let host = host(&world).await;
    let refused = host.call_with(on_behalf_of(ADA), to("+19005550000")).await.unwrap_err();
    assert_eq!(refused.message, "a call cannot be transferred to `+19005550000`, only to `reception`");
    let refused = host.call_with(on_behalf_of(ADA), to("reception")).await.unwrap_err();
    assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Conflict, "the person is in no call"));
}

#[tokio::test]
async fn the_assistant_ends_a_call_with_its_last_words() {
    let world = World::default();
    let (host, ada) = (host(&world).await, Phone::ada());
    let twiml = ada.ring(&host).await;
    host.call_with(on_behalf_of(ADA), EndCall::default()).await.unwrap();
    let twiml = ada.say(&host, &twiml, "bye").await;
    assert_eq!(spoken(&twiml), ["re: bye"]);
    assert!(twiml.ends_with("<Hangup/></Response>"), "{twiml}");
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("the assistant ended it"));
}

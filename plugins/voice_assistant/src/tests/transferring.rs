//! A call is transferred, or ended, once the assistant has spoken.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::voice::{EndCall, TransferCall},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, CALL, Instance, Phone, World, action, lines, shown, spoken};

const RECEPTION: &str = "+15550000005";

async fn host(world: &World) -> Instance {
    world.host_with(json!({ "transfer": { "reception": RECEPTION } })).await
}

fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), ..CallHeader::default() }
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
    let over = ada.post(&host, &action(&twiml), &[("DialCallStatus", "completed")]).await;
    assert_eq!(over, "<Response><Hangup/></Response>");
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

//! Calls of ours: placed once, on behalf of who is called, with an objective; a machine that answers is told what it is to
//! be told.

use plugin_api::{
    error::{ErrorKind, OperationError},
    origin::Origin,
    protocol::CallHeader,
    requests::{
        orchestrator::Quote,
        twilio_service::{MachineDetection, UpdateCall},
        voice::{CallPerson, CalledPerson},
    },
    serde_json::{Value, json},
    tokio,
};

use super::setup::{ADA, Instance, PUBLIC, Phone, World, shown, spoken, wait};

fn header(key: &str) -> CallHeader {
    let (person, key) = (Some(ADA.to_owned()), Some(key.to_owned()));
    CallHeader { person, idempotency_key: key, ..CallHeader::default() }
}

pub fn request() -> CallPerson {
    CallPerson {
        objective: "Ask whether Tuesday suits them.".to_owned(),
        opening: Some("Hello, this is Max.".to_owned()),
        ..CallPerson::default()
    }
}

async fn call(host: &Instance, request: CallPerson) -> Result<CalledPerson, OperationError> {
    host.call_with(header("k"), request).await
}

/// The path and the form of a webhook of this call.
pub fn order(world: &World) -> String {
    let url = world.state().placed[0].1.url.clone().unwrap();
    url.split_once('?').unwrap().1.to_owned()
}

const OUTBOUND: [(&str, &str); 2] = [("Direction", "outbound-api"), ("To", ADA)];

pub async fn placed(settings: Value, request: CallPerson) -> (World, Instance) {
    let world = World::default();
    let host = world.host_with(settings).await;
    call(&host, request).await.unwrap();
    (world, host)
}

#[tokio::test]
async fn a_call_is_placed_once_a_key() {
    let (world, host) = placed(json!({}), request()).await;
    let again = call(&host, request()).await.unwrap();
    assert!(again.repeated);
    let other = call(&host, CallPerson { objective: "Something else.".to_owned(), ..request() }).await;
    assert_eq!(other.unwrap_err().message, "the idempotency key was used for another call");
    let placed = world.state().placed.clone();
    let [(_, place)] = placed.as_slice() else { panic!("it is placed once: {placed:?}") };
    assert_eq!(place.to.as_deref(), Some(ADA));
    assert_eq!(place.machine_detection, Some(MachineDetection::Enable));
    assert_eq!(place.time_limit_seconds, Some(1800));
    let callback = place.machine_detection_callback.as_deref().unwrap();
    assert!(callback.starts_with(&format!("{PUBLIC}/webhooks/twilio/voice/machine?order=")), "{callback}");
    let kept = shown(&host).await.call;
    assert_eq!((kept.outbound, kept.live, kept.person.as_deref()), (true, true, Some(ADA)));
}

#[tokio::test]
async fn who_answers_hears_the_opening_and_the_assistant_knows_the_objective() {
    let (world, host) = placed(json!({}), request()).await;
    let ada = Phone { from: "+15551234567".to_owned(), ..Phone::ada() };
    let twiml = ada.post(&host, &format!("?{}", order(&world)), &OUTBOUND).await;
    assert_eq!(spoken(&twiml), ["Hello, this is Max."]);
    ada.say(&host, &twiml, "Tuesday is fine").await;
    let run = world.state().runs[0].1.clone();
    let instructions = run.instructions.unwrap();
    assert!(instructions.contains("You called them. This call is to reach the task"), "{instructions}");
    assert!(!instructions.contains("Tuesday"), "a model may have written it: {instructions}");
    let task = Quote { origin: Origin::Task, text: "Ask whether Tuesday suits them.".into() };
    assert_eq!(run.known[0], task);
    let said = wait(|| async { world.said(ADA) }, |said| said.len() == 3).await;
    assert_eq!(said[0], "voice assistant: hello, this is max.", "the opening is the assistant's own");
}

#[tokio::test]
async fn a_machine_is_left_the_message() {
    let message = CallPerson { message: Some("Please call <us> back.".to_owned()), ..request() };
    let (world, host) = placed(json!({}), message).await;
    assert_eq!(world.state().placed[0].1.machine_detection, Some(MachineDetection::DetectMessageEnd));
    let path = format!("/machine?{}", order(&world));
    for _ in 0..2 {
        Phone::ada().post(&host, &path, &[("AnsweredBy", "machine_end_beep")]).await;
    }
    let updated = world.state().updated.clone();
    let [UpdateCall { twiml: Some(twiml), hang_up: false, .. }] = updated.as_slice() else {
        panic!("it is changed once: {updated:?}")
    };
    assert!(twiml.ends_with(">Please call &lt;us&gt; back.</Say><Hangup/></Response>"), "{twiml}");
    let kept = shown(&host).await.call;
    assert_eq!(kept.outcome.as_deref(), Some("a machine answered, and was left a message"));
    assert_eq!(kept.answered_by.as_deref(), Some("machine_end_beep"));
}

#[tokio::test]
async fn without_a_message_a_machine_is_hung_up_on_and_a_human_is_not() {
    let (world, host) = placed(json!({}), request()).await;
    let path = format!("/machine?{}", order(&world));
    Phone::ada().post(&host, &path, &[("AnsweredBy", "human")]).await;
    assert!(world.state().updated.is_empty());
    world.state().claimed.clear();
    Phone::ada().post(&host, &path, &[("AnsweredBy", "machine_start")]).await;
    assert!(world.state().updated[0].hang_up);
    let (world, host) = placed(json!({ "machine_message": "It is us." }), request()).await;
    let path = format!("/machine?{}", order(&world));
    Phone::ada().post(&host, &path, &[("AnsweredBy", "fax")]).await;
    assert!(world.state().updated[0].hang_up, "a fax is told nothing");
}

#[tokio::test]
async fn nobody_is_called_on_behalf_of_somebody_else() {
    let world = World::default();
    let host = world.host().await;
    let refused =
        call(&host, CallPerson { to: Some("+15550000002".to_owned()), ..request() }).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    let refused = host.call(request()).await.unwrap_err();
    assert_eq!(
        refused.message,
        "`to` is missing, and the request is not on behalf of a person with a number"
    );
    let refused = call(&host, CallPerson { objective: " ".to_owned(), ..request() }).await.unwrap_err();
    assert_eq!(refused.message, "`objective` has 1 characters: expected 1 to 4000");
    assert!(world.state().placed.is_empty());
    let operator = CallPerson { to: Some(ADA.to_owned()), ..request() };
    assert!(host.call(operator).await.is_ok(), "an operator says who");
}

#[tokio::test]
async fn nothing_is_placed_that_could_not_be_kept_or_answered() {
    let world = World::default();
    let host = world.host().await;
    world.database.set_down(true);
    assert_eq!(call(&host, request()).await.unwrap_err().kind, ErrorKind::Unavailable);
    let host = world.host_without_database(json!({})).await;
    let refused = call(&host, request()).await.unwrap_err();
    assert_eq!(
        refused.message,
        "nobody can be called while the public address of this host is not known: set PUBLIC_BASE_URL"
    );
    assert!(world.state().placed.is_empty());
}

//! The right to carry a call's audio is given once, and used once, for its call; and what a conversation in real time keeps.

use plugin_api::{
    error::ErrorKind,
    jiff::Timestamp,
    message,
    plugin::NoSettings,
    prelude::*,
    protocol::CallHeader,
    requests::{
        memory::Speaker,
        voice::{CallPerson, MediaReport},
    },
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use super::setup::{ADA, CALL, Instance, Phone, World, action, attribute, lines, shown, spoken, wait};
use crate::{
    call::{Entry, Ledger as _, Next},
    journal::Journal,
    store::Written,
};

/// A conversation in real time, as the ledger meets it.
pub struct Talker(Journal);

#[message]
struct Redeem {
    call: String,
    token: String,
}

impl Plugin for Talker {
    type Settings = NoSettings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::service("voice_assistant")
            .wants("database")
            .operation(Operation::new("redeem", Self::redeem))
            .operation(Operation::new("talk", Self::talk))
            .operation(Operation::new("transfer", Self::transfer))
            .operation(Operation::new("end", Self::end))
            .operation(Operation::new("flush", Self::flush))
    }

    fn create(_: NoSettings, context: Context) -> Result<Self, Failure> {
        Ok(Self(Journal::new(context)))
    }
}

impl Talker {
    async fn redeem(self: Arc<Self>, request: Redeem, _: Call) -> Result<Value, OperationError> {
        let brief = self.0.redeem(&request.call, "MZ1", &request.token).await?;
        Ok(json!([brief.call, brief.number, brief.person, brief.on_behalf(), brief.opening]))
    }

    async fn talk(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        let said =
            |speaker, text: &str, interrupted| Entry::Said { speaker, text: text.to_owned(), interrupted };
        for entry in [
            said(Speaker::Person, "what time is it?", false),
            Entry::Tool {
                tool: "clock.now".to_owned(),
                arguments: "{}".to_owned(),
                result: "noon".to_owned(),
                ok: true,
                took_ms: 7,
            },
            Entry::FirstAudio { after_ms: 420 },
            said(Speaker::Assistant, "It is", true),
            Entry::Interruption { after_ms: 90 },
            Entry::Reconnected { reason: "the session is an hour old".to_owned() },
            Entry::Media(MediaReport { reason: "the caller hung up".to_owned(), ..MediaReport::default() }),
        ] {
            self.0.record(CALL, entry).await;
        }
        Ok(())
    }

    async fn transfer(self: Arc<Self>, to: String, _: Call) -> Result<(), OperationError> {
        self.0.decide(CALL, Next::Transfer { to }).await;
        Ok(())
    }

    async fn flush(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        self.0.flush().await;
        Ok(())
    }

    /// The host hears that the call is over.
    async fn end(self: Arc<Self>, _: Empty, _: Call) -> Result<(), OperationError> {
        let (call, outcome) = (CALL.to_owned(), "the other side hung up".to_owned());
        self.0.write(vec![Written::Ended { call, outcome, at_ms: Timestamp::now().as_millisecond() }]).await;
        Ok(())
    }
}

pub fn talker(world: &World) -> TestInstance<Talker> {
    world.with_database(TestPlugin::<Talker>::new(json!({}))).create().unwrap()
}

/// A world with the bridge, a host, and the token of Ada's call.
pub async fn realtime(settings: Value) -> (World, Instance, String) {
    realtime_with(Phone::ada(), settings).await
}

async fn realtime_with(phone: Phone, settings: Value) -> (World, Instance, String) {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let host = world.host_with(settings).await;
    let token = attribute(&phone.ring(&host).await, "value").unwrap();
    (world, host, token)
}

pub async fn redeem(
    talker: &TestInstance<Talker>,
    call: &str,
    token: &str,
) -> Result<Value, (ErrorKind, String)> {
    let redeemed = talker.call_json("redeem", json!({ "call": call, "token": token })).await;
    redeemed.map_err(|error| (error.kind, error.message))
}

fn denied(why: &str) -> Result<Value, (ErrorKind, String)> {
    Err((ErrorKind::Denied, why.to_owned()))
}

/// What the memory is told of a talk.
const TALK: [&str; 2] = ["voice person: what time is it?", "voice assistant: it is"];

#[tokio::test]
async fn who_carries_a_call_of_ours_is_told_how_it_begins() {
    let world = World::default();
    world.state().connected.insert("realtime_call_bridge");
    let host = world.host().await;
    let header = CallHeader { person: Some(ADA.to_owned()), ..CallHeader::default() };
    let opening = Some("Hello, this is Max.".to_owned());
    let order =
        CallPerson { objective: "Ask.".to_owned(), opening: opening.clone(), ..CallPerson::default() };
    host.call_with(header, order).await.unwrap();
    let url = world.state().placed[0].1.url.clone().unwrap();
    let (_, order) = url.split_once('?').unwrap();
    let outbound = [("Direction", "outbound-api"), ("To", ADA)];
    let twiml = Phone::ada().post(&host, &format!("?{order}"), &outbound).await;
    let token = attribute(&twiml, "value").unwrap();
    let talker = talker(&world);
    let brief = redeem(&talker, CALL, &token).await.unwrap();
    assert_eq!(brief[4], json!(opening));
    let told = talker.troubles();
    assert!(
        told.iter().any(|told| told.key == "media" && told.cleared),
        "the call's audio arrived: {told:?}"
    );
}

#[tokio::test]
async fn a_webhook_that_is_played_again_gets_no_second_token() {
    let (world, host, _) = realtime(json!({})).await;
    let other = world.host().await;
    for host in [&host, &other] {
        // Also where nobody remembers the webhook.
        world.state().claimed.clear();
        for _ in 0..2 {
            let twiml = Phone::ada().ring(host).await;
            assert_eq!(attribute(&twiml, "value"), None);
            assert_eq!(spoken(&twiml), ["Hello! How can I help you?"]);
        }
    }
    let minted = world.database.number("select count(*) from voice_assistant_calls where token_hash <> ''");
    assert_eq!(minted, 1);
}

#[tokio::test]
async fn a_token_is_good_once_and_for_its_call() {
    let (world, _host, token) = realtime(json!({})).await;
    let (one, other) = (talker(&world), talker(&world));
    assert_eq!(redeem(&one, "CA2", &token).await, denied("the token is not one of this call"));
    assert_eq!(redeem(&one, CALL, "guess").await, denied("the token is not one of this call"));
    assert_eq!(redeem(&one, CALL, "").await, denied("the token is not one of this call"));
    assert_eq!(redeem(&other, CALL, &token).await, Ok(json!([CALL, ADA, ADA, ADA, null])));
    assert_eq!(redeem(&one, CALL, &token).await, denied("the token was used before"));
}

#[tokio::test]
async fn two_hosts_cannot_both_use_it() {
    let (world, _host, token) = realtime(json!({})).await;
    let talkers: Vec<_> = (0..8).map(|_| talker(&world)).collect();
    let mut uses = tokio::task::JoinSet::new();
    for talker in talkers {
        let token = token.clone();
        uses.spawn(async move { redeem(&talker, CALL, &token).await.is_ok() });
    }
    let good = uses.join_all().await.into_iter().filter(|good| *good).count();
    assert_eq!(good, 1);
}

#[tokio::test]
async fn it_expires_and_ends_with_the_call() {
    let (world, host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    world.database.run("update voice_assistant_calls set token_ms = 1");
    assert_eq!(redeem(&talker, CALL, &token).await, denied("the token has expired"));
    Phone::ada().post(&host, "/status", &[("CallStatus", "completed")]).await;
    assert_eq!(redeem(&talker, CALL, &token).await, denied("the call is over"));
}

#[tokio::test]
async fn without_the_database_nothing_is_given_and_nothing_redeemed() {
    let (world, host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    world.database.set_down(true);
    assert_eq!(redeem(&talker, CALL, &token).await.unwrap_err().0, ErrorKind::Unavailable);
    let other = Phone { call: "CA2".to_owned(), ..Phone::ada() };
    assert_eq!(attribute(&other.ring(&host).await, "value"), None, "it is answered turn by turn");
    world.database.set_down(false);
    assert!(redeem(&talker, CALL, &token).await.is_ok());
}

#[tokio::test]
async fn what_happens_in_real_time_is_kept_in_order() {
    let (world, host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    talker.call_json("talk", json!({})).await.unwrap();
    let expected = [
        "(the media stream MZ1 began)",
        "person: what time is it?",
        "clock.now: noon",
        "first audio 420",
        "assistant: it is",
        "interruption 90",
        "(taken up again: the session is an hour old)",
        "(the audio ended: the caller hung up; 0 ms received, 0 ms lost, 0 ms sent, 0 ms of it not heard, 0 pieces \
         too late)",
    ];
    assert_eq!(lines(&host).await, expected);
    assert!(world.said(ADA).is_empty(), "the conversation gives its words to the memory itself");
}

#[tokio::test]
async fn the_conversation_decides_how_the_call_goes_on() {
    let settings = json!({ "transfer": { "reception": "+15550000005" } });
    let (world, host, token) = realtime(settings).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    talker.call_json("transfer", json!("reception")).await.unwrap();
    let twiml = Phone::ada().post(&host, "/stream-ended", &[]).await;
    assert!(twiml.contains("<Number>+15550000005</Number>"), "{twiml}");
    assert!(action(&twiml).starts_with("/dial-ended"), "{twiml}");
    assert_eq!(shown(&host).await.call.outcome.as_deref(), Some("transferred to reception"));
}

#[tokio::test]
async fn nobody_is_dialled_whom_the_settings_do_not_allow() {
    let (world, host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    talker.call_json("transfer", json!("+19005550000")).await.unwrap();
    let ada = Phone::ada();
    let twiml = ada.post(&host, "/stream-ended", &[]).await;
    assert_eq!(spoken(&twiml), ["I am sorry, nobody answers there."]);
    assert_eq!(spoken(&ada.say(&host, &twiml, "well then").await), ["re: well then"], "and it goes on");
}

#[tokio::test]
async fn what_was_heard_in_real_time_is_remembered_once() {
    let (world, _host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    talker.call_json("talk", json!({})).await.unwrap();
    wait(|| async { world.said(ADA) }, |said| *said == TALK).await;
    let waiting = "select count(*) from voice_assistant_entries where is_remembered = 0";
    wait(|| async { world.database.number(waiting) }, |waiting| *waiting == 0).await;
    assert_eq!(world.said(ADA), TALK);
}

/// The transcription comes after Twilio has told that the call is over.
#[tokio::test]
async fn the_last_words_of_a_call_are_remembered_too() {
    let (world, _host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    talker.call_json("end", json!({})).await.unwrap();
    talker.call_json("talk", json!({})).await.unwrap();
    wait(|| async { world.said(ADA) }, |said| *said == TALK).await;
}

#[tokio::test]
async fn the_last_words_of_nobody_known_are_nobodys_memory() {
    let (world, host, token) = realtime_with(Phone { person: None, ..Phone::ada() }, json!({})).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    talker.call_json("end", json!({})).await.unwrap();
    talker.call_json("talk", json!({})).await.unwrap();
    drop(host);
    // At its first look a host tidies up.
    let _other = world.host().await;
    let waiting = "select count(*) from voice_assistant_entries where is_remembered = 0";
    wait(|| async { world.database.number(waiting) }, |waiting| *waiting == 0).await;
    assert!(world.state().turns.is_empty());
}

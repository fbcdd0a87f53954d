//! What waited while the database was away: it is written in the end, nobody on the phone waits for it, and what is lost is
//! said so.

use plugin_api::{error::ErrorKind, serde_json::json, tokio};

use super::{
    setup::{CALL, Instance, LEFT, OWNER, Phone, World, away, wait},
    tokens::{realtime, redeem, talker},
};

const ENTRIES: &str = "select count(*) from voice_assistant_entries";

#[tokio::test]
async fn a_database_that_is_far_away_takes_it_in_small_steps() {
    let world = World::default();
    let (host, ada) = (world.host().await, Phone::ada());
    world.database.set_down(true);
    let mut twiml = ada.ring(&host).await;
    for _ in 0..8 {
        twiml = ada.say(&host, &twiml, "hello").await;
    }
    world.state().statements_in_time = 16;
    world.database.set_down(false);
    wait(|| async { world.database.number(ENTRIES) }, |kept| *kept == 17).await;
}

#[tokio::test]
async fn nobody_on_the_phone_waits_until_it_is_written() {
    let (world, _host, token) = realtime(json!({})).await;
    let talker = talker(&world);
    redeem(&talker, CALL, &token).await.unwrap();
    world.database.set_down(true);
    for _ in 0..20 {
        talker.call_json("talk", json!({})).await.unwrap();
    }
    world.database.set_down(false);
    // Until the database is asked again.
    let asked = || async { redeem(&talker, CALL, "guess").await.unwrap_err().0 };
    wait(asked, |refused| *refused == ErrorKind::Denied).await;
    let kept = world.database.number(ENTRIES);
    talker.call_json("talk", json!({})).await.unwrap();
    assert_eq!(world.database.number(ENTRIES), kept, "it is left to the background");
    talker.call_json("flush", json!({})).await.unwrap();
    assert_eq!(world.database.number(ENTRIES), kept + 21 * 7);
}

#[tokio::test]
async fn what_a_host_takes_with_it_is_logged() {
    let world = World::default();
    let host = world.host().await;
    Phone::ada().ring(&host).await;
    world.database.set_down(true);
    Phone::bob().ring(&host).await;
    host.stop().await.unwrap();
    let expected = "the host ends while the database is away: what happened in calls is lost";
    assert_eq!(lost(&host), [(expected.to_owned(), 3)]);
    let settings = json!({ "owner_number": OWNER });
    let host = world.host_without_database(settings).await;
    world.state().twilio = Some(away());
    Phone::ada().post(&host, "/voicemail", &LEFT).await;
    host.stop().await.unwrap();
    let expected = "the host ends, and nobody was told of messages that were left";
    assert_eq!(lost(&host), [(expected.to_owned(), 1)]);
}

/// What was said to be lost, and how much of it.
fn lost(host: &Instance) -> Vec<(String, u64)> {
    let logs = host.logs().into_iter();
    logs.filter_map(|log| Some((log.message, log.fields.get("lost")?.as_u64()?))).collect()
}

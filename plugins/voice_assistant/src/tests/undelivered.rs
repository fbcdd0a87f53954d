//! The owner's notice that Twilio took and no carrier delivered is as good as none.

use plugin_api::{
    jiff::Timestamp, lease::NEVER, requests::twilio_service::NotDelivered, serde_json::json, tokio,
};

use super::setup::{Instance, LEFT, OWNER, Phone, World, shown, wait};

const DUE: &str = "update voice_assistant_recordings set retry_ms = 1";

/// The same was said of many messages of others before, and Twilio tells everything twice.
fn report(world: &World, sid: &str) {
    let report = |sid: &str| NotDelivered {
        sid: sid.to_owned(),
        error_code: Some(30006),
        why: "the number is a landline".to_owned(),
        advice: "Call them".to_owned(),
        at_ms: Timestamp::now().as_millisecond(),
    };
    let others = (0..200).map(|number| report(&format!("SMother{number}")));
    let reports = others.chain([report(sid), report(sid)]).collect();
    world.state().undelivered = reports;
}

/// What the trouble says; `None` if it is over, or nothing was said of it.
fn trouble(host: &Instance) -> Option<String> {
    let told = host.troubles().into_iter().rfind(|told| told.key == "voicemail_notices")?;
    told.message.filter(|_| !told.cleared)
}

#[tokio::test]
async fn it_is_kept_shown_and_told_again_later() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "owner_number": OWNER })).await, Phone::ada());
    ada.ring(&host).await;
    ada.post(&host, "/voicemail", &LEFT).await;
    let told_by = |sid: &str| {
        let told = format!(
            "select count(*) from voice_assistant_recordings where told_by = '{sid}' and is_announced = 1"
        );
        let database = world.database.clone();
        move || {
            let (database, told) = (database.clone(), told.clone());
            async move { database.number(&told) }
        }
    };
    wait(told_by("SM1"), |told| *told == 1).await;
    report(&world, "SM1");
    let expected = "nobody could be told of a message that was left: the SMS was not delivered: the number is a landline";
    let why = wait(|| async { trouble(&host) }, Option::is_some).await;
    assert_eq!(why.as_deref(), Some(expected));
    let asked = world.database.asked("told_by in") + world.database.asked("where told_by");
    assert!(asked < 100, "{asked} questions about 200 reports");
    let shown = shown(&host).await.recordings[0].not_announced.clone();
    assert_eq!(shown.as_deref(), Some("the SMS was not delivered: the number is a landline"));
    let again = world.database.number("select retry_ms from voice_assistant_recordings");
    assert!(
        again > Timestamp::now().as_millisecond() + 50 * 60 * 1000,
        "not at once: it would be paid for in vain"
    );
    assert_eq!(world.state().sent.len(), 1);
    world.database.run(DUE);
    wait(told_by("SM2"), |told| *told == 1).await;
    wait(|| async { trouble(&host) }, Option::is_none).await;
    let keys: Vec<_> = world.state().sent.keys().cloned().collect();
    assert_eq!(keys, ["RE1", "RE1:SM1"], "the old key would be answered by what became of the first");
}

/// It would be paid for, in vain, for ever. Whoever restarts the plugin has mended something.
#[tokio::test]
async fn after_days_it_is_given_up_and_says_so_until_the_plugin_restarts() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "owner_number": OWNER })).await, Phone::ada());
    ada.ring(&host).await;
    ada.post(&host, "/voicemail", &LEFT).await;
    let announced =
        || async { world.database.number("select sum(is_announced) from voice_assistant_recordings") };
    wait(announced, |announced| *announced == 1).await;
    world.database.run("update voice_assistant_recordings set at_ms = at_ms - 345600000");
    report(&world, "SM1");
    let why = wait(|| async { trouble(&host) }, Option::is_some).await.unwrap_or_default();
    let expected =
        "the SMS was not delivered: the number is a landline; it is not sent again until the plugin restarts";
    assert_eq!(why, format!("nobody could be told of a message that was left: {expected}"));
    assert_eq!(shown(&host).await.recordings[0].not_announced.as_deref(), Some(expected));
    let retry_ms = world.database.number("select retry_ms from voice_assistant_recordings");
    assert_eq!((retry_ms, world.state().sent.len()), (NEVER, 1));
    drop(host);
    let _next = world.host_with(json!({ "owner_number": OWNER })).await;
    wait(|| async { world.state().sent.len() }, |sent| *sent == 2).await;
}

#[tokio::test]
async fn another_host_learns_of_it_and_mending_a_setting_tells_at_once() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "owner_number": OWNER })).await, Phone::ada());
    ada.ring(&host).await;
    ada.post(&host, "/voicemail", &LEFT).await;
    let announced =
        || async { world.database.number("select sum(is_announced) from voice_assistant_recordings") };
    wait(announced, |announced| *announced == 1).await;
    host.stop().await.unwrap();
    report(&world, "SM1");
    // Which host hears of it does not matter; the first look of an instance comes after its first try of what was refused.
    let other = world.host_with(json!({ "owner_number": OWNER })).await;
    wait(|| async { trouble(&other) }, Option::is_some).await;
    drop(other);
    let _mended = world.host_with(json!({ "owner_number": OWNER })).await;
    wait(|| async { world.state().sent.len() }, |sent| *sent == 2).await;
}

#[tokio::test]
async fn without_any_database_it_is_told_as_a_trouble() {
    let world = World::default();
    let host = world.host_without_database(json!({ "owner_number": OWNER })).await;
    Phone::ada().ring(&host).await;
    Phone::ada().post(&host, "/voicemail", &LEFT).await;
    wait(|| async { world.state().sent.len() }, |sent| *sent == 1).await;
    report(&world, "SM1");
    wait(|| async { trouble(&host) }, Option::is_some).await;
    assert_eq!(world.state().sent.len(), 1, "it is sent again later");
}

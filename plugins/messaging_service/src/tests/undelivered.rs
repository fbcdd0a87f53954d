//! A message that Twilio took and no carrier delivered is told once, marked for the assistant, and sent again as another.

use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::{
        messaging::{ListUnprocessed, Retry, Send, SendState},
        twilio_service::NotDelivered,
    },
    tokio,
};

use super::setup::{ADA, Instance, World, away, text, wait};

fn report(sid: &str) -> NotDelivered {
    NotDelivered {
        sid: sid.to_owned(),
        error_code: Some(30007),
        why: "carriers filter them as unwanted (Twilio 30007)".to_owned(),
        advice: "See what carriers permit".to_owned(),
        at_ms: super::setup::now_ms(),
    }
}

#[tokio::test]
async fn the_assistant_knows_what_the_person_never_got() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    world.settles(&host).await;
    // One that is not ours, and ours twice.
    world.state().undelivered = vec![report("SMother"), report("SMout0"), report("SMout0")];
    world.wait_for_failed(&host, 1).await;
    text(&host, ADA, "SM2", "are you there?").await;
    world.wait_for_texts(&host, &["re: hello", "re: are you there?"]).await;
    let run = world.state().runs.last().expect("it was asked").1.clone();
    let said: Vec<_> = run.history.iter().map(|utterance| utterance.text.as_str()).collect();
    assert_eq!(said, ["hello", "[this message did not reach the person] re: hello"]);
}

#[tokio::test]
async fn whoever_asks_again_by_the_same_key_learns_it_and_another_try_is_another_message() {
    let world = World::default();
    let host = world.host().await;
    let header = CallHeader { idempotency_key: Some("k".to_owned()), ..CallHeader::default() };
    let send = || Send { to: Some(ADA.to_owned()), text: "your code is 7".to_owned(), ..Send::default() };
    let sent = host.call_with(header.clone(), send()).await.unwrap();
    assert_eq!(sent.state, SendState::Sent);
    world.settles(&host).await;
    world.state().undelivered = vec![report("SMout0")];
    world.wait_for_failed(&host, 1).await;
    let told = host.call_with(header.clone(), send()).await.unwrap_err();
    assert_eq!(told.kind, ErrorKind::Denied);
    assert_eq!(told.message, "not delivered: carriers filter them as unwanted (Twilio 30007)");
    host.call(Retry { id: sent.id }).await.unwrap();
    world.wait_for_texts(&host, &["your code is 7", "your code is 7"]).await;
    let keys: Vec<_> = world.state().sent.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys[1], format!("{}:1", keys[0]), "it is no repeat of the first");
    assert_eq!(host.call_with(header, send()).await.unwrap().state, SendState::Sent);
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Sends one text to Ada, which becomes `SMout0`, and is remembered.
async fn send_code(world: &World, host: &Instance) -> String {
    let send = Send { to: Some(ADA.to_owned()), text: "your code is 7".to_owned(), ..Send::default() };
    let sent = host.call(send).await.unwrap();
    world.settles(host).await;
    assert_eq!(world.said(ADA), ["sms assistant: your code is 7"]);
    sent.id
}

/// As if all of it had been so many days ago.
fn age(world: &World, days: i64) {
    let by = days * DAY_MS;
    for table in ["inbox", "outbox"] {
        let set =
            format!("update messaging_service_{table} set at_ms = at_ms - {by}, since_ms = since_ms - {by}");
        world.database.run(&set);
    }
}

#[tokio::test]
async fn it_is_sent_again_while_the_memory_is_away() {
    let world = World::default();
    let host = world.host().await;
    let id = send_code(&world, &host).await;
    world.state().memory = Some(away());
    world.state().undelivered = vec![report("SMout0")];
    world.wait_for_failed(&host, 1).await;
    let shown = host.call(ListUnprocessed::default()).await.unwrap();
    assert_eq!(shown.messages[0].text, "your code is 7");
    host.call(Retry { id }).await.unwrap();
    let place = std::panic::Location::caller();
    wait(place, || async { world.texts() }, |texts| texts.len() == 2).await;
    assert_eq!(world.texts(), ["your code is 7", "your code is 7"]);
}

#[tokio::test]
async fn texts_are_kept_as_long_as_they_may_be_needed() {
    let world = World::default();
    let host = world.host().await;
    send_code(&world, &host).await;
    for (days, is_kept) in [(7, true), (2, false)] {
        age(&world, days);
        // What is old is forgotten when a host starts; a marker shows when.
        world.database.run(
            "insert into messaging_service_inbox
            select 'SMold', '+1', 0, 1, 'sms', '', 0, '', '[]', '', 'answered', 0, 0, '', '', 1, 1, 0, 1, 0, ''",
        );
        let _other = world.host().await;
        let place = std::panic::Location::caller();
        let left = async || world.database.number("select count(*) from messaging_service_inbox");
        wait(place, left, |left| *left == 0).await;
        let emptied =
            async || world.database.number("select count(*) from messaging_service_outbox where body = ''");
        if is_kept {
            assert_eq!(emptied().await, 0, "a report may still come");
        } else {
            wait(place, emptied, |emptied| *emptied == 1).await;
        }
    }
}

#[tokio::test]
async fn what_was_given_up_long_ago_is_forgotten() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    world.database.run("update messaging_service_inbox set state = 'failed'");
    let copy = |state: &str| {
        let columns = "part, person, seq, channel, fingerprint, body, media";
        let more = "attempts, sid, error, kind, remembered, at_ms, since_ms, next_ms";
        world.database.run(&format!(
            "insert into messaging_service_outbox (message, state, {columns}, {more})
            select '{state}', '{state}', {columns}, {more} from messaging_service_outbox where state = 'sent'"
        ));
    };
    ["failed", "undelivered", "unknown"].into_iter().for_each(copy);
    age(&world, 89);
    let place = std::panic::Location::caller();
    let left = async || {
        let count =
            |table: &str| world.database.number(&format!("select count(*) from messaging_service_{table}"));
        (count("inbox"), count("outbox"))
    };
    // One more that is old enough shows when the others were looked at.
    world.database.run("update messaging_service_outbox set at_ms = 1, since_ms = 1 where state = 'sent'");
    let _other = world.host().await;
    wait(place, left, |left| *left == (1, 3)).await;
    // One that a person tried again lately is not forgotten.
    age(&world, 2);
    world.database.run(&format!(
        "update messaging_service_outbox set since_ms = {} where message = 'unknown'",
        super::setup::now_ms()
    ));
    let _another = world.host().await;
    wait(place, left, |left| *left == (0, 1)).await;
}

#[tokio::test]
async fn of_many_reports_of_one_moment_none_is_lost() {
    let world = World::default();
    let host = world.host().await;
    send_code(&world, &host).await;
    let ours = report("SMout0");
    let others = (0..250).map(|number| NotDelivered { sid: format!("SMa{number:03}"), ..ours.clone() });
    world.state().undelivered = others.chain([ours.clone()]).collect();
    world.wait_for_failed(&host, 1).await;
    world.wait_for_looks().await;
    let warned = host.logs().into_iter().filter(|log| log.message.contains("was not delivered")).count();
    assert_eq!(warned, 1);
}

/// While the database is away, only reports that nobody knows yet are trouble.
#[tokio::test]
async fn reports_that_cannot_be_looked_for_are_told_in_the_log() {
    let world = World::default();
    let host = world.host().await;
    send_code(&world, &host).await;
    world.state().undelivered = vec![report("SMout0")];
    world.wait_for_failed(&host, 1).await;
    world.database.set_down(true);
    let complains = |words: &str| host.logs().iter().any(|log| log.message.contains(words));
    let unknown = "reports of undelivered messages cannot be read at the moment";
    world.wait_for_looks().await;
    assert!(!complains(unknown), "{:#?}", host.logs());
    world.state().undelivered.push(report("SMnew"));
    let place = std::panic::Location::caller();
    wait(place, async || complains(unknown), |complains| *complains).await;
}

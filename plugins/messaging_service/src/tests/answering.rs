//! A message is remembered and answered: by the assistant, who knows what was said before, or by a text of the settings.

use plugin_api::{
    origin::Origin,
    requests::{
        memory::Medium,
        messaging::{ListUnprocessed, UnprocessedMessage},
        orchestrator::{Quote, Run, RunReport, RunState},
        twilio_service::Channel,
    },
    serde_json::json,
    tokio,
};

use super::setup::{ADA, Instance, World, deliver, done, is_assistant, report, text, wait, whatsapp};

#[tokio::test]
async fn the_assistant_knows_what_was_said() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "I am Ada").await;
    text(&host, ADA, "SM2", "who am I?").await;
    world.wait_for_texts(&host, &["re: I am Ada", "re: who am I?"]).await;
    let state = world.state();
    let (person, second) = &state.runs[1];
    assert_eq!((person.as_str(), second.goal.as_str()), (ADA, "who am I?"));
    let history: Vec<_> = second.history.iter().map(|said| (said.by_assistant, said.text.as_str())).collect();
    assert_eq!(history, [(false, "I am Ada"), (true, "re: I am Ada")]);
    let instructions = second.instructions.as_deref().unwrap();
    assert!(instructions.starts_with("The person writes by SMS,"), "{instructions}");
    assert!(!instructions.contains("they met"), "what others said gives no instructions: {instructions}");
    assert_eq!(second.known, [Quote { origin: Origin::Memory, text: "they met".into() }]);
}

#[tokio::test]
async fn by_whatsapp_they_are_the_same_person() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "by SMS").await;
    whatsapp(&host, ADA, "SM2", "by WhatsApp").await;
    world.wait_for_texts(&host, &["re: by SMS", "re: by WhatsApp"]).await;
    let state = world.state();
    let ways: Vec<_> = state.sent.iter().map(|(_, sent)| (sent.channel, sent.to.as_deref())).collect();
    assert_eq!(ways, [(Channel::Sms, Some(ADA)), (Channel::Whatsapp, Some(ADA))]);
    let second = &state.turns[2].1;
    assert_eq!((second.medium, second.display_name.as_deref()), (Medium::Whatsapp, Some("Ada L.")));
    let sources: Vec<_> = state.turns.iter().map(|(_, turn)| turn.source.as_deref().unwrap()).collect();
    assert_eq!(sources, ["SM1", "SMout0", "SM2", "SMout1"]);
}

#[tokio::test]
async fn pictures_are_told_in_words_and_kept_as_links() {
    let world = World::default();
    let host = world.host().await;
    let form = [
        ("MessageSid", "MM1"),
        ("Body", ""),
        ("NumMedia", "1"),
        ("MediaUrl0", "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"),
        ("MediaContentType0", "image/png"),
    ];
    deliver(&host, ADA, &form).await.unwrap();
    let told =
        "[a picture, image/png: https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1]";
    world.wait_for_texts(&host, &[&format!("re: {told}")]).await;
    assert_eq!(world.state().turns[0].1.attachments[0].content_type, "image/png");
}

#[tokio::test]
async fn an_empty_message_is_noted() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", " ").await;
    text(&host, ADA, "SM2", "grüße 👋🏽").await;
    world.wait_for_texts(&host, &["re: grüße 👋🏽"]).await;
    assert_eq!(world.said(ADA).len(), 2);
}

#[tokio::test]
async fn a_long_answer_goes_in_parts_and_in_order() {
    let world = World::default();
    world.state().answer = |_| done(&"All work and no play. ".repeat(200));
    let host = world.host().await;
    text(&host, ADA, "SM1", "write").await;
    world.settles(&host).await;
    let state = world.state();
    assert_eq!(state.sent.len(), 3);
    let keys: Vec<_> = state.sent.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["SM1:answer:1", "SM1:answer:2", "SM1:answer:3"]);
    let said: String = state
        .turns
        .iter()
        .filter(|(_, turn)| is_assistant(turn))
        .map(|(_, turn)| turn.text.clone() + " ")
        .collect();
    assert_eq!(said.trim_end(), "All work and no play. ".repeat(200).trim_end());
}

#[tokio::test]
async fn an_empty_answer_is_none() {
    let world = World::default();
    world.state().answer = |_| done(" ");
    let host = world.host().await;
    text(&host, ADA, "SM1", "thanks").await;
    world.settles(&host).await;
    world.wait_for_texts(&host, &[]).await;
}

#[tokio::test]
async fn without_an_assistant_it_is_stored_and_acknowledged_if_so_set() {
    let world = World::default();
    let silent = world.host_alone(json!({})).await;
    text(&silent, ADA, "SM1", "hello").await;
    world.settles(&silent).await;
    assert_eq!((world.said(ADA), world.texts().len()), (vec!["sms person: hello".to_owned()], 0));
    silent.stop().await.unwrap();
    let polite = world.host_alone(json!({ "acknowledgement": "We got it." })).await;
    text(&polite, ADA, "SM2", "hello?").await;
    world.wait_for_texts(&polite, &["We got it."]).await;
}

/// A run that waits for somebody, or for long, lets those behind it go on.
#[tokio::test]
async fn a_run_that_waits_for_approval_holds_nobody_up() {
    let world = World::default();
    world.state().answer = |run: &Run| match run.goal.as_str() {
        "buy" => report(RunState::Waiting),
        goal => done(&format!("re: {goal}")),
    };
    let host = world.host_with(json!({ "waiting_text": "One moment." })).await;
    text(&host, ADA, "SM1", "buy").await;
    text(&host, ADA, "SM2", "and else?").await;
    let texts = || async { world.texts() };
    let place = std::panic::Location::caller();
    wait(place, texts, |texts| texts.len() == 2).await;
    assert_eq!(world.texts(), ["One moment.", "re: and else?"]);
    let open = host.call(ListUnprocessed::default()).await.unwrap();
    let [waiting] = &open.messages[..] else { panic!("{open:?}") };
    assert_eq!(
        (waiting.id.as_str(), waiting.state.as_str(), waiting.run.as_deref()),
        ("SM1", "following", Some("run-SM1:0"))
    );
    // The next host goes on where this one ends.
    host.stop().await.unwrap();
    drop(host);
    world.set_run("run-SM1:0", done("Bought."));
    let next = world.host().await;
    world.wait_for_texts(&next, &["One moment.", "re: and else?", "Bought."]).await;
}

#[tokio::test]
async fn a_run_that_goes_on_is_waited_for() {
    let world = World::default();
    world.state().answer = |run| match run.goal.as_str() {
        "think" => report(RunState::Running),
        goal => done(&format!("re: {goal}")),
    };
    let host = world.host().await;
    text(&host, ADA, "SM1", "think").await;
    text(&host, ADA, "SM2", "next").await;
    let place = std::panic::Location::caller();
    wait(place, || async { world.state().reports.len() }, |runs| *runs == 1).await;
    world.set_run("run-SM1:0", done("Thought."));
    world.wait_for_texts(&host, &["Thought.", "re: next"]).await;
}

#[tokio::test]
async fn a_run_that_fails_is_shown_and_tried_again_by_a_person() {
    let world = World::default();
    world.state().answer =
        |_| RunReport { error: Some("the model is confused".to_owned()), ..report(RunState::Failed) };
    let host = world.host_with(json!({ "failure_text": "Sorry." })).await;
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["Sorry."]).await;
    let failed =
        host.call(ListUnprocessed { failed_only: true, ..ListUnprocessed::default() }).await.unwrap();
    assert_eq!(failed.messages[0].error.as_deref(), Some("the model is confused"));
    assert_eq!((failed.messages[0].text.as_str(), failed.failed), ("hello", 1));
    world.state().answer = |_| done("Better now.");
    host.call(plugin_api::requests::messaging::Retry { id: "SM1".to_owned() }).await.unwrap();
    world.wait_for_texts(&host, &["Sorry.", "Better now."]).await;
    assert_eq!(world.state().reports.keys().collect::<Vec<_>>(), ["run-SM1:0", "run-SM1:1"]);
}

/// Another program that answers whatever it is sent would keep the assistant busy for ever.
#[tokio::test]
async fn a_person_is_answered_only_so_often_within_an_hour() {
    let world = World::default();
    let host = world.host_with(json!({ "answers_per_hour": 2, "failure_text": "Sorry." })).await;
    for sid in ["SM1", "SM2", "SM3"] {
        text(&host, ADA, sid, sid).await;
    }
    let failed = held(&host).await;
    world.wait_for_texts(&host, &["re: SM1", "re: SM2"]).await;
    assert!(world.said(ADA).contains(&"sms person: sm3".to_owned()), "it is remembered all the same");
    assert_eq!(
        failed.error.as_deref(),
        Some(
            "+15550000001 was answered 2 times within an hour, which is all that `answers_per_hour` allows: perhaps a \
             program writes there. `retry` answers this message"
        )
    );
    host.call(plugin_api::requests::messaging::Retry { id: "SM3".to_owned() }).await.unwrap();
    world.wait_for_texts(&host, &["re: SM1", "re: SM2", "re: SM3"]).await;
}

#[tokio::test]
async fn nor_is_everything_acknowledged() {
    let world = World::default();
    let host = world.host_alone(json!({ "answers_per_hour": 1, "acknowledgement": "We got it." })).await;
    for sid in ["SM1", "SM2"] {
        text(&host, ADA, sid, sid).await;
    }
    assert_eq!(held(&host).await.id, "SM2");
    world.wait_for_texts(&host, &["We got it."]).await;
}

/// The first message that is not answered by itself, once there is one.
#[track_caller]
fn held(host: &Instance) -> impl Future<Output = UnprocessedMessage> {
    let place = std::panic::Location::caller();
    let failed = || async {
        let list = ListUnprocessed { failed_only: true, ..ListUnprocessed::default() };
        host.call(list).await.unwrap().messages
    };
    async move { wait(place, failed, |failed| !failed.is_empty()).await.remove(0) }
}

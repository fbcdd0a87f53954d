//! All of it, with a scripted model that judges as the real one does, and a bridge of the test's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_api::{
    error::{ErrorKind, OperationError},
    level::Level,
    requests::{
        host::{Away, NotInService},
        memory::Speaker,
        voice::{BridgeEvent, Session, SessionEvent},
    },
    serde_json::{Value, json},
    tokio,
};
use switchboard_tests::partners::realtime::{
    Answer, Script, Turn,
    ear::{silence, speech},
};

use super::world::{ADA, CODE, Caller, World, tool};
use crate::{
    call::{Entry, Next},
    session::core::calling::{CHECK_CODE, SEND_CODE},
};

fn hello() -> Turn {
    Turn::new("", [Answer::say("Hello, how can I help you?", 1500)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_with_a_tool_is_held_and_written_down() {
    let script = Script::new([
        hello(),
        Turn::new(
            "What is on today?",
            [
                Answer::call("calendar-events", json!({ "day": "today" })),
                Answer::say("You meet Grace at noon.", 1500),
            ],
        ),
        Turn::new(
            "Thank you, goodbye.",
            [Answer { calls: Answer::call("hang_up", json!({})).calls, ..Answer::say("Goodbye.", 600) }],
        ),
    ]);
    let world = World::new(script).tool(tool("calendar.events"), |_| Ok(json!({ "noon": "Grace" })));
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.speaks(&[silence(400), speech(800), silence(700)].concat()).await;
    caller.hears(2).await;
    caller.speaks(&[speech(800), silence(700)].concat()).await;
    caller.hears(3).await;
    caller.until("the end", |event| matches!(event, SessionEvent::Finish {})).await;
    caller.hangs_up().await;
    let said = world.said();
    assert_eq!(
        said,
        [
            (Speaker::Assistant, "Hello, how can I help you?".to_owned(), false),
            (Speaker::Person, "What is on today?".to_owned(), false),
            (Speaker::Assistant, "You meet Grace at noon.".to_owned(), false),
            (Speaker::Person, "Thank you, goodbye.".to_owned(), false),
            (Speaker::Assistant, "Goodbye.".to_owned(), false),
        ]
    );
    assert_eq!(world.decisions(), [Next::hang_up()]);
    let calls = world.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0.person.as_deref(), Some("+15550001111"));
    let key = calls[0].0.idempotency_key.clone().expect("a key");
    assert!(key.starts_with("CA1:call_"), "{key}");
    assert_eq!(calls[0].1, json!({ "name": "calendar.events", "arguments": { "day": "today" } }));
    assert!(
        world
            .entries()
            .iter()
            .any(|entry| matches!(entry, Entry::Tool { tool, ok: true, .. } if tool == "calendar.events"))
    );
    assert!(matches!(world.entries().last(), Some(Entry::Media(_))));
    assert_eq!(world.faults(), [] as [Value; 0]);
    let update = world.heard("session.update").remove(0);
    let instructions = update["session"]["instructions"].as_str().expect("words");
    assert!(instructions.contains("Ada is a pilot."), "{instructions}");
    let names: Vec<&str> = update["session"]["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["calendar-events", "hang_up", "transfer_call"]);
}

/// Whoever can merely be heard is nobody; a code by SMS makes them who their number says, from the next pause on.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_proves_who_they_are_and_is_known_from_then_on() {
    let check = |code: &str| Answer::call(CHECK_CODE, json!({ "code": code }));
    let script = Script::new([
        hello(),
        Turn::new(
            "Read me my mail.",
            [Answer::call(SEND_CODE, json!({})), Answer::say("I sent a code.", 400)],
        ),
        Turn::new("One two.", [check("12"), Answer::say("That is another one.", 400)]),
        Turn::new("It is 123456.", [check(CODE), Answer::say("Thank you, Ada.", 400)]),
        Turn::new("Read it.", [Answer::call("mail-read", json!({})), Answer::say("You won.", 400)]),
    ]);
    let world = World::new(script).tool(tool("mail.read"), |_| Ok(json!("You won.")));
    let host = world.start(json!({}));
    let mut caller = Caller::connect_with(&host, "shown").await;
    caller.hears(1).await;
    for utterance in 2..=4 {
        caller.speaks(&[speech(400), silence(700)].concat()).await;
        caller.hears(utterance).await;
    }
    let (tools, instructions) = begun_with(&world);
    assert!(tools.contains(&SEND_CODE.to_owned()) && tools.contains(&CHECK_CODE.to_owned()), "{tools:?}");
    assert!(!instructions.contains("Ada is a pilot."), "{instructions}");
    world.until("a new connection", |world| world.heard("session.update").len() > 1).await;
    let renewed = world.heard("session.update").remove(1);
    let told = renewed["session"]["instructions"].as_str().expect("words");
    assert!(told.contains("Ada is a pilot.") && !told.contains(SEND_CODE), "{told}");
    caller.speaks(&[speech(400), silence(700)].concat()).await;
    caller.hears(5).await;
    caller.hangs_up().await;
    let calls = world.calls();
    assert_eq!((calls.len(), calls[0].0.person.as_deref()), (1, Some(ADA)), "{calls:?}");
    assert_eq!(calls[0].0.level, Some(Level::Attested));
    assert_eq!(world.faults(), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_interrupts_has_heard_what_they_heard_and_no_fault_is_made() {
    let long = "one two three four five six seven eight nine ten";
    let script = Script::new([
        Turn::new("", [Answer::say(long, 10_000)]),
        Turn::new("Stop!", [Answer::say("Yes?", 400)]),
    ]);
    let world = World::new(script);
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.until_audio(1, 10_000).await;
    caller.speaks(&[speech(400), silence(700)].concat()).await;
    let interrupt =
        caller.until("the interrupt", |event| matches!(event, SessionEvent::Interrupt { .. })).await;
    assert_eq!(interrupt, SessionEvent::Interrupt { speech_at_ms: Some(0) });
    // The server ends the answer meanwhile.
    caller.until("its end", |event| matches!(event, SessionEvent::SpeechStopped { .. })).await;
    caller.heard_only(1, 3_100).await;
    caller.hears(2).await;
    caller.hangs_up().await;
    assert_eq!(
        world.said(),
        [
            (Speaker::Assistant, "one two three".to_owned(), true),
            (Speaker::Person, "Stop!".to_owned(), false),
            (Speaker::Assistant, "Yes?".to_owned(), false),
        ]
    );
    let truncations = world.heard("conversation.item.truncate");
    assert_eq!(truncations.len(), 1);
    assert_eq!(truncations[0]["audio_end_ms"], 3_100);
    assert_eq!(world.heard("response.cancel"), [] as [Value; 0], "the server had done so itself");
    assert_eq!(world.faults(), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_is_cut_off_is_left_out() {
    let long = "word ".repeat(5_000);
    let world = World::new(Script::new([hello(), Turn::new(&long, [Answer::say("Go on.", 400)])]));
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.speaks(&[speech(400), silence(700)].concat()).await;
    caller.hears(2).await;
    world.until("the warning", |_| format!("{:?}", host.logs()).contains("is cut off")).await;
    caller.hangs_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_last_is_written_down_however_soon_the_call_ends() {
    let script = Script::new([hello(), Turn::new("Yes, Tuesday is fine, bye.", [])]);
    let world = World::new(script);
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.speaks(&speech(800)).await;
    caller.until("speech", |event| matches!(event, SessionEvent::Interrupt { .. })).await;
    caller.speaks(&speech(400)).await;
    caller.hangs_up().await;
    let said = world.said();
    let last = (Speaker::Person, "Yes, Tuesday is fine, bye.".to_owned(), false);
    assert_eq!(said.last(), Some(&last), "{said:?}");
    assert_eq!(world.faults(), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_approval_becomes_a_run_and_the_caller_is_told() {
    let script = Script::new([Turn::new(
        "",
        [
            Answer::call("smtp-send_email", json!({ "to": "x@example.com" })),
            Answer::say("Somebody must allow that first.", 900),
        ],
    )]);
    let mut send = tool("smtp.send_email");
    send.needs_approval = true;
    let world = World::new(script).tool(send, |_| panic!("it is not called by the conversation"));
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.hangs_up().await;
    let runs = world.runs();
    assert_eq!(runs.len(), 1);
    let goal = runs[0].1["goal"].as_str().expect("a goal");
    assert!(goal.contains("`smtp.send_email`") && goal.contains("x@example.com"), "{goal}");
    assert_eq!(runs[0].1["origin"], "task", "a model wrote it");
    assert_eq!(runs[0].0.person.as_deref(), Some("+15550001111"));
    let outputs = world.heard("conversation.item.create");
    let output = outputs[0]["item"]["output"].as_str().expect("an output");
    assert!(
        output.contains("\nnot done yet: somebody must allow it first, and was asked (run run-1)."),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_had_again_in_the_middle_of_a_call() {
    let script = Script::new([hello(), Turn::new("Are you there?", [Answer::say("I am.", 500)])]);
    let world = World::new(script);
    let host = world.start(json!({ "reconnect_attempts": 20, "reconnect_time": "30s" }));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    world.refuse(true);
    world.cut();
    world.until("the cut", |world| world.open() == 0).await;
    caller.speaks(&[silence(300), speech(800), silence(700)].concat()).await;
    world.refuse(false);
    caller.hears(2).await;
    caller.hangs_up().await;
    assert_eq!(
        world.said()[1..],
        [
            (Speaker::Person, "Are you there?".to_owned(), false),
            (Speaker::Assistant, "I am.".to_owned(), false),
        ]
    );
    assert!(world.entries().iter().any(|entry| matches!(entry, Entry::Reconnected { .. })));
    let told = world.heard("conversation.item.create");
    assert_eq!(told[0]["item"]["content"][0]["text"], "Hello, how can I help you?");
    assert_eq!(world.faults(), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_before_its_end_and_nothing_is_noticed() {
    let script = Script::new([hello(), Turn::new("Still there?", [Answer::say("Of course.", 500)])]);
    let world = World::new(script);
    let host = world.start(json!({ "session_limit": "1500ms", "renewal_margin": "1s" }));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    world.until("a second connection", |world| world.connections() >= 2).await;
    world
        .until("the renewal", |world| {
            world
                .entries()
                .iter()
                .any(|entry| matches!(entry, Entry::Reconnected { reason } if reason.contains("renewed")))
        })
        .await;
    caller.speaks(&[silence(300), speech(800), silence(700)].concat()).await;
    caller.hears(2).await;
    caller.hangs_up().await;
    assert_eq!(world.said().last().map(|said| said.1.as_str()), Some("Of course."));
    assert_eq!(world.faults(), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_a_call_is_refused_and_goes_on_turn_by_turn() {
    let world = World::new(Script::default());
    world.refuse(true);
    let host = world.start(json!({}));
    let error = host.open("session", &Caller::session()).await.err().expect("it is refused");
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unavailable, "the model is away"));
    assert_eq!(world.decisions(), [Next::Turns { reason: "the model is away".to_owned() }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_goes_for_good_hands_the_call_over() {
    let world = World::new(Script::new([hello()]));
    let host = world.start(json!({ "reconnect_attempts": 2 }));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    world.refuse(true);
    world.cut();
    caller.until("the end", |event| matches!(event, SessionEvent::Finish {})).await;
    assert_eq!(world.decisions(), [Next::Turns { reason: "the model is away".to_owned() }]);
    caller.hangs_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_denied() {
    let world = World::new(Script::default());
    let host = world.start(json!({}));
    let request = Session { token: "wrong".into(), ..Caller::session() };
    assert_eq!(host.open("session", &request).await.err().map(|error| error.kind), Some(ErrorKind::Denied));
    assert_eq!(world.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ready_before_its_call_is_connected_and_not_for_ever() {
    let world = World::new(Script::new([hello()]));
    let host = world.start(json!({ "prepared_sessions": 1, "prepared_time": "300ms" }));
    let prepare = async |call: &str| host.call_json("prepare", json!(call)).await.expect("it is asked for");
    prepare("CA1").await;
    world.until("the connection", |world| world.connections() == 1).await;
    prepare("CA2").await;
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.hangs_up().await;
    assert_eq!(world.connections(), 1, "it was used, and there was no room for another");
    prepare("CA3").await;
    world.until("its end", |world| world.connections() == 2 && world.open() == 0).await;
    prepare("CA4").await;
    world.until("the connection", |world| world.connections() == 3).await;
    host.call_json("discard", json!("CA4")).await.expect("it is discarded");
    world.until("its end", |world| world.open() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_told_to_the_model() {
    let script = Script::new([hello(), Turn::new("", [Answer::say("You pressed four and two.", 800)])]);
    let world = World::new(script);
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    for digit in ['4', '2', '#'] {
        caller.tells(&BridgeEvent::Digit { digit }).await;
    }
    caller.hears(2).await;
    caller.hangs_up().await;
    let told = world.heard("conversation.item.create");
    assert_eq!(told[0]["item"]["content"][0]["text"], "[pressed on the keypad: 42#]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_goes_without_a_word_ends_it() {
    let world = World::new(Script::new([hello()]));
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    drop(caller);
    world
        .until("the end", |world| {
            matches!(world.entries().last(), Some(Entry::Media(_))) && world.open() == 0
        })
        .await;
}

fn away(away_ms: u64) -> Away {
    Away {
        plugin: "smtp".to_owned(),
        status: "initializing".to_owned(),
        message: None,
        away_ms,
        returns: true,
        tools: vec![tool("smtp.send_email")],
    }
}

/// Which tools the model was given, and its instructions.
fn begun_with(world: &World) -> (Vec<String>, String) {
    let update = world.heard("session.update").remove(0);
    let tools = update["session"]["tools"].as_array().expect("a list");
    let names = tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned());
    (names.collect(), update["session"]["instructions"].as_str().expect("words").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_begins_with_the_tools_of_a_plugin_that_comes_into_service() {
    let hiccup = OperationError::deadline("the host does not answer in time");
    let looks = [Ok(vec![away(0)]), Err(hiccup), Ok(Vec::new())];
    let world = World::new(Script::new([hello()])).looks(looks);
    let world = world.tool(tool("smtp.send_email"), |_| Ok(json!("sent")));
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.hangs_up().await;
    let (tools, instructions) = begun_with(&world);
    assert_eq!(tools, ["smtp-send_email", "hang_up", "transfer_call"]);
    assert!(!instructions.contains("out of service"), "{instructions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_does_not_wait_for_what_stays_away_and_the_model_knows() {
    let world = World::new(Script::new([hello()])).looks([Ok(vec![away(60_000)])]);
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.hangs_up().await;
    let (tools, instructions) = begun_with(&world);
    assert_eq!(tools, ["hang_up", "transfer_call"]);
    let notice = "out of service at the moment and cannot be called: `smtp-send_email`. ";
    assert!(instructions.contains(notice), "{instructions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_whose_plugin_is_being_restarted_is_called_when_it_is_back() {
    let answers = [Answer::call("calendar-events", json!({})), Answer::say("You meet Grace.", 900)];
    let tries = AtomicUsize::new(0);
    let world =
        World::new(Script::new([Turn::new("", answers)])).tool(tool("calendar.events"), move |_| match tries
            .fetch_add(1, Ordering::Relaxed)
        {
            0..2 => {
                let (plugin, status) = ("calendar".to_owned(), "initializing".to_owned());
                Err(NotInService { plugin, status }.into())
            }
            _ => Ok(json!("Grace")),
        });
    let host = world.start(json!({}));
    let mut caller = Caller::connect(&host).await;
    caller.hears(1).await;
    caller.hangs_up().await;
    let calls = world.calls();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|(header, _)| header.idempotency_key == calls[0].0.idempotency_key));
    assert!(
        world.entries().iter().any(|entry| matches!(entry, Entry::Tool { ok: true, .. })),
        "{:?}",
        world.entries()
    );
}

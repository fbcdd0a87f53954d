//! What a run does with answers as servers of many families give them: what they wrote beside goes back to them, what is no
//! whole answer is no answer, and what they say of a refusal is for operators.

use plugin_api::{
    prelude::*,
    protocol::CallHeader,
    requests::{
        openai::{Chat, ChatAnswer, FinishReason, Message, OpenAiTrouble, ToolCall, TroubleCode, Usage},
        orchestrator::{RunReport, RunState, ShowRun},
    },
    serde_json::{self, Map, Value, json},
    tokio,
};

use super::setup::{World, goal, on_behalf_of, says, turn, wants};

fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("it is an object")
}

/// A call of a harmless tool, with an id of the server and a signature.
fn signed(id: &str, signature: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "toolbox-look".to_owned(),
        arguments: r#"{"what":"x"}"#.to_owned(),
        extra: map(json!({ "extra_content": { "google": { "thought_signature": signature } } })),
    }
}

/// The ids of all calls in a chat, and whether each has its result.
fn ids(chat: &Chat) -> Vec<String> {
    let (mut ids, mut answered) = (Vec::new(), Vec::new());
    for message in &chat.messages {
        match message {
            Message::Assistant { tool_calls, .. } => {
                ids.extend(tool_calls.iter().map(|call| call.id.clone()))
            }
            Message::Tool { tool_call_id, .. } => answered.push(tool_call_id.clone()),
            _ => {}
        }
    }
    assert_eq!(ids, answered, "each call has its result");
    ids
}

#[tokio::test]
async fn what_the_server_wrote_beside_goes_back_as_it_came() {
    let world = World::new();
    let host = world
        .host(|chat| match turn(chat) {
            0 => Ok(ChatAnswer {
                tool_calls: vec![signed("abc123XYZ", "c2lnbmVk"), signed("abc123XYY", "YW5vdGhlcg==")],
                extra: map(json!({ "reasoning_content": "I should look." })),
                ..ChatAnswer::default()
            }),
            _ => says("done"),
        })
        .await;
    assert_eq!(host.call(goal("look")).await.unwrap().state, RunState::Done);
    let chats = world.seen.chats.lock().unwrap();
    let Message::Assistant { tool_calls, extra, .. } = &chats[1].messages[2] else { panic!("{chats:?}") };
    assert_eq!(*extra, map(json!({ "reasoning_content": "I should look." })));
    assert_eq!(*tool_calls, [signed("abc123XYZ", "c2lnbmVk"), signed("abc123XYY", "YW5vdGhlcg==")]);
}

#[tokio::test]
async fn it_goes_back_from_another_host_as_well() {
    let world = World::new();
    let first = world
        .host(|_| {
            Ok(ChatAnswer {
                tool_calls: vec![ToolCall {
                    name: "toolbox-spend".to_owned(),
                    ..signed("abc123XYZ", "c2ln")
                }],
                extra: map(json!({ "reasoning": "money" })),
                ..ChatAnswer::default()
            })
        })
        .await;
    let report = first.call(goal("spend")).await.unwrap();
    assert_eq!(report.state, RunState::Waiting);
    first.stop().await.unwrap();
    let second = world.host(|_| says("done")).await;
    super::setup::decide(&second, &report, true).await.unwrap();
    super::setup::wait_for(&second, &report.run, RunState::Done).await;
    let chats = world.seen.chats.lock().unwrap();
    let chat = chats.last().unwrap();
    assert_eq!(ids(chat), ["abc123XYZ"]);
    let sent = serde_json::to_string(chat).unwrap();
    assert!(sent.contains("c2ln") && sent.contains(r#""reasoning":"money""#), "{sent}");
}

#[tokio::test]
async fn an_id_that_is_used_twice_or_not_at_all_becomes_one_that_every_server_takes() {
    let world = World::new();
    let host = world
        .host(|chat| match turn(chat) {
            0 | 1 => Ok(ChatAnswer {
                tool_calls: vec![signed("call_0", "a"), signed("", "b")],
                ..ChatAnswer::default()
            }),
            _ => says("done"),
        })
        .await;
    host.call(goal("look")).await.unwrap();
    let ids = ids(world.seen.chats.lock().unwrap().last().unwrap());
    assert_eq!(ids, ["call_0", "s0001p001", "s0002p000", "s0002p001"]);
    let is_strict = |id: &String| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(ids[1..].iter().all(is_strict), "{ids:?}");
}

/// How a run ends whose model always answers so, and how often it was asked.
async fn ends(content: &'static str, reason: FinishReason) -> (RunReport, usize) {
    let world = World::new();
    let host = world.host(move |_| Ok(ChatAnswer { finish_reason: reason, ..says(content)? })).await;
    let report = host.call(goal("speak")).await.unwrap();
    let asked = world.seen.chats.lock().unwrap().len();
    (report, asked)
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_paid_for_again_and_again() {
    let (report, asked) = ends("", FinishReason::Length).await;
    let why = "the model's answer was cut off before it said anything: its thoughts took all the tokens that it may write";
    assert_eq!((report.state, report.error.as_deref(), asked), (RunState::Failed, Some(why), 1));
    let (report, asked) = ends("Once upon a", FinishReason::Length).await;
    let why = "the model's answer was cut off, and again when asked for fewer words";
    assert_eq!((report.state, report.error.as_deref(), asked), (RunState::Failed, Some(why), 2));
    assert_eq!(report.answer, None, "half a sentence is no answer");
    let (report, asked) = ends(" ", FinishReason::Stop).await;
    let why = "the model answered nothing, and nothing again when asked to answer";
    assert_eq!((report.state, report.error.as_deref(), asked), (RunState::Failed, Some(why), 3));
}

#[tokio::test]
async fn an_answer_that_was_cut_off_is_asked_for_in_fewer_words() {
    let world = World::new();
    let host = world
        .host(|chat| match turn(chat) {
            0 => Ok(ChatAnswer { finish_reason: FinishReason::Length, ..says("Once upon a")? }),
            _ => says("Once."),
        })
        .await;
    let report = host.call(goal("speak")).await.unwrap();
    assert_eq!((report.state, report.answer.as_deref()), (RunState::Done, Some("Once.")));
}

#[tokio::test]
async fn a_server_that_counts_nothing_is_counted_for() {
    let world = World::new();
    let host = world.host(|_| Ok(ChatAnswer { usage: Some(Usage::default()), ..says("done")? })).await;
    let report = host.call(goal("speak")).await.unwrap();
    assert!(report.usage.prompt_tokens > 10 && report.usage.completion_tokens > 0, "{:?}", report.usage);
}

#[tokio::test]
async fn what_the_server_says_of_a_refusal_is_for_operators_alone() {
    let world = World::new();
    let trouble = OpenAiTrouble {
        code: TroubleCode::InvalidRequest,
        http_status: Some(400),
        vendor_code: None,
        words: Some("missing thought_signature".to_owned()),
        refusal: None,
        usage: None,
    };
    let refused = OperationError::invalid("the server refuses the request (HTTP 400)");
    let refused = refused.details(serde_json::to_value(trouble).unwrap());
    let host = world
        .host(move |chat| {
            if turn(chat) == 0 { wants(&[("toolbox-look", r#"{"what":"x"}"#)]) } else { Err(refused.clone()) }
        })
        .await;
    let ada = || on_behalf_of("ada");
    let report = host.call_with(ada(), goal("look")).await.unwrap();
    let why = "the model did not answer: the server refuses the request (HTTP 400)";
    assert_eq!((report.state, report.error.as_deref()), (RunState::Failed, Some(why)));
    let show = || ShowRun { run: report.run.clone() };
    let shown = host.call(show()).await.unwrap();
    assert_eq!(shown.detail.as_deref(), Some("missing thought_signature"));
    let plugin = CallHeader { caller: Some("voice_assistant".into()), ..CallHeader::default() };
    for header in [ada(), plugin] {
        assert_eq!(host.call_with(header, show()).await.unwrap().detail, None);
    }
}

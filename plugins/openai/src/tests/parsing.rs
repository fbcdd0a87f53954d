//! Whatever a server sends, nothing here panics; and however an answer is cut into pieces, it is the same answer.

use plugin_api::{
    requests::openai::{ChatDelta, ToolCall},
    serde_json::{self, Value, json},
};
use proptest::prelude::*;

use crate::{
    answer::{self, Asked},
    assembly::Assembly,
    embedding::{Collection, batches},
    models,
    trouble::status::Refusal,
};

const ASKED: Asked<'static> = Asked { server: "server", model: "model", tools: &[] };

/// Any JSON, with the keys that are looked for.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,8}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "function",
        "index",
        "id",
        "name",
        "arguments",
        "usage",
        "prompt_tokens",
        "error",
        "code",
        "finish_reason",
        "refusal",
        "text",
        "data",
        "embedding",
        "model",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

/// A text in pieces, some of them empty.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for (place, letter) in text.chars().enumerate() {
        if cuts.contains(&place) {
            pieces.push(String::new());
        }
        pieces.last_mut().expect("there is one").push(letter);
    }
    pieces
}

proptest! {
    #[test]
    fn nothing_that_a_server_sends_makes_a_panic(events in prop::collection::vec(any_json(), 0..6)) {
        let mut assembly = Assembly::default();
        for event in &events {
            let _ = answer::read(event, ASKED);
            let _ = models::names(event);
            let _ = Refusal::of(event);
            let _ = Collection::default().take(&event.to_string(), 1, "server");
            if assembly.take(event, "server").is_err() {
                return Ok(());
            }
        }
        let _ = assembly.finish(ASKED);
    }

    #[test]
    fn no_bytes_make_a_refusal_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let code = Refusal::read(&body).code.unwrap_or_default();
        prop_assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte)));
    }

    #[test]
    fn an_answer_in_pieces_is_the_answer(
        text in "[^<\\[◁]{0,40}",
        arguments in prop::collection::vec(".{0,20}", 0..4),
        cuts in prop::collection::vec(0_usize..40, 0..8),
        numbered in any::<bool>(),
    ) {
        let mut events = Vec::new();
        let event = |delta: Value| json!({ "choices": [{ "delta": delta }] });
        events.extend(pieces(&text, &cuts).into_iter().map(|piece| event(json!({ "content": piece }))));
        for (index, arguments) in arguments.iter().enumerate() {
            let begin = json!({ "id": format!("call_{index}"), "function": { "name": "tool" } });
            let more = pieces(arguments, &cuts).into_iter().map(|piece| json!({ "function": { "arguments": piece } }));
            for mut call in [begin].into_iter().chain(more) {
                // Some servers give every call the same number.
                call["index"] = if numbered { json!(index) } else { json!(0) };
                events.push(event(json!({ "tool_calls": [call] })));
            }
        }
        events.push(json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] }));

        let mut assembly = Assembly::default();
        let mut words = String::new();
        for event in &events {
            for delta in assembly.take(event, "server").unwrap() {
                if let ChatDelta::Text { text } = delta {
                    words.push_str(&text);
                }
            }
        }
        let answer = assembly.finish(ASKED).unwrap();
        prop_assert_eq!(&words, &text);
        prop_assert_eq!(answer.content.unwrap_or_default(), text);
        let expected: Vec<ToolCall> = arguments.into_iter().enumerate().map(|(index, arguments)| {
            ToolCall { id: format!("call_{index}"), name: "tool".into(), arguments, ..ToolCall::default() }
        }).collect();
        prop_assert_eq!(answer.tool_calls, expected);
    }

    #[test]
    fn every_text_is_in_one_batch_and_in_order(
        lengths in prop::collection::vec(0_usize..200_000, 0..30),
        most in 1_usize..5,
    ) {
        let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let batches = batches(&texts, most);
        let order: Vec<usize> = batches.iter().cloned().flatten().collect();
        prop_assert_eq!(order, (0..texts.len()).collect::<Vec<_>>());
        for batch in batches {
            let bytes: usize = texts[batch.clone()].iter().map(String::len).sum();
            prop_assert!(!batch.is_empty() && batch.len() <= most && (bytes <= 300_000 || batch.len() == 1));
        }
    }

    #[test]
    fn vectors_come_in_the_order_of_their_numbers(order in Just((0..20_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let data: Vec<Value> =
            order.iter().map(|index| json!({ "index": index, "embedding": [*index as f32] })).collect();
        let mut collection = Collection::default();
        collection.take(&serde_json::to_string(&json!({ "data": data })).unwrap(), 20, "server").unwrap();
        let vectors = collection.finish("server", "model", None).unwrap().vectors;
        prop_assert_eq!(vectors, (0..20).map(|index| vec![index as f32]).collect::<Vec<_>>());
    }
}

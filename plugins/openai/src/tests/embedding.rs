//! Vectors: as many requests as the API takes, in the order of the texts.

use expect_test::expect;
use plugin_api::{
    requests::openai::Embed,
    serde_json::{Value, json},
    tokio,
};

use super::{
    peer::Peer,
    setup::{plugin, shown},
};
use crate::embedding::batches;

/// A server whose vectors hold the length of the text, and that answers in reverse order.
fn measures() -> Peer {
    Peer::start(|talk| {
        while let Some(asked) = talk.hear() {
            let body = asked.json();
            let texts = body["input"].as_array().unwrap();
            let size = body["dimensions"].as_u64().unwrap_or(2) as usize;
            let vector = |text: &Value| vec![text.as_str().unwrap().len() as f32; size];
            let mut data: Vec<Value> = (0..texts.len())
                .map(|index| json!({ "index": index, "embedding": vector(&texts[index]) }))
                .collect();
            data.reverse();
            talk.json(
                &json!({ "data": data, "model": "m", "usage": { "prompt_tokens": 2, "total_tokens": 2 } }),
            )?;
        }
        None
    })
}

#[tokio::test]
async fn texts_become_vectors_in_their_order_over_several_requests() {
    let peer = measures();
    let plugin = plugin(peer.port, json!({ "embedding_batch": 2 }));
    let answer = plugin.call(Embed::new(["a", "bb", "ccc", "dddd", "eeeee"])).await.unwrap();
    let firsts: Vec<f32> = answer.vectors.iter().map(|vector| vector[0]).collect();
    assert_eq!(firsts, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!((answer.dimensions, answer.model.as_str()), (2, "m"));
    assert_eq!(answer.usage.unwrap().total_tokens, 6, "of all requests together");
    let asked = peer.asked();
    let inputs: Vec<Value> = asked.iter().map(|asked| asked.json()["input"].clone()).collect();
    assert_eq!(inputs, [json!(["a", "bb"]), json!(["ccc", "dddd"]), json!(["eeeee"])]);
    assert_eq!(asked[0].line, "POST /v1/embeddings");
    assert_eq!(asked[0].json(), json!({ "model": "text-embedding-3-small", "input": ["a", "bb"] }));
}

#[tokio::test]
async fn model_and_dimensions_may_be_asked_for() {
    let peer = measures();
    let plugin = plugin(peer.port, json!({}));
    let request = Embed { model: Some("big".into()), dimensions: Some(4), ..Embed::new(["a"]) };
    assert_eq!(plugin.call(request).await.unwrap().vectors, [[1.0; 4]]);
    assert_eq!(peer.asked()[0].json(), json!({ "model": "big", "input": ["a"], "dimensions": 4 }));
}

#[tokio::test]
async fn nothing_is_asked_where_there_is_nothing_to_ask() {
    let peer = measures();
    let plugin = plugin(peer.port, json!({}));
    let answer = plugin.call(Embed::default()).await.unwrap();
    assert_eq!((answer.vectors.len(), answer.dimensions), (0, 0));
    let error = plugin.call(Embed::new(["a", ""])).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `texts[1]` is empty: an empty text has no meaning");
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn vectors_that_cannot_be_right_are_refused() {
    let failing = async |body: &str, request: Embed| {
        let peer = Peer::answering(200, &[], body);
        let error = plugin(peer.port, json!({})).call(request).await.unwrap_err();
        shown(&error, peer.port)
    };
    let one = r#"{"data":[{"index":0,"embedding":[1,2]}]}"#;
    expect!["internal protocol: `127.0.0.1:PORT` answers 1 vectors where 2 were asked for"]
        .assert_eq(&failing(one, Embed::new(["a", "b"])).await);
    let twice = r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}"#;
    expect!["internal protocol: `127.0.0.1:PORT` answers vectors that all have the same `index`, so that nobody knows which text each is of"]
        .assert_eq(&failing(twice, Embed::new(["a", "b"])).await);
    let base64 = r#"{"data":[{"index":0,"embedding":"AACAPwAAAEA="}]}"#;
    expect!["internal protocol: `127.0.0.1:PORT` answers vectors as base64, though numbers were asked for"]
        .assert_eq(&failing(base64, Embed::new(["a"])).await);
    let null = r#"{"data":[{"index":0,"embedding":[1,null]}]}"#;
    expect!["internal protocol: `127.0.0.1:PORT` answers vectors that hold `null` where a number belongs"]
        .assert_eq(&failing(null, Embed::new(["a"])).await);
    let unpooled = r#"{"data":[{"index":0,"embedding":[[1,2],[3,4]]}]}"#;
    expect!["internal protocol: `127.0.0.1:PORT` answers a vector for each token: the model pools none, and makes no vectors of whole texts"]
        .assert_eq(&failing(unpooled, Embed::new(["a"])).await);
    expect!["internal protocol: `127.0.0.1:PORT` answers vectors of 2 numbers where 3 were expected"]
        .assert_eq(&failing(one, Embed { dimensions: Some(3), ..Embed::new(["a"]) }).await);
    expect!["internal protocol: `127.0.0.1:PORT` answers something else than vectors"]
        .assert_eq(&failing(r#"{"data":"VENDOR"}"#, Embed::new(["a"])).await);
    let unequal = r#"{"data":[{"embedding":[1,2]},{"embedding":[1]}]}"#;
    expect!["internal protocol: `127.0.0.1:PORT` answers vectors of 1 numbers where 2 were expected"]
        .assert_eq(&failing(unequal, Embed::new(["a", "b"])).await);
}

#[tokio::test]
async fn a_server_that_numbers_nothing_is_understood() {
    let peer = Peer::answering(200, &[], r#"{"data":[{"embedding":[1]},{"embedding":[2]}]}"#);
    let answer = plugin(peer.port, json!({})).call(Embed::new(["a", "b"])).await.unwrap();
    assert_eq!(answer.vectors, [[1.0], [2.0]]);
    assert_eq!((answer.model.as_str(), answer.usage), ("text-embedding-3-small", None));
}

#[test]
fn no_request_is_larger_than_the_api_takes() {
    let long = "x".repeat(200_000);
    let texts = [long.as_str(), "a", long.as_str(), "b"].map(str::to_owned);
    assert_eq!(batches(&texts, 10), [0..2, 2..4]);
    let huge = ["x".repeat(400_000), "a".to_owned()];
    assert_eq!(batches(&huge, 10), [0..1, 1..2], "whether it is too long, the server says");
}

//! The plugin in-process, through the same code that stands at the boundary of its library.

use plugin_api::{
    prelude::*,
    requests::http::Body,
    serde_json::{Value, json, to_value},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use crate::Greeter;

fn plugin(settings: Value) -> Result<TestInstance<Greeter>, Failure> {
    TestPlugin::new(settings).create()
}

#[tokio::test]
async fn it_greets() {
    let plugin = plugin(json!({ "greeting": "Good morning" })).unwrap();
    plugin.init().await.unwrap();
    let greeting = plugin.call_json("greet", json!({ "name": "Ada" })).await.unwrap();
    assert_eq!(greeting, json!({ "text": "Good morning, Ada!" }));
}

#[tokio::test]
async fn nobody_is_not_greeted() {
    let error = plugin(json!({})).unwrap().call_json("greet", json!({ "name": " " })).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `name` is blank: say whom to greet");
}

#[tokio::test]
async fn the_page_takes_the_name_from_its_path() {
    let request = HttpRequest { params: [("name".into(), "Ada".into())].into(), ..HttpRequest::default() };
    let response = plugin(json!({})).unwrap().call_json("page", to_value(request).unwrap()).await.unwrap();
    assert_eq!(response["body"], to_value(Body::Text("Hello, Ada!".into())).unwrap());
}

#[test]
fn a_blank_greeting_is_refused() {
    let failure = plugin(json!({ "greeting": "" })).err().unwrap();
    assert_eq!((failure.code, failure.setting.as_deref()), (ReasonCode::ConfigInvalid, Some("greeting")));
}

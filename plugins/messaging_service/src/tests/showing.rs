//! What operators see, and what is shown to nobody else.

use plugin_api::{
    error::{ErrorKind, OperationError},
    protocol::CallHeader,
    requests::{
        http::{Body, HttpRequest, HttpResponse},
        messaging::{
            FetchAttachment, ListThreads, ListUnprocessed, Messages, ReadMessages, Retry, Send, SentText,
            Threads,
        },
        twilio_service::Channel,
    },
    serde_json::{self, json},
    tokio,
};

use super::setup::{ADA, BOB, World, route, text, whatsapp};
use crate::showing::message_of;

fn on_behalf_of(person: &str) -> CallHeader {
    CallHeader { person: Some(person.to_owned()), ..CallHeader::default() }
}

fn get(query: &str) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), query: query.to_owned(), ..HttpRequest::default() }
}

#[tokio::test]
async fn threads_are_listed_page_by_page() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    world.settles(&host).await;
    whatsapp(&host, BOB, "SM2", "hello").await;
    world.settles(&host).await;
    let page: Threads = route(&host, "route_threads", get("limit=1")).await.unwrap();
    assert_eq!(
        (page.threads[0].person.as_str(), page.threads[0].last_channel),
        (BOB, Some(Channel::Whatsapp))
    );
    assert!(page.threads[0].whatsapp_until_ms.is_some());
    let next = page.next.expect("there are more").replace('+', "%2B");
    let page: Threads = route(&host, "route_threads", get(&format!("limit=1&after={next}"))).await.unwrap();
    assert_eq!((page.threads[0].person.as_str(), page.next), (ADA, None));
    assert_eq!((page.threads[0].open, page.threads[0].failed), (0, 0));
}

#[tokio::test]
async fn a_thread_is_what_was_said_and_what_is_not_processed() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    let mut request = get("limit=10");
    request.params.insert("person".to_owned(), ADA.to_owned());
    let thread: Messages = route(&host, "route_thread", request).await.unwrap();
    let lines: Vec<_> =
        thread.messages.iter().map(|said| (said.inbound, said.text.as_str(), said.sid.as_deref())).collect();
    assert_eq!(lines, [(true, "hello", Some("SM1")), (false, "re: hello", Some("SMout0"))]);
    assert_eq!((thread.thread.person.as_str(), thread.unprocessed.len()), (ADA, 0));
}

#[tokio::test]
async fn nobody_reads_the_thread_of_another() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    text(&host, BOB, "SM2", "hello").await;
    world.settles(&host).await;
    let own = host.call_with(on_behalf_of(ADA), ReadMessages::default()).await.unwrap();
    assert_eq!(own.thread.person, ADA);
    let of_bob = ReadMessages { person: Some(BOB.to_owned()), ..ReadMessages::default() };
    let refused = host.call_with(on_behalf_of(ADA), of_bob).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    for refused in [
        host.call_with(on_behalf_of(ADA), ListThreads::default()).await.map(drop),
        host.call_with(on_behalf_of(ADA), ListUnprocessed::default()).await.map(drop),
        host.call_with(on_behalf_of(ADA), Retry { id: "SM1".to_owned() }).await,
    ] {
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Denied);
    }
}

#[tokio::test]
async fn only_what_failed_is_tried_again() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "SM1", "hello").await;
    world.wait_for_texts(&host, &["re: hello"]).await;
    let retry = |id: &str| host.call(Retry { id: id.to_owned() });
    let (done, unknown) = (retry("SM1").await.unwrap_err(), retry("SM9").await.unwrap_err());
    assert_eq!(
        (done.kind, done.message.as_str()),
        (ErrorKind::Conflict, "`SM1` has not failed, or nobody can be answered there")
    );
    assert_eq!((unknown.kind, unknown.message.as_str()), (ErrorKind::NotFound, "there is no message `SM9`"));
}

#[tokio::test]
async fn attachments_are_fetched_for_those_whose_they_are() {
    let world = World::default();
    let host = world.host().await;
    text(&host, ADA, "MM1", "look").await;
    let url = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1";
    let fetch = |url: &str| FetchAttachment { url: url.to_owned() };
    assert!(host.call_with(on_behalf_of(ADA), fetch(url)).await.is_ok());
    for refused in [
        host.call_with(on_behalf_of(BOB), fetch(url)).await,
        host.call(fetch(&url.replace("MM1", "MM2"))).await,
        host.call(fetch("https://example.com/")).await,
    ] {
        assert_eq!(refused.unwrap_err().message, "no message that came here has this attachment");
    }
    let request = serde_json::to_value(get(&format!("url={url}"))).unwrap();
    let file = host.call_json("route_attachment", request).await.unwrap();
    let file: HttpResponse = serde_json::from_value(file).unwrap();
    assert_eq!(file.body, Body::Base64("AQID".to_owned()));
    let header =
        |name: &str| file.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-type"), Some("image/png"));
    assert_eq!(
        (header("content-disposition"), header("x-content-type-options")),
        (Some("attachment"), Some("nosniff"))
    );
}

#[test]
fn an_attachment_names_its_message() {
    for (url, expected) in [
        ("https://a/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1", Some("MM1")),
        ("https://a/2010-04-01/Accounts/AC1/Messages/MM1", None),
        ("https://a/Messages//Media/ME1", None),
        ("https://a/Calls/CA1/Recordings/RE1", None),
    ] {
        assert_eq!(message_of(url), expected, "{url}");
    }
}

#[tokio::test]
async fn operators_send_over_http() {
    let world = World::default();
    let host = world.host().await;
    let body = Body::Text(json!({ "to": ADA, "text": "hi" }).to_string());
    let headers = vec![("idempotency-key".to_owned(), "k".to_owned())];
    let request = HttpRequest { method: "POST".to_owned(), body, headers, ..HttpRequest::default() };
    let sent: SentText = route(&host, "route_send", request.clone()).await.unwrap();
    assert_eq!((sent.parts.len(), sent.repeated), (1, false));
    let again: SentText = route(&host, "route_send", request).await.unwrap();
    assert_eq!((again.id, again.repeated), (sent.id, true));
    assert_eq!(world.texts(), ["hi"]);
}

#[tokio::test]
async fn those_that_somebody_names_are_listed_alone() {
    let world = World::default();
    let host = world.host().await;
    world.state().twilio = Some((OperationError::invalid("no such number"), false));
    let send = |text: &str| Send { to: Some(ADA.to_owned()), text: text.to_owned(), ..Send::default() };
    let mut names = Vec::new();
    for text in ["one", "two", "three"] {
        let refused = host.call(send(text)).await.unwrap_err();
        names.push(refused.details.expect("it says what became of it")["id"].as_str().unwrap().to_owned());
    }
    let named = |ids: Vec<String>| ListUnprocessed { ids, failed_only: true, limit: None };
    let listed =
        host.call(named(vec![names[0].clone(), "nothing".to_owned(), names[2].clone()])).await.unwrap();
    let texts: Vec<_> = listed.messages.iter().map(|message| message.text.as_str()).collect();
    assert_eq!((texts, listed.failed), (vec!["one", "three"], 3));
    let error = host.call(named(vec!["x".to_owned(); 501])).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: `ids` has 501 entries: expected 500 at most");
}

//! Those who follow health by events: what they get, when, and when no more.

use axum::body::BodyDataStream;
use futures_util::{FutureExt, StreamExt};

use super::*;

const PATH: &str = "/api/health/events";
const TOKEN: &str = "0123456789abcdef";

/// A client, and what it has not looked at yet.
struct Client {
    answer: BodyDataStream,
    text: String,
}

impl Client {
    async fn follow(host: &Host, last_event_id: Option<&str>) -> Self {
        let mut request = Request::get(PATH);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        Self::read(host.send(request.body(Body::empty()).unwrap()).await)
    }

    fn read(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Self { answer: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event or comment, without its empty line; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event != "retry: 1000" {
                    return Some(event);
                }
                continue;
            }
            let piece = self.answer.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// Kind and id.
    async fn next_head(&mut self) -> String {
        let event = self.next().await.unwrap();
        let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or(&event);
        format!("{} {}", line("event: "), line("id: "))
    }

    fn has_nothing(&mut self) -> bool {
        self.next().now_or_never().is_none()
    }
}

fn down() -> Event {
    Event::EvidenceFailed { failure: Failure::auth_invalid("the password is rejected") }
}

fn up() -> [Event; 2] {
    [Event::EvidenceSucceeded, Event::EvidenceSucceeded]
}

fn revision(host: &Host) -> u64 {
    host.board.snapshot().revision
}

#[tokio::test(start_paused = true)]
async fn a_picture_first_and_then_each_change() {
    let host = Host::connected();
    let mut client = Client::follow(&host, None).await;
    let (picture, at) = (host.get("/api/health/connections").await.body, revision(&host));
    assert_eq!(
        client.next().await.unwrap(),
        format!("id: k3v9-{at}\nevent: snapshot\ndata: {picture}"),
        "what `/connections` answers"
    );
    host.apply("database", down());
    let at = at + 1;
    assert_eq!(
        client.next().await.unwrap(),
        format!(
            "id: k3v9-{at}\nevent: transition\ndata: {{\"name\":\"database\",\"kind\":\"integration\",\
             \"status\":\"error\",\"healthy\":false,\"since\":\"2026-11-22T22:50:02.000Z\",\
             \"overall\":\"unhealthy\",\"revision\":{at},\"at\":\"2026-11-22T22:50:02.000Z\",\
             \"from\":\"connected\",\"to\":\"error\",\"code\":\"auth_invalid\",\
             \"message\":\"the password is rejected\"}}"
        )
    );
    assert!(host.operations.calls.lock().unwrap().is_empty(), "nobody is asked");
}

/// A host that demands a token.
fn exposed() -> Host {
    let settings = AccessSettings {
        is_beyond_loopback: true,
        token: Some(TOKEN.parse().unwrap()),
        ..AccessSettings::default()
    };
    Host::with_access(vec![database()], settings)
}

/// A client that has it.
async fn operator(host: &Host) -> Client {
    let request = Request::get(PATH).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    Client::read(host.send(request.body(Body::empty()).unwrap()).await)
}

#[tokio::test(start_paused = true)]
async fn who_may_not_see_details_gets_none() {
    let host = exposed();
    host.connect("database");
    host.board.tick(now());
    let mut client = Client::follow(&host, None).await;
    let at = revision(&host);
    assert_eq!(
        client.next().await.unwrap(),
        format!(
            "id: k3v9-{at}\nevent: snapshot\ndata: {{\"status\":\"healthy\",\"integrations\":{{\"database\":\
             {{\"name\":\"database\",\"kind\":\"integration\",\"status\":\"connected\",\"healthy\":true,\
             \"since\":\"2026-11-22T22:50:02.000Z\"}}}},\"services\":{{}}}}"
        )
    );
    host.apply("database", down());
    assert_eq!(
        client.next().await.unwrap(),
        format!(
            "id: k3v9-{}\nevent: transition\ndata: {{\"name\":\"database\",\"kind\":\"integration\",\
             \"status\":\"error\",\"healthy\":false,\"since\":\"2026-11-22T22:50:02.000Z\",\
             \"overall\":\"unhealthy\"}}",
            at + 1
        )
    );
    let mut operator = operator(&host).await;
    assert!(operator.next().await.unwrap().contains("the password is rejected"));
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_what_it_missed_and_nothing_twice() {
    let host = Host::connected();
    let first = revision(&host);
    host.apply("database", down());
    up().into_iter().for_each(|event| host.apply("database", event));
    host.apply("memory_service", down());
    let ids: Vec<_> = host.board.changes_after(first, 9).unwrap().iter().map(|one| one.revision).collect();
    assert_eq!(ids.len(), 3);
    for missed in 0..=3 {
        let has = if missed == 3 { first } else { ids[2 - missed] };
        let mut client = Client::follow(&host, Some(&format!("k3v9-{has}"))).await;
        for id in &ids[3 - missed..] {
            assert_eq!(client.next_head().await, format!("transition k3v9-{id}"));
        }
        // What a client is not sure to have is told once more.
        assert_eq!(client.next_head().await, format!("snapshot k3v9-{}", revision(&host)));
        assert!(client.has_nothing());
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_told_what_it_missed_is_told_so() {
    let host = Host::connected();
    let at = revision(&host);
    let ahead = format!("k3v9-{}", at + 1);
    for id in ["x2b7-3", &ahead, "k3v9-", "k3v9", "nonsense", "-1"] {
        let mut client = Client::follow(&host, Some(id)).await;
        assert_eq!(client.next_head().await, format!("resync k3v9-{at}"), "{id}");
    }
    let mut slow = Client::follow(&host, Some(&format!("k3v9-{at}"))).await;
    assert!(slow.has_nothing());
    for _ in 0..600 {
        host.apply("database", down());
        up().into_iter().for_each(|event| host.apply("database", event));
    }
    assert_eq!(slow.next_head().await, format!("resync k3v9-{}", revision(&host)));
    assert!(slow.has_nothing());
}

#[tokio::test(start_paused = true)]
async fn what_is_no_transition_is_told_by_a_new_picture() {
    let host = Host::connected();
    let mut client = Client::follow(&host, None).await;
    client.next().await;
    host.apply("database", Event::Noted { notes: vec!["one".into()] });
    host.apply("database", Event::Noted { notes: vec!["two".into()] });
    assert!(client.has_nothing(), "it gathers for a moment");
    let picture = client.next().await.unwrap();
    assert!(picture.starts_with(&format!("id: k3v9-{}\nevent: snapshot\n", revision(&host))), "{picture}");
    assert!(picture.contains("\"notes\":[\"two\"]"), "{picture}");
    host.apply("database", Event::ProbeSucceeded { latency: Duration::from_millis(3) });
    assert_eq!(client.next().await.unwrap(), ":", "a probe tells nothing new");
}

#[tokio::test(start_paused = true)]
async fn a_comment_comes_every_15_seconds() {
    let host = Host::connected();
    let mut client = Client::follow(&host, None).await;
    client.next().await;
    let began = tokio::time::Instant::now();
    for round in 1..=4 {
        assert_eq!(client.next().await.unwrap(), ":");
        assert_eq!(began.elapsed().as_secs(), 15 * round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_an_hour_so_that_its_client_shows_anew_who_it_is() {
    let host = Host::connected();
    let mut client = Client::follow(&host, None).await;
    let began = tokio::time::Instant::now();
    while client.next().await.is_some() {}
    assert_eq!(began.elapsed().as_secs(), 3600);
}

#[tokio::test]
async fn when_all_seats_are_taken_others_may_poll() {
    let host = Host::connected();
    let mut clients = Vec::new();
    for _ in 0..512 {
        clients.push(Client::follow(&host, None).await);
    }
    let answer = host.get(PATH).await;
    assert_eq!(answer.header(header::RETRY_AFTER), "15");
    answer.check(expect_test::expect![[r#"
        503 application/problem+json
        {
          "type":"about:blank",
          "title":"Service Unavailable",
          "status":503,
          "detail":"512 event streams are open, which is the limit",
          "hint":"try again later, or poll `/api/health` with `If-None-Match`"
        }
    "#]]);
    assert!(host.get("/metrics").await.body.contains("\nswitchboard_event_streams_open 512\n"));
    clients.pop();
    Client::follow(&host, None).await.next().await.unwrap();
}

#[tokio::test]
async fn nobody_takes_the_seats_of_operators() {
    let host = exposed();
    let mut clients = Vec::new();
    for number in 0..448_u16 {
        clients.push(Client::read(ask_from(&host, u8::try_from(number / 64).unwrap()).await));
    }
    let refused = Answer::read(ask_from(&host, 99).await).await;
    assert!(refused.body.contains("448 event streams are open, which is the limit"), "{}", refused.body);
    operator(&host).await.next().await.unwrap();
}

/// What a client without a token gets, one of many.
async fn ask_from(host: &Host, number: u8) -> Response {
    let client = ConnectInfo(SocketAddr::from(([192, 0, 2, number], 40_000)));
    host.send(Request::get(PATH).extension(client).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn one_client_has_a_share_of_the_seats() {
    let host = exposed();
    let mut clients = Vec::new();
    for _ in 0..64 {
        clients.push(Client::read(ask_from(&host, 1).await));
    }
    let refused = Answer::read(ask_from(&host, 1).await).await;
    assert_eq!(refused.header(header::RETRY_AFTER), "15");
    let detail = "this client has 64 event streams open, which is the limit";
    assert!(refused.body.contains(detail), "{}", refused.body);
    Client::read(ask_from(&host, 2).await).next().await.unwrap();
    clients.pop();
    Client::read(ask_from(&host, 1).await).next().await.unwrap();
}

#[tokio::test]
async fn a_host_that_stops_ends_every_stream_and_begins_none() {
    let host = Host::connected();
    let mut client = Client::follow(&host, None).await;
    client.next().await;
    assert!(client.has_nothing());
    host.draining.send_replace(true);
    assert_eq!(client.next().await, None);
    assert_eq!(host.get(PATH).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_query_against_caches_is_ignored() {
    let host = Host::connected();
    let answer = host.send(Request::get("/api/health/events?_=17").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn head_opens_no_stream() {
    let host = Host::connected();
    let head = host.send(Request::head(PATH).body(Body::empty()).unwrap()).await;
    assert_eq!(head.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(Answer::read(head).await.body, "");
    assert!(host.get("/metrics").await.body.contains("\nswitchboard_event_streams_open 0\n"));
}

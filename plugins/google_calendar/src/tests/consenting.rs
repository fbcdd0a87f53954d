//! The walk through consent: what Google may answer, and what a person then reads.

use expect_test::expect;
use jiff::Timestamp;
use plugin_api::{prelude::*, requests::http::Body, serde_json::json, testing::database::Database, tokio};
use proptest::prelude::*;

use super::{
    peer::{Heard, Peer, Reply},
    setup::{self, begin, connect, connected, google, heading, no_events, plugin, shown, tokens},
};
use crate::{
    consent::{self, Answer},
    pages,
};

/// A Google whose token endpoint does this.
fn token_endpoint(reply: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |heard| if heard.path == "/token" { reply(heard) } else { no_events() })
}

/// The page after a good way back, when Google's token endpoint does this.
async fn page_after(reply: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> (u16, String) {
    let peer = token_endpoint(reply);
    let plugin = plugin(peer.port, &Database::new());
    let walk = begin(&plugin).await;
    heading(&walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await)
}

#[tokio::test]
async fn the_code_is_exchanged_with_its_proof() {
    let peer = google(|_| no_events());
    let plugin = plugin(peer.port, &Database::new());
    let failure = plugin.init().await.unwrap_err();
    expect![
        "consent_required [-] -> /api/calendar/oauth/start: configured, but nobody has connected a Google account yet"
    ]
    .assert_eq(&shown(&failure, peer.port));

    let walk = begin(&plugin).await;
    let page = walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await;
    assert_eq!(heading(&page), (200, "Google Calendar is connected".into()));
    let sent = &peer.heard("POST /token")[0];
    let redirect = "http://localhost:8080/api/calendar/oauth/callback";
    for (field, expected) in [
        ("grant_type", "authorization_code"),
        ("code", "good"),
        ("redirect_uri", redirect),
        ("client_id", "client"),
        ("client_secret", "GOCSPX-hidden"),
    ] {
        assert_eq!(sent.field(field).as_deref(), Some(expected), "{field}");
    }
    // RFC 7636: the challenge that went along is the hash of the verifier that comes now.
    let verifier = sent.field("code_verifier").unwrap();
    let challenge = walk.url.query_pairs().find(|(key, _)| key == "code_challenge").unwrap().1.into_owned();
    assert_eq!(crate::random::hash(&verifier), challenge);
    plugin.init().await.unwrap();
    let read = &peer.heard("GET /calendars")[0];
    assert_eq!(read.header("authorization"), Some("Bearer access-1"));
}

#[tokio::test]
async fn everything_that_google_may_answer_has_a_page() {
    let answer = |status, error: &str| {
        let body = json!({ "error": error });
        move |_: &Heard| Reply::Json(status, body.clone())
    };
    assert_eq!(page_after(answer(400, "invalid_grant")).await, (400, "The code is no longer valid".into()));
    for page in [
        page_after(answer(401, "invalid_client")).await,
        page_after(answer(400, "invalid_request")).await,
        page_after(answer(503, "backend")).await,
        page_after(|_| Reply::Text(200, "<html>a portal</html>")).await,
        page_after(|_| Reply::Silence).await,
        page_after(|_| Reply::Cut).await,
        page_after(|_| Reply::Half).await,
    ] {
        assert_eq!(page, (502, "This did not work".into()));
    }
    assert_eq!(page_after(|_| tokens("a", None, 3600)).await, (502, "The access would not last".into()));
    let less = json!({
        "access_token": "a", "refresh_token": "r", "expires_in": 3600, "token_type": "Bearer",
        "scope": "https://www.googleapis.com/auth/calendar.events openid",
    });
    assert_eq!(
        page_after(move |_| Reply::Json(200, less.clone())).await,
        (403, "A permission is missing".into())
    );
    // Without the scopes they are those that were asked for (RFC 6749).
    let silent = json!({ "access_token": "a", "refresh_token": "r", "token_type": "Bearer" });
    assert_eq!(
        page_after(move |_| Reply::Json(200, silent.clone())).await,
        (200, "Google Calendar is connected".into())
    );
}

#[tokio::test]
async fn a_link_ends_after_ten_minutes() {
    let peer = google(|_| no_events());
    let database = Database::new();
    let plugin = plugin(peer.port, &database);
    let walk = begin(&plugin).await;
    let expires = database.run("select expires_at from google_calendar_consents");
    let expires: i64 = expires.first().unwrap().get("expires_at").unwrap();
    let left = expires - Timestamp::now().as_millisecond();
    assert!((500_000..=600_000).contains(&left), "{left}");
    database.run("update google_calendar_consents set expires_at = 1");
    let page = walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await;
    assert_eq!(heading(&page), (400, "That took too long".into()));
    assert!(peer.heard("POST /token").is_empty());
}

#[tokio::test]
async fn neither_state_nor_cookie_nor_proof_lies_in_the_clear() {
    let peer = google(|_| no_events());
    let database = Database::new();
    let plugin = plugin(peer.port, &database);
    let walk = begin(&plugin).await;
    connect(&plugin).await;
    let kept = format!(
        "{:?} {:?}",
        database.run("select * from google_calendar_consents"),
        database.run("select * from google_calendar_grants")
    );
    let cookie = walk.cookie.split('=').nth(1).unwrap();
    let verifier = peer.heard("POST /token")[0].field("code_verifier").unwrap();
    for secret in [&walk.state, cookie, &verifier, "access-1", "refresh-1"] {
        assert!(!kept.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_calendar_that_cannot_be_read_is_said_at_once() {
    let peer = google(|_| setup::error(404, "notFound"));
    let plugin = plugin(peer.port, &Database::new());
    let walk = begin(&plugin).await;
    let page = walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await;
    assert_eq!(heading(&page), (200, "Google Calendar is not ready yet".into()));
    let failure = plugin.probe().await.unwrap_err();
    expect!["config_invalid [calendar] -> -: the connected account has no calendar `primary`"]
        .assert_eq(&shown(&failure, peer.port));
}

#[tokio::test]
async fn the_access_is_given_back_even_when_google_is_away() {
    let peer =
        google(|heard| if heard.path == "/revoke" { Reply::Json(200, json!({})) } else { no_events() });
    let plugin = connected(&peer).await;
    assert_eq!(plugin.call_json("disconnect", json!({})).await.unwrap(), json!({ "revoked": true }));
    assert_eq!(peer.heard("POST /revoke")[0].field("token").as_deref(), Some("refresh-1"));
    assert_eq!(plugin.probe().await.unwrap_err().code, ReasonCode::ConsentRequired);

    let peer = google(|heard| if heard.path == "/revoke" { Reply::Cut } else { no_events() });
    let plugin = connected(&peer).await;
    let answer = plugin.call_json("disconnect", json!({})).await.unwrap();
    assert_eq!(answer["revoked"], false);
    assert!(answer["hint"].as_str().unwrap().contains("myaccount.google.com/permissions"));
    assert_eq!(plugin.probe().await.unwrap_err().code, ReasonCode::ConsentRequired);
}

#[test]
fn what_comes_twice_counts_as_missing() {
    let read = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Answer::read(&pairs)
    };
    let code = Answer::Code { code: "c".into(), state: "s".into() };
    assert_eq!(read(&[("state", "s"), ("code", "c"), ("scope", "x")]), code);
    assert_eq!(read(&[("state", "s"), ("state", "t"), ("code", "c")]), Answer::Incomplete);
    assert_eq!(read(&[("state", "s"), ("code", "c"), ("code", "c")]), Answer::Incomplete);
    assert_eq!(read(&[("code", "c")]), Answer::Incomplete);
    assert_eq!(read(&[("code", &"c".repeat(3000)), ("state", "s")]), Answer::Incomplete);
    let error = Answer::Error { code: "access_denied".into(), state: None };
    assert_eq!(read(&[("error", "access_denied"), ("code", "c")]), error);
}

fn html(page: &HttpResponse) -> &str {
    match &page.body {
        Body::Text(html) => html,
        other => panic!("not a page: {other:?}"),
    }
}

proptest! {
    #[test]
    fn no_query_and_no_cookie_panic(query in any::<String>(), cookie in any::<String>()) {
        let request = HttpRequest {
            query, headers: vec![("cookie".into(), cookie.clone())], ..HttpRequest::default()
        };
        let _ = Answer::read(&request.query());
        if let Some(value) = consent::cookie(&request) {
            prop_assert!(value.len() == 43 && cookie.contains(&value));
        }
    }

    /// Whatever comes from outside stays text.
    #[test]
    fn nothing_from_outside_becomes_markup(text in any::<String>()) {
        let bare = pages::google_refused("");
        for page in [pages::google_refused(&text), pages::trouble(502, &text), pages::missing_scopes(&[&text])] {
            let tags = html(&page).matches('<').count();
            prop_assert!(tags <= html(&bare).matches('<').count(), "{}", html(&page));
        }
    }
}

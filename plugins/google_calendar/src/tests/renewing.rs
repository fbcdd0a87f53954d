//! Access tokens: renewed ahead of their end, by one flight, among several hosts too; and a grant that ends.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use expect_test::expect;
use plugin_api::{
    prelude::*,
    protocol::HOST,
    requests::calendar::ListEvents,
    serde_json::json,
    testing::database::Database,
    tokio::{self, task::JoinSet, time::sleep},
};

use super::{
    peer::{Heard, Peer, Reply},
    setup::{
        self, EVENTS, Instance, connect, error, hurried, no_events, plugin, plugin_with, reported_failure,
        shown, tokens,
    },
};

fn is_refresh(heard: &Heard) -> bool {
    heard.field("grant_type").as_deref() == Some("refresh_token")
}

/// A Google whose first token has as good as ended; then it is refreshed so.
fn short_lived(refresh: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |heard| match heard.path.as_str() {
        "/token" if is_refresh(heard) => refresh(heard),
        "/token" => tokens("access-1", Some("refresh-1"), 0),
        _ => no_events(),
    })
}

fn refreshes(peer: &Peer) -> usize {
    peer.heard("POST /token").iter().filter(|heard| is_refresh(heard)).count()
}

async fn list(plugin: &Instance) -> Result<(), OperationError> {
    plugin.call(ListEvents::default()).await.map(drop)
}

#[tokio::test]
async fn many_who_need_a_token_share_one_refresh() {
    let peer = short_lived(|_| tokens("access-2", None, 3600));
    let plugin = Arc::new(plugin(peer.port, &Database::new()));
    // Connecting reads the calendar once, and the token has ended by then.
    connect(&plugin).await;
    let begun = refreshes(&peer);
    assert_eq!(begun, 1);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let plugin = plugin.clone();
        calls.spawn(async move { list(&plugin).await });
    }
    assert!(calls.join_all().await.into_iter().all(|outcome| outcome.is_ok()));
    assert_eq!(refreshes(&peer), 1);
    let sent = &peer.heard("POST /token")[1];
    assert_eq!(sent.field("refresh_token").as_deref(), Some("refresh-1"));
    assert_eq!(peer.heard("GET /calendars").last().unwrap().header("authorization"), Some("Bearer access-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_google_longer_than_the_grace() {
    let (_open, gate) = mpsc::channel::<()>();
    let (gate, asked) = (Mutex::new(gate), AtomicUsize::new(0));
    let peer = short_lived(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            let _ = gate.lock().unwrap().recv();
        }
        tokens("access-2", None, 0)
    });
    let plugin = Arc::new(plugin_with(peer.port, &Database::new(), json!({ "timeout": "60s" })));
    connect(&plugin).await;
    let listing = tokio::spawn({
        let plugin = plugin.clone();
        async move { list(&plugin).await }
    });
    while refreshes(&peer) < 2 {
        assert!(!listing.is_finished(), "it asks for a token");
        sleep(Duration::from_millis(10)).await;
    }
    plugin.stop().await.expect("it stops");
    let logs = format!("{:?}", plugin.logs());
    assert!(logs.contains("has not ended in 8s, and the plugin stops"), "{logs}");
    listing.abort();
}

/// Takes each refresh token once and replaces it, as strict servers do.
fn rotating() -> Peer {
    let next = AtomicUsize::new(2);
    let good = Mutex::new("refresh-1".to_owned());
    short_lived(move |heard| {
        let mut good = good.lock().unwrap();
        if heard.field("refresh_token").as_ref() != Some(&good) {
            return Reply::Json(400, json!({ "error": "invalid_grant" }));
        }
        let number = next.fetch_add(1, Ordering::SeqCst);
        *good = format!("refresh-{number}");
        tokens(&format!("access-{number}"), Some(&good), 0)
    })
}

#[tokio::test]
async fn hosts_on_one_database_never_use_a_replaced_refresh_token() {
    let peer = rotating();
    let database = Database::new();
    let hosts = [plugin(peer.port, &database), plugin(peer.port, &database), plugin(peer.port, &database)]
        .map(Arc::new);
    connect(&hosts[0]).await;
    let mut calls = JoinSet::new();
    for host in &hosts {
        let host = host.clone();
        calls.spawn(async move {
            for _ in 0..5 {
                list(&host).await?;
            }
            Ok::<_, OperationError>(())
        });
    }
    for outcome in calls.join_all().await {
        outcome.expect("every refresh was by the newest token");
    }
    let used: Vec<_> =
        peer.heard("POST /token").iter().filter_map(|heard| heard.field("refresh_token")).collect();
    let mut distinct = used.clone();
    distinct.dedup();
    assert_eq!(used, distinct, "each was used once, in order");
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_no_token_along() {
    let good = Mutex::new("refresh-1".to_owned());
    let peer = Peer::start(move |heard| match heard.path.as_str() {
        "/token" if is_refresh(heard) => {
            let mut good = good.lock().unwrap();
            if heard.field("refresh_token").as_ref() != Some(&good) {
                return Reply::Json(400, json!({ "error": "invalid_grant" }));
            }
            *good = "refresh-2".to_owned();
            std::thread::sleep(Duration::from_millis(500));
            tokens("access-2", Some("refresh-2"), 3600)
        }
        "/token" => tokens("access-1", Some("refresh-1"), 3600),
        _ if heard.header("authorization") == Some("Bearer access-1")
            && heard.parameter("fields").is_none() =>
        {
            error(401, "authError")
        }
        _ => no_events(),
    });
    let plugin = plugin(peer.port, &Database::new());
    connect(&plugin).await;
    // It gives up before Google has answered; the answer replaces the refresh token all the same.
    let gone = plugin.call_with(hurried(400), ListEvents::default()).await;
    assert_eq!(gone.unwrap_err().kind, ErrorKind::Deadline);
    list(&plugin).await.expect("the new token was kept");
    assert_eq!(refreshes(&peer), 1);
}

#[tokio::test]
async fn a_renewed_token_outlives_a_database_that_is_away() {
    let peer = rotating();
    let database = Database::new();
    let plugin = plugin(peer.port, &database);
    connect(&plugin).await;
    let before = refreshes(&peer);
    database.set_writes_left(0);
    assert!(list(&plugin).await.is_err(), "without the lease nobody may refresh");
    assert_eq!(refreshes(&peer), before);
    // The lease is taken; then the database is away, and what Google replaced is kept in memory alone.
    database.set_writes_left(1);
    list(&plugin).await.expect("the token is good all the same");
    assert_eq!(refreshes(&peer), before + 1);
    database.set_writes_left(i64::MAX);
    list(&plugin).await.expect("what was kept is used, and saved");
    let later = setup::plugin(peer.port, &database);
    list(&later).await.expect("the newest refresh token is in the database");
}

#[tokio::test]
async fn a_host_that_takes_no_secret_loses_no_renewed_token() {
    let peer = rotating();
    let database = Database::new();
    let secrets_left = Arc::new(AtomicUsize::new(usize::MAX));
    let left = secrets_left.clone();
    let plugin = setup::plugin_test(peer.port, &database, json!({}))
        .fake_json(HOST, "secret", move |_, _| {
            let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            taken.map(|_| json!(null)).map_err(|_| OperationError::unavailable("the host is busy"))
        })
        .create()
        .unwrap();
    connect(&plugin).await;
    let before = refreshes(&peer);
    secrets_left.store(0, Ordering::SeqCst);
    assert!(list(&plugin).await.is_err());
    assert_eq!(refreshes(&peer), before, "no token is used that the host does not keep out of the log");
    // Both tokens of the grant in the database; then the host is busy, and takes none of those that replace them.
    secrets_left.store(2, Ordering::SeqCst);
    assert!(list(&plugin).await.is_err(), "nor is a new one");
    assert_eq!(refreshes(&peer), before + 1);
    secrets_left.store(usize::MAX, Ordering::SeqCst);
    list(&plugin).await.expect("what Google replaced was kept");
    let later = setup::plugin(peer.port, &database);
    list(&later).await.expect("in the database too");
}

#[tokio::test]
async fn a_token_of_the_database_is_kept_out_of_the_log_before_it_is_used() {
    let secrets = Arc::new(Mutex::new(Vec::new()));
    let (noted, known) = (secrets.clone(), secrets.clone());
    // The token holds for a while, and is due for renewal.
    let grant = json!({
        "refresh": "refresh-1", "access": "access-1",
        "expires_at": "2199-01-01T00:00:00Z", "renew_at": "2020-01-01T00:00:00Z",
    });
    let peer = Peer::start(move |heard| {
        let known = known.lock().unwrap().clone();
        match heard.path.as_str() {
            "/token" if known.contains(&heard.field("refresh_token").unwrap()) => error(503, "backendError"),
            _ if heard.header("authorization") == Some("Bearer access-1")
                && known.contains(&"access-1".to_owned()) =>
            {
                no_events()
            }
            _ => Reply::Json(400, json!({})),
        }
    });
    let database = Database::new();
    connect(&plugin(setup::google(|_| no_events()).port, &database)).await;
    let sealed = format!("test-key.{}", STANDARD.encode(grant.to_string()));
    database.run(&format!("update google_calendar_grants set sealed = '{sealed}'"));
    let plugin = setup::plugin_test(peer.port, &database, json!({}))
        .fake_json(HOST, "secret", move |_, secret| {
            noted.lock().unwrap().push(secret["value"].as_str().unwrap().to_owned());
            Ok(json!(null))
        })
        .create()
        .unwrap();
    list(&plugin).await.expect("the token still holds");
    assert_eq!(refreshes(&peer), 1);
}

#[tokio::test]
async fn a_grant_that_ends_is_reported_at_once_and_not_asked_for_again() {
    let peer = short_lived(|_| Reply::Json(400, json!({ "error": "invalid_grant" })));
    let database = Database::new();
    let plugin = plugin(peer.port, &database);
    let walk = setup::begin(&plugin).await;
    let _ = walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await;
    let refused = list(&plugin).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    let start = Some("/api/calendar/oauth/start".to_owned());
    assert_eq!(reported_failure(&plugin).await, (ReasonCode::AuthExpired, start));
    let failure = plugin.probe().await.unwrap_err();
    expect![[r#"
        auth_expired [-] -> /api/calendar/oauth/start: Google does not honour the consent any more: it was withdrawn, unused for six months, or the consent screen is in "Testing", where it ends after seven days: connect the calendar again"#]]
    .assert_eq(&shown(&failure, peer.port));
    assert_eq!(refreshes(&peer), 1, "a dead grant is not asked for again");
    // A host that comes later knows it from the database.
    let later = setup::plugin(peer.port, &database);
    assert_eq!(later.init().await.unwrap_err().code, ReasonCode::AuthExpired);
    assert_eq!(refreshes(&peer), 1);
}

#[tokio::test]
async fn a_token_that_google_refuses_early_is_renewed_once() {
    let peer = Peer::start(|heard| match heard.path.as_str() {
        "/token" if is_refresh(heard) => tokens("access-2", None, 3600),
        "/token" => tokens("access-1", Some("refresh-1"), 3600),
        _ if heard.header("authorization") == Some("Bearer access-2") => no_events(),
        _ => error(401, "authError"),
    });
    let plugin = plugin(peer.port, &Database::new());
    connect(&plugin).await;
    list(&plugin).await.unwrap();
    assert_eq!(refreshes(&peer), 1);

    let peer = Peer::start(|heard| match heard.path.as_str() {
        "/token" => tokens("access", Some("refresh-1"), 3600),
        _ => error(401, "authError"),
    });
    let plugin = setup::plugin(peer.port, &Database::new());
    let walk = setup::begin(&plugin).await;
    let _ = walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await;
    assert_eq!(plugin.probe().await.unwrap_err().code, ReasonCode::AuthExpired);
}

#[tokio::test]
async fn every_outage_of_the_token_endpoint_has_its_code() {
    for (reply, expected) in [
        (
            400,
            "auth_invalid [client_secrets_json] -> -: Google does not know the OAuth client, or its secret is wrong: download its JSON again",
        ),
        (503, "unavailable [-] -> -: Google answered 503"),
        (429, "rate_limited [-] -> -: Google asks to slow down"),
    ] {
        let peer = short_lived(move |_| Reply::Json(reply, json!({ "error": "invalid_client" })));
        let plugin = plugin(peer.port, &Database::new());
        let walk = setup::begin(&plugin).await;
        let _ = walk.come_back(&plugin, &format!("code=good&state={}", walk.state)).await;
        let failure = plugin.probe().await.unwrap_err();
        assert_eq!(shown(&failure, peer.port), expected);
    }
}

#[tokio::test]
async fn another_key_is_refused_before_anything_is_asked() {
    let peer = setup::google(|_| no_events());
    let database = Database::new();
    let plugin = plugin_with(peer.port, &database, json!({}));
    connect(&plugin).await;
    database.run("update google_calendar_key set fingerprint = 'other-key'");
    let asked = peer.heard("GET ").len();
    let failure = plugin.probe().await.unwrap_err();
    expect![
        "config_invalid [-] -> -: the tokens in the database are sealed under another secret key (fingerprint `other-key`, this host's is `test-key`): set `SWITCHBOARD_SECRET_KEY` to the key of the host that sealed them, or forget them by `DELETE /api/calendar/oauth` and connect the calendar again => Set `SWITCHBOARD_SECRET_KEY` to the key that sealed the tokens, or forget them and connect the calendar again"
    ]
    .assert_eq(&shown(&failure, peer.port));
    assert_eq!(peer.heard("GET ").len(), asked);
    assert_eq!(peer.heard(&format!("GET {EVENTS}")).len(), asked);
}

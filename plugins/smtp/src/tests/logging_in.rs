//! Logging in by an access token, and where it comes from: the settings, or a refresh token.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use expect_test::expect;
use plugin_api::{
    error::OperationError,
    protocol::HOST,
    serde_json::{Value, json},
    testing::{TestInstance, TestPlugin},
    tokio,
};

use tempfile::TempDir;

use super::{
    peer::{Peer, Talk, closed_port},
    setup::{plugin, plugin_test, shown_failure},
};
use crate::Smtp;

/// Greets, offers XOAUTH2, and hears the login as text.
fn hear_login(talk: &mut Talk) -> Option<String> {
    talk.say("220 peer")?;
    talk.hear()?;
    talk.say("250-peer\r\n250 AUTH LOGIN PLAIN XOAUTH2")?;
    let line = talk.hear()?;
    let text = STANDARD.decode(line.strip_prefix("AUTH XOAUTH2 ")?).ok()?;
    String::from_utf8(text).ok()
}

/// Lets in whoever has the token, and refuses others as Google does: by a question with JSON, and then by 535.
fn server(token: &'static str) -> Peer {
    Peer::start(move |talk| {
        let expected = format!("user=ada@example.com\x01auth=Bearer {token}\x01\x01");
        if hear_login(talk)? == expected {
            talk.say("235 2.7.0 Accepted")?;
            return talk.go_on_until("never");
        }
        talk.say("334 eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIn0=")?;
        if talk.hear()?.is_empty() {
            talk.say("535-5.7.8 Username and Password not accepted.\r\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials")?;
        }
        talk.fall_silent()
    })
}

/// An authorization server that answers so, by the refresh token that it is asked with; and what it was asked.
fn authority(
    answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
) -> (Peer, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = asked.clone();
    let peer = Peer::start(move |talk| {
        loop {
            let form = talk.hear_http()?;
            let refresh =
                form.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap_or_default();
            let (status, json) = answer(refresh);
            note.lock().unwrap().push(form.clone());
            talk.say_http(status, &json.to_string())?;
        }
    });
    (peer, asked)
}

fn renewing(server: &Peer, authority: u16, more: Value) -> TestInstance<Smtp> {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    renewing_in(&folder, server, authority, more)
}

/// With this folder for data.
fn renewing_in(folder: &TempDir, server: &Peer, authority: u16, more: Value) -> TestInstance<Smtp> {
    renewing_test(folder, server, authority, more).create().expect("the settings are good")
}

/// The same, before it is made.
fn renewing_test(folder: &TempDir, server: &Peer, authority: u16, more: Value) -> TestPlugin<Smtp> {
    let mut settings = json!({
        "username": "ada@example.com", "oauth_refresh_token": "refresh-1", "oauth_client_id": "switchboard",
        "oauth_token_url": format!("http://127.0.0.1:{authority}/token"),
    });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    plugin_test(server.port, settings).data_dir(folder.path())
}

#[tokio::test]
async fn an_access_token_of_the_settings_lets_in() {
    let server = server("ya29.good");
    let settings = |token| json!({ "username": "ada@example.com", "oauth_token": token });
    plugin(server.port, settings("ya29.good")).init().await.unwrap();
    let failure = plugin(server.port, settings("ya29.ended")).init().await.unwrap_err();
    expect!["auth_invalid [oauth_token]: `127.0.0.1:PORT` refuses the access token (SMTP 535 5.7.8): it has ended, is of another user than `SMTP_USERNAME`, or was not granted for SMTP => Consent again as `SMTP_USERNAME`, with the scope `https://mail.google.com/` at Google or `https://outlook.office.com/SMTP.Send` at Microsoft"].assert_eq(&shown_failure(&failure, server.port));
}

/// The request to the authority below, by the refresh token.
fn with(refresh: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={refresh}&client_id=switchboard&client_secret=hidden")
}

/// As Microsoft's: the first token is replaced. Access tokens are so short that every login needs a new one.
fn replacing() -> (Peer, Arc<Mutex<Vec<String>>>) {
    let good = |refresh: Option<&str>| json!({ "access_token": "ya29.good", "token_type": "Bearer", "expires_in": 30, "refresh_token": refresh });
    authority(move |refresh| match refresh {
        "refresh-1" => (200, good(Some("refresh-2"))),
        "refresh-2" | "refresh-new" => (200, good(None)),
        _ => (400, json!({ "error": "invalid_grant" })),
    })
}

#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_not_used_again_also_after_a_restart() {
    let server = server("ya29.good");
    let (authority, asked) = replacing();
    let folder = tempfile::tempdir().unwrap();
    let secret = json!({ "oauth_client_secret": "hidden" });
    let plugin = renewing_in(&folder, &server, authority.port, secret.clone());
    for _ in 0..3 {
        plugin.init().await.unwrap();
    }
    let told = format!("{:?} {:?}", plugin.logs(), plugin.reports());
    assert!(!told.contains("ya29") && !told.contains("refresh-"), "{told}");
    renewing_in(&folder, &server, authority.port, secret.clone()).init().await.unwrap();
    let all = ["refresh-1", "refresh-2", "refresh-2", "refresh-2"].map(with);
    assert_eq!(*asked.lock().unwrap(), all);
    let [file] = std::fs::read_dir(folder.path()).unwrap().collect::<Vec<_>>().try_into().unwrap();
    let kept = std::fs::read_to_string(file.unwrap().path()).unwrap();
    assert!(!kept.contains("refresh-2"), "it is sealed: {kept}");

    // Another one in the settings is another consent.
    let mut other = secret;
    other["oauth_refresh_token"] = json!("refresh-new");
    renewing_in(&folder, &server, authority.port, other).init().await.unwrap();
    assert_eq!(asked.lock().unwrap().last(), Some(&with("refresh-new")));
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_no_replaced_token_along() {
    let server = server("ya29.good");
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let (go, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    // As strict as a provider may be: the first token is good once.
    let (authority, asked) = authority(move |refresh| {
        let good = |refresh: Option<&str>| json!({ "access_token": "ya29.good", "token_type": "Bearer", "expires_in": 30, "refresh_token": refresh });
        match refresh {
            "refresh-1" => {
                begin.send(()).expect("the test waits for it");
                match gate.lock().unwrap().recv() {
                    Ok(()) => (200, good(Some("refresh-2"))),
                    Err(_) => (400, json!({ "error": "invalid_grant" })),
                }
            }
            _ => (200, good(None)),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let secret = json!({ "oauth_client_secret": "hidden" });
    let plugin = renewing_in(&folder, &server, authority.port, secret.clone());
    tokio::select! {
        outcome = plugin.init() => panic!("it came before the token: {outcome:?}"),
        _ = begun.recv() => {}
    }
    // Once, and then the gate is closed.
    go.send(()).unwrap();
    drop(go);
    plugin.init().await.unwrap();
    renewing_in(&folder, &server, authority.port, secret).init().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["refresh-1", "refresh-2", "refresh-2"].map(with));
}

#[tokio::test]
async fn a_step_that_fails_after_a_renewal_loses_no_replaced_token() {
    let server = server("ya29.good");
    let (authority, asked) = replacing();
    let folder = tempfile::tempdir().unwrap();
    let secret = json!({ "oauth_client_secret": "hidden" });
    let is_away = Arc::new(AtomicBool::new(true));
    let away = is_away.clone();
    let plugin = renewing_test(&folder, &server, authority.port, secret.clone())
        .fake_json(HOST, "secret", move |_, _| match away.load(Ordering::SeqCst) {
            true => Err(OperationError::unavailable("the host is busy")),
            false => Ok(Value::Null),
        })
        .create()
        .unwrap();
    plugin.init().await.expect_err("no token is used that the host does not keep out of the log");
    is_away.store(false, Ordering::SeqCst);
    plugin.init().await.unwrap();
    renewing_in(&folder, &server, authority.port, secret).init().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["refresh-1", "refresh-2", "refresh-2"].map(with));
}

#[tokio::test]
async fn a_provider_that_takes_long_is_named_and_its_token_is_kept_all_the_same() {
    let server = server("ya29.good");
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (authority, asked) = authority(move |refresh| {
        let replacement = (refresh == "refresh-1").then(|| {
            gate.lock().unwrap().recv().expect("the test goes on");
            "refresh-2"
        });
        (
            200,
            json!({ "access_token": "ya29.good", "token_type": "Bearer", "expires_in": 30, "refresh_token": replacement }),
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let secret = |timeout| json!({ "oauth_client_secret": "hidden", "timeout": timeout });
    let plugin = renewing_in(&folder, &server, authority.port, secret("2s"));
    let failure = plugin.init().await.unwrap_err();
    expect!["timeout [-]: `127.0.0.1` gave no access token in time"]
        .assert_eq(&shown_failure(&failure, server.port));
    go.send(()).unwrap();
    // It ends when the token is kept, which is then the one of the next.
    plugin.stop().await.unwrap();
    renewing_in(&folder, &server, authority.port, secret("5s")).init().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["refresh-1", "refresh-2"].map(with));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_provider_longer_than_the_grace() {
    let server = server("ya29.good");
    let (_open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (authority, _) = authority(move |_| {
        let _ = gate.lock().unwrap().recv();
        (503, json!({}))
    });
    let plugin = renewing(&server, authority.port, json!({ "timeout": "1s" }));
    plugin.init().await.unwrap_err();
    plugin.stop().await.unwrap();
    let logs = format!("{:?}", plugin.logs());
    assert!(logs.contains("`127.0.0.1` has not answered the request for an access token in 8s"), "{logs}");
}

#[tokio::test]
async fn a_kept_token_is_kept_out_of_the_log_before_it_is_used() {
    let server = server("ya29.good");
    let folder = tempfile::tempdir().unwrap();
    let (replaces, _) = replacing();
    renewing_in(&folder, &server, replaces.port, json!({})).init().await.unwrap();
    let secrets = Arc::new(Mutex::new(Vec::new()));
    let (noted, known) = (secrets.clone(), secrets.clone());
    let (ended, asked) = authority(move |refresh| {
        let is_known = known.lock().unwrap().iter().any(|secret| secret == refresh);
        (400, json!({ "error": "invalid_grant", "error_description": format!("{refresh}: {is_known}") }))
    });
    let plugin = renewing_test(&folder, &server, ended.port, json!({}))
        .fake_json(HOST, "secret", move |_, secret| {
            noted.lock().unwrap().push(secret["value"].as_str().unwrap().to_owned());
            Ok(Value::Null)
        })
        .create()
        .unwrap();
    plugin.init().await.unwrap_err();
    assert_eq!(asked.lock().unwrap().len(), 2);
    let logs = format!("{:?}", plugin.logs());
    assert!(logs.contains("refresh-2: true"), "{logs}");
}

#[tokio::test]
async fn a_token_that_is_said_to_hold_for_ever_is_used() {
    let server = server("ya29.good");
    let (authority, asked) = authority(|_| {
        (200, json!({ "access_token": "ya29.good", "token_type": "Bearer", "expires_in": u64::MAX }))
    });
    let plugin = renewing(&server, authority.port, json!({}));
    for _ in 0..2 {
        plugin.init().await.unwrap();
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_kept_and_has_ended_gives_way_to_the_settings() {
    let server = server("ya29.good");
    let folder = tempfile::tempdir().unwrap();
    let secret = json!({ "oauth_client_secret": "hidden" });
    let (replaces, _) = replacing();
    renewing_in(&folder, &server, replaces.port, secret.clone()).init().await.unwrap();
    let (ended, asked) = authority(|refresh| match refresh {
        "refresh-1" => {
            (200, json!({ "access_token": "ya29.good", "token_type": "Bearer", "expires_in": 30 }))
        }
        _ => (400, json!({ "error": "invalid_grant" })),
    });
    renewing_in(&folder, &server, ended.port, secret).init().await.unwrap();
    assert_eq!(*asked.lock().unwrap(), ["refresh-2", "refresh-1"].map(with));
}

#[tokio::test]
async fn an_access_token_is_used_until_its_end_and_one_that_is_refused_is_not_used_again() {
    let server = server("ya29.good");
    let (good, asked) = authority(|_| {
        (200, json!({ "access_token": "ya29.good", "token_type": "Bearer", "expires_in": 3600 }))
    });
    let plugin = renewing(&server, good.port, json!({}));
    for _ in 0..3 {
        plugin.init().await.unwrap();
    }
    assert_eq!(asked.lock().unwrap().len(), 1);

    let (bad, asked) = authority(|_| {
        (200, json!({ "access_token": "ya29.other", "token_type": "Bearer", "expires_in": 3600 }))
    });
    let plugin = renewing(&server, bad.port, json!({}));
    for _ in 0..2 {
        assert_eq!(plugin.init().await.unwrap_err().setting.as_deref(), Some("oauth_refresh_token"));
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn why_there_is_no_access_token_is_told() {
    let server = server("ya29.good");
    let fails = async |status, answer: Value, expected: expect_test::Expect| {
        let (authority, _) = authority(move |_| (status, answer.clone()));
        let failure = renewing(&server, authority.port, json!({})).init().await.unwrap_err();
        expected.assert_eq(&shown_failure(&failure, server.port));
    };
    fails(400, json!({ "error": "invalid_grant", "error_description": "AADSTS700082: expired" }), expect!["auth_invalid [oauth_refresh_token]: `127.0.0.1` does not honour the refresh token any more: it has ended, or the consent was withdrawn => Consent again as `SMTP_USERNAME`, and set `SMTP_OAUTH_REFRESH_TOKEN` to the new refresh token"]).await;
    fails(401, json!({ "error": "invalid_client" }), expect!["auth_invalid [oauth_client_id]: `127.0.0.1` does not know the OAuth client, or its secret is wrong => Correct `SMTP_OAUTH_CLIENT_ID` and `SMTP_OAUTH_CLIENT_SECRET`"]).await;
    fails(400, json!({ "error": "invalid_scope" }), expect!["forbidden [-]: `127.0.0.1` gives no access token: `invalid_scope` => Check the OAuth client and its permissions at `127.0.0.1`"]).await;
    fails(
        503,
        json!({}),
        expect!["unavailable [-]: `127.0.0.1` gives no access token at the moment: it answers `503`"],
    )
    .await;
    fails(400, json!({ "error": "temporarily_unavailable" }), expect!["unavailable [-]: `127.0.0.1` gives no access token at the moment: it answers `temporarily_unavailable`"]).await;
    // Whatever its words say: it is asked too often, and the client is good.
    for answer in [json!({}), json!({ "error": "invalid_client" }), json!({ "error": "rate_limit_exceeded" })]
    {
        fails(
            429,
            answer,
            expect![
                "rate_limited [-]: `127.0.0.1` gives no access token at the moment: it asks to slow down"
            ],
        )
        .await;
    }
    fails(200, json!({ "hello": 1 }), expect!["protocol [oauth_token_url]: `127.0.0.1` does not answer as a token endpoint: check `SMTP_OAUTH_TOKEN_URL`"]).await;
    let failure = renewing(&server, closed_port(), json!({})).init().await.unwrap_err();
    expect!["unavailable [-]: `127.0.0.1` cannot be reached for an access token"]
        .assert_eq(&shown_failure(&failure, server.port));
}

#[tokio::test]
async fn a_provider_that_says_how_long_to_wait_is_heeded() {
    for (status, code) in
        [("429 Too Many Requests", "rate_limited"), ("503 Service Unavailable", "unavailable")]
    {
        let server = server("ya29.good");
        let authority = Peer::start(move |talk| {
            talk.hear_http()?;
            talk.say(&format!("HTTP/1.1 {status}\r\nretry-after: 17\r\ncontent-length: 0\r\n"))?;
            talk.fall_silent()
        });
        let failure = renewing(&server, authority.port, json!({})).init().await.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.retry_after_ms), (code, Some(17_000)));
    }
}

#[tokio::test]
async fn a_server_without_xoauth2_is_told_apart() {
    let peer = Peer::start(|talk| talk.until("never"));
    let settings = json!({ "username": "ada@example.com", "oauth_token": "ya29.good" });
    let failure = plugin(peer.port, settings).init().await.unwrap_err();
    expect!["config_invalid [password]: `127.0.0.1:PORT` offers no login with an access token (XOAUTH2): set `SMTP_PASSWORD` instead of it"].assert_eq(&shown_failure(&failure, peer.port));
}

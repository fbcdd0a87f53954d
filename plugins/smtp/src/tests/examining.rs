//! The doctor's login, and the mail that it sends to itself only with consent.

use plugin_api::{
    requests::doctor::{Check, Examine, Verdict},
    serde_json::json,
    tokio,
};

use super::{
    peer::{Peer, closed_port},
    setup::plugin,
};

/// A server that greets, and answers for itself.
fn server() -> Peer {
    Peer::start(|talk| {
        talk.until("NOOP")?;
        talk.say("250 OK")
    })
}

#[tokio::test]
async fn without_consent_nothing_is_sent() {
    let peer = server();
    let found = plugin(peer.port, json!({})).call(Examine::default()).await.unwrap();
    let [login, mail] = found.checks.as_slice() else { panic!("{found:?}") };
    let seen = format!("`127.0.0.1:{}` answers, and wants no login", peer.port);
    assert_eq!(*login, Check::ok("login", seen));
    assert_eq!(
        *mail,
        Check::awaits_consent("mail", "would send one mail to its own sender, `Bot <bot@example.com>`")
    );
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_sent_nothing() {
    let found = plugin(closed_port(), json!({})).call(Examine { effects: true }).await.unwrap();
    let verdicts: Vec<Verdict> = found.checks.iter().map(|check| check.verdict).collect();
    assert_eq!(verdicts, [Verdict::Failed, Verdict::Skipped]);
    assert!(found.checks[0].seen.starts_with("nobody listens at `127.0.0.1:"), "{found:?}");
    assert_eq!(found.checks[1].seen, "without a login nothing can be sent");
}

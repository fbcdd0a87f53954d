//! One idempotency key, one mail: whatever happens in between, and whoever has gone.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use expect_test::expect;
use plugin_api::{
    error::ErrorKind,
    protocol::CallHeader,
    requests::{
        email::{SendEmail, Sent},
        host::Report,
    },
    serde_json::json,
    tokio,
};

use super::{
    peer::Peer,
    setup::{keyed, mail_to, plugin},
};
use crate::ledger::{CAPACITY, Claim, Ledger, Outcome, Place};

fn mail() -> SendEmail {
    mail_to(&["ada@example.com"])
}

/// A peer that takes every mail, and the number of mails.
fn good_peer() -> (Peer, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let peer = Peer::start(move |talk| {
        talk.until("DATA")?;
        loop {
            talk.mail()?;
            counter.fetch_add(1, Ordering::SeqCst);
            talk.say("250 taken")?;
            talk.go_on_until("DATA")?;
        }
    });
    (peer, taken)
}

#[tokio::test]
async fn a_repeat_is_answered_and_not_sent() {
    let (peer, taken) = good_peer();
    let plugin = plugin(peer.port, json!({}));
    let first = plugin.call_with(keyed("job 7"), mail()).await.unwrap();
    let second = plugin.call_with(keyed("job 7"), mail()).await.unwrap();
    assert!(!first.repeated);
    assert_eq!(second, Sent { repeated: true, ..first });
    assert_eq!(taken.load(Ordering::SeqCst), 1);

    plugin.call_with(keyed("job 8"), mail()).await.unwrap();
    plugin.call(mail()).await.unwrap();
    plugin.call(mail()).await.unwrap();
    assert_eq!(taken.load(Ordering::SeqCst), 4, "another key or none is another mail");
    assert!(plugin.reports().iter().all(|report| matches!(report, Report::Success)));
}

#[tokio::test]
async fn repeats_at_the_same_time_are_one_mail() {
    let (peer, taken) = good_peer();
    let plugin = plugin(peer.port, json!({}));
    let call = || plugin.call_with(keyed("job 7"), mail());
    let (a, b, c) = tokio::join!(call(), call(), call());
    let repeated: usize = [a, b, c].into_iter().map(|sent| usize::from(sent.unwrap().repeated)).sum();
    assert_eq!((repeated, taken.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_key_stands_for_one_mail_and_one_caller() {
    let (peer, taken) = good_peer();
    let plugin = plugin(peer.port, json!({}));
    plugin.call_with(keyed("job 7"), mail()).await.unwrap();
    let error = plugin.call_with(keyed("job 7"), mail_to(&["eve@example.com"])).await.unwrap_err();
    expect!["conflict: the idempotency key `job 7` was used for another mail: use a new key for a new mail"]
        .assert_eq(&error.to_string());

    let other = CallHeader { caller: Some("scheduler_service".to_owned()), ..keyed("job 7") };
    assert!(!plugin.call_with(other, mail()).await.unwrap().repeated);
    assert_eq!(taken.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_unknown_outcome_is_never_sent_again() {
    let peer = Peer::start(|talk| {
        talk.until("DATA")?;
        talk.mail()
    });
    let plugin = plugin(peer.port, json!({}));
    let first = plugin.call_with(keyed("job 7"), mail()).await.unwrap_err();
    let second = plugin.call_with(keyed("job 7"), mail()).await.unwrap_err();
    assert_eq!(first.kind, ErrorKind::UnknownOutcome);
    assert_eq!(first, second);
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn what_was_certainly_not_sent_may_be_sent_again() {
    let tries = AtomicUsize::new(0);
    let peer = Peer::start(move |talk| {
        if tries.fetch_add(1, Ordering::SeqCst) == 0 {
            return talk.say("421 4.3.2 not now");
        }
        talk.until("DATA")?;
        talk.mail()?;
        talk.say("250 taken")
    });
    let plugin = plugin(peer.port, json!({}));
    assert_eq!(plugin.call_with(keyed("job 7"), mail()).await.unwrap_err().kind, ErrorKind::Unavailable);
    assert!(!plugin.call_with(keyed("job 7"), mail()).await.unwrap().repeated);
}

#[tokio::test]
async fn a_caller_whose_time_ends_learns_the_outcome_by_its_key() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let peer = Peer::start(move |talk| {
        talk.until("DATA")?;
        talk.mail()?;
        released.lock().unwrap().recv().ok()?;
        talk.say("250 taken")
    });
    let plugin = plugin(peer.port, json!({}));
    let hurried = CallHeader { deadline_ms: Some(1_000), ..keyed("job 7") };
    let error = plugin.call_with(hurried, mail()).await.unwrap_err();
    let id = error.details.as_ref().unwrap()["message_id"].as_str().unwrap().to_owned();
    expect!["unknown_outcome: the mail <ID> may have been sent: it was handed over, and the server had not answered when the caller's time ended; look for it before sending it again"].assert_eq(&error.to_string().replace(&id, "<ID>"));

    release.send(()).unwrap();
    let sent = plugin.call_with(keyed("job 7"), mail()).await.unwrap();
    assert_eq!((sent.message_id, sent.repeated), (id, true));
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_before_the_mail_takes_it_along() {
    let (tell, gone) = mpsc::channel();
    let peer = Peer::start(move |talk| {
        talk.until("RCPT")?;
        tell.send("asked").ok()?;
        let next = talk.hear();
        tell.send(if next.is_none() { "gone" } else { "went on" }).ok()
    });
    let plugin = Arc::new(plugin(peer.port, json!({})));
    let caller = plugin.clone();
    let call = tokio::spawn(async move { caller.call_with(keyed("job 7"), mail()).await });
    let (asked, gone) = tokio::task::spawn_blocking(move || (gone.recv(), gone)).await.unwrap();
    assert_eq!(asked.unwrap(), "asked");
    call.abort();
    let told = tokio::task::spawn_blocking(move || gone.recv()).await.unwrap();
    assert_eq!(told.unwrap(), "gone");
}

#[test]
fn the_ledger_remembers_the_newest_keys_and_whatever_may_have_gone() {
    let ledger = Arc::new(Ledger::default());
    let claim = |number: usize| ledger.claim((String::new(), number.to_string()), [0; 32]).unwrap();
    let free = |place: Place| -> Claim {
        let Place::Free(claim) = place else { panic!("the key is taken") };
        claim
    };
    let sent =
        || -> Outcome { Ok(Sent { message_id: String::new(), accepted: Vec::new(), repeated: false }) };
    for number in 0..=CAPACITY {
        let _ = free(claim(number)).settle(sent());
    }
    assert!(matches!(claim(CAPACITY), Place::Taken(_)));
    drop(free(claim(0)));
    drop(free(claim(0)));

    let mut begun = free(claim(0));
    begun.begin(plugin_api::error::OperationError::unknown_outcome("it may have gone"));
    drop(begun);
    assert!(matches!(claim(0), Place::Taken(_)));
}

//! The rules of the ledger, step by step, as memory keeps them; the database keeps the same by its statements.

use super::setup::{identity, sms};
use crate::{
    draft,
    ledger::{CAPACITY, Claim, Entry, Memory, State},
    settings::Config,
    status::{self, StatusReport},
};

const NOW: i64 = 1_800_000_000_000;

fn entry(id: &str, owner: &str) -> Entry {
    let draft = draft::message(&sms("hi"), &Config::default(), &identity(), None).unwrap();
    Entry::new(id.to_owned(), owner.to_owned(), &draft, 1000)
}

fn is_fresh(memory: &Memory, entry: &Entry, now_ms: i64) -> bool {
    matches!(memory.claim(entry, now_ms).unwrap(), Claim::Fresh)
}

#[test]
fn a_claim_holds_until_its_lease_ends() {
    let memory = Memory::default();
    let (first, second) = (entry("e", "first"), entry("e", "second"));
    assert!(is_fresh(&memory, &first, NOW));
    assert!(!is_fresh(&memory, &second, NOW + 999));
    assert!(is_fresh(&memory, &second, NOW + 1000), "nothing was sent");
    assert!(!memory.begin(&first, NOW).unwrap(), "it is no longer the first one's");
    assert!(memory.begin(&second, NOW + 2000).unwrap());
    assert!(!is_fresh(&memory, &first, NOW + 9999), "it may have been sent");
}

#[test]
fn only_what_was_certainly_not_sent_is_free_again() {
    let memory = Memory::default();
    let (first, second) = (entry("e", "first"), entry("e", "second"));
    assert!(is_fresh(&memory, &first, NOW) && memory.begin(&first, NOW + 1000).unwrap());
    memory.not_sent(&first, State::Unknown).unwrap();
    assert!(!is_fresh(&memory, &second, NOW));
    assert_eq!(memory.open_entries(NOW + 9, 10).unwrap().len(), 1);
    assert_eq!(memory.open_entries(NOW + 9, 9).unwrap().len(), 0, "too old to be looked into by itself");
    memory.not_sent(&second, State::Failed).unwrap();
    assert!(!is_fresh(&memory, &second, NOW), "only its owner's word counts");
    memory.not_sent(&first, State::Failed).unwrap();
    assert!(is_fresh(&memory, &second, NOW));
}

#[test]
fn what_was_sent_stays_sent() {
    let memory = Memory::default();
    let first = entry("e", "first");
    assert!(is_fresh(&memory, &first, NOW));
    assert!(!memory.sent("e", "SM1", "queued").unwrap(), "it has not begun");
    assert!(memory.begin(&first, NOW + 1000).unwrap());
    assert!(memory.sent("e", "SM1", "queued").unwrap());
    assert!(!memory.sent("e", "SM2", "queued").unwrap());
    memory.not_sent(&first, State::Failed).unwrap();
    let known = memory.entry("e", NOW).unwrap().unwrap();
    assert_eq!((known.state, known.sid.as_str()), (State::Sent, "SM1"));
    assert_eq!(known.mark, draft::Mark::Body(String::new()), "the text is kept only while it is open");
    assert!(memory.has_sid("SM1").unwrap() && !memory.has_sid("SM2").unwrap());
}

fn undelivered(sid: &str) -> StatusReport {
    let status = "undelivered".to_owned();
    let (sid, step) = (sid.to_owned(), status::step(&status));
    StatusReport { sid, status, step, error_code: Some(30007), to: Some("+1".to_owned()), entry: None }
}

#[test]
fn reports_of_one_moment_are_told_page_by_page_each_once() {
    let memory = Memory::default();
    for sid in ["SM3", "SM1", "SM5", "SM2", "SM4"] {
        memory.record(&undelivered(sid), NOW).unwrap();
    }
    memory.record(&undelivered("SM0"), NOW + 1).unwrap();
    let (mut after, mut pages) = ((0, String::new()), Vec::new());
    loop {
        let page = memory.undelivered(after.0, &after.1, 2).unwrap();
        pages.push(page.messages.iter().map(|report| report.sid.clone()).collect::<Vec<_>>().join(" "));
        match page.messages.last() {
            Some(last) if page.truncated => after = (last.at_ms, last.sid.clone()),
            _ => break,
        }
    }
    assert_eq!(pages, ["SM1 SM2", "SM3 SM4", "SM5 SM0"]);
}

#[test]
fn the_newest_are_kept() {
    let memory = Memory::default();
    for number in 0..=CAPACITY {
        let report = StatusReport {
            sid: number.to_string(),
            status: "sent".to_owned(),
            step: 4,
            error_code: None,
            to: None,
            entry: None,
        };
        memory.record(&report, NOW).unwrap();
    }
    assert!(memory.delivery("0").unwrap().is_none());
    assert!(memory.delivery(&CAPACITY.to_string()).unwrap().is_some());
}

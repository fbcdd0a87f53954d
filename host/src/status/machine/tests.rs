//! Events on one plugin's state machine, and what no sequence of them may lead to.

use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn machine() -> Machine {
    let spec = PluginSpec { probe_interval: Some(INTERVAL), max_attempts: 5, ..PluginSpec::new("twilio") };
    Machine::new(spec, at(0))
}

fn connected() -> Machine {
    let mut machine = machine();
    machine.apply(Event::InitStarted { generation: 1, attempt: 1 }, at(0));
    machine.apply(succeeded_init(), at(1));
    machine
}

fn succeeded_init() -> Event {
    Event::InitSucceeded { took: Duration::from_millis(20) }
}

fn failed_init(failure: Failure, next: Option<i64>) -> Event {
    Event::InitFailed { failure, next_attempt_at: next.map(at) }
}

fn good() -> Event {
    Event::ProbeSucceeded { latency: Duration::from_millis(5) }
}

fn bad(failure: Failure) -> Event {
    Event::ProbeFailed { failure, latency: Duration::from_millis(5) }
}

fn refused() -> Failure {
    Failure::refused("nobody listens")
}

/// Applies the events a second apart, and checks the status after each.
#[track_caller]
fn check(mut machine: Machine, steps: impl IntoIterator<Item = (Event, Status)>) -> Machine {
    for (second, (event, expected)) in steps.into_iter().enumerate() {
        machine.apply(event.clone(), at(10 + second as i64));
        assert_eq!(machine.status, expected, "after {event:?}");
    }
    machine
}

#[test]
fn three_transient_failures_in_a_row_leave_connected_and_two_successes_return() {
    use Status::{Connected, Error};
    let machine = check(
        connected(),
        [
            (bad(refused()), Connected),
            (bad(refused()), Connected),
            (good(), Connected),
            (bad(refused()), Connected),
            (Event::EvidenceFailed { failure: refused() }, Connected),
            (bad(refused()), Error),
            (good(), Error),
            (bad(refused()), Error),
            (good(), Error),
            (Event::EvidenceSucceeded, Connected),
        ],
    );
    assert_eq!(machine.explanation, Explanation::default());
}

#[test]
fn a_wrong_password_acts_at_once() {
    let wrong = Failure::auth_invalid("rejected").setting("auth_token");
    let machine = check(connected(), [(bad(wrong), Status::Error)]);
    assert_eq!(machine.explanation.settings.invalid, ["plugins.twilio.settings.auth_token"]);
}

#[test]
fn what_is_certain_acts_at_once_and_one_success_returns() {
    use Status::{Connected, Error};
    let full = || Failure::unavailable("the disk is full").certain();
    let machine = check(
        connected(),
        [
            (bad(full()), Error),
            (bad(full()), Error),
            (good(), Connected),
            (Event::EvidenceFailed { failure: full() }, Error),
            (Event::EvidenceSucceeded, Connected),
            (bad(full()), Error),
            (bad(refused()), Error),
            (good(), Error),
            (good(), Connected),
        ],
    );
    assert_eq!(machine.explanation, Explanation::default());
}

#[test]
fn consent_waits_for_a_person_and_one_success_returns() {
    use Status::{Connected, Disconnected};
    check(
        connected(),
        [
            (Event::EvidenceFailed { failure: Failure::auth_expired("revoked") }, Disconnected),
            (bad(refused()), Disconnected),
            (bad(refused()), Disconnected),
            (bad(refused()), Disconnected),
            (Event::EvidenceSucceeded, Connected),
        ],
    );
}

#[test]
fn between_attempts_it_stays_initializing_and_tells_why() {
    let mut machine = machine();
    machine.apply(Event::InitStarted { generation: 1, attempt: 1 }, at(1));
    machine.apply(failed_init(refused(), Some(3)), at(2));
    assert_eq!((machine.status, machine.settled), (Status::Initializing, true));
    assert_eq!(machine.retry, Retry { attempt: 1, max_attempts: 5, next_attempt_at: Some(at(3)) });
    assert_eq!(machine.explanation.reason.as_ref().unwrap().message, "nobody listens");

    machine.apply(Event::InitStarted { generation: 1, attempt: 2 }, at(3));
    assert!(machine.explanation.reason.is_some(), "the reason stays while the next attempt runs");
    machine.apply(failed_init(refused(), None), at(4));
    assert_eq!((machine.status, machine.retry.attempt), (Status::Error, 2));
}

#[test]
fn the_policy_of_the_last_attempt_decides() {
    for (failure, expected) in [
        (refused(), Status::Error),
        (Failure::consent_required("not yet"), Status::Disconnected),
        (Failure::config_invalid("no such host"), Status::Error),
        (Failure::internal("panicked"), Status::Error),
    ] {
        let start = Event::InitStarted { generation: 1, attempt: 1 };
        check(machine(), [(start, Status::Initializing), (failed_init(failure, None), expected)]);
    }
}

#[test]
fn an_attempt_to_recover_shows_no_initializing_but_a_new_instance_does() {
    use Status::{Connected, Error, Initializing};
    let again = |generation| Event::InitStarted { generation, attempt: 1 };
    check(
        connected(),
        [
            (bad(Failure::internal("panicked")), Error),
            (again(1), Error),
            (failed_init(refused(), Some(300)), Error),
            (again(1), Error),
            (succeeded_init(), Connected),
            (again(2), Initializing),
            (succeeded_init(), Connected),
        ],
    );
}

#[test]
fn what_arrives_after_the_instance_is_gone_changes_nothing() {
    use Status::{Error, NotConfigured, NotInitialized};
    let missing = Event::NotConfigured { missing: vec!["X".to_owned()], message: None };
    let load_failed = Event::LoadFailed { message: "no library".to_owned(), fix: "Build it".to_owned() };
    let machine = check(
        connected(),
        [
            (Event::Stopped, NotInitialized),
            (good(), NotInitialized),
            (succeeded_init(), NotInitialized),
            (failed_init(refused(), None), NotInitialized),
            (missing, NotConfigured),
            (Event::EvidenceSucceeded, NotConfigured),
            (load_failed, Error),
            (good(), Error),
            (good(), Error),
        ],
    );
    assert_eq!(machine.explanation.reason.unwrap().message, "no library");
}

#[test]
fn no_check_within_three_intervals_is_stale() {
    let mut machine = connected();
    machine.tick(at(181));
    assert!(!machine.stale);
    assert!(machine.tick(at(182)));
    assert!(machine.stale);
    machine.apply(Event::EvidenceSucceeded, at(200));
    assert!(!machine.stale);
}

#[test]
fn a_slow_recovery_is_not_stale_and_without_a_probe_nothing_is() {
    let mut slow = check(connected(), [(bad(Failure::account("suspended")), Status::Error)]);
    slow.apply(Event::NextCheck { at: Some(at(310)) }, at(11));
    slow.tick(at(600));
    assert!(!slow.stale);

    let mut service = Machine::new(PluginSpec::new("memory_service"), at(0));
    service.apply(Event::InitStarted { generation: 1, attempt: 1 }, at(0));
    service.apply(succeeded_init(), at(1));
    service.tick(at(1_000_000));
    assert!(!service.stale);
}

fn failures() -> impl Strategy<Value = Failure> {
    let codes = prop::sample::select(plugin_api::error::ReasonCode::ALL.to_vec());
    (codes, any::<bool>()).prop_map(|(code, certain)| Failure { certain, ..Failure::new(code, "said") })
}

#[test]
fn a_note_changes_no_status_and_ends_with_its_instance() {
    let noted = |note: &str| Event::Noted { notes: vec![note.to_owned()] };
    let mut machine =
        check(connected(), [(noted("two jobs wait"), Status::Connected), (good(), Status::Connected)]);
    assert_eq!(machine.notes, ["two jobs wait"]);
    machine.apply(noted("one job waits"), at(20));
    assert_eq!(machine.notes, ["one job waits"]);
    machine.apply(Event::InitStarted { generation: 2, attempt: 1 }, at(21));
    assert_eq!(machine.notes, [""; 0]);
    machine.apply(noted("one job waits"), at(22));
    machine.apply(Event::Stopped, at(23));
    machine.apply(noted("too late"), at(24));
    assert_eq!(machine.notes, [""; 0]);
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Held { causes: vec!["database".to_owned()] }),
        1 => Just(Event::NotConfigured { missing: vec!["X".to_owned()], message: None }),
        1 => Just(Event::ConfigInvalid { invalid: vec!["X".to_owned()], message: "no".to_owned() }),
        1 => Just(Event::LoadFailed { message: "no".to_owned(), fix: "Build it".to_owned() }),
        1 => Just(Event::Stopped),
        1 => failures().prop_map(|failure| Event::Unsupervised { failure }),
        4 => (1..3_u64, 1..5_u32).prop_map(|(generation, attempt)| Event::InitStarted { generation, attempt }),
        4 => Just(succeeded_init()),
        2 => (failures(), prop::option::of(0..99_i64)).prop_map(|(failure, next)| failed_init(failure, next)),
        8 => Just(good()),
        8 => prop_oneof![Just(refused()), failures()].prop_map(bad),
        2 => Just(Event::EvidenceSucceeded),
        1 => Just(Event::Noted { notes: vec!["two jobs wait".to_owned()] }),
        2 => failures().prop_map(|failure| Event::EvidenceFailed { failure }),
    ]
}

/// What the events since the last transition say of it: failures and successes in a row, and whether the last failure of
/// all was certain.
#[derive(Default)]
struct Row {
    failures: u32,
    successes: u32,
    certain: bool,
}

impl Row {
    fn count(&mut self, event: &Event) {
        match event {
            Event::ProbeSucceeded { .. } | Event::EvidenceSucceeded => {
                (self.failures, self.successes) = (0, self.successes + 1);
            }
            Event::ProbeFailed { failure, .. }
            | Event::EvidenceFailed { failure }
            | Event::InitFailed { failure, .. } => {
                self.successes = 0;
                self.certain = failure.certain;
                let one_of_several = is_transient(failure.policy()) && !failure.certain;
                self.failures = if one_of_several { self.failures + 1 } else { u32::MAX / 2 };
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn any_events_keep_to_the_rules(events in prop::collection::vec(events(), 0..200)) {
        let mut machine = machine();
        let mut row = Row::default();
        for (second, event) in events.into_iter().enumerate() {
            let (before, now) = (machine.status, at(second as i64));
            row.count(&event);
            let transition = machine.apply(event.clone(), now);

            prop_assert_eq!(transition.is_some(), before != machine.status);
            let unexplained = machine.explanation.reason.is_none();
            prop_assert_eq!(machine.explanation.fix.is_none(), unexplained);
            prop_assert!(machine.status != Status::Connected || unexplained);
            let Some(transition) = transition else { continue };
            prop_assert!(before.may_become(machine.status), "{:?}", transition);
            prop_assert_eq!(machine.since, now);
            let history = machine.history.shared();
            prop_assert_eq!(history.last(), Some(&transition));
            let checked = matches!(
                event,
                Event::ProbeSucceeded { .. }
                    | Event::ProbeFailed { .. }
                    | Event::EvidenceSucceeded
                    | Event::EvidenceFailed { .. }
            );
            match (before, machine.status) {
                (Status::Connected, Status::Error) if checked => prop_assert!(row.failures >= 3),
                (Status::Error, Status::Connected) if checked => {
                    prop_assert!(row.certain || row.successes >= 2);
                }
                _ => {}
            }
            row = Row { certain: row.certain, ..Row::default() };
        }
        prop_assert!(machine.history.shared().windows(2).all(|pair| pair[0].to == pair[1].from));
    }
}

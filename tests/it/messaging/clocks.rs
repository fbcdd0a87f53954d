//! Clocks that are stepped while messages are on their way, and hosts whose clocks differ: nothing goes twice, and nobody
//! waits for a moment that no clock can mean.

use libtest_mimic::Trial;
use switchboard_tests::{
    Setup, TestHost,
    partners::{free_port, postgres::Postgres, stepped_clock::SteppedClock},
    trial::Outcome,
    trials,
    wait::wait_until,
};
use tempfile::TempDir;

use super::{
    ACCOUNT, ADA, ASSISTANT, PUBLIC, carrier::Carrier, crowd::Crowd, form, settles, setup_with, start, take,
    unprocessed, wait_for_texts,
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_step_ahead_while_twilio_accepts_sends_one_text_on_sqlite,
        a_step_ahead_while_twilio_accepts_sends_one_text_on_postgresql,
        a_step_back_of_an_hour_strands_no_thread_on_sqlite,
        a_step_back_of_an_hour_strands_no_thread_on_postgresql,
        two_hosts_five_minutes_apart_send_nothing_twice_and_take_nothing_away,
    ]
}

const BOB: &str = "+15550000002";
const HOUR: i64 = 3600;

/// A host that speaks to this carrier. OpenAI is away, which keeps nobody from remembering.
fn of(carrier: &Carrier) -> Setup {
    let nobody = format!("127.0.0.1:{}", free_port());
    setup_with(carrier.address(), &nobody, PUBLIC, ASSISTANT)
}

fn on_sqlite(check: fn(&Carrier, &SteppedClock, TestHost) -> Outcome) -> Outcome {
    let (folder, carrier) = (TempDir::new().expect("a folder can be made"), Carrier::start(ACCOUNT));
    let clock = SteppedClock::new(folder.path())?;
    check(&carrier, &clock, start(clock.of_host(of(&carrier))))
}

/// The clock of the database is not stepped.
fn on_postgresql(check: fn(&Carrier, &SteppedClock, TestHost) -> Outcome) -> Outcome {
    let (folder, carrier) = (TempDir::new().expect("a folder can be made"), Carrier::start(ACCOUNT));
    let (clock, postgres) = (SteppedClock::new(folder.path())?, Postgres::start()?);
    let setup = of(&carrier).env("DATABASE_URL", &postgres.url());
    check(&carrier, &clock, start(clock.of_host(setup)))
}

fn a_step_ahead_while_twilio_accepts_sends_one_text_on_sqlite() -> Outcome {
    on_sqlite(a_step_ahead_while_twilio_accepts_sends_one_text)
}

fn a_step_ahead_while_twilio_accepts_sends_one_text_on_postgresql() -> Outcome {
    on_postgresql(a_step_ahead_while_twilio_accepts_sends_one_text)
}

/// More than all leases, and more than the two minutes after which what Twilio does not have was not sent.
fn a_step_ahead_while_twilio_accepts_sends_one_text(
    carrier: &Carrier,
    clock: &SteppedClock,
    host: TestHost,
) -> Outcome {
    let release = carrier.hold();
    take(&host, &form("SM1", ADA, "one", &[]))?;
    wait_until("Twilio to be asked", || carrier.is_holding(), |holding| *holding);
    clock.step_to(130);
    // The host works on, and sees what its clock says.
    for number in 2..5 {
        take(&host, &form(&format!("SM{number}"), BOB, "hello", &[]))?;
        wait_until("an answer to the other one", || carrier.count(), |count| *count == number - 1);
    }
    release.send(()).expect("it is being held");
    settles(&host);
    let mut to: Vec<_> = carrier.taken().into_iter().map(|(to, _)| to).collect();
    to.sort();
    assert_eq!(to, [ADA, BOB, BOB, BOB]);
    assert_eq!(unprocessed(&host)["failed"], 0, "{}", unprocessed(&host));
    Ok(())
}

fn a_step_back_of_an_hour_strands_no_thread_on_sqlite() -> Outcome {
    on_sqlite(a_step_back_of_an_hour_strands_no_thread)
}

fn a_step_back_of_an_hour_strands_no_thread_on_postgresql() -> Outcome {
    on_postgresql(a_step_back_of_an_hour_strands_no_thread)
}

fn a_step_back_of_an_hour_strands_no_thread(
    carrier: &Carrier,
    clock: &SteppedClock,
    host: TestHost,
) -> Outcome {
    clock.step_to(HOUR);
    carrier.set_busy(true);
    take(&host, &form("SM1", ADA, "one", &[]))?;
    let attempts = || unprocessed(&host)["messages"][0]["attempts"].as_u64().unwrap_or(0);
    wait_until("an answer that waits", attempts, |attempts| *attempts >= 1);
    clock.step_to(0);
    carrier.set_busy(false);
    take(&host, &form("SM2", ADA, "two", &[]))?;
    wait_for_texts(carrier, &["re: one (0 said before)", "re: two (2 said before)"]);
    settles(&host);
    Ok(())
}

fn two_hosts_five_minutes_apart_send_nothing_twice_and_take_nothing_away() -> Outcome {
    let (folder, carrier) = (TempDir::new().expect("a folder can be made"), Carrier::start(ACCOUNT));
    let (clock, postgres) = (SteppedClock::new(folder.path())?, Postgres::start()?);
    let crowd = Crowd::new(20, 5)?;
    clock.step_to(300);
    let setup = || of(&carrier).env("DATABASE_URL", &postgres.url());
    let (right, fast) = (start(setup()), start(clock.of_host(setup())));
    crowd.deliver(&[right.address().to_owned(), fast.address().to_owned()], 0..5);
    crowd.is_answered_once_and_in_order(&carrier, || unprocessed(&right));

    let release = carrier.hold();
    take(&right, &form("SM1", "+15559990001", "one", &[]))?;
    wait_until("Twilio to be asked", || carrier.is_holding(), |holding| *holding);
    let owner = || {
        postgres.query(
            "select owner from messaging_service_lanes
            where direction = 'out' and person = '+15559990001' and lease_ms > 0",
        )
    };
    let before = owner();
    assert!(!before.is_empty(), "it is at work");
    // Both look for work meanwhile.
    for (number, host) in [(2, &fast), (3, &right)] {
        take(host, &form(&format!("SM{number}"), &format!("+1555999000{number}"), "more", &[]))?;
    }
    wait_until("the answers to others", || carrier.count(), |count| *count == 102);
    assert_eq!(owner(), before, "somebody took it away");
    release.send(()).expect("it is being held");
    wait_until("the held answer", || carrier.count(), |count| *count == 103);
    settles(&right);
    assert_eq!((carrier.count(), unprocessed(&fast)["failed"].as_u64()), (103, Some(0)));
    Ok(())
}

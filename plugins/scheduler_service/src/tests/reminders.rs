//! A reminder follows its event, and is gone with it.

use jiff::{Timestamp, ToSpan};
use plugin_api::{
    prelude::*,
    requests::scheduler::{Job, JobState},
    serde_json::{Value, json},
    tokio,
};

use super::setup::{ADA, Instance, World, of, try_schedule, wait_for, wait_until};

/// The event, so many seconds from now.
fn kickoff(seconds: i64) -> Value {
    let start = Timestamp::now().checked_add(seconds.seconds()).unwrap();
    json!({ "id": "e1", "calendar": "primary", "status": "confirmed", "title": "Kickoff", "start": start.to_string(),
        "location": "Room 3" })
}

/// Ten minutes before the event.
async fn remind(plugin: &Instance) -> Result<Job, OperationError> {
    let request = json!({ "message": { "text": "" }, "before_event": { "event": "e1", "minutes": 10 } });
    try_schedule(plugin, of(ADA), request).await.map(|scheduled| scheduled.job)
}

fn start_of(event: &Value) -> i64 {
    event["start"].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond()
}

#[tokio::test]
async fn it_follows_its_event_and_is_sent_once() {
    let world = World::new();
    let (tomorrow, the_day_after) = (kickoff(86_400), kickoff(2 * 86_400));
    world.event(Some(tomorrow.clone()));
    let plugin = world.start(json!({ "time_zone": "Europe/Berlin" })).await;
    let job = remind(&plugin).await.unwrap();
    assert_eq!(job.rule, "10 minutes before event e1");
    assert_eq!(job.next_ms, Some(start_of(&tomorrow) - 600_000));
    world.event(Some(the_day_after.clone()));
    let moment = start_of(&the_day_after) - 600_000;
    wait_until("its moment", || {
        world.database.number("select fire_ms from scheduler_service_jobs") == moment
    })
    .await;
    assert!(world.calls("messaging_service").is_empty());

    let soon = kickoff(300);
    world.event(Some(soon.clone()));
    wait_for(&plugin, &job.id, JobState::Done).await;
    let calls = world.calls("messaging_service");
    assert_eq!(calls.len(), 1);
    let local = Timestamp::from_millisecond(start_of(&soon)).unwrap().in_tz("Europe/Berlin").unwrap();
    let text = format!("Reminder: Kickoff, {}, Room 3", local.strftime("%Y-%m-%d %H:%M"));
    assert_eq!((calls[0].1["text"].as_str(), calls[0].0.person.as_deref()), (Some(text.as_str()), Some(ADA)));
    assert_eq!(calls[0].1["origin"], "calendar", "whoever sent the invitation wrote the title");
}

#[tokio::test]
async fn a_repeat_says_the_same_though_the_event_was_renamed() {
    let world = World::new();
    let renamed = world.clone();
    world.event(Some(kickoff(300)));
    world.answers("messaging_service", move |number| match number {
        1 => {
            let mut event = kickoff(300);
            event["title"] = "Renamed".into();
            event["start"] = renamed.event_start();
            renamed.event(Some(event));
            Err(OperationError::deadline("no answer in time"))
        }
        _ => Ok(super::setup::sent()),
    });
    let plugin = world.start(json!({})).await;
    let job = remind(&plugin).await.unwrap();
    wait_for(&plugin, &job.id, JobState::Done).await;
    let calls = world.calls("messaging_service");
    let [first, second] = calls.as_slice() else { panic!("called {} times", calls.len()) };
    assert_eq!((&first.0.idempotency_key, &first.1), (&second.0.idempotency_key, &second.1));
}

#[tokio::test]
async fn it_is_gone_with_its_event() {
    let cancelled = json!({ "id": "e1", "calendar": "primary", "status": "cancelled" });
    for (event, why) in [(None, "its event is gone"), (Some(cancelled), "its event was cancelled")] {
        let world = World::new();
        world.event(Some(kickoff(86_400)));
        let plugin = world.start(json!({})).await;
        let job = remind(&plugin).await.unwrap();
        world.event(event);
        let job = wait_for(&plugin, &job.id, JobState::Cancelled).await;
        assert_eq!(job.trouble.as_deref(), Some(why));
        assert!(world.calls("messaging_service").is_empty());
    }
}

#[tokio::test]
async fn without_the_calendar_it_waits_and_a_begun_event_is_not_announced() {
    let world = World::new();
    world.event(Some(kickoff(86_400)));
    let plugin = world.start(json!({})).await;
    let job = remind(&plugin).await.unwrap();
    world.status("google_calendar", "disconnected");
    let now = Timestamp::now().as_millisecond();
    let due = format!("update scheduler_service_jobs set fire_ms = {}, due_ms = {now}", now - 1000);
    wait_until("its moment", || {
        world.database.run(&due);
        world.database.number("select count(*) from scheduler_service_jobs where state = 'parked'") == 1
    })
    .await;
    let parked = wait_for(&plugin, &job.id, JobState::Parked).await;
    assert_eq!(parked.waits_for.as_deref(), Some("google_calendar"));
    world.event(Some(kickoff(-5)));
    world.status("google_calendar", "connected");
    let missed = wait_for(&plugin, &job.id, JobState::Missed).await;
    assert_eq!(missed.last.unwrap().error.as_deref(), Some("its event began before it could be sent"));
    assert!(world.calls("messaging_service").is_empty());
}

#[tokio::test]
async fn an_event_that_cannot_be_waited_for_is_refused() {
    let world = World::new();
    world.event(Some(kickoff(-60)));
    let plugin = world.start(json!({})).await;
    let error = remind(&plugin).await.unwrap_err();
    assert!(error.to_string().starts_with("invalid: event `e1` began at "), "{error}");
    let mut repeated = kickoff(86_400);
    repeated["recurrence"] = json!(["RRULE:FREQ=WEEKLY"]);
    world.event(Some(repeated));
    let error = remind(&plugin).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid: event `e1` repeats: give the id of one occurrence, as `google_calendar.list_events` tells it"
    );
    let without = world.start_without(&["google_calendar"], json!({})).await;
    let error = remind(&without).await.unwrap_err();
    assert_eq!(error.to_string(), "unavailable: plugins.toml does not name `google_calendar`");
}

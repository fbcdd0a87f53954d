//! Hosts that go away at any moment: what they had claimed is done by others, what they had begun is repeated only where
//! that is harmless, and what cannot be decided is shown.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use plugin_api::{
    error::OperationError,
    process,
    requests::scheduler::{Cancel, Job, JobState, ListDeadLetters},
    serde_json::{Value, json},
    tokio,
};

use super::setup::{ADA, Instance, World, fetch, schedule, wait_for, wait_until};

/// A job whose moment has not come.
async fn waiting(plugin: &Instance, task: Value) -> Job {
    let mut request = task;
    request["at"] = "2150-01-01T00:00:00Z".into();
    schedule(plugin, request).await
}

fn message() -> Value {
    json!({ "message": { "to": ADA, "text": "hello" } })
}

fn email() -> Value {
    json!({ "email": { "to": ["ada@example.com"], "subject": "Hello", "text": "Hello" } })
}

/// As a host leaves a job behind that was killed, and whose lease has ended.
fn leave(world: &World, begun: bool) {
    let now = jiff::Timestamp::now().as_millisecond();
    let begun = i64::from(begun);
    world.database.run(&format!(
        "update scheduler_service_jobs set owner = 'gone', begun = {begun}, attempts = {begun}, fire_ms = {now}, due_ms = {now}"
    ));
}

#[tokio::test]
async fn what_was_only_claimed_is_done_by_another() {
    let world = World::new();
    let plugin = world.start(json!({})).await;
    let job = waiting(&plugin, email()).await;
    leave(&world, false);
    wait_for(&plugin, &job.id, JobState::Done).await;
    assert_eq!(world.calls("smtp").len(), 1);
}

#[tokio::test]
async fn what_was_begun_is_repeated_where_keys_are_honoured() {
    let world = World::new();
    let plugin = world.start(json!({})).await;
    let job = waiting(&plugin, message()).await;
    leave(&world, true);
    let fire = world.database.number("select fire_ms from scheduler_service_jobs");
    wait_for(&plugin, &job.id, JobState::Done).await;
    let [(header, _)] = &world.calls("messaging_service")[..] else { panic!("not once") };
    assert_eq!(header.idempotency_key, Some(format!("scheduler_service:{}:{fire}", job.id)));
}

#[tokio::test]
async fn what_was_begun_is_shown_where_they_are_not() {
    let world = World::new();
    let plugin = world.start(json!({})).await;
    let job = waiting(&plugin, email()).await;
    leave(&world, true);
    wait_for(&plugin, &job.id, JobState::UnknownOutcome).await;
    assert!(world.calls("smtp").is_empty());
    let letter = plugin.call(ListDeadLetters::default()).await.unwrap().dead_letters.remove(0);
    assert_eq!(
        (letter.outcome.as_str(), letter.error.as_str()),
        ("unknown_outcome", "a host began it and was lost before it recorded the outcome")
    );
}

#[tokio::test]
async fn what_was_cancelled_while_it_was_begun_is_not_repeated() {
    let world = World::new();
    let plugin = world.start(json!({})).await;
    let job = waiting(&plugin, message()).await;
    world.database.run("update scheduler_service_jobs set owner = 'gone', begun = 1, attempts = 1");
    assert_eq!(plugin.call(Cancel { id: job.id.clone() }).await.unwrap().state, JobState::Running);
    world.database.run("update scheduler_service_jobs set due_ms = 1");
    wait_until("a letter", || {
        world
            .database
            .number("select count(*) from scheduler_service_letters where outcome = 'unknown_outcome'")
            == 1
    })
    .await;
    assert!(world.calls("messaging_service").is_empty());
    assert!(fetch(&plugin, &job.id).await.state.is_over());
}

#[tokio::test]
async fn a_job_that_takes_hosts_with_it_ends() {
    let world = World::new();
    let plugin = world.start(json!({ "attempts": 2 })).await;
    let job = waiting(&plugin, message()).await;
    leave(&world, true);
    world.database.run("update scheduler_service_jobs set attempts = 2 where begun = 1");
    wait_until("an end", || {
        world.database.number("select count(*) from scheduler_service_jobs where ended_ms is not null") == 1
    })
    .await;
    assert!(fetch(&plugin, &job.id).await.state.is_over());
}

#[tokio::test]
async fn a_lease_that_no_clock_can_mean_ends() {
    let world = World::new();
    let first = world.start(json!({})).await;
    let job = waiting(&first, email()).await;
    first.stop().await.unwrap();
    drop(first);
    let now = jiff::Timestamp::now().as_millisecond();
    world.database.run(&format!(
        "update scheduler_service_jobs set owner = '{}other', fire_ms = {now}, wait_ms = 30000, due_ms = {}",
        process::name(),
        now + 3_600_000
    ));
    let second = world.start(json!({})).await;
    wait_for(&second, &job.id, JobState::Done).await;
}

/// The clock was put back by an hour while a job waited for its next attempt. One whose moment a person chose stays.
#[tokio::test]
async fn a_pause_that_no_clock_can_mean_ends() {
    let world = World::new();
    world.answers("smtp", |number| match number {
        1 => Err(OperationError::unavailable("busy").retry_after(Duration::from_secs(600))),
        _ => Ok(json!({})),
    });
    let plugin = world.start(json!({})).await;
    let (job, later) = (waiting(&plugin, email()).await, waiting(&plugin, message()).await);
    let now = jiff::Timestamp::now().as_millisecond();
    let due =
        format!("update scheduler_service_jobs set fire_ms = {now}, due_ms = {now} where id = '{}'", job.id);
    world.database.run(&due);
    wait_for(&plugin, &job.id, JobState::Retrying).await;
    world.database.run("update scheduler_service_jobs set due_ms = due_ms + 3600000");
    wait_until("another attempt", || world.calls("smtp").len() == 2).await;
    assert_eq!(fetch(&plugin, &later.id).await.state, JobState::Waiting);
}

/// On SQLite there is no other process, and nobody waits for the lease of one.
#[tokio::test]
async fn the_lease_of_a_process_that_is_gone_ends_at_once() {
    let world = World::new();
    let first = world.start(json!({ "lease": "10m" })).await;
    let job = waiting(&first, email()).await;
    first.stop().await.unwrap();
    let now = jiff::Timestamp::now().as_millisecond();
    world.database.run(&format!(
        "update scheduler_service_jobs set owner = 'gone', fire_ms = {now}, due_ms = {}",
        now + 10 * 60_000
    ));
    let second = world.start(json!({ "lease": "10m" })).await;
    wait_for(&second, &job.id, JobState::Done).await;
}

/// The lease of a job that takes long is over: the host that is at it does not claim it again, but another one does.
/// From then on nothing that the first claim writes counts.
#[tokio::test]
async fn a_claim_that_was_overtaken_writes_nothing() {
    let world = World::new();
    let (first, held_first) = mpsc::channel::<()>();
    let (second, held_second) = mpsc::channel::<()>();
    let held = Mutex::new([held_first, held_second].into_iter());
    world.answers("messaging_service", move |number| {
        let held = held.lock().unwrap().next().expect("two are done");
        // Released or gone, it goes on.
        let _ = tokio::task::block_in_place(|| held.recv());
        match number {
            1 => Err(OperationError::invalid("no such number")),
            _ => Ok(json!({ "id": "m", "state": "sent", "to": ADA, "channel": "sms", "parts": [], "repeated": false })),
        }
    });
    // Not renewed while the test runs.
    let plugin = world.start(json!({ "lease": "10m" })).await;
    let job = waiting(&plugin, message()).await;
    let now = jiff::Timestamp::now().as_millisecond();
    let due = format!("update scheduler_service_jobs set fire_ms = {now}, due_ms = {now}");
    world.database.run(&due);
    wait_until("the first claim", || world.calls("messaging_service").len() == 1).await;
    let claim = format!("select owner from scheduler_service_jobs where id = '{}'", job.id);
    let owner = world.database.run(&claim).rows;
    world.database.run("update scheduler_service_jobs set due_ms = 0");
    // It claims what is due, and would claim this one first.
    let behind = waiting(&plugin, email()).await;
    world.database.run(&format!("{due} where id = '{}'", behind.id));
    wait_for(&plugin, &behind.id, JobState::Done).await;
    assert_eq!(world.database.run(&claim).rows, owner);
    let other = world.start(json!({})).await;
    wait_until("the second claim", || world.calls("messaging_service").len() == 2).await;
    first.send(()).unwrap();
    let is_told = || plugin.logs().iter().any(|log| log.message.contains("another claim took the job over"));
    wait_until("what the first claim wrote is refused", is_told).await;
    second.send(()).unwrap();
    wait_for(&other, &job.id, JobState::Done).await;
}

#[tokio::test]
async fn several_hosts_do_each_job_once() {
    let world = World::new();
    let hosts = [world.start(json!({})).await, world.start(json!({})).await, world.start(json!({})).await];
    let mut jobs = Vec::new();
    for number in 0..60 {
        jobs.push(waiting(&hosts[number % 3], if number % 2 == 0 { email() } else { message() }).await);
    }
    let now = jiff::Timestamp::now().as_millisecond();
    world.database.run(&format!("update scheduler_service_jobs set fire_ms = {now}, due_ms = {now}"));
    for job in &jobs {
        wait_for(&hosts[0], &job.id, JobState::Done).await;
    }
    assert_eq!((world.calls("smtp").len(), world.calls("messaging_service").len()), (30, 30));
}

#[tokio::test]
async fn what_was_done_while_the_database_was_away_is_written_when_it_is_back() {
    let world = World::new();
    let away = world.clone();
    world.answers("smtp", move |_| {
        away.database.set_down(true);
        Ok(json!({"message_id": "<1@x>", "accepted": [], "repeated": false}))
    });
    let plugin = world.start(json!({})).await;
    let job = waiting(&plugin, email()).await;
    let now = jiff::Timestamp::now().as_millisecond();
    world.database.run(&format!("update scheduler_service_jobs set fire_ms = {now}, due_ms = {now}"));
    wait_until("the mail", || world.calls("smtp").len() == 1).await;
    wait_until("a warning", || plugin.logs().iter().any(|log| log.message.contains("cannot be written yet")))
        .await;
    world.database.set_down(false);
    wait_for(&plugin, &job.id, JobState::Done).await;
    assert_eq!(world.calls("smtp").len(), 1);
}

#[tokio::test]
async fn what_was_done_after_all_is_cleared_up() {
    let world = World::new();
    let other = world.clone();
    // While it works, another host takes it for gone.
    world.answers("smtp", move |_| {
        other.database.run("update scheduler_service_jobs set owner = 'other'");
        Ok(json!({"message_id": "<1@x>", "accepted": [], "repeated": false}))
    });
    let plugin = world.start(json!({})).await;
    let job = waiting(&plugin, email()).await;
    let now = jiff::Timestamp::now().as_millisecond();
    world.database.run(&format!(
        "insert into scheduler_service_letters (id, job, person, title, does, task, zone, outcome, fire_ms, at_ms, attempts, error)
        values ('l', '{}', '', '', 'email', '{{}}', 'UTC', 'unknown_outcome', {now}, 1, 1, '')",
        job.id
    ));
    world.database.run(&format!("update scheduler_service_jobs set fire_ms = {now}, due_ms = {now}"));
    wait_until("no letter", || world.database.number("select count(*) from scheduler_service_letters") == 0)
        .await;
}

//! What a job needs is not there: it waits, that is said, and it goes on by itself.

use plugin_api::{
    prelude::*,
    requests::{
        host::NotInService,
        scheduler::{JobState, List, Overview},
    },
    serde_json::json,
    tokio,
};

use super::setup::{World, email, message, schedule, wait_for, wait_until};

#[tokio::test]
async fn a_job_is_parked_and_goes_on_by_itself() {
    let world = World::new();
    world.status("smtp", "not_configured");
    let plugin = world.start(json!({})).await;
    let job = schedule(&plugin, email()).await;
    let parked = wait_for(&plugin, &job.id, JobState::Parked).await;
    assert_eq!((parked.waits_for.as_deref(), parked.attempts), (Some("smtp"), 0));
    assert_eq!(parked.next_ms, job.next_ms, "its moment is still the same");
    wait_until("a note", || !world.notes().is_empty()).await;
    assert_eq!(world.notes(), ["1 job is parked, waiting for `smtp`, which is `not_configured`"]);
    let overview = plugin.call(Overview {}).await.unwrap();
    assert_eq!(overview.parked, [("smtp".to_owned(), 1)].into());
    let listed = plugin.call(List { parked: true, ..List::default() }).await.unwrap();
    assert_eq!(listed.jobs.len(), 1);

    world.status("smtp", "connected");
    wait_for(&plugin, &job.id, JobState::Done).await;
    assert_eq!(world.calls("smtp").len(), 1);
    wait_until("no note", || world.notes().is_empty()).await;
}

#[tokio::test]
async fn what_is_not_named_is_waited_for_across_restarts() {
    let world = World::new();
    let plugin = world.start_without(&["messaging_service"], json!({})).await;
    let jobs = [schedule(&plugin, message("one")).await, schedule(&plugin, message("two")).await];
    for job in &jobs {
        wait_for(&plugin, &job.id, JobState::Parked).await;
    }
    wait_until("a note", || {
        world.notes()
            == ["2 jobs are parked, waiting for `messaging_service`, which plugins.toml does not name"]
    })
    .await;
    plugin.stop().await.unwrap();
    drop(plugin);
    let plugin = world.start(json!({})).await;
    for job in &jobs {
        wait_for(&plugin, &job.id, JobState::Done).await;
    }
    assert_eq!(world.calls("messaging_service").len(), 2);
}

#[tokio::test]
async fn an_outage_parks_what_it_began_with() {
    let world = World::new();
    let outage = world.clone();
    world.answers("smtp", move |number| match number {
        1 => {
            outage.status("smtp", "error");
            Err(OperationError::unavailable("the server is gone"))
        }
        _ => Ok(json!({"message_id": "<1@x>", "accepted": [], "repeated": false})),
    });
    let plugin = world.start(json!({})).await;
    let job = schedule(&plugin, email()).await;
    let parked = wait_for(&plugin, &job.id, JobState::Parked).await;
    assert_eq!(parked.attempts, 1);
    world.status("smtp", "connected");
    wait_for(&plugin, &job.id, JobState::Done).await;
}

/// The host has not told yet that it is restarted: the call finds out, and is no attempt.
#[tokio::test]
async fn a_job_waits_for_a_plugin_that_is_being_restarted() {
    let world = World::new();
    world.answers("smtp", |number| {
        if number <= 5 {
            let told = NotInService { plugin: "smtp".to_owned(), status: "initializing".to_owned() };
            return Err(told.into());
        }
        Ok(json!({"message_id": "<1@x>", "accepted": [], "repeated": false}))
    });
    let plugin = world.start(json!({ "attempts": 1 })).await;
    let job = schedule(&plugin, email()).await;
    wait_for(&plugin, &job.id, JobState::Done).await;
    assert_eq!(world.calls("smtp").len(), 6);
}

#[tokio::test]
async fn what_was_parked_for_too_long_is_missed() {
    let world = World::new();
    world.status("smtp", "error");
    let plugin = world.start(json!({ "late": "1h" })).await;
    let job = schedule(&plugin, email()).await;
    wait_for(&plugin, &job.id, JobState::Parked).await;
    world.database.run("update scheduler_service_jobs set fire_ms = fire_ms - 7200000");
    world.status("smtp", "connected");
    wait_for(&plugin, &job.id, JobState::Missed).await;
    assert!(world.calls("smtp").is_empty());
}

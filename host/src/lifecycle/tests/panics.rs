//! A panic in a supervisor itself: its plugin's status stays true, and it is looked after again.

use super::*;

fn probe(steps_of_probe: impl IntoIterator<Item = Step>) -> Script {
    Script { probe: steps(steps_of_probe), ..Script::default() }
}

fn panics(snapshot: &Snapshot) -> u64 {
    snapshot.panics.get("supervisor").map_or(0, |panics| panics.count)
}

#[tokio::test(start_paused = true)]
async fn after_one_panic_the_same_instance_is_looked_at_again_at_once() {
    let world = World::default().plugin("mail", &[], probe([Step::Panic])).start();
    world.until("told", |snapshot| panics(snapshot) == 1).await;
    let panicked = world.began.elapsed();
    world.until("probed again", |_| world.count("probe mail") == 2).await;
    assert!(world.began.elapsed() < panicked + SECOND);
    world.lifecycle.verify("mail").await.unwrap();
    let snapshot = world.board.snapshot();
    let mail = snapshot.plugin("mail").unwrap();
    assert_eq!((mail.status, mail.generation, world.count("init mail")), (Status::Connected, 1, 1));
    assert!(snapshot.notes()[0].contains("`supervisor` of `mail`"), "{:?}", snapshot.notes());
    world.lifecycle.stop(SECOND).await;
    assert_eq!((world.count("probe mail"), world.count("stop mail")), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn after_two_in_a_row_it_is_in_error_and_a_fresh_instance_takes_over() {
    let world = World::default().plugin("mail", &[], probe([Step::Panic, Step::Panic])).start();
    let failed = world.until_status("mail", Status::Error).await;
    let reason = failed.plugin("mail").unwrap().reason.clone().unwrap();
    assert_eq!(reason.code, ReasonCode::Internal, "{reason:?}");
    let mended = world.until_status("mail", Status::Connected).await;
    assert_eq!((mended.plugin("mail").unwrap().generation, panics(&mended)), (2, 2));
    assert_eq!((world.count("init mail"), world.count("stop mail")), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_on_panicking_is_tried_more_and_more_slowly() {
    let world = World::default().plugin("mail", &[], probe(vec![Step::Panic; 10])).start();
    world.until("ten panics", |snapshot| panics(snapshot) == 10).await;
    // The second one waits for one second, the tenth for 256.
    assert!(world.began.elapsed() > 255 * SECOND);
    world.until("a fresh one", |snapshot| snapshot.plugin("mail").unwrap().generation == 10).await;
    world.until("probed", |_| world.count("probe mail") == 11).await;
    assert_eq!(world.board.snapshot().plugin("mail").unwrap().status, Status::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_it_is_up_keeps_nobody_from_starting() {
    let world = World::default()
        .plugin("mail", &[], init(vec![Step::Panic; 5]))
        .plugin("letters", &["mail"], Script::default())
        .start();
    world.until("settled", |snapshot| snapshot.settled && panics(snapshot) < 5).await;
    world.until_status("letters", Status::Connected).await;
    let mended = world.until_status("mail", Status::Connected).await;
    assert_eq!(panics(&mended), 5);
    assert!(mended.plugin("letters").unwrap().healthy);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_its_stop_ends_the_stop_all_the_same() {
    let script = Script { stop: steps([Step::Panic]), ..Script::default() };
    let world = World::default().plugin("mail", &[], script).start();
    world.until_status("mail", Status::Connected).await;
    world.lifecycle.stop(SECOND).await;
    assert_eq!(world.board.snapshot().plugin("mail").unwrap().status, Status::NotInitialized);
}

//! What is forgotten is gone from every table; what is not stays.

use expect_test::expect;
use plugin_api::{
    requests::memory::{AddTurn, Forget, Forgotten, ReadThread, Remember, Summarise},
    tokio,
};

use super::setup::{ADA, BOB, World, texts, turn};

const SECRET: &str = "xylophone";

async fn told() -> (World, Vec<String>) {
    let world = World::start().await;
    let mut ids = Vec::new();
    ids.push(
        world
            .ask(ADA, Remember { text: format!("Ada plays the {SECRET}"), tags: vec![SECRET.to_owned()] })
            .await
            .expect("kept")
            .id,
    );
    ids.push(
        world
            .ask(ADA, AddTurn { at_ms: Some(1000), ..turn(&format!("my {SECRET} is broken")) })
            .await
            .expect("kept")
            .id,
    );
    ids.push(world.ask(ADA, AddTurn { at_ms: Some(2000), ..turn("I have a dog") }).await.expect("kept").id);
    world.ask(BOB, turn("I have a dog, too")).await.expect("kept");
    world.embedded().await;
    assert!(world.database.holds(SECRET));
    (world, ids)
}

async fn forget(world: &World, request: Forget) -> Forgotten {
    world.ask(ADA, request).await.expect("it is deleted")
}

fn rows(world: &World, table: &str) -> i64 {
    world.database.number(&format!("select count(*) from memory_service_{table}"))
}

#[tokio::test]
async fn by_id() {
    let (world, ids) = told().await;
    let gone = forget(&world, Forget { ids: ids[..2].to_vec(), ..Forget::default() }).await;
    assert_eq!(gone, Forgotten { facts: 1, turns: 1 });
    assert!(!world.database.holds(SECRET));
    assert_eq!((rows(&world, "vectors"), rows(&world, "bits"), rows(&world, "words")), (2, 2, 2));
    let found = world.recall(ADA, &format!("{SECRET} dog")).await;
    assert_eq!(texts(&found.memories), ["I have a dog"]);
    let again = world.ask(ADA, Forget { ids: ids[..1].to_vec(), ..Forget::default() }).await;
    expect!["not_found: the person has no such memory: `recall` tells the ids"]
        .assert_eq(&again.expect_err("it is gone").to_string());
}

#[tokio::test]
async fn nobody_deletes_another_ones() {
    let (world, ids) = told().await;
    let refused = world.ask(BOB, Forget { ids, ..Forget::default() }).await.expect_err("they are Ada's");
    assert_eq!(refused.kind.as_str(), "not_found");
    assert_eq!(rows(&world, "memories"), 4);
    world.ask(BOB, Forget { everything: true, ..Forget::default() }).await.expect("his own");
    assert_eq!((rows(&world, "memories"), rows(&world, "people")), (3, 1));
}

#[tokio::test]
async fn by_time() {
    let (world, _) = told().await;
    let until = Forget { since_ms: Some(1000), until_ms: Some(2000), ..Forget::default() };
    assert_eq!(forget(&world, until).await, Forgotten { facts: 0, turns: 1 });
    let since = Forget { since_ms: Some(2001), ..Forget::default() };
    assert_eq!(forget(&world, since).await, Forgotten { facts: 1, turns: 0 });
    assert!(!world.database.holds(SECRET));
    let thread = world.ask(ADA, ReadThread::default()).await.expect("read");
    assert_eq!(thread.turns.iter().map(|turn| turn.text.as_str()).collect::<Vec<_>>(), ["I have a dog"]);
}

#[tokio::test]
async fn everything_and_the_person() {
    let (world, _) = told().await;
    let gone = forget(&world, Forget { everything: true, ..Forget::default() }).await;
    assert_eq!(gone, Forgotten { facts: 1, turns: 2 });
    assert!(!world.database.holds(SECRET) && !world.database.holds(ADA));
    let tables = ["memories", "vectors", "bits", "words", "people"].map(|table| rows(&world, table));
    assert_eq!((tables, rows(&world, "pending")), ([1, 1, 1, 1, 1], 0));
    assert_eq!(
        forget(&world, Forget { everything: true, ..Forget::default() }).await,
        Forgotten { facts: 0, turns: 0 }
    );
    world.say(ADA, "hello again").await;
    assert_eq!(rows(&world, "people"), 2);
}

#[tokio::test]
async fn more_than_one_batch() {
    let (world, _) = told().await;
    for number in 0..1100 {
        world.say(ADA, &format!("{SECRET} {number}")).await;
    }
    let gone = forget(&world, Forget { everything: true, ..Forget::default() }).await;
    assert_eq!(gone, Forgotten { facts: 1, turns: 1102 });
    assert!(!world.database.holds(SECRET));
}

#[tokio::test]
async fn in_one_way_only() {
    let (world, ids) = told().await;
    for request in [Forget::default(), Forget { ids, everything: true, ..Forget::default() }] {
        let refused = world.ask(ADA, request).await.expect_err("it is not clear");
        expect!["invalid: say what to forget in one way: `ids`, a time by `since_ms` and `until_ms`, or `everything`"]
            .assert_eq(&refused.to_string());
    }
}

#[tokio::test]
async fn a_summary_goes_with_what_it_was_made_from() {
    let (world, ids) = told().await;
    for number in 0..200 {
        world
            .ask(ADA, AddTurn { at_ms: Some(5000 + number), ..turn("we talk about the weather") })
            .await
            .expect("kept");
    }
    let request = Summarise { token_budget: Some(400) };
    assert_ne!(world.ask(ADA, request.clone()).await.expect("summed up").summarised_turns, 0);
    assert_eq!(rows(&world, "summaries"), 1);
    // The newest turn is in no summary.
    let thread = world.ask(ADA, ReadThread { limit: Some(1), before: None }).await.expect("read");
    forget(&world, Forget { ids: vec![thread.turns[0].id.clone()], ..Forget::default() }).await;
    assert_eq!(rows(&world, "summaries"), 1);
    forget(&world, Forget { ids: vec![ids[1].clone()], ..Forget::default() }).await;
    assert_eq!(rows(&world, "summaries"), 0);
    world.ask(ADA, request).await.expect("summed up anew");
    assert!(world.model.asked().last().is_some_and(|asked| !asked.contains(SECRET)));
}

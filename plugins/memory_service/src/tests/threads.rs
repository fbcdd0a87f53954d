//! A thread is read page by page, in the order in which it was kept, whatever its length.

use expect_test::expect;
use plugin_api::{
    requests::memory::{AddTurn, Medium, ReadThread},
    tokio,
};

use super::setup::{ADA, BOB, World, turn};

#[tokio::test]
async fn pages_meet_without_gap_or_overlap() {
    let world = World::start().await;
    // Some at one moment, and the clock is put back again and again.
    for number in 0..25 {
        let medium = if number % 2 == 0 { Medium::Sms } else { Medium::Voice };
        let said = AddTurn { medium, at_ms: Some(1000 - number / 7), ..turn(&number.to_string()) };
        world.ask(ADA, said).await.expect("kept");
    }
    world.say(BOB, "not hers").await;
    let mut request = ReadThread { limit: Some(10), before: None };
    let mut pages = Vec::new();
    loop {
        let thread = world.ask(ADA, request.clone()).await.expect("read");
        assert_eq!(thread.person, ADA);
        let texts: Vec<String> = thread.turns.iter().map(|turn| turn.text.clone()).collect();
        pages.splice(0..0, texts);
        match thread.earlier {
            Some(earlier) => request.before = Some(earlier),
            None => break,
        }
    }
    assert_eq!(pages, (0..25).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_clock_that_is_put_back_changes_no_order() {
    let world = World::start().await;
    for (text, at_ms) in [("first", 5_000_000), ("second", 1_400_000), ("third", 1_500_000)] {
        world.ask(ADA, AddTurn { at_ms: Some(at_ms), ..turn(text) }).await.expect("kept");
    }
    let thread = world.ask(ADA, ReadThread::default()).await.expect("read");
    let turns: Vec<_> = thread.turns.iter().map(|turn| (turn.text.as_str(), turn.at_ms)).collect();
    assert_eq!(turns, [("first", 5_000_000), ("second", 1_400_000), ("third", 1_500_000)]);
    let newest = world.ask(ADA, ReadThread { limit: Some(1), before: None }).await.expect("read");
    assert_eq!(newest.turns[0].text, "third");
}

#[tokio::test]
async fn a_page_that_was_made_up_is_refused() {
    let world = World::start().await;
    let mut shown = Vec::new();
    for request in [
        ReadThread { limit: None, before: Some("yesterday".to_owned()) },
        ReadThread { limit: Some(0), before: None },
        ReadThread { limit: Some(501), before: None },
    ] {
        shown.push(world.ask(ADA, request).await.expect_err("refused").to_string());
    }
    expect![[r#"
        invalid: `before` is `yesterday`: expected what an earlier answer gave
        invalid: `limit` is 0: expected 1 to 500
        invalid: `limit` is 501: expected 1 to 500"#]]
    .assert_eq(&shown.join("\n"));
    let empty = world.ask(ADA, ReadThread::default()).await.expect("nobody is no error");
    assert_eq!((empty.turns.len(), empty.earlier, empty.summary), (0, None, None));
}

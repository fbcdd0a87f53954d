//! A thread of any length fits the budget; the summary is carried on, and says what is missing.

use expect_test::expect;
use plugin_api::{
    requests::memory::{AddTurn, Attachment, ReadThread, Summarise},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, BOB, World, instance, on_behalf_of, turn};

async fn talk(world: &World, turns: std::ops::Range<i64>) {
    for number in turns {
        let said = AddTurn { at_ms: Some(1000 + number), ..turn(&format!("this is turn number {number}")) };
        world.ask(ADA, said).await.expect("kept");
    }
}

fn within(tokens: u32) -> Summarise {
    Summarise { token_budget: Some(tokens) }
}

#[tokio::test]
async fn what_fits_is_not_summed_up() {
    let world = World::start().await;
    let nothing = world.ask(ADA, Summarise::default()).await.expect("nothing is fine");
    assert_eq!((nothing.turns.len(), nothing.tokens, nothing.summary.as_str()), (0, 0, ""));
    talk(&world, 0..10).await;
    let all = world.ask(ADA, Summarise::default()).await.expect("read");
    assert_eq!((all.turns.len(), all.summarised_turns, all.missing_turns), (10, 0, 0));
    assert!(world.model.asked().is_empty());
}

#[tokio::test]
async fn ten_thousand_turns_within_the_budget_and_carried_on() {
    let world = World::with(json!({ "summary_chunk_tokens": 50_000 })).await;
    let sql = format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < 9999)
         insert into memory_service_memories
            (id, person, kind, body, speaker, medium, caller, attachments, tags, wordy, at_ms)
         select 'turn_' || i, '{ADA}', 'turn', 'this is turn number ' || i, 'person', 'sms', '', '[]', '[]', 0, 1000 + i
         from n"
    );
    world.say("+9", "so that the tables are used").await;
    world.database.run(&format!("insert into memory_service_people values ('{ADA}', null, 1, 1000, 10999)"));
    world.database.run(&sql);
    let found = world.ask(ADA, within(1000)).await.expect("summed up");
    assert!(found.tokens <= 1000 && !found.turns.is_empty(), "{found:?}");
    assert_eq!(found.summarised_turns + found.turns.len() as u64, 10_000);
    assert_eq!(found.missing_turns, 0);
    let chats = world.model.asked().len();
    assert!((2..40).contains(&chats), "{chats}");
    assert_eq!(found.summary, format!("Summary {chats}."));

    talk(&world, 10_000..10_040).await;
    let more = world.ask(ADA, within(1000)).await.expect("summed up");
    assert_eq!((more.summarised_turns + more.turns.len() as u64, more.missing_turns), (10_040, 0));
    let asked = world.model.asked();
    assert_eq!(asked.len(), chats + 1, "only what is new is read");
    assert!(asked[chats].contains(&format!("Summary {chats}.")), "{}", asked[chats]);
    let thread = world.ask(ADA, ReadThread { limit: Some(3), before: None }).await.expect("read");
    assert_eq!(thread.summary.as_deref(), Some(more.summary.as_str()));
}

#[tokio::test]
async fn without_a_model_it_says_what_is_missing() {
    let world = World::with(json!({ "summary_chunk_tokens": 500 })).await;
    talk(&world, 0..200).await;
    world.model.answer_chats(2);
    let part = world.ask(ADA, within(400)).await.expect("as far as it goes");
    assert_eq!(part.summary, "Summary 2.");
    assert!(part.summarised_turns > 0 && part.missing_turns > 0, "{part:?}");
    assert_eq!(part.summarised_turns + part.missing_turns + part.turns.len() as u64, 200);
    let logged = world.plugin.logs().iter().any(|log| log.message.contains("could not be summarised"));
    assert!(logged, "{:?}", world.plugin.logs());

    world.model.answer_chats(usize::MAX);
    let whole = world.ask(ADA, within(400)).await.expect("and on from there");
    assert_eq!((whole.missing_turns, whole.turns.len() as u64 + whole.summarised_turns), (0, 200));
}

#[tokio::test]
async fn half_a_summary_is_not_kept_nor_paid_for_again_and_again() {
    let world = World::start().await;
    talk(&world, 0..200).await;
    world.model.cut_off(usize::MAX);
    for _ in 0..3 {
        let without = world.ask(ADA, within(400)).await.expect("the newest turns");
        assert_eq!((without.summary.as_str(), without.summarised_turns), ("", 0));
        assert_eq!(without.missing_turns + without.turns.len() as u64, 200);
    }
    assert_eq!(world.model.asked().len(), 2, "once, and once more in fewer words");
    let kept = world.ask(ADA, ReadThread { limit: Some(1), before: None }).await.expect("read");
    assert_eq!(kept.summary, None);
    let logs = format!("{:?}", world.plugin.logs());
    assert!(logs.contains("cut off") && logs.contains("tried again in 300 s"), "{logs}");

    // Another person's thread does not wait, nor does this one in a plugin that was restarted.
    world.model.cut_off(0);
    for number in 0..200 {
        world.say(BOB, &format!("this is turn number {number}")).await;
    }
    assert_eq!(world.ask(BOB, within(400)).await.expect("summed up").missing_turns, 0);
    world.plugin.stop().await.expect("it stops");
    let next = instance(&world.database, &world.model, json!({}));
    next.init().await.expect("the database is there");
    let whole = next.call_with(on_behalf_of(ADA), within(400)).await.expect("summed up");
    assert_eq!(whole.missing_turns, 0);
}

#[tokio::test]
async fn a_summary_that_was_cut_off_is_asked_for_in_fewer_words() {
    let world = World::start().await;
    talk(&world, 0..200).await;
    world.model.cut_off(1);
    let whole = world.ask(ADA, within(400)).await.expect("summed up");
    assert_eq!((whole.summary.as_str(), whole.missing_turns), ("Summary 2.", 0));
    let wish = "Your last answer was cut off, because it was too long. Give the whole summary again, in at most 100 words.";
    assert_eq!(world.model.asked()[1], wish);
}

#[tokio::test]
async fn a_summary_that_was_cut_off_is_not_paid_for_again_because_the_second_question_fails() {
    let world = World::start().await;
    talk(&world, 0..200).await;
    world.model.cut_off(1);
    world.model.answer_chats(1);
    let without = world.ask(ADA, within(400)).await.expect("the newest turns");
    assert_eq!((without.summary.as_str(), without.summarised_turns), ("", 0));
    let logs = format!("{:?}", world.plugin.logs());
    assert!(logs.contains("in fewer words") && logs.contains("tried again in 300 s"), "{logs}");
    world.model.answer_chats(usize::MAX);
    world.ask(ADA, within(400)).await.expect("the newest turns");
    assert_eq!(world.model.asked().len(), 1, "the pause has begun");
}

/// On PostgreSQL a transaction takes its number in the sequence before it is committed.
#[tokio::test]
async fn a_turn_that_came_late_is_not_lost() {
    let world = World::start().await;
    talk(&world, 0..200).await;
    world.ask(ADA, within(400)).await.expect("summed up");
    world.database.run(&format!(
        "insert into memory_service_memories
            (seq, id, person, kind, body, speaker, medium, caller, attachments, tags, wordy, at_ms)
         values (0, 'turn_late', '{ADA}', 'turn', 'a late word', 'person', 'sms', '', '[]', '[]', 0, 1001)"
    ));
    let found = world.ask(ADA, within(400)).await.expect("summed up anew");
    assert_eq!(found.summarised_turns + found.turns.len() as u64, 201);
    assert!(world.model.asked().last().is_some_and(|asked| asked.contains("a late word")));
}

#[tokio::test]
async fn a_turn_that_is_too_long_is_cut() {
    let world = World::start().await;
    talk(&world, 0..3).await;
    let attachments = vec![Attachment { content_type: "image/png".to_owned(), url: "u".repeat(2000) }];
    world.ask(ADA, AddTurn { attachments, ..turn(&"long words ".repeat(1000)) }).await.expect("kept");
    let found = world.ask(ADA, within(200)).await.expect("summed up");
    assert!(found.tokens <= 200, "{}", found.tokens);
    assert_eq!((found.turns.len(), found.summarised_turns), (1, 3));
    assert!(found.turns[0].text.ends_with(" …"), "{}", found.turns[0].text);
}

#[tokio::test]
async fn budgets_have_bounds() {
    let world = World::start().await;
    let refused = world.ask(ADA, within(199)).await.expect_err("too little");
    expect!["invalid: `token_budget` is 199: expected 200 to 100000"].assert_eq(&refused.to_string());
}

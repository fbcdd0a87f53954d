//! Memories are found by meaning and by words together, through filters, and never those of somebody else.

use plugin_api::{
    prelude::*,
    requests::memory::{AddTurn, Medium, MemoryKind, Recall, Remember, Speaker},
    serde_json::json,
    tokio,
};
use proptest::prelude::*;

use super::setup::{ADA, BOB, World, texts, turn};

fn about(query: &str) -> Recall {
    Recall { query: query.to_owned(), ..Recall::default() }
}

#[tokio::test]
async fn by_meaning_and_by_words_together() {
    let world = World::start().await;
    for fact in
        ["Ada has a terrier called Rex", "Ada is allergic to almonds", "Ada drinks tea", "Ada's code is 4711"]
    {
        world.remember(ADA, fact).await;
    }
    let found = world.recall(ADA, "which pet does she own?").await;
    assert_eq!(
        (texts(&found.memories)[0], found.semantic, found.note),
        ("Ada has a terrier called Rex", true, None)
    );
    let found = world.recall(ADA, "4711").await;
    assert_eq!(texts(&found.memories)[0], "Ada's code is 4711");
    assert!(found.memories.iter().all(|memory| (0.0..=1.0).contains(&memory.score)));
    let both = world.recall(ADA, "peanuts, almonds").await;
    assert_eq!(texts(&both.memories)[0], "Ada is allergic to almonds");
    assert!(both.memories[0].score > 0.9, "{both:?}");
}

#[tokio::test]
async fn each_says_where_it_comes_from() {
    let world = World::start().await;
    world.remember(ADA, "a dog").await;
    world.say(ADA, "my dog barks").await;
    let answer =
        AddTurn { speaker: Speaker::Assistant, medium: Medium::Voice, ..turn("a dog barks at night") };
    world.ask(ADA, answer).await.expect("kept");
    let found = world.recall(ADA, "dog").await;
    let mut sources: Vec<_> = found.memories.iter().map(|memory| memory.source.as_str()).collect();
    sources.sort_unstable();
    assert_eq!(
        sources,
        ["remembered by tester", "said by the assistant on the phone", "said by the person by SMS"]
    );
}

#[tokio::test]
async fn filters_hold_for_both_ways() {
    let world = World::start().await;
    let fact = Remember { text: "a dog, fact".to_owned(), tags: vec![" Pets ".to_owned()] };
    world.ask(ADA, fact).await.expect("kept");
    for (text, medium, at_ms) in [
        ("a dog, sms", Medium::Sms, 1000),
        ("a dog, chat", Medium::Whatsapp, 2000),
        ("a dog, old", Medium::Sms, 10),
    ] {
        world.ask(ADA, AddTurn { medium, at_ms: Some(at_ms), ..turn(text) }).await.expect("kept");
    }
    world.embedded().await;
    // One finds them by the word, the other only by what it means.
    for word in ["dog", "puppy"] {
        let check = async |request: Recall, expected: &[&str]| {
            let request = Recall { query: word.to_owned(), ..request };
            let found = world.ask(ADA, request.clone()).await.expect("answered");
            let mut found =
                texts(&found.memories).iter().map(|text| text[7..].to_owned()).collect::<Vec<_>>();
            found.sort_unstable();
            assert_eq!(found, expected, "{request:?}");
        };
        check(Recall { kinds: vec![MemoryKind::Fact], ..about("") }, &["fact"]).await;
        check(
            Recall { kinds: vec![MemoryKind::Turn, MemoryKind::Fact], ..about("") },
            &["chat", "fact", "old", "sms"],
        )
        .await;
        check(Recall { medium: Some(Medium::Sms), ..about("") }, &["old", "sms"]).await;
        check(Recall { tags: vec!["pets".to_owned(), "x".to_owned()], ..about("") }, &["fact"]).await;
        check(Recall { tags: vec!["' or 1=1 --".to_owned()], ..about("") }, &[]).await;
        check(Recall { since_ms: Some(1000), until_ms: Some(2000), ..about("") }, &["sms"]).await;
        check(Recall { until_ms: Some(1000), ..about("") }, &["old"]).await;
        check(Recall { limit: Some(1), until_ms: Some(1000), ..about("") }, &["old"]).await;
    }
}

#[tokio::test]
async fn nobody_sees_another_ones() {
    let world = World::start().await;
    for number in 0..60 {
        world.say(BOB, &format!("Bob's dog number {number}")).await;
    }
    world.remember(ADA, "Ada has a puppy").await;
    // Numbers that look alike to an index of words.
    world.remember("1-555-123-4567", "a stranger's dog").await;
    world.embedded().await;
    for query in ["dog", "puppy", "Bob's dog number 7", "stranger"] {
        let found = world.recall(ADA, query).await;
        assert_eq!(texts(&found.memories), ["Ada has a puppy"], "{query}");
    }
    assert!(world.recall("+1555", "dog").await.memories.is_empty());
    let stranger = world.recall("1-555-123-4567", "dog").await;
    assert_eq!(texts(&stranger.memories), ["a stranger's dog"]);
}

#[tokio::test]
async fn of_two_alike_the_newer_comes_first() {
    let world = World::start().await;
    let old = AddTurn { at_ms: Some(1000), ..turn("Ada drinks tea, black") };
    world.ask(ADA, old).await.expect("kept");
    world.say(ADA, "Ada drinks tea, green").await;
    world.embedded().await;
    assert_eq!(
        texts(&world.recall(ADA, "tea").await.memories),
        ["Ada drinks tea, green", "Ada drinks tea, black"]
    );
}

#[tokio::test]
async fn words_that_are_everywhere_do_not_hide_the_others() {
    let world = World::start().await;
    world.model.set_down(true);
    world.remember(ADA, "the boat is called Argo").await;
    // More than are ranked; the words alone, for it is they that are looked for.
    world.database.run(&format!(
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < 10999)
         insert into memory_service_memories
            (seq, id, person, kind, body, caller, attachments, tags, wordy, at_ms)
         select 1000 + i, 'fact_' || i, '{ADA}', 'fact', 'the is called ' || i, '', '[]', '[]', 0, 1000 from n"
    ));
    world.database.run(
        "insert into memory_service_words (rowid, words)
         select seq, replace(' ' || body, ' ', ' 15551234567x') from memory_service_memories where seq >= 1000",
    );
    let found = world.recall(ADA, "what is the boat called?").await;
    assert_eq!(texts(&found.memories), ["the boat is called Argo"], "the frequent words are left out");
    let found = world.recall(ADA, "is called").await;
    assert_eq!(found.memories.len(), 8, "where there is no other, the rarest counts");
    let filtered = Recall { until_ms: Some(2000), ..about("what is the boat called?") };
    let found = world.ask(ADA, filtered).await.expect("answered");
    assert_eq!(found.memories.len(), 8, "through a filter all of them count");
}

#[tokio::test]
async fn any_script_is_found_by_its_words() {
    let world = World::start().await;
    world.model.set_down(true);
    for fact in [
        "東京都に住んでいます",
        "Müller wohnt in Zürich",
        "Собака по кличке Шарик",
        "नमस्ते दुनिया",
        "ไปโรงเรียน",
    ] {
        world.remember(ADA, fact).await;
    }
    for (query, expected) in [
        ("東京", "東京都に住んでいます"),
        ("muller", "Müller wohnt in Zürich"),
        ("ZÜRICH", "Müller wohnt in Zürich"),
        ("шарик!", "Собака по кличке Шарик"),
        ("नमस्ते", "नमस्ते दुनिया"),
        ("โรงเรียน", "ไปโรงเรียน"),
    ] {
        assert_eq!(texts(&world.recall(ADA, query).await.memories), [expected], "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let world = World::start().await;
    let refused = world.ask(ADA, about(" ")).await.expect_err("it asks nothing");
    assert_eq!(refused.to_string(), "invalid: `query` is empty: say what to look for, in plain words");
    let refused = world.ask(ADA, Recall { limit: Some(51), ..about("tea") }).await.expect_err("too many");
    assert_eq!(refused.to_string(), "invalid: `limit` is 51: expected 1 to 50");
    // The person is no argument of a tool: a model cannot name another one.
    let named = json!({ "query": "tea", "person": BOB });
    let refused = world.plugin.call_json("recall", named).await.expect_err("there is no such field");
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_question_without_words_is_no_error() {
    let world = World::start().await;
    world.remember(ADA, "Ada has a dog").await;
    for query in
        ["🐶", "\"", "' OR 1=1; --", "NEAR(a b)", "*", "(((", "AND OR NOT", "owner:x", "\\", "-", "^a", "\0"]
    {
        world.recall(ADA, query).await;
    }
}

#[test]
fn no_question_is_a_syntax_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let world = runtime.block_on(World::start());
    runtime.block_on(world.remember(ADA, "Ada has a dog"));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    let run = runner.run(&"[\\PC'\"*():^ANDORNOT-]{1,20}x", |query| {
        runtime.block_on(world.recall(ADA, &query));
        Ok(())
    });
    run.expect("every question is answered");
}

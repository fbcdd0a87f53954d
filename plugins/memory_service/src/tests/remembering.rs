//! Facts and turns in, each once, whatever they hold and whatever is away.

use expect_test::expect;
use plugin_api::{
    prelude::*,
    requests::memory::{AddTurn, Attachment, ListPeople, ReadThread, Recall, Remember},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, BOB, World, instance, keyed, on_behalf_of, texts, turn};

#[tokio::test]
async fn nobody_is_told_what_to_do() {
    let world = World::start().await;
    let refused = world.plugin.call(Recall { query: "tea".to_owned(), ..Recall::default() }).await;
    expect![[r#"invalid: `recall` is about a person, but this call is on behalf of nobody: a route's guard names the person, and a plugin by `Dependency::person`"#]]
        .assert_eq(&refused.expect_err("there is nobody").to_string());
    for operation in ["remember", "forget", "thread", "summarise", "add_turn"] {
        let request = json!({ "text": "t", "query": "q", "speaker": "person", "medium": "sms" });
        let fields: &[&str] = match operation {
            "remember" => &["text"],
            "add_turn" => &["text", "speaker", "medium"],
            _ => &[],
        };
        let request = fields.iter().map(|field| ((*field).to_owned(), request[*field].clone())).collect();
        let refused = world.plugin.call_json(operation, request).await.expect_err("there is nobody");
        assert_eq!(refused.kind, ErrorKind::Invalid, "{operation}: {refused}");
    }
    let refused = world.ask(ADA, ListPeople::default()).await.expect_err("it is about everybody");
    expect!["denied: `people` is about everybody, and is not allowed on behalf of one person"]
        .assert_eq(&refused.to_string());
    let refused = world.ask("  ", turn("hello")).await.expect_err("that is nobody");
    assert_eq!(refused.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_key_keeps_a_fact_once() {
    let world = World::start().await;
    let remember = |text: &str| Remember { text: text.to_owned(), tags: Vec::new() };
    let first = world.plugin.call_with(keyed(ADA, "k"), remember("Ada has a dog")).await.expect("kept");
    let again = world.plugin.call_with(keyed(ADA, "k"), remember("Ada has a dog")).await.expect("known");
    assert_eq!((first.repeated, again.repeated, &again.id), (false, true, &first.id));
    assert_eq!((first.embedded, again.embedded), (true, true));
    let other = world.plugin.call_with(keyed(BOB, "k"), remember("Bob has a dog")).await.expect("kept");
    assert!(!other.repeated, "the keys of two people are two");
    assert_eq!(world.database.number("select count(*) from memory_service_memories"), 2);
}

#[tokio::test]
async fn a_source_or_a_key_keeps_a_turn_once() {
    let world = World::start().await;
    let sourced = AddTurn { source: Some("SM1".to_owned()), ..turn("hello") };
    let first = world.ask(ADA, sourced.clone()).await.expect("kept");
    let again = world.ask(ADA, sourced.clone()).await.expect("known");
    assert_eq!((first.repeated, again.repeated, &again.id), (false, true, &first.id));
    assert!(!world.ask(BOB, sourced).await.expect("kept").repeated);
    let keyed_one = world.plugin.call_with(keyed(ADA, "k"), turn("hi")).await.expect("kept");
    let keyed_two = world.plugin.call_with(keyed(ADA, "k"), turn("hi")).await.expect("known");
    assert_eq!((keyed_one.repeated, keyed_two.repeated), (false, true));
    assert!(!world.ask(ADA, turn("hi")).await.expect("kept").repeated, "without either it is another turn");
}

#[tokio::test]
async fn whatever_was_said_comes_back_as_it_was() {
    let world = World::start().await;
    let attachments: Vec<_> = (0..10)
        .map(|number| Attachment {
            content_type: "image/jpeg".to_owned(),
            url: format!("https://example.com/{number}"),
        })
        .collect();
    let text = "Grüße 👋🏽, 犬! \u{202e}؟ \"quoted\" 'single' \\ \n\t $1 ? :x";
    let name = Some("Ada 👩‍💻".to_owned());
    let request = AddTurn { attachments: attachments.clone(), display_name: name.clone(), ..turn(text) };
    world.ask(ADA, request).await.expect("kept");
    world.ask(ADA, AddTurn { attachments: attachments.clone(), ..turn("") }).await.expect("kept");
    world.say(ADA, "").await;
    world.say(ADA, "with a nul \0").await;
    let thread = world.ask(ADA, ReadThread::default()).await.expect("read");
    let found: Vec<_> =
        thread.turns.iter().map(|turn| (turn.text.as_str(), turn.attachments.len())).collect();
    assert_eq!(found, [(text, 10), ("", 10), ("", 0), ("with a nul \u{fffd}", 0)]);
    assert_eq!((thread.turns[0].attachments.clone(), thread.display_name), (attachments, name));
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let world = World::start().await;
    let remember = |text: &str, tags: &[&str]| Remember {
        text: text.to_owned(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let mut shown = Vec::new();
    for request in [
        remember(" \n", &[]),
        remember(&"a".repeat(10_001), &[]),
        remember("tea", &["x".repeat(65).as_str()]),
    ] {
        shown.push(world.ask(ADA, request).await.expect_err("refused").to_string());
    }
    let empty = AddTurn { source: Some(" ".to_owned()), ..turn("tea") };
    shown.push(world.ask(ADA, empty).await.expect_err("refused").to_string());
    expect![[r#"
        invalid: `text` is empty: expected the fact, as a sentence
        invalid: `text` has 10001 letters: at most 10000 can be kept
        invalid: `a tag` has 65 letters: at most 64 can be kept
        invalid: `source` is empty: leave it out, or say what it is called"#]]
    .assert_eq(&shown.join("\n"));
    assert_eq!(world.database.number("select count(*) from memory_service_people"), 0);
}

#[tokio::test]
async fn without_a_model_it_is_kept_and_found_later() {
    let world = World::start().await;
    world.model.set_down(true);
    let request = Remember { text: "Ada is allergic to peanuts".to_owned(), tags: Vec::new() };
    let kept = world.ask(ADA, request).await.expect("it is kept all the same");
    assert!(!kept.embedded);
    let found = world.recall(ADA, "peanuts").await;
    assert_eq!((texts(&found.memories), found.semantic), (vec!["Ada is allergic to peanuts"], false));
    expect!["meanings could not be compared, only words: nobody listens at the model's address"]
        .assert_eq(found.note.as_deref().unwrap_or_default());
    assert!(world.recall(ADA, "almonds").await.memories.is_empty(), "no word is the same");

    world.model.set_down(false);
    // Nothing tells that the model is back, but that it answers.
    let found = world.recall(ADA, "almonds").await;
    assert!(found.semantic);
    world.embedded().await;
    assert_eq!(texts(&world.recall(ADA, "almonds").await.memories), ["Ada is allergic to peanuts"]);
}

#[tokio::test]
async fn without_the_database_nothing_is_pretended() {
    let world = World::start().await;
    world.remember(ADA, "Ada has a dog").await;
    world.database.set_down(true);
    let request = Remember { text: "Ada has a car".to_owned(), tags: Vec::new() };
    let refused = world.ask(ADA, request).await.expect_err("it cannot be kept");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    for outcome in [
        world.ask(ADA, turn("hello")).await.map(drop),
        world.ask(ADA, Recall { query: "dog".to_owned(), ..Recall::default() }).await.map(drop),
        world.ask(ADA, ReadThread::default()).await.map(drop),
        world.plugin.call(ListPeople::default()).await.map(drop),
    ] {
        assert_eq!(outcome.expect_err("it is away").kind, ErrorKind::Unavailable);
    }
    world.database.set_down(false);
    assert_eq!(texts(&world.recall(ADA, "dog").await.memories), ["Ada has a dog"]);
}

#[tokio::test]
async fn a_database_that_comes_late_is_waited_for() {
    let (database, model) = (super::setup::database(), super::model::Model::new());
    database.set_down(true);
    let plugin = instance(&database, &model, json!({}));
    let failure = plugin.init().await.expect_err("there are no tables");
    assert_eq!(failure.code, ReasonCode::Unavailable);
    expect!["the memories cannot be used: the database is away"].assert_eq(&failure.message);
    database.set_down(false);
    plugin.init().await.expect("now there are");
    plugin.call_with(on_behalf_of(ADA), turn("hello")).await.expect("it is kept");
}

#[tokio::test]
async fn people_are_listed_the_last_one_first() {
    let world = World::start().await;
    for (person, at_ms) in [(ADA, 1000), (BOB, 2000), ("+3", 3000), (ADA, 4000), (BOB, 500)] {
        world.ask(person, AddTurn { at_ms: Some(at_ms), ..turn("hello") }).await.expect("kept");
    }
    world.remember(ADA, "Ada has a dog").await;
    let mut request = ListPeople { limit: Some(2), after: None };
    let first = world.plugin.call(request.clone()).await.expect("listed");
    let shown: Vec<_> = first
        .people
        .iter()
        .map(|known| (known.person.as_str(), known.first_ms, known.last_ms, known.turns, known.facts))
        .collect();
    assert_eq!(shown, [(ADA, 1000, 4000, 2, 1), ("+3", 3000, 3000, 1, 0)]);
    request.after = first.next;
    let second = world.plugin.call(request).await.expect("listed");
    assert_eq!((second.people[0].person.as_str(), second.people[0].last_ms), (BOB, 2000));
    assert_eq!((second.people.len(), second.next), (1, None));
    let refused = world.plugin.call(ListPeople { limit: None, after: Some("x".to_owned()) }).await;
    expect!["invalid: `after` is `x`: expected what an earlier answer gave"]
        .assert_eq(&refused.expect_err("it was made up").to_string());
}

//! In the background everything gets its vector: in order, once, of one model, and anew when the model is another one.

use expect_test::expect;
use plugin_api::{
    error::{ErrorKind, OperationError, ReasonCode},
    requests::{
        memory::ReadEmbeddingProgress,
        openai::{OpenAiTrouble, TroubleCode},
    },
    serde_json::{self, json},
    tokio,
};

use super::setup::{ADA, BOB, World, instance, on_behalf_of, texts, turn};

#[tokio::test]
async fn turns_get_their_vectors_in_order() {
    let world = World::start().await;
    for number in 0..150 {
        world.say(ADA, &format!("dog {number}")).await;
    }
    world.say(ADA, " ").await;
    let progress = world.embedded().await;
    assert_eq!((progress.total, progress.embedded, progress.pending), (150, 150, 0));
    assert_eq!((progress.model.as_deref(), progress.dimensions), (Some("ideas-1"), 8));
    assert_eq!((progress.vectors.as_str(), progress.trouble), ("sqlite-vec", None));
    let embedded: Vec<_> =
        world.model.embedded().into_iter().filter(|text| text.starts_with("dog")).collect();
    assert_eq!(embedded, (0..150).map(|number| format!("dog {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_model_means_other_vectors_for_all() {
    let world = World::start().await;
    world.remember(ADA, "Ada has a terrier").await;
    for number in 0..100 {
        world.say(ADA, &format!("coffee {number}")).await;
    }
    world.embedded().await;
    world.model.set_name("ideas-2", 12);
    // Until the background has been here, the old vectors are of no use, and the words still are.
    let found = world.recall(ADA, "terrier").await;
    assert_eq!(texts(&found.memories)[0], "Ada has a terrier");
    assert!(found.semantic);
    let progress = world.embedded().await;
    assert_eq!(
        (progress.model.as_deref(), progress.dimensions, progress.embedded),
        (Some("ideas-2"), 12, 101)
    );
    assert_eq!(texts(&world.recall(ADA, "puppy").await.memories)[0], "Ada has a terrier");
    let spaces = world.database.number("select count(distinct length(vector)) from memory_service_vectors");
    assert_eq!(spaces, 2, "the old ones stay while another host may use them");
}

#[tokio::test]
async fn a_space_that_nobody_uses_is_emptied() {
    let world = World::start().await;
    world.remember(ADA, "Ada has a terrier").await;
    world
        .database
        .run("insert into memory_service_spaces values ('old/8/sqlite-vec', 'old', 8, 'sqlite-vec', 0)");
    world.database.run(
        "insert into memory_service_vectors select seq, 'old/8/sqlite-vec', x'00' from memory_service_memories",
    );
    world.database.run(
        "insert into memory_service_bits select person, 'old/8/sqlite-vec', seq, x'00' from memory_service_memories",
    );
    world.say(ADA, "this wakes it").await;
    world.embedded().await;
    let left = || {
        let of = |table: &str| world.database.number(&format!("select count(*) from memory_service_{table}"));
        (of("spaces"), of("vectors"), of("bits"))
    };
    let wait = async {
        while left() != (1, 2, 2) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is emptied");
}

#[tokio::test]
async fn what_was_kept_before_the_first_vector_is_found_at_the_next_start() {
    let world = World::start().await;
    world.model.set_down(true);
    world.say(ADA, "I have a terrier").await;
    world.plugin.stop().await.expect("it stops");
    world.model.set_down(false);
    let next = instance(&world.database, &world.model, json!({}));
    next.init().await.expect("it starts");
    let next = World { plugin: next, ..world };
    assert_eq!(next.embedded().await.embedded, 1);
    assert_eq!(texts(&next.recall(ADA, "puppy").await.memories), ["I have a terrier"]);
}

#[tokio::test]
async fn two_hosts_share_the_work() {
    let world = World::start().await;
    world.model.set_down(true);
    for number in 0..400 {
        world.say(ADA, &format!("dog {number}")).await;
    }
    let other = instance(&world.database, &world.model, json!({}));
    other.init().await.expect("it starts");
    let tried = async {
        while other.call(ReadEmbeddingProgress {}).await.expect("told").trouble.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), tried).await.expect("the other one tries, too");
    world.model.set_down(false);
    for plugin in [&world.plugin, &other] {
        plugin.call_with(on_behalf_of(BOB), turn("this wakes it")).await.expect("kept");
    }
    world.embedded().await;
    let progress = other.call(ReadEmbeddingProgress {}).await.expect("told");
    assert_eq!(progress.total, 402);
    let mut dogs: Vec<_> =
        world.model.embedded().into_iter().filter(|text| text.starts_with("dog")).collect();
    dogs.sort();
    let all = dogs.len();
    dogs.dedup();
    assert_eq!((all, dogs.len()), (400, 400), "each was embedded once");
}

#[tokio::test]
async fn a_claim_that_nobody_keeps_ends() {
    let world = World::start().await;
    world.remember(ADA, "so that there is a space").await;
    world.database.run(
        "create trigger killed after insert on memory_service_pending begin
            update memory_service_pending set holder = 'a dead host', lease_ms = 1 where memory = new.memory;
         end",
    );
    world.say(ADA, "I have a terrier").await;
    world.embedded().await;
    assert_eq!(texts(&world.recall(ADA, "puppy").await.memories)[0], "I have a terrier");
}

#[tokio::test]
async fn a_text_that_is_refused_holds_up_nobody() {
    let world = World::start().await;
    world.model.refuse("unspeakable");
    for text in ["dog one", "an unspeakable dog", "dog two"] {
        world.say(ADA, text).await;
    }
    let wait = async {
        while world.progress().await.embedded < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("the others are embedded");
    let found = world.recall(ADA, "unspeakable puppy").await;
    assert!(!found.semantic, "the question holds the word, too");
    let found = world.recall(ADA, "dog").await;
    assert_eq!(found.memories.len(), 3);
    expect!["some memories have no vector yet, and were searched by their words only"]
        .assert_eq(found.note.as_deref().unwrap_or_default());
    assert_eq!(world.progress().await.pending, 1);
}

/// Waits until so many have their vectors.
async fn embedded(world: &World, count: u64) {
    let wait = async {
        while world.progress().await.embedded < count {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("the others are embedded");
}

#[tokio::test]
async fn a_text_that_the_server_fails_on_holds_up_nobody_and_is_told() {
    let failures = [
        OperationError::unavailable("the server cannot serve at the moment (HTTP 500)"),
        OperationError::internal("the server answers what is no vector"),
        OperationError::deadline("the server gave no answer within 30s"),
        OperationError::new(ErrorKind::Denied, "the server filters the words of the request"),
    ];
    for failure in failures {
        let world = World::start().await;
        let told = failure.message.clone();
        world.model.fail_on("unspeakable", failure);
        for number in 0..20 {
            world.say(ADA, &format!("dog {number}")).await;
        }
        world.say(ADA, "an unspeakable dog").await;
        for number in 20..40 {
            world.say(BOB, &format!("dog {number}")).await;
        }
        embedded(&world, 40).await;
        let wait = async {
            while world.progress().await.refused == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is put aside");
        let progress = world.progress().await;
        assert_eq!((progress.pending, progress.refused), (1, 1), "{told}");
        let trouble = progress.trouble.unwrap_or_default();
        assert!(trouble.contains("fails on 1 of the memories") && trouble.ends_with(&told), "{trouble}");
        let warned = world.plugin.logs().iter().filter(|log| log.message.contains("not this memory")).count();
        assert_eq!(warned, 1, "once: {told}");
        world.say(ADA, "dog 41").await;
        embedded(&world, 41).await;
    }
}

#[tokio::test]
async fn a_text_that_fails_again_and_again_is_tried_ever_more_seldom() {
    let world = World::start().await;
    world.model.fail_on("unspeakable", OperationError::unavailable("the server cannot serve at the moment"));
    world.say(ADA, "dog").await;
    world.say(ADA, "an unspeakable dog").await;
    let wait_ms = "select lease_ms from memory_service_pending";
    let mut pauses = Vec::new();
    for times in 1..=11 {
        let told = || -> Vec<String> {
            let messages = world.plugin.logs().into_iter().map(|log| log.message);
            messages.filter(|message| message.contains("not this memory")).collect()
        };
        let wait = async {
            while told().len() < times {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is tried");
        let told = told();
        let (_, pause) = told[times - 1].rsplit_once("again in ").expect("it says when");
        pauses.push(pause.trim_end_matches(" s").parse::<i64>().expect("seconds"));
        let left_ms = world.database.number(wait_ms) - plugin_api::jiff::Timestamp::now().as_millisecond();
        let pause_ms = pauses[pauses.len() - 1] * 1000;
        assert!((pause_ms - 60_000..=pause_ms).contains(&left_ms), "{left_ms} of {pause_ms} ms are left");
        // The pause is over.
        world.database.run("update memory_service_pending set lease_ms = 1");
        world.say(ADA, "this wakes it").await;
    }
    assert_eq!(pauses, [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400, 86_400]);
}

#[tokio::test]
async fn a_server_that_takes_fewer_texts_at_once_is_asked_for_fewer() {
    let world = World::start().await;
    world.model.limit(3);
    for number in 0..100 {
        world.say(ADA, &format!("dog {number}")).await;
    }
    let progress = world.embedded().await;
    assert_eq!((progress.embedded, progress.refused, progress.trouble), (100, 0, None));
}

#[tokio::test]
async fn a_server_that_is_away_puts_no_text_aside() {
    let world = World::start().await;
    world.remember(ADA, "so that there is a space").await;
    world.model.set_down(true);
    world.say(ADA, "dog one").await;
    let wait = async {
        while world.progress().await.trouble.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is noticed");
    assert_eq!(world.progress().await.refused, 0);
    world.model.set_down(false);
    world.remember(BOB, "this wakes it").await;
    assert_eq!(world.embedded().await.refused, 0);
}

#[tokio::test]
async fn one_model_has_vectors_of_one_length() {
    let world = World::start().await;
    world.remember(ADA, "Ada has a terrier").await;
    world.model.set_name("ideas-1", 12);
    world.say(ADA, "dog").await;
    let wait = async {
        while world.progress().await.trouble.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is told");
    let progress = world.progress().await;
    assert_eq!((progress.dimensions, progress.embedded), (8, 1));
    expect!["the model `ideas-1` returns vectors of 12 numbers, and returned vectors of 8 before: if that is intended, restart `memory_service`"]
        .assert_eq(&progress.trouble.unwrap_or_default());
}

#[tokio::test]
async fn trouble_is_logged_once_and_shown() {
    let world = World::start().await;
    world.model.set_down(true);
    world.say(ADA, "dog").await;
    let wait = async {
        while world.progress().await.trouble.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is noticed");
    for _ in 0..20 {
        world.say(ADA, "dog").await;
    }
    let progress = world.progress().await;
    assert_eq!((progress.total, progress.embedded, progress.pending), (21, 0, 21));
    assert_eq!(progress.trouble.as_deref(), Some("nobody listens at the model's address"));
    let warnings = world.plugin.logs().iter().filter(|log| log.level == "WARN").count();
    assert_eq!(warnings, 1, "{:?}", world.plugin.logs());
}

#[tokio::test]
async fn the_settings_choose_the_model() {
    let world = World::with(json!({ "embedding_model": "own-1", "embedding_dimensions": 16 })).await;
    world.remember(ADA, "Ada has a terrier").await;
    let progress = world.progress().await;
    assert_eq!((progress.model.as_deref(), progress.dimensions), (Some("own-1"), 16));
}

/// What `openai` answers where the caller is at fault.
fn refusal(code: TroubleCode, kind: ErrorKind) -> OperationError {
    let (http_status, vendor_code, refusal, usage) = (Some(400), None, None, None);
    let details = OpenAiTrouble { code, http_status, vendor_code, words: None, refusal, usage };
    OperationError::new(kind, "the server refuses the request")
        .details(serde_json::to_value(details).unwrap())
}

#[tokio::test]
async fn a_model_that_refuses_what_our_settings_ask_for_is_our_trouble_until_it_answers() {
    let world = World::start().await;
    let told = async |count| {
        let wait = async {
            while world.plugin.troubles().len() < count {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("it is told");
        let troubles = world.plugin.troubles();
        troubles
            .iter()
            .map(|trouble| (trouble.key.clone(), trouble.code, trouble.cleared))
            .collect::<Vec<_>>()
    };
    world.model.refuse_all(refusal(TroubleCode::InvalidRequest, ErrorKind::Invalid));
    world.say(ADA, "dog").await;
    let raised = ("vectors".to_owned(), Some(ReasonCode::ConfigInvalid), false);
    assert_eq!(told(1).await, [raised]);
    world.model.set_down(false);
    world.say(ADA, "cat").await;
    assert_eq!(told(2).await[1], ("vectors".to_owned(), None, true));
}

#[tokio::test]
async fn what_is_the_trouble_of_openai_is_not_told_twice() {
    let world = World::start().await;
    let refused = refusal(TroubleCode::ModelNotFound, ErrorKind::NotFound);
    world.model.refuse_all(refused.with_trouble(ReasonCode::ConfigInvalid));
    world.say(ADA, "dog").await;
    world.remember(ADA, "Ada has a terrier").await;
    let noted = async {
        while world.plugin.logs().iter().all(|log| !log.message.contains("memories wait for their vectors")) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), noted).await.expect("it waits");
    world.model.set_down(false);
    world.say(ADA, "cat").await;
    world.embedded().await;
    assert!(world.plugin.troubles().iter().all(|trouble| trouble.cleared), "{:?}", world.plugin.troubles());
}

//! A caller who merely shows a number is nobody until they have proven that it is theirs, by a code sent there by SMS.

use plugin_api::{
    error::ErrorKind,
    level::Level,
    protocol::CallHeader,
    requests::voice::{CheckCode, CheckedCode, SendCode},
    serde_json::json,
    tokio,
};

use super::setup::{ADA, CALL, Instance, Phone, World, wait};

fn shown() -> Phone {
    Phone { level: Level::Shown, ..Phone::ada() }
}

/// On behalf of whoever is on the phone.
fn caller() -> CallHeader {
    CallHeader {
        person: Some(format!("unverified:{CALL}")),
        level: Some(Level::Withheld),
        ..CallHeader::default()
    }
}

async fn check(host: &Instance, code: &str) -> Result<CheckedCode, ErrorKind> {
    host.call_with(caller(), CheckCode { code: code.to_owned() }).await.map_err(|error| error.kind)
}

async fn send(host: &Instance) -> Result<(), ErrorKind> {
    host.call_with(caller(), SendCode {}).await.map(drop).map_err(|error| error.kind)
}

/// The codes that were sent to Ada, by SMS.
fn codes(world: &World) -> Vec<String> {
    let state = world.state();
    let to_ada = state.sent.values().filter(|message| message.to.as_deref() == Some(ADA));
    to_ada.filter_map(|message| message.body.as_deref()).map(|body| body[..6].to_owned()).collect()
}

fn other_than(code: &str) -> String {
    let digit = if code.starts_with('0') { '1' } else { '0' };
    format!("{digit}{}", &code[1..])
}

#[tokio::test]
async fn a_number_that_is_merely_shown_is_nobody_until_the_code_is_said() {
    let world = World::default();
    let (host, ada) = (world.host().await, shown());
    let twiml = ada.ring(&host).await;
    let twiml = ada.say(&host, &twiml, "what do you know of me?").await;
    {
        let state = world.state();
        let (header, run) = &state.runs[0];
        assert_eq!(header.person, Some(format!("unverified:{CALL}")));
        assert_eq!(header.level, Some(Level::Withheld), "no tool acts in her name");
        assert!(run.known.is_empty() && run.history.len() == 1, "nothing of her is told: {run:?}");
        assert!(run.instructions.as_deref().unwrap().contains("call `send_code`"));
    }
    send(&host).await.unwrap();
    let code = codes(&world).pop().expect("it was sent to her number");
    let hash = world.database.run("select code_hash from voice_assistant_calls");
    assert!(!format!("{hash:?}").contains(&code), "only its hash is kept");
    let wrong = CheckedCode { proven: false, attempts_left: Some(2) };
    assert_eq!(check(&host, &other_than(&code)).await, Ok(wrong));
    let spaced = code.chars().map(String::from).collect::<Vec<_>>().join(" ");
    assert_eq!(check(&host, &spaced).await, Ok(CheckedCode { proven: true, attempts_left: None }));
    assert_eq!(check(&host, &code).await, Err(ErrorKind::Denied), "it is used up, and they are known now");

    let twiml = ada.say(&host, &twiml, "and now?").await;
    {
        let state = world.state();
        let (header, run) = state.runs.last().unwrap();
        assert_eq!((header.person.as_deref(), header.level), (Some(ADA), Some(Level::Attested)));
        assert_eq!(run.known[0].text, "they met");
    }
    ada.say(&host, &twiml, "bye").await;
    let said = wait(|| async { world.said(ADA) }, |said| said.len() >= 3).await;
    assert!(!said.iter().any(|line| line.contains("what do you know")), "nothing before the proof: {said:?}");
    assert_eq!(said[0], "voice person: and now?");
}

#[tokio::test]
async fn nobody_guesses_a_code_and_nobody_is_flooded_with_them() {
    let world = World::default();
    let (host, ada) = (world.host().await, shown());
    ada.ring(&host).await;
    assert_eq!(check(&host, "123456").await, Err(ErrorKind::Denied), "none was sent");
    for _ in 0..3 {
        send(&host).await.unwrap();
        let code = codes(&world).pop().unwrap();
        for left in [2, 1, 0] {
            let wrong = CheckedCode { proven: false, attempts_left: Some(left) };
            assert_eq!(check(&host, &other_than(&code)).await, Ok(wrong));
        }
        for known in codes(&world) {
            assert_eq!(check(&host, &known).await, Err(ErrorKind::Denied), "it was tried too often");
        }
    }
    assert_eq!(send(&host).await, Err(ErrorKind::Denied), "three a call");
    world.database.run("update voice_assistant_calls set codes = 10, call = 'CAother'");
    ada.ring(&host).await;
    assert_eq!(send(&host).await, Err(ErrorKind::Denied), "ten a day and number");
    world.database.run("update voice_assistant_calls set started_ms = 1 where call = 'CAother'");
    send(&host).await.unwrap();
    let code = codes(&world).pop().unwrap();
    world.database.run("update voice_assistant_calls set code_ms = 1");
    assert_eq!(check(&host, &code).await, Err(ErrorKind::Denied), "it is too old");
}

#[tokio::test]
async fn a_withheld_or_forged_number_gets_no_code() {
    for level in [Level::Own, Level::Withheld] {
        let world = World::default();
        let host = world.host().await;
        Phone { person: None, level, ..Phone::ada() }.ring(&host).await;
        assert_eq!(send(&host).await, Err(ErrorKind::Denied));
        assert_eq!(codes(&world), [] as [String; 0]);
    }
}

#[tokio::test]
async fn the_operator_may_take_what_is_shown_for_granted() {
    let world = World::default();
    let (host, ada) = (world.host_with(json!({ "known_from": "shown" })).await, shown());
    let twiml = ada.ring(&host).await;
    ada.say(&host, &twiml, "hello").await;
    assert_eq!(world.state().runs[0].0.person.as_deref(), Some(ADA));
}

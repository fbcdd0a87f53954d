//! The repository's own plugins.toml starts as it stands.

use std::fs;

use libtest_mimic::Trial;
use switchboard_tests::{
    Setup,
    artifacts::{repository, shipped_plugins},
    partners::smtp::SmtpServer,
    trial::Outcome,
    trials,
};

use crate::{calendar, openai, twilio};

pub fn tests() -> Vec<Trial> {
    trials![
        it_passes_check,
        it_starts_on_sqlite_with_nothing_set,
        with_partners_everything_is_connected,
        it_names_every_plugin_of_the_repository,
        the_telephone_has_the_same_tools_both_ways,
    ]
}

/// The plugins.toml that ships.
pub fn text() -> String {
    fs::read_to_string(repository().join("plugins.toml")).expect("the repository ships a plugins.toml")
}

fn it_passes_check() {
    let finished = Setup::new(&text()).command(&["check"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

fn it_starts_on_sqlite_with_nothing_set() {
    let host = Setup::new(&text()).start();
    host.wait_until_ready();
    assert_eq!(host.status("database"), "connected");
    assert_eq!(host.status("smtp"), "not_configured");
    assert_eq!(host.status("openai"), "not_configured");
    assert_eq!(host.status("google_calendar"), "not_configured");
    assert_eq!(host.status("memory_service"), "not_initialized", "openai is not configured");
    assert_eq!(
        host.status("messaging_service"),
        "not_initialized",
        "neither openai nor twilio is configured"
    );
    assert_eq!(host.status("voice_assistant"), "not_initialized", "openai is not configured");
    assert_eq!(host.status("realtime_call_bridge"), "not_initialized", "voice_assistant is held");
    assert_eq!(host.status("scheduler_service"), "connected");
    assert_eq!(host.get("/api/health").json()["status"], "healthy");
}

fn with_partners_everything_is_connected() -> Outcome {
    let (openai, smtp) = (openai::server()?, SmtpServer::start(&[])?);
    let (twilio, google) = (twilio::server()?, calendar::google()?);
    let setup = calendar::variables(Setup::new(&text()), google.address());
    let setup = twilio::variables(setup, twilio.address());
    let host = openai::variables(setup, openai.address(), openai::KEY)
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &smtp.port().to_string())
        .env("SMTP_TLS", "none")
        .env("SMTP_FROM_EMAIL", "bot@example.com")
        .start();
    calendar::connect(&host, &google);
    let all = names();
    for name in &all {
        host.wait_for_status(name, "connected");
    }
    let status = host.command(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert_eq!(status.stdout.matches(" connected ").count(), all.len(), "{}", status.stdout);
    Ok(())
}

fn it_names_every_plugin_of_the_repository() {
    let named = names();
    for name in shipped_plugins() {
        assert!(named.contains(&name), "plugins.toml does not name `{name}`: add a section [plugins.{name}]");
    }
}

/// In real time the conversation ends and transfers a call, and finds out who calls, by tools of its own.
fn the_telephone_has_the_same_tools_both_ways() {
    let of_the_call = [
        "voice_assistant.transfer_call",
        "voice_assistant.end_call",
        "voice_assistant.send_code",
        "voice_assistant.check_code",
    ];
    let by_turns = listed("orchestrator_service", "tools").into_iter();
    let by_turns: Vec<_> = by_turns.filter(|tool| !of_the_call.contains(&tool.as_str())).collect();
    assert_eq!(listed("voice_assistant", "tools"), by_turns);
    assert_eq!(listed("voice_assistant", "approve"), listed("orchestrator_service", "approve"));
}

/// A list of a plugin's section.
fn listed(plugin: &str, key: &str) -> Vec<String> {
    let config: toml::Table = text().parse().expect("it is TOML");
    let list = config["plugins"][plugin][key].as_array().expect("it is a list");
    list.iter().map(|name| name.as_str().expect("it holds texts").to_owned()).collect()
}

/// The plugins that it names.
fn names() -> Vec<String> {
    let config: toml::Table = text().parse().expect("it is TOML");
    config["plugins"].as_table().expect("it names plugins").keys().cloned().collect()
}

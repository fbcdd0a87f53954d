//! The integration tests: one binary, a file a subject. `cargo test -p switchboard-tests -- health` runs those of one.
//! Each test starts a host of its own, in a folder of its own, on a port of its own.

/// The repository keeps the house rules.
mod tidy;
/// The partners do what the other tests rely on.
mod partners;
/// A host starts, says what it does, and ends.
mod run;
/// A configuration that cannot work is refused, in words.
mod config;
/// A library that no host should load stays out, and harms nobody.
mod boundary;
/// A plugin that answers its probe and fails its work.
mod failing;
/// Every entry of a plugin misbehaves in every way.
mod faults;
/// A plugin that misbehaves is contained, shown and healed.
mod lifecycle;
/// The log can neither stop nor end the host.
mod log;
/// Calls of operations, over HTTP and between plugins.
mod operations;
/// The configuration changes while a host runs.
mod reload;
/// Routes of plugins, and streams.
mod routes;
/// What no output may show.
mod secrets;
/// Who may ask a host for what.
mod access;
/// What attackers try, from their side.
mod attacks;
/// The machine's clock is stepped.
mod clock;
/// Signals, connections and commands before they reach anything.
mod door;
/// The health API answers as promised.
mod health;
/// Events of health: each once, whoever cuts them.
mod events;
/// What plugins went through survives the host.
mod journal;
/// The OpenAPI document, and whether what it says is true.
mod openapi;
/// Every command does what it says, and exits with what it means.
mod commands;
/// The database plugin on SQLite, as a fresh start has it.
mod sqlite;
/// The database plugin on a real PostgreSQL.
mod postgres;
/// What was acknowledged stays, and what was taken is finished.
mod durability;
/// The smtp plugin with a real SMTP server.
mod email;
/// The openai plugin with a stand-in for OpenAI.
mod openai;
/// Twilio: account, messages, webhooks, with a stand-in and with Twilio's own library.
mod twilio;
/// Messages of people: taken once, answered in order, whoever is killed.
mod messaging;
/// Telephone calls, turn by turn: answered whatever is down, placed, kept.
mod voice;
/// Calls in real time, with a model that hears, and with what goes wrong with it.
mod session;
/// The kit for authors: new plugins, the checklist, and the guide as it stands.
mod kit;
/// The calendar plugin with a stand-in of Google.
mod calendar;
/// The memory_service plugin on every database, with models whose vectors are known.
mod memory;
/// Runs of the orchestrator: durable, shared by hosts, approved by people.
mod orchestrator;
/// Calls through the realtime bridge, on real sockets.
mod bridge;
/// The scheduler: jobs that are done once, whoever is killed.
mod scheduler;
/// A host checks itself, and what it connects to.
mod doctor;
/// How it is installed and deployed.
mod deploy;
/// Operators follow a host, and have it say more.
mod operators;
/// The page on troubleshooting.
mod troubleshooting;
/// The dashboard in a browser.
mod dashboard;
/// The configuration that ships.
mod shipped;
/// The whole story: a text becomes an event, a mail, a reminder and an answer.
mod assistant;

/// Most of a test is waiting for a host: more of them at once than there are cores, though some run hosts by threes.
const TESTS_AT_ONCE: usize = 3;

fn main() {
    let mut arguments = libtest_mimic::Arguments::from_args();
    arguments.test_threads.get_or_insert(TESTS_AT_ONCE);
    let tests = [
        tidy::tests(),
        partners::tests(),
        run::tests(),
        config::tests(),
        boundary::tests(),
        failing::tests(),
        faults::tests(),
        lifecycle::tests(),
        log::tests(),
        operations::tests(),
        reload::tests(),
        routes::tests(),
        secrets::tests(),
        access::tests(),
        attacks::tests(),
        clock::tests(),
        door::tests(),
        health::tests(),
        events::tests(),
        journal::tests(),
        openapi::tests(),
        commands::tests(),
        sqlite::tests(),
        postgres::tests(),
        durability::tests(),
        email::tests(),
        openai::tests(),
        twilio::tests(),
        messaging::tests(),
        voice::tests(),
        session::tests(),
        kit::tests(),
        calendar::tests(),
        memory::tests(),
        orchestrator::tests(),
        bridge::tests(),
        scheduler::tests(),
        doctor::tests(),
        deploy::tests(),
        operators::tests(),
        troubleshooting::tests(),
        dashboard::tests(),
        shipped::tests(),
        assistant::tests(),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit();
}

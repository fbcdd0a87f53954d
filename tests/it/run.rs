//! A host starts on a fresh machine, says where it is and what to do next, and ends when it is told to.

use std::net::TcpListener;

use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::json;
use switchboard_tests::{Setup, partners::free_port, trials, wait::wait_until};

pub fn tests() -> Vec<Trial> {
    trials![
        a_fresh_start_serves_on_sqlite,
        the_output_says_where_what_and_what_next,
        it_listens_where_plugins_toml_says,
        relative_paths_start_at_plugins_toml,
        a_dotenv_file_is_read_and_the_environment_beats_it,
        a_value_of_dotenv_is_what_stands_there,
        what_was_probably_meant_is_said,
        a_library_that_hangs_does_not_hold_up_the_end,
        sigterm_stops_plugins_and_exits_0,
        ctrl_c_exits_0,
        a_second_signal_ends_it_at_once,
        it_starts_again_after_a_power_cut,
        a_second_host_in_the_same_data_dir_is_refused,
        a_port_in_use_is_refused,
        a_data_dir_that_cannot_be_made_is_refused,
    ]
}

const FRESH: &str = "[plugins.database]\n[plugins.smtp]\n";

fn a_fresh_start_serves_on_sqlite() {
    let host = Setup::new(FRESH).start();
    host.wait_until_ready();

    assert_eq!(host.status("database"), "connected");
    assert!(host.setup().path("data/switchboard.db").is_file());

    let smtp = host.plugin("smtp");
    assert_eq!(smtp["status"], "not_configured");
    assert_eq!(smtp["reason"]["code"], "config_missing");
    assert_eq!(smtp["fix"]["action"], "set_variables");
    assert_eq!(smtp["settings"]["missing"], json!(["SMTP_SERVER", "SMTP_FROM_EMAIL"]));

    let health = host.get("/api/health");
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("healthy")), "{}", health.body);
}

fn the_output_says_where_what_and_what_next() {
    let mut host = Setup::new(FRESH).start();
    let address = format!("http://{}", host.address());
    let words =
        [&address, "database", "connected", "smtp", "not_configured", "SMTP_SERVER", "SMTP_FROM_EMAIL"];
    let output = wait_until(
        "the address, the table and what to do next",
        || host.process().stdout(),
        |output| words.iter().all(|word| output.contains(word)),
    );
    assert!(!output.contains('\u{1b}'), "no colour off a terminal: {output:?}");
}

fn it_listens_where_plugins_toml_says() {
    // An address that no other test uses, so that nobody takes the port meanwhile.
    let address = format!("127.0.0.77:{}", free_port());
    let config = format!("[host]\nlisten = \"{address}\"\n{FRESH}");
    let host = Setup::new(&config).without_env("SWITCHBOARD_LISTEN").start();
    assert_eq!(host.address(), address);
}

fn relative_paths_start_at_plugins_toml() {
    let setup = Setup::empty().file("elsewhere/plugins.toml", FRESH);
    let process = setup.spawn(&["--config", "elsewhere/plugins.toml", "run"]);
    wait_until("run.json", || setup.path("elsewhere/data/run.json").is_file(), |there| *there);
    wait_until("the database", || setup.path("elsewhere/data/switchboard.db").is_file(), |there| *there);
    assert!(!setup.path("data").exists());
    drop(process);
}

fn a_dotenv_file_is_read_and_the_environment_beats_it() {
    let config =
        "[plugins.faulty]\nsettings = { init = { fail = { code = \"quota\", message = \"${TEXT}\" } } }\n";
    let from_file = Setup::new(config).file(".env", "TEXT='of the file'\n").start();
    let both =
        Setup::new(config).file(".env", "TEXT='of the file'\n").env("TEXT", "of the environment").start();
    assert_eq!(from_file.wait_for_status("faulty", "error")["reason"]["message"], "of the file");
    assert_eq!(both.wait_for_status("faulty", "error")["reason"]["message"], "of the environment");
}

fn a_value_of_dotenv_is_what_stands_there() {
    let config =
        "[plugins.faulty]\nsettings = { init = { fail = { code = \"quota\", message = \"${TEXT}\" } } }\n";
    let values = [
        ("p$ecret@h/db", "p$ecret@h/db"),
        ("pa$$w#rd", "pa$$w#rd"),
        ("back\\slash", "back\\slash"),
        ("\"${BEFORE} and after\" # a comment", "it's before and after"),
        ("'$${BEFORE}'", "$${BEFORE}"),
    ];
    for (written, expected) in values {
        let dotenv = format!("BEFORE=\"it's before\"\nTEXT={written}\n");
        let host = Setup::new(config).file(".env", dotenv).start();
        assert_eq!(host.wait_for_status("faulty", "error")["reason"]["message"], expected, "{written}");
    }
}

fn what_was_probably_meant_is_said() {
    let config = "[host]\nlibrary_dir = \"${LIBRARIES}\"\n[plugins.smtp.settings]\nserver = \"${SMTP_SEVER}\"\n\
                  from_email = \"${SMTP_FROM_EMAIL}\"\n";
    let setup = Setup::new(config).env("SMTP_SERVER", "127.0.0.1").file(".env", "HOST=h\nTEXT=$HOST\n");
    let checked = setup.command(&["check"]);
    let said = [
        "plugins.toml: line 2 of the `.env` beside it has `$HOST`, which stays as it is: write `${HOST}` to fill it in",
        "plugins.toml:2: `host.library_dir` counts as absent: the variable `LIBRARIES` is not set",
        "plugins.toml:4: `plugins.smtp.settings.server` counts as absent: the variable `SMTP_SEVER` is not set",
        "did you mean `${SMTP_SERVER}`?",
    ];
    for words in said {
        assert!(checked.stderr.contains(words), "{words}: {checked:?}");
    }
    assert_eq!(checked.stderr.matches("warning: ").count(), 3, "{checked:?}");
    let host = setup.start();
    host.wait_until_ready();
    for words in said {
        host.wait_for_output(words);
    }
}

/// The names of the threads of a process.
fn threads(process: u32) -> String {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
}

/// The limit of ten seconds is nothing that the end waits for, neither at a start nor at a reload.
fn a_library_that_hangs_does_not_hold_up_the_end() {
    let hangs = "[plugins.raw]\n";
    let setup = Setup::new(hangs).env("RAW_HANGS", "1");
    let mut process = setup.spawn(&["run"]);
    wait_until("the library to hang", || threads(process.id()), |threads| threads.contains("loader"));
    process.signal(Signal::TERM);
    let finished = process.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let output = finished.stdout + &finished.stderr;
    assert!(!output.contains("listens on") && !output.contains("does not finish loading"), "{output}");

    let mut host = setup.file("plugins.toml", "[plugins.faulty]\n").start();
    host.wait_until_ready();
    std::fs::write(host.setup().path("plugins.toml"), hangs).expect("a file can be written");
    host.process().signal(Signal::HUP);
    let process = host.process().id();
    wait_until("the library to hang", || threads(process), |threads| threads.contains("loader"));
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let output = finished.stdout + &finished.stderr;
    assert!(output.contains("asked to stop") && !output.contains("does not finish loading"), "{output}");
}

fn sigterm_stops_plugins_and_exits_0() {
    let host = Setup::new("[plugins.faulty]\n[plugins.dependent]\n").start();
    host.wait_for_status("dependent", "connected");
    let (finished, setup) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!((finished.stdout + &finished.stderr).contains("asked to stop"), "`stop` was not called");
    assert!(!setup.path("data/run.json").exists(), "run.json speaks of a host that is gone");
}

fn ctrl_c_exits_0() {
    let mut host = Setup::new(FRESH).start();
    host.process().signal(Signal::INT);
    wait_until("the host to end", || host.process().is_running(), |running| !running);
    let (finished, _) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

fn a_second_signal_ends_it_at_once() {
    let config = "[host]\nshutdown_grace = \"10m\"\n[plugins.faulty]\nsettings = { stop = \"hang\" }\n";
    let mut host = Setup::new(config).start();
    host.wait_for_status("faulty", "connected");
    host.process().signal(Signal::TERM);
    wait_until("`stop` to be called", || host.output(), |output| output.contains("asked to stop"));
    assert!(host.process().is_running(), "it did not wait for its plugin");
    let (finished, _) = host.terminate();
    assert_ne!(finished.code, Some(0), "it was cut short");
}

fn it_starts_again_after_a_power_cut() {
    let first = Setup::new(FRESH).start();
    first.wait_for_status("database", "connected");
    let second = first.kill().start();
    second.wait_for_status("database", "connected");
}

fn a_second_host_in_the_same_data_dir_is_refused() {
    let mut host = Setup::new(FRESH).start();
    let finished = host.command(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let complaint = finished.stderr;
    assert!(complaint.contains("`data_dir`"), "it names the setting: {complaint}");
    assert!(complaint.contains(&host.process().id().to_string()), "it names the process: {complaint}");
    assert_eq!(host.get("/livez").status, 200, "the first one lives on");
}

fn a_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    let finished = Setup::new(FRESH).env("SWITCHBOARD_LISTEN", &address).command(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let complaint = finished.stderr;
    assert!(complaint.contains(&address), "it names the address: {complaint}");
    assert!(complaint.contains("SWITCHBOARD_LISTEN"), "it names the variable: {complaint}");
}

fn a_data_dir_that_cannot_be_made_is_refused() {
    let config = format!("[host]\ndata_dir = \"file/data\"\n{FRESH}");
    let finished = Setup::new(&config).file("file", "not a folder").command(&["run"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let complaint = finished.stderr;
    assert!(complaint.contains("file/data"), "it names the folder: {complaint}");
    assert!(complaint.contains("`data_dir`"), "it names the setting: {complaint}");
}

//! A library that no host should load is quarantined, in one line that shows both sides and what to do; whatever else
//! plugins.toml names runs.

use std::{fs, process::Command};

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, artifacts::artifacts, bad_libraries, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        a_library_that_does_not_exist,
        a_text_file,
        an_empty_file,
        a_truncated_library,
        a_library_for_another_processor,
        a_folder,
        a_library_that_needs_another,
        a_library_for_a_newer_system,
        a_mount_without_execution,
        a_library_without_the_symbols,
        a_library_of_another_abi_version,
        a_library_of_another_panic_strategy,
        what_requires_a_bad_library_is_held,
        check_answers_65,
        a_second_section_needs_multi_instance,
    ]
}

fn a_library_that_does_not_exist() {
    check(
        setup("nowhere.so"),
        expect![
            "`<folder>/./nowhere.so` does not exist: build it with `cargo build`, or correct `library` or `library_dir`"
        ],
    );
}

fn a_text_file() {
    check(
        setup("bad.so").file("bad.so", bad_libraries::text()),
        expect![
            "`<folder>/./bad.so` is not a dynamic library, but a text file: point `library` at a built plugin"
        ],
    );
}

fn an_empty_file() {
    check(
        setup("bad.so").file("bad.so", ""),
        expect![
            "`<folder>/./bad.so` is not a dynamic library, but an empty file: point `library` at a built plugin"
        ],
    );
}

fn a_truncated_library() {
    check(
        setup("bad.so").file("bad.so", bad_libraries::truncated()),
        expect![
            "`<folder>/./bad.so` is truncated: it has <number> bytes and needs <number>: build or copy it again"
        ],
    );
}

fn a_library_for_another_processor() {
    check(
        setup("bad.so").file("bad.so", bad_libraries::foreign()),
        expect![
            "`<folder>/./bad.so` is a library for s390x, this host runs on <arch>: build it for this machine"
        ],
    );
}

fn a_folder() {
    check(
        setup("bad.so").file("bad.so/file", ""),
        expect![
            "`<folder>/./bad.so` is not a dynamic library, but a folder: point `library` at a built plugin"
        ],
    );
}

/// Installing the other library leaves the file as it is: the reload tries it again all the same.
fn a_library_that_needs_another() {
    let setup = setup("bad.so").file("bad.so", bad_libraries::needing_another()).file("more/empty", "");
    let more = setup.path("more");
    let host = check(
        setup.env("LD_LIBRARY_PATH", &more.display().to_string()),
        expect![
            "`<folder>/./bad.so` cannot be opened: it needs `libgone.so.99`, which this machine does not have"
        ],
    );
    let fix = host.plugin("bad")["fix"]["label"].clone();
    assert_eq!(fix, "Install the package that has `libgone.so.99` on this machine, then reload");

    fs::write(more.join("libgone.so.99"), bad_libraries::the_other())
        .expect("the folder of the test is writable");
    let reloaded = host.command(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    host.wait_for_status("bad", "connected");
}

fn a_library_for_a_newer_system() {
    let host = setup("bad.so").file("bad.so", bad_libraries::newer()).start();
    let bad = host.wait_for_status("bad", "error");
    let told = |place: &str| bad.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = told("/reason/message");
    assert!(message.contains("cannot be opened: it needs `GLIBC_9."), "{message}");
    assert!(message.ends_with("which is older on this machine"), "{message}");
    let label = told("/fix/label");
    assert!(label.starts_with("Build the library on a system as old as this one"), "{label}");
}

/// Neither a rebuild nor an upgrade helps where nothing may run. Where nobody may mount there is nothing to see.
fn a_mount_without_execution() {
    let setup = setup("folder/bad.so").file("folder/empty", "");
    let script = r#"mount -t tmpfs -o noexec none folder || exit 99
        cp "$1" folder/bad.so && exec "$2" check"#;
    let ran = Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh"])
        .args([artifacts().library("faulty"), artifacts().binary()])
        .current_dir(setup.folder())
        .output();
    let Ok(ran) = ran else { return };
    let said = String::from_utf8_lossy(&ran.stdout);
    if said.is_empty() {
        eprintln!("nothing was mounted: {}", String::from_utf8_lossy(&ran.stderr));
        return;
    }
    assert_eq!(ran.status.code(), Some(65), "{said}");
    assert!(said.contains("cannot be opened: the system does not let it run from there"), "{said}");
    assert!(said.contains("`noexec`") && !said.contains("rebuild"), "{said}");
}

fn a_library_without_the_symbols() {
    check(
        setup("no_symbols"),
        expect![
            "`<libraries>/libno_symbols.so` is not a Switchboard plugin: it has no symbol `switchboard_preamble`: end its lib.rs with `plugin_api::export_plugin!`"
        ],
    );
}

fn a_library_of_another_abi_version() {
    check(
        setup("old_abi"),
        expect![
            "`<libraries>/libold_abi.so` speaks plugin ABI 0, this host speaks 1: rebuild it with the plugin-api of this host"
        ],
    );
}

fn a_library_of_another_panic_strategy() {
    check(
        setup("abort_panic"),
        expect![[
            r#"`<libraries>/libabort_panic.so` was built with `panic = "abort"`, this host needs `panic = "unwind"` to contain panics: remove `panic` from the profile that builds it"#
        ]],
    );
}

fn what_requires_a_bad_library_is_held() {
    let host = Setup::new("[plugins.faulty]\nlibrary = \"./bad.so\"\n[plugins.dependent]\n")
        .file("bad.so", bad_libraries::text())
        .start();
    host.wait_until_ready();
    let held = host.plugin("dependent");
    assert_eq!(held["status"], "not_initialized");
    assert_eq!(held["reason"]["code"], "dependency_unhealthy");
    assert_eq!(held["fix"]["action"], "see_dependency");
    assert_eq!(held["blocked_by"], json!(["faulty"]));
    assert_eq!(held["root_causes"], json!(["faulty"]));

    let refused = host.call("dependent", "ask", &json!({"plugin": "faulty", "operation": "echo"}));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.body.contains("faulty"), "the cause is named: {}", refused.body);
}

fn check_answers_65() {
    let finished = setup("old_abi").command(&["check"]);
    assert_eq!(finished.code, Some(65), "{finished:?}");
    assert!((finished.stdout + &finished.stderr).contains("speaks plugin ABI 0, this host speaks 1"));
}

fn a_second_section_needs_multi_instance() {
    let twice = "[plugins.database]\n[plugins.database_two]\nlibrary = \"database\"\n";
    let finished = Setup::new(twice).command(&["check"]);
    assert_eq!(finished.code, Some(64), "{finished:?}");
    expect![[r#"
        error: plugins.toml:2: `[plugins.database_two]` and `[plugins.database]` use the same library, `database`
          hint: `database` runs once in a host: remove one of the sections
    "#]]
    .assert_eq(&finished.stderr);

    let allowed =
        "[plugins.faulty]\n[plugins.faulty_two]\nlibrary = \"faulty\"\nsettings = { init = \"panic\" }\n";
    let host = Setup::new(allowed).start();
    host.wait_for_status("faulty_two", "error");
    host.wait_for_status("faulty", "connected");
}

/// A bad library beside a good one: `library` is a name, or a file in the folder.
fn setup(library: &str) -> Setup {
    let library = if library.contains('.') { format!("./{library}") } else { library.to_owned() };
    Setup::new(&format!("[plugins.bad]\nlibrary = \"{library}\"\n[plugins.faulty]\n"))
}

/// Starts it, and compares why the library is refused.
#[track_caller]
fn check(setup: Setup, expected: Expect) -> TestHost {
    let host = setup.start();
    host.wait_until_ready();
    assert_eq!(host.status("faulty"), "connected", "the others run");

    let bad = host.plugin("bad");
    assert_eq!((&bad["status"], &bad["kind"]), (&json!("error"), &json!("unknown")), "{bad:#}");
    assert_eq!(bad["reason"]["code"], "load_failed");
    assert_eq!(bad["reason"]["retryable"], false);
    assert_eq!(bad["fix"]["action"], "upgrade");
    assert_eq!(
        host.get("/api/health/services/bad").json(),
        bad,
        "its kind is unknown, so both routes answer"
    );
    assert_eq!(host.get("/api/health").json()["status"], "degraded");

    let message = bad["reason"]["message"].as_str().expect("a reason is told");
    host.wait_for_output(message);
    let library_dir = artifacts().binary().parent().expect("it stands in a folder").display().to_string();
    let folder = host.setup().folder().display().to_string();
    let message = message.replace(&folder, "<folder>").replace(&library_dir, "<libraries>");
    expected.assert_eq(&without_numbers(&message.replace(std::env::consts::ARCH, "<arch>")));
    host
}

/// Sizes change with the compiler: every long number is as good as another.
fn without_numbers(text: &str) -> String {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let mut shown = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_digit) {
        let (before, from) = rest.split_at(start);
        let (number, after) = from.split_at(from.find(|letter| !is_digit(letter)).unwrap_or(from.len()));
        shown.push_str(before);
        shown.push_str(if number.len() > 3 { "<number>" } else { number });
        rest = after;
    }
    shown + rest
}

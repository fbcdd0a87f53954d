//! A library that no host should load is quarantined, in one line that shows both sides and what to do; whatever else
//! plugins.toml names runs.

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, artifacts::artifacts, bad_libraries, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        a_library_that_does_not_exist,
        a_text_file,
        an_empty_file,
        a_truncated_library,
        a_library_for_another_processor,
        a_folder,
        a_library_without_the_symbols,
        a_library_of_another_abi_version,
        a_library_of_another_panic_strategy,
        what_requires_a_bad_library_is_held,
        check_answers_65,
        a_second_section_needs_multi_instance,
    ]
}

fn a_library_that_does_not_exist() {
    check(setup("nowhere.so"), expect![[r#""#]]);
}

fn a_text_file() {
    check(setup("bad.so").file("bad.so", bad_libraries::text()), expect![[r#""#]]);
}

fn an_empty_file() {
    check(setup("bad.so").file("bad.so", ""), expect![[r#""#]]);
}

fn a_truncated_library() {
    check(setup("bad.so").file("bad.so", bad_libraries::truncated()), expect![[r#""#]]);
}

fn a_library_for_another_processor() {
    check(setup("bad.so").file("bad.so", bad_libraries::foreign()), expect![[r#""#]]);
}

fn a_folder() {
    check(setup("bad.so").file("bad.so/file", ""), expect![[r#""#]]);
}

fn a_library_without_the_symbols() {
    check(setup("no_symbols"), expect![[r#""#]]);
}

fn a_library_of_another_abi_version() {
    check(setup("old_abi"), expect![[r#""#]]);
}

fn a_library_of_another_panic_strategy() {
    check(setup("abort_panic"), expect![[r#""#]]);
}

fn what_requires_a_bad_library_is_held() {
    let host =
        Setup::new("[plugins.faulty]\nlibrary = \"./bad.so\"\n[plugins.dependent]\n[plugins.database]\n")
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
    let twice = "[plugins.dependent]\n[plugins.dependent_two]\nlibrary = \"dependent\"\n[plugins.faulty]\n";
    let finished = Setup::new(twice).command(&["check"]);
    assert_eq!(finished.code, Some(64), "{finished:?}");
    let complaint = finished.stdout + &finished.stderr;
    assert!(complaint.contains("`dependent`") && complaint.contains("`dependent_two`"), "{complaint}");

    let allowed =
        "[plugins.faulty]\n[plugins.faulty_two]\nlibrary = \"faulty\"\nsettings = { init = \"panic\" }\n";
    let host = Setup::new(allowed).start();
    host.wait_for_status("faulty_two", "error");
    assert_eq!(host.status("faulty"), "connected");
}

/// A bad library beside a good one: `library` is a name, or a file in the folder.
fn setup(library: &str) -> Setup {
    let library = if library.contains('.') { format!("./{library}") } else { library.to_owned() };
    Setup::new(&format!("[plugins.bad]\nlibrary = \"{library}\"\n[plugins.faulty]\n"))
}

/// Starts it, and compares why the library is refused.
#[track_caller]
fn check(setup: Setup, expected: Expect) {
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
    assert!(host.output().contains(message), "the log tells it too");
    let library_dir = artifacts().binary().parent().expect("it stands in a folder").display().to_string();
    let folder = host.setup().folder().display().to_string();
    expected.assert_eq(&without_numbers(
        &message.replace(&folder, "<folder>").replace(&library_dir, "<libraries>"),
    ));
}

/// Sizes change with the compiler.
fn without_numbers(text: &str) -> String {
    let words = text.split(' ');
    let words =
        words.map(|word| if word.len() > 2 && word.parse::<u64>().is_ok() { "<number>" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

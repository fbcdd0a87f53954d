//! A configuration that cannot work is refused with exit code 64 and every problem at once, each with its line and what
//! to do; `run` and `check` say the same.

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use switchboard_tests::{Setup, trials};

pub fn tests() -> Vec<Trial> {
    trials![
        no_file,
        an_empty_file,
        not_toml,
        not_utf8,
        wrong_types,
        unknown_keys,
        a_variable_inside_longer_text_that_is_not_set,
        settings_of_the_wrong_type,
        several_problems_at_once,
        a_missing_dependency,
        a_plugin_twice,
        an_address_that_is_none,
        an_address_beyond_loopback,
        settings_of_the_wrong_type_are_the_plugins_own_error,
    ]
}

fn no_file() {
    check(Setup::empty(), expect![[r#""#]]);
}

fn an_empty_file() {
    check_text("", expect![[r#""#]]);
}

fn not_toml() {
    check_text("[plugins.database\nrequired = true\n", expect![[r#""#]]);
}

fn not_utf8() {
    check(Setup::empty().file("plugins.toml", b"[plugins.database]\n# \xff\n"), expect![[r#""#]]);
}

fn wrong_types() {
    let config = r#"
[host]
listen = 8080
[plugins.database]
required = "yes"
probe = { interval = "soon" }
retry = { attempts = -1 }
"#;
    check_text(config, expect![[r#""#]]);
}

fn unknown_keys() {
    let config = r#"
[hots]
listen = "127.0.0.1:0"
[host]
lisen = "127.0.0.1:0"
[plugins.database]
requried = true
[plugins.database.settings]
ulr = "postgres://"
"#;
    check_text(config, expect![[r#""#]]);
}

fn a_variable_inside_longer_text_that_is_not_set() {
    let config = "[plugins.smtp.settings]\nserver = \"smtp.${DOMAIN}\"\nfrom_email = \"${FROM}\"\n";
    check_text(config, expect![[r#""#]]);
}

fn settings_of_the_wrong_type() {
    let config = "[plugins.faulty.settings]\ninit = \"panick\"\nprobe = { slow_ms = \"long\" }\n";
    let finished = Setup::new(config).command_without_paths(&["check"]);
    assert_eq!(finished.code, Some(64), "{finished:?}");
    expect![[r#""#]].assert_eq(&finished.stdout);
}

fn several_problems_at_once() {
    let config = r#"
[plugins.databse]
[plugins.smtp]
librray = "smtp"
settings = { server = "a${NOT_SET}b" }
"#;
    check_text(config, expect![[r#""#]]);
}

fn a_missing_dependency() {
    check_text("[plugins.dependent]\n", expect![[r#""#]]);
}

fn a_plugin_twice() {
    check_text("[plugins.database]\n[plugins.smtp]\n[plugins.database]\n", expect![[r#""#]]);
}

fn an_address_that_is_none() {
    check(
        Setup::new("[host]\nlisten = \"localhost\"\n[plugins.database]\n").without_env("SWITCHBOARD_LISTEN"),
        expect![[r#""#]],
    );
}

fn an_address_beyond_loopback() {
    check(Setup::new("[plugins.database]\n").env("SWITCHBOARD_LISTEN", "0.0.0.0:0"), expect![[r#""#]]);
}

/// What is wrong with one plugin's settings does not keep the others from running.
fn settings_of_the_wrong_type_are_the_plugins_own_error() {
    let host = Setup::new("[plugins.faulty.settings]\ninit = \"panick\"\n[plugins.database]\n").start();
    let faulty = host.wait_for_status("faulty", "error");
    assert_eq!(faulty["reason"]["code"], "config_invalid");
    assert_eq!(faulty["fix"]["action"], "correct_setting");
    expect![[r#""#]].assert_eq(faulty["reason"]["message"].as_str().expect("a reason is told"));
    host.wait_for_status("database", "connected");
}

#[track_caller]
fn check_text(plugins_toml: &str, expected: Expect) {
    check(Setup::new(plugins_toml), expected);
}

/// Both commands refuse it in the same words.
#[track_caller]
fn check(setup: Setup, expected: Expect) {
    let checked = setup.command_without_paths(&["check"]);
    assert_eq!(checked.code, Some(64), "{checked:?}");
    expected.assert_eq(&checked.stderr);
    let run = setup.command_without_paths(&["run"]);
    assert_eq!((run.code, run.stderr), (checked.code, checked.stderr));
}

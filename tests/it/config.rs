//! A configuration that cannot work is refused with exit code 64 and every problem at once, each with its line and what
//! to do; `run` and `check` say the same.

use std::{fs, process::Command};

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, partners::dead_mount::DeadMount, trial::Outcome, trials};

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
        callers_that_restrict_nothing,
        a_cycle,
        a_plugin_twice,
        an_address_that_is_none,
        an_address_beyond_loopback,
        a_home_is_no_path,
        what_is_no_file_is_refused_at_once,
        a_mount_that_does_not_answer_holds_up_nothing,
        mistakes_in_dotenv,
        settings_of_the_wrong_type_are_the_plugins_own_error,
    ]
}

fn no_file() {
    check(
        Setup::empty(),
        expect![[r#"
        error: plugins.toml: there is no such file
          hint: name another with `--config PATH` or `SWITCHBOARD_CONFIG`, or make it:
                [plugins.database]
                required = true
    "#]],
    );
}

fn an_empty_file() {
    check_text(
        "",
        expect![[r#"
            error: plugins.toml: it is empty
              hint: a section declares a plugin, for example:
                    [plugins.database]
                    required = true
        "#]],
    );
}

fn not_toml() {
    check_text(
        "[plugins.database\nrequired = true\n",
        expect![[r#"
        error: plugins.toml:1: not TOML at column 18: unclosed table, expected `]`
    "#]],
    );
}

fn not_utf8() {
    check(
        Setup::empty().file("plugins.toml", b"[plugins.database]\n# \xff\n"),
        expect![[r#"
        error: plugins.toml:2: not UTF-8 text
    "#]],
    );
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
    check_text(
        config,
        expect![[r#"
        error: plugins.toml:3: `host.listen` must be text, found `8080`
        plugins.toml:5: `plugins.database.required` must be `true` or `false`, found `yes`
        plugins.toml:6: `plugins.database.probe.interval` must be a time such as `500ms`, `10s`, `5m`, found `soon`
        plugins.toml:7: `plugins.database.retry.attempts` must be at least 1, found `-1`
    "#]],
    );
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
    check_text(
        config,
        expect![[r#"
            error: plugins.toml:2: unknown key `hots` at the top level
              hint: did you mean `host`?
            plugins.toml:5: unknown key `lisen` in `[host]`
              hint: did you mean `listen`?
            plugins.toml:7: unknown key `requried` in `[plugins.database]`
              hint: did you mean `required`?
        "#]],
    );
}

fn a_variable_inside_longer_text_that_is_not_set() {
    let config = "[plugins.smtp.settings]\nserver = \"smtp.${DOMAIN}\"\nfrom_email = \"${FROM}\"\n";
    check_text(
        config,
        expect![[r#"
        error: plugins.toml:2: `plugins.smtp.settings.server` needs the variable `DOMAIN`, which is not set
          hint: set `DOMAIN`, or give it a default: `${DOMAIN:-default}`
    "#]],
    );
}

fn settings_of_the_wrong_type() {
    let config = "[plugins.faulty.settings]\ninit = \"panick\"\nprobe = { slow_ms = \"long\" }\n";
    let finished = Setup::new(config).command_without_paths(&["check"]);
    assert_eq!(finished.code, Some(64), "{finished:?}");
    expect![[r#"
        faulty: invalid: `plugins.faulty.settings.init` (line 2) must have one of the forms that the schema allows, found text; `plugins.faulty.settings.probe` (line 3) must have one of the forms that the schema allows, found a table
    "#]].assert_eq(&finished.stdout);
}

fn several_problems_at_once() {
    let config = r#"
[plugins.databse]
[plugins.smtp]
librray = "smtp"
settings = { server = "a${NOT_SET}b" }
"#;
    check_text(
        config,
        expect![[r#"
        error: plugins.toml:4: unknown key `librray` in `[plugins.smtp]`
          hint: did you mean `library`?
        plugins.toml:5: `plugins.smtp.settings.server` needs the variable `NOT_SET`, which is not set
          hint: set `NOT_SET`, or give it a default: `${NOT_SET:-default}`
    "#]],
    );
}

fn a_missing_dependency() {
    check_text(
        "[plugins.dependent]\n",
        expect![[r#"
        error: plugins.toml:1: `dependent` requires `faulty`, which plugins.toml does not name
          hint: add a section `[plugins.faulty]`
    "#]],
    );
}

fn a_cycle() {
    check_text(
        "[plugins.database]\n[plugins.chicken]\n[plugins.egg]\n",
        expect![[r#"
        error: plugins.toml:2: plugins depend on each other in a cycle: `chicken -> egg -> chicken`
          hint: each would wait for the next: remove one of their sections, or `bind` a dependency to another instance
    "#]],
    );
}

fn callers_that_restrict_nothing() {
    check_text(
        "[plugins.faulty]\ncallers = [\"faulty\"]\n",
        expect![[r#"
        error: plugins.toml:1: `callers` of `[plugins.faulty]` has no effect: no operation of `faulty` is limited to callers
          hint: remove it
    "#]],
    );
}

fn a_plugin_twice() {
    check_text(
        "[plugins.database]\n[plugins.smtp]\n[plugins.database]\n",
        expect![[r#"
            error: plugins.toml:3: `database` is defined a second time
              hint: a section or key may appear only once: merge the two, or rename one
        "#]],
    );
}

fn an_address_that_is_none() {
    check(
        Setup::new("[host]\nlisten = \"localhost\"\n[plugins.database]\n").without_env("SWITCHBOARD_LISTEN"),
        expect![[r#"
            error: plugins.toml:2: `host.listen` must be an address and a port, found `localhost`
              hint: write it as `127.0.0.1:8080`
        "#]],
    );
}

fn an_address_beyond_loopback() {
    check(
        Setup::new("[plugins.database]\n").env("SWITCHBOARD_LISTEN", "0.0.0.0:0"),
        expect![[r#"
            error: plugins.toml: the variable `SWITCHBOARD_LISTEN` is `0.0.0.0:0`, which other machines can reach, and there is no operator's token
              hint: set `SWITCHBOARD_TOKEN`: `openssl rand -hex 32` prints a good one; or listen on `127.0.0.1:0`
        "#]],
    );
}

fn a_home_is_no_path() {
    check_text(
        "[host]\ndata_dir = \"~/x\"\n[plugins.database]\n",
        expect![[r#"
            error: plugins.toml:2: `host.data_dir` begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`
        "#]],
    );
    let setup = Setup::new("[plugins.database.settings]\nurl = \"sqlite:~/main.db\"\n");
    let checked = setup.command(&["check"]);
    assert_eq!(checked.code, Some(64), "{checked:?}");
    expect![[r#"
        database: invalid: `plugins.database.settings.url` (line 2) begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`
    "#]]
    .assert_eq(&checked.stdout);
    assert!(!setup.path("~").exists());
}

/// A named pipe that nobody writes to.
fn with_pipe(setup: Setup, name: &str) -> Setup {
    let made = Command::new("mkfifo").arg(setup.path(name)).status().expect("coreutils are there");
    assert!(made.success());
    setup
}

fn what_is_no_file_is_refused_at_once() {
    check(
        with_pipe(Setup::new("[plugins.database]\n"), ".env"),
        expect![[r#"
            error: plugins.toml: the `.env` beside it cannot be read: it is a named pipe, not a file
        "#]],
    );
    check(
        with_pipe(Setup::empty(), "plugins.toml"),
        expect![[r#"
            error: plugins.toml: it cannot be read: it is a named pipe, not a file
        "#]],
    );
    check(
        with_pipe(Setup::new("[host]\ntoken_file = \"token\"\n[plugins.database]\n"), "token"),
        expect![[r#"
            error: plugins.toml:2: the file `<folder>/token`, named by `host.token_file`, cannot be read: it is a named pipe, not a file
              hint: it must be a text file that this user may read
        "#]],
    );
    check_text(
        "[host]\ntoken_file = \"/dev/zero\"\n[plugins.database]\n",
        expect![[r#"
            error: plugins.toml:2: the file `/dev/zero`, named by `host.token_file`, cannot be read: it is a device, not a file
              hint: it must be a text file that this user may read
        "#]],
    );
    let libraries = "[plugins.a]\nlibrary = \"./a.so\"\n[plugins.b]\nlibrary = \"/dev/zero\"\n";
    let checked = with_pipe(Setup::new(libraries), "a.so").command_without_paths(&["check"]);
    assert_eq!(checked.code, Some(65), "{checked:?}");
    expect![[r#"
        a: refused: `<folder>/./a.so` is not a dynamic library, but a named pipe: point `library` at a built plugin
        b: refused: `/dev/zero` is not a dynamic library, but a device: point `library` at a built plugin
    "#]]
    .assert_eq(&checked.stdout);
    // A plugin reads its own files the same way.
    let settings =
        "[plugins.google_calendar.settings]\nclient_secrets_file = \"secrets\"\n[plugins.database]\n";
    let host = with_pipe(Setup::new(settings), "secrets").start();
    let calendar = host.wait_for_status("google_calendar", "error");
    let message = calendar["reason"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("secrets` cannot be read: it is a named pipe, not a file"), "{message}");
}

fn a_mount_that_does_not_answer_holds_up_nothing() -> Outcome {
    let setup = Setup::new("[host]\ntoken_file = \"dead/token\"\n[plugins.database]\n");
    let dead = DeadMount::mount(&setup.path("dead"))?;
    let checked = setup.command_without_paths(&["check"]);
    assert_eq!(checked.code, Some(64), "{checked:?}");
    expect![[r#"
        error: plugins.toml:2: the file `<folder>/dead/token`, named by `host.token_file`, cannot be read: it was not read within 5s; does its disk or mount answer?
          hint: it must be a text file that this user may read
    "#]]
    .assert_eq(&checked.stderr);
    drop(dead);

    let setup = Setup::new("[plugins.a]\nlibrary = \"./dead/a.so\"\n");
    let dead = DeadMount::mount(&setup.path("dead"))?;
    let checked = setup.command_without_paths(&["check"]);
    assert_eq!(checked.code, Some(65), "{checked:?}");
    expect![[r#"
        a: refused: `<folder>/./dead/a.so` was not read within 5s; does its disk or mount answer?
    "#]]
    .assert_eq(&checked.stdout);
    drop(dead);

    // A running host refuses it and serves on.
    let host = Setup::new("[plugins.faulty]\n").start();
    let dead = DeadMount::mount(&host.setup().path("dead"))?;
    host.wait_for_status("faulty", "connected");
    let config = "[host]\ntoken_file = \"dead/token\"\n[plugins.faulty]\n";
    fs::write(host.setup().path("plugins.toml"), config).expect("it can be written");
    let answer = host.call("host", "reload", &json!({}));
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("does its disk or mount answer?"), "{}", answer.body);
    assert_eq!(host.call("faulty", "echo", &json!({"text": "well"})).status, 200);
    fs::write(host.setup().path("plugins.toml"), "[plugins.faulty]\n").expect("it can be written");
    assert_eq!(host.call("host", "reload", &json!({})).status, 200, "the next reload is not held up");
    let (finished, _setup) = host.terminate();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    drop(dead);
    Ok(())
}

fn mistakes_in_dotenv() {
    check(
        Setup::new("[plugins.database]\n").file(".env", "A=1\nB=two words\nC='open\nD=x${UNSET}\nE\n"),
        expect![[r#"
            error: plugins.toml: line 2 of the `.env` beside it has blanks in its value, but no quotes
              hint: put a literal value in single quotes: `NAME='a value'`
            plugins.toml: line 3 of the `.env` beside it has a quote that is not closed
              hint: put a literal value in single quotes: `NAME='a value'`
            plugins.toml: line 4 of the `.env` beside it has `${UNSET}`, and no variable of that name is set before
              hint: set it in the environment or further up; put a literal value in single quotes: `NAME='a value'`
            plugins.toml: line 5 of the `.env` beside it is not `NAME=value`
              hint: a name has letters, digits and `_`; a line that begins with `#` is a comment
        "#]],
    );
}

/// What is wrong with one plugin's settings does not keep the others from running.
fn settings_of_the_wrong_type_are_the_plugins_own_error() {
    let host = Setup::new(
        "[plugins.faulty.settings]\ninit = \"panick\"\n[plugins.neighbour]\nlibrary = \"faulty\"\n",
    )
    .start();
    let faulty = host.wait_for_status("faulty", "error");
    assert_eq!(faulty["reason"]["code"], "config_invalid");
    assert_eq!(faulty["fix"]["action"], "correct_setting");
    expect!["`plugins.faulty.settings.init` (line 2) must have one of the forms that the schema allows, found text"].assert_eq(faulty["reason"]["message"].as_str().expect("a reason is told"));
    host.wait_for_status("neighbour", "connected");
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

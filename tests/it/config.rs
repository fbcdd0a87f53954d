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
        a_cycle,
        a_plugin_twice,
        an_address_that_is_none,
        an_address_beyond_loopback,
        settings_of_the_wrong_type_are_the_plugins_own_error,
    ]
}

fn no_file() {
    check(
        Setup::empty(),
        expect![[r#"
        error: plugins.toml: there is no such file
          hint: name another with `--config PATH`, or make it:
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
              hint: a plugin is named by a section, for example:
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
        error: plugins.toml:2: plugins depend on each other in a circle: `chicken -> egg -> chicken`
          hint: each would wait for the next: take one of their sections out, or `bind` a dependency to another instance
    "#]],
    );
}

fn a_plugin_twice() {
    check_text(
        "[plugins.database]\n[plugins.smtp]\n[plugins.database]\n",
        expect![[r#"
            error: plugins.toml:3: `database` is there for the second time
              hint: a section or key may be written once: merge the two, or rename one
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

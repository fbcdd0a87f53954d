//! What comes of a plugin's settings, from the struct that an author writes to the text that an operator reads.

use std::path::Path;

use expect_test::{Expect, expect};
use plugin_api::settings::{Secret, Span};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::parse;

/// How the connection is secured.
#[plugin_api::message]
#[serde(rename_all = "snake_case")]
enum Tls {
    /// From the first byte.
    Implicit,
    /// After a greeting.
    Starttls,
}

#[plugin_api::settings]
#[expect(dead_code, reason = "only the schema is used")]
struct Settings {
    #[setting(env = "MAIL_SERVER")]
    server: String,
    #[setting(env = "MAIL_PORT")]
    port: Option<u16>,
    #[setting(env = "MAIL_USER")]
    user: Option<String>,
    #[setting(env = "MAIL_PASSWORD")]
    password: Option<Secret>,
    #[setting(env = "MAIL_TLS")]
    tls: Option<Tls>,
    #[setting(env = "MAIL_RETRY")]
    retry: Option<bool>,
    #[serde(default)]
    #[setting(env = "MAIL_DOMAINS")]
    domains: Vec<String>,
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    count: u32,
    timeout: Option<Span>,
    ratio: Option<f64>,
    key_file: Option<String>,
    #[setting(env = "MAIL_KEY")]
    key: Option<Secret>,
    limits: Option<Limits>,
}

#[plugin_api::settings]
#[expect(dead_code, reason = "only the schema is used")]
struct Limits {
    #[setting(env = "MAIL_RATE")]
    rate: Option<i32>,
}

fn ten() -> u32 {
    10
}

fn manifest() -> Manifest {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Settings>();
    serde_json::from_value(json!({
        "name": "mail", "version": "0.1.0", "kind": "integration", "settings": schema,
        "require_any": [["key", "key_file"]], "all_or_none": [["user", "password"]],
    }))
    .unwrap()
}

/// The lines are those of `[plugins.mail.settings]`, whose header is line 1.
fn resolved(settings: &str, variables: &[(&str, &str)]) -> Resolution {
    let environment = Environment::from_pairs(variables.iter().copied());
    let text = format!("[plugins.mail.settings]\n{settings}");
    let config = parse(Path::new("/nowhere/plugins.toml"), &text, &environment)
        .unwrap_or_else(|problems| panic!("{problems}"));
    resolve(&config.plugins[0], &manifest(), &environment)
}

#[track_caller]
fn ready(settings: &str, variables: &[(&str, &str)], expected: Value) {
    match resolved(settings, variables) {
        Resolution::Ready { settings, .. } => assert_eq!(settings, expected),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn missing(settings: &str, variables: &[(&str, &str)], expected: &[&str]) {
    match resolved(settings, variables) {
        Resolution::NotConfigured { missing, .. } => assert_eq!(missing, expected),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn invalid(settings: &str, variables: &[(&str, &str)], expected: Expect) {
    match resolved(settings, variables) {
        Resolution::Invalid { invalid, .. } => {
            let lines: Vec<_> = invalid.iter().map(InvalidSetting::to_string).collect();
            expected.assert_eq(&lines.join("\n"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_wins_over_the_variable() {
    let variables = [("MAIL_SERVER", "variable"), ("MAIL_PORT", "25"), ("MAIL_KEY", "k")];
    ready("server = 'file'", &variables, json!({ "server": "file", "port": 25, "key": "k" }));
    ready(
        "server = ''\nport = '${NONE}'",
        &variables,
        json!({ "server": "variable", "port": 25, "key": "k" }),
    );
}

#[test]
fn variables_become_what_the_setting_wants() {
    let variables = [
        ("MAIL_SERVER", "123"),
        ("MAIL_PORT", " 465 "),
        ("MAIL_KEY", "1"),
        ("MAIL_TLS", "starttls"),
        ("MAIL_RETRY", "off"),
        ("MAIL_DOMAINS", "a.org, b.org"),
        ("MAIL_RATE", "-3"),
        ("COUNT", "7"),
    ];
    ready(
        "count = '${COUNT}'\nratio = '${RATIO:-0.5}'\ntimeout = '5s'",
        &variables,
        json!({
            "server": "123", "port": 465, "key": "1", "tls": "starttls", "retry": false,
            "domains": ["a.org", "b.org"], "limits": { "rate": -3 }, "count": 7, "ratio": 0.5, "timeout": "5s",
        }),
    );
}

#[test]
fn what_is_missing_is_named_as_a_person_sets_it() {
    missing("", &[], &["MAIL_SERVER", "MAIL_KEY or plugins.mail.settings.key_file"]);
    missing("key = 'k'", &[("MAIL_SERVER", "")], &["MAIL_SERVER"]);
    let named = [("MAIL_SERVER", "s"), ("MAIL_KEY", "k")];
    missing("user = 'ada'", &named, &["MAIL_PASSWORD"]);
    missing("", &[("MAIL_PASSWORD", "p"), named[0], named[1]], &["MAIL_USER"]);
    ready(
        "user = 'ada'\npassword = 'p'",
        &named,
        json!({"server": "s", "key": "k", "user": "ada", "password": "p"}),
    );
}

#[test]
fn what_is_wrong_is_told_without_its_value() {
    invalid(
        "server = 7",
        &[],
        expect!["`plugins.mail.settings.server` (line 2) must be text, found a whole number"],
    );
    invalid(
        "sever = 'x'",
        &[],
        expect!["`plugins.mail.settings.sever` (line 2) is not known; did you mean `server`?"],
    );
    invalid(
        "zzzzzzzzzz = 'x'",
        &[],
        expect![
            "`plugins.mail.settings.zzzzzzzzzz` (line 2) is not known; the keys here are `count`, `domains`, `key`, `key_file`, `limits`, `password`, `port`, `ratio`, `retry`, `server`, `timeout`, `tls`, `user`"
        ],
    );
    invalid(
        "port = 70000\ncount = 0\n\ntimeout = 'soon'",
        &[],
        expect![[r#"
        `plugins.mail.settings.count` (line 3) must be at least 1, found a smaller number
        `plugins.mail.settings.port` (line 2) must be at most 65535, found a larger number
        `plugins.mail.settings.timeout` (line 5) must be a time such as `500ms`, `10s`, `5m`, found other text"#]],
    );
    invalid(
        "count = 3.0\nratio = 3",
        &[],
        expect!["`plugins.mail.settings.count` (line 2) must be a whole number, found a number"],
    );
    invalid(
        "count = 5000000000",
        &[],
        expect!["`plugins.mail.settings.count` (line 2) must be at most 4294967295, found a larger number"],
    );
    invalid(
        "port = '587'",
        &[],
        expect!["`plugins.mail.settings.port` (line 2) must be a whole number, found text"],
    );
    invalid(
        "tls = 'ssl'",
        &[],
        expect!["`plugins.mail.settings.tls` (line 2) must be one of `implicit`, `starttls`, found text"],
    );
    invalid(
        "domains = ['a', 5]",
        &[],
        expect!["`plugins.mail.settings.domains.1` (line 2) must be text, found a whole number"],
    );
    invalid(
        "limits = { rat = 5 }",
        &[],
        expect!["`plugins.mail.settings.limits.rat` (line 2) is not known; did you mean `rate`?"],
    );
    invalid(
        "limits = 5",
        &[],
        expect!["`plugins.mail.settings.limits` (line 2) must be a table, found a whole number"],
    );
    invalid(
        "password = 12345678",
        &[],
        expect!["`plugins.mail.settings.password` (line 2) must be text, found a whole number"],
    );
    invalid(
        "",
        &[("MAIL_PORT", "hush"), ("MAIL_TLS", "hush"), ("MAIL_RETRY", "hush"), ("MAIL_RATE", "x")],
        expect![[r#"
            `MAIL_RATE` must be a whole number, found text
            `MAIL_PORT` must be a whole number, found text
            `MAIL_RETRY` must be `true` or `false`, found text
            `MAIL_TLS` must be one of `implicit`, `starttls`, found text"#]],
    );
}

#[test]
fn secrets_are_known_whatever_came_of_the_settings() {
    let variables =
        [("MAIL_SERVER", "smtp://ada:inner@host"), ("MAIL_KEY", "key"), ("MAIL_PASSWORD", "outer")];
    let secrets = |settings| resolved(settings, &variables).secrets().to_vec();
    assert_eq!(secrets("user = 'ada'"), ["inner", "key", "outer"]);
    assert_eq!(secrets(""), ["inner", "key", "outer"], "not configured");
    assert_eq!(secrets("port = 'x'"), ["inner", "key", "outer"], "invalid");
    for settings in ["user = 'ada'", "", "port = 'x'"] {
        assert!(!format!("{:?}", resolved(settings, &variables)).contains("outer"));
    }
}

#[test]
fn a_manifest_whose_schema_is_none() {
    let manifest = Manifest { settings: json!({ "type": 5 }), ..manifest() };
    let resolution = resolve(&PluginConfig::new("mail"), &manifest, &Environment::default());
    expect![[r#"
        Invalid(
            [
                InvalidSetting {
                    key: "",
                    name: "plugins.mail.settings",
                    line: None,
                    problem: "the plugin's schema of its settings is not a valid JSON Schema",
                },
            ],
        )
    "#]]
    .assert_debug_eq(&resolution);
}

proptest! {
    #[test]
    fn file_before_variable_before_absence(
        file in prop::option::of("[a-z]{0,3}"), variable in prop::option::of("[a-z]{0,3}"),
    ) {
        let variables: Vec<_> = variable.iter().map(|value| ("MAIL_SERVER", value.as_str())).collect();
        let mut text = "key = 'k'\n".to_owned();
        text.extend(file.iter().map(|value| format!("server = '{value}'\n")));
        let full = |value: Option<String>| value.filter(|value| !value.is_empty());
        match (full(file).or(full(variable.clone())), resolved(&text, &variables)) {
            (Some(expected), Resolution::Ready { settings, .. }) => prop_assert_eq!(&settings["server"], &expected),
            (None, Resolution::NotConfigured { missing, .. }) => prop_assert_eq!(missing, ["MAIL_SERVER"]),
            (expected, other) => prop_assert!(false, "{:?} {:?}", expected, other),
        }
    }

    #[test]
    fn a_secret_is_never_in_a_message(value in "[a-z]{12,20}") {
        let names = ["MAIL_SERVER", "MAIL_PORT", "MAIL_TLS", "MAIL_RETRY", "MAIL_RATE", "MAIL_KEY", "MAIL_PASSWORD"];
        let variables: Vec<_> = names.iter().map(|name| (*name, value.as_str())).collect();
        let resolution = resolved(&format!("limits = '{value}'\ncount = '{value}'"), &variables);
        let printed = format!("{resolution:?}");
        prop_assert!(!printed.contains(&value));
        let Resolution::Invalid { invalid, .. } = resolution else { panic!("valid") };
        prop_assert!(invalid.iter().all(|setting| !setting.to_string().contains(&value)));
    }
}

/// What is said of settings that are only a variable that is not set.
#[track_caller]
fn doubtful(settings: &str, variables: &[(&str, &str)], expected: Expect) {
    let environment = Environment::from_pairs(variables.iter().copied());
    let text = format!("[plugins.mail.settings]\n{settings}\n");
    let config = parse(Path::new("/nowhere/plugins.toml"), &text, &environment).unwrap();
    let manifest = serde_json::from_value(json!({
        "name": "mail", "version": "0.1.0", "kind": "service", "settings": schemars::schema_for!(Settings),
    }))
    .unwrap();
    let told = unset(&config.plugins[0], &manifest, &config.environment);
    let told = told.iter().map(|problem| format!("{}: {problem}", problem.line.unwrap_or_default()));
    expected.assert_eq(&told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_variable_that_is_not_set_is_told_unless_it_is_the_settings_own() {
    doubtful("server = \"${MAIL_SERVER}\"\nuser = \"${MAIL_USER}\"", &[("MAIL_USER", "")], expect![""]);
    doubtful(
        "server = \"${MAIL_SERVR}\"\nuser = \"${ANYTHING}\"\nratio = \"${MAIL_RATIO:-}\"",
        &[],
        expect![[r#"
            2: `plugins.mail.settings.server` counts as absent: the variable `MAIL_SERVR` is not set
              hint: did you mean `${MAIL_SERVER}`?
            3: `plugins.mail.settings.user` counts as absent: the variable `ANYTHING` is not set
              hint: set it, or write `${ANYTHING:-}` if it may be absent"#]],
    );
    // The slip may as well be in the environment.
    doubtful(
        "server = \"${MAIL_SERVER}\"\nuser = \"${MAIL_USER}\"",
        &[("MAIL_SEVER", "x"), ("MAIL_KEY", "x")],
        expect![[r#"
            2: `plugins.mail.settings.server` counts as absent: the variable `MAIL_SERVER` is not set
              hint: did you mean `${MAIL_SEVER}`?"#]],
    );
}

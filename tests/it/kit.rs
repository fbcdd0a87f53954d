//! The kit for authors. A new plugin builds and is healthy at the first try; the checklist passes what keeps every
//! promise, and names what does not; the guide is carried out as it stands.
//!
//! What is built here has a target folder of its own below the workspace's, so that it is built once.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use plugin_api::manifest::judge::judge;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup,
    artifacts::{artifacts, repository, shipped_plugins},
    guide::{Step, steps},
    http, partners,
    process::Finished,
    shell::Shell,
    trial::Outcome,
    trials,
};
use tempfile::TempDir;
use tungstenite::Message;

pub fn tests() -> Vec<Trial> {
    trials![
        the_guide_works_as_it_stands,
        new_plugins_of_the_workspace_are_healthy_at_the_first_try,
        new_plugins_are_clean_whatever_they_are_named,
        a_name_that_cannot_be_is_refused,
        nothing_is_overwritten,
        a_folder_that_is_not_the_sdk_is_refused,
        every_plugin_keeps_its_promises,
        each_broken_promise_is_told,
        a_secret_that_is_told_is_found_and_not_shown,
        the_checklist_says_why_and_how_to_mend,
        the_checklist_as_json,
        settings_come_from_the_configuration,
        a_bad_library_has_no_checklist,
        a_manifest_is_judged_by_one_judge,
        a_guard_of_another_plugin_that_does_not_exist_refuses_the_start,
        settings_that_are_no_json_are_wrong_usage,
        the_example_of_the_readme_is_the_one_of_the_sdk,
    ]
}

/// What the kit's tests build is kept from one run to the next.
fn target() -> PathBuf {
    let profile = artifacts().binary().parent().map(Path::to_owned).expect("a binary is in a folder");
    let target = profile.parent().expect("a profile's folder has a parent").join("kit");
    fs::create_dir_all(&target).expect("a folder can be made");
    target
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("switchboard-kit-").tempdir().expect("a folder can be made")
}

/// An address that nobody listens at, for what cannot be told to pick one itself.
fn free_address() -> String {
    format!("127.0.0.1:{}", partners::free_port())
}

fn page(path: &str) -> String {
    fs::read_to_string(repository().join(path)).expect("the page is in the repository")
}

fn the_guide_works_as_it_stands() {
    let home = folder();
    let plugins = home.path().join("my-plugins");
    fs::create_dir(&plugins).expect("a folder can be made");
    symlink(target(), plugins.join("target")).expect("a link can be made");
    let address = free_address();
    let mut shell = Shell::new(repository(), home.path(), &[("SWITCHBOARD_LISTEN", &address)]);

    let mut steps = steps(&page("plugin-api/docs/first_integration.md"));
    let Some(Step::Type(goodbye)) = steps.pop() else { panic!("the last step stops the host") };
    let mut output = String::new();
    for step in steps {
        match step {
            // Its own port, so that the guide's may be in use.
            Step::Type(block) => output = shell.type_in(&block.replace("127.0.0.1:8080", &address)),
            Step::Write { path, text } => fs::write(plugins.join(path), text).expect("a file can be written"),
            Step::See(text) => assert!(output.contains(&text), "no `{text}` in\n{output}"),
        }
    }
    assert!(!output.contains("skipped  c"), "all four plugins could be made:\n{output}");

    for plugin in ["socket_echo", "hook", "units"] {
        let health = http::request(&address, "GET", &format!("/api/health/services/{plugin}"), &[], None);
        assert_eq!(health.expect("the host answers").json()["status"], "connected", "{plugin}");
    }
    assert_eq!(echo(&address, "grüße"), "grüße");
    let hook = |headers: &[(&str, &str)]| {
        http::request(&address, "POST", "/hook/weather", headers, Some("it rains"))
            .expect("it answers")
            .status
    };
    assert_eq!(hook(&[("x-hook-secret", "correct-horse-battery")]), 204);
    assert_eq!(hook(&[("x-hook-secret", "correct-horse-batterx")]), 403);
    shell.type_in(&goodbye);
    if partners::lints().is_ok() {
        shell.type_in("rustfmt --check --edition 2024 */src/lib.rs");
    }
}

fn echo(address: &str, text: &str) -> String {
    let stream = std::net::TcpStream::connect(address).expect("the host listens");
    let (mut socket, _) =
        tungstenite::client(format!("ws://{address}/socket_echo"), stream).expect("the upgrade is answered");
    socket.send(Message::text(text)).expect("it takes a message");
    socket.read().expect("it answers").into_text().expect("in text").to_string()
}

/// The workspace with no plugins but those that a test makes.
fn workspace() -> TempDir {
    let folder = folder();
    for file in ["Cargo.toml", "Cargo.lock", ".rustfmt.toml", ".clippy.toml"] {
        fs::copy(repository().join(file), folder.path().join(file)).expect("a file can be copied");
    }
    for part in ["plugin-api", "host", "tests"] {
        symlink(repository().join(part), folder.path().join(part)).expect("a link can be made");
    }
    symlink(target(), folder.path().join("target")).expect("a link can be made");
    fs::create_dir(folder.path().join("plugins")).expect("a folder can be made");
    folder
}

fn new_plugins_of_the_workspace_are_healthy_at_the_first_try() {
    let workspace = workspace();
    let root = workspace.path();
    let config = root.join("plugins.toml");
    fs::write(&config, "# mine\n[host]\nlibrary_dir = \"target/debug\"\n").expect("a file can be written");
    let home = folder();
    let address = free_address();
    let mut shell = Shell::new(root, home.path(), &[("SWITCHBOARD_LISTEN", &address)]);
    // From a folder within, too.
    shell.type_in(
        "switchboard plugin new weather\n(cd plugins && switchboard plugin new ledger --kind integration)",
    );
    let own = ["Cargo.toml", "README.md", "src/lib.rs", "src/settings.rs", "src/client.rs", "src/tests.rs"];
    for file in own {
        let text = fs::read_to_string(root.join("plugins/ledger").join(file)).expect("it is made");
        assert!(!text.to_lowercase().contains("sample"), "{file} is filled in: {text}");
        assert!(!file.ends_with(".rs") || text.starts_with("//! "), "{file} says what it is");
    }
    assert!(fs::read_to_string(&config).expect("it is there").starts_with("# mine\n[host]\n"));

    let output = shell.type_in(
        "cargo build --quiet -p weather -p ledger\ncargo test --quiet -p weather -p ledger\n\
         switchboard plugin test weather && switchboard plugin test ledger",
    );
    assert!(!output.contains("failed   ") && !output.contains("skipped  "), "{output}");
    let output = shell.type_in(&format!(
        "switchboard run > host.log 2>&1 &\nuntil switchboard status; do sleep 1; done\n\
         switchboard call weather.greet '{{\"name\":\"Ada\"}}'\n\
         switchboard call ledger.add '{{\"note\":\"buy milk\"}}' && switchboard call ledger.list\n\
         curl --silent --fail http://{address}/weather/Bob; curl --silent --fail http://{address}/ledger/notes"
    ));
    for seen in ["Hello, Ada!", "\"buy milk\"", "Hello, Bob!", "buy milk\n"] {
        assert!(output.contains(seen), "no `{seen}` in\n{output}");
    }
    shell.type_in("kill %1 && wait %1");
}

fn new_plugins_are_clean_whatever_they_are_named() -> Outcome {
    partners::lints()?;
    let workspace = workspace();
    let home = folder();
    let mut shell = Shell::new(workspace.path(), home.path(), &[]);
    // The longest names that there may be, and those of types and modules in the templates.
    let long = "i".repeat(64);
    for name in ["weather", "settings", "greeter", &"s".repeat(64)] {
        shell.type_in(&format!("switchboard plugin new {name}"));
    }
    for name in ["ledger", "client", "notes", &long] {
        shell.type_in(&format!("switchboard plugin new {name} --kind integration"));
    }
    let short = "-p weather -p settings -p greeter -p ledger -p client -p notes";
    shell.type_in(&format!(
        "rustfmt --check --edition 2024 plugins/*/src/lib.rs\n\
         cargo clippy --quiet {short} -p {long} --all-targets -- -D warnings"
    ));
    Ok(())
}

/// What `plugin new` says outside of the sources when it is asked with these words.
#[track_caller]
fn refused(setup: &Setup, arguments: &[&str], code: i32, expected: Expect) {
    let sdk = repository().join("plugin-api").display().to_string();
    let arguments: Vec<&str> = ["plugin", "new"]
        .iter()
        .chain(arguments)
        .map(|word| if *word == "SDK" { &sdk } else { *word })
        .collect();
    let finished = setup.command_without_paths(&arguments);
    assert_eq!(finished.code, Some(code), "{finished:?}");
    expected.assert_eq(&finished.stderr.replace(&repository().display().to_string(), "<sources>"));
}

fn a_name_that_cannot_be_is_refused() {
    let setup = Setup::empty();
    refused(
        &setup,
        &["my-plugin"],
        2,
        expect![[r#"
        error: `my-plugin` is not a plugin name: use snake_case that begins with a letter, such as `weather`; did you mean `my_plugin`?
    "#]],
    );
    refused(
        &setup,
        &["host", "--sdk", "SDK"],
        2,
        expect![[r#"
        error: `host` is the host's own name: choose another name
    "#]],
    );
    refused(
        &setup,
        &["match"],
        2,
        expect![[r#"
        error: `match` is a keyword of Rust: choose another name, such as `match_service`
    "#]],
    );
    refused(
        &setup,
        &["../weather"],
        2,
        expect![[r#"
        error: `../weather` is not a plugin name: use snake_case that begins with a letter, such as `weather`; did you mean `weather`?
    "#]],
    );
}

fn nothing_is_overwritten() {
    let setup = Setup::empty().file("weather/mine.txt", "mine").file("plugins.toml", "[plugins.snow]\n");
    refused(
        &setup,
        &["weather", "--sdk", "SDK"],
        1,
        expect![[r#"
        error: `weather` exists already: choose another name, or remove it
    "#]],
    );
    refused(
        &setup,
        &["snow", "--sdk", "SDK"],
        1,
        expect![[r#"
        error: `plugins.toml` has a section `[plugins.snow]` already: choose another name, or remove it
    "#]],
    );
    assert!(!setup.path("snow").exists(), "all is judged before the first file is written");
    let made = setup.command(&[
        "plugin",
        "new",
        "rain",
        "--dir",
        "deep/rain",
        "--sdk",
        &repository().join("plugin-api").display().to_string(),
    ]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(setup.path("deep/rain/Cargo.lock").exists(), "it is built from what the host is built from");
    let config = fs::read_to_string(setup.path("plugins.toml")).expect("it is there");
    assert!(config.starts_with("[plugins.snow]\n"), "{config}");
    assert!(config.ends_with("library = \"deep/rain/target/debug/librain.so\"\n"), "{config}");
}

fn a_folder_that_is_not_the_sdk_is_refused() {
    let setup = Setup::empty();
    let sources = repository().display().to_string();
    refused(
        &setup,
        &["weather", "--sdk", &sources],
        1,
        expect![[r#"
        error: `<sources>` is not the SDK: did you mean `<sources>/plugin-api`?
    "#]],
    );
    refused(
        &setup,
        &["weather", "--sdk", "."],
        1,
        expect![[r#"
        error: `.` is not the SDK: it is the folder `plugin-api` of Switchboard's sources
    "#]],
    );
    refused(
        &setup,
        &["weather"],
        1,
        expect![[r#"
        error: `<folder>` is not inside Switchboard's sources: go there, or give the path of `plugin-api` with `--sdk PATH`
    "#]],
    );
    refused(
        &setup,
        &["weather", "--dir", "x"],
        2,
        expect![[r#"
        error: the following required arguments were not provided:
          --sdk <PATH>

        Usage: switchboard plugin new --sdk <PATH> --dir <PATH> <NAME>

        For more information, try '--help'.
    "#]],
    );
}

/// The checklist of a plugin with these settings.
fn checklist(plugin: &str, settings: &Value) -> Finished {
    let settings = settings.to_string();
    Setup::new("[plugins.faulty]\n").command(&[
        "plugin",
        "test",
        plugin,
        "--settings",
        &settings,
        "--limit",
        "5s",
    ])
}

/// Settings by which a plugin can be made, where it requires some: it reaches nobody, and has to say so.
fn settings_of(plugin: &str) -> Value {
    match plugin {
        "smtp" => json!({ "server": "127.0.0.1", "port": 1, "tls": "none", "from_email": "bot@example.com" }),
        "twilio" => json!({
            "account_sid": "AC0000000000000000000000000000000a", "auth_token": "no-token-at-all",
            "phone_number": "+15551234567", "api_base_url": "http://127.0.0.1:1",
        }),
        "google_calendar" => {
            let client = json!({ "client_id": "nobody.apps.example.com", "client_secret": "no-secret-at-all",
                "redirect_uris": ["http://127.0.0.1:1/api/calendar/oauth/callback"] });
            json!({ "client_secrets_json": json!({ "web": client }).to_string() })
        }
        "openai" => json!({ "api_key": "sk-no-key-at-all", "base_url": "http://127.0.0.1:1/v1" }),
        _ => json!({}),
    }
}

/// All shipped plugins, whichever these are, and the fixtures that are sound.
fn every_plugin_keeps_its_promises() {
    let fixtures = ["faulty", "web", "dependent", "chicken", "egg"].map(str::to_owned);
    for plugin in shipped_plugins().into_iter().chain(fixtures) {
        let finished = checklist(&plugin, &settings_of(&plugin));
        assert_eq!(finished.code, Some(0), "{plugin}: {}\n{}", finished.stdout, finished.stderr);
    }
}

fn each_broken_promise_is_told() {
    let wrong = |code: &str| json!({ "fail": { "code": code } });
    let cases = [
        ("create", json!("panic"), "create"),
        ("create", json!("block"), "create"),
        ("init", json!("panic"), "init"),
        ("init", json!("hang"), "init"),
        ("init", json!("block"), "init"),
        ("init", json!("garbage"), "init"),
        ("init", wrong("internal"), "init"),
        ("init", wrong("auth_invalid"), "init"),
        ("init", wrong("consent_required"), "init"),
        ("init", wrong("load_failed"), "init"),
        ("probe", json!("panic"), "probe"),
        ("probe", json!("hang"), "probe"),
        ("stop", json!("panic"), "stop"),
        ("stop", json!("hang"), "stop.early"),
    ];
    for (entry, fault, check) in cases {
        let settings = json!({ entry: fault }).to_string();
        let finished = Setup::new("[plugins.faulty]\n").command(&[
            "plugin",
            "test",
            "faulty",
            "--settings",
            &settings,
            "--limit",
            "1s",
        ]);
        assert_eq!(finished.code, Some(1), "{settings}: {}", finished.stdout);
        let line = format!("failed   {check} ");
        assert!(finished.stdout.contains(&line), "{settings}: no `{line}` in\n{}", finished.stdout);
    }
}

fn a_secret_that_is_told_is_found_and_not_shown() {
    let told =
        json!({ "fail": { "code": "refused", "message": "the login with hunter22-hunter22 is refused" } });
    let finished = checklist("faulty", &json!({ "secret": "hunter22-hunter22", "init": told }));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("failed   secrets "), "{}", finished.stdout);
    assert!(!format!("{finished:?}").contains("hunter22"), "{finished:?}");
}

fn the_checklist_says_why_and_how_to_mend() {
    let finished = checklist("faulty", &json!({ "init": { "fail": { "code": "internal" } } }));
    expect![[r#"
        faulty 0.2.0 (integration)

        ok       manifest.load        the library loads, and its manifest can be used
        ok       manifest.name        the library is found by the plugin's name
        ok       manifest.about       the plugin and its operations have descriptions
        ok       manifest.version     its version is a valid Cargo version
        ok       settings.schema      the JSON Schema of its settings describes a table
        ok       settings.about       every setting says what it is
        ok       settings.secrets     every setting named like a secret is marked as one
        ok       settings.variables   its variables are named once each, in capitals
        ok       operations.schemas   requests and responses have valid JSON Schemas
        ok       operations.tools     every tool tells a language model what to pass to it
        ok       settings.unknown     an unknown setting is refused
        ok       settings.types       a setting of the wrong type is refused
        ok       settings.missing     without its required settings it is not configured: it requires none
        ok       create.garbage       `create` neither panics nor hangs on malformed settings
        ok       create               `create` makes an instance whose threads are free
        ok       calls.garbage        malformed requests are `invalid`, and cause no panic
        ok       calls.unknown        an unknown operation is `not_found`
        ok       calls.deadline       a call whose deadline has passed ends
        ok       calls.streams        a stream that was closed ends
        ok       calls.cancelled      when callers go away, the instance still answers
        failed   init                 `init` succeeds, or fails with a message and a code: `internal`: as told by the settings
                                      fix: `internal` is the plugin's own fault: choose the code that says what happened outside
        ok       probe                `probe` succeeds, or fails with a message and a code
        ok       stop                 `stop` ends
        ok       stop.early           `stop` ends also before `init` has succeeded
        ok       reload               it can be stopped and created again in the same process: 2 times
        ok       logs                 it logs only what its level allows: 1 records came
        ok       secrets              its secrets are in no log, error or reason: they were planted in 2 forms

        26 ok, 1 failed, 0 skipped
    "#]].assert_eq(&finished.stdout);
}

fn the_checklist_as_json() {
    let finished = Setup::new("[plugins.smtp]\n").command(&["plugin", "test", "smtp", "--json"]);
    assert_eq!(finished.code, Some(4), "what is skipped proves nothing: {finished:?}");
    let list: Value = serde_json::from_str(&finished.stdout).expect("it is JSON");
    assert_eq!((list["name"].as_str(), list["passed"].as_bool()), (Some("smtp"), Some(false)));
    let checks = list["checks"].as_array().expect("it has checks");
    let create = checks.iter().find(|line| line["check"] == "create").expect("`create` is checked");
    assert_eq!(create["outcome"], "skipped");
    assert_eq!(create["why"], "it needs SMTP_SERVER, SMTP_FROM_EMAIL");
}

/// Without `--settings` they come from where the host has them.
fn settings_come_from_the_configuration() {
    let toml = "[plugins.mail]\nlibrary = \"smtp\"\nsettings = { server = \"127.0.0.1\", port = 1, tls = \"none\" }\n";
    let setup =
        Setup::empty().file("etc/mail.toml", toml).file("etc/.env", "SMTP_FROM_EMAIL=bot@example.com\n");
    let tested = setup.command(&["--config", "etc/mail.toml", "plugin", "test", "mail"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.stdout.contains("127.0.0.1:1"), "`init` says whom it did not reach: {tested:?}");
    let variable = setup.env("SWITCHBOARD_CONFIG", "etc/mail.toml");
    let tested = variable.command(&["plugin", "test", "mail", "--settings", "{}"]);
    assert_eq!(tested.code, Some(4), "settings that are given take the place of those: {tested:?}");
    assert!(tested.stdout.ends_with("\nnot passed yet: skipped checks prove nothing\n"), "{tested:?}");
}

fn a_bad_library_has_no_checklist() {
    let setup = Setup::new("[plugins.old_abi]\n");
    let finished = setup.command(&["plugin", "test", "old_abi"]);
    assert_eq!(finished.code, Some(65), "{finished:?}");
    assert!(finished.stderr.contains("speaks plugin ABI 0, this host speaks 1"), "{finished:?}");
}

/// Each is refused by a host, by `check` and by `plugin test`, in the words of the judge by which the SDK refuses it in
/// the tests of its author.
fn a_manifest_is_judged_by_one_judge() {
    let manifest = |change: Value| {
        let mut manifest = json!({
            "name": "raw", "version": "0.1.0", "kind": "service", "settings": { "type": "object" },
            "operations": [
                { "name": "show", "mode": "call", "request": {} },
                { "name": "send", "mode": "call", "request": { "type": "object", "required": ["to"] } },
            ],
        });
        for (key, value) in change.as_object().expect("an object") {
            manifest[key] = value.clone();
        }
        manifest
    };
    let route = |path: &str, operation: &str, guard: &str| json!({ "method": "GET", "path": path, "operation": operation, "access": { "guard": guard } });
    let twice = json!([route("/a/{x}", "show", "raw.show"), route("/a/{y}", "show", "raw.show")]);
    let tool = json!([{ "name": "send", "mode": "stream", "tool": true, "request": { "type": "object" } }]);
    let cases = [
        (
            json!({ "routes": [route("/a", "show", "raw.nobody")] }),
            "is guarded by `raw.nobody`, which is not an operation",
        ),
        (
            json!({ "routes": [route("/a", "send", "raw.show")] }),
            "leads to `send`, which does not take an HTTP request",
        ),
        (json!({ "kind": "integration" }), "an integration needs a probe"),
        (json!({ "routes": twice }), "clashes with `/a/{x}`"),
        (json!({ "routes": [route("/metrics", "show", "raw.show")] }), "is a route of the host itself"),
        (json!({ "operations": tool }), "is a tool and a stream"),
    ];
    for (change, words) in cases {
        let manifest = manifest(change);
        let problems = judge(&serde_json::from_value(manifest.clone()).expect("it is a manifest"));
        assert!(problems.iter().any(|problem| problem.contains(words)), "{words}: {problems:?}");
        let refusal = format!("has a manifest that cannot be used: {}", problems.join("; "));
        let setup = Setup::new("[plugins.raw]\n").file("raw.json", manifest.to_string());
        let checked = setup.command(&["check"]);
        assert_eq!(checked.code, Some(65), "{checked:?}");
        assert!(checked.stdout.contains(&refusal), "{refusal}: {checked:?}");
        let tested = setup.command(&["plugin", "test", "raw"]);
        assert_eq!(tested.code, Some(65), "{tested:?}");
        assert!(tested.stderr.contains(&refusal), "{refusal}: {tested:?}");
        let host = setup.start();
        let raw = host.wait_for_status("raw", "error");
        let message = raw["reason"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&refusal), "{refusal}: {message}");
    }
}

/// What one plugin asks of another is judged where both are known.
fn a_guard_of_another_plugin_that_does_not_exist_refuses_the_start() {
    let manifest = json!({
        "name": "raw", "version": "0.1.0", "kind": "service", "settings": { "type": "object" }, "wants": ["web"],
        "operations": [{ "name": "show", "mode": "call", "request": {} }],
        "routes": [{ "method": "GET", "path": "/a", "operation": "show", "access": { "guard": "web.nobody" } }],
    });
    let setup = Setup::new("[plugins.raw]\n[plugins.web]\n").file("raw.json", manifest.to_string());
    let refused = expect![[r#"
        error: plugins.toml:1: route `GET /a` of `raw` is guarded by `web.nobody`, which is not an operation
          hint: `raw` 0.1.0 does not fit `web` 0.2.0: build both from one source
    "#]];
    for command in ["check", "run"] {
        let finished = setup.command(&[command]);
        assert_eq!(finished.code, Some(64), "{finished:?}");
        refused.assert_eq(&finished.stderr);
    }
}

fn settings_that_are_no_json_are_wrong_usage() {
    let setup = Setup::new("[plugins.faulty]\n").file("settings.json", "[7]");
    let with = |arguments: &[&str]| {
        let finished = setup.command(&[&["plugin", "test", "faulty"], arguments].concat());
        assert_eq!(finished.code, Some(2), "{finished:?}");
        finished.stderr
    };
    expect![[r#"
        error: the settings are not a JSON object: see line 1, column 19
    "#]]
    .assert_eq(&with(&["--settings", "{\"secret\":\"hunter22"]));
    expect![[r#"
        error: the settings are not a JSON object: see line 1, column 0
    "#]]
    .assert_eq(&with(&["--settings-file", "settings.json"]));
    expect![[r#"
        error: `absent.json` cannot be read: No such file or directory (os error 2)
    "#]]
    .assert_eq(&with(&["--settings-file", "absent.json"]));
}

fn the_example_of_the_readme_is_the_one_of_the_sdk() {
    let readme = page("README.md");
    let example = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let example = example.expect("the README has an example");
    let header: Vec<String> = page("plugin-api/src/lib.rs")
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned())
        .collect();
    let code = example.split_once('\n').map_or(example, |(_, code)| code);
    assert!(header.join("\n").contains(code.trim()), "not the example of plugin-api/src/lib.rs:\n{code}");
}

//! Good files, and the schema that they are good by.

use std::{path::Path, time::Duration};

use expect_test::expect;
use serde_json::json;

use super::{super::*, good};

#[test]
fn the_shipped_file_is_good_as_it_stands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let config = good(&text, &[]);
    let required: Vec<_> = config.plugins.iter().filter(|plugin| plugin.required).collect();
    assert_eq!(required.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["database"]);
    assert_eq!(config.host.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(config.host.data_dir, Path::new("/nowhere/data"));
    assert!(config.plugins[0].settings.values.is_empty(), "an unset variable leaves nothing behind");
}

#[test]
fn what_the_shipped_file_leaves_out_is_the_default_that_it_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let shown = ["# init =", "# retry =", "# calls =", "# shutdown_grace =", "# log ="];
    let uncommented: String = text
        .lines()
        .map(|line| if shown.iter().any(|key| line.starts_with(key)) { &line[2..] } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_ne!(uncommented, text);
    let (plain, full) = (good(&text, &[]), good(&uncommented, &[]));
    assert_eq!(plain.host, full.host);
    let policies = |config: &Config| {
        let database = &config.plugins[0];
        (database.init.clone(), database.retry.clone(), database.calls.clone())
    };
    assert_eq!(policies(&plain), policies(&full));
}

#[test]
fn every_key_arrives() {
    let config = good(
        r#"
            [host]
            listen = "127.0.0.1:0"
            data_dir = "/var/lib/switchboard"
            library_dir = "lib"
            public_base_url = "https://switchboard.example.com/"
            trusted_proxies = ["10.0.0.0/8", "::1"]
            shutdown_grace = "3s"
            log = { level = "warn", format = "json" }

            [plugins.smtp]
            library = "../libsmtp.so"

            [plugins.assistant]
            required = true
            init = { timeout = "1m" }
            probe = { interval = "5m", timeout = "2s" }
            retry = { attempts = 9, base = "1s", cap = "1m", recovery = "1h" }
            calls = { timeout = "500ms", concurrent = 1, queue = 0 }
            bind = { mail = "smtp" }
            tools = ["smtp.*", "memory.recall"]
            approve = ["smtp.send_email"]
            callers = ["smtp"]
            needs = { answer = "attested" }
            log_level = "trace"
            settings = { name = "Ada", nested = { depth = 2 } }
        "#,
        &[],
    );
    expect![[r#"
        HostConfig {
            listen: 127.0.0.1:0,
            data_dir: "/var/lib/switchboard",
            library_dir: Some(
                "/nowhere/lib",
            ),
            public_base_url: Some(
                "https://switchboard.example.com",
            ),
            token: None,
            secret_key: None,
            trusted_proxies: [
                Network {
                    address: 10.0.0.0,
                    prefix: 8,
                },
                Network {
                    address: ::1,
                    prefix: 128,
                },
            ],
            shutdown_grace: 3s,
            log: Log {
                level: Warn,
                format: Json,
            },
            verbose: false,
        }
    "#]]
    .assert_debug_eq(&config.host);
    expect![[r#"
        [
            PluginConfig {
                name: "smtp",
                line: 11,
                library: Path(
                    "/nowhere/../libsmtp.so",
                ),
                required: false,
                init: Init {
                    timeout: 10s,
                },
                probe: Probe {
                    interval: None,
                    timeout: 5s,
                },
                retry: Retry {
                    attempts: 5,
                    base: 500ms,
                    cap: 30s,
                    recovery: 300s,
                },
                calls: Calls {
                    timeout: 30s,
                    concurrent: 64,
                    queue: 256,
                },
                bind: {},
                tools: [],
                approve: [],
                decides: false,
                callers: None,
                needs: {},
                log_level: None,
                settings: {},
            },
            PluginConfig {
                name: "assistant",
                line: 14,
                library: Name(
                    "assistant",
                ),
                required: true,
                init: Init {
                    timeout: 60s,
                },
                probe: Probe {
                    interval: Some(
                        300s,
                    ),
                    timeout: 2s,
                },
                retry: Retry {
                    attempts: 9,
                    base: 1s,
                    cap: 60s,
                    recovery: 3600s,
                },
                calls: Calls {
                    timeout: 500ms,
                    concurrent: 1,
                    queue: 0,
                },
                bind: {
                    "mail": "smtp",
                },
                tools: [
                    "smtp.*",
                    "memory.recall",
                ],
                approve: [
                    "smtp.send_email",
                ],
                decides: false,
                callers: Some(
                    [
                        "smtp",
                    ],
                ),
                needs: {
                    "answer": Attested,
                },
                log_level: Some(
                    Trace,
                ),
                settings: {
                    "name",
                    "nested",
                },
            },
        ]
    "#]]
    .assert_debug_eq(&config.plugins);
    assert_eq!(config.plugins[1].settings.line_of("/nested/depth"), Some(26));
}

#[test]
fn variables_win_over_or_stand_in_for_keys() {
    let text = "[host]\nlisten = '127.0.0.1:1'\npublic_base_url = 'https://file'\n";
    let variables = [("SWITCHBOARD_LISTEN", "[::1]:2"), ("PUBLIC_BASE_URL", "https://variable")];
    let config = good(text, &variables);
    assert_eq!(config.host.listen, "[::1]:2".parse().unwrap());
    assert_eq!(config.host.public_base_url.as_deref(), Some("https://file"));
    let config = good("[host]\n", &variables);
    assert_eq!(config.host.public_base_url.as_deref(), Some("https://variable"));
}

#[test]
fn a_token_from_a_file_or_from_the_variable_that_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "token-in-the-file\n").unwrap();
    let text = format!("[host]\nlisten = '0.0.0.0:1'\ntoken_file = '{}'\n", file.display());
    assert!(good(&text, &[]).host.token.unwrap().is(b"token-in-the-file"));
    let variables = [("SWITCHBOARD_TOKEN", "token-in-the-variable")];
    assert!(good(&text, &variables).host.token.unwrap().is(b"token-in-the-variable"));
    assert!(good("[host]\nlisten = '[::]:1'\n", &variables).host.token.is_some());
    assert_eq!(good("[host]\n", &[("SWITCHBOARD_TOKEN", "")]).host.token, None);
}

#[test]
fn variables_become_what_the_key_wants() {
    let text = r#"
        [plugins.smtp]
        required = "${REQUIRED}"
        retry = { attempts = "${ATTEMPTS:-7}" }
        calls = { timeout = "${TIMEOUT}" }
        tools = "${TOOLS}"
        library = "${LIBRARY}"
    "#;
    let variables = [("REQUIRED", "yes"), ("TIMEOUT", ""), ("TOOLS", "a.b, c.*"), ("ATTEMPTS", "")];
    let plugin = &good(text, &variables).plugins[0];
    assert!(plugin.required);
    assert_eq!(plugin.retry.attempts, 7);
    assert_eq!(plugin.calls.timeout, Duration::from_secs(30), "an empty variable leaves the default");
    assert_eq!(plugin.tools, ["a.b", "c.*"]);
    assert_eq!(plugin.library, LibraryRef::Name("smtp".to_owned()));
}

#[test]
fn plugins_stay_in_the_order_of_the_file() {
    let config = good("[plugins]\nzebra = {}\nant = {}\n[plugins.bee]\n", &[]);
    let names: Vec<_> = config.plugins.iter().map(|plugin| (plugin.name.as_str(), plugin.line)).collect();
    assert_eq!(names, [("zebra", 2), ("ant", 3), ("bee", 4)]);
}

#[test]
fn a_disabled_section_counts_as_not_there() {
    let text = "[plugins.a]\n[plugins.b]\nenabled = false\nrequird = 1\nlibrary = '${UNSET}/lib.so'\n\
                [plugins.c]\nenabled = '${C:-off}'\n";
    let config = good(text, &[]);
    assert_eq!((config.plugins.len(), config.disabled), (1, vec!["b".to_owned(), "c".to_owned()]));
    assert!(good(text, &[("C", "on")]).plugin("c").is_some());
}

#[test]
fn the_file_beside_it_is_read_under_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugins.toml");
    std::fs::write(&path, "[plugins.a]\ntools = ['${ONE}.x', '${TWO}.x', '${THREE:-none}.x']\n").unwrap();
    std::fs::write(folder.path().join(".env"), "ONE=file\nTWO=file\nTHREE=file\n").unwrap();
    let config = load(&path, &Environment::from_pairs([("TWO", "process"), ("THREE", "")])).unwrap();
    assert_eq!(config.plugins[0].tools, ["file.x", "process.x", "none.x"]);
    assert_eq!(config.environment.get("ONE"), Some("file"));
}

#[test]
fn the_schema_is_one_and_describes_every_key() {
    let settings = json!({
        "type": "object",
        "properties": { "server": { "type": "string" }, "port": { "type": "integer", "x-env": "PORT" } },
        "required": ["server"],
        "additionalProperties": false,
    });
    let schema = schema(&[("smtp", &settings)]);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let fits = |document: Value| validator.is_valid(&document);
    assert!(fits(json!({ "plugins": { "smtp": { "settings": { "port": 25 } }, "other": {} } })));
    assert!(fits(json!({ "plugins": { "smtp": { "settings": { "port": "${PORT}" } } } })));
    assert!(!fits(json!({ "plugins": { "smtp": { "settings": { "port": "25" } } } })));
    assert!(!fits(json!({ "plugins": { "smtp": { "settings": { "prot": 25 } } } })));
    assert_eq!(
        schema["properties"]["plugins"]["additionalProperties"]["properties"]["calls"]["properties"]["timeout"]
            ["default"],
        "30s"
    );
    assert_described(&schema["properties"], "");
}

/// Every key that is not the plugin's own has a description.
fn assert_described(properties: &Value, here: &str) {
    for (key, property) in properties.as_object().into_iter().flatten() {
        let here = format!("{here}.{key}");
        assert!(property["description"].is_string() || key == "smtp", "{here} has no description");
        if key != "settings" && key != "smtp" {
            assert_described(&property["properties"], &here);
            assert_described(&property["additionalProperties"]["properties"], &here);
        }
    }
}

#[test]
fn no_variable_is_ever_printed() {
    let environment = Environment::from_pairs([("PASSWORD", "hush")]);
    assert!(!format!("{environment:?}").contains("hush"));
    let config = good("[plugins.a.settings]\npassword = '${PASSWORD}'\n", &[("PASSWORD", "hush")]);
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn a_key_that_is_only_a_variable_that_is_not_set_is_told() {
    let text = r#"
[host]
listen = "${SWITCHBOARD_LISTEN}"
library_dir = "${LIBRARY_DRI}"
data_dir = "${EMPTY}"
token_file = "${TOKEN_FILE:-}"
[plugins.a]
log_level = "${A_LEVEL}"
settings = { any = "${OF_THE_PLUGIN}" }
"#;
    let config = good(text, &[("LIBRARY_DIR", "lib"), ("EMPTY", "")]);
    let told = Problems::new(&config.path, config.warnings).to_string();
    expect![[r#"
        /nowhere/plugins.toml:4: `host.library_dir` counts as absent: the variable `LIBRARY_DRI` is not set
          hint: did you mean `${LIBRARY_DIR}`?
        /nowhere/plugins.toml:8: `plugins.a.log_level` counts as absent: the variable `A_LEVEL` is not set
          hint: set it, or write `${A_LEVEL:-}` if it may be absent"#]]
    .assert_eq(&told);
}

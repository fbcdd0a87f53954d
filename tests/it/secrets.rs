//! A secret reaches no output: not the log, not a reason, not JSON, whatever a plugin does with it.

use std::{collections::BTreeMap, fs, net::TcpStream};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    artifacts::repository,
    http,
    partners::{
        parrot::Parrot,
        postgres::{PASSWORD, Postgres},
        smtp::SmtpServer,
    },
    plant::Plant,
    trial::Outcome,
    trials,
    wait::wait_until,
};

pub fn tests() -> Vec<Trial> {
    trials![
        a_plugin_cannot_give_its_secret_away,
        a_password_in_a_url_is_a_secret,
        commands_do_not_show_secrets,
        no_shipped_plugin_repeats_what_a_server_tells,
        a_plugin_that_gives_its_secret_away_in_every_form,
        a_mail_server_that_gossips,
        a_mail_server_that_takes_the_password,
        a_database_whose_errors_hold_the_password,
    ]
}

const SECRET: &str = "correct-horse-battery-staple";

fn a_plugin_cannot_give_its_secret_away() {
    let host = Setup::new("[plugins.faulty]\nprobe = { interval = \"100ms\", timeout = \"1s\" }\n")
        .env("FAULTY_SECRET", SECRET)
        .start();
    host.wait_for_status("faulty", "connected");

    let told = host.call("faulty", "tell_secret", &json!({}));
    assert_eq!(told.status, 500);
    assert!(!told.body.contains(SECRET), "{}", told.body);
    wait_until("the log line", || host.output(), |output| output.contains("the secret is"));

    let probe = json!({"probe": {"fail": {"code": "quota", "message": format!("rejected {SECRET}")}}});
    host.call("faulty", "become", &probe);
    let faulty = host.wait_for_status("faulty", "error");
    assert!(!faulty.to_string().contains(SECRET), "{faulty:#}");
    assert!(!host.output().contains(SECRET), "{}", host.output());
}

fn a_password_in_a_url_is_a_secret() {
    let url = format!("postgres://someone:{SECRET}@127.0.0.1:1/nothing");
    let host = Setup::new("[plugins.database]\nretry = { attempts = 1, base = \"10ms\", cap = \"10ms\" }\n")
        .env("DATABASE_URL", &url)
        .start();
    let database = host.wait_for_status("database", "error");
    assert!(!database.to_string().contains(SECRET), "{database:#}");
    let everything = host.get("/api/health/connections").body + &host.get("/metrics").body + &host.output();
    assert!(!everything.contains(SECRET), "{everything}");
}

fn commands_do_not_show_secrets() {
    let setup = Setup::new("[plugins.faulty]\n").env("FAULTY_SECRET", SECRET);
    for arguments in [&["check"][..], &["graph"], &["schema"], &["plugin", "list"]] {
        let finished = setup.command(arguments);
        assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
        assert!(!(finished.stdout + &finished.stderr).contains(SECRET), "{arguments:?}");
    }
}

/// Everything that a host shows of itself: health, metrics, pages, its log, and what the commands print.
fn everything(host: &TestHost, plugins: &[String]) -> String {
    let mut paths: Vec<String> = [
        "/",
        "/api/health",
        "/api/health/integrations",
        "/api/health/services",
        "/api/health/connections",
        "/api/health/connections/summary",
        "/metrics",
        "/api/openapi.json",
        "/login",
        "/nowhere",
    ]
    .map(str::to_owned)
    .to_vec();
    for plugin in plugins {
        paths.push(format!("/api/health/integrations/{plugin}"));
        paths.push(format!("/api/health/services/{plugin}"));
    }
    let answers = paths.iter().map(|path| {
        let answer = host.get(path);
        format!("{path}\n{:?}\n{}\n", answer.headers, answer.body)
    });
    let mut text: String = answers.collect();
    let commands = [
        &["status"][..],
        &["status", "--json"],
        &["check"],
        &["graph", "--format", "json"],
        &["schema"],
        &["plugin", "list"],
    ];
    for arguments in commands {
        let finished = host.command(arguments);
        text += &format!("{arguments:?}\n{}\n{}\n", finished.stdout, finished.stderr);
    }
    text + &host.output()
}

#[track_caller]
fn hidden(plants: &[Plant], text: &str) {
    for plant in plants {
        let found = plant.found_in(text);
        let lines = text.lines().filter(|line| !plant.found_in(line).is_empty());
        let lines: Vec<_> = lines.take(5).map(|line| line.chars().take(600).collect::<String>()).collect();
        assert!(found.is_empty(), "{plant:?} was found as {found:?} in\n{}", lines.join("\n"));
    }
}

/// A key of a plugin's settings, as `switchboard schema` tells of it.
struct Setting {
    key: String,
    schema: Value,
}

impl Setting {
    fn mark(&self, name: &str) -> Option<&Value> {
        // What may be written as `${…}` stands beside that form.
        let forms = self.schema["anyOf"].as_array().into_iter().flatten();
        std::iter::once(&self.schema).chain(forms).find_map(|schema| schema.get(name))
    }

    fn is_secret(&self) -> bool {
        self.mark("x-secret").is_some_and(|mark| mark == true)
    }

    fn is_integer(&self) -> bool {
        self.mark("type").is_some_and(|kind| kind.to_string().contains("integer"))
    }

    fn choices(&self) -> Vec<String> {
        let consts = self.mark("oneOf").and_then(Value::as_array).into_iter().flatten();
        let consts = consts.map(|choice| choice["const"].clone());
        let enums = self.mark("enum").and_then(Value::as_array).into_iter().flatten().cloned();
        consts.chain(enums).filter_map(|choice| choice.as_str().map(str::to_owned)).collect()
    }

    /// A value that makes the plugin talk to the parrot with its secrets in its hands; `None`: its default.
    fn value(&self, plant: &Plant, port: u16) -> Option<Value> {
        let key = self.key.as_str();
        let secret = self.is_secret();
        if key.contains("url") {
            let login = format!("someone:{}@", plant.in_url());
            let scheme = if self.mark("x-env").is_some_and(|name| name == "DATABASE_URL") {
                "postgres"
            } else {
                "http"
            };
            return Some(format!("{scheme}://{}127.0.0.1:{port}/", if secret { &login } else { "" }).into());
        }
        if secret {
            return Some(plant.text().into());
        }
        match key {
            "port" => Some(port.into()),
            "server" | "host" => Some("127.0.0.1".into()),
            "tls" if self.choices().contains(&"none".to_owned()) => Some("none".into()),
            _ if key.contains("email") => Some("bot@example.com".into()),
            _ if key.contains("timeout") => None,
            _ if self.is_integer() || !self.choices().is_empty() => None,
            _ if ["user", "id", "sid", "number", "name", "model"].iter().any(|part| key.contains(part)) => {
                Some("someone".into())
            }
            _ => None,
        }
    }
}

/// The settings of each plugin that ships.
fn shipped_settings() -> BTreeMap<String, Vec<Setting>> {
    let config =
        fs::read_to_string(repository().join("plugins.toml")).expect("the repository ships a plugins.toml");
    let finished = Setup::new(&config).command(&["schema"]);
    let schema: Value = serde_json::from_str(&finished.stdout).expect("the schema is JSON");
    let plugins = schema["properties"]["plugins"]["properties"].as_object().expect("it has plugins");
    let settings = |plugin: &Value| {
        let properties =
            plugin["properties"]["settings"]["properties"].as_object().cloned().unwrap_or_default();
        properties.into_iter().map(|(key, schema)| Setting { key, schema }).collect()
    };
    plugins.iter().map(|(name, plugin)| (name.clone(), settings(plugin))).collect()
}

/// Every plugin that ships, whatever it is, with a secret in each of its secret settings, faces a server that repeats
/// every secret in its error.
fn no_shipped_plugin_repeats_what_a_server_tells() {
    let plugins = shipped_settings();
    let secret = |(name, settings): (&String, &Vec<Setting>)| {
        let secrets = settings.iter().filter(|setting| setting.is_secret());
        secrets.map(|setting| Plant::new(&format!("{name}-{}", setting.key))).collect::<Vec<_>>()
    };
    let plants: Vec<Plant> = plugins.iter().flat_map(secret).collect();
    assert!(plants.len() >= 2, "the shipped plugins have secrets: {plants:?}");
    let parrot = Parrot::start(&plants);

    let mut config = "[host.log]\nlevel = \"trace\"\n".to_owned();
    let mut variables = Vec::new();
    for (name, settings) in &plugins {
        config += &format!(
            "[plugins.{name}]\ninit = {{ timeout = \"3s\" }}\nprobe = {{ interval = \"500ms\", timeout = \"1s\" }}\n\
             retry = {{ attempts = 2, base = \"10ms\", cap = \"50ms\" }}\n[plugins.{name}.settings]\n"
        );
        for setting in settings {
            let plant = Plant::new(&format!("{name}-{}", setting.key));
            let Some(value) = setting.value(&plant, parrot.port()) else { continue };
            match setting.mark("x-env").and_then(Value::as_str) {
                Some(variable) => {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    variables.push((variable.to_owned(), text));
                }
                None => config += &format!("{} = {value}\n", setting.key),
            }
        }
    }
    let setup = variables.iter().fold(Setup::new(&config), |setup, (name, value)| setup.env(name, value));
    let host = setup.start();
    host.wait_until_ready();
    let names: Vec<String> = plugins.keys().cloned().collect();
    for name in &names {
        host.wait_for_plugin(name, "decided", |plugin| plugin["status"] != "initializing");
        for section in ["integrations", "services"] {
            hidden(&plants, &host.post(&format!("/api/health/{section}/{name}/verify"), &json!({})).body);
        }
    }
    wait_until("a plugin to ask the parrot", || parrot.asked(), |asked| *asked > 0);
    hidden(&plants, &everything(&host, &names));
}

/// Whatever a plugin does with a secret that the host knows: it is in nothing that anybody sees.
fn a_plugin_that_gives_its_secret_away_in_every_form() {
    let plant = Plant::new("faulty");
    let host = Setup::new(
        r#"
        [host.log]
        level = "debug"
        [plugins.faulty]
        probe = { interval = "100ms", timeout = "1s" }
        [plugins.unruly]
        "#,
    )
    .env("FAULTY_SECRET", plant.text())
    .start();
    host.wait_for_status("faulty", "connected");
    host.wait_for_status("unruly", "connected");
    let plants = [plant.clone()];
    for form in [plant.text().to_owned(), plant.in_url(), plant.in_small_url(), plant.in_login()] {
        let said = format!("it is {form}, you know");
        let error = json!({
            "kind": "internal", "message": said, "details": {"said": [said], said.as_str(): 7},
            "root_causes": [{"name": said, "status": said, "message": said}],
        });
        for answer in [
            host.call("faulty", "fail", &error),
            host.call("faulty", "commit", &json!({"fault": {"panic_with": said}})),
            host.call("faulty", "log", &json!({"level": "error", "text": said})),
            host.call(
                "faulty",
                "log",
                &json!({"level": "debug", "text": format!("{}{said}", "x".repeat(8150))}),
            ),
            host.call("faulty", &said.replace(['/', '?', '&', ' '], "_"), &json!({})),
        ] {
            hidden(&plants, &format!("{:?} {}", answer.headers, answer.body));
        }
        let fault = json!({"panic_with": said}).to_string();
        let fault: String = fault.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in ["call?fault=", "stream?fault=", "stream?late=", "guarded?fault="] {
            if let Ok(answer) =
                http::request(host.address(), "GET", &format!("/unruly/{path}{fault}"), &[], None)
            {
                hidden(&plants, &format!("{:?} {}", answer.headers, answer.body));
            }
        }
        let socket = TcpStream::connect(host.address()).expect("the host listens");
        let url = format!("ws://{}/unruly/socket?late={fault}", host.address());
        let (mut socket, _) = tungstenite::client(url, socket).expect("the WebSocket is taken");
        while let Ok(message) = socket.read() {
            hidden(&plants, &format!("{message:?}"));
        }
        for fault in [json!({"fail": {"code": "quota", "message": said}}), json!({"panic_with": said})] {
            let became = host.call("faulty", "become", &json!({"probe": fault}));
            assert_eq!(became.status, 200, "{}", became.body);
            host.post("/api/health/integrations/faulty/verify", &json!({}));
            host.wait_for_status("faulty", "error");
            hidden(&plants, &everything(&host, &["faulty".to_owned()]));
        }
    }
}

fn a_mail_server_that_gossips() -> Outcome {
    let plant = Plant::new("mail");
    let words = format!("{} {} {}", plant.text(), plant.in_url(), plant.in_login());
    let server = SmtpServer::start(&["--starttls", "--auth", "bot:other", "--gossip", &words])?;
    let config = "[host.log]\nlevel = \"trace\"\n[plugins.smtp]\nretry = { attempts = 1 }\n";
    let host = Setup::new(config)
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &server.port().to_string())
        .env("SMTP_TLS", "starttls")
        .env("SMTP_FROM_EMAIL", "bot@example.com")
        .env("SMTP_CA_FILE", &server.certificate().display().to_string())
        .env("SMTP_USERNAME", "bot")
        .env("SMTP_PASSWORD", plant.text())
        .start();
    let smtp = host.wait_for_status("smtp", "error");
    assert_eq!(smtp["reason"]["code"], "auth_invalid", "{smtp:#}");
    hidden(&[plant], &everything(&host, &["smtp".to_owned()]));
    Ok(())
}

fn a_mail_server_that_takes_the_password() -> Outcome {
    let plant = Plant::new("mail");
    let login = format!("bot:{}", plant.text());
    let server = SmtpServer::start(&["--starttls", "--auth", &login])?;
    let config = "[host.log]\nlevel = \"trace\"\n[plugins.smtp]\nretry = { attempts = 1 }\n";
    let host = Setup::new(config)
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &server.port().to_string())
        .env("SMTP_TLS", "starttls")
        .env("SMTP_FROM_EMAIL", "bot@example.com")
        .env("SMTP_CA_FILE", &server.certificate().display().to_string())
        .env("SMTP_USERNAME", "bot")
        .env("SMTP_PASSWORD", plant.text())
        .start();
    host.wait_for_status("smtp", "connected");
    hidden(&[plant], &everything(&host, &["smtp".to_owned()]));
    Ok(())
}

/// PostgreSQL repeats in its errors what a statement holds.
fn a_database_whose_errors_hold_the_password() -> Outcome {
    let postgres = Postgres::start()?;
    let host = Setup::new("[host.log]\nlevel = \"trace\"\n[plugins.database]\n")
        .env("DATABASE_URL", &postgres.url())
        .start();
    host.wait_for_status("database", "connected");
    for sql in [format!("select '{PASSWORD}'::int"), format!("select \"{PASSWORD}\"")] {
        let refused = host.call("database", "query", &json!({"sql": sql}));
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(!refused.body.contains(PASSWORD), "{}", refused.body);
    }
    let shown = everything(&host, &["database".to_owned()]);
    assert!(!shown.contains(PASSWORD) && !shown.contains(&postgres.url()), "{shown}");
    Ok(())
}

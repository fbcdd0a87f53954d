//! The doctor: every integration is proven end to end on a running host, and what is wrong is named with what to mend.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    partners::{free_port, smtp::SmtpServer},
    peer::Peer,
    trial::Outcome,
    trials,
};

use crate::{calendar, openai, shipped, twilio};

pub fn tests() -> Vec<Trial> {
    trials![
        on_a_fresh_host_nothing_fails,
        every_integration_is_proven_end_to_end,
        a_mail_goes_only_with_consent_and_is_announced,
        what_is_wrong_is_named_with_what_to_mend,
        a_public_address_that_leads_elsewhere_is_told,
        one_plugin_alone_and_none_that_is_unknown,
    ]
}

const SENDER: &str = "switchboard@example.com";

/// The checks of a subject: name, verdict, what was seen, and the fix.
#[track_caller]
fn check(host: &TestHost, code: i32, subject: &str, name: &str) -> Value {
    let finished = host.command(&["doctor", "--json", subject]);
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let diagnosis: Value = serde_json::from_str(&finished.stdout).expect("it prints JSON");
    assert_eq!(diagnosis["passed"], code == 0);
    let checks = diagnosis["subjects"][0]["checks"].as_array().expect("it was examined");
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no check `{name}` in {diagnosis:#}")).clone()
}

#[track_caller]
fn verdict(check: &Value, verdict: &str, seen: &str, fix: Option<&str>) {
    assert_eq!(check["verdict"], verdict, "{check:#}");
    assert_eq!(check["seen"], seen, "{check:#}");
    assert_eq!(check["fix"].as_str(), fix, "{check:#}");
}

fn on_a_fresh_host_nothing_fails() {
    let host = Setup::new(&shipped::text()).start();
    host.wait_until_ready();
    let finished = host.command(&["doctor"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for (plugin, check, verdict) in [
        ("host", "data_dir", "ok"),
        ("host", "disk", "ok"),
        ("host", "clock", "skipped"),
        ("host", "tasks", "ok"),
        ("database", "status", "ok"),
        ("database", "write_and_read", "ok"),
        ("database", "migrations", "ok"),
        ("database", "disk", "ok"),
        ("openai", "status", "skipped"),
        ("scheduler_service", "status", "ok"),
    ] {
        let row = |line: &str| {
            let mut words = line.split_whitespace();
            (words.next(), words.next(), words.next()) == (Some(plugin), Some(check), Some(verdict))
        };
        assert!(finished.stdout.lines().any(row), "{plugin} {check} {verdict}\n{}", finished.stdout);
    }
    assert!(finished.stdout.contains("\n  openai: Set OPENAI_API_KEY\n"), "{}", finished.stdout);
    assert!(finished.stdout.contains(", 0 failed, "), "{}", finished.stdout);
    assert!(!finished.stdout.contains('\u{1b}'), "no colour off a terminal");
}

fn every_integration_is_proven_end_to_end() -> Outcome {
    let port = free_port();
    let public = format!("http://127.0.0.1:{port}");
    let (openai, smtp) = (openai::server()?, SmtpServer::start(&[])?);
    let [messages, calls] =
        ["inbound-message", "voice"].map(|path| format!("{public}/webhooks/twilio/{path}"));
    let twilio = twilio::server_leading(&[("sms", &messages), ("voice", &calls)])?;
    let google = calendar::google()?;
    // As a setting of plugins: the host itself would ask for its operator's token.
    let text = shipped::text().replace("${PUBLIC_BASE_URL}", &public);
    let setup = calendar::variables(Setup::new(&text), google.address());
    let setup = twilio::variables(setup, twilio.address());
    let setup = openai::variables(setup, openai.address(), openai::KEY);
    let host = mail(setup, smtp.port()).env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{port}")).start();
    calendar::connect(&host, &google);
    for name in ["openai", "smtp", "twilio", "twilio_service", "messaging_service", "voice_assistant"] {
        host.wait_for_status(name, "connected");
    }
    let finished = host.command(&["doctor", "--json"]);
    let diagnosis: Value = serde_json::from_str(&finished.stdout).expect("it prints JSON");
    assert_eq!(finished.code, Some(0), "{diagnosis:#}");
    let verdicts = |name: &str| -> Vec<String> {
        let subjects = diagnosis["subjects"].as_array().expect("subjects").iter();
        let mut subjects = subjects.filter(|subject| subject["name"] == name);
        let checks = subjects.next().unwrap_or_else(|| panic!("`{name}` was not examined"))["checks"].clone();
        let told = |check: &Value| format!("{} {}", check["name"], check["verdict"]).replace('"', "");
        checks.as_array().expect("checks").iter().map(told).collect()
    };
    assert_eq!(verdicts("host"), ["data_dir ok", "disk ok", "clock ok", "tasks ok"]);
    assert_eq!(verdicts("database"), ["status ok", "write_and_read ok", "migrations ok", "disk ok"]);
    assert_eq!(verdicts("openai"), ["status ok", "key ok", "model ok", "chat ok", "embeddings ok"]);
    assert_eq!(verdicts("smtp"), ["status ok", "login ok", "mail skipped"]);
    assert_eq!(
        verdicts("google_calendar"),
        ["status ok", "oauth_client ok", "calendar ok", "scopes ok", "free_busy ok"]
    );
    assert_eq!(
        verdicts("twilio"),
        ["status ok", "account ok", "number ok", "reads_messages ok", "reads_calls ok", "webhook_key ok"]
    );
    assert_eq!(
        verdicts("twilio_service"),
        ["status ok", "webhook_unsigned ok", "webhook_signed ok", "sms_url ok", "voice_url ok"]
    );
    assert!(smtp.mails().is_empty(), "nobody agreed to a mail");
    Ok(())
}

fn mail(setup: Setup, port: u16) -> Setup {
    setup
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &port.to_string())
        .env("SMTP_TLS", "none")
        .env("SMTP_FROM_EMAIL", SENDER)
}

fn a_mail_goes_only_with_consent_and_is_announced() -> Outcome {
    let smtp = SmtpServer::start(&[])?;
    let host = mail(Setup::new("[plugins.smtp]\n"), smtp.port()).start();
    host.wait_for_status("smtp", "connected");
    let without = host.command(&["doctor", "smtp"]);
    assert_eq!(without.code, Some(0), "{without:?}");
    let would = format!("would send one mail to its own sender, `{SENDER}`");
    assert!(without.stdout.contains(&would), "{without:?}");
    assert!(without.stdout.contains("smtp: `switchboard doctor --send` does it (mail)"), "{without:?}");
    assert!(smtp.mails().is_empty());

    let with = host.command(&["doctor", "--send", "smtp"]);
    assert_eq!(with.code, Some(0), "{with:?}");
    assert_eq!(with.stderr, format!("with your consent (`--send`), smtp: {would}\n"));
    assert!(with.stdout.contains(&format!("handed over for `{SENDER}`: see whether <")), "{with:?}");
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1, "once");
    assert_eq!(mails[0]["to"], json!([SENDER]));
    assert_eq!(mails[0]["headers"]["Subject"], "Switchboard: a test by `switchboard doctor`");
    Ok(())
}

fn what_is_wrong_is_named_with_what_to_mend() -> Outcome {
    let port = free_port();
    let public = format!("http://127.0.0.1:{port}");
    let elsewhere = "https://old.example.com/sms";
    let twilio = twilio::server_for(elsewhere)?;
    let (google, openai) = (calendar::google()?, openai::server()?);
    let config = format!(
        "[plugins.database]\n[plugins.google_calendar]\n[plugins.openai]\n[plugins.phone]\n[plugins.twilio]\n\
         [plugins.twilio_service]\nsettings = {{ public_base_url = \"{public}\" }}\n"
    );
    let setup = calendar::variables(Setup::new(&config), google.address());
    let setup = twilio::variables(setup, twilio.address());
    let setup = openai::variables(setup, openai.address(), "sk-another-key");
    let host = setup.env("SWITCHBOARD_LISTEN", &format!("127.0.0.1:{port}")).start();
    host.wait_for_status("twilio_service", "connected");
    host.wait_for_status("google_calendar", "disconnected");
    host.wait_for_status("openai", "error");

    verdict(
        &check(&host, 1, "google_calendar", "calendar"),
        "failed",
        "configured, but nobody has connected a Google account yet",
        Some("follow /api/calendar/oauth/start of this host in a browser, and agree to everything"),
    );
    let key = check(&host, 1, "openai", "key");
    assert_eq!(key["verdict"], "failed");
    let fix = key["fix"].as_str().expect("there is something to do");
    assert!(fix.contains("Settings > API keys") && fix.contains("`OPENAI_API_KEY`"), "{fix}");
    // What takes messages is not there, so that Twilio need not lead to it.
    verdict(
        &check(&host, 0, "twilio_service", "sms_url"),
        "skipped",
        "no plugin of this host takes messages",
        None,
    );
    let host = host.terminate().1;
    let host =
        host.file("plugins.toml", format!("{config}[plugins.memory_service]\n[plugins.messaging_service]\n"));
    let host = openai::variables(host, openai.address(), openai::KEY).start();
    host.wait_for_status("messaging_service", "connected");
    let expected = format!("{public}/webhooks/twilio/inbound-message");
    verdict(
        &check(&host, 1, "twilio_service", "sms_url"),
        "failed",
        &format!("`+15551234567` sends its messages to `{elsewhere}` (POST), not to `{expected}` (POST)"),
        Some(&format!(
            "in Twilio's console, Phone Numbers > Manage > Active numbers > +15551234567: set \"A message comes in\" to \
             Webhook, `{expected}`, HTTP POST"
        )),
    );
    Ok(())
}

fn a_public_address_that_leads_elsewhere_is_told() -> Outcome {
    let twilio = twilio::server()?;
    let stranger = Peer::start(|_| (200, json!({"hello": "world"})));
    let nobody = free_port();
    let lead = |base: &str| {
        format!(
            "make `PUBLIC_BASE_URL` (`{base}`) lead to this host: its name, its certificate, the tunnel or the proxy"
        )
    };
    let start = |base: &str| {
        let config = format!(
            "[plugins.twilio]\n[plugins.twilio_service]\nsettings = {{ public_base_url = \"{base}\" }}\n"
        );
        let host = twilio::variables(Setup::new(&config), twilio.address()).start();
        host.wait_for_status("twilio_service", "connected");
        host
    };
    let base = format!("http://{}", stranger.address());
    let host = start(&base);
    verdict(
        &check(&host, 1, "twilio_service", "webhook_unsigned"),
        "failed",
        &format!("`{base}` accepts requests that Twilio did not sign: something else answers there"),
        Some(&lead(&base)),
    );
    verdict(
        &check(&host, 1, "twilio_service", "webhook_signed"),
        "failed",
        &format!(
            "`{base}/webhooks/twilio/doctor` answers 200 and not as this host does: something else answers there"
        ),
        Some(&lead(&base)),
    );
    let base = format!("http://127.0.0.1:{nobody}");
    verdict(
        &check(&start(&base), 1, "twilio_service", "webhook_signed"),
        "failed",
        &format!("`{base}` is not reached from here: nobody listens at `127.0.0.1:{nobody}`"),
        Some(&lead(&base)),
    );
    Ok(())
}

fn one_plugin_alone_and_none_that_is_unknown() {
    let host = Setup::new("[plugins.database]\n[plugins.faulty]\n").start();
    host.wait_for_status("database", "connected");
    let alone = host.command(&["doctor", "database"]);
    assert_eq!(alone.code, Some(0), "{alone:?}");
    assert!(!alone.stdout.contains("faulty") && !alone.stdout.contains("data_dir"), "{alone:?}");
    let unknown = host.command(&["doctor", "databse"]);
    assert_eq!(unknown.code, Some(1));
    assert_eq!(unknown.stderr, "error: there is no plugin `databse`\n");
    let (_, setup) = host.terminate();
    assert_eq!(setup.command(&["doctor"]).code, Some(3));
}

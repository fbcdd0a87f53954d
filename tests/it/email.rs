//! The smtp plugin with a real SMTP server: mail arrives; what does not work is told apart.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup,
    partners::{free_port, smtp::SmtpServer},
    trial::Outcome,
    trials,
};

pub fn tests() -> Vec<Trial> {
    trials![
        mail_arrives,
        mail_arrives_after_a_login,
        mail_arrives_encrypted,
        a_wrong_login_names_the_setting,
        a_server_that_never_greets_times_out,
        nobody_listens,
        a_certificate_that_nobody_vouches_for,
    ]
}

fn setup(port: u16, tls: &str) -> Setup {
    let config = r#"
        [plugins.smtp]
        init = { timeout = "2s" }
        probe = { interval = "1h", timeout = "2s" }
        retry = { attempts = 2, base = "50ms", cap = "100ms" }
    "#;
    Setup::new(config)
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &port.to_string())
        .env("SMTP_TLS", tls)
        .env("SMTP_FROM_EMAIL", "switchboard@example.com")
}

fn with_login(setup: Setup, password: &str) -> Setup {
    setup.env("SMTP_USERNAME", "operator").env("SMTP_PASSWORD", password)
}

fn message() -> Value {
    json!({"to": ["someone@example.com"], "subject": "Grüße", "text": "It works."})
}

#[track_caller]
fn arrives(server: &SmtpServer, setup: Setup) {
    let host = setup.start();
    host.wait_for_status("smtp", "connected");
    let sent = host.call("smtp", "send_email", &message());
    assert_eq!(sent.status, 200, "{}", sent.body);
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "once, and before the answer");
    assert_eq!(mails[0]["from"], "switchboard@example.com");
    assert_eq!(mails[0]["to"], json!(["someone@example.com"]));
    assert_eq!(mails[0]["headers"]["Subject"], "Grüße");
    assert!(mails[0]["text"].as_str().is_some_and(|text| text.contains("It works.")), "{}", mails[0]);
}

fn mail_arrives() -> Outcome {
    let server = SmtpServer::start(&[])?;
    arrives(&server, setup(server.port(), "none"));
    Ok(())
}

fn mail_arrives_after_a_login() -> Outcome {
    let server = SmtpServer::start(&["--auth", "operator:let-me-in"])?;
    arrives(&server, with_login(setup(server.port(), "none"), "let-me-in"));
    Ok(())
}

fn mail_arrives_encrypted() -> Outcome {
    for (option, tls) in [("--starttls", "starttls"), ("--implicit", "implicit")] {
        let server = SmtpServer::start(&[option])?;
        let certificate = server.certificate().display().to_string();
        arrives(&server, setup(server.port(), tls).env("SMTP_CA_FILE", &certificate));
        assert_eq!(server.mails()[0]["encrypted"], true, "{option}");
    }
    Ok(())
}

fn a_wrong_login_names_the_setting() -> Outcome {
    let server = SmtpServer::start(&["--auth", "operator:let-me-in"])?;
    let host = with_login(setup(server.port(), "none"), "guess-work").start();
    let smtp = host.wait_for_status("smtp", "error");
    assert_eq!(smtp["reason"]["code"], "auth_invalid");
    assert_eq!(smtp["fix"]["action"], "correct_setting");
    assert!(smtp.to_string().contains("SMTP_PASSWORD"), "{smtp:#}");
    assert!(!(smtp.to_string() + &host.output()).contains("guess-work"));
    Ok(())
}

fn a_server_that_never_greets_times_out() -> Outcome {
    let server = SmtpServer::start(&["--never-greet"])?;
    let smtp = setup(server.port(), "none").start().wait_for_status("smtp", "error");
    assert_eq!(smtp["reason"]["code"], "timeout");
    Ok(())
}

fn nobody_listens() {
    let smtp = setup(free_port(), "none").start().wait_for_status("smtp", "error");
    assert_eq!(smtp["reason"]["code"], "refused");
    assert_eq!(smtp["fix"]["action"], "retry");
}

fn a_certificate_that_nobody_vouches_for() -> Outcome {
    for (option, tls) in [("--starttls", "starttls"), ("--implicit", "implicit")] {
        let server = SmtpServer::start(&[option])?;
        let smtp = setup(server.port(), tls).start().wait_for_status("smtp", "error");
        assert_eq!(smtp["reason"]["code"], "tls", "{option}: {smtp:#}");
    }
    Ok(())
}

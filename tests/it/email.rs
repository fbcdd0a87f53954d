//! The smtp plugin with a real SMTP server: mail arrives; what does not work is told apart.

use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup,
    partners::{free_port, smtp::SmtpServer},
    trial::Outcome,
    trials,
    wait::wait_until,
};

pub fn tests() -> Vec<Trial> {
    trials![
        mail_arrives,
        mail_arrives_after_a_login,
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
    let messages = wait_until("the message", || server.messages(), |messages| !messages.is_empty());
    let text = messages[0].to_string();
    for part in ["someone@example.com", "switchboard@example.com", "It works."] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(messages.len(), 1, "once");
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

//! The smtp plugin with a real SMTP server, and with raw peers that answer as public reports say: mail arrives; what does
//! not work is told apart.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use switchboard_tests::{
    Setup, TestHost,
    http::Response,
    partners::{
        forward_proxy::ForwardProxy,
        free_port,
        postgres::Postgres,
        raw_smtp::{Answer, Heard, RawSmtp},
        smtp::SmtpServer,
    },
    peer::Peer,
    trial::Outcome,
    trials,
    wait::wait_until,
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
        replies_in_any_encoding_count_by_their_code,
        a_login_refused_in_gbk_names_the_password_and_its_words_are_in_the_log,
        a_name_that_is_refused_is_told_and_blames_no_recipient,
        a_connection_that_the_server_ends_after_a_mail_is_replaced,
        an_access_token_is_renewed_and_lets_in_also_after_a_restart,
        a_token_that_the_provider_repeats_is_not_in_the_log,
        access_tokens_come_by_the_proxy_of_the_environment_and_this_machine_is_asked_without,
        what_a_provider_wants_instead_of_a_password_is_told,
        a_domain_beyond_ascii_goes_to_a_server_without_smtputf8,
        a_job_goes_by_what_the_code_says_on_sqlite,
        a_job_goes_by_what_the_code_says_on_postgresql,
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

/// QQ Mail, as cole/aiosmtplib#41 quotes it: "please log in with an authorization code", in GBK.
const GBK_535: &[u8] = b"535 Error: \xc7\xeb\xca\xb9\xd3\xc3\xca\xda\xc8\xa8\xc2\xeb\xb5\xc7\xc2\xbc\xa1\xa3\
    : http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=28&&no=1001256\r\n";
/// "No such mailbox", in GBK.
const GBK_550: &[u8] = b"550 \xd3\xca\xcf\xe4\xb2\xbb\xb4\xe6\xd4\xda\r\n";

#[track_caller]
fn connected(setup: Setup) -> TestHost {
    let host = setup.start();
    host.wait_for_status("smtp", "connected");
    host
}

fn send(host: &TestHost) -> Response {
    host.call("smtp", "send_email", &message())
}

/// Answers this to what begins so.
fn answers(command: &'static str, bytes: &'static [u8]) -> impl Fn(Heard<'_>) -> Answer + Send + Sync {
    move |heard| if heard.line.starts_with(command) { Answer::Bytes(bytes.to_vec()) } else { Answer::Good }
}

fn replies_in_any_encoding_count_by_their_code() {
    for taken in
        [&b"250 Message accept\xe9 pour livraison\r\n"[..], b"250\r\n", b"250-\xd3\xca\r\n250 \xbc\xfe\r\n"]
    {
        let server = RawSmtp::start(answers(".", taken));
        let sent = send(&connected(setup(server.port(), "none")));
        assert_eq!(sent.status, 200, "{}: {}", taken.escape_ascii(), sent.body);
        assert_eq!(server.mails().len(), 1);
    }
    // Every command is answered without a text, as RFC 5321 lets a server do.
    let server = RawSmtp::start(|heard| {
        Answer::Bytes(match heard.line {
            "" => b"220\r\n".to_vec(),
            "DATA" => b"354\r\n".to_vec(),
            _ => b"250\r\n".to_vec(),
        })
    });
    assert_eq!(send(&connected(setup(server.port(), "none"))).status, 200);

    let server = RawSmtp::start(answers("RCPT", GBK_550));
    let refused = send(&connected(setup(server.port(), "none")));
    assert_eq!(refused.status, 400, "it is wrong for good: {}", refused.body);
    assert_eq!(refused.json()["details"]["smtp_code"], 550, "{}", refused.body);
    assert!(server.mails().is_empty());
}

fn a_login_refused_in_gbk_names_the_password_and_its_words_are_in_the_log() {
    let server = RawSmtp::start(answers("AUTH", GBK_535));
    let debug = "[plugins.smtp]\nlog_level = \"debug\"\nretry = { attempts = 1 }\n";
    let setup = Setup::new(debug)
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &server.port().to_string())
        .env("SMTP_TLS", "none")
        .env("SMTP_FROM_EMAIL", "switchboard@example.com");
    let host = with_login(setup, "guess-work").start();
    let smtp = host.wait_for_status("smtp", "error");
    assert_eq!(smtp["reason"]["code"], "auth_invalid", "{smtp:#}");
    assert!(smtp["fix"].to_string().contains("SMTP_PASSWORD"), "{smtp:#}");
    let log = host.wait_for_output("service.mail.qq.com");
    assert!(log.contains(r"\xc7\xeb") || log.contains(r"\\xc7\\xeb"), "{log}");
}

/// Postfix with `reject_non_fqdn_helo_hostname`, which says so at RCPT (containrrr/watchtower#572), or at EHLO with
/// `smtpd_delay_reject = no` (chatmail/core#1847).
fn postfix(at: &'static str) -> RawSmtp {
    RawSmtp::start(move |heard| {
        if heard.line.starts_with(at) {
            return Answer::line("504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname");
        }
        Answer::Good
    })
}

fn a_name_that_is_refused_is_told_and_blames_no_recipient() {
    let server = postfix("EHLO vm");
    let host = setup(server.port(), "none").env("SMTP_EHLO_NAME", "vm").start();
    let smtp = host.wait_for_status("smtp", "error");
    assert_eq!(smtp["reason"]["code"], "config_invalid", "{smtp:#}");
    assert!(smtp["fix"].to_string().contains("SMTP_EHLO_NAME"), "{smtp:#}");

    let server = postfix("RCPT");
    let host = connected(setup(server.port(), "none").env("SMTP_EHLO_NAME", "vm"));
    for _ in 0..20 {
        let refused = send(&host).json();
        let message = refused["detail"].as_str().unwrap_or_default();
        assert!(message.contains("`vm`") && message.contains("SMTP_EHLO_NAME"), "{refused:#}");
        assert!(!refused.to_string().contains("someone@example.com"), "{refused:#}");
    }
    let failing = |smtp: &Value| smtp["failing"][0]["fix"].to_string().contains("SMTP_EHLO_NAME");
    host.wait_for_plugin("smtp", "failing by its name", failing);

    // Nobody has to set it: it is the domain of the sender.
    let server = RawSmtp::start(|_| Answer::Good);
    connected(setup(server.port(), "none"));
    assert_eq!(server.commands()[0], "EHLO example.com");
}

/// Amazon SES takes so many mails a connection, and then ends it (knadh/listmonk#2683, knadh/smtppool#18).
fn a_connection_that_the_server_ends_after_a_mail_is_replaced() {
    let server = RawSmtp::start(|heard| match heard.line.starts_with("MAIL") && heard.mails > 0 {
        true => Answer::last("421 4.7.0 Maximum message count per session reached"),
        false => Answer::Good,
    });
    let host = connected(setup(server.port(), "none"));
    let probes = server.connections();
    for _ in 0..3 {
        assert_eq!(send(&host).status, 200);
    }
    assert_eq!((server.mails().len(), server.connections() - probes), (3, 3));
    assert_eq!(host.plugin("smtp")["failing"], json!([]));

    // One that ends each of them serves nobody: it is tried once, and no more.
    let server = RawSmtp::start(|heard| match heard.line.starts_with("MAIL") {
        true => Answer::last("421 4.3.2 shutting down"),
        false => Answer::Good,
    });
    let host = connected(setup(server.port(), "none"));
    let probes = server.connections();
    let put_off = send(&host);
    assert_eq!((put_off.status, server.connections() - probes), (503, 1), "{}", put_off.body);
    assert_eq!(put_off.json()["details"]["smtp_code"], 421);
}

fn an_access_token_is_renewed_and_lets_in_also_after_a_restart() {
    // Google's refresh token stays, Microsoft's is replaced.
    let (google, microsoft) = ("ya29.a0Af_secret-token", "eyJ0eXAiOiJKV1Qi.secret-token");
    for (token, replacement) in [(google, None), (microsoft, Some("refresh-token-two"))] {
        let (authority, asked) = authority(token, replacement);
        let server = RawSmtp::start(|heard| match heard.line.split(' ').next() {
            Some("EHLO") => Answer::line("250-raw\r\n250 AUTH LOGIN XOAUTH2"),
            _ => Answer::Good,
        });
        let setup = setup(server.port(), "none")
            .env("SMTP_USERNAME", "operator@example.com")
            .env("SMTP_OAUTH_REFRESH_TOKEN", "refresh-token-one")
            .env("SMTP_OAUTH_CLIENT_ID", "switchboard")
            .env("SMTP_OAUTH_TOKEN_URL", &format!("http://{}/token", authority.address()));
        let host = connected(setup);
        assert_eq!(send(&host).status, 200);
        let told = host.output() + &host.plugin("smtp").to_string();
        let host = connected(host.terminate().1);
        let told = told + &host.output();
        assert!(!told.contains("secret-token") && !told.contains("refresh-token-"), "{told}");

        let login = STANDARD.encode(format!("user=operator@example.com\x01auth=Bearer {token}\x01\x01"));
        let logins =
            server.commands().into_iter().filter(|line| line.starts_with("AUTH")).collect::<Vec<_>>();
        assert!(logins.iter().all(|line| *line == format!("AUTH XOAUTH2 {login}")), "{logins:?}");
        let second = replacement.unwrap_or("refresh-token-one");
        assert_eq!(*asked.lock().expect("no test panics here"), ["refresh-token-one", second]);
        for file in fs::read_dir(host.setup().path("data")).expect("the folder for data is there") {
            let bytes = fs::read(file.expect("a file can be listed").path()).unwrap_or_default();
            assert!(
                !String::from_utf8_lossy(&bytes).contains("refresh-token-"),
                "nothing lies there in the clear"
            );
        }
    }
}

fn a_token_that_the_provider_repeats_is_not_in_the_log() {
    // The first one is replaced, which then has ended.
    let authority = Peer::start(|request| match request.body.contains("refresh_token=refresh-token-one") {
        true => (
            200,
            json!({
                "access_token": "ya29.secret-token", "token_type": "Bearer", "expires_in": 3599,
                "refresh_token": "refresh-token-two",
            }),
        ),
        false => {
            (400, json!({ "error": "invalid_grant", "error_description": "`refresh-token-two` is revoked" }))
        }
    });
    let server = RawSmtp::start(|heard| match heard.line.split(' ').next() {
        Some("EHLO") => Answer::line("250-raw\r\n250 AUTH LOGIN XOAUTH2"),
        _ => Answer::Good,
    });
    let setup = Setup::new("[plugins.smtp]\nlog_level = \"debug\"\n")
        .env("SMTP_SERVER", "127.0.0.1")
        .env("SMTP_PORT", &server.port().to_string())
        .env("SMTP_TLS", "none")
        .env("SMTP_FROM_EMAIL", "switchboard@example.com")
        .env("SMTP_USERNAME", "operator@example.com")
        .env("SMTP_OAUTH_REFRESH_TOKEN", "refresh-token-one")
        .env("SMTP_OAUTH_CLIENT_ID", "switchboard")
        .env("SMTP_OAUTH_TOKEN_URL", &format!("http://{}/token", authority.address()));
    let host = connected(connected(setup).terminate().1);
    let log = host.wait_for_output("is revoked");
    assert!(!log.contains("refresh-token-"), "{log}");
}

fn access_tokens_come_by_the_proxy_of_the_environment_and_this_machine_is_asked_without() {
    let server = RawSmtp::start(|heard| match heard.line.split(' ').next() {
        Some("EHLO") => Answer::line("250-raw\r\n250 AUTH LOGIN XOAUTH2"),
        _ => Answer::Good,
    });
    let setup = |token_url: &str| {
        setup(server.port(), "none")
            .env("SMTP_USERNAME", "operator@example.com")
            .env("SMTP_OAUTH_REFRESH_TOKEN", "refresh-token-one")
            .env("SMTP_OAUTH_CLIENT_ID", "switchboard")
            .env("SMTP_OAUTH_TOKEN_URL", token_url)
    };
    let proxy = ForwardProxy::start();
    let elsewhere = || setup("https://login.invalid/token").env("HTTPS_PROXY", &proxy.url());
    elsewhere().env("NO_PROXY", "login.invalid").start().wait_for_status("smtp", "error");
    assert_eq!(proxy.asked(), [""; 0]);
    elsewhere().start().wait_for_status("smtp", "error");
    assert!(proxy.asked().contains(&"CONNECT login.invalid:443".to_owned()), "{:?}", proxy.asked());

    let (authority, _) = authority("ya29.a0Af_secret-token", None);
    let proxy = ForwardProxy::start();
    connected(proxy.for_everything(setup(&format!("http://{}/token", authority.address()))));
    assert_eq!(proxy.asked(), [""; 0]);
}

/// Gives this access token for an hour, and another refresh token if there is one; and the refresh tokens that it was given.
fn authority(token: &'static str, replacement: Option<&'static str>) -> (Peer, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = asked.clone();
    let peer = Peer::start(move |request| {
        let given =
            request.body.split('&').find_map(|pair| pair.strip_prefix("refresh_token=")).unwrap_or_default();
        note.lock().expect("no test panics here").push(given.to_owned());
        match request.path == "/token" && request.body.contains("client_id=switchboard") {
            true => (
                200,
                json!({
                    "access_token": token, "token_type": "Bearer", "expires_in": 3599, "refresh_token": replacement,
                }),
            ),
            false => (400, json!({ "error": "invalid_grant" })),
        }
    });
    (peer, asked)
}

fn what_a_provider_wants_instead_of_a_password_is_told() {
    for (reply, says) in [
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [PN0PR01CA0024]",
            "Authenticated SMTP",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [PN0PR01CA0024]",
            "SMTP_OAUTH_REFRESH_TOKEN",
        ),
        (
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            "SMTP_OAUTH_REFRESH_TOKEN",
        ),
        (
            "534-5.7.9 Application-specific password required.\r\n534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor",
            "app password",
        ),
        (
            "534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1>\r\n534 5.7.14 Please log in via your web browser and then try again.",
            "browser",
        ),
    ] {
        let server =
            RawSmtp::start(
                move |heard| {
                    if heard.line.starts_with("AUTH") { Answer::line(reply) } else { Answer::Good }
                },
            );
        let smtp =
            with_login(setup(server.port(), "none"), "let-me-in").start().wait_for_status("smtp", "error");
        assert_eq!(smtp["reason"]["code"], "auth_invalid", "{smtp:#}");
        assert!(smtp["fix"].to_string().contains(says), "{reply}: {smtp:#}");
    }
}

fn a_domain_beyond_ascii_goes_to_a_server_without_smtputf8() {
    let server = RawSmtp::start(|_| Answer::Good);
    let host = connected(setup(server.port(), "none"));
    let to = |address: &str| {
        let mail = json!({"to": [address], "subject": "Grüße", "text": "It works."});
        host.call("smtp", "send_email", &mail)
    };
    assert_eq!(to("ada@bücher.example").status, 200);
    assert!(
        server.commands().contains(&"RCPT TO:<ada@xn--bcher-kva.example>".to_owned()),
        "{:?}",
        server.commands()
    );
    assert!(server.mails()[0].is_ascii(), "{}", server.mails()[0]);
    let refused = to("jürgen@bücher.example");
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("SMTPUTF8"), "{}", refused.body);
}

/// A scheduled mail's outcome: the rows of the scheduler hold what the code said, and not what its encoding hides.
#[track_caller]
fn a_job_goes_by_what_the_code_says(database: impl Fn(Setup) -> Setup) {
    let ends = |answer: &'static [u8], at: &'static str| {
        let server = RawSmtp::start(answers(at, answer));
        let config =
            "[plugins.database]\n[plugins.smtp]\n[plugins.scheduler_service.settings]\npoll = \"100ms\"\n";
        let setup = Setup::new(config)
            .env("SMTP_SERVER", "127.0.0.1")
            .env("SMTP_PORT", &server.port().to_string())
            .env("SMTP_TLS", "none")
            .env("SMTP_FROM_EMAIL", "switchboard@example.com");
        let host = connected(database(setup));
        host.wait_for_status("scheduler_service", "connected");
        let job = json!({ "email": message(), "in_minutes": 0 });
        let job = host.post("/api/schedule/jobs", &job);
        let id = job.json()["job"]["id"].as_str().unwrap_or_else(|| panic!("{}", job.body)).to_owned();
        let read = || host.get(&format!("/api/schedule/jobs/{id}")).json();
        let over = |job: &Value| !["waiting", "running"].contains(&job["state"].as_str().unwrap_or_default());
        let job = wait_until("an end", read, over);
        (job["state"].as_str().unwrap_or_default().to_owned(), server.mails().len())
    };
    assert_eq!(ends(b"250 Message accept\xe9\r\n", "."), ("done".to_owned(), 1));
    assert_eq!(ends(GBK_550, "."), ("failed".to_owned(), 1), "and not tried again, nor unknown");
    assert_eq!(ends(GBK_550, "RCPT"), ("failed".to_owned(), 0));
}

fn a_job_goes_by_what_the_code_says_on_sqlite() {
    a_job_goes_by_what_the_code_says(|setup| setup);
}

fn a_job_goes_by_what_the_code_says_on_postgresql() -> Outcome {
    let postgres = Postgres::start()?;
    a_job_goes_by_what_the_code_says(|setup| setup.env("DATABASE_URL", &postgres.url()));
    Ok(())
}

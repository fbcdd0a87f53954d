//! Which settings are taken, what follows from them, and what is said of the others.

use std::path::PathBuf;

use expect_test::{Expect, expect};
use plugin_api::{
    manifest::Manifest,
    serde_json::{self, Value, json},
};

use super::setup;
use crate::settings::{Config, Proof, Settings, TlsMode};

fn config(more: Value) -> Result<Config, String> {
    let mut all = json!({ "server": "smtp.example.com", "from_email": "bot@example.com" });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: Settings = serde_json::from_value(all).map_err(|error| error.to_string())?;
    Config::check(settings, |path| PathBuf::from(path)).map_err(|failure| setup::shown_failure(&failure, 0))
}

fn refused(more: Value, expected: Expect) {
    expected.assert_eq(&config(more).expect_err("it is refused"));
}

#[test]
fn port_and_tls_follow_from_each_other() {
    let decided = |more| config(more).map(|config| (config.port, config.tls)).unwrap();
    assert_eq!(decided(json!({})), (587, TlsMode::Starttls));
    assert_eq!(decided(json!({ "port": 465 })), (465, TlsMode::Implicit));
    assert_eq!(decided(json!({ "port": 25 })), (25, TlsMode::Starttls));
    assert_eq!(decided(json!({ "tls": "implicit" })), (465, TlsMode::Implicit));
    assert_eq!(decided(json!({ "tls": "none", "port": 1025 })), (1025, TlsMode::None));
}

#[test]
fn a_port_that_says_nothing_of_tls_is_not_guessed_at() {
    refused(
        json!({ "port": 2525 }),
        expect![
            "config_invalid [tls]: port 2525 does not tell how the connection is encrypted: set `SMTP_TLS` to `implicit` (TLS from the first byte), `starttls` (upgraded before the login) or `none` (not encrypted)"
        ],
    );
    refused(json!({ "port": 0 }), expect!["config_invalid [port]: `port` is 0: expected 1 to 65535"]);
}

#[test]
fn a_password_is_not_sent_in_the_clear_to_another_machine() {
    let login = json!({ "tls": "none", "username": "ada", "password": setup::PASSWORD });
    refused(
        login.clone(),
        expect![
            "config_invalid [tls]: `SMTP_TLS=none` would send the password to `smtp.example.com` unencrypted: choose `starttls` or `implicit`, or set `SMTP_ALLOW_PLAINTEXT_LOGIN=true` if the network between is trusted"
        ],
    );

    let with = |key: &str, value: Value| {
        let mut login = login.clone();
        login[key] = value;
        config(login)
    };
    assert!(with("allow_plaintext_login", json!(true)).is_ok());
    for local in ["localhost", "LOCALHOST", "127.0.0.1", "::1"] {
        assert!(with("server", json!(local)).is_ok(), "{local}");
    }
}

#[test]
fn what_cannot_be_a_server_a_sender_or_a_time_is_named() {
    refused(
        json!({ "server": "smtp.example.com:587" }),
        expect![
            "config_invalid [server]: `server` is `smtp.example.com:587`: expected a host name or an IP address alone, such as `smtp.example.com`; the port goes into `SMTP_PORT`"
        ],
    );
    refused(
        json!({ "server": "smtps://smtp.example.com" }),
        expect![
            "config_invalid [server]: `server` is `smtps://smtp.example.com`: expected a host name or an IP address alone, such as `smtp.example.com`; the port goes into `SMTP_PORT`"
        ],
    );
    refused(
        json!({ "from_email": "Bot" }),
        expect![
            "config_invalid [from_email]: `from_email` is `Bot`: expected one address such as `ada@example.com` or `Ada Lovelace <ada@example.com>`"
        ],
    );
    refused(
        json!({ "timeout": "0s" }),
        expect!["config_invalid [timeout]: `timeout` is 0: expected a positive time, such as `10s`"],
    );
    refused(
        json!({ "tls": "ssl" }),
        expect!["unknown variant `ssl`, expected one of `implicit`, `starttls`, `none`"],
    );
}

#[test]
fn a_login_is_a_name_and_one_thing_to_log_in_with() {
    let without = "config_invalid [password]: `SMTP_USERNAME` is set, and nothing to log in with: set `SMTP_PASSWORD`, `SMTP_OAUTH_TOKEN` or `SMTP_OAUTH_REFRESH_TOKEN`, or unset it";
    assert_eq!(config(json!({ "username": "ada" })).unwrap_err(), without);
    for proof in ["password", "oauth_token"] {
        assert_eq!(
            config(json!({ proof: "hidden" })).unwrap_err(),
            "config_invalid [username]: a password or token is set without a user name: set `SMTP_USERNAME`"
        );
        assert!(config(json!({ "username": "ada", proof: "hidden" })).is_ok());
    }
    refused(
        json!({ "username": "ada", "password": "hidden", "oauth_token": "hidden" }),
        expect![
            "config_invalid [password]: more than one of `SMTP_PASSWORD`, `SMTP_OAUTH_TOKEN` and `SMTP_OAUTH_REFRESH_TOKEN` is set: keep one"
        ],
    );
    refused(
        json!({ "tls": "none", "username": "ada", "oauth_token": "hidden" }),
        expect![
            "config_invalid [tls]: `SMTP_TLS=none` would send the access token to `smtp.example.com` unencrypted: choose `starttls` or `implicit`, or set `SMTP_ALLOW_PLAINTEXT_LOGIN=true` if the network between is trusted"
        ],
    );
}

#[test]
fn where_access_tokens_come_from_follows_from_the_server() {
    let renewal = |server: &str, more: Value| {
        let mut all = json!({
            "server": server, "username": "ada", "oauth_refresh_token": "hidden", "oauth_client_id": "switchboard",
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config(all).map(|config| match config.credentials.unwrap().proof {
            Proof::Renewal(renewal) => renewal.url.to_string(),
            proof => panic!("{proof:?}"),
        })
    };
    let by_server = |server| renewal(server, json!({}));
    let (google, microsoft) =
        ("https://oauth2.googleapis.com/token", "https://login.microsoftonline.com/common/oauth2/v2.0/token");
    for (server, url) in [
        ("smtp.gmail.com", google),
        ("smtp-relay.gmail.com", google),
        ("SMTP.Office365.com", microsoft),
        ("smtp-mail.outlook.com", microsoft),
    ] {
        assert_eq!(by_server(server).as_deref(), Ok(url));
    }
    expect!["config_invalid [oauth_token_url]: where `smtp.example.com` has its access tokens from is not known: set `SMTP_OAUTH_TOKEN_URL`"].assert_eq(&by_server("smtp.example.com").unwrap_err());
    let given = |url: &str| renewal("smtp.example.com", json!({ "oauth_token_url": url }));
    assert!(given("https://id.example.com/token").is_ok() && given("http://[::1]:1/token").is_ok());
    expect!["config_invalid [oauth_token_url]: `oauth_token_url` would send secrets to `id.example.com` unencrypted: use `https:`"].assert_eq(&given("http://id.example.com/token").unwrap_err());
}

#[test]
fn what_cannot_be_a_name_of_this_machine_is_refused() {
    for name in ["", "a b", "192.0.2.1", "[192.0.2]", "[2001:db8::1]", "vm\r\nMAIL FROM:<>"] {
        let error = config(json!({ "ehlo_name": name })).expect_err(name);
        assert!(error.starts_with(&format!("config_invalid [ehlo_name]: `ehlo_name` is `{}`: expected a domain such as `mail.example.com`, or an address such as `[192.0.2.1]`", name.escape_debug())), "{error}");
    }
}

#[test]
fn the_manifest_says_what_the_host_needs() {
    let manifest: Manifest = setup::plugin(25, json!({})).manifest();
    assert!(manifest.multi_instance);
    assert_eq!(manifest.all_or_none, [["oauth_refresh_token", "oauth_client_id"]]);
    assert_eq!(manifest.probe_interval_ms, Some(60_000));
    assert_eq!(manifest.settings["required"], json!(["server", "from_email"]));
    let variable = |key: &str| manifest.settings["properties"][key]["x-env"].clone();
    assert_eq!(variable("server"), "SMTP_SERVER");
    assert_eq!(variable("from_email"), "SMTP_FROM_EMAIL");
    assert_eq!(variable("password"), "SMTP_PASSWORD");

    let operation = manifest.operation("send_email").expect("it is offered");
    assert!(operation.tool && !operation.idempotent && !operation.needs_approval);
    for (name, field) in operation.request["properties"].as_object().unwrap() {
        assert!(field["description"].is_string(), "a model is not told what `{name}` is");
    }
}

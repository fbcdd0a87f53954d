//! Settings and client secrets: what is refused, in which words; and that no JSON makes it panic.

use expect_test::{Expect, expect};
use plugin_api::{
    prelude::*,
    serde_json::{Value, json},
};
use proptest::prelude::*;
use reqwest::Url;

use crate::{
    client_secrets::ClientSecrets,
    settings::{Config, Settings},
};

fn config(more: Value) -> Result<Config, Failure> {
    let mut settings = json!({ "client_secrets_file": "client.json" });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let settings: Settings = plugin_api::serde_json::from_value(settings).unwrap();
    Config::check(settings, |path| format!("/etc/{path}").into())
}

fn refused(more: Value, expected: Expect) {
    let failure = config(more).expect_err("it is refused");
    expected.assert_eq(&super::setup::shown(&failure, 0));
}

#[test]
fn the_least_is_enough() {
    let config = config(json!({})).unwrap();
    assert_eq!(config.api_base_url.as_str(), "https://www.googleapis.com/calendar/v3");
    assert_eq!((config.calendar.as_str(), config.scopes.len()), ("primary", 2));
    assert!(config.time_zone.is_none() && config.redirect_uri.is_none());
}

#[test]
fn only_the_calendars_of_the_settings_are_allowed() {
    let allowed = |settings: Value| {
        let config = config(settings).unwrap();
        let ids =
            ["primary", "ada@example.com", "bob@example.com", "eve@bad-example.com", "Team@Group.example"];
        ids.into_iter().filter(|id| config.allows(id)).collect::<Vec<_>>()
    };
    assert_eq!(allowed(json!({})), ["primary"]);
    assert_eq!(allowed(json!({ "calendar": "ada@example.com" })), ["ada@example.com"]);
    assert_eq!(allowed(json!({ "calendars": ["bob@EXAMPLE.com"] })), ["primary", "bob@example.com"]);
    assert_eq!(
        allowed(json!({ "calendar": "team@group.example", "calendars": ["*@example.com"] })),
        ["ada@example.com", "bob@example.com", "Team@Group.example"]
    );
    assert_eq!(allowed(json!({ "calendars": ["*"] })).len(), 5);
}

#[test]
fn the_public_address_makes_the_redirect() {
    let config = config(json!({ "public_base_url": "https://switchboard.example.com/" })).unwrap();
    let expected = "https://switchboard.example.com/api/calendar/oauth/callback";
    assert_eq!(config.redirect_uri.unwrap().as_str(), expected);
}

#[test]
fn what_cannot_work_is_refused() {
    refused(
        json!({ "api_base_url": "http://calendar.example.com" }),
        expect![
            "config_invalid [api_base_url] -> -: `api_base_url` would send secrets to `calendar.example.com` unencrypted: use `https:`"
        ],
    );
    for odd in ["", "ada@*.example.com", "**"] {
        let failure = config(json!({ "calendars": ["bob@example.com", odd] })).unwrap_err();
        assert!(
            failure.message.starts_with(&format!("`calendars` names `{odd}`: expected the id")),
            "{failure:?}"
        );
        assert_eq!(failure.setting.as_deref(), Some("calendars"));
    }
    refused(
        json!({ "time_zone": "Europe/Berlinn" }),
        expect![
            "config_invalid [time_zone] -> -: `time_zone` is `Europe/Berlinn`, which is no time zone: write it as `Europe/Berlin` or `UTC`"
        ],
    );
    refused(
        json!({ "client_secrets_json": "{}" }),
        expect![
            "config_invalid [client_secrets_json] -> -: `GOOGLE_OAUTH_CLIENT_SECRETS_FILE` and `GOOGLE_OAUTH_CLIENT_SECRETS_JSON` are both set: keep one"
        ],
    );
    refused(
        json!({ "redirect_uri": "switchboard.example.com" }),
        expect![
            "config_invalid [redirect_uri] -> -: `redirect_uri` is `switchboard.example.com`: expected a web address such as `https://switchboard.example.com`"
        ],
    );
    refused(
        json!({ "timeout": "0s" }),
        expect!["config_invalid [timeout] -> -: `timeout` is 0: expected a positive time, such as `10s`"],
    );
    refused(
        json!({ "scopes": [] }),
        expect![
            "config_invalid [scopes] -> -: `scopes` is a list of scopes such as `https://www.googleapis.com/auth/calendar.events`, one an entry"
        ],
    );
}

#[test]
fn client_secrets_without_addresses_are_googles() {
    let secrets = ClientSecrets::parse(r#"{"installed": {"client_id": "c"}}"#).unwrap();
    assert_eq!(secrets.auth_uri.as_str(), "https://accounts.google.com/o/oauth2/v2/auth");
    assert_eq!(secrets.token_uri.as_str(), "https://oauth2.googleapis.com/token");
    assert_eq!(secrets.revoke_uri.as_str(), "https://oauth2.googleapis.com/revoke");
}

#[test]
fn only_registered_addresses_are_returned_to() {
    let parse = |json: &str| ClientSecrets::parse(json).unwrap();
    let may = |secrets: &ClientSecrets, uri: &str| secrets.may_return_to(&Url::parse(uri).unwrap());
    let web = parse(r#"{"web": {"client_id": "c", "redirect_uris": ["https://a.example/cb"]}}"#);
    assert!(may(&web, "https://a.example/cb"));
    assert!(!may(&web, "https://a.example/cb/"));
    assert!(!may(&web, "http://127.0.0.1:8080/cb"));
    let desktop = parse(r#"{"installed": {"client_id": "c", "redirect_uris": ["http://localhost"]}}"#);
    assert!(may(&desktop, "http://127.0.0.1:8080/cb"));
    assert!(!may(&desktop, "https://a.example/cb"));
}

#[test]
fn what_is_no_client_says_where_to_find_one() {
    for (json, expected) in [
        ("", "is no JSON (line 1, column 0); in Google's console under APIs & Services"),
        ("[]", "has neither `web` nor `installed`; in Google's console"),
        (r#"{"web": {"client_id": 7}}"#, "has a `client_id` that is no text;"),
        (
            r#"{"web": {"client_id": "c", "redirect_uris": [1]}}"#,
            "has `redirect_uris` that is no list of texts;",
        ),
        (
            r#"{"web": {"client_id": "c", "token_uri": "http://evil.example"}}"#,
            "cannot be used: `token_uri` would send secrets to `evil.example` unencrypted",
        ),
    ] {
        let why = ClientSecrets::parse(json).unwrap_err();
        assert!(why.starts_with(expected), "{json}: {why}");
    }
}

proptest! {
    #[test]
    fn no_client_secrets_panic_or_show_their_secret(
        text in any::<String>(), key in "client_id|client_secret|auth_uri|redirect_uris", value in any::<String>(),
    ) {
        let _ = ClientSecrets::parse(&text);
        let json = json!({ "web": { "client_id": "c", "client_secret": "GOCSPX-hidden", key: value } });
        if let Err(why) = ClientSecrets::parse(&json.to_string()) {
            prop_assert!(!why.contains("GOCSPX-hidden"), "{}", why);
        }
        let cut = json.to_string();
        let cut: String = cut.chars().take(cut.len() / 2).collect();
        prop_assert!(ClientSecrets::parse(&cut).is_err());
    }
}

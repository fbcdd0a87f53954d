//! Every failure and refusal that the plugin can tell, with its setting and what mends it. The host's words for the
//! code alone have to fit where the plugin has no description itself.

use std::{io, time::Duration};

use expect_test::expect;
use plugin_api::{
    prelude::*,
    serde_json::{Value, json},
    testing::advice::{error, failure, table},
};
use rustls::{CertificateError, Error as TlsError, InvalidMessage};

use super::setup::{ACCOUNT, NUMBER, TOKEN, with_key};
use crate::{
    client::Answer,
    errors::{
        codes,
        refusal::{Refusal, inactive_account},
        transport::{self, Broken},
    },
    settings::{Config, Settings},
    verify,
};

fn config(more: Value) -> Config {
    let mut all = json!({ "account_sid": ACCOUNT, "auth_token": TOKEN, "phone_number": NUMBER });
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
    Config::check(plugin_api::serde_json::from_value::<Settings>(all).unwrap()).unwrap()
}

fn refusal(status: u16, code: Option<u32>) -> Refusal {
    Refusal { status, code, retry_after: None }
}

#[test]
fn no_way_to_twilio_or_to_what_stands_in_for_it() {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable};
    let invalid = |error| transport::untrusted(&TlsError::InvalidCertificate(error), "server");
    let failures = [
        transport::no_authorities(),
        transport::too_slow(Duration::from_secs(10), &config(json!({}))),
        transport::unresolved("server"),
        transport::network(ConnectionRefused, "server").unwrap(),
        transport::network(HostUnreachable, "server").unwrap(),
        invalid(CertificateError::Expired),
        invalid(CertificateError::UnknownIssuer),
        transport::untrusted(&TlsError::InvalidMessage(InvalidMessage::InvalidContentType), "server"),
    ];
    let blamed =
        |config: Config| table(failures.clone().map(|failure| transport::blame(failure, &config)), failure);
    expect![[r#"
        tls [-]: no client for TLS can be made: this machine has no certificate authorities to trust => Install `ca-certificates` on this machine, then restart the host
        timeout [-]: `api.twilio.com` gave no answer within 10s
        dns [-]: the name `server` does not resolve to an address => Check this machine's DNS
        refused [-]: nobody listens at `server` => Check this machine's network and firewall
        refused [-]: there is no way to `server` from this machine's network => Check this machine's network and firewall
        tls [-]: no encrypted connection to `server`: by this machine's clock its certificate is not valid now => Correct the clock of this machine, or the certificate of the server
        tls [-]: no encrypted connection to `server`: its certificate cannot be trusted => Update `ca-certificates` of this machine; a proxy that decrypts TLS needs its authority there
        tls [-]: no encrypted connection to `server`: it does not speak TLS as expected => Update `ca-certificates` of this machine; a proxy that decrypts TLS needs its authority there"#]].assert_eq(&blamed(config(json!({}))));
    let elsewhere = config(json!({ "api_base_url": "https://twilio.example.com" }));
    expect![[r#"
        tls [-]: no client for TLS can be made: this machine has no certificate authorities to trust => Install `ca-certificates` on this machine, then restart the host
        timeout [-]: `api.twilio.com` gave no answer within 10s
        dns [api_base_url]: the name `server` does not resolve to an address
        refused [api_base_url]: nobody listens at `server`
        refused [api_base_url]: there is no way to `server` from this machine's network
        tls [-]: no encrypted connection to `server`: by this machine's clock its certificate is not valid now => Correct the clock of this machine, or the certificate of the server
        tls [api_base_url]: no encrypted connection to `server`: its certificate cannot be trusted
        tls [api_base_url]: no encrypted connection to `server`: it does not speak TLS as expected"#]].assert_eq(&blamed(elsewhere));
}

#[test]
fn account_and_number_cannot_be_verified() {
    let answered = |status, code| Answer {
        status,
        retry_after: None,
        date: None,
        json: Some(json!({ "code": code, "message": "as Twilio says" })),
    };
    let statuses =
        [(401, 20003), (401, 20005), (403, 20008), (404, 20404), (429, 20429), (503, 20500), (418, 0)];
    let token = config(json!({}));
    let of_token =
        statuses.map(|(status, code)| verify::unverified(Refusal::of(&answered(status, code)), &token));
    let key = config(with_key());
    let of_key = verify::unverified(refusal(401, Some(20003)), &key);
    let others = [verify::no_number(&token), inactive_account("it is suspended")];
    expect![[r#"
        auth_invalid [auth_token]: Twilio refuses the account SID or the auth token (Twilio 20003) => Correct `TWILIO_ACCOUNT_SID` and `TWILIO_AUTH_TOKEN`; Twilio answers so, too, if the account is suspended
        account [-] -> https://console.twilio.com/: the account cannot be used: Twilio says that it is not active (Twilio 20005); Twilio's console says why
        forbidden [auth_token]: the credentials are good, but may not read account and numbers (Twilio 20008)
        config_invalid [account_sid]: Twilio knows no account `AC00000000000000000000000000000001`, or the credentials belong to another one (Twilio 20404)
        rate_limited [-]: Twilio asks to slow down (Twilio 20429)
        unavailable [-]: Twilio does not serve at the moment (Twilio 20500)
        protocol [api_base_url]: `api.twilio.com` does not answer as Twilio does: check `TWILIO_API_BASE_URL`
        auth_invalid [api_secret]: Twilio refuses the API key or its secret (Twilio 20003) => Correct `TWILIO_API_KEY` and `TWILIO_API_SECRET`, or create another key
        config_invalid [phone_number]: the account has no number `+15551234567`: Twilio's console lists those it has under "Active numbers"
        account [-] -> https://console.twilio.com/: the account cannot be used: it is suspended; Twilio's console says why"#]].assert_eq(&table(of_token.into_iter().chain([of_key]).chain(others), failure));
}

#[test]
fn a_request_is_refused() {
    let config = config(json!({}));
    let codes = codes::known().chain([0]).map(|code| refusal(400, Some(code)));
    let statuses = [403, 404, 409, 429, 401, 500].map(|status| refusal(status, None));
    let refused = codes.chain(statuses).map(|refusal| codes::refused(refusal, &config, Some(NUMBER)));
    expect![[r#"
        invalid [-]: Twilio did not do it: the recipient is no valid phone number (Twilio 21211)
        invalid (config_invalid) [phone_number]: Twilio did not do it: the sender is not one of the account's numbers, or cannot send this (Twilio 21212)
        invalid [-]: Twilio did not do it: the Messaging Service is not there, or has no number that can send (Twilio 21701)
        invalid (config_invalid) [phone_number]: Twilio did not do it: the caller's number is not verified for the account (Twilio 21210)
        invalid [-]: Twilio did not do it: the recipient cannot be reached by this kind of message or call (Twilio 21214)
        invalid [-]: Twilio did not do it: an address in it is not one that Twilio can fetch (Twilio 21205)
        invalid [-]: Twilio did not do it: the message is empty (Twilio 21602)
        invalid [-]: Twilio did not do it: the text is too long (Twilio 21605)
        invalid [-]: Twilio did not do it: there are too many media, or they are too large (Twilio 21623)
        invalid [-]: Twilio did not do it: the template or its variables do not fit (Twilio 21655)
        denied [-]: Twilio did not do it: the account may not reach that country (Twilio 21215)
        denied [-]: Twilio did not do it: Twilio blocks that number (Twilio 21216)
        denied (account) [-] -> https://console.twilio.com/: Twilio did not do it: a trial account reaches verified numbers only (Twilio 21219) => See the account and the registration of its numbers in Twilio's console
        denied [-]: Twilio did not do it: the recipient opted out (STOP) (Twilio 21610)
        denied (account) [-] -> https://console.twilio.com/: Twilio did not do it: the account is suspended (Twilio 30002) => See the account and the registration of its numbers in Twilio's console
        denied (forbidden) [-] -> https://console.twilio.com/: Twilio did not do it: the sender is not registered for this kind of traffic (Twilio 30032) => See the account and the registration of its numbers in Twilio's console
        denied [-]: Twilio did not do it: they did not write within 24 hours: WhatsApp takes a template only (Twilio 63016)
        denied [-]: Twilio did not do it: the WhatsApp sender is not set up for that recipient (Twilio 63007)
        conflict [-]: Twilio did not do it: the call or message is in another state (Twilio 21220)
        not_found [-]: Twilio did not do it: Twilio knows no such thing (Twilio 20404)
        overloaded (rate_limited) [-]: Twilio did not do it: too much is under way (Twilio 21611)
        invalid [-]: Twilio did not do it: the request does not fit (Twilio 0)
        denied (forbidden) [-] -> https://console.twilio.com/: Twilio did not do it: account or key may not do that (HTTP 403) => See the account and the registration of its numbers in Twilio's console
        not_found [-]: Twilio did not do it: Twilio knows no such thing (HTTP 404)
        conflict [-]: Twilio did not do it: it contradicts what is there (HTTP 409)
        overloaded (rate_limited) [-]: Twilio did not do it: too many requests (HTTP 429)
        unavailable (auth_invalid) [auth_token]: Twilio refuses the account SID or the auth token (HTTP 401) => Correct `TWILIO_ACCOUNT_SID` and `TWILIO_AUTH_TOKEN`; Twilio answers so, too, if the account is suspended
        unavailable (unavailable) [-]: Twilio does not serve at the moment (HTTP 500)"#]].assert_eq(&table(refused, error));
}

#[test]
fn what_was_sent_and_not_answered() {
    let broke = || Failure::unavailable("`server` broke the connection before it answered");
    let errors = [
        codes::unknown(refusal(500, None)),
        codes::unanswered(Broken::Unsent(transport::unresolved("server")), false),
        codes::unanswered(Broken::Sent(broke()), false),
        codes::unanswered(Broken::Sent(broke()), true),
    ];
    expect![[r#"
        unknown_outcome [-]: it may have been done: Twilio broke off while it worked on it (HTTP 500)
        unavailable (dns) [-]: nothing was sent: the name `server` does not resolve to an address
        unknown_outcome [-]: it may have been done: `server` broke the connection before it answered
        unavailable (unavailable) [-]: `server` broke the connection before it answered"#]]
    .assert_eq(&table(errors, error));
}

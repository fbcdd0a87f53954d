//! Every trouble that the plugin can build, with its setting and what mends it: as a reason of its health, and as what fails
//! in use. The host's words for the code alone have to fit where the plugin has no description itself.

use std::{io, path::Path, time::Duration};

use expect_test::expect;
use plugin_api::{files::Unreadable, prelude::*, serde_json::json};
use reqwest::header::HeaderMap;
use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

use super::setup::shown_failure;
use crate::{
    answer::{self, Asked},
    settings::Choice,
    trouble::{
        Trouble,
        connecting::{
            NoAddress, Way, network, no_answer, no_authorities, no_connection, unreadable_authorities,
        },
        status::refused,
    },
};

const WAY: Way<'static> = Way { server: "api.example.com", setting: "base_url", variable: "OPENAI_BASE_URL" };
const CHOICE: Choice<'static> = Choice { model: "m", setting: "model", variable: "OPENAI_MODEL" };

/// The reasons of its health, line by line.
fn table(troubles: impl IntoIterator<Item = Trouble>) -> String {
    let lines: Vec<_> =
        troubles.into_iter().map(|trouble| shown_failure(&Failure::from(trouble), 0)).collect();
    lines.join("\n")
}

/// A chat that fails in use, as it is shown: its code, its setting, and what mends it.
fn in_use(trouble: Trouble) -> String {
    let error = OperationError::from(trouble.about_model(WAY.server, "m", CHOICE));
    let fix = error.fix.clone().unwrap_or_default();
    let code = error.trouble.map_or("nobody's".to_owned(), |code| code.to_string());
    let label = fix.label.map(|label| format!(" => {label}")).unwrap_or_default();
    format!("{code} [{}]: {}{label}", fix.setting.as_deref().unwrap_or("-"), error.message)
}

#[test]
fn no_way_to_the_server() {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    let kinds = [ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut, ConnectionReset];
    let network = kinds.map(|kind| network(&io::Error::from(kind), WAY)).into_iter();
    let slow = [
        no_connection(WAY, Duration::from_secs(10)),
        no_answer(WAY.server, "no answer", Duration::from_secs(120), "timeout"),
        crate::trouble::connecting::network(&NoAddress, WAY),
    ];
    expect![[r#"
        refused [-]: nobody listens at `api.example.com`
        refused [-]: there is no way to `api.example.com` from this machine's network => Check this machine's network and firewall, or correct `OPENAI_BASE_URL`
        refused [-]: there is no way to `api.example.com` from this machine's network => Check this machine's network and firewall, or correct `OPENAI_BASE_URL`
        timeout [-]: `api.example.com` does not answer
        unavailable [-]: the connection to `api.example.com` broke before the answer was whole
        timeout [-]: no connection with `api.example.com` within 10s
        timeout [-]: `api.example.com` gave no answer within 120s
        dns [base_url]: the name of `api.example.com` does not resolve to an address"#]].assert_eq(&table(network.chain(slow)));
}

#[test]
fn no_trustworthy_encryption() {
    let certificate = TlsError::InvalidCertificate;
    let errors = [
        certificate(CertificateError::Expired),
        certificate(CertificateError::NotValidYet),
        certificate(CertificateError::NotValidForName),
        certificate(CertificateError::UnknownIssuer),
        certificate(CertificateError::Revoked),
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion),
        TlsError::AlertReceived(AlertDescription::CertificateRequired),
        TlsError::HandshakeNotComplete,
    ];
    let errors = errors.map(|error| network(&io::Error::other(error), WAY)).into_iter();
    let path = Path::new("/etc/ca.pem");
    let files = [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied, io::ErrorKind::IsADirectory]
        .map(|kind| unreadable_authorities(path, &Unreadable::System(kind)));
    let none = [Some(path), None].map(no_authorities);
    expect![[r#"
        tls [-]: the certificate of `api.example.com` has expired: it must be renewed there => Renew the certificate of `api.example.com`
        tls [-]: the certificate of `api.example.com` is not valid yet: check the clocks of both machines => Correct the clock of this machine or of `api.example.com`, then verify it
        tls [base_url]: the certificate of `api.example.com` is for another name: write `OPENAI_BASE_URL` with the name that it is for
        tls [ca_file]: the certificate of `api.example.com` is signed by no trusted authority: if it is a private one, give the certificate of its authority in `OPENAI_CA_FILE`
        tls [ca_file]: the certificate of `api.example.com` cannot be trusted
        tls [base_url]: `api.example.com` does not answer in TLS: if it serves without encryption, write `OPENAI_BASE_URL` with `http://` or `ws://`
        tls [-]: no TLS connection with `api.example.com` can be made: no common version or cipher suite => Let `api.example.com` speak TLS 1.2 or later
        tls [-]: `api.example.com` requires a client certificate, which Switchboard does not send => Let `api.example.com` accept clients without a certificate
        tls [-]: the TLS handshake with `api.example.com` failed: handshake not complete => Check the TLS configuration and the log of `api.example.com`
        config_invalid [ca_file]: `/etc/ca.pem` does not exist
        config_invalid [ca_file]: `/etc/ca.pem` may not be read by this process
        config_invalid [ca_file]: `/etc/ca.pem` cannot be read: is a directory
        config_invalid [ca_file]: `/etc/ca.pem` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)
        tls [ca_file]: this machine trusts no certificate authorities: install its `ca-certificates`, or set `OPENAI_CA_FILE` => Install `ca-certificates` on this machine, or set `OPENAI_CA_FILE`"#]].assert_eq(&table(errors.chain(files).chain(none)));
}

/// Refusals by status and code, or words.
const REFUSALS: [(u16, &str); 26] = [
    (400, "api key not valid"),
    (401, "invalid_api_key"),
    (401, "missing_scope"),
    (402, ""),
    (403, ""),
    (403, "unsupported_country_region_territory"),
    (403, "account_deactivated"),
    (404, "model_not_found"),
    (400, "model_decommissioned"),
    (501, ""),
    (400, "does not support tools"),
    (400, "requires --enable-auto-tool-choice and --tool-call-parser to be set"),
    (500, "tools param requires --jinja flag"),
    (400, "tool_use_failed"),
    (400, "context_length_exceeded"),
    (400, "content_filter"),
    (400, "array_above_max_length"),
    (400, "unsupported_parameter max_tokens"),
    (400, "unsupported_value stream"),
    (400, ""),
    (413, ""),
    (429, "rate_limit_exceeded"),
    (429, "insufficient_quota"),
    (500, ""),
    (503, ""),
    (302, ""),
];

fn refusal((status, what): (u16, &str)) -> Trouble {
    let body = match what.split_once(' ') {
        Some((code, param)) if code.contains('_') => json!({ "error": { "code": code, "param": param } }),
        Some(_) => json!({ "error": { "message": what } }),
        None => json!({ "error": { "code": what } }),
    };
    refused(WAY, status, &HeaderMap::new(), body.to_string().as_bytes())
}

#[test]
fn every_refusal_as_a_reason_of_health() {
    expect![[r#"
        auth_invalid [api_key]: `api.example.com` does not know the key: check `OPENAI_API_KEY` (HTTP 400)
        auth_invalid [api_key]: `api.example.com` does not know the key: check `OPENAI_API_KEY` (HTTP 401)
        forbidden [-]: `api.example.com` knows the key and does not permit it this: give it the right to it there (OpenAI: Settings > API keys, Model capabilities: Request) (HTTP 401)
        quota [-]: `api.example.com` says that the account's credit or its limit is used up: see its billing page (HTTP 402)
        forbidden [-]: `api.example.com` does not permit this: see what the key, the project and the country may use (HTTP 403)
        forbidden [-]: `api.example.com` serves neither this country nor this address (HTTP 403) => Run this host where the vendor serves it, permit its address there, or set `OPENAI_BASE_URL`
        account [-]: `api.example.com` says that the account is closed or not paid for: see its billing page (HTTP 403)
        config_invalid [-]: `api.example.com` has no such model, or this key may not use it (HTTP 404)
        config_invalid [-]: `api.example.com` has no such model, or this key may not use it (HTTP 400)
        config_invalid [-]: `api.example.com` has no such model, or this key may not use it (HTTP 501)
        config_invalid [model]: `api.example.com` calls no tools (HTTP 400): choose a model that calls tools in `OPENAI_MODEL` => Choose a model that calls tools in `OPENAI_MODEL`
        config_invalid [-]: `api.example.com` calls no tools (HTTP 400): start vLLM with `--enable-auto-tool-choice` and the `--tool-call-parser` of the model => Start vLLM with `--enable-auto-tool-choice` and the `--tool-call-parser` of the model
        config_invalid [-]: `api.example.com` calls no tools (HTTP 500): start llama-server with `--jinja` => Start llama-server with `--jinja`
        protocol [-]: `api.example.com` says that the model wrote an invalid tool call (HTTP 400) => Choose a model that is better at calling tools in `OPENAI_MODEL`
        protocol [-]: `api.example.com` says that the request is too long for the model: shorten it (HTTP 400)
        forbidden [-]: `api.example.com` filters the words of the request (HTTP 400)
        config_invalid [embedding_batch]: `api.example.com` takes fewer texts in one request: set `embedding_batch` to as many as it takes (HTTP 400)
        protocol [max_tokens_field]: `api.example.com` wants the limit of tokens in another field for this model: change `max_tokens_field` (HTTP 400)
        forbidden [-]: `api.example.com` does not stream this model's answers to this organisation: verify it there (OpenAI: Settings > Organization > General) (HTTP 400) => Verify the organisation at the vendor (OpenAI: Settings > Organization > General)
        protocol [-]: `api.example.com` refuses the request (HTTP 400)
        protocol [-]: `api.example.com` says that the request is too long for the model: shorten it (HTTP 413)
        rate_limited [-]: `api.example.com` asks to slow down: too many requests or tokens in a time (HTTP 429)
        quota [-]: `api.example.com` says that the account's credit or its limit is used up: see its billing page (HTTP 429)
        unavailable [-]: `api.example.com` cannot serve at the moment (HTTP 500)
        unavailable [-]: `api.example.com` cannot serve at the moment (HTTP 503)
        config_invalid [base_url]: `api.example.com` leads elsewhere, where the key is not sent: give the final address in `OPENAI_BASE_URL` (HTTP 302)"#]].assert_eq(&table(REFUSALS.map(refusal)));
}

#[test]
fn every_refusal_of_a_chat_that_names_no_model() {
    let told = REFUSALS.map(|refused| format!("{} {}: {}", refused.0, refused.1, in_use(refusal(refused))));
    expect![[r#"
        400 api key not valid: auth_invalid [api_key]: `api.example.com` does not know the key: check `OPENAI_API_KEY` (HTTP 400)
        401 invalid_api_key: auth_invalid [api_key]: `api.example.com` does not know the key: check `OPENAI_API_KEY` (HTTP 401)
        401 missing_scope: forbidden [-]: `api.example.com` knows the key and does not permit it this: give it the right to it there (OpenAI: Settings > API keys, Model capabilities: Request) (HTTP 401)
        402 : quota [-]: `api.example.com` says that the account's credit or its limit is used up: see its billing page (HTTP 402)
        403 : forbidden [-]: `api.example.com` does not permit this: see what the key, the project and the country may use (HTTP 403)
        403 unsupported_country_region_territory: forbidden [-]: `api.example.com` serves neither this country nor this address (HTTP 403) => Run this host where the vendor serves it, permit its address there, or set `OPENAI_BASE_URL`
        403 account_deactivated: account [-]: `api.example.com` says that the account is closed or not paid for: see its billing page (HTTP 403)
        404 model_not_found: config_invalid [model]: `api.example.com` has no model `m`, or this key may not use it: set `OPENAI_MODEL`
        400 model_decommissioned: config_invalid [model]: `api.example.com` has no model `m`, or this key may not use it: set `OPENAI_MODEL`
        501 : config_invalid [model]: `api.example.com` has no model `m`, or this key may not use it: set `OPENAI_MODEL`
        400 does not support tools: config_invalid [model]: `api.example.com` calls no tools (HTTP 400): choose a model that calls tools in `OPENAI_MODEL` => Choose a model that calls tools in `OPENAI_MODEL`
        400 requires --enable-auto-tool-choice and --tool-call-parser to be set: config_invalid [-]: `api.example.com` calls no tools (HTTP 400): start vLLM with `--enable-auto-tool-choice` and the `--tool-call-parser` of the model => Start vLLM with `--enable-auto-tool-choice` and the `--tool-call-parser` of the model
        500 tools param requires --jinja flag: config_invalid [-]: `api.example.com` calls no tools (HTTP 500): start llama-server with `--jinja` => Start llama-server with `--jinja`
        400 tool_use_failed: protocol [-]: `api.example.com` says that the model wrote an invalid tool call (HTTP 400) => Choose a model that is better at calling tools in `OPENAI_MODEL`
        400 context_length_exceeded: nobody's [-]: `api.example.com` says that the request is too long for the model: shorten it (HTTP 400)
        400 content_filter: nobody's [-]: `api.example.com` filters the words of the request (HTTP 400)
        400 array_above_max_length: config_invalid [embedding_batch]: `api.example.com` takes fewer texts in one request: set `embedding_batch` to as many as it takes (HTTP 400)
        400 unsupported_parameter max_tokens: config_invalid [max_tokens_field]: `api.example.com` wants the limit of tokens in another field for this model: change `max_tokens_field` (HTTP 400)
        400 unsupported_value stream: forbidden [-]: `api.example.com` does not stream this model's answers to this organisation: verify it there (OpenAI: Settings > Organization > General) (HTTP 400) => Verify the organisation at the vendor (OpenAI: Settings > Organization > General)
        400 : nobody's [-]: `api.example.com` refuses the request (HTTP 400)
        413 : nobody's [-]: `api.example.com` says that the request is too long for the model: shorten it (HTTP 413)
        429 rate_limit_exceeded: rate_limited [-]: `api.example.com` asks to slow down: too many requests or tokens in a time (HTTP 429)
        429 insufficient_quota: quota [-]: `api.example.com` says that the account's credit or its limit is used up: see its billing page (HTTP 429)
        500 : unavailable [-]: `api.example.com` cannot serve at the moment (HTTP 500)
        503 : unavailable [-]: `api.example.com` cannot serve at the moment (HTTP 503)
        302 : config_invalid [base_url]: `api.example.com` leads elsewhere, where the key is not sent: give the final address in `OPENAI_BASE_URL` (HTTP 302)"#]].assert_eq(&told.join("\n"));
}

#[test]
fn an_answer_that_is_none() {
    let asked = Asked { server: WAY.server, model: "m", tools: &["look"] };
    let choice =
        |message, reason: &str| json!({ "choices": [{ "message": message, "finish_reason": reason }] });
    let answers = [
        json!({}),
        json!({ "error": { "code": "rate_limit_exceeded" } }),
        json!({ "error": "broke" }),
        choice(json!({ "refusal": "No." }), "stop"),
        choice(json!({}), "content_filter"),
        choice(json!({}), "error"),
        choice(json!({ "content": "<tool_call>look" }), "stop"),
    ];
    let told = answers.map(|body| in_use(answer::read(&body, asked).expect_err("it is none")));
    expect![[r#"
        protocol [-]: `api.example.com` answers a chat without a message
        rate_limited [-]: `api.example.com` asks to slow down: too many requests or tokens in a time (HTTP 429)
        unavailable [-]: `api.example.com` breaks off the answer with an error
        nobody's [-]: the model `m` refuses to answer
        nobody's [-]: `api.example.com` filters the words of the answer
        unavailable [-]: `api.example.com` broke the answer off before it was whole
        protocol [-]: the model `m` wrote an invalid tool call => Choose a model that is better at calling tools in `OPENAI_MODEL`"#]].assert_eq(&told.join("\n"));
}

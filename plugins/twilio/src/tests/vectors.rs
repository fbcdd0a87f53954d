//! Signatures that others published or made: twilio-python's own tests, and its `RequestValidator`.

use plugin_api::{prelude::*, requests::http::Body, settings::Secret};

use crate::{settings::WebhookKeys, webhook};

pub const PARAMS: &str =
    "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212&Caller=%2B14158675309";
pub const FORM_URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
pub const FORM_SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
const SHA256_SIGNATURE: &str = "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=";
const JSON_URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
const JSON: &str = r#"{"property": "value", "boolean": true}"#;
const JSON_SIGNATURE: &str = "a9nBmqA0ju/hNViExpshrM61xv4=";
const SHARED: &str = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256";

/// The token of all vectors.
pub fn keys() -> WebhookKeys {
    WebhookKeys { auth_token: Some(Secret::new("12345")), ..WebhookKeys::default() }
}

pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        url: url.to_owned(),
        query: url.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: Body::from_bytes(body.as_bytes()),
        ..HttpRequest::default()
    }
}

pub fn form(url: &str, signature: &str, body: &str) -> HttpRequest {
    let headers = [
        ("x-twilio-signature", signature),
        ("content-type", "application/x-www-form-urlencoded; charset=UTF-8"),
    ];
    request("POST", url, &headers, body)
}

pub fn json(url: &str, body: &str) -> HttpRequest {
    let headers = [("x-twilio-signature", JSON_SIGNATURE), ("content-type", "application/json")];
    request("POST", url, &headers, body)
}

pub fn signed_json() -> HttpRequest {
    json(JSON_URL, JSON)
}

#[track_caller]
fn valid(request: &HttpRequest) {
    webhook::verify(request, None, &keys()).unwrap_or_else(|error| panic!("{error}: {request:?}"));
}

#[track_caller]
fn refused(request: &HttpRequest) -> OperationError {
    webhook::verify(request, None, &keys()).expect_err("it must be refused")
}

#[test]
fn forms_with_and_without_ports() {
    for (url, signature) in [
        (FORM_URL, FORM_SIGNATURE),
        ("https://mycompany.com:1234/myapp.php?foo=1&bar=2", FORM_SIGNATURE),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (FORM_URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com/myapp.php?foo=1&bar=2", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
    ] {
        valid(&form(url, signature, PARAMS));
    }
    assert_eq!(refused(&form(FORM_URL, "0ZXoZLH/DfblKGATFgpif+LLRf4=", PARAMS)).kind, ErrorKind::Denied);
}

#[test]
fn what_is_signed_is_told() {
    let told = webhook::verify(&form(FORM_URL, FORM_SIGNATURE, PARAMS), None, &keys()).unwrap();
    assert_eq!(told[2], ("From".to_owned(), "+14158675309".to_owned()));
    assert_eq!(webhook::verify(&signed_json(), None, &keys()).unwrap(), []);
}

#[test]
fn repeated_keys_count_each_value_once_and_sorted() {
    let signature = "IK+Dwps556ElfBT0I3Rgjkr1wJU=";
    for body in [
        "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
        "SidAccount=AC123&Digits=1234&Digits=5678&Sid=CA123",
    ] {
        valid(&form(FORM_URL, signature, body));
    }
    refused(&form(FORM_URL, signature, "Sid=CA123&SidAccount=AC123&Digits=5678"));
}

#[test]
fn other_scripts_and_empty_values() {
    let url = "https://mycompany.com/m";
    valid(&form(url, "lyh3ieTCKBr/K1KatGfv1OT0Dac=", "Body=h%C3%A9llo+%F0%9F%91%8B&From=%2B1"));
    valid(&form(url, "7uMG8Gw2W3eg8VU81L8TbzUs9TI=", "Body=&From=%2B1"));
    valid(&form(url, "7uMG8Gw2W3eg8VU81L8TbzUs9TI=", "Body&From=%2B1"));
}

#[test]
fn json_by_the_hash_of_its_body() {
    valid(&signed_json());
    for (url, body) in [
        (JSON_URL, r#"{"property": "value", "boolean": false}"#),
        (JSON_URL, ""),
        (FORM_URL, JSON),
        ("https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256=", JSON),
    ] {
        refused(&json(url, body));
    }
    // As a form, the same bytes are parameters, which were not signed.
    refused(&form(JSON_URL, JSON_SIGNATURE, JSON));
    // Nor can the body be taken away by another type or method.
    refused(&form(JSON_URL, JSON_SIGNATURE, ""));
    refused(&request("GET", JSON_URL, &[("x-twilio-signature", JSON_SIGNATURE)], ""));
}

#[test]
fn a_websocket_by_its_own_scheme() {
    let headers = |upgrade| [("x-twilio-signature", "N2Y//FHA042H22oVtTOPT1X3yoU="), ("upgrade", upgrade)];
    let url = "https://mycompany.com/media-stream";
    valid(&request("GET", url, &headers("websocket"), ""));
    refused(&request("GET", url, &headers(""), ""));
    refused(&request("GET", "http://mycompany.com/media-stream", &headers("websocket"), ""));
}

#[test]
fn behind_a_proxy_the_public_address_counts() {
    let inside = form("http://10.0.0.7:8080/myapp.php?foo=1&bar=2", FORM_SIGNATURE, PARAMS);
    refused(&inside);
    let verify = |request: &HttpRequest, base| webhook::verify(request, Some(base), &keys());
    for base in ["https://mycompany.com", "https://mycompany.com/", "https://mycompany.com:443"] {
        verify(&inside, base).unwrap();
    }
    verify(&inside, "https://other.com").unwrap_err();
    verify(&inside, "https://mycompany.com/prefix").unwrap_err();

    // The proxy takes a prefix away, or does not.
    let base = "https://mycompany.com/myapp.php";
    let taken_away = form("http://10.0.0.7/?foo=1&bar=2", FORM_SIGNATURE, PARAMS);
    verify(&taken_away, base).unwrap_err();
    let signature = FORM_SIGNATURE;
    verify(&form("http://10.0.0.7/app.php?foo=1&bar=2", signature, PARAMS), "https://mycompany.com/my")
        .unwrap_err();
    let nested = form("http://10.0.0.7/hooks?x=1", "bad", PARAMS);
    verify(&nested, "https://mycompany.com/hooks").unwrap_err();
}

#[test]
fn a_shared_key_with_sha256() {
    let signed = |settings: &str| {
        let mut request = form(FORM_URL, SHA256_SIGNATURE, PARAMS);
        request.headers.push(("x-twilio-webhooks-signature-settings".to_owned(), settings.to_owned()));
        request
    };
    let shared = |id: Option<&str>| WebhookKeys {
        shared_key: Some(Secret::new("12345")),
        shared_key_id: id.map(str::to_owned),
        auth_token: Some(Secret::new("another")),
    };
    let verify = |settings: &str, id| webhook::verify(&signed(settings), None, &shared(id));
    verify(SHARED, None).unwrap();
    verify(SHARED, Some("webhooks_sharedkey_1")).unwrap();
    verify(" algorithm = hmac_sha256 , key = webhooks_sharedkey_1 ", None).unwrap();
    let refusal = |settings, id| verify(settings, id).unwrap_err().message;
    assert_eq!(
        refusal(SHARED, Some("webhooks_sharedkey_2")),
        "the webhook is signed by another SharedKey than `TWILIO_WEBHOOK_SHARED_KEY_ID` names"
    );
    assert_eq!(
        refusal("key=webhooks_sharedkey_1,algorithm=HMAC_SHA512", None),
        "the webhook is signed by an algorithm that is not known here: expected `HMAC_SHA1` or `HMAC_SHA256`"
    );
    // The same secret with the other algorithm, or as if it were the token's signature.
    verify("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1", None).unwrap_err();
    verify("", None).unwrap_err();
}

#[test]
fn without_a_secret_nothing_is_admitted() {
    let none = WebhookKeys::default();
    let error = webhook::verify(&form(FORM_URL, FORM_SIGNATURE, PARAMS), None, &none).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unavailable: webhooks cannot be verified: Twilio signs them with the auth token, and only an API key is set; set \
         `TWILIO_AUTH_TOKEN` too"
    );
    let unsigned =
        request("POST", FORM_URL, &[("content-type", "application/x-www-form-urlencoded")], PARAMS);
    assert_eq!(
        refused(&unsigned).to_string(),
        "denied: the request has no `X-Twilio-Signature`: it is not from Twilio, or a proxy took the header away"
    );
}

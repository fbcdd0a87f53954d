//! A request on a route -> what it says, if Twilio signed it. Pure. Data that Twilio did not sign never counts: the
//! body of a `GET`, a body without its hash, bytes that two readers could understand in two ways.
//! - [`urls`]: the URLs that Twilio may have signed.
//! - [`form`]: a form, decoded strictly.

mod form;
mod urls;

use std::time::Duration;

use plugin_api::{prelude::*, settings::Secret, tracing};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use crate::{
    settings::WebhookKeys,
    signature::{Algorithm, is_valid},
};

/// Refusals are in the log no more often than this: anybody can cause them.
pub const LOG_INTERVAL: Duration = Duration::from_secs(10);

pub const SIGNATURE: &str = "x-twilio-signature";
pub const SIGNATURE_SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const FORM: &str = "application/x-www-form-urlencoded";
const BODY_HASH: &str = "bodySHA256";

/// Parameters, decoded.
pub type Params = Vec<(String, String)>;

/// What is signed, and what may be believed because of it.
struct Content {
    signed: Params,
    told: Params,
}

/// What the request says, if Twilio signed it.
pub fn verify(
    request: &HttpRequest,
    base: Option<&str>,
    keys: &WebhookKeys,
) -> Result<Params, OperationError> {
    let signature = request.header(SIGNATURE).ok_or_else(|| {
        OperationError::denied(
            "the request has no `X-Twilio-Signature`: it is not from Twilio, or a proxy took the header away",
        )
    })?;
    let (secret, algorithm) = key(request.header(SIGNATURE_SETTINGS), keys)?;
    let urls = urls::candidates(request, base)?;
    let content = content(request)?;
    if is_valid(secret, algorithm, &urls, &content.signed, signature) {
        return Ok(content.told);
    }
    Err(OperationError::denied(
        "the signature does not fit the request: it is not from Twilio, or it was altered, or `PUBLIC_BASE_URL` is not \
         the address that Twilio calls",
    ))
}

/// Helps an operator whose proxy changes the URL. Queries stay out of the log.
pub fn log_refusal(request: &HttpRequest, base: Option<&str>, error: &OperationError) {
    let urls = urls::candidates(request, base).unwrap_or_default();
    let url = urls.first().map(|url| url.split('?').next().unwrap_or_default()).unwrap_or_default();
    tracing::warn!(method = request.method, url, "a webhook is refused: {}", error.message);
}

/// The secret and the algorithm by the header of newer signatures; without it, the auth token and SHA-1.
fn key<'k>(header: Option<&str>, keys: &'k WebhookKeys) -> Result<(&'k Secret, Algorithm), OperationError> {
    let field = |wanted: &str| {
        let fields = header.unwrap_or_default().split(',').filter_map(|field| field.split_once('='));
        let mut values = fields.filter(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim());
        values.next().filter(|value| !value.is_empty())
    };
    let algorithm = field("algorithm").unwrap_or("HMAC_SHA1");
    let algorithm = Algorithm::named(algorithm).ok_or_else(|| {
        OperationError::denied(
            "the webhook is signed by an algorithm that is not known here: expected `HMAC_SHA1` or `HMAC_SHA256`",
        )
    })?;
    let Some(id) = field("key") else {
        let token = keys.auth_token.as_ref().ok_or_else(|| {
            OperationError::unavailable(
                "webhooks cannot be verified: Twilio signs them with the auth token, and only an API key is set; set \
                 `TWILIO_AUTH_TOKEN` too",
            )
        })?;
        return Ok((token, algorithm));
    };
    if keys.shared_key_id.as_deref().is_some_and(|known| known != id) {
        return Err(OperationError::denied(
            "the webhook is signed by another SharedKey than `TWILIO_WEBHOOK_SHARED_KEY_ID` names",
        ));
    }
    let secret = keys.shared_key.as_ref().ok_or_else(|| {
        OperationError::unavailable(
            "webhooks cannot be verified: Twilio signs them with a SharedKey; set `TWILIO_WEBHOOK_SHARED_KEY` to its \
             secret",
        )
    })?;
    Ok((secret, algorithm))
}

fn content(request: &HttpRequest) -> Result<Content, OperationError> {
    let body = request.body.bytes()?;
    if matches!(request.method.as_str(), "GET" | "HEAD") {
        if !body.is_empty() {
            return Err(OperationError::denied("a `GET` with a body is not from Twilio"));
        }
        check_announced_hash(request, &body)?;
        return Ok(Content { signed: Vec::new(), told: request.query() });
    }
    let kind =
        request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(FORM) {
        let params = form::decode(&body)?;
        if params.is_empty() {
            check_announced_hash(request, &body)?;
        }
        return Ok(Content { signed: params.clone(), told: params });
    }
    if !body.is_empty() {
        check_hash(request, &body)?;
    }
    check_announced_hash(request, &body)?;
    Ok(Content { signed: Vec::new(), told: Vec::new() })
}

/// A body that the signed URL announces cannot be taken away.
fn check_announced_hash(request: &HttpRequest, body: &[u8]) -> Result<(), OperationError> {
    let is_announced = request.query().iter().any(|(name, _)| name == BODY_HASH);
    if is_announced { check_hash(request, body) } else { Ok(()) }
}

/// The signed URL carries the hash of a body that is no form.
fn check_hash(request: &HttpRequest, body: &[u8]) -> Result<(), OperationError> {
    let query = request.query();
    let mut hashes = query.iter().filter(|(name, _)| name == BODY_HASH).map(|(_, hash)| hash);
    let (Some(expected), None) = (hashes.next(), hashes.next()) else {
        return Err(OperationError::denied(format!(
            "the body is no form, and the URL does not carry its hash once as `{BODY_HASH}`"
        )));
    };
    let hash: String = digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if hash.as_bytes().ct_eq(expected.as_bytes()).into() {
        return Ok(());
    }
    Err(OperationError::denied(format!("the body is not the one whose hash is in `{BODY_HASH}`")))
}

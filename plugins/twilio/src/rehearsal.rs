//! A form -> what a webhook of this host answers to it, with the signature that Twilio would make or without one. The
//! secret and the signature stay in here.

use plugin_api::{
    prelude::*,
    requests::twilio::{Heard, RehearseWebhook},
    tracing,
};
use reqwest::RequestBuilder;
use url::Url;

use crate::{
    client::Client,
    errors::transport,
    settings::WebhookKeys,
    signature::{Algorithm, sign},
    webhook::{SIGNATURE, SIGNATURE_SETTINGS},
};

/// More of an answer is not kept.
const MOST_BYTES: usize = 4 * 1024;

/// Posts it, and follows no redirect: Twilio's signature would not fit there either.
pub async fn rehearse(client: &Client, request: &RehearseWebhook) -> Result<Heard, OperationError> {
    let url = Url::parse(&request.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(|| OperationError::invalid(format!("`{}` is no web address", request.url)))?;
    let server = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
    let limit = client.config().timeout;
    let post = client.post_form(url, &request.params).timeout(limit);
    let post = if request.signed { signed(post, request, &client.config().webhook_keys)? } else { post };
    let unreached = |error: reqwest::Error| {
        tracing::debug!(error = ?error, "a rehearsed webhook was not answered");
        OperationError::unavailable(transport::connecting(&error, &server, limit).message)
    };
    let mut response = post.send().await.map_err(unreached)?;
    let mut body = Vec::new();
    while body.len() < MOST_BYTES
        && let Some(piece) = response.chunk().await.map_err(unreached)?
    {
        body.extend_from_slice(&piece);
    }
    body.truncate(MOST_BYTES);
    Ok(Heard { status: response.status().as_u16(), body: String::from_utf8_lossy(&body).into_owned() })
}

/// By the auth token, as Twilio does unless a webhook setting names a SharedKey.
fn signed(
    post: RequestBuilder,
    request: &RehearseWebhook,
    keys: &WebhookKeys,
) -> Result<RequestBuilder, OperationError> {
    let sign = |secret, algorithm| sign(secret, algorithm, &request.url, &request.params);
    if let Some(token) = &keys.auth_token {
        return Ok(post.header(SIGNATURE, sign(token, Algorithm::Sha1)));
    }
    let key = keys.shared_key.as_ref().ok_or_else(|| {
        OperationError::unavailable(
            "Twilio signs webhooks with the auth token, and neither it nor a SharedKey is set",
        )
    })?;
    let id = keys.shared_key_id.as_deref().unwrap_or("rehearsal");
    Ok(post
        .header(SIGNATURE, sign(key, Algorithm::Sha256))
        .header(SIGNATURE_SETTINGS, format!("algorithm=HMAC_SHA256,key={id}")))
}

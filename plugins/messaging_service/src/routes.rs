//! What the routes answer that is no JSON.

use plugin_api::{
    prelude::*,
    requests::{http::Body, twilio::Media},
};

/// What Twilio is answered: it is taken, and the answer comes by itself.
const NOTHING_TO_SAY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

/// The answer to a webhook.
pub fn taken() -> HttpResponse {
    let body = Body::Text(NOTHING_TO_SAY.to_owned());
    HttpResponse { status: 200, headers: Vec::new(), body }.header("content-type", "text/xml; charset=utf-8")
}

/// A file of a stranger: never shown as a page of this host.
pub fn file(media: Media) -> HttpResponse {
    let kind =
        media.content_type.filter(|kind| kind.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    HttpResponse { status: 200, headers: Vec::new(), body: Body::Base64(media.content) }
        .header("content-type", kind.unwrap_or_else(|| "application/octet-stream".to_owned()))
        .header("content-disposition", "attachment")
        .header("content-security-policy", "sandbox; default-src 'none'")
        .header("x-content-type-options", "nosniff")
}

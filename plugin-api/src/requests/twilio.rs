//! What the `twilio` plugin offers: Twilio's REST API under the account's own name, and the check of what claims to
//! come from Twilio. Its credentials never leave it.

use serde_json::Value;

use super::http::HttpRequest;
use crate::{message, requests::Request};

/// Asks Twilio's REST API something under the configured account. For `twilio_service`; other plugins ask that one.
///
/// A read is tried again while there is time. Anything else is sent once: after a 429, which says that Twilio did nothing,
/// the caller decides whether it is still to go.
///
/// # Errors
/// | kind | when |
/// |---|---|
/// | `invalid` | Twilio refuses the request for good; nothing was done |
/// | `denied` | Twilio, a carrier or the recipient does not permit it; nothing was done |
/// | `not_found` | there is no such message, call or the like |
/// | `conflict` | it contradicts the state of a message or call |
/// | `overloaded` | Twilio asks to slow down; nothing was done, try again later |
/// | `unavailable` | Twilio is out of reach, or refuses the credentials; nothing was done |
/// | `deadline` | the caller's time ended before anything was sent |
/// | `unknown_outcome` | it was sent, and no answer says what became of it |
///
/// Beside the kind, [`TwilioTrouble`] is in the error's details where Twilio answered.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RestRequest {
    /// To read, or to change something.
    pub method: RestMethod,
    /// What, below the account: `Messages.json`, `Calls/CA….json`.
    pub path: String,
    /// The query, not encoded; a name may repeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The form of a `post`, not encoded; a name may repeat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub form: Vec<(String, String)>,
}

/// What a [`RestRequest`] may do.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RestMethod {
    /// Reads.
    Get,
    /// Creates or changes.
    Post,
}

impl RestRequest {
    /// Reads what stands there.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: RestMethod::Get, path: path.into(), query: Vec::new(), form: Vec::new() }
    }

    /// Creates or changes it by a form.
    pub fn post(path: impl Into<String>, form: Vec<(String, String)>) -> Self {
        Self { method: RestMethod::Post, path: path.into(), query: Vec::new(), form }
    }

    /// With one more parameter in the query.
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }
}

impl Request for RestRequest {
    const OPERATION: &'static str = "request";
    type Response = RestResponse;
}

/// Twilio did it.
#[message]
#[derive(PartialEq)]
pub struct RestResponse {
    /// The status, 200 to 299.
    pub status: u16,
    /// The JSON of the answer.
    pub body: Value,
}

/// The details of an error of [`RestRequest`].
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct TwilioTrouble {
    /// Twilio's error code, such as 21610; <https://www.twilio.com/docs/api/errors> explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

/// Asks who we are at Twilio.
#[message]
#[derive(Default)]
#[serde(deny_unknown_fields)]
pub struct Identify {}

impl Request for Identify {
    const OPERATION: &'static str = "identify";
    type Response = Identity;
}

/// Who we are at Twilio.
#[message]
#[derive(PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account_sid: String,
    /// The number that messages and calls come from, as `+15551234567`.
    pub phone_number: String,
    /// Whether there is a secret to verify webhooks with; an API key alone is none.
    pub can_verify_webhooks: bool,
    /// Twilio's clock, in milliseconds since 1970, to a second or two: the header `Date` of its newest answer and the time
    /// since, whatever the clock of this machine does meanwhile. `None` before the first answer with a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_ms: Option<i64>,
}

/// Asks whether a request was signed by Twilio: by its URL, its form or the hash of its body, and its headers. The
/// request is as the route received it.
///
/// # Errors
/// - `denied`: it was not, or something was altered.
/// - `invalid`: what it carries cannot be read.
/// - `unavailable`: there is no secret to verify it with; the message names the setting.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct VerifySignature {
    /// The request.
    pub request: HttpRequest,
    /// Under which address Twilio knows this host, such as `https://example.com`; in front of the request's path it
    /// makes the URL that Twilio signed. Left out, the request's own URL counts.
    #[serde(default)]
    pub public_base_url: Option<String>,
}

impl Request for VerifySignature {
    const OPERATION: &'static str = "verify_signature";
    type Response = Verified;
}

/// Twilio signed it.
#[message]
#[derive(PartialEq, Eq)]
pub struct Verified {
    /// What it says, decoded: of a form the form, of a `GET` the query; of JSON nothing. Nothing else may be believed.
    pub params: Vec<(String, String)>,
}

/// Fetches a picture, sound or file that came with a message or call, with the account's credentials, which are never
/// handed on to where Twilio redirects: to `twilio.com`, `twiliocdn.com` and its bucket at Amazon, and nowhere else.
///
/// # Errors
/// `invalid`: the address is not one of this account's, or it is larger than allowed. `denied`: it is redirected to
/// another host. The others as [`RestRequest`].
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FetchMedia {
    /// The `MediaUrl0` and so on of a webhook, or a `RecordingUrl`.
    pub url: String,
    /// The most bytes to take. Left out, and at most, 16 MiB.
    #[serde(default)]
    pub max_bytes: Option<usize>,
}

impl Request for FetchMedia {
    const OPERATION: &'static str = "fetch_media";
    type Response = Media;
}

/// A file.
#[message]
#[derive(PartialEq, Eq)]
pub struct Media {
    /// Its media type, as the server names it.
    #[serde(default)]
    pub content_type: Option<String>,
    /// Its bytes in standard base64.
    pub content: String,
}

/// Posts a form to a webhook of this host, as Twilio would: to prove that it is reached, and that nobody but Twilio is let
/// in.
///
/// # Errors
/// - `invalid`: it is no web address.
/// - `unavailable`: it is not reached, or there is no secret to sign with; the message says which.
#[message]
#[derive(PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RehearseWebhook {
    /// The address, as Twilio would call it.
    pub url: String,
    /// The form, not encoded.
    #[serde(default)]
    pub params: Vec<(String, String)>,
    /// Whether it carries the signature that Twilio would make.
    pub signed: bool,
}

impl Request for RehearseWebhook {
    const OPERATION: &'static str = "rehearse_webhook";
    type Response = Heard;
}

/// What a webhook answered.
#[message]
#[derive(PartialEq, Eq)]
pub struct Heard {
    /// The status.
    pub status: u16,
    /// The first of the body, as text.
    pub body: String,
}

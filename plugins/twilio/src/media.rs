//! The address of a file in a webhook -> its bytes. Only addresses of the account are asked, only Twilio's own hosts are
//! redirected to, only its API sees the credentials, and nothing longer than allowed is kept.

use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_api::{
    prelude::*,
    requests::twilio::{FetchMedia, Media},
    tokio::time::timeout,
};
use reqwest::{Response, header};
use url::Url;

use crate::{
    client::{Answer, Client},
    errors::{
        codes,
        refusal::Refusal,
        transport::{self, Broken},
    },
    rest::{Rest, Until},
};

/// Beyond what Twilio takes or sends.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// From Twilio to where the file is, and once more.
const REDIRECTS: usize = 3;
/// Where Twilio keeps files: `mms.twiliocdn.com`, and for accounts whose media need no login this bucket
/// (support.twilio.com, article 223183748).
const DOMAINS: [&str; 2] = ["twilio.com", "twiliocdn.com"];
const BUCKET: (&str, &str) = ("s3-external-1.amazonaws.com", "/media.twiliocdn.com/");

/// Fetches it.
pub async fn fetch(rest: &Rest, request: &FetchMedia, until: Until) -> Result<Media, OperationError> {
    let client = rest.client();
    let url = own_url(client, &request.url)?;
    let most = request.max_bytes.unwrap_or(MOST_BYTES).min(MOST_BYTES);
    let limit = until.left()?;
    let media = timeout(limit, follow(rest, url, most)).await;
    media.unwrap_or_else(|_| Err(transport::too_slow(limit, client.config()).into()))
}

async fn follow(rest: &Rest, mut url: Url, most: usize) -> Result<Media, OperationError> {
    let client = rest.client();
    for hop in 0..=REDIRECTS {
        // Only the first address is Twilio's API: where it sends us to must not learn the credentials.
        let response = client.send(client.get(url.clone(), hop == 0)).await.map_err(unread)?;
        match response.status().as_u16() {
            200 => {
                rest.reporter().success();
                return take(client, response, most).await;
            }
            300..400 => url = next(client, &url, &response)?,
            status if hop == 0 => return Err(refused(rest, status)),
            status => {
                return Err(OperationError::unavailable(format!(
                    "the file cannot be had where Twilio keeps it (HTTP {status})"
                )));
            }
        }
    }
    Err(OperationError::unavailable("Twilio redirects too often on the way to the file"))
}

async fn take(client: &Client, response: Response, most: usize) -> Result<Media, OperationError> {
    let too_large = || OperationError::invalid(format!("the file is larger than {most} bytes"));
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = client.read(response, most).await.map_err(unread)?.ok_or_else(too_large)?;
    Ok(Media { content_type, content: STANDARD.encode(bytes) })
}

/// An address below the account, where the credentials belong.
fn own_url(client: &Client, text: &str) -> Result<Url, OperationError> {
    let refuse = || OperationError::invalid("the address of the file is not one of this account at Twilio");
    let url = Url::parse(text).map_err(|_| refuse())?;
    let base = &client.config().base_url;
    let below = format!("{}{}/", base.path().trim_end_matches('/'), client.account_path());
    let is_own = url.origin() == base.origin() && url.path().starts_with(&below) && url.username().is_empty();
    if is_own { Ok(url) } else { Err(refuse()) }
}

/// Where a redirect leads. Only to Twilio itself: this host reaches addresses that nobody outside does.
fn next(client: &Client, url: &Url, response: &Response) -> Result<Url, OperationError> {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    let next =
        next.ok_or_else(|| OperationError::unavailable("Twilio redirects to what is not an address"))?;
    if next.origin() == client.config().base_url.origin() || is_of_twilio(&next) {
        return Ok(next);
    }
    // Without the query, which may be what opens the file.
    let shown = next.host_str().unwrap_or(next.scheme()).to_owned();
    Err(OperationError::denied(format!(
        "the file is redirected to `{shown}`, which is not a host of Twilio's"
    )))
}

/// Encrypted, at the usual port, and below a domain of Twilio's.
pub fn is_of_twilio(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let is_below =
        |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    let is_known =
        DOMAINS.into_iter().any(is_below) || (host == BUCKET.0 && url.path().starts_with(BUCKET.1));
    url.scheme() == "https" && url.port().is_none() && url.username().is_empty() && is_known
}

fn refused(rest: &Rest, status: u16) -> OperationError {
    let refusal = Refusal::of(&Answer { status, retry_after: None, date: None, json: None });
    let config = rest.client().config();
    if let Some(failure) = refusal.failure(config) {
        rest.reporter().failure(failure);
    }
    codes::refused(refusal, config, None)
}

fn unread(broken: Broken) -> OperationError {
    codes::unanswered(broken, true)
}

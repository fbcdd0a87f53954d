//! A request to send -> a text that is stored, and what became of it by the time the caller has.

use std::time::Instant;

use plugin_api::{
    error::{ErrorKind, OperationError},
    phone::{is_person, is_whatsapp_user},
    prelude::{Arc, Call, Duration},
    requests::{
        messaging::{Send, SendState, SentText},
        twilio_service::Channel,
    },
    serde_json,
};
use ring::digest::{SHA256, digest};

use crate::{
    pump::Pump,
    sending, split,
    store::{Outgoing, Part, PartState, random_id},
    window::Ways,
};

/// The answer leaves this long before the caller's deadline.
const MARGIN: Duration = Duration::from_millis(500);
/// A caller without a deadline.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often it looks what another host did.
const LOOK: Duration = Duration::from_millis(250);
const MOST_MEDIA: usize = 10;
/// A variable of a template is to leave room for the template.
const TEMPLATE_LIMIT: usize = 900;
/// More would be a mistake, and cost a fortune.
const LONGEST: usize = 64 * 1024;

type Outcome<T> = Result<T, OperationError>;

/// Stores it, unless its idempotency key says that it is; then waits for what becomes of it.
pub async fn send(pump: &Arc<Pump>, request: Send, call: &Call, key: Option<&str>) -> Outcome<SentText> {
    let ends = Instant::now() + call.remaining().unwrap_or(PATIENCE).saturating_sub(MARGIN);
    let to = check(&request, call.person())?;
    let message = name(call.caller(), key);
    let fingerprint = hex(&serde_json::to_string(&(&request, &to)).expect("text is always JSON"));
    let repeated = match pump.store.text(&message).await? {
        Some((known, ..)) => {
            same(&known, &fingerprint, key)?;
            true
        }
        None => {
            let text = compose(pump, &request, &to, message.clone(), fingerprint.clone()).await?;
            pump.store.put(&text).await?;
            pump.wake();
            false
        }
    };
    wait(pump, &message, &fingerprint, key, ends, repeated).await
}

/// What is wrong with a request in itself; whom it is for.
pub fn check(request: &Send, person: Option<&str>) -> Outcome<String> {
    let to = request.to.as_deref().or(person).ok_or_else(|| {
        OperationError::invalid("`to` is missing, and the call is not on behalf of a person with a number")
    })?;
    if is_whatsapp_user(to) && !matches!(request.channel, None | Some(Channel::Whatsapp)) {
        return Err(OperationError::invalid(format!(
            "`{to}` shows no number: they are reached by WhatsApp alone"
        )));
    }
    if request.channel == Some(Channel::Other) {
        return Err(OperationError::invalid("`channel` is `other`: nobody can be written to that way"));
    }
    if !is_person(to) {
        return Err(OperationError::invalid(format!(
            "`{to}` is no phone number: expected `+`, the country and the number, without spaces, such as \
             `+15551234567`"
        )));
    }
    if request.text.trim().is_empty() && request.media_urls.is_empty() {
        return Err(OperationError::invalid("there is nothing to send: give `text` or `media_urls`"));
    }
    if request.text.len() > LONGEST {
        return Err(OperationError::invalid(format!("`text` has more than {LONGEST} bytes")));
    }
    if request.media_urls.len() > MOST_MEDIA {
        return Err(OperationError::invalid(format!("`media_urls` are more than {MOST_MEDIA}")));
    }
    let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    match request.media_urls.iter().find(|url| !is_address(url)) {
        Some(url) => Err(OperationError::invalid(format!("`{url}` is no address that Twilio could fetch"))),
        None => Ok(to.to_owned()),
    }
}

/// Keys of different callers never meet.
fn name(caller: Option<&str>, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("send-{}", &hex(&format!("{}\n{key}", caller.unwrap_or_default()))[..32]),
        None => format!("send-{}", random_id()),
    }
}

fn same(known: &str, fingerprint: &str, key: Option<&str>) -> Outcome<()> {
    if known == fingerprint {
        return Ok(());
    }
    let key = key.unwrap_or_default();
    Err(OperationError::conflict(format!(
        "the idempotency key `{key}` was used for another text: use a new key for a new text"
    )))
}

/// The text as it goes, if it may.
async fn compose(
    pump: &Pump,
    request: &Send,
    to: &str,
    message: String,
    fingerprint: String,
) -> Outcome<Outgoing> {
    let ways = pump.store.ways(to).await?;
    let text = request.text.replace('\0', "");
    let channel = request.channel.unwrap_or_else(|| ways.best(to, pump.store.now_ms()));
    let has_text = !text.trim().is_empty() && request.media_urls.is_empty();
    sending::check_way(pump, to, channel, &ways, has_text)?;
    Ok(Outgoing {
        message,
        person: to.to_owned(),
        channel,
        parts: split::split(&text, limit(pump, &ways, channel)),
        media: request.media_urls.clone(),
        origin: request.origin,
        fingerprint,
    })
}

fn limit(pump: &Pump, ways: &Ways, channel: Channel) -> usize {
    if ways.is_open(channel, pump.store.now_ms()) { split::LIMIT } else { TEMPLATE_LIMIT }
}

async fn wait(
    pump: &Pump,
    message: &str,
    fingerprint: &str,
    key: Option<&str>,
    ends: Instant,
    repeated: bool,
) -> Outcome<SentText> {
    loop {
        let known = pump.store.text(message).await?;
        let (known, report, parts) =
            known.ok_or_else(|| OperationError::not_found("the text was forgotten"))?;
        // Another call with the same key may have been quicker.
        same(&known, fingerprint, key)?;
        let is_open = parts.iter().any(|part| part.state.is_open());
        let left = ends.saturating_duration_since(Instant::now());
        if !is_open || left.is_zero() {
            return verdict(SentText { repeated, ..report }, &parts);
        }
        pump.change(left.min(LOOK)).await;
    }
}

/// What was refused as a whole is an error, and what nobody knows.
fn verdict(report: SentText, parts: &[Part]) -> Outcome<SentText> {
    let first = parts.first();
    let refused = first
        .filter(|part| matches!(part.state, PartState::Failed | PartState::Undelivered | PartState::Dropped));
    let unknown = parts.iter().find(|part| part.state.shown() == SendState::UnknownOutcome);
    let error = match (refused, unknown) {
        (Some(part), _) => OperationError::new(kind(part), part.error.clone()),
        (None, Some(part)) => OperationError::unknown_outcome(part.error.clone()),
        (None, None) => return Ok(report),
    };
    Err(error.details(serde_json::to_value(report).expect("text is always JSON")))
}

fn kind(part: &Part) -> ErrorKind {
    let named = ErrorKind::ALL.into_iter().find(|kind| kind.as_str() == part.kind);
    named.unwrap_or(ErrorKind::Unavailable)
}

fn hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

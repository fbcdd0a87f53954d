//! A request for a message -> its draft.

use plugin_api::{
    error::OperationError,
    phone::{RCS, is_number, is_sid},
    requests::{
        twilio::Identity,
        twilio_service::{Channel, SendMessage},
    },
    serde_json,
};

use super::{Draft, Form, Kind, Mark, callback, check_own_url, check_range, fingerprint};
use crate::{address, settings::Config};

const LONGEST_BODY: usize = 1600;
const MOST_MEDIA: usize = 10;
const LONGEST_VALIDITY: u32 = 36_000;

/// The draft of a message.
pub fn message(
    request: &SendMessage,
    config: &Config,
    identity: &Identity,
    person: Option<&str>,
) -> Result<Draft, OperationError> {
    let to = address::on_channel(request.channel, request.to.as_deref(), person)?;
    // Of a short text, such as a code, anyone could find out what its digest is of.
    let told = if request.sensitive { &SendMessage { body: None, ..request.clone() } } else { request };
    let fingerprint = fingerprint(told, address::plain(&to))?;
    let (name, from) = sender(request, config, identity)?;
    let own_sender = request.from.is_none().then(|| own_sender(request.channel, config)).flatten();
    let mut form: Form = vec![("To".to_owned(), to.clone()), (name.to_owned(), from.clone())];
    let mark = content(request, config.public_base_url.as_deref(), &mut form)?;
    check_range("validity_seconds", request.validity_seconds, LONGEST_VALIDITY)?;
    if let Some(seconds) = request.validity_seconds {
        form.push(("ValidityPeriod".to_owned(), seconds.to_string()));
    }
    Ok(Draft {
        kind: Kind::Message,
        to,
        from,
        own_sender,
        mark,
        sensitive: request.sensitive,
        media: request.media_urls.len().try_into().unwrap_or(i64::MAX),
        form,
        callback: callback(request.status_callback.as_deref(), config.public_base_url.as_deref())?,
        fingerprint,
    })
}

/// The setting that names the sender, where it is one of ours.
fn own_sender(channel: Channel, config: &Config) -> Option<&'static str> {
    match channel {
        Channel::Whatsapp => Some("whatsapp_number"),
        _ => config.messaging_service_sid.is_some().then_some("messaging_service_sid"),
    }
}

/// The parameter that names the sender, and the sender.
fn sender(
    request: &SendMessage,
    config: &Config,
    identity: &Identity,
) -> Result<(&'static str, String), OperationError> {
    match (request.channel, &request.from) {
        (Channel::Sms, Some(from)) => {
            address::check_sender(from)?;
            Ok(("From", from.clone()))
        }
        (Channel::Sms, None) => match &config.messaging_service_sid {
            Some(service) => Ok(("MessagingServiceSid", service.clone())),
            None => Ok(("From", identity.phone_number.clone())),
        },
        (Channel::Rcs, Some(from)) if from.starts_with(RCS) => Ok(("From", from.clone())),
        (Channel::Rcs, from) => match (from, &config.messaging_service_sid) {
            (None, Some(service)) => Ok(("MessagingServiceSid", service.clone())),
            _ => Err(OperationError::invalid(
                "RCS needs a sender: set `messaging_service_sid` to a Messaging Service with an RCS sender, or give \
                 `from` as `rcs:…`",
            )),
        },
        (Channel::Other, _) => {
            Err(OperationError::invalid("`channel` is `other`: nobody can be written to that way"))
        }
        (Channel::Whatsapp, from) => {
            let from = from.as_ref().or(config.whatsapp_number.as_ref()).unwrap_or(&identity.phone_number);
            if !is_number(from) {
                return Err(OperationError::invalid(format!(
                    "`{from}` is no WhatsApp sender: expected a number such as `+15551234567`"
                )));
            }
            Ok(("From", Channel::Whatsapp.address(from)))
        }
    }
}

fn content(request: &SendMessage, base: Option<&str>, form: &mut Form) -> Result<Mark, OperationError> {
    if let Some(template) = &request.content_sid {
        return from_template(request, template, form);
    }
    if !request.content_variables.is_empty() {
        return Err(OperationError::invalid(
            "`content_variables` are for a template: `content_sid` is missing",
        ));
    }
    let body = request.body.clone().unwrap_or_default();
    if body.trim().is_empty() && request.media_urls.is_empty() {
        return Err(OperationError::invalid(
            "the message is empty: it needs `body`, `media_urls` or `content_sid`",
        ));
    }
    let length = body.chars().count();
    if length > LONGEST_BODY {
        return Err(OperationError::invalid(format!(
            "`body` has {length} characters: expected at most {LONGEST_BODY}"
        )));
    }
    if request.media_urls.len() > MOST_MEDIA {
        let count = request.media_urls.len();
        return Err(OperationError::invalid(format!(
            "`media_urls` holds {count} addresses: expected at most {MOST_MEDIA}"
        )));
    }
    if !body.is_empty() {
        form.push(("Body".to_owned(), body.clone()));
    }
    for url in &request.media_urls {
        check_own_url("media_urls", url, base)?;
        form.push(("MediaUrl".to_owned(), url.clone()));
    }
    Ok(Mark::Body(body))
}

fn from_template(request: &SendMessage, template: &str, form: &mut Form) -> Result<Mark, OperationError> {
    if !is_sid(template, &["HX"]) {
        return Err(OperationError::invalid(format!(
            "`content_sid` is `{template}`: expected `HX` and 32 hexadecimal digits"
        )));
    }
    if request.body.is_some() || !request.media_urls.is_empty() {
        return Err(OperationError::invalid(
            "a template brings its own text and media: leave `body` and `media_urls` out",
        ));
    }
    form.push(("ContentSid".to_owned(), template.to_owned()));
    if !request.content_variables.is_empty() {
        let variables = serde_json::to_string(&request.content_variables)
            .map_err(|_| OperationError::internal("the variables cannot be written as JSON"))?;
        form.push(("ContentVariables".to_owned(), variables));
    }
    Ok(Mark::Template)
}

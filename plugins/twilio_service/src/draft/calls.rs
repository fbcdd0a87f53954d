//! A request for a call -> its draft; a change of a call -> its form.

use plugin_api::{
    error::OperationError,
    phone::{is_number, is_sid},
    requests::{
        twilio::Identity,
        twilio_service::{CallEvent, MachineDetection, PlaceCall, UpdateCall},
    },
    web::escape,
};

use super::{
    Callback, Draft, Form, Kind, Mark, callback, check_own_url, check_range, check_url, fingerprint,
};
use crate::{address, settings::Config};

const LONGEST_TWIML: usize = 4000;
const MOST_DIGITS: usize = 32;
const LONGEST_RING: u32 = 600;
const LONGEST_CALL: u32 = 86_400;
const ALL_EVENTS: [CallEvent; 4] =
    [CallEvent::Initiated, CallEvent::Ringing, CallEvent::Answered, CallEvent::Completed];

/// The draft of a call.
pub fn call(
    request: &PlaceCall,
    config: &Config,
    identity: &Identity,
    person: Option<&str>,
) -> Result<Draft, OperationError> {
    let to = address::recipient(request.to.as_deref(), person)?;
    let from = request.from.clone().unwrap_or_else(|| identity.phone_number.clone());
    if !is_number(&from) {
        return Err(OperationError::invalid(format!(
            "`{from}` is no number to call from: expected one such as `+15551234567`"
        )));
    }
    let mut form: Form = vec![
        ("To".to_owned(), to.clone()),
        ("From".to_owned(), from.clone()),
        content(request, config.public_base_url.as_deref())?,
    ];
    options(request, config, &mut form)?;
    let callback = callback(request.status_callback.as_deref(), config.public_base_url.as_deref())?;
    if callback != Callback::None {
        // Each event is a parameter of its own: joined into one, Twilio reports none of them.
        let events = request.status_events.as_deref().unwrap_or(&ALL_EVENTS);
        form.extend(
            events.iter().map(|event| ("StatusCallbackEvent".to_owned(), event_name(*event).to_owned())),
        );
    }
    let fingerprint = fingerprint(request, &to)?;
    let (kind, mark) = (Kind::Call, Mark::Call);
    Ok(Draft {
        kind,
        to,
        from,
        own_sender: None,
        mark,
        sensitive: false,
        media: 0,
        form,
        callback,
        fingerprint,
    })
}

/// The form of a change.
pub fn update(request: &UpdateCall) -> Result<Form, OperationError> {
    if !is_sid(&request.sid, &["CA"]) {
        return Err(OperationError::invalid(format!(
            "`sid` is `{}`: expected `CA` and 32 hexadecimal digits",
            request.sid
        )));
    }
    match (request.hang_up, &request.twiml, &request.url) {
        // `completed` also gives up a call that is not answered yet.
        (true, None, None) => Ok(vec![("Status".to_owned(), "completed".to_owned())]),
        (false, Some(twiml), None) => Ok(vec![checked_twiml(twiml)?]),
        (false, None, Some(url)) => Ok(vec![checked_url(url)?]),
        _ => Err(OperationError::invalid("expected one of `hang_up`, `twiml` and `url`")),
    }
}

fn content(request: &PlaceCall, base: Option<&str>) -> Result<(String, String), OperationError> {
    match (&request.say, &request.twiml, &request.url) {
        (Some(text), None, None) => {
            if text.trim().is_empty() {
                return Err(OperationError::invalid("`say` is empty"));
            }
            checked_twiml(&format!("<Response><Say>{}</Say></Response>", escape(text)))
        }
        (None, Some(twiml), None) => {
            check_own_addresses(twiml, base)?;
            checked_twiml(twiml)
        }
        (None, None, Some(url)) => {
            check_own_url("url", url, base)?;
            checked_url(url)
        }
        _ => Err(OperationError::invalid("expected one of `say`, `twiml` and `url`")),
    }
}

fn options(request: &PlaceCall, config: &Config, form: &mut Form) -> Result<(), OperationError> {
    let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
    if let Some(digits) = &request.send_digits {
        check_digits(digits)?;
        add("SendDigits", digits.clone());
    }
    check_range("ring_seconds", request.ring_seconds, LONGEST_RING)?;
    if let Some(seconds) = request.ring_seconds {
        add("Timeout", seconds.to_string());
    }
    check_range("time_limit_seconds", request.time_limit_seconds, LONGEST_CALL)?;
    if let Some(seconds) = request.time_limit_seconds.or(config.call_time_limit) {
        add("TimeLimit", seconds.to_string());
    }
    match (request.machine_detection, &request.send_digits) {
        (Some(_), Some(_)) => {
            return Err(OperationError::invalid(
                "`machine_detection` and `send_digits` exclude each other: Twilio would detect nothing",
            ));
        }
        (Some(MachineDetection::Enable), None) => add("MachineDetection", "Enable".to_owned()),
        (Some(MachineDetection::DetectMessageEnd), None) => {
            add("MachineDetection", "DetectMessageEnd".to_owned())
        }
        (None, _) => {}
    }
    if let Some(url) = &request.machine_detection_callback {
        if request.machine_detection.is_none() {
            return Err(OperationError::invalid("`machine_detection_callback` needs `machine_detection`"));
        }
        check_url("machine_detection_callback", url)?;
        add("AsyncAmd", "true".to_owned());
        add("AsyncAmdStatusCallback", url.clone());
    }
    Ok(())
}

/// What a call plays, and where it goes on, is at this host, too. Nothing that could hide an address is allowed.
fn check_own_addresses(twiml: &str, base: Option<&str>) -> Result<(), OperationError> {
    if ["&#", "<!"].iter().any(|hidden| twiml.contains(hidden)) {
        return Err(OperationError::invalid(
            "`twiml` holds a character reference, a comment or CDATA: write it plainly",
        ));
    }
    let scheme = base.and_then(|base| base.find("//")).unwrap_or(0);
    for (slashes, _) in twiml.match_indices("//") {
        let url = twiml.get(slashes.saturating_sub(scheme)..).unwrap_or_default();
        let end = url.find(['<', '"', '\'']).unwrap_or(url.len());
        check_own_url("twiml", &url[..end], base)?;
    }
    Ok(())
}

fn event_name(event: CallEvent) -> &'static str {
    match event {
        CallEvent::Initiated => "initiated",
        CallEvent::Ringing => "ringing",
        CallEvent::Answered => "answered",
        CallEvent::Completed => "completed",
    }
}

fn check_digits(digits: &str) -> Result<(), OperationError> {
    let is_key = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'*' | b'#' | b'w' | b'W');
    if (1..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(is_key) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`send_digits` is `{digits}`: expected at most {MOST_DIGITS} of 0-9, `*`, `#`, `w` and `W`"
    )))
}

fn checked_url(url: &str) -> Result<(String, String), OperationError> {
    check_url("url", url)?;
    Ok(("Url".to_owned(), url.to_owned()))
}

fn checked_twiml(twiml: &str) -> Result<(String, String), OperationError> {
    let length = twiml.chars().count();
    if length > LONGEST_TWIML {
        return Err(OperationError::invalid(format!(
            "the TwiML has {length} characters: expected at most {LONGEST_TWIML}; put it behind `url`"
        )));
    }
    Ok(("Twiml".to_owned(), twiml.to_owned()))
}

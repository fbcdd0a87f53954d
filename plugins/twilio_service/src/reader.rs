//! Messages and calls as Twilio has them, with what Twilio reported to this host. On behalf of a person only their own.

use plugin_api::{
    error::OperationError,
    phone::is_sid,
    requests::{
        twilio::RestRequest,
        twilio_service::{CallRecord, MessageRecord},
    },
    serde_json::Value,
    tokio::time::Instant,
};

use crate::{address, draft::Form, patience, sender::Sender};

/// A message.
pub async fn message(
    sender: &Sender,
    sid: &str,
    person: Option<&str>,
) -> Result<MessageRecord, OperationError> {
    check(sid, &["SM", "MM"])?;
    let body = sender.ask(RestRequest::get(format!("Messages/{sid}.json"))).await?;
    let (from, to) = (text(&body, "from"), required(&body, "to")?);
    only_own(sid, person, &[from.as_deref().unwrap_or_default(), &to])?;
    Ok(MessageRecord {
        sid: required(&body, "sid")?,
        status: required(&body, "status")?,
        direction: required(&body, "direction")?,
        from,
        to,
        body: text(&body, "body"),
        error_code: number(&body, "error_code"),
        date_created: text(&body, "date_created"),
        reported: sender.ledger().delivery(sid).await?,
    })
}

/// A call.
pub async fn call(sender: &Sender, sid: &str, person: Option<&str>) -> Result<CallRecord, OperationError> {
    check(sid, &["CA"])?;
    let body = sender.ask(RestRequest::get(format!("Calls/{sid}.json"))).await?;
    only_own(sid, person, &[&required(&body, "from")?, &required(&body, "to")?])?;
    record(sender, sid, &body).await
}

/// Changes a call, and tells it as it is then.
pub async fn update_call(
    sender: &Sender,
    sid: &str,
    form: Form,
    deadline: Instant,
) -> Result<CallRecord, OperationError> {
    let update = RestRequest::post(format!("Calls/{sid}.json"), form);
    let body = patience::while_busy(deadline, || sender.ask(update.clone())).await?;
    record(sender, sid, &body).await
}

async fn record(sender: &Sender, sid: &str, body: &Value) -> Result<CallRecord, OperationError> {
    Ok(CallRecord {
        sid: required(body, "sid")?,
        status: required(body, "status")?,
        direction: required(body, "direction")?,
        from: required(body, "from")?,
        to: required(body, "to")?,
        duration_seconds: number(body, "duration"),
        answered_by: text(body, "answered_by"),
        reported: sender.ledger().delivery(sid).await?,
    })
}

fn check(sid: &str, prefixes: &[&str]) -> Result<(), OperationError> {
    if is_sid(sid, prefixes) {
        return Ok(());
    }
    let prefixes = prefixes.join("` or `");
    Err(OperationError::invalid(format!("`sid` is `{sid}`: expected `{prefixes}` and 32 hexadecimal digits")))
}

/// To a person, what others wrote does not exist.
fn only_own(sid: &str, person: Option<&str>, parties: &[&str]) -> Result<(), OperationError> {
    match person {
        Some(person) if !parties.iter().any(|party| address::plain(party) == person) => {
            Err(OperationError::not_found(format!("Twilio knows no `{sid}` of this person")))
        }
        _ => Ok(()),
    }
}

fn text(body: &Value, name: &str) -> Option<String> {
    body.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Twilio writes numbers as numbers or as text.
fn number(body: &Value, name: &str) -> Option<u32> {
    match body.get(name)? {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn required(body: &Value, name: &str) -> Result<String, OperationError> {
    body.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        OperationError::internal(format!("Twilio's answer has no `{name}`: check `TWILIO_API_BASE_URL`"))
    })
}

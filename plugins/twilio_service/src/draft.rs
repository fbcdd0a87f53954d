//! A request -> the form that Twilio is sent, and what it can be recognised by afterwards. Pure: whatever is wrong with a
//! request is said before anything is asked.
//! - [`messages`]: SMS, MMS and WhatsApp.
//! - [`calls`]: calls, and changes of calls.

mod calls;
mod messages;

use plugin_api::{
    error::OperationError, requests::twilio_service::STATUS_PATH, serde::Serialize, serde_json,
};
use ring::digest::{SHA256, digest};

pub use calls::{call, update};
pub use messages::message;

/// A form, not encoded.
pub type Form = Vec<(String, String)>;

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub kind: Kind,
    /// As Twilio writes it, with the channel's prefix.
    pub to: String,
    /// The number, or the Messaging Service that picks one.
    pub from: String,
    /// The setting that chose the sender; `None` if the request or `twilio` did.
    pub own_sender: Option<&'static str>,
    pub mark: Mark,
    /// Nobody else must read the text.
    pub sensitive: bool,
    pub media: i64,
    pub form: Form,
    pub callback: Callback,
    /// A digest of the request: the same key must not stand for two.
    pub fingerprint: String,
}

/// What is created at Twilio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Message,
    Call,
}

/// What it can be recognised by at Twilio, beside sender, recipient and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A message by its text.
    Body(String),
    /// A message that Twilio writes from a template: its text is not known here.
    Template,
    /// A call, by nothing.
    Call,
}

/// Where Twilio reports what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callback {
    /// Where the request says.
    Given(String),
    /// At this host.
    Own(String),
    /// Nowhere: the host's public address is not known.
    None,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Call => "call",
        }
    }

    pub fn named(name: &str) -> Self {
        if name == "call" { Self::Call } else { Self::Message }
    }

    /// Where Twilio has them all.
    pub fn path(self) -> &'static str {
        match self {
            Self::Message => "Messages.json",
            Self::Call => "Calls.json",
        }
    }
}

impl Draft {
    /// The form, with an address for reports that names the entry: whoever reports there tells which one it is about.
    pub fn form(&self, entry: &str) -> Form {
        let mut form = self.form.clone();
        match &self.callback {
            Callback::Given(url) => form.push(("StatusCallback".to_owned(), url.clone())),
            Callback::Own(base) => {
                form.push(("StatusCallback".to_owned(), format!("{base}{STATUS_PATH}?ref={entry}")));
            }
            Callback::None => {}
        }
        form
    }
}

fn callback(given: Option<&str>, base: Option<&str>) -> Result<Callback, OperationError> {
    match (given, base) {
        (Some(url), _) => {
            check_url("status_callback", url)?;
            Ok(Callback::Given(url.to_owned()))
        }
        (None, Some(base)) => Ok(Callback::Own(base.to_owned())),
        (None, None) => Ok(Callback::None),
    }
}

fn check_url(name: &str, url: &str) -> Result<(), OperationError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
        return Ok(());
    }
    Err(OperationError::invalid(format!("`{name}` is `{url}`: expected an address that Twilio can fetch")))
}

/// What others fetch and the person sees or hears comes from this host: a model, or whoever talks to it, may name any
/// address.
fn check_own_url(name: &str, url: &str, base: Option<&str>) -> Result<(), OperationError> {
    check_url(name, url)?;
    let Some(base) = base else {
        return Err(OperationError::invalid(format!(
            "`{name}` is `{url}`: only files of this host are sent, and its address is not known: set PUBLIC_BASE_URL"
        )));
    };
    // A slash is behind it, so that it cannot go on as another host, and no path leads out of it.
    let path = url.strip_prefix(base).filter(|path| path.starts_with('/'));
    if path.is_some_and(|path| !path.contains(['\\', '@']) && !path.contains("/..")) {
        return Ok(());
    }
    Err(OperationError::invalid(format!(
        "`{name}` is `{url}`: only files of this host are sent, below `{base}/`"
    )))
}

fn check_range(name: &str, value: Option<u32>, most: u32) -> Result<(), OperationError> {
    match value {
        Some(value) if value == 0 || value > most => {
            Err(OperationError::invalid(format!("`{name}` is {value}: expected 1 to {most}")))
        }
        _ => Ok(()),
    }
}

fn fingerprint(request: &impl Serialize, to: &str) -> Result<String, OperationError> {
    let json = serde_json::to_string(&(request, to))
        .map_err(|_| OperationError::internal("the request cannot be written as JSON"))?;
    Ok(hex(&json))
}

/// The SHA-256 of a text, in hexadecimal digits.
pub fn hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

//! A webhook that Twilio signed -> what it says of which call. Pure; what it says is believed, what it means is not judged
//! here.

use plugin_api::{error::OperationError, level::Level, phone::is_harmless_sid, requests::http::HttpRequest};

/// What came with every webhook of a call, and all that came beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The call, `CA…`.
    pub call: String,
    /// The number of the other side; `None` if it is withheld.
    pub number: Option<String>,
    /// Whom the guard names, if it is certain enough who they are.
    pub person: Option<String>,
    /// How certain it is who the other side is.
    pub level: Level,
    /// Whether we placed the call.
    pub is_outbound: bool,
    /// The call's status at Twilio.
    pub status: String,
    /// The path, without the query.
    path: String,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
}

impl Webhook {
    /// Reads the form; `person` is whom the guard named, and how certain that is. From `known_from` on they are known.
    ///
    /// # Errors
    /// `invalid`: it is about no call.
    pub fn read(
        request: &HttpRequest,
        (person, level): (Option<&str>, Option<Level>),
        known_from: Level,
    ) -> Result<Self, OperationError> {
        let level = level.unwrap_or(if person.is_some() { Level::Shown } else { Level::Withheld });
        let form = request.form()?;
        let call = value(&form, "CallSid").filter(|sid| is_harmless_sid(sid));
        let call =
            call.ok_or_else(|| OperationError::invalid("this is about no call: `CallSid` is missing"))?;
        let is_outbound = value(&form, "Direction").is_some_and(|way| way.starts_with("outbound"));
        let number = value(&form, if is_outbound { "To" } else { "From" });
        Ok(Self {
            call: call.to_owned(),
            number: number.map(cleaned),
            person: person.filter(|_| level >= known_from).map(str::to_owned),
            level,
            is_outbound,
            status: value(&form, "CallStatus").unwrap_or_default().to_owned(),
            path: path_of(&request.url),
            query: request.query(),
            form,
        })
    }

    /// A field of the form; what is empty is not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        value(&self.form, name)
    }

    /// A number of our own in the address.
    pub fn asked(&self, name: &str) -> Option<i64> {
        self.named(name)?.parse().ok()
    }

    /// A text of our own in the address.
    pub fn named(&self, name: &str) -> Option<&str> {
        value(&self.query, name)
    }

    /// What the other side said, or pressed, in words.
    pub fn said(&self) -> Option<String> {
        let speech = self.get("SpeechResult").map(|text| cleaned(text).trim().to_owned());
        let keys = self.get("Digits").map(|keys| format!("[pressed the keys {}]", cleaned(keys)));
        speech.filter(|text| !text.is_empty()).or(keys)
    }

    /// The call goes on.
    pub fn is_live(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "initiated" | "ringing" | "in-progress" | "")
    }

    /// What is the same for all tries of one event, made of what Twilio signs; its own token is in a header that it does
    /// not sign.
    pub fn key(&self) -> String {
        let mut key = format!("{}:{}", self.path, self.call);
        for part in self.query.iter().map(|(name, value)| format!("{name}={value}")) {
            key = format!("{key}:{part}");
        }
        for name in ["RecordingSid", "RecordingStatus", "StreamSid", "StreamEvent", "SequenceNumber"] {
            if let Some(value) = self.get(name) {
                key = format!("{key}:{value}");
            }
        }
        key
    }
}

fn value<'p>(pairs: &'p [(String, String)], name: &str) -> Option<&'p str> {
    let value = pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    value.filter(|value| !value.is_empty())
}

/// Databases cannot keep a NUL.
fn cleaned(text: &str) -> String {
    text.replace('\0', "")
}

fn path_of(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or_else(String::new, |at| rest[at..].to_owned())
}

//! A webhook that Twilio signed -> the message that it brings. Pure; what it says of itself is believed, what it means is
//! not judged here.

use plugin_api::{
    error::OperationError,
    origin::Origin,
    phone::is_harmless_sid,
    requests::{http::HttpRequest, memory::Attachment, twilio_service::Channel},
};

use crate::keyword::Keyword;

/// More than Twilio ever sends.
const MOST_MEDIA: usize = 20;

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    pub sid: String,
    /// The person, or whatever else wrote.
    pub person: String,
    /// Whether it is a person, who can be answered.
    pub is_person: bool,
    pub channel: Channel,
    /// Which of our RCS senders was written to.
    pub rcs_sender: Option<String>,
    pub keyword: Option<Keyword>,
    /// Twilio recognised the keyword, and answers it where an answer is due.
    pub is_answered: bool,
    pub body: String,
    pub attachments: Vec<Attachment>,
    pub display_name: Option<String>,
    /// Who wrote it, if not the person.
    pub origin: Option<Origin>,
    pub at_ms: i64,
}

/// Reads the form; `person` is whom the guard named.
///
/// # Errors
/// `invalid`: it is no message.
pub fn read(request: &HttpRequest, person: Option<&str>, at_ms: i64) -> Result<Inbound, OperationError> {
    let form = Form(request.form()?);
    let sid = form.get("MessageSid").or(form.get("SmsSid")).filter(|sid| is_harmless_sid(sid));
    let sid = sid.ok_or_else(|| missing("MessageSid"))?;
    let from = form.get("From").ok_or_else(|| missing("From"))?;
    let body = form.body();
    let told = form.get("OptOutType");
    Ok(Inbound {
        sid: sid.to_owned(),
        person: person.unwrap_or(from).to_owned(),
        is_person: person.is_some(),
        channel: Channel::of(from),
        rcs_sender: form.get("To").filter(|to| Channel::of(to) == Channel::Rcs).map(str::to_owned),
        keyword: Keyword::of(told, &body),
        is_answered: told.is_some(),
        body,
        attachments: form.attachments(),
        display_name: form.get("ProfileName").map(str::to_owned),
        origin: form.is_passed_on().then_some(Origin::Other),
        at_ms,
    })
}

struct Form(Vec<(String, String)>);

impl Form {
    /// What is empty is not there.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// WhatsApp says whether somebody else wrote what the person sends.
    fn is_passed_on(&self) -> bool {
        ["Forwarded", "FrequentlyForwarded"].into_iter().any(|name| self.get(name) == Some("true"))
    }

    /// The text, and in words what else WhatsApp sends. Databases cannot keep a NUL.
    fn body(&self) -> String {
        let text = self.get("Body").unwrap_or_default().replace('\0', "");
        match self.place() {
            Some(place) => format!("{text}\n{place}").trim().to_owned(),
            None => text,
        }
    }

    fn place(&self) -> Option<String> {
        let (latitude, longitude) = (self.get("Latitude")?, self.get("Longitude")?);
        let named = [self.get("Label"), self.get("Address")].into_iter().flatten();
        let named: Vec<_> = named.map(|name| name.replace('\0', "")).collect();
        let named = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
        Some(format!("[a place at {latitude}, {longitude}{named}]"))
    }

    fn attachments(&self) -> Vec<Attachment> {
        let count = self.get("NumMedia").and_then(|count| count.parse().ok()).unwrap_or(0).min(MOST_MEDIA);
        let one = |index: usize| {
            let url = self.get(&format!("MediaUrl{index}"))?;
            let kind = self.get(&format!("MediaContentType{index}")).unwrap_or("application/octet-stream");
            Some(Attachment { content_type: kind.to_owned(), url: url.to_owned() })
        };
        (0..count).filter_map(one).collect()
    }
}

fn missing(name: &str) -> OperationError {
    OperationError::invalid(format!("this is no inbound message: `{name}` is missing"))
}

//! A reply of the server -> its codes, and what its words hint at. The words themselves are for the log alone.

use std::fmt;

use plugin_api::error::ReasonCode;

/// A reply of the server (RFC 5321, 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// The enhanced status code of a refusal (RFC 3463), if the server gives one.
    pub enhanced: Option<String>,
    /// Its words, a line each: a server may repeat in them what is secret.
    pub lines: Vec<String>,
    /// A hint of the words alone, which no code tells for sure.
    hint: Option<Hint>,
}

/// A hint in the words of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The server hands on no mail of ours.
    Relay,
    /// So much mail was sent that no more is taken.
    Quota,
    /// The name by which we introduced ourselves.
    Hello,
    /// Microsoft 365: no program may log in for this mailbox, or for any of the organisation.
    LoginSwitchedOff,
    /// Microsoft 365: the password itself is wrong.
    WrongPassword,
}

/// What an answer was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The sender: always that of the settings.
    Sender,
    /// A recipient.
    Recipient,
    /// The mail itself.
    Mail,
}

/// The sender's domain does not vouch for this server (RFC 7372, Gmail), or the login may not send for the sender
/// (Exchange): said of the mail, and meant of us.
const OF_THE_SENDER: [&str; 11] = [
    "5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "5.7.27", "5.7.60", "5.7.64",
    "5.2.252",
];
/// So much was sent that no more is taken (Gmail, Exchange).
const QUOTA: [&str; 3] = ["5.4.5", "4.4.5", "5.1.90"];

impl Reply {
    /// A reply with these words.
    pub fn new(code: u16, lines: Vec<String>) -> Self {
        let words = lines.join(" ");
        Self { code, enhanced: enhanced(&words), hint: hint(code, &words), lines }
    }

    /// Done.
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The server waits for more.
    pub fn is_question(&self) -> bool {
        (300..400).contains(&self.code)
    }

    /// It will not be done, for now or for good.
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }

    /// The hint in the words.
    pub fn hint(&self) -> Option<Hint> {
        self.hint
    }

    /// The server ends the connection, whatever was asked (RFC 5321, 3.8; RFC 3463, `4.4.2`).
    pub fn ends_connection(&self) -> bool {
        self.code == 421 || self.enhanced.as_deref() == Some("4.4.2")
    }

    /// The server asks to try later.
    pub fn is_transient(&self) -> bool {
        self.code < 500
    }

    /// The server wants a login, another login, or encryption before it (RFC 4954; `5.7.30` and `5.7.139` of
    /// Microsoft 365).
    pub fn is_about_login(&self) -> bool {
        matches!(self.code, 530 | 534 | 535 | 538) || matches!(self.enhanced(), "5.7.30" | "5.7.139")
    }

    /// The enhanced status code; empty if there is none.
    pub fn enhanced(&self) -> &str {
        self.enhanced.as_deref().unwrap_or_default()
    }

    /// The mail is larger than the server takes (RFC 1870; RFC 3463, `x.3.4`).
    pub fn is_about_size(&self) -> bool {
        self.enhanced.as_deref().map_or(self.code == 552, |code| code.ends_with(".3.4"))
    }

    /// The code under which it counts against the plugin, beside a login or a name that is refused; `None` if another
    /// recipient or mail would do.
    pub fn fault(&self, about: About) -> Option<ReasonCode> {
        let is_quota = self.hint == Some(Hint::Quota)
            || self.enhanced.as_deref().is_some_and(|code| QUOTA.contains(&code));
        let is_of_the_sender = self.enhanced.as_deref().is_some_and(|code| OF_THE_SENDER.contains(&code));
        match about {
            _ if is_quota => Some(ReasonCode::Quota),
            _ if self.is_transient() => None,
            _ if self.hint == Some(Hint::Relay) => Some(ReasonCode::Forbidden),
            About::Sender if self.is_about_size() => None,
            About::Sender if self.is_policy() => Some(ReasonCode::Forbidden),
            About::Sender => Some(ReasonCode::ConfigInvalid),
            About::Mail if is_of_the_sender => Some(ReasonCode::Forbidden),
            About::Recipient | About::Mail => None,
        }
    }

    /// The server would not do it for anybody in our place: policy or security (RFC 3463, `x.7.x`), or a login.
    pub fn is_policy(&self) -> bool {
        let subject = self.enhanced.as_deref().and_then(|code| code.split('.').nth(1));
        self.is_about_login() || subject == Some("7")
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.enhanced {
            Some(enhanced) => write!(formatter, "SMTP {} {enhanced}", self.code),
            None => write!(formatter, "SMTP {}", self.code),
        }
    }
}

/// A full mailbox is its owner's quota, and not ours: only what is sent counts.
fn hint(code: u16, words: &str) -> Option<Hint> {
    let words = words.to_ascii_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    // Postfix says so at RCPT as well: `504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname`.
    if code >= 400 && words.split_whitespace().any(is_hello) {
        return Some(Hint::Hello);
    }
    if says(&["relay"]) {
        return Some(Hint::Relay);
    }
    if says(&["smtpclientauthentication is disabled"]) {
        return Some(Hint::LoginSwitchedOff);
    }
    if says(&["credentials were incorrect"]) {
        return Some(Hint::WrongPassword);
    }
    says(&[
        "sending limit",
        "sending quota",
        "message quota",
        "submission quota",
        "submissionquota",
        "daily limit",
    ])
    .then_some(Hint::Quota)
}

/// `Helo`, `(EHLO)` or `HELO/EHLO`, and not an address or a name that holds it.
fn is_hello(word: &str) -> bool {
    let word = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    matches!(word, "helo" | "ehlo" | "helo/ehlo" | "ehlo/helo")
}

/// The enhanced status code that the words begin with.
fn enhanced(words: &str) -> Option<String> {
    let first = words.split_whitespace().next()?;
    let parts: Vec<&str> = first.split('.').collect();
    let number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && matches!(parts[0], "4" | "5") && parts.iter().all(number)).then(|| first.to_owned())
}

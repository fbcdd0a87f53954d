//! What a person says about messages themselves: no more of them, again, or what is this. Pure.

/// What it is.
#[plugin_api::row]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Keyword {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// Who writes, and how to end it.
    Help,
}

/// The words that carriers and Twilio take, whoever else listens.
const STOP: [&str; 8] = ["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"];
const START: [&str; 2] = ["start", "unstop"];
const HELP: [&str; 2] = ["help", "info"];

impl Keyword {
    /// As Twilio says, `OptOutType`, else by the words themselves: nothing but the word, however it is written.
    pub fn of(opt_out_type: Option<&str>, body: &str) -> Option<Self> {
        if let Some(told) = opt_out_type {
            return Self::named(&told.to_lowercase());
        }
        let word = bare(body);
        let is = |words: &[&str]| words.contains(&word.as_str());
        let kinds = [(is(&STOP), Self::Stop), (is(&START), Self::Start), (is(&HELP), Self::Help)];
        kinds.into_iter().find_map(|(is, keyword)| is.then_some(keyword))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::Stop, Self::Start, Self::Help].into_iter().find(|keyword| keyword.as_str() == name)
    }
}

/// Whether it takes back a `STOP`, from one who said that. For everybody else it is an answer.
pub fn is_yes(body: &str) -> bool {
    bare(body) == "yes"
}

/// Without quotes and stops around it.
fn bare(body: &str) -> String {
    body.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase()
}

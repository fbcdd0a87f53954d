//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided. No I/O.

use std::collections::BTreeMap;

use plugin_api::{level::Level, phone::is_number, prelude::*, settings::Span, web::public_base_url};

use crate::session::settings as realtime;

const LANGUAGE: &str = "en-US";
const PERSONA: &str = "You are a friendly assistant who answers the telephone.";

/// Who answers the telephone, how, and what is said where no model speaks.
#[plugin_api::settings]
pub struct Settings {
    /// Who the assistant is and how it behaves, in words for the model.
    pub persona: Option<String>,
    /// The first words of a call.
    pub greeting: Option<String>,
    /// The language that is spoken and heard, such as `de-DE`; `en-US` if left out.
    pub language: Option<String>,
    /// Who speaks where Twilio does, such as `Polly.Vicki`; left out, Twilio's voice for the language.
    pub voice: Option<String>,
    /// Twilio's model that hears speech, such as `phone_call`; left out, Twilio's default.
    pub speech_model: Option<String>,
    /// How long the first word of a turn is waited for; 5s if left out.
    pub gather_timeout: Option<Span>,
    /// How often somebody who says nothing is asked again; 2 if left out.
    #[schemars(range(max = 10))]
    pub gather_retries: Option<u32>,
    /// How long an answer may take before something is said meanwhile, 1s to 8s; 3s if left out.
    pub patience: Option<Span>,
    /// How long an answer may take at all, turn by turn; 60s if left out.
    pub longest_turn: Option<Span>,
    /// How long a call may last; 30m if left out.
    pub call_time_limit: Option<Span>,
    /// How certain it must be who calls, for the assistant to know them, to act in their name, and to remember what they say:
    /// `attested` if left out, which means attestation A by StirVerstat, a call of ours, or a code that they were sent. With
    /// `shown` any number that is not withheld is enough: anyone can show the number of someone else.
    pub known_from: Option<Level>,
    /// How many tokens of earlier conversations the assistant is given; 2000 if left out.
    #[schemars(range(min = 200, max = 100_000))]
    pub history_tokens: Option<u32>,
    /// Who is told of a message that was left, by SMS: a number such as `+15551234567`. Left out, nobody is.
    #[setting(env = "VOICE_OWNER_NUMBER")]
    pub owner_number: Option<String>,
    /// Whether a message may be left where nobody can answer; true if left out.
    pub voicemail: Option<bool>,
    /// How long a message may be, 5s to 10m; 2m if left out.
    pub voicemail_limit: Option<Span>,
    /// Whether calls are recorded; false if left out. In many countries the caller must be told: say so in `greeting`.
    pub record_calls: Option<bool>,
    /// To whom a call may be transferred: numbers by the names that the assistant knows them by.
    pub transfer: Option<BTreeMap<String, String>>,
    /// The message for an answering machine on an outbound call. Left out, and without one in the request, it is hung up
    /// on.
    pub machine_message: Option<String>,
    /// Said when nothing was heard.
    pub reprompt_text: Option<String>,
    /// Said in rotation while an answer takes its time.
    pub filler_texts: Option<Vec<String>>,
    /// Said when the call ends.
    pub goodbye_text: Option<String>,
    /// Said when something went wrong, and may be tried again.
    pub failure_text: Option<String>,
    /// Said when a tool waits for somebody's approval.
    pub approval_text: Option<String>,
    /// Said when nobody can answer.
    pub apology_text: Option<String>,
    /// Said before a message is recorded.
    pub voicemail_text: Option<String>,
    /// Said when a message was left.
    pub thanks_text: Option<String>,
    /// Said before a call is transferred.
    pub transfer_text: Option<String>,
    /// Said when nobody answers there.
    pub unreachable_text: Option<String>,
    /// How the assistant speaks in real time.
    pub realtime: Option<realtime::Settings>,
    /// Under which address Twilio reaches this host. Without it calls are answered turn by turn, and none can be placed.
    #[setting(env = "PUBLIC_BASE_URL")]
    pub public_base_url: Option<String>,
}

/// The settings, checked and complete.
#[derive(Debug, Clone)]
pub struct Config {
    pub persona: String,
    pub language: String,
    pub voice: Option<String>,
    pub speech_model: Option<String>,
    pub gather_seconds: u64,
    pub gather_retries: u32,
    pub patience: Duration,
    pub longest_turn: Duration,
    pub call_time_limit: Duration,
    pub known_from: Level,
    pub history_tokens: u32,
    pub owner_number: Option<String>,
    pub voicemail: bool,
    pub voicemail_seconds: u64,
    pub record_calls: bool,
    pub transfer: BTreeMap<String, String>,
    pub machine_message: Option<String>,
    pub texts: Texts,
    pub realtime: Arc<realtime::Config>,
    /// Without a slash at its end.
    pub public_base_url: Option<String>,
}

/// What is said where no model speaks.
#[derive(Debug, Clone)]
pub struct Texts {
    pub greeting: String,
    pub reprompt: String,
    pub fillers: Vec<String>,
    pub goodbye: String,
    pub failure: String,
    pub approval: String,
    pub apology: String,
    pub voicemail: String,
    pub thanks: String,
    pub transfer: String,
    pub unreachable: String,
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        let texts = texts(&settings)?;
        let persona = settings.persona.unwrap_or_else(|| PERSONA.to_owned());
        let language = settings.language.unwrap_or_else(|| LANGUAGE.to_owned());
        let transfer = settings.transfer.unwrap_or_default();
        let history_tokens = settings.history_tokens.unwrap_or(2000);
        let call_time_limit =
            Duration::from_secs(seconds("call_time_limit", settings.call_time_limit, 1800, 30..=86_400)?);
        let common = realtime::Common {
            persona: persona.clone(),
            greeting: texts.greeting.clone(),
            language: language.clone(),
            transfer: transfer.clone(),
            memory_tokens: history_tokens,
            call_time_limit,
        };
        let config = Self {
            realtime: Arc::new(realtime::Config::check(settings.realtime.unwrap_or_default(), common)?),
            persona,
            language,
            voice: settings.voice,
            speech_model: settings.speech_model,
            gather_seconds: seconds("gather_timeout", settings.gather_timeout, 5, 1..=60)?,
            gather_retries: settings.gather_retries.unwrap_or(2),
            patience: patience(settings.patience)?,
            longest_turn: Duration::from_secs(seconds("longest_turn", settings.longest_turn, 60, 5..=600)?),
            call_time_limit,
            known_from: Level::known_from("known_from", settings.known_from, Level::Attested)?,
            history_tokens,
            owner_number: settings.owner_number,
            voicemail: settings.voicemail.unwrap_or(true),
            voicemail_seconds: seconds("voicemail_limit", settings.voicemail_limit, 120, 5..=600)?,
            record_calls: settings.record_calls.unwrap_or(false),
            transfer,
            machine_message: settings.machine_message,
            texts,
            public_base_url: settings
                .public_base_url
                .as_deref()
                .map(|url| public_base_url(url, "Twilio reaches it"))
                .transpose()?,
        };
        check_numbers(&config)?;
        Ok(config)
    }

    /// The address of a path of this host: whole where it is known, else as Twilio completes it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_base_url.as_deref().unwrap_or_default())
    }
}

fn texts(settings: &Settings) -> Result<Texts, Failure> {
    let or = |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
    let fillers = settings.filler_texts.clone();
    let fillers =
        fillers.unwrap_or_else(|| ["One moment, please.", "I am still on it."].map(str::to_owned).into());
    if fillers.is_empty() {
        return Err(wrong("filler_texts", "`filler_texts` is empty: leave it out, or give one text or more"));
    }
    Ok(Texts {
        greeting: or(&settings.greeting, "Hello! How can I help you?"),
        reprompt: or(&settings.reprompt_text, "I did not hear you. What can I do for you?"),
        fillers,
        goodbye: or(&settings.goodbye_text, "Goodbye!"),
        failure: or(&settings.failure_text, "I am sorry, that did not work. Could you say it again?"),
        approval: or(
            &settings.approval_text,
            "I have asked for the approval that this needs. What else can I do?",
        ),
        apology: or(&settings.apology_text, "I am sorry, I cannot answer at the moment."),
        voicemail: or(&settings.voicemail_text, "Please leave a message after the tone."),
        thanks: or(&settings.thanks_text, "Thank you. Your message was recorded. Goodbye!"),
        transfer: or(&settings.transfer_text, "I will put you through."),
        unreachable: or(&settings.unreachable_text, "I am sorry, nobody answers there."),
    })
}

fn patience(given: Option<Span>) -> Result<Duration, Failure> {
    let patience = given.map_or(Duration::from_secs(3), |span| span.0);
    if (Duration::from_secs(1)..=Duration::from_secs(8)).contains(&patience) {
        return Ok(patience);
    }
    Err(wrong("patience", format!("`patience` is {}: expected 1s to 8s", shown(patience))))
}

fn seconds(
    key: &str,
    given: Option<Span>,
    default: u64,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<u64, Failure> {
    let given = given.map_or(Duration::from_secs(default), |span| span.0);
    if allowed.contains(&given.as_secs()) && given.subsec_millis() == 0 {
        return Ok(given.as_secs());
    }
    let (least, most) = allowed.into_inner();
    Err(wrong(key, format!("`{key}` is {}: expected whole seconds, {least}s to {most}s", shown(given))))
}

fn shown(span: Duration) -> String {
    format!("{span:?}")
}

fn check_numbers(config: &Config) -> Result<(), Failure> {
    let owner = config.owner_number.iter().map(|number| ("owner_number", "owner_number".to_owned(), number));
    let targets =
        config.transfer.iter().map(|(name, number)| ("transfer", format!("transfer.{name}"), number));
    for (key, name, number) in owner.chain(targets) {
        if !is_number(number) {
            return Err(wrong(
                key,
                format!(
                    "`{name}` is `{number}`: expected `+`, the country and the number, such as `+15551234567`"
                ),
            ));
        }
    }
    Ok(())
}

fn wrong(key: &str, message: impl Into<String>) -> Failure {
    Failure::config_invalid(message).setting(key)
}

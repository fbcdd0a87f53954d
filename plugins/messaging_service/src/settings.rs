//! The settings as plugins.toml gives them -> [`Config`], checked. No I/O.

use plugin_api::{level::Level, phone::is_sid, prelude::*, settings::Span};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// What `twilio` fetches at most.
const MOST_MEDIA_BYTES: usize = 16 * 1024 * 1024;
const MEDIA_BYTES: usize = 5 * 1024 * 1024;
const ANSWERS_PER_HOUR: u32 = 100;
const WAITING: &str = "I need somebody's approval for that. I will get back to you.";

/// What people are told where no assistant answers, and how long a message is tried.
#[plugin_api::settings]
pub struct Settings {
    /// The answer to a message where there is no assistant. Left out, the message is stored, and nobody answers.
    pub acknowledgement: Option<String>,
    /// The text sent, once, while an answer waits for somebody's approval.
    pub waiting_text: Option<String>,
    /// The answer to a message that could not be processed. Left out, none is sent.
    pub failure_text: Option<String>,
    /// The answer to HELP where Twilio gives none. Left out, none is sent.
    pub help_text: Option<String>,
    /// A template of Twilio's Content API, `HX…`, that carries texts to people who have not written by WhatsApp within
    /// 24 hours. Its variable `1` holds the text. Left out, they cannot be written to by WhatsApp.
    #[setting(env = "TWILIO_WHATSAPP_TEMPLATE")]
    pub whatsapp_template: Option<String>,
    /// For how long a message is tried while what it needs does not answer; then it has failed, and waits for a
    /// person. 1 hour if left out.
    pub give_up_after: Option<Span>,
    /// How many messages of a person are answered within an hour; 100 if left out. Further messages are remembered and
    /// kept, and wait for a person: two programs that answer each other would never end.
    #[schemars(range(min = 1, max = 100_000))]
    pub answers_per_hour: Option<u32>,
    /// How certain it must be who writes, for the assistant to know them, to act in their name, and to remember what they
    /// write: `shown` if left out, a number that is merely shown, as SMS and RCS do; with `signed` only WhatsApp is enough.
    pub known_from: Option<Level>,
    /// How many tokens of the conversation the assistant is given; 2000 if left out.
    #[schemars(range(min = 200, max = 100_000))]
    pub history_tokens: Option<u32>,
    /// The largest attachment that is fetched, in bytes; 5 MiB if left out.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub media_bytes: Option<usize>,
    /// How many threads are worked on at once; 8 if left out.
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<usize>,
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub acknowledgement: Option<String>,
    pub waiting_text: String,
    pub failure_text: Option<String>,
    pub help_text: Option<String>,
    pub whatsapp_template: Option<String>,
    pub give_up_ms: i64,
    pub answers_per_hour: u32,
    pub known_from: Level,
    pub history_tokens: u32,
    pub media_bytes: usize,
    pub concurrency: usize,
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        if let Some(sid) = &settings.whatsapp_template
            && !is_sid(sid, &["HX"])
        {
            return Err(Failure::config_invalid(format!(
                "`whatsapp_template` is `{sid}`: expected `HX` and 32 hexadecimal digits"
            ))
            .setting("whatsapp_template"));
        }
        let give_up = settings.give_up_after.map_or(HOUR, |span| span.0);
        Ok(Self {
            acknowledgement: settings.acknowledgement,
            waiting_text: settings.waiting_text.unwrap_or_else(|| WAITING.to_owned()),
            failure_text: settings.failure_text,
            help_text: settings.help_text,
            whatsapp_template: settings.whatsapp_template,
            give_up_ms: give_up.as_millis().try_into().unwrap_or(i64::MAX),
            answers_per_hour: settings.answers_per_hour.unwrap_or(ANSWERS_PER_HOUR),
            known_from: Level::known_from("known_from", settings.known_from, Level::Shown)?,
            history_tokens: settings.history_tokens.unwrap_or(2000),
            media_bytes: settings.media_bytes.unwrap_or(MEDIA_BYTES).min(MOST_MEDIA_BYTES),
            concurrency: settings.concurrency.unwrap_or(8),
        })
    }
}

//! What a conversation needs of its call, whoever keeps it: who it is with, what is written down, and how it goes on.

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{memory::Speaker, voice::MediaReport},
};

/// A call whose conversation begins.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct CallBrief {
    /// The call, `CA…`.
    pub call: String,
    /// The number of the other side as Twilio gave it; it may be withheld or forged.
    pub number: Option<String>,
    /// The person of whom memory may speak: a verified number. `None`: nobody is known for sure.
    pub person: Option<String>,
    /// What this call is to reach, if we placed it.
    pub objective: Option<String>,
    /// The first words of a call that we placed. `None`: those of the settings.
    pub opening: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
}

/// With the task of a call of ours, which others wrote.
pub const PURSUE: &str = "This call is to reach the task that stands between marks from `task`, and nothing else. When it is \
                          reached, or cannot be reached, say goodbye.";
/// How a caller who is not certain enough gets further.
pub const PROOF: &str = "If they want something that only a certain person may want, offer to send a code by SMS to the number \
                         that they call from. Only if they agree, call `send_code`; when they say or press the digits, call \
                         `check_code` with them. Nothing else proves who they are.";

/// Why a call ends that the assistant ends.
const ASSISTANT_ENDED: &str = "the assistant ended it";
/// Why a call ends at its `call_time_limit`.
pub const TIME_IS_UP: &str = "it had lasted as long as it may";

impl Next {
    /// The assistant ends the call.
    pub fn hang_up() -> Self {
        Self::HangUp { why: ASSISTANT_ENDED.to_owned() }
    }
}

impl CallBrief {
    /// On whose behalf tools are called. Nobody would be an operator, and a number that may be forged somebody else: an
    /// unverified caller is a person of this call alone, of whom nothing is known.
    pub fn on_behalf(&self) -> String {
        self.person.clone().unwrap_or_else(|| format!("unverified:{}", self.call))
    }

    /// How certain it is who that is. A person stands here only if it is certain enough.
    pub fn level(&self) -> Level {
        if self.person.is_some() { Level::Attested } else { Level::Withheld }
    }
}

/// Something that happened in a conversation, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Somebody said something. The text of an interrupted assistant holds only what was heard.
    Said {
        /// Who.
        speaker: Speaker,
        /// In words.
        text: String,
        /// It was cut short by the caller.
        interrupted: bool,
    },
    /// A tool was called and has answered, or failed.
    Tool {
        /// `plugin.operation`, or a name of this plugin's own.
        tool: String,
        /// As the model wrote them.
        arguments: String,
        /// What the model was told.
        result: String,
        /// Whether it did what it was to do.
        ok: bool,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// How long the caller waited for the first audio of an answer, on the media clock.
    FirstAudio { after_ms: u64 },
    /// How long what was being said went on after the caller began to speak, on the media clock.
    Interruption { after_ms: u64 },
    /// The conversation with the model was renewed or taken up again; why, in words.
    Reconnected { reason: String },
    /// The audio is over.
    Media(MediaReport),
}

/// What came of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// It is the one that was sent: the caller is this person.
    Proven(String),
    /// It is another one; so many attempts are left.
    Wrong { left: i64 },
}

/// How a call goes on when its media stream has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It ends; why, in words.
    HangUp { why: String },
    /// To somebody else.
    Transfer { to: String },
    /// Turn by turn, as the model's socket cannot be had.
    Turns { reason: String },
}

/// Who keeps calls.
pub trait Ledger: Send + Sync + 'static {
    /// Now by the clock by which calls begin, in milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Redeems the token of a call's media stream, once.
    ///
    /// # Errors
    /// `denied`: it is of another call, was used, or has expired; the database's.
    fn redeem(
        &self,
        call: &str,
        stream: &str,
        token: &str,
    ) -> impl Future<Output = Result<CallBrief, OperationError>> + Send;

    /// Writes down what happened. It never fails: what the database cannot take is kept, written later, and logged.
    fn record(&self, call: &str, entry: Entry) -> impl Future<Output = ()> + Send;

    /// Sends the caller of a call a code, by SMS to the number that they call from.
    ///
    /// # Errors
    /// `denied`: they are known, no number is shown, or they were sent as many as they may be; those of Twilio.
    fn send_code(&self, call: &str) -> impl Future<Output = Result<(), OperationError>> + Send;

    /// Checks what the caller says the code is.
    ///
    /// # Errors
    /// `denied`: no code is valid, or it was tried as often as it may be; the database's.
    fn check_code(
        &self,
        call: &str,
        code: &str,
    ) -> impl Future<Output = Result<Proof, OperationError>> + Send;

    /// Decides how the call goes on when its media stream ends; the last decision counts. Without one, after a media
    /// stream that ended by itself, the caller has hung up.
    fn decide(&self, call: &str, next: Next) -> impl Future<Output = ()> + Send;
}

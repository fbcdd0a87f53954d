//! A recorded call as text: a line a frame or moment, each with its time on both clocks. It holds what passes the core,
//! so that this can be fed to it again. The first line tells what the core was made of. Tokens are no part of it: the
//! stream's `start` is left out, and nothing else ever carries one.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_api::{error::OperationError, serde_json, stream::Frame};

use crate::machine::{End, Input, Limits, Output};

/// The first line.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
pub struct Header {
    /// The version of this format.
    pub recording: u32,
    /// The call, `CA…`.
    pub call: String,
    /// Its stream, `MZ…`.
    pub stream: String,
    /// When it began: RFC 3339, UTC.
    pub began_at: String,
    /// What the call was held to.
    pub limits: Limits,
}

/// The version that is written and read here.
pub const VERSION: u32 = 1;

/// Every further line.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
pub struct Line {
    /// Milliseconds since the stream began.
    pub at: u64,
    /// The same on the media clock.
    pub media: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened: `from` is fed to the core, `to` is what it did.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A frame came from Twilio.
    FromTwilio(String),
    /// A frame came from the conversation.
    FromSession(Written),
    /// The conversation was over.
    SessionDone(String),
    /// Time passed.
    Tick(bool),
    /// It was about to be ended from outside, or not any more.
    Leaving(Option<String>),
    /// It was ended from outside.
    Ending(End),
    /// A frame went to Twilio.
    ToTwilio(String),
    /// A frame went to the conversation.
    ToSession(Written),
    /// It ended.
    Ended(End),
    /// The recording was cut here, for it had grown too large.
    Truncated(bool),
}

/// A frame of the conversation.
#[plugin_api::message]
#[derive(PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// Text.
    Text(String),
    /// Bytes, in base64.
    Bytes(String),
    /// So many bytes of silence.
    Silence(usize),
}

impl From<&Frame> for Written {
    fn from(frame: &Frame) -> Self {
        match frame {
            Frame::Text(text) => Self::Text(text.clone()),
            Frame::Binary(bytes) if bytes.iter().all(|byte| *byte == 0xff) => Self::Silence(bytes.len()),
            Frame::Binary(bytes) => Self::Bytes(STANDARD.encode(bytes)),
        }
    }
}

impl Written {
    fn frame(self) -> Result<Frame, OperationError> {
        match self {
            Self::Text(text) => Ok(Frame::Text(text)),
            Self::Silence(bytes) if bytes > LONGEST_SILENCE => {
                Err(OperationError::invalid(format!("a silence of {bytes} bytes is longer than any frame")))
            }
            Self::Silence(bytes) => Ok(Frame::Binary(vec![0xff; bytes])),
            Self::Bytes(text) => {
                let bytes = STANDARD.decode(text);
                let bytes = bytes
                    .map_err(|error| OperationError::invalid(format!("a frame is no base64: {error}")))?;
                Ok(Frame::Binary(bytes))
            }
        }
    }
}

/// No frame is that long.
const LONGEST_SILENCE: usize = 1 << 24;

impl What {
    /// What is fed to the core.
    pub fn of_input(input: &Input) -> Self {
        match input {
            Input::Twilio(text) => Self::FromTwilio(text.clone()),
            Input::Session(frame) => Self::FromSession(frame.into()),
            Input::SessionDone(reason) => Self::SessionDone(reason.clone()),
            Input::Tick => Self::Tick(true),
            Input::Leaving(reason) => Self::Leaving(reason.clone()),
            Input::End(end) => Self::Ending(end.clone()),
        }
    }

    /// What the core did; measurements are told to the conversation, too.
    pub fn of_output(output: &Output) -> Option<Self> {
        match output {
            Output::Twilio(text) | Output::Clear(text) => Some(Self::ToTwilio(text.clone())),
            Output::Session(frame) => Some(Self::ToSession(frame.into())),
            Output::Ended(end) => Some(Self::Ended(end.clone())),
            Output::Measured(_) => None,
        }
    }

    /// The input, if it is one.
    pub fn into_input(self) -> Result<Option<Input>, OperationError> {
        Ok(match self {
            Self::FromTwilio(text) => Some(Input::Twilio(text)),
            Self::FromSession(frame) => Some(Input::Session(frame.frame()?)),
            Self::SessionDone(reason) => Some(Input::SessionDone(reason)),
            Self::Tick(_) => Some(Input::Tick),
            Self::Leaving(reason) => Some(Input::Leaving(reason)),
            Self::Ending(end) => Some(Input::End(end)),
            Self::ToTwilio(_) | Self::ToSession(_) | Self::Ended(_) | Self::Truncated(_) => None,
        })
    }
}

/// A header or a line as it stands in the file.
pub fn write(what: &impl plugin_api::serde::Serialize) -> String {
    // Numbers and text are always JSON.
    serde_json::to_string(what).unwrap_or_default() + "\n"
}

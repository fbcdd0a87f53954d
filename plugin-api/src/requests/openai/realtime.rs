//! The Realtime API as a stream.

use crate::{
    error::{ErrorKind, OperationError},
    message,
    protocol::CloseReason,
};

/// The stream operation that takes a [`Realtime`] and is the Realtime API's WebSocket (GA): every frame passes as it is,
/// in both directions; the events are OpenAI's. It is taken when the socket is open, and refused with the errors of
/// [`super::Chat`] when it cannot be opened. [`RealtimeClose`] tells with which code it was closed, and by which code
/// a caller closes it.
pub const REALTIME: &str = "realtime";

/// Opens a realtime session.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Realtime {
    /// The model; left out, the one of the plugin's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Code (RFC 6455) and reason by which a realtime socket is closed, inside a stream's [`CloseReason`].
#[message]
#[derive(PartialEq, Eq)]
pub struct RealtimeClose {
    /// The code: 1000 as intended, 1001 going away (OpenAI's after 60 minutes), 1006 broken without a close frame,
    /// 4000 and up OpenAI's own.
    pub close_code: u16,
    /// The reason that came with it.
    #[serde(default)]
    pub close_reason: String,
}

impl RealtimeClose {
    /// As intended.
    pub const NORMAL: u16 = 1000;
    /// Going away.
    pub const AWAY: u16 = 1001;
    /// Broken, without a close frame.
    pub const BROKEN: u16 = 1006;
    /// Something went wrong here.
    pub const ERROR: u16 = 1011;

    /// Out of a stream's close reason. A stream without a close code of its own gets 1000 if it ended as intended, 1001
    /// if its end was dropped, and 1011 otherwise.
    pub fn of(reason: &CloseReason) -> Self {
        let Some(error) = &reason.error else {
            return Self { close_code: Self::NORMAL, close_reason: reason.message.clone() };
        };
        let given = error.details.clone().and_then(|details| serde_json::from_value(details).ok());
        given.unwrap_or_else(|| match error.kind {
            ErrorKind::Cancelled => Self { close_code: Self::AWAY, close_reason: String::new() },
            _ => Self { close_code: Self::ERROR, close_reason: error.message.clone() },
        })
    }

    /// As a stream's close reason: code 1000 ended as intended, every other is an error that carries it.
    pub fn into_reason(self, words: impl Into<String>) -> CloseReason {
        if self.close_code == Self::NORMAL {
            return CloseReason::done(self.close_reason);
        }
        let details = serde_json::json!(self);
        CloseReason::failed(OperationError::unavailable(words).details(details))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_reason_survive_the_way_through_a_close_reason() {
        for (close_code, text) in [(1000, ""), (1000, "bye"), (1001, "session expired"), (4000, "beta")] {
            let close = RealtimeClose { close_code, close_reason: text.to_owned() };
            let reason = close.clone().into_reason("closed");
            assert_eq!(reason.error.is_none(), close_code == 1000);
            assert_eq!(RealtimeClose::of(&reason), close);
        }
    }

    #[test]
    fn what_has_no_code_gets_one() {
        let code = |error| RealtimeClose::of(&CloseReason::failed(error)).close_code;
        assert_eq!(code(OperationError::cancelled("the other end of the stream went away")), 1001);
        assert_eq!(code(OperationError::internal("it broke")), 1011);
        assert_eq!(RealtimeClose::of(&CloseReason::done("the call has ended")).close_code, 1000);
    }
}

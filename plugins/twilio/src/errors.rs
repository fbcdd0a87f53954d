//! What reqwest and Twilio say -> what a person and a program can act on. Twilio's own words never leave this plugin: its
//! codes do, and its words go to the log at debug level.
//! - [`transport`]: no exchange -> a `Failure`.
//! - [`refusal`]: an answer that is no success -> its code.
//! - [`codes`]: a code -> an `OperationError`.

pub mod transport;
pub mod refusal;
pub mod codes;

//! What lettre and the server say -> what a person and a program can act on. The server's own words never leave this
//! plugin: its codes do, and its words go to the log at debug level.
//! - [`reply`]: a negative answer of the server, as codes.
//! - [`connecting`]: no working connection -> a `Failure` with its setting.
//! - [`tls`]: no trustworthy encryption -> a `Failure`.
//! - [`sending`]: a mail that was not taken -> an `OperationError`.

pub mod reply;
pub mod connecting;
pub mod tls;
pub mod sending;

use std::{error::Error as _, io};

use lettre::transport::smtp;

/// The error of the operating system or of rustls behind an error of lettre.
fn io_error(error: &smtp::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

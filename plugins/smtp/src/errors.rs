//! The server's replies, or its silence -> what a person and a program can act on. The server's own words never leave
//! this plugin: its codes do, and its words go to the log at debug level, as far as they can be read.
//! - [`reply`]: a reply of the server, as codes.
//! - [`connecting`]: no working connection -> a `Failure` with its setting.
//! - [`login`]: a login that is refused -> a `Failure` with its setting, and with what the provider wants instead.
//! - [`tokens`]: no access token to log in with -> a `Failure`.
//! - [`tls`]: no trustworthy encryption -> a `Failure`.
//! - [`sending`]: a mail that was not taken -> an `OperationError`.

pub mod reply;
pub mod connecting;
pub mod login;
pub mod tokens;
pub mod tls;
pub mod sending;

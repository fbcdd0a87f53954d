//! The plugin against a real mail server, against peers that misbehave at a chosen moment, and its pure parts.

mod partner;
mod peer;
mod setup;

mod reading_settings;
mod writing_mails;
mod reading_replies;
mod connecting;
mod introducing;
mod logging_in;
mod sending;
mod sending_once;
mod real_server;
mod examining;
mod advising;

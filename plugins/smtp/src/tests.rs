//! The plugin against a real mail server, against peers that misbehave at a chosen moment, and its pure parts.

mod partner;
mod peer;
mod setup;

mod reading_settings;
mod writing_mails;
mod connecting;
mod sending;
mod sending_once;
mod real_server;
mod examining;
mod advising;

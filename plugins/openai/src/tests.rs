//! The plugin against scripted fake servers, and its pure parts.

mod peer;
mod setup;

mod reading_settings;
mod verifying;
mod lasting;
mod refusals;
mod blaming;
mod advising;
mod connecting;
mod chatting;
mod turns;
mod thinking;
mod ending;
mod likes;
mod families;
mod local;
mod dialect;
mod streaming;
mod embedding;
mod realtime;
mod evidence;
mod parsing;
mod examining;

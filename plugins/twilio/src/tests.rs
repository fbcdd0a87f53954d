//! The plugin against a peer that keeps to a script, and its pure parts.

mod peer;
mod setup;

mod reading_settings;
mod vectors;
mod altered_webhooks;
mod verifying;
mod asking;
mod fetching;
mod examining;
mod advising;

//! The plugin with a stand-in for `twilio`, its ledger in memory, and its pure parts. With a real database it is tested
//! from outside.

mod setup;

mod drafts;
mod persons;
mod reports;
mod reconciling;
mod remembering;
mod sending_once;
mod blaming;
mod advising;
mod claiming;
mod reading;
mod examining;

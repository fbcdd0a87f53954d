//! The pure core with a simulated Twilio in virtual time, and the plugin with a stand-in for the conversation. With real
//! sockets it is tested from outside.

mod world;
mod setup;

mod advising;
mod hearing;
mod speaking;
mod interrupting;
mod ending;
mod invariants;
mod recordings;
mod recording_calls;
mod reading_settings;
mod serving;
mod holding_up;
mod hanging_up;
mod deciding;

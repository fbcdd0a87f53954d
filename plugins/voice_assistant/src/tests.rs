//! The tests: pure parts by tables and properties; the whole plugin in-process, with its tables in an SQLite in memory, and
//! stand-ins for what it calls.

mod setup;
mod advising;
mod writing_twiml;
mod reading_settings;
mod reading_webhooks;
mod answering;
mod choosing_ways;
mod tokens;
mod outages;
mod backlog;
mod voicemail;
mod undelivered;
mod calling;
mod transferring;
mod proving;
mod remembering;
mod closing;
mod showing;

//! The tests: pure parts by tables and properties; the whole plugin in-process, with its tables in an SQLite in memory, and
//! stand-ins for what it calls.

mod setup;
mod advising;
mod splitting;
mod reading_webhooks;
mod choosing_ways;
mod backing_off;
mod receiving;
mod answering;
mod outages;
mod opting_out;
mod sending;
mod showing;
mod undelivered;
mod reading_settings;

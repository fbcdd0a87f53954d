//! The plugin against a scripted fake of Google, on a database in memory, and its pure parts.

mod peer;
mod setup;

mod reading_settings;
mod reading_times;
mod finding_slots;
mod consenting;
mod renewing;
mod working_with_events;
mod following_changes;
mod examining;
mod advising;

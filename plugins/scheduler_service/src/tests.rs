//! Each file tells one side of the plugin.

mod setup;
mod reading_times;
mod occurrences;
mod misfires;
mod verdicts;
mod scheduling;
mod firing;
mod crashes;
mod parking;
mod reminders;
mod advising;

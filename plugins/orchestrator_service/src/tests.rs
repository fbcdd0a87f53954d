//! The plugin in-process: a scripted model, tools that count, and a database that several instances share as hosts do,
//! and that can be taken away from one of them at any write.

mod advising;
mod answers_of_servers;
mod approving;
mod deciding;
mod limits;
mod prompting;
mod reading_settings;
mod resuming;
mod running;
mod seeing;
mod setup;
mod toolbox;
mod telling;
mod waiting;
mod undelivered;

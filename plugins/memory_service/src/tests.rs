//! The plugin with a real SQLite and sqlite-vec behind the fake of `database`, and an `openai` whose vectors are known.

/// The very registration of sqlite-vec that `database` uses.
#[path = "../../database/src/vec.rs"]
mod vec;
mod model;
pub mod setup;
mod remembering;
mod recalling;
mod forgetting;
mod threads;
mod summarising;
mod embedding;
mod advising;

//! What plugins share that let a language model use tools: what it is told of them, what becomes of a call that it wants,
//! and how it is shown what comes of it. Feature `tools`.

pub mod approval;
pub mod data;
pub mod names;
pub mod toolbox;

pub use toolbox::{Toolbox, Verdict};

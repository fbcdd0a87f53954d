//! A manifest out of its JSON, if it can be used: `plugin_api::manifest::judge` says so, here as everywhere.

use plugin_api::manifest::{Manifest, judge::judge};

use crate::scrub::one_line;

/// How many problems of a manifest are told: who mends them sees the rest.
const MOST_PROBLEMS: usize = 20;

/// Why a manifest cannot be used; every text is one line.
pub(crate) enum Unfit {
    /// It cannot be read.
    Unreadable(String),
    /// What it says makes no sense.
    Nonsense(Vec<String>),
}

/// A manifest that can be used, out of its JSON.
pub(crate) fn read(json: &[u8]) -> Result<Manifest, Unfit> {
    let manifest: Manifest =
        serde_json::from_slice(json).map_err(|error| Unfit::Unreadable(one_line(&error.to_string())))?;
    let problems = judge(&manifest);
    if problems.is_empty() {
        return Ok(manifest);
    }
    Err(Unfit::Nonsense(problems.iter().take(MOST_PROBLEMS).map(|problem| one_line(problem)).collect()))
}

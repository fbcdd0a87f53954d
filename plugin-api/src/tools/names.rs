//! `plugin.operation` <-> a name that a model's server takes: letters, digits, `_` and `-`, at most 64. Pure.
//!
//! The names of plugins and operations hold no `-`, so one stands for the dot. A name too long is cut, and ends with a
//! hash of the whole: it is found again among the tools that were offered.

#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};

const LONGEST: usize = 64;
const HASH: usize = 10;

/// The name for the model.
pub fn for_model(tool: &str) -> String {
    let name = tool.replacen('.', "-", 1);
    if name.len() <= LONGEST && !name.contains('.') {
        return name;
    }
    let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, tool.as_bytes()));
    let hash: String = hash.chars().filter(char::is_ascii_alphanumeric).take(HASH).collect();
    let kept: String = name.chars().filter(|letter| *letter != '.').take(LONGEST - HASH - 2).collect();
    format!("{kept}--{hash}")
}

/// What a model that makes up a name probably means, for people who read it.
pub fn for_people(name: &str) -> String {
    name.replacen('-', ".", 1)
}

//! Random names, tokens and hashes as text. No token is ever kept: only its hash.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use plugin_api::error::OperationError;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

/// 32 random bytes, fit for an address.
pub fn token() -> Result<String, OperationError> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| OperationError::internal("no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What may lie in the database in place of a token.
pub fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// The hash of several texts, which are told apart by their lengths.
pub fn hash_of(parts: &[&str]) -> String {
    hash(&parts.iter().map(|part| format!("{}:{part}", part.len())).collect::<String>())
}

/// A name that nothing else has.
pub fn id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The name of a run: later ones sort after earlier ones.
pub fn run_id(now_ms: i64) -> String {
    format!("{now_ms:012x}{:020x}", rand::random::<u128>() >> 48)
}

/// A few letters that no text holds by chance.
pub fn mark() -> String {
    format!("{:016x}", rand::random::<u64>())
}

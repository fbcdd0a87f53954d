//! Random numbers and hashes as text.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use plugin_api::error::OperationError;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom as _, SystemRandom},
};

/// As many as an event's id has bytes.
const ID_BYTES: usize = 20;

/// 32 random bytes, fit for a cookie.
pub fn token() -> Result<String, OperationError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// What may lie in the database in place of a token.
pub fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// The id of an event that is made once for these parts; they are told apart by their lengths.
pub fn id_of(parts: &[&str]) -> String {
    let joined: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    base32hex(&digest(&SHA256, joined.as_bytes()).as_ref()[..ID_BYTES])
}

/// The id of an event that is like no other.
pub fn id() -> Result<String, OperationError> {
    Ok(base32hex(&random::<ID_BYTES>()?))
}

fn random<const N: usize>() -> Result<[u8; N], OperationError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| OperationError::internal("no random numbers"))?;
    Ok(bytes)
}

/// The alphabet that Google takes for ids: RFC 4648's base32hex, in lower case. Five bytes are eight letters.
fn base32hex(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let group = |five: &[u8]| five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letters =
        |bits: u64| (0..8).rev().map(move |place| char::from(LETTERS[(bits >> (place * 5) & 31) as usize]));
    bytes.chunks_exact(5).flat_map(|five| letters(group(five))).collect()
}

//! The secret key by which plugins keep secrets in the database: 32 bytes, as text. Never printed. A passphrase is no
//! key: what a person thinks up can be guessed, and a key that was pasted by halves would pass for one.

use std::{collections::BTreeSet, fmt};

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// The variable that gives it.
pub const SECRET_KEY_VARIABLE: &str = "SWITCHBOARD_SECRET_KEY";

/// How a person makes one.
pub(super) const HOW_TO_MAKE: &str = "`openssl rand -base64 32` prints a good one";

const LENGTH: usize = 32;

/// Random bytes have more different ones than this, but for one case in 10^40.
const FEWEST_DIFFERENT: usize = 8;

/// The key itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    bytes: [u8; LENGTH],
    text: String,
}

impl SecretKey {
    /// The key as it is written: 44 characters of base64, or 64 hexadecimal digits; what surrounds it is no part of it.
    ///
    /// # Errors
    /// What it is, that it must not be, and what to do about it.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let text = text.trim();
        let refuse = |refusal: String| (refusal, HOW_TO_MAKE.to_owned());
        let bytes = from_hex(text).or_else(|| from_base64(text)).ok_or_else(|| {
            refuse(format!(
                "is neither base64 nor hexadecimal digits; a key is {LENGTH} bytes in one of these forms"
            ))
        })?;
        let length = bytes.len();
        let bytes: [u8; LENGTH] = bytes
            .try_into()
            .map_err(|_| refuse(format!("holds {length} bytes, and a key has exactly {LENGTH}")))?;
        if bytes.iter().collect::<BTreeSet<_>>().len() < FEWEST_DIFFERENT {
            return Err(refuse("repeats itself, and could be guessed".to_owned()));
        }
        Ok(Self { bytes, text: text.to_owned() })
    }

    /// For the cipher.
    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.bytes
    }

    /// For who must know it in order to hide it.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey([secret])")
    }
}

/// Only what has the length of a key counts: shorter text may as well be base64.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * LENGTH)?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect())
}

/// Either alphabet, with padding or without.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [STANDARD, URL_SAFE].iter().find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE64: &str = "+/8QWm2k3J9vQ0xYc1Zt5b7uH8gA2eR4iLpOsTfUdWk=";

    #[test]
    fn a_key_is_written_in_several_ways() {
        let key = SecretKey::parse(BASE64).unwrap();
        let hex: String = key.bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let url_safe = BASE64.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned();
        for text in [format!(" {BASE64}\n"), hex.to_lowercase(), hex, url_safe] {
            assert_eq!(SecretKey::parse(&text).unwrap().bytes, key.bytes, "{text}");
        }
        assert_eq!(format!("{key:?}"), "SecretKey([secret])");
    }

    #[test]
    fn what_is_no_key() {
        for (text, expected) in [
            ("", "holds 0 bytes, and a key has exactly 32"),
            ("correct horse battery staple, and some more of it", "is neither base64 nor hexadecimal"),
            (&BASE64[..40], "holds 30 bytes, and a key has exactly 32"),
            (&"0".repeat(64), "repeats itself, and could be guessed"),
            (&"0123".repeat(8), "holds 24 bytes, and a key has exactly 32"),
        ] {
            let (refusal, hint) = SecretKey::parse(text).unwrap_err();
            assert!(refusal.starts_with(expected), "{text:?}: {refusal}");
            assert_eq!(hint, HOW_TO_MAKE);
        }
    }
}

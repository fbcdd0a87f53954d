//! A URL, parameters and a secret -> the signature that Twilio makes of them, or whether this one is it. Pure; compares in
//! constant time.
//!
//! What Twilio signs is the URL and, sorted by their bytes, each name with each different value, all in one string
//! without separators (twilio-python 9.13, `RequestValidator`).

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_api::settings::Secret;
use ring::hmac;

/// How it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// With the auth token always this one.
    Sha1,
    /// With a SharedKey, where its webhook setting says so.
    Sha256,
}

impl Algorithm {
    /// The algorithm of this name; `None` if it is none that we know.
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "HMAC_SHA1" => Some(Self::Sha1),
            "HMAC_SHA256" => Some(Self::Sha256),
            _ => None,
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }
}

/// The signature of this URL with these parameters.
pub fn sign(secret: &Secret, algorithm: Algorithm, url: &str, params: &[(String, String)]) -> String {
    let key = hmac::Key::new(algorithm.hmac(), secret.expose().as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{url}{}", sorted(params)).as_bytes()))
}

/// Whether the signature is one of one of these URLs with these parameters.
pub fn is_valid(
    secret: &Secret,
    algorithm: Algorithm,
    urls: &[String],
    params: &[(String, String)],
    signature: &str,
) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let key = hmac::Key::new(algorithm.hmac(), secret.expose().as_bytes());
    let params = sorted(params);
    urls.iter().any(|url| hmac::verify(&key, format!("{url}{params}").as_bytes(), &signature).is_ok())
}

/// The parameters as they are signed.
fn sorted(params: &[(String, String)]) -> String {
    let different: BTreeSet<_> = params.iter().collect();
    different.into_iter().flat_map(|(name, value)| [name.as_str(), value]).collect()
}

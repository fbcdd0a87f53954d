//! The operator's token, from a variable or a file. A secret: it is never printed, and compared in constant time.

use std::{fmt, path::Path, str::FromStr};

use plugin_api::files;
use subtle::ConstantTimeEq as _;

/// Fewer characters could be guessed.
const SHORTEST: usize = 16;

/// How a person makes one.
pub(super) const HOW_TO_MAKE: &str = "`openssl rand -hex 32` prints a good one";

/// What an operator proves himself by.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token as it is sent; what surrounds it is no part of it.
    ///
    /// # Errors
    /// What it is, that it must not be, and what to do about it.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let token = text.trim();
        let refusal = if token.is_empty() {
            "is empty".to_owned()
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            "has characters that are not allowed in an HTTP header".to_owned()
        } else if token.len() < SHORTEST {
            format!("has {} characters, fewer than {SHORTEST}", token.len())
        } else {
            return Ok(Self(token.to_owned()));
        };
        Err((refusal, HOW_TO_MAKE.to_owned()))
    }

    /// The token in a file.
    ///
    /// # Errors
    /// Why there is none in it, and what to do about it.
    pub(super) fn read(path: &Path) -> Result<Self, (String, String)> {
        match files::read_text(path) {
            Ok(text) => Self::parse(&text),
            Err(error) => {
                let hint = if error.is_missing() {
                    format!("write a token there: {HOW_TO_MAKE}")
                } else {
                    "it must be a text file that this user may read".to_owned()
                };
                Err((format!("cannot be read: {error}"), hint))
            }
        }
    }

    /// For who sends it, signs with it, or must know it in order to hide it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is the token. Takes no longer when more of it is right.
    pub fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }
}

/// As the variable gives it.
impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|(refusal, hint)| format!("the token {refusal}; {hint}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token([secret])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::parse(" correct-horse-battery\n").unwrap();
        assert!(token.is(b"correct-horse-battery"));
        for other in ["", "correct-horse-batterx", "correct-horse-batter", "correct-horse-battery\n"] {
            assert!(!token.is(other.as_bytes()), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "Token([secret])");
    }

    #[test]
    fn what_is_no_token() {
        for (text, expected) in [
            (" \n", "is empty"),
            ("fifteen-letters", "has 15 characters, fewer than 16"),
            ("two words are no token", "has characters that are not allowed in an HTTP header"),
            ("sixteen-lötters-and-more", "has characters that are not allowed in an HTTP header"),
        ] {
            assert_eq!(Token::parse(text).unwrap_err().0, expected, "{text:?}");
        }
    }
}

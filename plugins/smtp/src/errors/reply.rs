//! A negative answer of the server -> its codes, without its words.

use std::{error::Error as _, fmt};

use lettre::transport::smtp;

/// The codes of a negative answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reply code (RFC 5321), 400 to 599.
    pub code: u16,
    /// The enhanced status code (RFC 3463), if the server gives one.
    pub enhanced: Option<String>,
}

impl Reply {
    /// The answer behind an error, if the server gave one.
    pub fn of(error: &smtp::Error) -> Option<Self> {
        let code = error.status()?.into();
        let words = error.source().map(ToString::to_string).unwrap_or_default();
        Some(Self { code, enhanced: enhanced(&words) })
    }

    /// The server asks to try later.
    pub fn is_transient(&self) -> bool {
        self.code < 500
    }

    /// The server wants a login, another login, or encryption before it (RFC 4954).
    pub fn is_about_login(&self) -> bool {
        matches!(self.code, 530 | 534 | 535 | 538)
    }

    /// The mail is larger than the server takes (RFC 1870; RFC 3463, `x.3.4`).
    pub fn is_about_size(&self) -> bool {
        self.enhanced.as_deref().map_or(self.code == 552, |code| code.ends_with(".3.4"))
    }

    /// The server would not do it for anybody in our place: policy or security (RFC 3463, `x.7.x`), or a login.
    pub fn is_policy(&self) -> bool {
        let subject = self.enhanced.as_deref().and_then(|code| code.split('.').nth(1));
        self.is_about_login() || subject == Some("7")
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.enhanced {
            Some(enhanced) => write!(formatter, "SMTP {} {enhanced}", self.code),
            None => write!(formatter, "SMTP {}", self.code),
        }
    }
}

/// The enhanced status code that the words begin with.
fn enhanced(words: &str) -> Option<String> {
    let first = words.split_whitespace().next()?;
    let parts: Vec<&str> = first.split('.').collect();
    let number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && matches!(parts[0], "4" | "5") && parts.iter().all(number)).then(|| first.to_owned())
}

//! The token becomes a cookie, and a cookie proves that its browser once had the token. Nothing is kept of it but the
//! signature in the cookie itself, so that it holds on every host with the same token, and after a restart.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use ring::hmac;

use crate::config::Token;

/// How long a browser stays logged in, in seconds.
pub(in crate::http) const LIFETIME: i64 = 12 * 60 * 60;

/// How many cookies that were given back are remembered until they would have ended by themselves.
const MOST_ENDED: usize = 1024;

/// The sessions of one host.
pub(in crate::http) struct Sessions {
    key: hmac::Key,
    ended: Mutex<BTreeSet<Session>>,
}

/// What a cookie says. The number tells those of one second apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Session {
    ends: i64,
    number: u128,
}

impl Sessions {
    /// Sessions that end with this token.
    pub(super) fn new(token: &Token) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose().as_bytes());
        Self { key, ended: Mutex::default() }
    }

    /// The value of a new cookie.
    pub(in crate::http) fn begin(&self, now: Timestamp) -> String {
        let session = Session { ends: now.as_second() + LIFETIME, number: rand::random() };
        let said = session.said();
        let mut value = said.clone();
        value.push('.');
        for byte in hmac::sign(&self.key, said.as_bytes()).as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(value, "{byte:02x}");
        }
        value
    }

    /// Whether a cookie is one of ours and has not ended.
    pub(super) fn holds(&self, value: &str, now: Timestamp) -> bool {
        let session = self.read(value).filter(|session| session.ends > now.as_second());
        session.is_some_and(|session| !self.lock().contains(&session))
    }

    /// Ends a session here at once.
    pub(in crate::http) fn end(&self, value: &str, now: Timestamp) {
        let Some(session) = self.read(value) else { return };
        let mut ended = self.lock();
        ended.retain(|session| session.ends > now.as_second());
        if ended.len() == MOST_ENDED {
            ended.pop_first();
        }
        ended.insert(session);
    }

    /// What a cookie says, if we signed it.
    fn read(&self, value: &str) -> Option<Session> {
        let (said, signature) = value.rsplit_once('.')?;
        hmac::verify(&self.key, said.as_bytes(), &bytes(signature)?).ok()?;
        let (ends, number) = said.split_once('.')?;
        let (ends, number) = (ends.parse().ok()?, u128::from_str_radix(number, 16).ok()?);
        // Two spellings of one session would be two sessions.
        Some(Session { ends, number }).filter(|session| session.said() == said)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Session>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn said(self) -> String {
        format!("{}.{:032x}", self.ends, self.number)
    }
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn sessions(token: &str) -> Sessions {
        Sessions::new(&token.parse().unwrap())
    }

    fn later(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn holds_for_its_lifetime_wherever_the_token_is_the_same() {
        let value = sessions("correct-horse-battery").begin(later(0));
        let after_restart = sessions("correct-horse-battery");
        assert!(after_restart.holds(&value, later(LIFETIME - 1)));
        assert!(!after_restart.holds(&value, later(LIFETIME)));
        assert!(!sessions("another-horse-battery").holds(&value, later(0)));
    }

    #[test]
    fn is_over_once_it_is_ended() {
        let sessions = sessions("correct-horse-battery");
        let (one, other) = (sessions.begin(later(0)), sessions.begin(later(0)));
        sessions.end(&one, later(1));
        assert!(!sessions.holds(&one, later(1)));
        assert!(sessions.holds(&other, later(1)));
    }

    #[test]
    fn what_is_kept_of_the_past_is_bounded() {
        let sessions = sessions("correct-horse-battery");
        for _ in 0..MOST_ENDED + 5 {
            sessions.end(&sessions.begin(later(0)), later(0));
        }
        assert_eq!(sessions.lock().len(), MOST_ENDED);
        sessions.end(&sessions.begin(later(LIFETIME)), later(LIFETIME));
        assert_eq!(sessions.lock().len(), 1);
    }

    #[test]
    fn nothing_else_holds() {
        let sessions = sessions("correct-horse-battery");
        let value = sessions.begin(later(0));
        let longer = value.replacen("43200", "99999", 1);
        assert_ne!(longer, value);
        for forged in
            ["", ".", "..", "1.2.3", "ü.ü.ü", &longer, &value[..value.len() - 1], &format!("{value}0")]
        {
            assert!(!sessions.holds(forged, later(0)), "{forged}");
        }
    }
}

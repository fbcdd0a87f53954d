//! Wrong tokens are counted by client: beyond a few a minute the answer is to wait. The right token is never counted and
//! never refused, so that nobody can lock an operator out, even behind a proxy that makes all clients look alike. Memory
//! is bounded.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::http::shares::household;

const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// How many sources are remembered; beyond it the oldest is forgotten.
const MOST_SOURCES: usize = 1024;

/// The wrong tokens of late.
pub(in crate::http) struct Guesses {
    /// How many a source has within [`WINDOW`].
    most: u32,
    known: Mutex<HashMap<Option<IpAddr>, Attempts>>,
}

#[derive(Clone, Copy)]
struct Attempts {
    since: Timestamp,
    count: u32,
}

impl Guesses {
    /// So many wrong tokens a minute from one source.
    pub(in crate::http) fn at_most(most: u32) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// Counts a wrong token.
    ///
    /// # Errors
    /// There were too many; says for how long to wait.
    pub(in crate::http) fn wrong(&self, from: Option<IpAddr>, now: Timestamp) -> Result<(), SignedDuration> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let from = from.map(household);
        if known.len() >= MOST_SOURCES && !known.contains_key(&from) {
            known.retain(|_, attempts| now.duration_since(attempts.since) < WINDOW);
            forget_oldest(&mut known);
        }
        let attempts = known.entry(from).or_insert(Attempts { since: now, count: 0 });
        if now.duration_since(attempts.since) >= WINDOW {
            *attempts = Attempts { since: now, count: 0 };
        }
        if attempts.count == self.most {
            return Err(WINDOW - now.duration_since(attempts.since));
        }
        attempts.count += 1;
        Ok(())
    }

    /// The token was right: what went before counts no more.
    pub(in crate::http) fn forget(&self, from: Option<IpAddr>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&from.map(household));
    }
}

fn forget_oldest(known: &mut HashMap<Option<IpAddr>, Attempts>) {
    let oldest = known.iter().min_by_key(|(_, attempts)| attempts.since).map(|(source, _)| *source);
    if let Some(oldest) = oldest.filter(|_| known.len() >= MOST_SOURCES) {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const ATTEMPTS: u32 = 5;

    fn later(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_few_a_minute_for_each_source() {
        let guesses = Guesses::at_most(ATTEMPTS);
        let (one, other) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        for _ in 0..ATTEMPTS {
            guesses.wrong(one, later(0)).unwrap();
        }
        assert_eq!(guesses.wrong(one, later(20)), Err(SignedDuration::from_secs(40)));
        assert_eq!(guesses.wrong(other, later(20)), Ok(()));
        assert_eq!(guesses.wrong(one, later(60)), Ok(()));
        guesses.forget(one);
        for _ in 0..ATTEMPTS {
            guesses.wrong(one, later(61)).unwrap();
        }
    }

    #[test]
    fn a_network_of_addresses_is_one_source_and_the_memory_is_bounded() {
        let guesses = Guesses::at_most(ATTEMPTS);
        let in_network = |network: u128, host: u128| Some(Ipv6Addr::from_bits(network << 64 | host).into());
        for host in 0..u128::from(ATTEMPTS) {
            guesses.wrong(in_network(0, host), later(1)).unwrap();
        }
        assert!(guesses.wrong(in_network(0, 99), later(1)).is_err());
        for network in 1..2000 {
            guesses.wrong(in_network(network, 0), later(2)).unwrap();
        }
        assert_eq!(guesses.known.lock().unwrap().len(), MOST_SOURCES);
    }
}

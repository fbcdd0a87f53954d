//! What one client may have of something at once, so that the others have the rest. A client is an address; of IPv6, whose
//! networks have more addresses than anybody could count, the network of a household.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What clients have of one thing.
pub(super) struct Shares {
    /// How much of it a client may have.
    most: usize,
    held: Mutex<HashMap<Option<IpAddr>, usize>>,
}

/// A part of a client's share, until it is dropped.
pub(super) struct Part {
    shares: Arc<Shares>,
    of: Option<IpAddr>,
}

impl Shares {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: Mutex::default() })
    }

    /// How much of it a client may have.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// One more for this client; `None`: its share is used up.
    pub(super) fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Part> {
        let of = client.map(household);
        let mut held = self.lock();
        let has = held.get(&of).copied().unwrap_or_default();
        (has < self.most).then(|| {
            held.insert(of, has + 1);
            Part { shares: self.clone(), of }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut held = self.shares.lock();
        if let Some(has) = held.get_mut(&self.of) {
            *has -= 1;
            if *has == 0 {
                held.remove(&self.of);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or the first half of an IPv6 address.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        short => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_a_share_and_nothing_is_remembered() {
        let shares = Shares::new(2);
        let take = |address: &str| shares.take(Some(address.parse().unwrap()));
        let [one, two] = [take("192.0.2.1"), take("::ffff:192.0.2.1")];
        assert!(one.is_some() && two.is_some() && take("192.0.2.1").is_none());
        let [three, four] = [take("2001:db8::1"), take("2001:db8::ffff")];
        assert!(three.is_some() && four.is_some() && take("2001:db8::2").is_none());
        assert!(take("2001:db8:0:1::1").is_some() && take("192.0.2.2").is_some());
        drop(one);
        assert!(take("192.0.2.1").is_some());
        drop((two, three, four));
        assert!(shares.lock().is_empty());
    }
}

//! Connections that have not proved the secret: how many there may be, and which one goes.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::shared::lock;

/// The strangers of a transport.
#[derive(Debug)]
pub(super) struct Strangers {
    slots: Mutex<Slots>,
    max: usize,
    max_per_source: usize,
}

#[derive(Debug, Default)]
struct Slots {
    /// Oldest first.
    held: Vec<(u64, IpAddr, CancellationToken)>,
    next: u64,
}

/// A stranger's place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    strangers: Arc<Strangers>,
    number: u64,
    /// Cancelled when another stranger needs the place more.
    pub(super) evicted: CancellationToken,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = lock(&self.strangers.slots);
        slots.held.retain(|(number, ..)| *number != self.number);
    }
}

/// Whose connections are counted together: an address, or the /64 of an IPv6 one.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let prefix = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

impl Strangers {
    pub(super) fn new(max: usize, max_per_source: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::default(),
            max,
            max_per_source,
        })
    }

    /// A place for a connection from this address; `None` if it gets none. When all places are
    /// taken, the oldest of the source that holds most goes, unless this source holds as many.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let source = source(address);
        let mut slots = lock(&self.slots);
        let count = |of: IpAddr| slots.held.iter().filter(|(_, held, _)| *held == of).count();
        let own = count(source);
        if own >= self.max_per_source && !source.is_loopback() {
            return None;
        }
        if slots.held.len() >= self.max {
            let most = slots.held.iter().map(|(_, held, _)| count(*held)).max();
            if most.is_none_or(|most| most <= own + 1) {
                return None;
            }
            let oldest = slots
                .held
                .iter()
                .position(|(_, held, _)| Some(count(*held)) == most);
            if let Some(oldest) = oldest {
                slots.held.remove(oldest).2.cancel();
            }
        }
        let (number, evicted) = (slots.next, CancellationToken::new());
        slots.next += 1;
        slots.held.push((number, source, evicted.clone()));
        Some(Slot {
            strangers: Arc::clone(self),
            number,
            evicted,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        lock(&self.slots).held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_flood_from_one_address_does_not_keep_another_out() {
        let strangers = Strangers::new(8, 100);
        let flood: Vec<Slot> = (0..8)
            .map(|_| strangers.admit(ip("10.0.0.1")).unwrap())
            .collect();
        assert!(strangers.admit(ip("10.0.0.1")).is_none());
        let _other = strangers.admit(ip("10.0.0.2")).unwrap();
        assert!(flood[0].evicted.is_cancelled() && !flood[1].evicted.is_cancelled());
        assert_eq!(strangers.len(), 8);
        drop(flood);
        assert_eq!(strangers.len(), 1);
    }

    #[test]
    fn an_address_and_a_network_of_64_bits_have_their_share_and_loopback_has_all() {
        let strangers = Strangers::new(64, 2);
        let kept: Vec<_> = (0..3).map(|_| strangers.admit(ip("10.0.0.1"))).collect();
        assert_eq!(kept.iter().flatten().count(), 2);
        let kept: Vec<_> = (1..4)
            .map(|host| strangers.admit(ip(&format!("2001:db8::{host}"))))
            .collect();
        assert_eq!(kept.iter().flatten().count(), 2);
        let kept: Vec<_> = (0..3).map(|_| strangers.admit(ip("127.0.0.1"))).collect();
        assert_eq!(kept.iter().flatten().count(), 3);
    }
}

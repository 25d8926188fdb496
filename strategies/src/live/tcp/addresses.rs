//! The addresses to dial: those configured, and those learned from peers.
//!
//! An address belongs to the node that advertised it, with the boot that did. A later boot's word
//! replaces an earlier one's. What a third party relays never displaces what the node said itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::record::Place;
use crate::name::NodeId;

/// Learned addresses of one node.
const CANDIDATES_MAX: usize = 8;

/// The addresses of a transport, in bounded number.
pub(super) struct AddressBook {
    entries: BTreeMap<String, Entry>,
    addresses_max: usize,
}

struct Entry {
    /// Who was last found there, or advertised it.
    owner: Option<NodeId>,
    source: Source,
    /// Since when every dial has led nowhere.
    failing_since: Option<Instant>,
    handle: DialHandle,
}

/// How an address became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Configured,
    /// This boot of its owner advertised it, to this node.
    Direct(u64),
    /// A third party says that this boot of its owner advertised it.
    Relayed(u64),
}

impl Source {
    fn incarnation(self) -> Option<u64> {
        match self {
            Self::Configured => None,
            Self::Direct(incarnation) | Self::Relayed(incarnation) => Some(incarnation),
        }
    }
}

/// Controls the task that dials an address.
#[derive(Clone)]
pub(super) struct DialHandle {
    /// The address is forgotten.
    pub(super) stop: CancellationToken,
    /// Dial now instead of after the delay.
    pub(super) wake: Arc<Notify>,
}

impl AddressBook {
    pub(super) fn new(addresses_max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            addresses_max,
        }
    }

    /// Adds a configured address; it is never forgotten. `None` if it is there already.
    pub(super) fn configure(
        &mut self,
        address: &str,
        parent: &CancellationToken,
    ) -> Option<DialHandle> {
        if self.entries.contains_key(address) {
            return None;
        }
        Some(self.insert(address, None, Source::Configured, parent))
    }

    /// Adds an advertised address; `direct` if the node said it itself. `None` if there is nothing
    /// new to dial: the address is known, a later boot has advertised another, or there is no room.
    pub(super) fn learn(
        &mut self,
        place: &Place,
        direct: bool,
        parent: &CancellationToken,
    ) -> Option<DialHandle> {
        let Place {
            name,
            incarnation,
            address,
        } = place;
        if self.known_boot(name) > Some(*incarnation) {
            return None;
        }
        let source = match direct {
            true => Source::Direct(*incarnation),
            false => Source::Relayed(*incarnation),
        };
        if let Some(entry) = self.entries.get_mut(address) {
            if entry.owner.is_none() {
                entry.owner = Some(name.clone());
            }
            let is_its = entry.owner.as_ref() == Some(name);
            if entry.source != Source::Configured && (is_its || (direct && entry.is_failing())) {
                entry.owner = Some(name.clone());
                let is_direct = matches!(entry.source, Source::Direct(_));
                entry.source = match is_direct && is_its {
                    true => Source::Direct(*incarnation),
                    false => source,
                };
            }
            return None;
        }
        self.forget(|entry| {
            let is_earlier = entry.source.incarnation() < Some(*incarnation);
            let yields = direct || matches!(entry.source, Source::Relayed(_)) || entry.is_failing();
            entry.owner.as_ref() == Some(name) && is_earlier && yields
        });
        let own = |entry: &&Entry| {
            entry.source != Source::Configured && entry.owner.as_ref() == Some(name)
        };
        if self.entries.values().filter(own).count() >= CANDIDATES_MAX {
            self.forget(|entry| entry.owner.as_ref() == Some(name) && entry.is_failing());
        }
        if self.entries.values().filter(own).count() >= CANDIDATES_MAX {
            return None;
        }
        if self.entries.len() >= self.addresses_max {
            self.forget(Entry::is_failing);
        }
        if self.entries.len() >= self.addresses_max {
            return None;
        }
        Some(self.insert(address, Some(name), source, parent))
    }

    /// Adds the address that the program has for a node, and forgets what was learned of it before.
    pub(super) fn tell(
        &mut self,
        name: &NodeId,
        address: &str,
        parent: &CancellationToken,
    ) -> Option<DialHandle> {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.owner = Some(name.clone());
            return None;
        }
        self.left(name);
        Some(self.insert(address, Some(name), Source::Direct(0), parent))
    }

    /// True if an address is configured.
    pub(super) fn is_configured(&self, address: &str) -> bool {
        let entry = self.entries.get(address);
        entry.is_some_and(|entry| entry.source == Source::Configured)
    }

    /// The latest boot of a node that advertised an address known to work, or to this node itself.
    fn known_boot(&self, name: &NodeId) -> Option<u64> {
        let entries = self.entries.values();
        entries
            .filter(|entry| entry.owner.as_ref() == Some(name) && !entry.is_failing())
            .filter_map(|entry| entry.source.incarnation())
            .max()
    }

    /// Takes note of how a dial ended: with whom, or that it failed.
    pub(super) fn dialled(&mut self, address: &str, found: Option<&NodeId>, now: Instant) {
        if let Some(entry) = self.entries.get_mut(address) {
            match found {
                Some(name) => {
                    entry.failing_since = None;
                    entry.owner = Some(name.clone());
                }
                None => {
                    entry.failing_since.get_or_insert(now);
                }
            }
        }
    }

    /// Forgets a learned address where every dial has failed for `ttl`. Returns whether it did.
    pub(super) fn expire(&mut self, address: &str, ttl: Duration, now: Instant) -> bool {
        let is_over = self.entries.get(address).is_some_and(|entry| {
            let failing = entry.failing_since;
            entry.source != Source::Configured && failing.is_some_and(|since| now - since >= ttl)
        });
        if is_over {
            self.entries.remove(address);
        }
        is_over
    }

    /// Forgets what was learned of a node that left.
    pub(super) fn left(&mut self, name: &NodeId) {
        self.forget(|entry| entry.owner.as_ref() == Some(name));
    }

    /// The node last found at an address, or the one that advertised it.
    pub(super) fn owner(&self, address: &str) -> Option<NodeId> {
        self.entries.get(address)?.owner.clone()
    }

    /// Has the addresses of a node dialled at once.
    pub(super) fn wake(&self, name: &NodeId) {
        for entry in self.entries.values() {
            if entry.owner.as_ref() == Some(name) {
                entry.handle.wake.notify_one();
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn insert(
        &mut self,
        address: &str,
        owner: Option<&NodeId>,
        source: Source,
        parent: &CancellationToken,
    ) -> DialHandle {
        let handle = DialHandle {
            stop: parent.child_token(),
            wake: Arc::new(Notify::new()),
        };
        let entry = Entry {
            owner: owner.cloned(),
            source,
            failing_since: None,
            handle: handle.clone(),
        };
        self.entries.insert(address.to_owned(), entry);
        handle
    }

    /// Forgets those learned addresses.
    fn forget(&mut self, which: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| {
            let stays = entry.source == Source::Configured || !which(entry);
            if !stays {
                entry.handle.stop.cancel();
            }
            stays
        });
    }
}

impl Entry {
    fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, incarnation: u64, address: &str) -> Place {
        Place {
            name: name.into(),
            incarnation,
            address: address.to_owned(),
        }
    }

    fn said(book: &mut AddressBook, place: Place) -> Option<DialHandle> {
        book.learn(&place, true, &CancellationToken::new())
    }

    fn relayed(book: &mut AddressBook, place: Place) -> Option<DialHandle> {
        book.learn(&place, false, &CancellationToken::new())
    }

    #[test]
    fn a_node_that_moved_is_dialled_at_its_new_address_whatever_others_still_relay() {
        let mut book = AddressBook::new(10);
        let old = said(&mut book, place("b", 1, "b:1")).unwrap();
        assert!(said(&mut book, place("b", 1, "b:1")).is_none());
        assert!(said(&mut book, place("b", 2, "b:2")).is_some());
        assert!(old.stop.is_cancelled());
        assert!(relayed(&mut book, place("b", 1, "b:1")).is_none());
        assert_eq!((book.len(), book.owner("b:2")), (1, Some("b".into())));
    }

    #[test]
    fn a_third_party_does_not_displace_what_a_node_said_itself() {
        let mut book = AddressBook::new(10);
        let own = said(&mut book, place("b", 1, "b:1")).unwrap();
        assert!(relayed(&mut book, place("b", 9, "forged:1")).is_some());
        assert!(!own.stop.is_cancelled());
        book.dialled("forged:1", None, Instant::now());
        assert!(said(&mut book, place("b", 2, "b:2")).is_some());
        assert!(own.stop.is_cancelled());
    }

    #[test]
    fn a_node_has_several_addresses_and_no_more_than_eight() {
        let mut book = AddressBook::new(100);
        for number in 0..20 {
            let place = place("b", 1, &format!("b:{number}"));
            assert_eq!(relayed(&mut book, place).is_some(), number < 8);
        }
        assert!(relayed(&mut book, place("c", 1, "c:1")).is_some());
    }

    #[test]
    fn learned_addresses_go_with_a_leave_or_after_a_time_of_failures() {
        let mut book = AddressBook::new(10);
        let (start, hour) = (Instant::now(), Duration::from_secs(3_600));
        book.configure("a:1", &CancellationToken::new()).unwrap();
        let left = said(&mut book, place("b", 1, "b:1")).unwrap();
        book.left(&"b".into());
        assert!(left.stop.is_cancelled());
        said(&mut book, place("c", 1, "c:1")).unwrap();
        for address in ["a:1", "c:1"] {
            book.dialled(address, None, start);
            book.dialled(address, None, start + hour / 2);
        }
        assert!(!book.expire("c:1", hour, start + hour / 2));
        assert!(!book.expire("a:1", hour, start + hour));
        assert!(book.expire("c:1", hour, start + hour));
        assert_eq!(book.len(), 1);
    }

    #[test]
    fn configured_addresses_stay_and_make_room_for_nobody() {
        let (mut book, now) = (AddressBook::new(2), Instant::now());
        let handle = book.configure("b:1", &CancellationToken::new()).unwrap();
        book.dialled("b:1", Some(&"b".into()), now);
        book.dialled("b:1", None, now);
        assert!(said(&mut book, place("b", 1, "b:2")).is_some());
        assert!(said(&mut book, place("c", 1, "c:1")).is_none());
        assert!(!handle.stop.is_cancelled());
        book.dialled("b:2", None, now);
        assert!(said(&mut book, place("c", 1, "c:1")).is_some());
        assert_eq!((book.len(), book.owner("b:2")), (2, None));
        assert_eq!(book.owner("b:1"), Some("b".into()));
    }
}

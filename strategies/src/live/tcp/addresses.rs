//! The addresses to dial: those configured, and those learned from peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::name::NodeId;

/// The addresses of a transport, in bounded number.
pub(super) struct AddressBook {
    entries: BTreeMap<String, Entry>,
    addresses_max: usize,
}

struct Entry {
    /// Who was last found there.
    name: Option<NodeId>,
    configured: bool,
    /// The last dial led nowhere.
    failing: bool,
    handle: DialHandle,
}

/// How to reach the task that dials an address.
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
        Some(self.insert(address, None, parent))
    }

    /// Adds a learned address, and forgets what was learned of that node before. `None` if there is
    /// nothing to dial: the address is known, or there is no room.
    pub(super) fn learn(
        &mut self,
        name: &NodeId,
        address: &str,
        parent: &CancellationToken,
    ) -> Option<DialHandle> {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.name = Some(name.clone());
            return None;
        }
        self.forget(|entry| entry.name.as_ref() == Some(name));
        if self.entries.len() >= self.addresses_max {
            self.forget(|entry| entry.failing);
        }
        if self.entries.len() >= self.addresses_max {
            return None;
        }
        Some(self.insert(address, Some(name), parent))
    }

    /// Takes note of how a dial ended: with whom, or that it failed.
    pub(super) fn dialled(&mut self, address: &str, found: Option<&NodeId>) {
        if let Some(entry) = self.entries.get_mut(address) {
            entry.failing = found.is_none();
            if let Some(name) = found {
                entry.name = Some(name.clone());
            }
        }
    }

    /// Who was last found at an address.
    pub(super) fn name(&self, address: &str) -> Option<NodeId> {
        self.entries.get(address)?.name.clone()
    }

    /// Has the addresses of a node dialled at once.
    pub(super) fn wake(&self, name: &NodeId) {
        for entry in self.entries.values() {
            if entry.name.as_ref() == Some(name) {
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
        name: Option<&NodeId>,
        parent: &CancellationToken,
    ) -> DialHandle {
        let handle = DialHandle {
            stop: parent.child_token(),
            wake: Arc::new(Notify::new()),
        };
        let entry = Entry {
            name: name.cloned(),
            configured: name.is_none(),
            failing: false,
            handle: handle.clone(),
        };
        self.entries.insert(address.to_owned(), entry);
        handle
    }

    /// Forgets those learned addresses.
    fn forget(&mut self, which: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| {
            let stays = entry.configured || !which(entry);
            if !stays {
                entry.handle.stop.cancel();
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(book: &mut AddressBook, name: &str, address: &str) -> Option<DialHandle> {
        book.learn(&name.into(), address, &CancellationToken::new())
    }

    #[test]
    fn a_node_that_moved_is_dialled_at_its_new_address_only() {
        let mut book = AddressBook::new(10);
        let old = learn(&mut book, "b", "b:1").unwrap();
        assert!(learn(&mut book, "b", "b:1").is_none());
        assert!(learn(&mut book, "b", "b:2").is_some());
        assert!(old.stop.is_cancelled());
        assert_eq!(book.len(), 1);
    }

    #[test]
    fn configured_addresses_stay_and_make_room_for_nobody() {
        let mut book = AddressBook::new(2);
        let handle = book.configure("b:1", &CancellationToken::new()).unwrap();
        book.dialled("b:1", Some(&"b".into()));
        book.dialled("b:1", None);
        assert!(learn(&mut book, "b", "b:2").is_some());
        assert!(learn(&mut book, "c", "c:1").is_none());
        assert!(!handle.stop.is_cancelled());
        book.dialled("b:2", None);
        assert!(learn(&mut book, "c", "c:1").is_some());
        assert_eq!((book.len(), book.name("b:2")), (2, None));
        assert_eq!(book.name("b:1"), Some("b".into()));
    }
}

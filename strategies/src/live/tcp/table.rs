//! Who is connected, who is being dialled, and which of two connections of a pair stays.
//!
//! One lock guards all of it, so that every decision is made on one state. The rules:
//!
//! - A connection of a later boot replaces that of an earlier one; one of an equal or earlier boot
//!   is refused while the other stands.
//! - When both dial, the dial of the lower name stays: a node refuses the greeting of a higher
//!   name that it is dialling itself, and takes that of a lower one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::outbox::Outbox;
use super::record::{Code, Greeting};
use crate::live::transport::PeerLeave;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// A connection that both sides agreed on.
pub(super) struct Peer {
    pub(super) name: NodeId,
    pub(super) incarnation: u64,
    /// Where it can be dialled, as seen from here.
    pub(super) address: String,
    pub(super) outbox: Outbox,
    /// Ends the connection's tasks.
    pub(super) stop: CancellationToken,
    /// Cancelled once its end was reported.
    pub(super) finished: CancellationToken,
    reason: OnceLock<DownReason>,
    /// Everything, up to the good-bye, was written.
    written: AtomicBool,
    /// The peer has read all of that, and closed its half.
    arrived: AtomicBool,
}

impl Peer {
    pub(super) fn new(
        greeting: &Greeting,
        address: String,
        outbox: Outbox,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: greeting.name.clone(),
            incarnation: greeting.incarnation,
            address,
            outbox,
            stop,
            finished: CancellationToken::new(),
            reason: OnceLock::new(),
            written: AtomicBool::new(false),
            arrived: AtomicBool::new(false),
        })
    }

    /// Ends the connection; the first reason given is the one that is reported.
    pub(super) fn close(&self, reason: DownReason) {
        self.reason.get_or_init(|| reason);
        self.stop.cancel();
    }

    /// The writer has nothing more to write.
    pub(super) fn written_to_end(&self) {
        self.written.store(true, Ordering::Release);
    }

    /// The peer closed its half in an orderly way: it has read what was written.
    pub(super) fn read_to_end(&self) {
        let written = self.written.load(Ordering::Acquire);
        self.arrived.store(written, Ordering::Release);
    }

    /// How the connection ended, after a good-bye.
    pub(super) fn end(&self) -> PeerLeave {
        let arrived = self.arrived.load(Ordering::Acquire);
        PeerLeave::new(self.name.clone(), arrived, self.outbox.unsent())
    }

    /// Why it ended; [`DownReason::Closed`] unless someone said otherwise.
    pub(super) fn reason(&self) -> DownReason {
        *self.reason.get_or_init(|| DownReason::Closed)
    }
}

/// The connections of a node and its dials under way.
pub(super) struct Table {
    name: NodeId,
    incarnation: u64,
    peers: BTreeMap<NodeId, Arc<Peer>>,
    /// Nodes that were greeted by a dial of ours, and have not answered yet.
    greeted: BTreeSet<NodeId>,
    /// Addresses where a dial of ours awaits the listener's name.
    unnamed: BTreeSet<String>,
}

/// What a dial learns when the listener has said its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Go on and greet it.
    Granted,
    /// It is this very node.
    Myself,
    /// It is connected already, or about to be.
    Connected,
    /// Another node of this name is connected, or it is this node's own name.
    NameTaken,
}

impl Table {
    pub(super) fn new(name: NodeId, incarnation: u64) -> Self {
        Self {
            name,
            incarnation,
            peers: BTreeMap::new(),
            greeted: BTreeSet::new(),
            unnamed: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, name: &NodeId) -> Option<&Arc<Peer>> {
        self.peers.get(name)
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &Arc<Peer>> {
        self.peers.values()
    }

    /// A dial reached a listener whose name is not known yet.
    pub(super) fn begin(&mut self, address: &str) {
        self.unnamed.insert(address.to_owned());
    }

    /// A dial is over, or its listener has a name now.
    pub(super) fn end(&mut self, address: &str) {
        self.unnamed.remove(address);
    }

    /// The listener of a dial has said its name: may the dial go on?
    pub(super) fn claim(&mut self, listener: &Greeting) -> Claim {
        if listener.name == self.name {
            return if listener.incarnation == self.incarnation {
                Claim::Myself
            } else {
                Claim::NameTaken
            };
        }
        if let Some(peer) = self.peers.get(&listener.name) {
            if peer.incarnation == listener.incarnation {
                return Claim::Connected;
            }
            if peer.incarnation > listener.incarnation {
                return Claim::NameTaken;
            }
        }
        if self.greeted.insert(listener.name.clone()) {
            Claim::Granted
        } else {
            Claim::Connected
        }
    }

    /// Gives up what [`Table::claim`] granted.
    pub(super) fn unclaim(&mut self, name: &NodeId) {
        self.greeted.remove(name);
    }

    /// The listener of a claimed dial has accepted.
    ///
    /// # Errors
    /// Another connection came in between, and stays.
    pub(super) fn install_dialled(&mut self, peer: &Arc<Peer>) -> Result<Option<Arc<Peer>>, Code> {
        self.unclaim(&peer.name);
        self.install(peer)
    }

    /// A dialler has proved the secret and said its name.
    ///
    /// # Errors
    /// It is refused, with this code.
    pub(super) fn install_accepted(&mut self, peer: &Arc<Peer>) -> Result<Option<Arc<Peer>>, Code> {
        let dialling = self.greeted.contains(&peer.name) || self.unnamed.contains(&peer.address);
        if dialling && self.name < peer.name {
            return Err(Code::Duplicate);
        }
        self.install(peer)
    }

    /// Puts a connection in its place, and returns the one of an earlier boot that it replaces.
    fn install(&mut self, peer: &Arc<Peer>) -> Result<Option<Arc<Peer>>, Code> {
        if peer.name == self.name {
            return Err(Code::NameTaken);
        }
        match self.peers.get(&peer.name) {
            Some(old) if old.incarnation >= peer.incarnation => Err(Code::NameTaken),
            Some(_) | None => Ok(self.peers.insert(peer.name.clone(), Arc::clone(peer))),
        }
    }

    /// Takes a connection out, unless another has replaced it.
    pub(super) fn remove(&mut self, peer: &Arc<Peer>) {
        if self
            .peers
            .get(&peer.name)
            .is_some_and(|now| Arc::ptr_eq(now, peer))
        {
            self.peers.remove(&peer.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(name: &str, incarnation: u64) -> Greeting {
        Greeting {
            name: name.into(),
            incarnation,
            advertise: format!("{name}:1"),
        }
    }

    fn peer(name: &str, incarnation: u64) -> Arc<Peer> {
        let greeting = greeting(name, incarnation);
        let address = greeting.advertise.clone();
        Peer::new(
            &greeting,
            address,
            Outbox::new(0, 0),
            CancellationToken::new(),
        )
    }

    fn table() -> Table {
        Table::new("m".into(), 7)
    }

    #[test]
    fn a_later_boot_replaces_an_earlier_one_and_nothing_else_does() {
        let mut table = table();
        let first = peer("b", 5);
        assert!(
            table
                .install_accepted(&first)
                .is_ok_and(|old| old.is_none())
        );
        for incarnation in [4, 5] {
            let refused = table.install_accepted(&peer("b", incarnation));
            assert_eq!(refused.err(), Some(Code::NameTaken));
        }
        let old = table.install_accepted(&peer("b", 6)).unwrap().unwrap();
        assert!(Arc::ptr_eq(&old, &first));
        table.remove(&first);
        assert!(
            table
                .get(&"b".into())
                .is_some_and(|now| now.incarnation == 6)
        );
    }

    #[test]
    fn nobody_else_may_have_this_nodes_name() {
        let mut table = table();
        assert_eq!(
            table.install_accepted(&peer("m", 9)).err(),
            Some(Code::NameTaken)
        );
        assert_eq!(table.claim(&greeting("m", 9)), Claim::NameTaken);
        assert_eq!(table.claim(&greeting("m", 7)), Claim::Myself);
    }

    #[test]
    fn when_both_dial_the_dial_of_the_lower_name_stays() {
        let mut table = table();
        assert_eq!(table.claim(&greeting("a", 1)), Claim::Granted);
        assert_eq!(table.claim(&greeting("z", 1)), Claim::Granted);
        assert!(table.install_accepted(&peer("a", 1)).is_ok());
        assert_eq!(
            table.install_accepted(&peer("z", 1)).err(),
            Some(Code::Duplicate)
        );
        assert_eq!(
            table.install_dialled(&peer("a", 1)).err(),
            Some(Code::NameTaken)
        );
        assert!(table.install_dialled(&peer("z", 1)).is_ok());
    }

    #[test]
    fn a_dial_without_a_name_yet_counts_by_its_address() {
        let mut table = table();
        table.begin("a:1");
        table.begin("z:1");
        assert!(table.install_accepted(&peer("a", 1)).is_ok());
        assert_eq!(
            table.install_accepted(&peer("z", 1)).err(),
            Some(Code::Duplicate)
        );
        table.end("z:1");
        assert!(table.install_accepted(&peer("z", 1)).is_ok());
    }

    #[test]
    fn a_second_dial_of_one_node_leaves_it_to_the_first() {
        let mut table = table();
        assert_eq!(table.claim(&greeting("b", 1)), Claim::Granted);
        assert_eq!(table.claim(&greeting("b", 1)), Claim::Connected);
        table.unclaim(&"b".into());
        assert_eq!(table.claim(&greeting("b", 1)), Claim::Granted);
        assert!(table.install_dialled(&peer("b", 1)).is_ok());
        assert_eq!(table.claim(&greeting("b", 1)), Claim::Connected);
        assert_eq!(table.claim(&greeting("b", 0)), Claim::NameTaken);
        assert_eq!(table.claim(&greeting("b", 2)), Claim::Granted);
    }
}

//! Who is connected, who is being dialled, and which of two connections of a pair stays.
//!
//! One lock guards all of it, so that every decision is made on one state. The rules:
//!
//! - A connection of a later boot replaces that of an earlier one; one of an earlier boot is refused
//!   while the other stands. One of an equal boot replaces it when the other shows no sign of life.
//! - When both dial, the dial of the lower name stays: a node refuses the greeting of a higher
//!   name that it is dialling itself, and takes that of a lower one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::outbox::Outbox;
use super::record::{Denial, Greeting};
use super::secret::Secret;
use crate::live::transport::PeerLeave;
use crate::name::NodeId;
use crate::runtime::DownReason;

/// A connection that both sides agreed on.
pub(super) struct Peer {
    pub(super) name: NodeId,
    pub(super) incarnation: u64,
    /// Where it says that it can be dialled.
    pub(super) advertised: String,
    /// Where it can be dialled, as seen from here.
    pub(super) address: String,
    /// True if it is connected over loopback.
    pub(super) is_near: bool,
    /// The secret that both sides have proved.
    pub(super) secret: Secret,
    pub(super) outbox: Outbox,
    /// Ends the connection's tasks.
    pub(super) stop: CancellationToken,
    /// Cancelled once its end was reported.
    pub(super) finished: CancellationToken,
    reason: OnceLock<DownReason>,
    /// Frames received.
    frames: AtomicU64,
    /// A connection of the same boot has taken its place: its end is not reported.
    superseded: AtomicBool,
    /// What is queued still goes over this connection before the one that takes its place is used.
    hands_over: AtomicBool,
    /// Everything, up to the good-bye, was written.
    written: AtomicBool,
    /// The peer has read all of that, and closed its half.
    arrived: AtomicBool,
}

impl Peer {
    pub(super) fn new(
        greeting: &Greeting,
        address: String,
        is_near: bool,
        secret: Secret,
        outbox: Outbox,
        stop: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: greeting.name.clone(),
            incarnation: greeting.incarnation,
            advertised: greeting.advertise.clone(),
            address,
            is_near,
            secret,
            outbox,
            stop,
            finished: CancellationToken::new(),
            reason: OnceLock::new(),
            frames: AtomicU64::new(0),
            superseded: AtomicBool::new(false),
            hands_over: AtomicBool::new(false),
            written: AtomicBool::new(false),
            arrived: AtomicBool::new(false),
        })
    }

    /// Ends the connection; the first reason given is the one that is reported.
    pub(super) fn close(&self, reason: DownReason) {
        self.reason.get_or_init(|| reason);
        self.stop.cancel();
    }

    /// Counts a frame that was received.
    pub(super) fn count_frame(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// The frames received so far: a count that grows shows that the connection is alive.
    pub(super) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// True if a connection of the same boot has taken its place.
    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    /// True if what is queued still goes over this connection, though another takes its place.
    pub(super) fn hands_over(&self) -> bool {
        self.hands_over.load(Ordering::Acquire)
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
    dialling: BTreeSet<NodeId>,
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

/// Why a connection is not taken up.
pub(super) enum Conflict {
    /// The listener tells the dialler so.
    Denied(Denial),
    /// A connection of the same boot stands: only its silence makes room for the new one.
    Equal(Arc<Peer>),
}

impl Table {
    pub(super) fn new(name: NodeId, incarnation: u64) -> Self {
        Self {
            name,
            incarnation,
            peers: BTreeMap::new(),
            dialling: BTreeSet::new(),
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
        if self.dialling.insert(listener.name.clone()) {
            Claim::Granted
        } else {
            Claim::Connected
        }
    }

    /// Gives up what [`Table::claim`] granted.
    pub(super) fn unclaim(&mut self, name: &NodeId) {
        self.dialling.remove(name);
    }

    /// The listener of a claimed dial has accepted.
    ///
    /// # Errors
    /// Another connection came in between, and stays.
    pub(super) fn install_dialled(
        &mut self,
        peer: &Arc<Peer>,
    ) -> Result<Option<Arc<Peer>>, Conflict> {
        self.unclaim(&peer.name);
        self.install(peer)
    }

    /// A dialler has proved the secret and said its name.
    ///
    /// # Errors
    /// It is refused, or must wait until the connection that stands has had time to show a sign of
    /// life: then [`Self::replace`] is called.
    pub(super) fn install_accepted(
        &mut self,
        peer: &Arc<Peer>,
    ) -> Result<Option<Arc<Peer>>, Conflict> {
        let dialling = self.dialling.contains(&peer.name) || self.unnamed.contains(&peer.address);
        if dialling && self.name < peer.name {
            return Err(Conflict::Denied(Denial::Duplicate));
        }
        self.install(peer)
    }

    /// Puts a connection in its place, and returns the one of an earlier boot that it replaces.
    fn install(&mut self, peer: &Arc<Peer>) -> Result<Option<Arc<Peer>>, Conflict> {
        if peer.name == self.name {
            let seen = self.incarnation;
            return Err(Conflict::Denied(Denial::NameTaken { seen }));
        }
        match self.peers.get(&peer.name) {
            Some(old) if old.incarnation > peer.incarnation => {
                let seen = old.incarnation;
                Err(Conflict::Denied(Denial::NameTaken { seen }))
            }
            Some(old) if old.incarnation == peer.incarnation => {
                Err(Conflict::Equal(Arc::clone(old)))
            }
            Some(_) | None => Ok(self.peers.insert(peer.name.clone(), Arc::clone(peer))),
        }
    }

    /// Puts a connection in the place of one of the same boot, with all that is queued there, and
    /// returns the old one; nothing, if that is not in its place any more.
    pub(super) fn replace(&mut self, old: &Arc<Peer>, peer: &Arc<Peer>) -> Option<Arc<Peer>> {
        let current = self.peers.get(&peer.name)?;
        if !Arc::ptr_eq(current, old) {
            return None;
        }
        old.superseded.store(true, Ordering::Release);
        // No message is queued meanwhile: senders find the connection under the same lock.
        old.outbox.move_to(&peer.outbox);
        self.peers.insert(peer.name.clone(), Arc::clone(peer))
    }

    /// Puts a connection in the place of one of the same boot, which ends when all that is queued
    /// there has arrived, and returns the old one; nothing, if there is none.
    pub(super) fn hand_over(&mut self, peer: &Arc<Peer>) -> Option<Arc<Peer>> {
        let old = self.peers.get(&peer.name)?;
        if old.incarnation != peer.incarnation {
            return None;
        }
        old.superseded.store(true, Ordering::Release);
        old.hands_over.store(true, Ordering::Release);
        old.outbox.close(None);
        self.peers.insert(peer.name.clone(), Arc::clone(peer))
    }

    /// This boot of the node.
    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Takes a later incarnation: this node was seen with that one before.
    pub(super) fn set_incarnation(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
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
    use super::super::record::StrategyMark;
    use super::*;

    /// What a listener would answer.
    fn denial(installed: Result<Option<Arc<Peer>>, Conflict>) -> Option<Denial> {
        match installed {
            Err(Conflict::Denied(denial)) => Some(denial),
            Err(Conflict::Equal(_)) | Ok(_) => None,
        }
    }

    fn greeting(name: &str, incarnation: u64) -> Greeting {
        Greeting {
            name: name.into(),
            incarnation,
            advertise: format!("{name}:1"),
            strategy: StrategyMark {
                name: "test".to_owned(),
                hash: 0,
            },
        }
    }

    fn peer(name: &str, incarnation: u64) -> Arc<Peer> {
        let greeting = greeting(name, incarnation);
        let address = greeting.advertise.clone();
        Peer::new(
            &greeting,
            address,
            true,
            Secret::of_hub_id("test"),
            Outbox::new(1 << 20, 1 << 20),
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
        let refused = table.install_accepted(&peer("b", 4));
        assert_eq!(denial(refused), Some(Denial::NameTaken { seen: 5 }));
        let old = table.install_accepted(&peer("b", 6)).ok().flatten();
        let old = old.expect("the earlier boot is replaced");
        assert!(Arc::ptr_eq(&old, &first));
        table.remove(&first);
        assert!(
            table
                .get(&"b".into())
                .is_some_and(|now| now.incarnation == 6)
        );
    }

    #[test]
    fn a_connection_of_the_same_boot_takes_the_place_of_a_silent_one_with_its_queue() {
        let mut table = table();
        let (old, new) = (peer("b", 5), peer("b", 5));
        assert!(table.install_accepted(&old).is_ok());
        old.outbox.push(0, "queued".into(), None).unwrap();
        let Err(Conflict::Equal(standing)) = table.install_accepted(&new) else {
            panic!("it is installed at once");
        };
        assert!(table.replace(&standing, &new).is_some());
        assert!(old.is_superseded() && !new.is_superseded());
        assert_eq!((old.outbox.messages(), new.outbox.messages()), (0, 1));
        assert!(table.replace(&standing, &peer("b", 5)).is_none());
    }

    #[test]
    fn nobody_else_may_have_this_nodes_name() {
        let mut table = table();
        assert_eq!(
            denial(table.install_accepted(&peer("m", 9))),
            Some(Denial::NameTaken { seen: 7 })
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
            denial(table.install_accepted(&peer("z", 1))),
            Some(Denial::Duplicate)
        );
        let second = table.install_dialled(&peer("a", 1));
        assert!(matches!(second, Err(Conflict::Equal(_))));
        assert!(table.install_dialled(&peer("z", 1)).is_ok());
    }

    #[test]
    fn a_dial_without_a_name_yet_counts_by_its_address() {
        let mut table = table();
        table.begin("a:1");
        table.begin("z:1");
        assert!(table.install_accepted(&peer("a", 1)).is_ok());
        assert_eq!(
            denial(table.install_accepted(&peer("z", 1))),
            Some(Denial::Duplicate)
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

//! Where real hubs meet the witness: one turn at a time, on one clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hublab_sim::scenario::NodeIx;
use hublab_sim::witness::{Fate, Reception, Witness};
use hublab_strategies::child::Row;
use hublab_strategies::live::{Arrival, Filter, FilterVerdict, HubEvent, Observer};
use hublab_strategies::time::micros;
use hublab_strategies::{Channel, ChildSpec, NodeId, Time};

/// What timers and sockets add to the delay of a message, on average: a timer comes up to a
/// millisecond late.
const TOLL: Duration = Duration::from_micros(500);

/// What all nodes of a run share.
pub(super) struct Stage {
    /// Held by whoever makes a step: a hub, or the script. So steps are atomic, as simulated ones.
    turn: Mutex<()>,
    /// Gone once the run is over.
    witness: Mutex<Option<Witness>>,
    /// When the run began; not before all hubs of the start are connected.
    epoch: OnceLock<Instant>,
    positions: BTreeMap<NodeId, NodeIx>,
}

impl Stage {
    pub(super) fn new(witness: Witness, names: &[NodeId]) -> Self {
        Self {
            turn: Mutex::new(()),
            witness: Mutex::new(Some(witness)),
            epoch: OnceLock::new(),
            positions: names.iter().cloned().zip(0..).collect(),
        }
    }

    /// Begins the run, unless it has begun; answers when that was.
    pub(super) fn begin(&self) -> Instant {
        *self.epoch.get_or_init(Instant::now)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.epoch.get().is_some()
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        // There is nothing in it that a panic could leave half-done.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells or asks the witness; nothing once the run is over.
    fn with<T>(&self, ask: impl FnOnce(&mut Witness) -> T) -> Option<T> {
        let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        witness.as_mut().map(ask)
    }

    /// The same between steps, with the clock brought up to date.
    pub(super) fn between<T>(&self, ask: impl FnOnce(&mut Witness) -> T) -> Option<T> {
        let _turn = self.turn();
        self.with(|witness| {
            witness.advance(self.now());
            ask(witness)
        })
    }

    /// Ends the run for the witness.
    pub(super) fn take_witness(&self) -> Option<Witness> {
        let _turn = self.turn();
        let mut witness = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        witness.take()
    }

    pub(super) fn now(&self) -> Time {
        let epoch = self.epoch.get();
        Time(epoch.map_or(0, |epoch| micros(epoch.elapsed())))
    }

    fn names(&self, nodes: &[NodeIx]) -> Vec<NodeId> {
        let named = self.positions.iter();
        let named = named.filter(|(_, node)| nodes.contains(node));
        named.map(|(name, _)| name.clone()).collect()
    }

    fn position(&self, node: &NodeId) -> Option<NodeIx> {
        self.positions.get(node).copied()
    }
}

/// One incarnation of one node, as the stage sees it.
pub(super) struct Tap {
    stage: Arc<Stage>,
    node: NodeIx,
    incarnation: u32,
    heartbeat: Duration,
    /// The kind of the message that the hub hands to its transport just now: it hands over one at
    /// a time.
    kind: Mutex<&'static str>,
}

impl Tap {
    pub(super) fn new(
        stage: Arc<Stage>,
        node: NodeIx,
        incarnation: u32,
        heartbeat: Duration,
    ) -> Self {
        Self {
            stage,
            node,
            incarnation,
            heartbeat,
            kind: Mutex::new(""),
        }
    }

    fn kind(&self) -> MutexGuard<'_, &'static str> {
        self.kind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the witness, if this incarnation still runs for it.
    fn tell(&self, tell: impl FnOnce(&mut Witness)) {
        self.stage.with(|witness| {
            if witness.runs(self.node, self.incarnation) {
                tell(witness);
            }
        });
    }

    fn tell_between(&self, tell: impl FnOnce(&mut Witness)) {
        self.stage.between(|witness| {
            if witness.runs(self.node, self.incarnation) {
                tell(witness);
            }
        });
    }
}

impl Observer for Tap {
    fn step(&self, step: &mut dyn FnMut()) {
        let _turn = self.stage.turn();
        self.stage.with(|witness| witness.advance(self.stage.now()));
        step();
        self.tell(|witness| witness.step_done(self.node));
    }

    fn event(&self, event: &HubEvent) {
        let node = self.node;
        match event {
            HubEvent::Row { child, after, .. } => {
                let gone = || Row {
                    spec: ChildSpec::new(child.clone(), ""),
                    entries: Default::default(),
                    metadata: Default::default(),
                    entry_metadata: Default::default(),
                    expires_at: None,
                };
                let row = after.as_ref().map_or_else(gone, |row| Row::clone(row));
                self.tell(|witness| witness.row(node, row));
            }
            HubEvent::Members(view) => self.tell(|witness| witness.view(node, view.clone())),
            HubEvent::PeerUp {
                node: peer,
                incarnation,
            } => {
                if let Some(peer) = self.stage.position(peer) {
                    self.tell_between(|witness| witness.peer_up(node, peer, *incarnation));
                }
            }
            HubEvent::PeerDown { node: peer, reason } => {
                if let Some(peer) = self.stage.position(peer) {
                    self.tell_between(|witness| witness.peer_down(node, peer, *reason));
                }
            }
            HubEvent::ChildStarted {
                child,
                pid,
                metadata,
            } => self.tell(|witness| {
                witness.child_started(node, child, pid.clone(), metadata.clone());
            }),
            HubEvent::ChildRestarted { child, pid } => {
                self.tell(|witness| witness.child_restarted(node, child, pid.clone()));
            }
            HubEvent::ChildEnded { child, .. } => {
                self.tell(|witness| witness.child_stopped(node, child));
            }
            // Nothing of these concerns a run.
            HubEvent::ChildCrashed { .. } | HubEvent::Missed(_) | HubEvent::Evicted { .. } => {}
            _ => {}
        }
    }

    fn sent(&self, to: &NodeId, kind: &'static str, bytes: u64) {
        *self.kind() = kind;
        if let Some(to) = self.stage.position(to) {
            self.stage
                .with(|witness| witness.sent(self.node, to, kind, bytes));
        }
    }

    fn audience(&self) -> Vec<NodeId> {
        let addressed = self.stage.with(|witness| witness.audience(self.node));
        self.stage.names(&addressed.unwrap_or_default())
    }

    fn waits(&self, to: &NodeId) -> bool {
        let to = self.stage.position(to);
        let connects = |to| self.stage.with(|witness| witness.connects(self.node, to));
        to.and_then(connects).unwrap_or(false)
    }

    fn unsent(&self, to: &NodeId, kind: &'static str) {
        if let Some(to) = self.stage.position(to) {
            self.stage
                .with(|witness| witness.unsent(self.node, to, kind));
        }
    }

    fn arrived(&self, from: &NodeId, kind: &'static str) -> Arrival {
        let Some(from) = self.stage.position(from) else {
            return Arrival::Drop;
        };
        let reception = self.stage.between(|witness| {
            if witness.runs(self.node, self.incarnation) {
                witness.arrived(from, self.node, kind)
            } else {
                Reception::Lost
            }
        });
        match reception {
            Some(Reception::Handled) | None => Arrival::Take,
            Some(Reception::Lost) => Arrival::Drop,
            Some(Reception::Held) => Arrival::Hold,
        }
    }
}

impl Filter for Tap {
    fn judge(
        &self,
        _from: &NodeId,
        to: &NodeId,
        channel: Option<Channel>,
        bytes: usize,
    ) -> FilterVerdict {
        let Some(to) = self.stage.position(to) else {
            return FilterVerdict::Drop;
        };
        let Some(channel) = channel else {
            let barred = self.stage.with(|witness| witness.is_barred(self.node, to));
            return match barred {
                Some(true) => FilterVerdict::Drop,
                Some(false) | None => FilterVerdict::Pass,
            };
        };
        let (kind, bytes) = (*self.kind(), bytes as u64);
        let fate = self
            .stage
            .with(|witness| witness.fate(self.node, to, channel, kind, bytes));
        match fate {
            Some(Fate::Lost) => FilterVerdict::Drop,
            Some(Fate::Arrives {
                after,
                again,
                ordered,
            }) => FilterVerdict::Copies {
                first: Duration::from_micros(after).saturating_sub(TOLL),
                second: again.map(|after| Duration::from_micros(after).saturating_sub(TOLL)),
                ordered,
            },
            None => FilterVerdict::Pass,
        }
    }

    fn patience(&self, _node: &NodeId, peer: &NodeId) -> Option<Duration> {
        let peer = self.stage.position(peer)?;
        let silence = self
            .stage
            .with(|witness| witness.patience(self.node, peer))?;
        // Counted from the last heartbeat, half an interval before the silence on average.
        Some(Duration::from_micros(silence) + self.heartbeat / 2)
    }
}

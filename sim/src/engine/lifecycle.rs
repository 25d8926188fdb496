//! Boots, stops, pauses, and the children that really run.

use std::collections::VecDeque;

use hublab_strategies::hub::Command;
use hublab_strategies::{ChildId, Metadata, Pid, Time};

use super::flight::{Flights, Place};
use super::state::Waiting;
use super::{Engine, Immediate};
use crate::memory;
use crate::model::{Lifecycle, NodeIx, Transition};
use crate::network::LinkKey;
use crate::node::{Child, NodeInput};
use crate::stream::{self, Purpose};
use crate::trace::event::{DropReason, EventId, Payload, StopReason};

impl Engine {
    /// Boots nodes at one instant: all of them run before the first announces itself. At time 0
    /// they are connected, too.
    pub(super) fn boot(&mut self, nodes: &[NodeIx], cause: EventId) {
        let booted: Vec<(NodeIx, EventId)> = nodes
            .iter()
            .map(|node| (*node, self.boot_one(*node, cause)))
            .collect();
        if self.now == Time::ZERO && cause == 0 {
            for (at, (a, cause)) in booted.iter().enumerate() {
                for (b, _) in &booted[at + 1..] {
                    let pair = self.network.pairs.of(*a, *b);
                    self.set_up(pair, *cause);
                }
            }
            // One node after the other, which stays in the caches, and not by way of the queue, which
            // would need as much memory as the first round of a large cluster.
            for (at, (node, of_node)) in booted.iter().enumerate() {
                for (peer_at, (peer, of_peer)) in booted.iter().enumerate() {
                    if peer != node {
                        let incarnation = self.nodes[*peer as usize].incarnation;
                        let cause = if at < peer_at { *of_node } else { *of_peer };
                        let input = Immediate::PeerUp(*peer, incarnation);
                        self.handle_immediate(*node, cause, input);
                    }
                }
            }
            self.drain_immediate();
        }
        for (node, cause) in booted {
            self.step(node, cause, 0, NodeInput::Start);
            self.drain_immediate();
        }
    }

    fn boot_one(&mut self, node: NodeIx, cause: EventId) -> EventId {
        let name = self.name(node).clone();
        let state = &mut self.nodes[node as usize];
        state.incarnation += 1;
        let incarnation = u64::from(state.incarnation);
        let key = stream::key(
            self.seed,
            Purpose::Node,
            &[name.as_str(), &incarnation.to_string()],
        );
        state.start_stream(key);
        state.sizes = None;
        self.network.set_free(node);
        state.node = Some(self.factories.make(node, &name, incarnation));
        state.life = Lifecycle::Up;
        let payload = Payload::Booted {
            name: name.clone(),
            incarnation,
        };
        let cause = self.record(node, cause, payload);
        self.start_program(node, &name, cause);
        cause
    }

    /// Stops a node at once: it loses all memory, queued work, and messages from and to it.
    pub(super) fn crash(&mut self, node: NodeIx, cause: EventId) {
        if !self.nodes[node as usize].can(Transition::Crash) {
            return;
        }
        let cause = self.power_off(node, cause, StopReason::Crash);
        let count = self.nodes.len();
        self.drop_on(links_of(node, count), DropReason::Stopped, |flight, _| {
            flight.to == node || (flight.place != Place::Arrived && !flight.farewell)
        });
        self.close_connections(node, cause);
        self.refresh_silences_of(node, cause);
    }

    /// Stops a node in good order: it says good-bye, and what it has sent is still delivered.
    pub(super) fn leave(&mut self, node: NodeIx, cause: EventId) {
        if !self.nodes[node as usize].can(Transition::Leave) {
            return;
        }
        self.step(node, cause, 0, NodeInput::Command(Command::Leave));
        self.drain_immediate();
        let cause = self.power_off(node, cause, StopReason::Leave);
        let count = self.nodes.len();
        self.drop_on(links_of(node, count), DropReason::Stopped, |flight, _| {
            flight.to == node
        });
        let sent = links_of(node, count).flat_map(|link| self.flights.on(link));
        for slot in Flights::in_order(sent) {
            self.flights.at(slot).farewell = true;
        }
        self.close_connections(node, cause);
        self.refresh_silences_of(node, cause);
    }

    fn power_off(&mut self, node: NodeIx, cause: EventId, reason: StopReason) -> EventId {
        let cause = self.record(node, cause, Payload::Stopped(reason));
        self.note_stop(node, reason);
        self.stop_program(node);
        self.discard(node);
        let state = &mut self.nodes[node as usize];
        state.life = reason.transition().target();
        state.waiting = VecDeque::new();
        state.pids.clear();
        for slot in std::mem::take(&mut state.timers).into_values() {
            self.timers.abandon(slot);
        }
        for (child, Child { pid, .. }) in std::mem::take(&mut state.children) {
            self.record(node, cause, Payload::ChildStopped { child, pid });
        }
        cause
    }

    /// Lets go of the code of a node and all that it holds, and tells the observers how much that was.
    pub(super) fn discard(&mut self, node: NodeIx) {
        if let Some(code) = self.nodes[node as usize].node.take()
            && let Some(bytes) = memory::given_back_by(code)
        {
            self.observers.state_bytes(self.now, node, bytes);
        }
    }

    pub(super) fn pause(&mut self, node: NodeIx, cause: EventId) {
        let state = &mut self.nodes[node as usize];
        if let Some(life) = state.life.after(Transition::Pause) {
            state.life = life;
            self.record(node, cause, Payload::Paused);
            self.refresh_silences_of(node, cause);
        }
    }

    /// Lets a paused node go on: it handles what waited, in the order in which it came due.
    pub(super) fn resume(&mut self, node: NodeIx, cause: EventId) {
        let state = &mut self.nodes[node as usize];
        let Some(life) = state.life.after(Transition::Resume) else {
            return;
        };
        state.life = life;
        state.resuming = true;
        self.record(node, cause, Payload::Resumed);
        self.refresh_silences_of(node, cause);
        while let Some(waiting) = self.nodes[node as usize].waiting.pop_front() {
            match waiting {
                Waiting::Message { slot, seq } => {
                    if self.flights.get(slot, seq).is_some() {
                        self.deliver(slot);
                    }
                }
                Waiting::Timer { slot, seq } => {
                    if self.timers.is_armed(slot, seq) {
                        let (node, key) = self.timers.owner(slot);
                        self.fire_timer(node, key, slot);
                    }
                }
                Waiting::Command { command, cause } => {
                    self.step(node, cause, 0, NodeInput::Command(command))
                }
                Waiting::Input { input, cause } => self.handle_immediate(node, cause, input),
            }
            self.drain_immediate();
        }
        self.nodes[node as usize].resuming = false;
    }

    /// Gives a node a command; a paused one gets it when it goes on.
    pub(super) fn command(&mut self, node: NodeIx, cause: EventId, command: Command) {
        let state = &mut self.nodes[node as usize];
        if state.life.is_paused() {
            state.waiting.push_back(Waiting::Command { command, cause });
        } else {
            self.step(node, cause, 0, NodeInput::Command(command));
        }
    }

    pub(super) fn start_child(
        &mut self,
        node: NodeIx,
        cause: EventId,
        child: &ChildId,
        pid: Pid,
        metadata: Metadata,
    ) {
        let now = self.now;
        let state = &mut self.nodes[node as usize];
        state.pids.insert(pid.clone(), child.clone());
        let running = Child {
            pid: pid.clone(),
            metadata: metadata.clone(),
            since: now,
        };
        state.children.insert(child.clone(), running);
        self.record(
            node,
            cause,
            Payload::ChildStarted {
                child: child.clone(),
                pid,
                metadata,
            },
        );
    }

    pub(super) fn stop_child(&mut self, node: NodeIx, cause: EventId, pid: &Pid) {
        let state = &mut self.nodes[node as usize];
        let Some(child) = state.pids.remove(pid) else {
            return;
        };
        if state
            .children
            .get(&child)
            .is_some_and(|running| running.pid == *pid)
        {
            state.children.remove(&child);
        }
        self.record(
            node,
            cause,
            Payload::ChildStopped {
                child,
                pid: pid.clone(),
            },
        );
    }
}

/// The links from and to a node of so many.
fn links_of(node: NodeIx, count: usize) -> impl Iterator<Item = LinkKey> {
    let peers = (0..).take(count);
    peers.flat_map(move |peer: NodeIx| {
        let back = (peer != node).then_some((peer, node));
        [(node, peer)].into_iter().chain(back)
    })
}

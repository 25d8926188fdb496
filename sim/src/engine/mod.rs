//! The engine: takes the next event from the queue, has its node make one step, performs the effects
//! of that step, and records all of it.
//!
//! | module | owns |
//! | --- | --- |
//! | `queue` | the order of events |
//! | `state` | what the engine knows of each node |
//! | `flight` | messages on their way |
//! | `send` | a message from its sending until it is handled or lost |
//! | `factories` | the code and the parameters that nodes boot with |
//! | `connect` | connections, silences, crash notices |
//! | `lifecycle` | boots, stops, pauses |
//! | `program` | the programs that nodes run, and their tasks |
//! | `script` | the steps of the file |
//! | `deviation` | what a run does otherwise than its seed says |
//! | [`inject`] | what other tasks put in |
//!
//! The engine knows no clock but its queue and never prints. The network draws for messages.

mod connect;
mod deviation;
mod factories;
mod flight;
pub mod inject;
mod lifecycle;
mod program;
pub(crate) mod queue;
mod script;
mod send;
mod slots;
mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hublab_strategies::hub::ChildEvent;
use hublab_strategies::time::micros;
use hublab_strategies::{Event as HubEvent, NodeId, Time, TimerKey};

use crate::model::{Change, NodeIx, Scenario};
use crate::network::Network;
use crate::network::pairs::PairIx;
use crate::node::effects::{Effect, EffectBuffers, Effects, Positions};
use crate::node::{Node, NodeInput};
use crate::trace::event::{EventId, KindIx, NodeSizes, Payload, WORLD};
use crate::trace::recorder::Recorder;
use crate::watch::Observers;
use crate::world::Timeline;

use connect::Notice;
use deviation::Deviations;
pub use factories::NodeFactories;
use flight::{Flights, Ledger};
use inject::Stop;
use program::Programs;
use queue::{Pending, Queue};
use script::Script;
use slots::Slots;
pub use state::NodeState;
use state::{Timers, Waiting};

/// One run: its nodes, network, script and queue.
pub struct Engine {
    now: Time,
    end: Time,
    /// Delay until peers know of a crash, before latency.
    crash_detected_after: Duration,
    /// Shared: a step borrows a name and the engine at once.
    names: Rc<[NodeId]>,
    factories: NodeFactories,
    seed: u64,
    index: Positions,
    nodes: Vec<NodeState>,
    network: Network,
    flights: Flights,
    ledger: Ledger,
    timers: Timers,
    notices: Slots<Notice>,
    queue: Queue,
    script: Script,
    /// The programs of the nodes, if they have one.
    programs: Option<Box<Programs>>,
    deviations: Deviations,
    /// When the next streams turn, in microseconds; `u64::MAX`: never.
    next_turn: u64,
    /// Inputs of this very instant, before anything else is taken from the queue.
    immediate: VecDeque<(NodeIx, EventId, Immediate)>,
    buffers: EffectBuffers,
    recorder: Recorder,
    observers: Observers,
    /// True if somebody reads what messages carry.
    tells_contents: bool,
    budget: u64,
    /// Set from outside to end the run.
    stop: Option<Arc<AtomicBool>>,
    /// The step of a node that is under way, for the report of a panic.
    handling: Option<(NodeIx, EventId)>,
    /// Nodes that have made their first step of this second in this instant.
    active: Vec<NodeIx>,
    /// The whole seconds of `now`.
    second: u64,
    /// The stops of nodes, if a task may wait for them.
    stops: Option<Vec<Stop>>,
    /// True if a node has stopped since time last ran.
    has_stopped: bool,
    /// How often the silence of a pair was looked at.
    #[cfg(test)]
    refreshed: u64,
}

/// A second of virtual time, in microseconds: how often the sizes of a node are looked at.
const SECOND: u64 = 1_000_000;

/// The mark of a message to a name that no node of the scenario has.
const UNKNOWN_RECIPIENT: &str = "net.unknown_recipient";

/// The error of a strategy with more kinds of messages than there are numbers.
pub(crate) const TOO_MANY_KINDS: &str = "it sends more than 256 kinds of messages";

/// An input that follows from something else in the same instant.
pub(crate) enum Immediate {
    PeerUp(NodeIx, u32),
    PeerDown(NodeIx, hublab_strategies::DownReason),
    Children(Vec<ChildEvent>),
}

impl Immediate {
    fn is_of_peer(&self) -> bool {
        match self {
            Self::PeerUp(..) | Self::PeerDown(..) => true,
            Self::Children(_) => false,
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("now", &self.now)
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// The world of a resolved scenario, at time 0 and before its first event.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        factories: NodeFactories,
        observers: Observers,
        recorder: Recorder,
        budget: u64,
    ) -> Self {
        let seed = scenario.run.seed;
        let cluster = &scenario.cluster;
        let nodes = scenario.node_settings();
        let nodes = nodes.iter().map(|of| NodeState::new(of.clock));
        let index = (0..)
            .zip(&cluster.nodes)
            .map(|(ix, name)| (name.clone(), ix))
            .collect();
        let deviations = Deviations::new(&scenario.run);
        let mut engine = Self {
            now: Time::ZERO,
            end: Time(micros(scenario.run.duration)),
            names: cluster.nodes.clone().into(),
            network: Network::new(scenario),
            nodes: nodes.collect(),
            index,
            factories,
            crash_detected_after: cluster.crash_detected_after,
            seed,
            flights: Flights::default(),
            ledger: Ledger::default(),
            timers: Timers::default(),
            notices: Slots::default(),
            queue: Queue::default(),
            script: Script::new(scenario),
            programs: None,
            next_turn: deviations.next_turn(),
            deviations,
            immediate: VecDeque::new(),
            buffers: EffectBuffers::default(),
            tells_contents: recorder.tells_contents() || observers.reads_contents(),
            recorder,
            observers,
            budget,
            stop: None,
            handling: None,
            active: Vec::new(),
            second: 0,
            stops: None,
            has_stopped: false,
            #[cfg(test)]
            refreshed: 0,
        };
        engine.turn_streams();
        engine
    }

    /// The instant the world has come to.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The end of the run.
    #[must_use]
    pub fn end(&self) -> Time {
        self.end
    }

    /// True if the event budget is used up, or the run was told to stop.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        let programs = self.programs.as_ref();
        self.recorder.events() >= self.budget
            || programs.is_some_and(|programs| programs.are_exhausted())
            || self.is_told_to_stop()
    }

    /// True if the run was told to stop from outside.
    pub(crate) fn is_told_to_stop(&self) -> bool {
        let stop = self.stop.as_ref();
        stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Ends the run once this becomes `true`.
    pub(crate) fn stop_when(&mut self, stop: Option<Arc<AtomicBool>>) {
        self.stop = stop;
    }

    /// The code of a node, while it runs.
    pub(crate) fn node(&self, node: NodeIx) -> Option<&dyn Node> {
        self.nodes[node as usize].node.as_deref()
    }

    fn name(&self, node: NodeIx) -> &NodeId {
        &self.names[node as usize]
    }

    /// Records an event, and shows it to the observers. Inlined, like [`Self::step`] and
    /// [`Recorder::record`].
    #[inline(always)]
    fn record(&mut self, node: NodeIx, cause: EventId, payload: Payload) -> EventId {
        let observers = &mut self.observers;
        let place = (self.now, node, cause);
        self.recorder
            .record(place, payload, |event| observers.event(event))
    }

    /// The number of a kind of message that a step of a node sends; its first use is an event like
    /// any other.
    ///
    /// # Panics
    /// At the 257th kind, as if the step itself had panicked: the verdict is the strategy's.
    fn kind(&mut self, name: &'static str, node: NodeIx, cause: EventId) -> KindIx {
        if let Some(kind) = self.recorder.kind(name) {
            return kind;
        }
        let Some(kind) = self.recorder.add_kind(name) else {
            self.handling = Some((node, cause));
            // Not `panic!`: the panic hook is for bugs.
            resume_unwind(Box::new(TOO_MANY_KINDS));
        };
        let name = name.to_owned();
        self.record(WORLD, 0, Payload::Kind { kind, name });
        kind
    }

    /// Moves time to `instant`.
    fn advance(&mut self, instant: Time) {
        if instant > self.now {
            self.record_sizes();
            self.now = instant;
            self.second = instant.0 / SECOND;
            if instant.0 >= self.next_turn {
                self.turn_streams();
            }
        }
    }

    /// Records the sizes of nodes that have made their first step of this second in this instant.
    fn record_sizes(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let mut active = std::mem::take(&mut self.active);
        for node in active.drain(..) {
            self.record_sizes_of(node);
        }
        self.active = active;
    }

    /// Records the sizes of a node, if they have changed.
    fn record_sizes_of(&mut self, ix: NodeIx) {
        let state = &mut self.nodes[ix as usize];
        let Some(node) = &state.node else { return };
        let sizes = NodeSizes::from(node.sizes());
        if state.sizes.replace(sizes) != Some(sizes) {
            self.record(ix, 0, Payload::Sizes(sizes));
        }
    }

    fn next_instant(&self) -> Option<Time> {
        let queued = self.queue.next_due().map(Time);
        let scripted = self.script.next_at();
        let next = match (queued, scripted) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let Some(programs) = &self.programs else {
            return next;
        };
        next.into_iter().chain(programs.next_due()).min()
    }

    /// Handles the next thing at or before `limit`: steps of an instant come before its events.
    fn turn(&mut self, limit: Time) -> bool {
        if self.programs.is_some() && self.turn_of_programs(limit) {
            return true;
        }
        if let Some(at) = self.script.next_at()
            && at <= limit
            && self.queue.next_due().is_none_or(|due| at.0 <= due)
        {
            self.advance(at);
            self.run_step();
            self.run_programs();
            return true;
        }
        let Some((due, seq, pending)) = self.queue.pop(limit.0) else {
            return false;
        };
        // Time moves for events that are still wanted, forgotten ones leave no mark.
        match pending {
            Pending::Arrival(slot) => self.arrive(due, seq, slot),
            Pending::Served(slot) => self.served(due, seq, slot),
            Pending::Timer(slot) => self.timer_due(due, seq, slot),
            Pending::Silence(pair) => self.silence_over(due, seq, PairIx(pair)),
            Pending::Notice(slot) => self.notice_due(due, slot),
        }
        self.drain_immediate();
        self.run_programs();
        true
    }

    fn drain_immediate(&mut self) {
        while let Some((node, cause, input)) = self.immediate.pop_front() {
            let state = &mut self.nodes[node as usize];
            if state.resuming && input.is_of_peer() {
                // Behind what it has not come to yet, the end of that very connection perhaps.
                state.waiting.push_back(Waiting::Input { input, cause });
            } else {
                self.handle_immediate(node, cause, input);
            }
        }
    }

    fn handle_immediate(&mut self, node: NodeIx, cause: EventId, input: Immediate) {
        match input {
            Immediate::PeerUp(peer, incarnation) => {
                let incarnation = u64::from(incarnation);
                let cause = self.record(node, cause, Payload::PeerUp { peer, incarnation });
                self.tell_peer_up(node, cause, peer, incarnation);
                let names = Rc::clone(&self.names);
                self.step(
                    node,
                    cause,
                    0,
                    NodeInput::PeerUp {
                        node: &names[peer as usize],
                        incarnation,
                    },
                );
            }
            Immediate::PeerDown(peer, reason) => {
                let cause = self.record(node, cause, Payload::PeerDown { peer, reason });
                self.tell_peer_down(node, cause, peer, reason);
                let names = Rc::clone(&self.names);
                self.step(
                    node,
                    cause,
                    0,
                    NodeInput::PeerDown {
                        node: &names[peer as usize],
                        reason,
                    },
                );
            }
            Immediate::Children(events) => self.step(node, cause, 0, NodeInput::Children(events)),
        }
    }

    /// One atomic step of a node, and what it wants done.
    #[inline(always)]
    fn step(&mut self, ix: NodeIx, cause: EventId, hops: u32, input: NodeInput<'_>) {
        let state = &mut self.nodes[ix as usize];
        let Some(node) = state.node.as_mut() else {
            return;
        };
        if state.active_in.replace(self.second) != Some(self.second) {
            self.active.push(ix);
        }
        self.handling = Some((ix, cause));
        node.handle(
            input,
            &mut Effects::new(
                self.now,
                &state.clock,
                hops,
                &mut state.stream,
                &self.index,
                &mut self.buffers,
            ),
        );
        self.handling = None;
        self.perform(ix, cause);
    }

    fn perform(&mut self, ix: NodeIx, cause: EventId) {
        let mut outcomes = Vec::new();
        for at in 0..self.buffers.effects.len() {
            // By far the most effects are sends: they stay where they are.
            let effect = &mut self.buffers.effects[at];
            if let Some(Effect::Send { start, end, packet }) = effect {
                let (receivers, packet) = (*start..*end, Rc::clone(packet));
                for at in receivers {
                    match self.buffers.receivers[at as usize] {
                        Some(to) => self.send(ix, to, &packet, cause),
                        // The scenario has no node of that name.
                        None => {
                            self.record(ix, cause, Payload::Mark(UNKNOWN_RECIPIENT.into()));
                        }
                    }
                }
                continue;
            }
            match effect.take() {
                Some(Effect::Send { .. }) | None => {}
                Some(Effect::Announce(packet)) => self.announce(ix, &packet, cause),
                Some(Effect::SetTimer(key, delay)) => {
                    self.set_timer(ix, key, self.now.after(delay), cause);
                }
                Some(Effect::CancelTimer(key)) => self.cancel_timer(ix, key),
                Some(Effect::StartChild(spec, pid, metadata)) => {
                    outcomes.push(ChildEvent::Started(pid.clone()));
                    self.start_child(ix, cause, spec.id(), pid, metadata);
                }
                Some(Effect::StopChild(pid)) => self.stop_child(ix, cause, &pid),
                Some(Effect::Emit(event)) => self.emit(ix, cause, event),
            }
        }
        self.buffers.effects.clear();
        self.buffers.receivers.clear();
        if !outcomes.is_empty() {
            self.immediate
                .push_back((ix, cause, Immediate::Children(outcomes)));
        }
    }

    fn emit(&mut self, ix: NodeIx, cause: EventId, event: HubEvent) {
        if self.programs.is_some() {
            self.tell_program(ix, cause, &event);
        }
        let payload = match event {
            HubEvent::Row(change) => Payload::Row {
                child: change.child,
                before: change.before,
                after: change.after,
            },
            HubEvent::View(view) => Payload::View(view),
            HubEvent::Fact(fact) => Payload::Fact(fact),
            HubEvent::Answer { node, results, .. } => Payload::Answered {
                by: node,
                results: results
                    .into_iter()
                    .map(|result| (result.child, result.outcome))
                    .collect(),
            },
            HubEvent::Skipped { child, action } => Payload::Skipped {
                child,
                action: action.into(),
            },
            HubEvent::Mark(name) => Payload::Mark(name.into()),
        };
        self.record(ix, cause, payload);
    }

    fn set_timer(&mut self, ix: NodeIx, key: TimerKey, mut due: Time, cause: EventId) {
        if !self.deviations.keeps_timers()
            && let Some(at) = self.deviations.fires_at(ix, key, due)
        {
            due = at.max(self.now);
        }
        let slot = self
            .timers
            .slot(ix, key, &mut self.nodes[ix as usize].timers);
        let seq = self.queue.push(due.0, Pending::Timer(slot));
        if self.timers.arm(slot, seq, cause) && self.timers.is_wasteful(self.queue.len()) {
            let timers = &self.timers;
            self.queue.retain(|seq, pending| match pending {
                Pending::Timer(slot) => timers.is_armed(slot, seq),
                Pending::Arrival(_)
                | Pending::Served(_)
                | Pending::Silence(_)
                | Pending::Notice(_) => true,
            });
            self.timers.swept();
        }
    }

    fn cancel_timer(&mut self, ix: NodeIx, key: TimerKey) {
        if let Some(slot) = self.nodes[ix as usize].timers.remove(&key) {
            self.timers.abandon(slot);
        }
    }

    fn timer_due(&mut self, due: u64, seq: u64, slot: u32) {
        if !self.timers.is_armed(slot, seq) {
            self.timers.forgotten();
            return;
        }
        self.advance(Time(due));
        let (ix, key) = self.timers.owner(slot);
        if self.nodes[ix as usize].life.is_paused() {
            self.nodes[ix as usize]
                .waiting
                .push_back(Waiting::Timer { slot, seq });
        } else {
            self.fire_timer(ix, key, slot);
        }
    }

    fn fire_timer(&mut self, ix: NodeIx, key: TimerKey, slot: u32) {
        self.nodes[ix as usize].timers.remove(&key);
        let set_by = self.timers.free(slot);
        let cause = self.record(ix, set_by, Payload::Timer(key));
        self.step(ix, cause, 0, NodeInput::Timer(key));
    }

    /// Notes that the code of a node panicked; `false` if the panic was not its own.
    pub(crate) fn note_panic(&mut self, message: &str) -> bool {
        let Some((node, cause)) = self.handling.take() else {
            return false;
        };
        self.record(node, cause, Payload::Panicked(message.to_owned()));
        true
    }

    /// Ends the run: the observers conclude, and the books are checked.
    ///
    /// # Panics
    /// If messages were lost from the books: a bug of the engine.
    pub fn finish(mut self, crashed: bool) -> Finished {
        let end = self.end;
        let stopped_early = crashed || self.next_instant().is_some_and(|next| next <= end);
        if !stopped_early {
            self.now = end;
        }
        self.finish_programs(crashed);
        self.flights.audit(&self.ledger);
        if !crashed {
            for node in (0..).take(self.nodes.len()) {
                self.discard(node);
            }
        }
        let is_told_to_stop = stopped_early && !crashed && self.is_told_to_stop();
        let unmet = self.unmet();
        let outcome = self.observers.finish(self.now, stopped_early);
        self.recorder.finish();
        Finished {
            now: self.now,
            stopped_early,
            is_told_to_stop,
            unmet,
            outcome,
            digest: self.recorder.digest().to_hex().to_string(),
        }
    }
}

/// Result of a run of the engine.
#[derive(Debug)]
pub struct Finished {
    /// The instant it came to.
    pub now: Time,
    /// True if something was still to happen before the end of the run.
    pub stopped_early: bool,
    /// True if it was told to stop from outside: then the wall clock decided how far it came.
    pub is_told_to_stop: bool,
    /// The changes of the run that name what did not occur.
    pub unmet: Vec<Change>,
    /// The findings of the observers.
    pub outcome: crate::watch::Outcome,
    /// BLAKE3 over the events, in hexadecimal.
    pub digest: String,
}

impl Timeline for Engine {
    fn next_due(&self) -> Option<u64> {
        self.next_instant().map(|time| time.0)
    }

    fn run_through(&mut self, limit: u64) -> bool {
        let limit = Time(limit.min(self.end.0));
        while !self.is_exhausted() {
            if !self.turn(limit) || std::mem::take(&mut self.has_stopped) {
                return true;
            }
        }
        false
    }
}

//! The task of a hub: it owns the state machine and hands it one input after another.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::children::StopReason;
use super::events::HubEvent;
use super::inbox::{Inbound, Inbox};
use super::long::{self, LONG};
use super::observer::Experiment;
use super::orders::{Order, Surroundings};
use super::supervisor::{Exit, ExitAction};
use super::transport::PeerLeave;
use super::world::World;
use crate::hub::{self, ChildEvent, Envelope, HubCore, Input};
use crate::membership::{Announcement, Discovery};
use crate::name::NodeId;
use crate::runtime::TimerKey;
use crate::strategy::EventStrategy;
use crate::wire;

/// How long a good-bye may take to reach the peers.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// How often payloads that are no message are logged at most.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// How long the task sleeps when nothing is due: there is always something due earlier.
const IDLE: Duration = Duration::from_secs(3_600);

/// The longest time that a request waits for answers.
const REQUEST_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Result of [`super::Hub::leave`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaveReport {
    /// How the connection to each peer ended, by name.
    pub peers: Vec<PeerLeave>,
    /// Children that ran here and were stopped.
    pub children: usize,
}

impl LeaveReport {
    /// True if every peer has read everything that was queued for it, the good-bye last.
    #[must_use]
    pub fn flushed(&self) -> bool {
        self.peers.iter().all(|peer| peer.arrived)
    }
}

/// A hub and its world.
pub(super) struct NodeTask<S: EventStrategy> {
    hub: HubCore<S, Discovery>,
    world: World<S::Message>,
    experiment: Experiment<Received<S>>,
    logged: Option<Instant>,
}

type HubInput<'a, S> =
    Input<'a, <S as EventStrategy>::Message, <Discovery as crate::Membership>::Message>;

/// What peers send.
pub(super) type Received<S> = Envelope<<S as EventStrategy>::Message, Announcement>;

impl<S: EventStrategy> NodeTask<S> {
    pub(super) fn new(
        hub: HubCore<S, Discovery>,
        world: World<S::Message>,
        experiment: Experiment<Received<S>>,
    ) -> Self {
        Self {
            hub,
            world,
            experiment,
            logged: None,
        }
    }

    /// Runs until the hub leaves, or all handles are gone, or the transport is.
    pub(super) async fn run(
        mut self,
        mut inbox: Inbox<Received<S>>,
        mut orders: mpsc::Receiver<Order>,
    ) {
        if !self.experiment.goes_on().await {
            return;
        }
        self.input(Input::Start);
        let mut alarm = pin!(sleep_until(Instant::now() + IDLE));
        loop {
            self.settle();
            self.set(alarm.as_mut());
            // Not biased: a flood of one kind must not starve the others, and no order is promised.
            tokio::select! {
                order = orders.recv() => match order {
                    None => break,
                    Some(Order::Leave(reply)) => return self.leave(reply, inbox).await,
                    Some(order) => self.order(order),
                },
                arrived = inbox.next() => match arrived {
                    None => break,
                    Some(arrived) => self.arrived(arrived),
                },
                exits = self.world.supervisor.exits() => self.exited(exits),
                ready = self.world.encoder.ready() => self.world.depart(ready),
                () = alarm.as_mut() => self.due(),
                () = self.experiment.changed() => {
                    let is_paused = self.experiment.is_paused();
                    if !self.experiment.goes_on().await {
                        break;
                    }
                    if is_paused {
                        self.world.resume();
                    }
                    self.admit_held();
                }
                () = std::future::ready(()), if self.world.mail() > 0 => {}
            }
        }
        tracing::debug!(node = %self.hub.node(), "stopped");
    }

    fn set(&self, alarm: std::pin::Pin<&mut Sleep>) {
        let due = self.world.next_due();
        let due = due.unwrap_or_else(|| Instant::now() + IDLE);
        if alarm.deadline() != due {
            alarm.reset(due);
        }
    }

    fn input(&mut self, input: HubInput<'_, S>) {
        self.input_of(input, 0);
    }

    /// An input; if it is a message, of this length.
    fn input_of(&mut self, input: HubInput<'_, S>, bytes: usize) {
        if long::is_long(&input, bytes, self.hub.registry().len()) {
            self.world.long = true;
            long::perform(|| self.step(input));
            self.world.long = false;
        } else {
            self.step(input);
        }
    }

    fn step(&mut self, input: HubInput<'_, S>) {
        let (hub, world) = (&mut self.hub, &mut self.world);
        match &self.experiment.observer {
            None => hub.handle(input, world),
            Some(observer) => {
                let mut input = Some(input);
                observer.step(&mut || {
                    if let Some(input) = input.take() {
                        hub.handle(input, world);
                    }
                });
            }
        }
    }

    /// Hands in what the last inputs left: processes that started, messages to oneself. Those that
    /// come of these wait for the next turn, so that nobody else waits for ever.
    fn settle(&mut self) {
        for _ in 0..self.world.mail() {
            if let Some((message, bytes)) = self.world.take_mail() {
                let node = self.hub.node().clone();
                if let Some(observer) = &self.experiment.observer {
                    // What a node says to itself always arrives.
                    observer.arrived(&node, crate::Message::kind(&*message));
                }
                self.handle(&node, &message, bytes);
            }
        }
        loop {
            let started = self.world.take_started();
            if started.is_empty() {
                break;
            }
            self.input(Input::Children(started));
        }
        let (sizes, children) = (self.hub.sizes(), self.world.supervisor.len());
        let requests = self.world.requests.len();
        self.world.tally(|tally| {
            tally.sizes = sizes;
            tally.children = children;
            tally.requests = requests;
        });
    }

    fn handle(&mut self, from: &NodeId, message: &Received<S>, bytes: usize) {
        let kind = crate::Message::kind(message);
        tracing::trace!(node = %self.hub.node(), %from, kind, bytes, "message");
        self.world.tally(|tally| {
            let traffic = tally.messages.entry(kind).or_default();
            traffic.delivered += 1;
            if from != self.hub.node() {
                traffic.delivered_bytes += bytes as u64;
            }
        });
        self.input_of(Input::Message { from, message }, bytes);
    }

    /// Handles a message that arrived, unless an experiment has it wait or forgets it.
    fn admit(&mut self, from: NodeId, message: Received<S>, bytes: usize) {
        if let Some((from, message, bytes)) = self.experiment.admit(from, message, bytes) {
            self.handle(&from, &message, bytes);
            if bytes >= LONG {
                // Taking it apart takes long, too.
                tokio::task::spawn_blocking(move || drop(message));
            }
        }
    }

    fn admit_held(&mut self) {
        for (from, message, bytes) in self.experiment.take_held() {
            self.admit(from, message, bytes);
        }
    }

    fn arrived(&mut self, arrived: Inbound<Received<S>>) {
        match arrived {
            Inbound::Up { node, incarnation } => {
                tracing::info!(node = %self.hub.node(), peer = %node, incarnation, "peer is up");
                self.world.peer_up(&node, incarnation);
                self.input(Input::PeerUp {
                    node: &node,
                    incarnation,
                });
                self.world.greet(&node);
            }
            Inbound::Down { node, reason } => {
                tracing::info!(node = %self.hub.node(), peer = %node, ?reason, "peer is down");
                self.world.peer_down(&node, reason);
                self.input(Input::PeerDown {
                    node: &node,
                    reason,
                });
            }
            Inbound::Evicted { incarnation } => {
                self.world.publish(&HubEvent::Evicted { incarnation });
            }
            Inbound::Left { node } => {
                tracing::info!(node = %self.hub.node(), peer = %node, "peer leaves");
                self.admit(node, Envelope::Leave, 0);
            }
            Inbound::Message {
                from,
                message,
                bytes,
                permit: _permit,
            } => self.admit(from, message, bytes),
            Inbound::Malformed {
                from,
                channel,
                bytes,
                error,
            } => self.malformed(&from, channel, bytes, &error),
        }
    }

    /// Bytes that are no message change nothing but a counter.
    fn malformed(&mut self, from: &NodeId, channel: u8, bytes: usize, error: &wire::DecodeError) {
        let count = self.world.tally(|tally| {
            tally.malformed += 1;
            tally.malformed
        });
        let now = Instant::now();
        if self.logged.is_none_or(|at| now - at >= LOG_EVERY) {
            self.logged = Some(now);
            let node = self.hub.node();
            tracing::warn!(%node, peer = %from, channel, bytes, %error, count, "ignored a payload that is no message");
        }
    }

    /// Everything whose time has come.
    fn due(&mut self) {
        let now = Instant::now();
        while let Some(key) = self.world.take_timer(now) {
            if key == TimerKey::Janitor {
                self.world.shared.fanout.sweep();
                self.world.supervisor.sweep(now);
            }
            self.input(Input::Timer(key));
            self.world.timer_done();
        }
        self.world.requests.expire(now);
        self.world.supervisor.end_grace(now);
        let crashed = self.world.supervisor.take_due(now);
        if !crashed.is_empty() {
            self.input(Input::Children(crashed));
        }
    }

    /// Restarts what failed, and tells the hub of all others in one step.
    fn exited(&mut self, exits: Vec<Exit>) {
        let now = Instant::now();
        let (mut events, mut reasons) = (Vec::new(), BTreeMap::new());
        for exit in exits {
            match self.world.supervisor.on_exit(exit, now) {
                ExitAction::Nothing => {}
                ExitAction::Restart {
                    child,
                    pid,
                    reason,
                    after,
                } => {
                    tracing::warn!(node = %self.hub.node(), %child, %pid, %reason, ?after, "child is restarted");
                    self.world.tally(|tally| tally.restarts += 1);
                    self.world.publish(&HubEvent::ChildCrashed {
                        child,
                        pid,
                        reason,
                        restarts_in: after,
                    });
                }
                ExitAction::End { child, pid, reason } => {
                    if let StopReason::GaveUp(_) = reason {
                        tracing::warn!(node = %self.hub.node(), %child, %pid, %reason, "child is given up");
                    }
                    events.push(ChildEvent::Exited(pid.clone()));
                    reasons.insert(pid, reason);
                }
            }
        }
        if !events.is_empty() {
            self.world.set_stop_reasons(reasons);
            self.input(Input::Children(events));
            self.world.set_stop_reasons(BTreeMap::new());
        }
    }

    fn order(&mut self, order: Order) {
        let now = Instant::now();
        let (requests, up) = self.world.requests_and_peers();
        let surroundings = Surroundings {
            node: self.hub.node(),
            registry: self.hub.registry(),
            up,
            deadline: |timeout| now.checked_add(timeout).unwrap_or(now + REQUEST_MAX),
        };
        let accepted = requests.accept(order, &surroundings);
        for command in accepted.commands {
            self.input(Input::Command(command));
        }
        if let Some(done) = accepted.done {
            // Whoever asked may be gone; it is done all the same.
            let _ = done.send(());
        }
    }

    async fn leave(mut self, reply: oneshot::Sender<LeaveReport>, inbox: Inbox<Received<S>>) {
        let children = self.world.supervisor.len();
        self.input(Input::Command(hub::Command::Leave));
        while !self.world.encoder.is_empty() {
            let ready = self.world.encoder.ready().await;
            self.world.depart(ready);
        }
        self.world.supervisor.stopped().await;
        // An experiment sends the good-bye as a message, which the network may delay or lose.
        let leaves = self.experiment.observer.is_none();
        let transport = Arc::clone(self.world.transport());
        let mut events = inbox.into_events();
        let drained = async {
            // A peer whose messages nobody takes is read no further, and would not end.
            while events.recv().await.is_some() {}
            std::future::pending().await
        };
        let peers = tokio::select! {
            biased;
            peers = transport.close(leaves, LEAVE_WITHIN) => peers,
            () = drained => Vec::new(),
        };
        let report = LeaveReport { peers, children };
        let (peers, flushed) = (report.peers.len(), report.flushed());
        tracing::info!(node = %self.hub.node(), peers, flushed, children, "left");
        // Ignore a dropped receiver.
        let _ = reply.send(report);
    }
}

//! [`World`]: the runtime of a live hub. It performs a hub's effects at once, none of which waits:
//! messages go into queues, children become tasks, registry changes reach the mirror.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::Instant;

use super::children::StopReason;
use super::encoder::{Encoder, Sending};
use super::error::ChildError;
use super::events::HubEvent;
use super::observer::Observer;
use super::requests::Requests;
use super::shared::Shared;
use super::stats::Tally;
use super::supervisor::Supervisor;
use super::transport::Transport;
use crate::child::{ChildSpec, Metadata, RowChange};
use crate::fact::Fact;
use crate::hub::{ChildEvent, Envelope};
use crate::membership::Announcement;
use crate::message::{Channel, Message};
use crate::name::{NodeId, Pid};
use crate::runtime::{Event, Runtime, TimerKey};
use crate::time::{Time, WallTime, micros};
use crate::wire;

/// How often messages that cannot be sent may have a node dialled out of turn.
const DIAL_EVERY: Duration = Duration::from_millis(100);

/// How many nodes the last dials of are remembered.
const DIALLED_MAX: usize = 1_024;

/// How many peers that are gone are remembered, to tell who came back.
const GONE: usize = 10_000;

/// How long a message waits for a connection, if an observer has it wait.
const WAIT: Duration = Duration::from_secs(1);

/// A message, encoded.
#[derive(Clone)]
struct Outgoing {
    channel: Channel,
    kind: &'static str,
    bytes: Bytes,
}

/// A message to the node itself, its length in bytes, and when it arrives if a filter delays it.
type Mail<M> = (Arc<Envelope<M, Announcement>>, usize, Option<Instant>);

/// Everything around the hub of one node.
pub(super) struct World<M> {
    node: NodeId,
    transport: Arc<dyn Transport>,
    pub(super) shared: Arc<Shared>,
    pub(super) supervisor: Supervisor,
    pub(super) requests: Requests<Instant>,
    observer: Option<Arc<dyn Observer>>,
    /// True if the step under way may be long.
    pub(super) long: bool,
    pub(super) encoder: Encoder<Envelope<M, Announcement>>,
    /// The peers whose connection is up, as the hub knows it.
    up: BTreeSet<NodeId>,
    /// Peers that were connected and are not now; no more than [`GONE`].
    gone: BTreeSet<NodeId>,
    /// The last announcement, kept for peers that connect before the next one; with an observer,
    /// who says whom it addresses, it waits for these instead.
    announced: Option<Outgoing>,
    /// What waits for connections, and since when.
    waiting: BTreeMap<NodeId, Vec<(Instant, Outgoing)>>,
    /// When each node was last dialled because a message could not be sent to it.
    dialled: BTreeMap<NodeId, Instant>,
    /// When the timer came due that is handled now: one that is set anew counts from there, so that
    /// lateness does not add up.
    ticked: Option<Instant>,
    /// When the hub last went on after a pause.
    resumed: Option<Instant>,
    timers: BTreeMap<TimerKey, Instant>,
    due: BTreeSet<(Instant, TimerKey)>,
    /// Messages to the node itself, and what became of processes: inputs of later steps.
    mail: VecDeque<Mail<M>>,
    started: Vec<ChildEvent>,
    /// Why the processes ended that the hub is being told about.
    ending: BTreeMap<Pid, StopReason>,
    epoch: Instant,
    random: u64,
}

impl<M: Message> World<M> {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        shared: Arc<Shared>,
        supervisor: Supervisor,
        observer: Option<Arc<dyn Observer>>,
        seed: u64,
    ) -> Self {
        Self {
            node: shared.node.clone(),
            transport,
            shared,
            supervisor,
            requests: Requests::after(0),
            observer,
            long: false,
            encoder: Encoder::new(),
            up: BTreeSet::new(),
            gone: BTreeSet::new(),
            announced: None,
            waiting: BTreeMap::new(),
            dialled: BTreeMap::new(),
            ticked: None,
            resumed: None,
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
            mail: VecDeque::new(),
            started: Vec::new(),
            ending: BTreeMap::new(),
            epoch: Instant::now(),
            random: seed,
        }
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    /// The requests under way, and the peers whose connection is up.
    pub(super) fn requests_and_peers(&mut self) -> (&mut Requests<Instant>, &BTreeSet<NodeId>) {
        (&mut self.requests, &self.up)
    }

    /// A connection came up: requests may go there, and the last announcement does.
    pub(super) fn peer_up(&mut self, node: &NodeId, incarnation: u64) {
        self.up.insert(node.clone());
        self.dialled.remove(node);
        if self.gone.remove(node) {
            self.tally(|tally| tally.reconnects += 1);
        }
        self.publish(&HubEvent::PeerUp {
            node: node.clone(),
            incarnation,
        });
    }

    /// Tells a peer that just connected what it would have been told, had it been connected then.
    pub(super) fn greet(&mut self, node: &NodeId) {
        let waited = self.waiting.remove(node).unwrap_or_default().into_iter();
        let waited = waited.filter(|(since, _)| since.elapsed() < WAIT);
        let owed: Vec<_> = waited
            .map(|(_, it)| it)
            .chain(self.announced.clone())
            .collect();
        for outgoing in owed {
            self.hand_over(node, outgoing);
        }
    }

    /// Hands a message of a kind that connects to the transport, or has it wait for a connection.
    fn dispatch(&mut self, to: &NodeId, outgoing: Outgoing) {
        let waits =
            |observer: &Arc<dyn Observer>| !self.transport.is_connected(to) && observer.waits(to);
        let waits = self.waiting.contains_key(to) || self.observer.as_ref().is_some_and(waits);
        if !waits {
            return self.hand_over(to, outgoing);
        }
        let waiting = self.waiting.entry(to.clone()).or_default();
        waiting.push((Instant::now(), outgoing));
        if waiting.len() == 1 {
            self.transport.connect(to, None);
        }
    }

    /// A connection is gone.
    pub(super) fn peer_down(&mut self, node: &NodeId, reason: crate::runtime::DownReason) {
        self.up.remove(node);
        self.encoder.forget(node);
        if self.gone.len() < GONE {
            self.gone.insert(node.clone());
        }
        self.requests.fail(node, None, &ChildError::WentDown);
        self.publish(&HubEvent::PeerDown {
            node: node.clone(),
            reason,
        });
    }

    /// The next message to this node itself, and its length in bytes.
    pub(super) fn take_mail(&mut self) -> Option<(Arc<Envelope<M, Announcement>>, usize)> {
        let (message, bytes, _) = self.mail.pop_front()?;
        Some((message, bytes))
    }

    /// How many messages to this node itself have arrived.
    pub(super) fn mail(&self) -> usize {
        if self.mail.is_empty() {
            return 0;
        }
        let now = Instant::now();
        let arrived = |ready: &Option<Instant>| ready.is_none_or(|at| at <= now);
        self.mail
            .iter()
            .take_while(|(.., ready)| arrived(ready))
            .count()
    }

    /// What became of the processes that were started.
    pub(super) fn take_started(&mut self) -> Vec<ChildEvent> {
        mem::take(&mut self.started)
    }

    /// Sets the stop reasons of the processes that the hub is told about in the next step.
    pub(super) fn set_stop_reasons(&mut self, reasons: BTreeMap<Pid, StopReason>) {
        self.ending = reasons;
    }

    pub(super) fn publish(&self, event: &HubEvent) {
        if let Some(observer) = &self.observer {
            observer.event(event);
        }
        self.shared.fanout.publish(event);
    }

    pub(super) fn tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        let mut tally = self
            .shared
            .tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut tally)
    }

    /// The next instant at which something here is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let timer = self.due.first().map(|(at, _)| *at);
        let mail = self.mail.front().and_then(|(.., ready)| *ready);
        let (requests, supervisor) = (self.requests.next_due(), self.supervisor.next_due());
        [timer, mail, requests, supervisor]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next timer of the hub that is due.
    pub(super) fn take_timer(&mut self, now: Instant) -> Option<TimerKey> {
        let (at, key) = self.due.first().copied()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, key));
        self.timers.remove(&key);
        self.ticked = Some(at).max(self.resumed);
        Some(key)
    }

    /// The timer taken last is handled.
    pub(super) fn timer_done(&mut self) {
        self.ticked = None;
    }

    /// The hub goes on after a pause: timers overdue since then come due now.
    pub(super) fn resume(&mut self) {
        self.resumed = Some(Instant::now());
    }

    fn clear_timer(&mut self, key: TimerKey) {
        if let Some(at) = self.timers.remove(&key) {
            self.due.remove(&(at, key));
        }
    }

    /// Hands a message to this node itself.
    fn post(&mut self, channel: Channel, message: &Arc<Envelope<M, Announcement>>) {
        let (kind, length) = (message.kind(), message.size_model().bytes());
        if let Some(observer) = &self.observer {
            observer.sent(&self.node, kind, length);
        }
        self.tally(|tally| {
            let traffic = tally.messages.entry(kind).or_default();
            traffic.sent += 1;
            traffic.sent_bytes += length;
        });
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        let last = self.mail.back().and_then(|(.., ready)| *ready);
        for ready in self.transport.loopback(channel, bytes) {
            let ready = ready.max(last);
            self.mail.push_back((Arc::clone(message), bytes, ready));
        }
    }

    /// Encodes a message, here or elsewhere, and hands it to the transport.
    fn enqueue(
        &mut self,
        to: &[NodeId],
        channel: Channel,
        message: Envelope<M, Announcement>,
        connects: bool,
    ) {
        if matches!(message, Envelope::Leave) && self.observer.is_none() {
            return self.say_good_bye(to.len());
        }
        let message = Arc::new(message);
        let (here, mut others): (Vec<_>, Vec<_>) =
            to.iter().cloned().partition(|node| *node == self.node);
        for _ in here {
            self.post(channel, &message);
        }
        others.retain(|node| connects || self.up.contains(node));
        if !others.is_empty() {
            let ready = self.encoder.send(Sending {
                to: others,
                channel,
                message,
                connects,
                // An observer hears of it in the step.
                long: self.long && self.observer.is_none(),
            });
            self.depart(ready);
        }
    }

    /// Hands encoded messages to the transport.
    pub(super) fn depart(
        &mut self,
        ready: impl IntoIterator<Item = (Sending<Envelope<M, Announcement>>, Bytes)>,
    ) {
        for (sending, bytes) in ready {
            let outgoing = Outgoing {
                channel: sending.channel,
                kind: sending.message.kind(),
                bytes,
            };
            for node in &sending.to {
                if sending.connects {
                    self.dispatch(node, outgoing.clone());
                } else {
                    self.hand_over(node, outgoing.clone());
                }
            }
        }
    }

    /// Hands bytes to the transport, counted as sent even if they cannot be.
    fn hand_over(&mut self, to: &NodeId, outgoing: Outgoing) {
        let Outgoing {
            channel,
            kind,
            bytes,
        } = outgoing;
        let length = bytes.len() as u64;
        if let Some(observer) = &self.observer {
            observer.sent(to, kind, length);
        }
        let sent = self.transport.send(to, channel, kind, bytes);
        if let Err(error) = &sent {
            tracing::debug!(node = %self.node, %to, kind, length, %error, "message was not sent");
            if let Some(observer) = &self.observer {
                observer.unsent(to, kind);
            }
            self.dial(to);
        }
        self.tally(|tally| {
            let traffic = tally.messages.entry(kind).or_default();
            traffic.sent += 1;
            traffic.sent_bytes += length;
            tally.unsent += u64::from(sent.is_err());
        });
    }

    /// Counts a good-bye: the transport says it last, behind everything that is queued.
    fn say_good_bye(&mut self, peers: usize) {
        self.tally(|tally| {
            let kind = Envelope::<M, Announcement>::Leave.kind();
            tally.messages.entry(kind).or_default().sent += peers as u64;
        });
    }

    /// Dials a node out of turn, but not for each of many messages.
    fn dial(&mut self, node: &NodeId) {
        let now = Instant::now();
        let last = self.dialled.get(node);
        if last.is_some_and(|at| now - *at < DIAL_EVERY) {
            return;
        }
        if last.is_none() && self.dialled.len() >= DIALLED_MAX {
            self.dialled.retain(|_, at| now - *at < DIAL_EVERY);
        }
        if self.dialled.len() < DIALLED_MAX {
            self.dialled.insert(node.clone(), now);
        }
        self.transport.connect(node, None);
    }

    fn row_changed(&mut self, change: RowChange) {
        let is_told = self.observer.is_some() || self.shared.fanout.is_read();
        if let Some(event) = self.shared.row_changed(change, is_told) {
            self.publish(&event);
        }
    }

    fn children_changed(&mut self, fact: Fact) {
        let reason = |pid: &Pid| self.ending.remove(pid).unwrap_or(StopReason::Stopped);
        let event = self.shared.children_changed(fact, reason);
        self.publish(&event);
    }
}

impl<M: Message> Runtime<Envelope<M, Announcement>> for World<M> {
    fn now(&self) -> Time {
        Time(micros(self.epoch.elapsed()))
    }

    fn wall_clock(&self) -> WallTime {
        wall_clock()
    }

    fn random(&mut self) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn send(&mut self, to: &[NodeId], channel: Channel, message: Envelope<M, Announcement>) {
        self.enqueue(to, channel, message, true);
    }

    fn send_connected(
        &mut self,
        to: &[NodeId],
        channel: Channel,
        message: Envelope<M, Announcement>,
    ) {
        self.enqueue(to, channel, message, false);
    }

    fn announce(&mut self, channel: Channel, message: Envelope<M, Announcement>) {
        let outgoing = Outgoing {
            channel,
            kind: message.kind(),
            bytes: wire::encode(&message).into(),
        };
        let peers = match &self.observer {
            Some(observer) => observer.audience(),
            None => self.up.iter().cloned().collect(),
        };
        for node in &peers {
            self.dispatch(node, outgoing.clone());
        }
        self.announced = self.observer.is_none().then_some(outgoing);
    }

    fn set_timer(&mut self, key: TimerKey, delay: Duration) {
        self.clear_timer(key);
        // What lies beyond the clock's range never fires.
        let now = Instant::now();
        let ticked = self.ticked.and_then(|at| at.checked_add(delay));
        let in_time = ticked.filter(|at| *at > now);
        if let Some(at) = in_time.or_else(|| now.checked_add(delay)) {
            self.timers.insert(key, at);
            self.due.insert((at, key));
        }
    }

    fn cancel_timer(&mut self, key: TimerKey) {
        self.clear_timer(key);
    }

    fn start_child(&mut self, spec: &ChildSpec, pid: &Pid, metadata: &Metadata) {
        let event = self.supervisor.start(spec, pid, metadata);
        self.started.push(event);
    }

    fn stop_child(&mut self, pid: &Pid) {
        self.supervisor.stop(pid);
    }

    fn emit(&mut self, event: Event) {
        match event {
            Event::Row(change) => self.row_changed(change),
            Event::View(nodes) => {
                let event = self.shared.view_changed(nodes);
                self.publish(&event);
            }
            Event::Fact(fact) => self.children_changed(*fact),
            Event::Answer {
                ticket,
                node,
                results,
            } => self.requests.answer(ticket, &node, results),
            Event::Skipped { child, action } => {
                tracing::debug!(node = %self.node, %child, action, "the child does not run here");
            }
            Event::Mark(branch) => tracing::trace!(node = %self.node, branch, "mark"),
        }
    }
}

impl<M> Drop for World<M> {
    /// However the task ended: the connections close, and the streams end.
    fn drop(&mut self) {
        self.transport.abort();
        self.shared.fanout.close();
    }
}

/// The wall clock of this machine, in microseconds since the Unix epoch.
pub(super) fn wall_clock() -> WallTime {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, micros)
}

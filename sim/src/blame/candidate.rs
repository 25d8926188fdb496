//! The single changes that are tried on a run: of a message, a timer or a node's draws; and their order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hublab_strategies::{Time, TimerKey};

use super::Question;
use super::pivot::Kind;
use crate::model::{Change, MessageId, NodeIx, TimerKind};
use crate::trace::event::{Event, EventId, Payload};

/// One change.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) change: Change,
    pub(super) kind: Kind,
    /// The event that is changed: a delivery, a loss, a timer, or the first message that is sent with the
    /// draws.
    pub(super) event: EventId,
    pub(super) at: Time,
    /// The event that it is moved past.
    pub(super) neighbour: Option<EventId>,
    /// When the change has taken place.
    pub(super) done: Time,
    /// True if the event is a cause of the failure, in the trace.
    pub(super) is_cause: bool,
    /// True if it happened where the search looks; otherwise it is a cause.
    pub(super) is_inside: bool,
}

/// A trace, by what candidates are made of.
struct Index<'q> {
    question: &'q Question,
    /// By node: what it handled, in order.
    inputs: BTreeMap<NodeIx, Vec<&'q Event>>,
    /// The median of the latencies.
    latency: u64,
}

/// The changes of everything that happened in one of these windows (after the first instant, up to the
/// second) and not after the failure, and of all of its causes: those first, then what is nearest to it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is no message, timer or choice cannot be changed"
)]
pub(super) fn candidates(question: &Question, windows: &[(Time, Time)]) -> Vec<Candidate> {
    let index = Index::new(question);
    let mut all: Vec<Candidate> = Vec::new();
    let mut drawn: BTreeSet<(NodeIx, Time)> = BTreeSet::new();
    let is_within = |at: Time| {
        let mut windows = windows.iter();
        at <= question.failed_at() && windows.any(|(after, to)| *after < at && at <= *to)
    };
    for event in question.trace() {
        let sent = index.event(event.cause);
        // A message is within if it was sent there, or came there.
        let is_inside = is_within(event.at) || sent.is_some_and(|sent| is_within(sent.at));
        if !is_inside && !question.is_cause(event.id) {
            continue;
        }
        let before = all.len();
        match &event.payload {
            Payload::Delivered { .. } => index.delivery(event, &mut all),
            Payload::Dropped { .. } => index.loss(event, &mut all),
            Payload::Timer(_) => index.timer(event, &mut all),
            Payload::Sent { .. } if drawn.insert((event.node, event.at)) => {
                index.draws(event, &mut all);
            }
            _ => {}
        }
        all[before..]
            .iter_mut()
            .for_each(|one| one.is_inside = is_inside);
    }
    let mut seen = BTreeSet::new();
    all.retain(|candidate| seen.insert(candidate.change));
    all.sort_by_key(|one| {
        (
            !one.is_cause,
            std::cmp::Reverse(one.at),
            one.kind,
            one.event,
        )
    });
    all
}

impl<'q> Index<'q> {
    fn new(question: &'q Question) -> Self {
        let trace = question.trace();
        let mut index = Self {
            question,
            inputs: BTreeMap::new(),
            latency: 0,
        };
        let mut latencies = Vec::new();
        for event in trace {
            if is_input(event) {
                index.inputs.entry(event.node).or_default().push(event);
            }
            if let Payload::Sent {
                due: Some(due), to, ..
            } = event.payload
                && to != event.node
            {
                latencies.push(due.0.saturating_sub(event.at.0));
            }
        }
        latencies.sort_unstable();
        index.latency = latencies
            .get(latencies.len() / 2)
            .copied()
            .unwrap_or_default();
        index
    }

    fn event(&self, id: EventId) -> Option<&'q Event> {
        self.question.event(id)
    }

    /// The inputs that an event's node handled directly before and directly after it.
    fn neighbours(&self, event: &Event) -> [Option<&'q Event>; 2] {
        let inputs = self.inputs.get(&event.node).map_or(&[][..], Vec::as_slice);
        let before = inputs.partition_point(|other| other.id < event.id);
        let after = inputs.partition_point(|other| other.id <= event.id);
        [
            before.checked_sub(1).and_then(|at| inputs.get(at)),
            inputs.get(after),
        ]
        .map(|found| found.copied())
    }

    /// The message that an event is about, and the event of its sending.
    fn message(&self, event: &Event) -> Option<(MessageId, &'q Event)> {
        let sent = self.event(event.cause)?;
        if let Payload::Sent {
            to,
            channel,
            number,
            ..
        } = sent.payload
        {
            let id = MessageId {
                from: sent.node,
                to,
                channel,
                number: u32::try_from(number).ok()?,
            };
            return Some((id, sent));
        }
        None
    }

    fn candidate(&self, event: &Event, change: Change, kind: Kind, done: Time) -> Candidate {
        Candidate {
            change,
            kind,
            event: event.id,
            at: event.at,
            neighbour: None,
            done,
            is_cause: self.question.is_cause(event.id),
            is_inside: true,
        }
    }

    fn delivery(&self, event: &Event, all: &mut Vec<Candidate>) {
        let Some((message, sent)) = self.message(event) else {
            return;
        };
        let [before, after] = self.neighbours(event);
        let mut moved = |neighbour: Option<&Event>, at: Option<u64>, kind| {
            if let (Some(neighbour), Some(at)) = (neighbour, at)
                && at >= sent.at.0
            {
                let change = Change::Arrive {
                    message,
                    at: Duration::from_micros(at),
                };
                let done = Time(at).max(event.at);
                all.push(Candidate {
                    neighbour: Some(neighbour.id),
                    ..self.candidate(event, change, kind, done)
                });
            }
        };
        moved(
            before,
            before.and_then(|other| other.at.0.checked_sub(1)),
            Kind::Earlier,
        );
        // An input that this very event caused follows it wherever it is moved.
        let after = after.filter(|other| other.cause != event.id);
        moved(after, after.map(|other| other.at.0 + 1), Kind::Later);
        all.push(self.candidate(event, Change::Lose(message), Kind::Lost, event.at));
        let again = event.at.0 + (event.at.0 - sent.at.0).max(1);
        let change = Change::Double {
            message,
            at: Duration::from_micros(again),
        };
        all.push(self.candidate(event, change, Kind::Doubled, Time(again)));
    }

    fn loss(&self, event: &Event, all: &mut Vec<Candidate>) {
        let Some((message, sent)) = self.message(event) else {
            return;
        };
        let at = if event.at > sent.at {
            event.at.0 - 1
        } else {
            sent.at.0 + self.latency
        };
        let change = Change::Arrive {
            message,
            at: Duration::from_micros(at),
        };
        all.push(self.candidate(event, change, Kind::Arrived, Time(at).max(event.at)));
    }

    fn timer(&self, event: &Event, all: &mut Vec<Candidate>) {
        let Payload::Timer(key) = event.payload else {
            return;
        };
        let set = self.event(event.cause).map_or(0, |set| set.at.0);
        let (timer, key) = TimerKind::of(key);
        let [before, after] = self.neighbours(event);
        let mut moved = |neighbour: Option<&Event>, at: Option<u64>, kind| {
            if let (Some(neighbour), Some(at)) = (neighbour, at)
                && at > set
            {
                let change = Change::Fire {
                    node: event.node,
                    timer,
                    key,
                    due: Question::since_start(event.at),
                    at: Duration::from_micros(at),
                };
                let done = Time(at).max(event.at);
                all.push(Candidate {
                    neighbour: Some(neighbour.id),
                    ..self.candidate(event, change, kind, done)
                });
            }
        };
        moved(
            before,
            before.and_then(|other| other.at.0.checked_sub(1)),
            Kind::Earlier,
        );
        moved(after, after.map(|other| other.at.0 + 1), Kind::Later);
    }

    fn draws(&self, event: &Event, all: &mut Vec<Candidate>) {
        let change = Change::Draw {
            node: event.node,
            at: Question::since_start(event.at),
            number: 1,
        };
        all.push(self.candidate(event, change, Kind::Redrawn, event.at));
    }
}

/// True for what a node handles, if it can matter what it handles before.
fn is_input(event: &Event) -> bool {
    match event.payload {
        Payload::PeerUp { .. }
        | Payload::PeerDown { .. }
        | Payload::Delivered { .. }
        | Payload::ChildStarted { .. }
        | Payload::ChildStopped { .. }
        | Payload::Injected { .. } => true,
        // An announcement and a purge at their time: what comes before or behind them is all the same.
        Payload::Timer(key) => !matches!(key, TimerKey::Discovery | TimerKey::Janitor),
        Payload::Step { .. }
        | Payload::Kind { .. }
        | Payload::Booted { .. }
        | Payload::Stopped(_)
        | Payload::Paused
        | Payload::Resumed
        | Payload::Sent { .. }
        | Payload::Duplicated { .. }
        | Payload::Dropped { .. }
        | Payload::Row { .. }
        | Payload::View(_)
        | Payload::Fact(_)
        | Payload::Answered { .. }
        | Payload::Skipped { .. }
        | Payload::Mark(_)
        | Payload::Panicked(_)
        | Payload::Connected { .. }
        | Payload::Disconnected { .. }
        | Payload::Queued { .. }
        | Payload::Sizes(_) => false,
    }
}

//! [`Causes`]: the kind of the input that a node was handling when something happened, in one or two
//! words.
//!
//! The events of a node's step have the step's input as their cause. So it is enough to remember the
//! last input of each node, and the steps of the script, which may wait for a paused node.

use hublab_strategies::TimerKey;

use crate::model::NodeIx;
use crate::trace::event::{Event, EventId, KindIx, Payload};

/// The action that overwrites a cluster view.
const VIEW: &str = "view";

/// The kind of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cause {
    /// Not known, or nothing in particular.
    #[default]
    Unknown,
    /// A message of this kind, from this node.
    Deliver(KindIx, NodeIx),
    /// A timer, by its name.
    Timer(&'static str),
    /// A connection came up.
    PeerUp,
    /// A connection was lost.
    PeerDown,
    /// The node's boot.
    Boot,
    /// The node stopped.
    Stop,
    /// A step of the script: the position of its name in [`Causes`].
    Step(u8),
    /// Another task of the world.
    Injected {
        /// True if it overwrites the node's cluster view.
        sets_view: bool,
    },
}

/// The event that changed something, and the kind of input that it came of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// The event; 0 if it is not known.
    pub event: EventId,
    /// The kind of the input.
    pub cause: Cause,
}

/// The inputs under way.
#[derive(Debug)]
pub(crate) struct Causes {
    /// By node: its last input.
    last: Vec<(EventId, Cause)>,
    /// Every step so far, in order.
    steps: Vec<(EventId, Cause)>,
    actions: Vec<String>,
    kinds: Vec<String>,
}

impl Causes {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            last: vec![(0, Cause::Unknown); nodes],
            steps: Vec::new(),
            actions: Vec::new(),
            kinds: Vec::new(),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a fold looks at the events that concern it"
    )]
    pub(crate) fn event(&mut self, event: &Event) {
        let cause = match &event.payload {
            Payload::Kind { kind, name } => {
                if usize::from(*kind) == self.kinds.len() {
                    self.kinds.push(name.clone());
                }
                return;
            }
            Payload::Step { action, .. } => {
                let step = self.step(action);
                return self.steps.push((event.id, step));
            }
            Payload::Delivered { from, kind, .. } => Cause::Deliver(*kind, *from),
            Payload::Timer(key) => Cause::Timer(timer_name(*key)),
            Payload::PeerUp { .. } => Cause::PeerUp,
            Payload::PeerDown { .. } => Cause::PeerDown,
            Payload::Booted { .. } => Cause::Boot,
            Payload::Stopped(_) => Cause::Stop,
            Payload::Injected { action } => Cause::Injected {
                sets_view: action == VIEW,
            },
            _ => return,
        };
        if let Some(last) = self.last.get_mut(event.node as usize) {
            *last = (event.id, cause);
        }
    }

    /// The actions have fewer than 256 names; one more would share the last.
    fn step(&mut self, action: &str) -> Cause {
        let known = self.actions.iter().position(|known| known == action);
        let at = known.unwrap_or_else(|| {
            self.actions.push(action.to_owned());
            self.actions.len() - 1
        });
        Cause::Step(u8::try_from(at).unwrap_or(u8::MAX))
    }

    /// The event itself, and the kind of input that it came of.
    #[must_use]
    pub(crate) fn of(&self, event: &Event) -> Origin {
        let cause = self.input_of(event);
        let event = event.id;
        Origin { event, cause }
    }

    fn input_of(&self, event: &Event) -> Cause {
        match self.last.get(event.node as usize) {
            Some((id, cause)) if *id == event.cause => *cause,
            _ => self
                .steps
                .binary_search_by_key(&event.cause, |(id, _)| *id)
                .map_or(Cause::Unknown, |at| self.steps[at].1),
        }
    }

    /// True if a cluster view changed because a `view` step, or an injection, overwrote it.
    #[must_use]
    pub(crate) fn is_overwritten(&self, origin: Origin) -> bool {
        if let Cause::Injected { sets_view } = origin.cause {
            sets_view
        } else if let Cause::Step(at) = origin.cause {
            let action = self.actions.get(usize::from(at));
            action.is_some_and(|action| action == VIEW)
        } else {
            false
        }
    }

    /// The name of a kind of message; empty for one that was never used.
    #[must_use]
    pub(crate) fn kind(&self, kind: KindIx) -> &str {
        self.kinds.get(usize::from(kind)).map_or("", String::as_str)
    }

    /// A cause as signatures have it: `deliver pubsub.sync`, `timer debounce`, `step crash`, ...;
    /// empty if it is not known.
    #[must_use]
    pub(crate) fn text(&self, cause: Cause) -> String {
        match cause {
            Cause::Unknown => String::new(),
            Cause::Deliver(kind, _) => format!("deliver {}", self.kind(kind)),
            Cause::Timer(name) => format!("timer {name}"),
            Cause::PeerUp => "peer_up".to_owned(),
            Cause::PeerDown => "peer_down".to_owned(),
            Cause::Boot => "boot".to_owned(),
            Cause::Stop => "stop".to_owned(),
            Cause::Step(at) => self
                .actions
                .get(usize::from(at))
                .map_or(String::new(), |action| format!("step {action}")),
            Cause::Injected { .. } => "injected".to_owned(),
        }
    }
}

fn timer_name(key: TimerKey) -> &'static str {
    match key {
        TimerKey::Discovery => "discovery",
        TimerKey::Sync => "sync",
        TimerKey::Janitor => "janitor",
        TimerKey::Debounce => "debounce",
        TimerKey::Membership(_) => "membership",
        TimerKey::Strategy(_) => "strategy",
    }
}

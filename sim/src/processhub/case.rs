//! [`Case`]: one thing that a view shows wrongly, and what led to it.

use hublab_strategies::{ChildId, TimerKey};

use super::log::{Life, Log, Message, Shown};
use crate::model::NodeIx;
use crate::trace::event::{EventId, Payload};

/// How a view differs from the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Defect {
    /// The child runs on the owner, and the observer has no entry.
    Absent,
    /// The observer has an entry, and nothing runs there under this id.
    Ghost,
    /// The observer has the pid of another process than the one that runs.
    Pid,
    /// The observer has metadata that the owner did not give.
    Metadata,
    /// The observer has an entry of a node outside its cluster view; it may well be true.
    Foreign,
}

/// One entry, or the lack of one, at one observer.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) log: &'a Log<'a>,
    /// The event after which it is looked at.
    pub(super) at: EventId,
    /// The node whose view it is.
    pub(super) observer: NodeIx,
    /// The node that the entry is about.
    pub(super) owner: NodeIx,
    pub(super) child: &'a ChildId,
    pub(super) defect: Defect,
    /// The entry that the observer shows; `None` if there is none.
    pub(super) shown: Option<Shown<'a>>,
    /// The process that runs there; `None` if there is none.
    pub(super) life: Option<Life<'a>>,
    /// The process of the shown pid, if it ever ran there.
    pub(super) dead: Option<Life<'a>>,
    /// The change of the observer's row that made the entry what it is; `None` if there was never
    /// one.
    pub(super) made: Option<EventId>,
}

impl<'a> Case<'a> {
    /// Looks at one entry, or at the lack of one, after an event.
    pub(super) fn new(
        log: &'a Log<'a>,
        at: EventId,
        observer: NodeIx,
        (child, owner): (&'a ChildId, NodeIx),
        defect: Defect,
    ) -> Self {
        let shown = log.shown_at(observer, child, owner, at);
        let lives = log.lives(owner, child).iter();
        let dead = shown
            .and_then(|shown| shown.pid)
            .and_then(|pid| lives.copied().rev().find(|life| life.pid == pid));
        let mut case = Self {
            log,
            at,
            observer,
            owner,
            child,
            defect,
            shown,
            life: log.life_at(owner, child, at),
            dead,
            made: None,
        };
        case.made = case.find_maker();
        case
    }

    /// The defects that can be seen without knowing who complains: the view against the truth.
    pub(super) fn defect_at(
        log: &'a Log<'a>,
        at: EventId,
        observer: NodeIx,
        (child, owner): (&'a ChildId, NodeIx),
    ) -> Option<Self> {
        let shown = log.shown_at(observer, child, owner, at);
        let defect = match (shown, log.life_at(owner, child, at)) {
            (None, None) => return None,
            (None, Some(_)) => Defect::Absent,
            (Some(_), None) => Defect::Ghost,
            (Some(shown), Some(life)) if shown.pid != Some(life.pid) => Defect::Pid,
            (Some(shown), Some(life)) if shown.metadata != life.metadata => Defect::Metadata,
            (Some(_), Some(_)) => return None,
        };
        Some(Self::new(log, at, observer, (child, owner), defect))
    }

    /// The last change of the observer's row that changed what this is about: the pid, or for
    /// [`Defect::Metadata`] the metadata.
    fn find_maker(&self) -> Option<EventId> {
        let of = |change: EventId| {
            let row = self.log.row_after(change)?;
            super::log::shown(row, self.log.name(self.owner))
        };
        let mut made = None;
        let mut before: Option<Shown<'_>> = None;
        for change in self.log.changes(self.observer, self.child, self.at) {
            let after = of(*change);
            let is_new = if self.defect == Defect::Metadata {
                before.map(|shown| shown.metadata) != after.map(|shown| shown.metadata)
            } else {
                before.map(|shown| shown.pid) != after.map(|shown| shown.pid)
            };
            if is_new {
                made = Some(*change);
            }
            before = after;
        }
        made
    }

    /// Since when the truth has been what the view does not show: the start of what runs, or else
    /// the end of what is shown.
    pub(super) fn truth_since(&self) -> EventId {
        let started = self.life.map(|life| life.started);
        let ended = self.dead.and_then(|life| life.ended);
        started.or(ended).unwrap_or(0)
    }

    /// Since when view and truth have differed: a cure must have come after this.
    pub(super) fn since(&self) -> EventId {
        let booted = self
            .log
            .boot_at(self.observer, self.at)
            .map_or(0, |boot| boot.from);
        self.truth_since().max(self.made.unwrap_or(0)).max(booted)
    }

    /// The time in which a cure could have come.
    pub(super) fn window(&self) -> (EventId, EventId) {
        (self.since(), self.at)
    }

    /// When view and truth agreed again; `None` if they never did.
    pub(super) fn until(&self) -> Option<EventId> {
        let subject = (self.child, self.owner);
        let turns = self.log.turns(self.observer, subject, self.at);
        turns.into_iter().find(|turn| {
            let is_right = || match self.defect {
                Defect::Absent | Defect::Ghost | Defect::Pid | Defect::Metadata => {
                    Self::defect_at(self.log, *turn, self.observer, subject).is_none()
                }
                Defect::Foreign => self.log.is_member(self.observer, self.owner, *turn),
            };
            self.log.boot_at(self.observer, *turn).is_none() || is_right()
        })
    }

    /// True if rounds of the owner could not have been expected to cure this: it had none due, or
    /// they went elsewhere, or were lost. Only PubSub's rounds are looked at: a round of its that
    /// was due and not sent, or handled and without effect, is no known anomaly.
    pub(super) fn lacks_rounds_of_owner(&self) -> bool {
        if self.defect == Defect::Foreign {
            return false;
        } else if self.log.strategy != "pubsub" {
            return true;
        }
        let truth = self.truth_since();
        let is_withheld = |timer: EventId| {
            let mut sent = self.log.sent_for(timer);
            let is_due = self.log.is_member(self.owner, self.observer, timer)
                && self.log.has_latched(self.owner, timer);
            is_due && !sent.any(|(_, to, kind)| to == self.observer && kind == "pubsub.sync")
        };
        let mut timers = self.log.timers(self.owner, TimerKey::Sync, self.window());
        let mut handled = self.log.handled(self.observer, self.window());
        !timers.any(is_withheld)
            && !handled.any(|message| {
                message.from == self.owner && message.kind == "pubsub.sync" && message.sent > truth
            })
    }

    /// The message that made the entry what it is.
    pub(super) fn message(&self) -> Option<Message<'a>> {
        self.log.message(self.log.cause(self.made?))
    }

    /// [`Self::message`], if it is of one of these kinds and comes from the owner itself.
    pub(super) fn message_of_owner(&self, kinds: &[&str]) -> Option<Message<'a>> {
        let message = self.message()?;
        (message.from == self.owner && kinds.contains(&message.kind)).then_some(message)
    }

    /// True if the entry says what was true of the owner after `then`, and no longer is.
    pub(super) fn was_true_at(&self, then: EventId) -> bool {
        match self.defect {
            // Not running yet, or not registered yet.
            Defect::Absent => {
                self.life.is_some_and(|life| life.started > then)
                    && self.log.snapshot_at(self.owner, self.child, then).is_none()
            }
            Defect::Ghost | Defect::Pid => {
                let listed = self.log.snapshot_at(self.owner, self.child, then);
                let is_listed = listed.is_some() && listed == self.shown.and_then(|s| s.pid);
                is_listed
                    && self
                        .dead
                        .is_some_and(|life| life.ended.is_some_and(|end| end > then))
            }
            Defect::Metadata | Defect::Foreign => false,
        }
    }

    /// True if the entry was made after the truth had changed: what made it was late.
    pub(super) fn is_made_late(&self) -> bool {
        self.made.is_some_and(|made| made > self.truth_since())
    }

    /// True if the observer has handled requests that the owner sent because of an event, between
    /// two events.
    pub(super) fn has_heard(&self, cause: EventId, before: EventId) -> bool {
        let window = (cause, before);
        let mut heard = self.log.handled(self.observer, window);
        heard.any(|message| {
            is_request(message.kind)
                && self.log.cause(message.root) == cause
                && self.log.sender(message.root) == Some(self.owner)
        })
    }

    /// True if both nodes run when it is looked at.
    pub(super) fn is_owner_running(&self) -> bool {
        self.log.boot_at(self.owner, self.at).is_some()
    }

    /// True if the observer has the owner in its view when it is looked at.
    pub(super) fn is_member(&self) -> bool {
        self.log.is_member(self.observer, self.owner, self.at)
    }

    /// The event at which the owner's present incarnation booted.
    pub(super) fn owner_booted(&self) -> Option<EventId> {
        Some(self.log.boot_at(self.owner, self.at)?.from)
    }

    /// True if the shown pid is of an incarnation of the owner that is over.
    pub(super) fn is_of_former_life(&self) -> bool {
        let ended = self.dead.and_then(|life| life.ended);
        ended.is_some_and(|ended| {
            let cause = self.log.event(self.log.cause(ended));
            cause.is_some_and(|cause| matches!(cause.payload, Payload::Stopped(_)))
        })
    }
}

/// True if messages of a kind carry requests.
pub(super) fn is_request(kind: &str) -> bool {
    matches!(kind, "pubsub.requests" | "gossip.propagate")
}

/// True if messages of a kind belong to a round of Gossip.
pub(super) fn is_round(kind: &str) -> bool {
    matches!(kind, "gossip.sync" | "gossip.join")
}

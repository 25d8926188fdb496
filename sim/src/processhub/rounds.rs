//! Anomalies of cures that never came: rounds that were not started, not applied, or refused.

use hublab_strategies::TimerKey;

use super::case::{Case, Defect, is_round};
use super::log::{Fate, Message};
use super::members::lost_news;
use crate::model::NodeIx;
use crate::trace::event::{Event, EventId};

/// The mark that `gossip` sets when it applies a round's data.
const APPLIED: &str = "gossip.round_applied";

impl<'a> Case<'a> {
    /// The events at which a round took a node's snapshot, up to `before`.
    pub(super) fn visits(
        &self,
        node: NodeIx,
        root: EventId,
        before: EventId,
    ) -> impl Iterator<Item = EventId> + use<'a> {
        let log = self.log;
        let own = (log.sender(root) == Some(node)).then_some(root);
        let handled = log.handled(node, (root, before));
        let visits = handled.filter(move |message| message.root == root);
        own.into_iter().chain(visits.map(|visit| visit.handled))
    }

    /// The rounds that the observer took in during the window, each with the owner's last visit
    /// before, if that was late enough to bring the cure.
    fn fresh_rounds(&self) -> impl Iterator<Item = (Message<'a>, EventId)> + use<'a> {
        let (case, truth) = (*self, self.truth_since());
        let handled = case.log.handled(case.observer, case.window());
        handled.filter_map(move |message| {
            let is_taken_in =
                is_round(message.kind) && case.log.is_marked(message.handled, APPLIED);
            if !is_taken_in {
                return None;
            }
            let visit = case
                .visits(case.owner, message.root, message.handled)
                .filter(|visit| *visit > truth)
                .last()?;
            Some((message, visit))
        })
    }

    pub(super) fn is_never_cured_by_a_round(&self) -> bool {
        self.defect != Defect::Foreign && self.fresh_rounds().next().is_none()
    }
}

/// How a wall clock stands to the one that earlier data were stamped with.
#[derive(PartialEq, Eq)]
enum Stamp {
    Newer,
    Equal,
    Older,
}

/// A7: the owner's data came, and were refused because its clock had been set back.
pub(super) fn a7(case: &Case<'_>) -> bool {
    refused(case) == Some(Stamp::Older)
}

/// G11: the owner's data came, and were refused because they carry the very timestamp of earlier
/// ones.
pub(super) fn g11(case: &Case<'_>) -> bool {
    refused(case) == Some(Stamp::Equal)
}

/// The stamp of the last data of the owner that came after the truth had changed and had no
/// effect, against those that came before.
fn refused(case: &Case<'_>) -> Option<Stamp> {
    if case.observer == case.owner || case.defect == Defect::Foreign {
        return None;
    }
    let (message, taken) = case
        .fresh_rounds()
        .last()
        .or_else(|| fresh_join_data(case))?;
    let booted = case.log.boot_at(case.observer, case.at)?.from;
    let now = case.log.wall_clock(case.owner, taken);
    let earlier = case
        .log
        .handled(case.observer, (booted, message.handled))
        .flat_map(|other| stamped(case, other))
        .filter(|other| *other < taken)
        .map(|other| case.log.wall_clock(case.owner, other))
        .max();
    Some(match earlier {
        Some(earlier) if earlier > now => Stamp::Older,
        Some(earlier) if earlier == now => Stamp::Equal,
        Some(_) | None => Stamp::Newer,
    })
}

fn fresh_join_data<'a>(case: &Case<'a>) -> Option<(Message<'a>, EventId)> {
    let truth = case.truth_since();
    let mut handled = case.log.handled(case.observer, case.window());
    let message = handled.rfind(|message| {
        message.kind == "pubsub.join" && message.from == case.owner && message.sent > truth
    })?;
    // Join data never remove the children that they do not list.
    (case.defect != Defect::Ghost).then_some((message, message.sent))
}

/// The events at which the owner stamped what a message brought.
fn stamped(case: &Case<'_>, message: Message<'_>) -> Vec<EventId> {
    if message.kind == "pubsub.join" && message.from == case.owner {
        vec![message.sent]
    } else if is_round(message.kind) {
        case.visits(case.owner, message.root, message.handled)
            .collect()
    } else {
        Vec::new()
    }
}

/// A10: the news of the change were lost on their way, nobody noticed, and no snapshot of the
/// owner has come since.
pub(super) fn a10(case: &Case<'_>) -> bool {
    lost_news(case).is_some() && case.lacks_rounds_of_owner() && case.is_never_cured_by_a_round()
}

/// G1: rounds are under way and nobody applies them, because a node that is in a view does not
/// answer.
pub(super) fn g1(case: &Case<'_>) -> bool {
    let is_unanswered = |sent: &Event, to: NodeIx| {
        let is_gone = match case.log.fate(sent, case.at) {
            Fate::Handled | Fate::OnTheWay => false,
            Fate::Lost(reason) => !reason.is_unnoticed(),
            Fate::Waiting => true,
        };
        is_gone && to != case.observer && case.log.is_member(sent.node, to, sent.id)
    };
    let mut sent = case.log.sent(case.window());
    case.is_never_cured_by_a_round()
        && sent.any(|(event, to, kind)| is_round(kind) && is_unanswered(event, to))
}

/// G7: a message of the propagation, or of a round, was lost or went to a node that does not
/// answer, and what it carried went no further.
pub(super) fn g7(case: &Case<'_>) -> bool {
    let (truth, at) = (case.truth_since(), case.at);
    let news = case.log.cause(truth);
    let is_of_news = |sent: &Event| {
        let root = case.log.root(sent.id);
        case.log.cause(root) == news && case.log.sender(root) == Some(case.owner)
    };
    let is_stuck = |sent: &Event| match case.log.fate(sent, at) {
        Fate::Handled | Fate::OnTheWay => false,
        Fate::Waiting | Fate::Lost(_) => true,
    };
    let stuck_propagation = || {
        let mut sent = case.log.sent((truth, at));
        !case.has_heard(news, at)
            && sent.any(|(event, _, kind)| {
                kind == "gossip.propagate" && is_of_news(event) && is_stuck(event)
            })
    };
    let stuck_round = || {
        let mut sent = case.log.sent(case.window());
        sent.any(|(event, _, kind)| is_round(kind) && is_stuck(event))
    };
    case.is_never_cured_by_a_round() && (stuck_propagation() || stuck_round())
}

/// G8: no round was started, because no node that could is the first of its view and has hosted
/// something.
pub(super) fn g8(case: &Case<'_>) -> bool {
    let window = case.window();
    let mut is_any_due = false;
    for node in case.log.nodes() {
        for timer in case.log.timers(node, TimerKey::Sync, window) {
            is_any_due = true;
            let view = case.log.view_at(node, timer);
            let is_first = view
                .iter()
                .min()
                .is_none_or(|first| first == case.log.name(node));
            if is_first && case.log.has_latched(node, timer) && view.len() > 1 {
                return false;
            }
        }
    }
    let is_gossip = case.log.strategy == "gossip";
    is_gossip && is_any_due && case.is_never_cured_by_a_round()
}

/// G9: the observer's join data went to the owner, which knew nobody to pass them on to, and
/// nothing came back.
pub(super) fn g9(case: &Case<'_>) -> bool {
    let Some(life) = case.life.filter(|_| case.defect == Defect::Absent) else {
        return false;
    };
    let mut handled = case.log.handled(case.owner, (life.started, case.at));
    case.is_never_cured_by_a_round()
        && handled.any(|message| {
            message.kind == "gossip.join"
                && case.log.sender(message.root) == Some(case.observer)
                && case.log.is_marked(message.handled, APPLIED)
                && !case
                    .log
                    .is_member(case.owner, case.observer, message.handled)
        })
}

/// M2: the observer passed a round on instead of applying it, for the data of a member were
/// missing; that member's view lacked the observer, and nothing came back.
pub(super) fn m2(case: &Case<'_>) -> bool {
    let is_one_sided = |handled: EventId| {
        case.log.sent_for(handled).any(|(event, to, kind)| {
            is_round(kind)
                && to != case.observer
                && case.log.boot_at(to, event.id).is_some()
                && !case.log.is_member(to, case.observer, event.id)
        })
    };
    let mut handled = case.log.handled(case.observer, case.window());
    case.is_never_cured_by_a_round()
        && handled.any(|message| {
            is_round(message.kind)
                && !case.log.is_marked(message.handled, APPLIED)
                && is_one_sided(message.handled)
        })
}

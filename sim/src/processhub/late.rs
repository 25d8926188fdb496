//! Anomalies made by one message: it said what had been true, or said it to the wrong node.

use super::case::{Case, Defect, is_request, is_round};
use super::log::Life;
use crate::model::{Action, Audience};
use crate::trace::event::EventId;

/// A1: a periodic snapshot, taken before the child was registered, removed its row.
pub(super) fn a1(case: &Case<'_>) -> bool {
    case.defect == Defect::Absent
        && case
            .message_of_owner(&["pubsub.sync"])
            .is_some_and(|message| case.was_true_at(message.sent))
}

/// A2: a periodic snapshot, taken before the child was stopped, brought its row back.
pub(super) fn a2(case: &Case<'_>) -> bool {
    case.defect == Defect::Ghost
        && case.is_made_late()
        && case
            .message_of_owner(&["pubsub.sync"])
            .is_some_and(|message| case.was_true_at(message.sent))
}

/// A3: a snapshot, taken before the child got a new pid, put the old one back at an observer that
/// had the new one.
pub(super) fn a3(case: &Case<'_>) -> bool {
    let (Defect::Pid, Some(life), Some(made)) = (case.defect, case.life, case.made) else {
        return false;
    };
    had_newer(case, life, made)
        && case
            .message_of_owner(&["pubsub.sync", "pubsub.join"])
            .is_some_and(|message| case.was_true_at(message.sent))
}

/// True if the observer showed the running process before an event.
fn had_newer(case: &Case<'_>, life: Life<'_>, before: EventId) -> bool {
    let changes = case.log.changes(case.observer, case.child, before).iter();
    let shown = |change| {
        case.log
            .shown_at(case.observer, case.child, case.owner, change)
    };
    let mut earlier = changes.filter_map(|change| shown(*change));
    earlier.any(|shown| shown.pid == Some(life.pid))
}

/// A4: requests about one child took effect in another order than they were made in: the
/// unregistration of an earlier process removed the row of the running one, or the registration
/// of a process came after the news of its end or of a later one.
pub(super) fn a4(case: &Case<'_>) -> bool {
    let Some(message) = case.message().filter(|message| is_request(message.kind)) else {
        return false;
    };
    if case.log.sender(message.root) != Some(case.owner) {
        return false;
    }
    let made_for = case.log.cause(message.root);
    match case.defect {
        Defect::Absent => {
            let is_of_earlier_end = case
                .log
                .lives(case.owner, case.child)
                .iter()
                .filter_map(|life| life.ended)
                .any(|ended| case.log.cause(ended) == made_for);
            is_of_earlier_end
                && !case.log.starts(made_for, case.owner, case.child)
                && case.life.is_some_and(|life| life.started > message.root)
        }
        Defect::Ghost | Defect::Pid => {
            let is_of_start = case
                .dead
                .is_some_and(|life| case.log.cause(life.started) == made_for);
            let later = case.log.cause(case.truth_since());
            let knew = case
                .life
                .is_some_and(|life| had_newer(case, life, message.handled));
            let heard =
                || case.has_heard(later, message.handled) || has_seen(case, message.handled);
            is_of_start && (knew || heard())
        }
        Defect::Metadata | Defect::Foreign => false,
    }
}

/// True if the observer handled a snapshot that the owner took after the truth had changed.
fn has_seen(case: &Case<'_>, before: EventId) -> bool {
    let truth = case.truth_since();
    let mut handled = case.log.handled(case.observer, (truth, before));
    handled.any(|message| {
        message.from == case.owner && message.kind == "pubsub.sync" && message.sent > truth
    })
}

/// A6: join data, which add and never remove, brought a stopped child back.
pub(super) fn a6_brought(case: &Case<'_>) -> bool {
    case.defect == Defect::Ghost
        && case.is_made_late()
        && case
            .message_of_owner(&["pubsub.join"])
            .is_some_and(|message| case.was_true_at(message.sent))
}

/// A6: join data, which add and never remove, came when the child had stopped, and left its row.
pub(super) fn a6_left(case: &Case<'_>) -> bool {
    let ended = case.truth_since();
    let mut handled = case.log.handled(case.observer, case.window());
    case.defect == Defect::Ghost
        && case.dead.is_some()
        && case.lacks_rounds_of_owner()
        && handled.any(|message| {
            message.kind == "pubsub.join" && message.from == case.owner && message.sent > ended
        })
}

/// G5: a propagation was handled a second time by a node that had forgotten the first.
pub(super) fn g5(case: &Case<'_>) -> bool {
    let Some(message) = case
        .message()
        .filter(|message| message.kind == "gossip.propagate")
    else {
        return false;
    };
    let mut earlier = case
        .log
        .handled(case.observer, (booted(case), message.handled - 1));
    earlier.any(|other| other.root == message.root)
}

/// G6: a raw request took effect at a node that it was not addressed to.
pub(super) fn g6(case: &Case<'_>) -> bool {
    let Some(made) = case.made.filter(|_| case.log.strategy == "gossip") else {
        return false;
    };
    let handled = case.log.cause(made);
    let origin = match case.log.message(handled) {
        Some(message) if message.kind == "gossip.propagate" => case.log.cause(message.root),
        Some(_) => return false,
        None => handled,
    };
    let Some(Action::Propagate { from, members, .. }) = case.log.action(origin) else {
        return false;
    };
    let is_addressed = match members {
        Audience::Global => true,
        Audience::Local => case.observer == *from,
        Audience::External => case.observer != *from,
        Audience::Nodes(nodes) => nodes.contains(&case.observer),
    };
    !is_addressed
}

/// A18: a raw request of another node changed an entry of the node that handled it.
pub(super) fn a18(case: &Case<'_>) -> bool {
    let Some(message) = case.message().filter(|message| is_request(message.kind)) else {
        return false;
    };
    let action = case.log.action(case.log.cause(message.root));
    let is_of_other = |action: &Action| matches!(action, Action::Propagate { from, .. } if *from != case.observer);
    case.observer == case.owner && action.is_some_and(is_of_other)
}

/// G10: a round carried what was true of the owner when it visited it, and applied it later.
pub(super) fn g10(case: &Case<'_>) -> bool {
    let is_late = case.defect == Defect::Absent || case.is_made_late();
    let Some(message) = case.message().filter(|message| is_round(message.kind)) else {
        return false;
    };
    is_late
        && case
            .visits(case.owner, message.root, message.handled)
            .any(|visit| case.was_true_at(visit))
}

/// M4: a good-bye of an earlier incarnation removed the rows of the one that runs.
pub(super) fn m4(case: &Case<'_>) -> bool {
    let (Defect::Absent, Some(message), Some(owner_booted)) =
        (case.defect, case.message(), case.owner_booted())
    else {
        return false;
    };
    message.kind == "hub.leave" && message.from == case.owner && message.sent < owner_booted
}

fn booted(case: &Case<'_>) -> EventId {
    let boot = case.log.boot_at(case.observer, case.at);
    boot.map_or(0, |boot| boot.from)
}

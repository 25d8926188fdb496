//! Anomalies of who belongs to the cluster, and of what a row says of several nodes at once.

use hublab_strategies::TimerKey;

use super::case::{Case, Defect, is_request};
use super::log::Fate;
use crate::model::{Action, NodeIx};
use crate::trace::event::{EventId, Payload};

/// A5: a message, or the script, put in an entry of a node outside the observer's view: one that had been
/// removed, or that stopped without ever having been in it, or that is still unknown. Or a view that was
/// overwritten left the node out, and its rows stayed.
pub(super) fn a5(case: &Case<'_>) -> bool {
    if !matches!(case.defect, Defect::Ghost | Defect::Foreign | Defect::Pid) {
        return false;
    }
    let Some(made) = case.made else {
        return false;
    };
    if is_by_hand(case, made) {
        return case.defect == Defect::Foreign;
    }
    let Some(message) = case.message() else {
        return false;
    };
    if message.kind == "hub.children" {
        return false;
    }
    if case.log.is_member(case.observer, case.owner, made) {
        return case.defect == Defect::Foreign && is_left_out(case, made);
    }
    let booted = case.log.boot_at(case.observer, made);
    let was_member = booted.is_some_and(|boot| {
        case.log
            .was_member(case.observer, case.owner, boot.from, made)
    });
    was_member || !case.is_owner_running() || case.defect == Defect::Foreign
}

/// True if a view that was overwritten since left the owner out, which has not come back.
fn is_left_out(case: &Case<'_>, made: EventId) -> bool {
    let mut views = case.log.overwritten_views(case.observer, case.at);
    views.any(|(step, view)| {
        step > made
            && !view.contains(&case.owner)
            && (case.log).stayed_out(case.observer, case.owner, step, case.at)
    })
}

/// True if a change was made by a step that writes rows, or by a raw request.
fn is_by_hand(case: &Case<'_>, made: EventId) -> bool {
    let cause = case.log.cause(made);
    let origin = case
        .log
        .message(cause)
        .map_or(cause, |message| case.log.cause(message.root));
    let action = case.log.action(origin);
    matches!(action, Some(Action::Rows { .. } | Action::Propagate { .. }))
}

/// A8: the owner hosts nothing, and its snapshots are suppressed, for none of them ever had a child
/// in this incarnation.
pub(super) fn a8(case: &Case<'_>) -> bool {
    case.defect == Defect::Ghost
        && case.dead.is_some()
        && case.is_owner_running()
        && !case.log.has_latched(case.owner, case.at)
        && case.is_member()
}

/// A9: the row has one place for metadata, and shows those of another replica or of an earlier
/// process.
pub(super) fn a9(case: &Case<'_>) -> bool {
    let (Defect::Metadata, Some(shown)) = (case.defect, case.shown) else {
        return false;
    };
    let given = |node: NodeIx| {
        let lives = case.log.lives(node, case.child).iter();
        lives
            .into_iter()
            .any(|life| life.started < case.at && life.metadata == shown.metadata)
    };
    case.log.nodes().any(given)
}

/// A14: a request of a connected node that is not in the observer's view was handled.
pub(super) fn a14(case: &Case<'_>) -> bool {
    let (Some(made), Some(message)) = (case.made, case.message_of_owner(&["pubsub.requests"]))
    else {
        return false;
    };
    case.defect == Defect::Foreign
        && !case.log.is_member(case.observer, case.owner, made)
        && case
            .owner_booted()
            .is_some_and(|booted| message.sent > booted)
}

/// M1: one of the two went down and came back, or their connection did, and the other's view never
/// noticed: what was said meanwhile is not said again.
pub(super) fn m1(case: &Case<'_>) -> bool {
    case.lacks_rounds_of_owner()
        && (observer_came_back(case) || owner_came_back(case) || connection_came_back(case))
}

/// The observer restarted with an empty registry, and stayed a member for the owner.
fn observer_came_back(case: &Case<'_>) -> bool {
    let (Some(life), Some(boot)) = (case.life, case.log.boot_at(case.observer, case.at)) else {
        return false;
    };
    let Some(stopped) = case.log.stopped_before(case.observer, boot.from) else {
        return false;
    };
    case.defect == Defect::Absent
        && case.made.is_none()
        && life.started < boot.from
        && case
            .log
            .stayed_member(case.owner, case.observer, stopped, case.at)
}

/// The owner restarted and hosts something by now, and stayed a member for the observer.
fn owner_came_back(case: &Case<'_>) -> bool {
    let (Some(shown), Some(ended)) = (case.dead, case.dead.and_then(|life| life.ended)) else {
        return false;
    };
    matches!(case.defect, Defect::Ghost | Defect::Pid)
        && case.is_of_former_life()
        && case.is_owner_running()
        && shown.started < ended
        && !case.is_made_late()
        && case
            .log
            .stayed_member(case.observer, case.owner, ended, case.at)
}

/// The connection was lost and is back, both stayed members of each other, and the news of the
/// change were lost or not sent meanwhile.
fn connection_came_back(case: &Case<'_>) -> bool {
    let Some(told) = lost_news(case) else {
        return false;
    };
    let reconnected = |of: NodeIx, peer: NodeIx| {
        let mut news = case.log.connection_news(of, peer, (told, case.at));
        news.any(|event| matches!(event.payload, Payload::PeerUp { .. }))
    };
    (reconnected(case.observer, case.owner) || reconnected(case.owner, case.observer))
        && case
            .log
            .stayed_member(case.owner, case.observer, told, case.at)
}

/// The event whose news the observer never got although its owner tells, or would tell, everyone
/// connected; `None` if they arrived or nobody was to be told.
pub(super) fn lost_news(case: &Case<'_>) -> Option<EventId> {
    let changed = case.truth_since();
    let cause = case.log.cause(changed);
    let is_stop_of_node = |event: EventId| {
        let event = case.log.event(event);
        event.is_some_and(|event| matches!(event.payload, Payload::Stopped(_)))
    };
    if changed == 0 || is_stop_of_node(cause) || case.has_heard(cause, case.at) {
        return None;
    }
    let mut sent = case.log.sent_for(cause);
    let direct = sent.find(|(event, to, kind)| {
        event.node == case.owner && *to == case.observer && is_request(kind)
    });
    let is_lost = match direct {
        Some((event, _, _)) => matches!(case.log.fate(event, case.at), Fate::Lost(_)),
        None => !case.log.is_connected(case.owner, case.observer, changed),
    };
    is_lost.then_some(changed)
}

/// M3: since the view last changed announcements keep coming, and each sets the debounce anew.
pub(super) fn m3(case: &Case<'_>) -> bool {
    let never_joins = |of: NodeIx, node: NodeIx| {
        if case.log.is_member(of, node, case.at) || case.log.boot_at(node, case.at).is_none() {
            return false;
        }
        let window = (case.log.view_since(of, case.at), case.at);
        let announced: Vec<EventId> = case
            .log
            .handled(of, window)
            .filter(|message| message.kind == "hub.discovery" && message.from == node)
            .map(|message| message.handled)
            .collect();
        let flushed = case
            .log
            .timers(of, TimerKey::Debounce, window)
            .any(|flush| announced.first().is_some_and(|first| flush > *first));
        announced.len() >= 2 && !flushed
    };
    case.defect != Defect::Metadata
        && (never_joins(case.observer, case.owner) || never_joins(case.owner, case.observer))
}

/// M2: a view of the observer or of the owner that was overwritten left one of the two out, perhaps the
/// node itself, though both ran, and rounds were not complete while it did.
pub(super) fn m2_overwritten(case: &Case<'_>) -> bool {
    let (from, to) = case.window();
    let runs = |node: NodeIx| {
        let boot = case.log.boot_at(node, to);
        boot.is_some_and(|boot| boot.from <= from)
    };
    let two = [case.observer, case.owner];
    let leaves_out = |of: NodeIx| {
        let mut views = case.log.overwritten_views(of, to);
        views.any(|(step, view)| {
            // The view is the first event that the step causes.
            let then = case.log.view_at(of, (step + 1).max(from));
            let is_left_out =
                |node: &NodeIx| !view.contains(node) && !then.contains(case.log.name(*node));
            two.iter().any(is_left_out)
        })
    };
    case.log.strategy == "gossip"
        && case.is_never_cured_by_a_round()
        && runs(case.observer)
        && runs(case.owner)
        && two.into_iter().any(leaves_out)
}

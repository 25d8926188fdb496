//! Steps and expectations as TOML.

use std::time::Duration;

use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Time};

use super::toml::{Pairs, list, quoted};
use super::{Nodes, duration, duration_text, integer, latency, order};
use crate::model::{
    Action, After, Audience, Children, Claim, ClockChange, Expectation, InFlight, LinkChange,
    RawRequest, RawRow, When,
};

/// An action and its value.
pub(super) fn action(action: &Action, nodes: Nodes<'_>, full: bool) -> (&'static str, String) {
    let value = match action {
        Action::Join(list)
        | Action::Leave(list)
        | Action::Crash(list)
        | Action::Restart(list)
        | Action::Pause(list)
        | Action::Resume(list) => Pairs::default().put("nodes", nodes.list(list)),
        Action::Partition {
            groups,
            in_flight,
            heal_after,
        } => {
            let pairs =
                Pairs::default().put("groups", list(groups.iter().map(|group| nodes.list(group))));
            cut_options(pairs, *in_flight, *heal_after, full)
        }
        Action::Cut {
            from,
            to,
            in_flight,
            heal_after,
        } => {
            let pairs = Pairs::default()
                .put("from", nodes.list(from))
                .put("to", nodes.list(to));
            cut_options(pairs, *in_flight, *heal_after, full)
        }
        Action::Heal => return (action.name(), "true".to_owned()),
        Action::Link(change) => link(change, nodes),
        Action::Clock {
            nodes: whose,
            change,
        } => clock(Pairs::default().put("nodes", nodes.list(whose)), *change),
        Action::StartChildren {
            on,
            children,
            metadata: pairs,
            replicas,
            announce,
            via,
        } => children_of(Pairs::default().put("on", nodes.name(*on)), children)
            .unless("metadata", metadata(pairs), pairs.is_empty())
            .unless("replicas", nodes.list(replicas), replicas.is_empty())
            .unless("announce", announce.to_string(), *announce && !full)
            .may("via", via.map(|via| nodes.name(via))),
        Action::StopChildren { on, children, via } => {
            children_of(Pairs::default().put("on", nodes.name(*on)), children)
                .may("via", via.map(|via| nodes.name(via)))
        }
        Action::RestartChild { on, child } => Pairs::default()
            .put("on", nodes.name(*on))
            .put("id", quoted(child.as_str())),
        Action::Propagate {
            from,
            members,
            requests,
        } => Pairs::default()
            .put("from", nodes.name(*from))
            .unless(
                "members",
                audience(members, nodes),
                *members == Audience::Global && !full,
            )
            .put("requests", list(requests.iter().map(request))),
        Action::Sync(on) => Pairs::default().put("on", nodes.name(*on)),
        Action::Broadcast { on, to } => Pairs::default()
            .put("on", nodes.name(*on))
            .put("to", nodes.list(to)),
        Action::Rows { on, rows } => Pairs::default()
            .put("on", nodes.name(*on))
            .put("rows", list(rows.iter().map(row))),
        Action::View { on, nodes: view } => Pairs::default()
            .put("on", nodes.name(*on))
            .put("nodes", nodes.list(view)),
    };
    (action.name(), value.inline())
}

/// The changed values of links.
pub(super) fn link(change: &LinkChange, nodes: Nodes<'_>) -> Pairs {
    Pairs::default()
        .put("from", nodes.list(&change.from))
        .put("to", nodes.list(&change.to))
        .may("latency", change.latency.map(latency))
        .may("loss", change.loss.map(|loss| format!("{loss:?}")))
        .may(
            "duplicate",
            change.duplicate.map(|duplicate| format!("{duplicate:?}")),
        )
        .may("order", change.order.map(order))
        .may("bytes_per_second", change.bytes_per_second.map(integer))
}

/// A time, or a range of times.
pub(super) fn when(when: When) -> String {
    match when {
        When::Fixed(time) => duration(time),
        When::Between(from, to) => {
            quoted(&format!("{}..{}", duration_text(from), duration_text(to)))
        }
    }
}

fn cut_options(pairs: Pairs, in_flight: InFlight, heal_after: Option<When>, full: bool) -> Pairs {
    let word = match in_flight {
        InFlight::Drop => "drop",
        InFlight::Deliver => "deliver",
        InFlight::Hold => "hold",
    };
    pairs
        .unless(
            "in_flight",
            quoted(word),
            in_flight == InFlight::default() && !full,
        )
        .may("heal_after", heal_after.map(when))
}

fn clock(pairs: Pairs, change: ClockChange) -> Pairs {
    match change {
        ClockChange::Jump(by) => {
            let sign = if by < 0 { "-" } else { "" };
            pairs.put(
                "jump",
                quoted(&format!(
                    "{sign}{}",
                    duration_text(Duration::from_micros(by.unsigned_abs()))
                )),
            )
        }
        ClockChange::RatePpm(ppm) => pairs.put("rate_ppm", ppm.to_string()),
    }
}

fn children_of(pairs: Pairs, children: &Children) -> Pairs {
    match children {
        Children::Ids(ids) => pairs.put("ids", child_list(ids)),
        Children::Counted { count, prefix } => pairs
            .put("count", count.to_string())
            .put("prefix", quoted(prefix)),
    }
}

fn child_list(ids: &[ChildId]) -> String {
    list(ids.iter().map(|id| quoted(id.as_str())))
}

fn node_list(nodes: &[NodeId]) -> String {
    list(nodes.iter().map(|node| quoted(node.as_str())))
}

fn metadata(metadata: &Metadata) -> String {
    metadata
        .iter()
        .fold(Pairs::default(), |pairs, (key, value)| {
            pairs.put(key, quoted(value))
        })
        .inline()
}

fn audience(members: &Audience, nodes: Nodes<'_>) -> String {
    match members {
        Audience::Global => quoted("global"),
        Audience::Local => quoted("local"),
        Audience::External => quoted("external"),
        Audience::Nodes(list) => nodes.list(list),
    }
}

fn row(row: &RawRow) -> String {
    let nodes = row.entries.iter().fold(Pairs::default(), |pairs, entry| {
        pairs.put(
            entry.node.as_str(),
            quoted(entry.pid.as_ref().map_or("", Pid::as_str)),
        )
    });
    Pairs::default()
        .put("child", quoted(row.child.as_str()))
        .put("nodes", nodes.inline())
        .unless("metadata", metadata(&row.metadata), row.metadata.is_empty())
        .inline()
}

fn request(request: &RawRequest) -> String {
    match request {
        RawRequest::Register(rows) => Pairs::default().put("register", list(rows.iter().map(row))),
        RawRequest::Unregister(children) => {
            let one = |(child, nodes): &(ChildId, Vec<NodeId>)| {
                Pairs::default()
                    .put("child", quoted(child.as_str()))
                    .put("nodes", node_list(nodes))
                    .inline()
            };
            Pairs::default().put("unregister", list(children.iter().map(one)))
        }
        RawRequest::PidUpdate { child, node, pid } => {
            let update = Pairs::default()
                .put("child", quoted(child.as_str()))
                .put("node", quoted(node.as_str()))
                .put("pid", quoted(pid.as_str()));
            Pairs::default().put("pid_update", update.inline())
        }
    }
    .inline()
}

/// The lines of an expectation.
pub(super) fn expectation(expectation: &Expectation, nodes: Nodes<'_>, full: bool) -> Pairs {
    let pairs = Pairs::default();
    let pairs = match &expectation.claim {
        Claim::Converged {
            within,
            after,
            nodes: observers,
        } => {
            let claim = Pairs::default()
                .put("within", duration(*within))
                .unless("after", start(*after), *after == After::LastStep && !full)
                .may(
                    "nodes",
                    observers.as_ref().map(|observers| nodes.list(observers)),
                );
            pairs.put("converged", claim.inline())
        }
        Claim::Registry { at, on, has, lacks } => {
            let silent = has.is_empty() && lacks.is_empty();
            let claim = Pairs::default()
                .put("on", nodes.name(*on))
                .unless("has", child_list(has), has.is_empty() && !silent)
                .unless("lacks", child_list(lacks), lacks.is_empty());
            pairs.put("at", time(*at)).put("registry", claim.inline())
        }
        Claim::Entry {
            at,
            on,
            child,
            nodes: whole,
            pids,
            metadata: exactly,
            first,
        } => {
            let pids = pids.as_ref().map(|pids| {
                pids.iter()
                    .fold(Pairs::default(), |all, (node, pid)| {
                        all.put(node.as_str(), quoted(pid.as_str()))
                    })
                    .inline()
            });
            let claim = Pairs::default()
                .put("on", nodes.name(*on))
                .put("child", quoted(child.as_str()))
                .may("nodes", whole.as_ref().map(|whole| node_list(whole)))
                .may("pids", pids)
                .may("metadata", exactly.as_ref().map(metadata))
                .may("first", first.as_ref().map(|first| quoted(first.as_str())));
            pairs.put("at", time(*at)).put("entry", claim.inline())
        }
        Claim::Always(oracle) => pairs.put("always", quoted(oracle)),
        Claim::Violates(oracle) => pairs.put("violates", quoted(oracle)),
        Claim::Metric { name, min, max } => {
            let claim = Pairs::default()
                .put("name", quoted(name))
                .may("min", min.map(integer))
                .may("max", max.map(integer));
            pairs.put("metric", claim.inline())
        }
    };
    pairs.may("strategy", expectation.strategy.as_deref().map(quoted))
}

fn start(after: After) -> String {
    match after {
        After::LastStep => quoted("last_step"),
        After::Heal => quoted("heal"),
        After::Time(at) => duration(at),
    }
}

fn time(at: Time) -> String {
    duration(Duration::from_micros(at.0))
}

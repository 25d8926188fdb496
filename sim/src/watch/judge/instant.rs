//! Claims about one instant: what a registry, an entry or a pair is like then.

use std::collections::BTreeSet;

use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Time};

use super::{Judged, NAMED, Verdict};
use crate::model::{Claim, NodeIx};
use crate::node::Child;
use crate::trace::event::EventId;
use crate::watch::ObserverContext;
use crate::watch::defect::{Defect, Kind};

/// One thing that is not as a claim has it.
#[derive(Debug)]
struct Fault {
    defect: &'static str,
    text: String,
    /// The event that made it so, if one did.
    event: Option<EventId>,
}

/// Judges a claim about the instant that is just over.
pub(super) fn check_instant(claim: &Claim, at: Time, cx: &ObserverContext) -> Judged {
    let (on, faults) = match claim {
        Claim::Registry { on, has, lacks, .. } => {
            (*on, check_registry(has, lacks, &Truth { on: *on, cx }))
        }
        Claim::Entry {
            on,
            child,
            nodes,
            pids,
            metadata,
            first,
            ..
        } => {
            let wanted = WantedEntry {
                nodes: nodes.as_deref(),
                pids: pids.as_deref(),
                metadata: metadata.as_ref(),
                first: first.as_ref(),
            };
            (*on, check_entry(child, &wanted, &Truth { on: *on, cx }))
        }
        Claim::Connected { nodes, .. } => check_connected(nodes.as_deref(), cx),
        Claim::Converged { .. } | Claim::Always(_) | Claim::Violates(_) | Claim::Metric { .. } => {
            return Judged::new(Verdict::Pass, String::new());
        }
    };
    let Some(first) = faults.first() else {
        return Judged::new(Verdict::Pass, "as expected".to_owned()).at(at);
    };
    let defect = first.defect.to_owned();
    let event = faults.iter().find_map(|fault| fault.event);
    let texts: Vec<String> = faults.into_iter().map(|fault| fault.text).collect();
    Judged {
        event,
        node: cx.name(on).to_string(),
        defect,
        ..Judged::new(Verdict::Fail, texts.join("; ")).at(at)
    }
}

/// The children that run on the nodes that a node can reach.
struct Truth<'a> {
    on: NodeIx,
    cx: &'a ObserverContext,
}

/// The defect of a view that is right, where the claim is not.
const PRESENT: &str = "present";
/// The defect of a view that does not show what is not there.
const NOT_RUNNING: &str = "not running";

impl<'a> Truth<'a> {
    /// Every process of a child that the node can reach, with its owner.
    fn processes(&self, child: &ChildId) -> impl Iterator<Item = (NodeIx, &'a Child)> {
        let Self { on, cx } = *self;
        let reached = cx
            .positions()
            .filter(move |owner| cx.views().reaches((on, *owner)));
        reached.filter_map(move |owner| Some((owner, cx.views().running(owner, child)?)))
    }

    fn runs(&self, child: &ChildId, owner: Option<&NodeId>) -> bool {
        self.processes(child)
            .any(|(node, _)| owner.is_none_or(|owner| self.cx.name(node) == owner))
    }

    /// The defect where a child is not shown.
    fn lack(&self, child: &ChildId, owner: Option<&NodeId>) -> &'static str {
        if self.runs(child, owner) {
            Kind::Absent.as_str()
        } else {
            NOT_RUNNING
        }
    }

    /// The defect where a child is shown.
    fn excess(&self, child: &ChildId, owner: Option<&NodeId>) -> &'static str {
        if self.runs(child, owner) {
            PRESENT
        } else {
            Kind::Ghost.as_str()
        }
    }

    /// The defect where a process is shown that should not be.
    fn mistake(
        &self,
        child: &ChildId,
        kind: Kind,
        is_true: impl Fn(NodeIx, &Child) -> bool,
    ) -> &'static str {
        if self
            .processes(child)
            .any(|(node, child)| is_true(node, child))
        {
            PRESENT
        } else {
            kind.as_str()
        }
    }
}

/// Each pair of the nodes that is not connected, and the first node of the first one.
fn check_connected(nodes: Option<&[NodeIx]>, cx: &ObserverContext) -> (NodeIx, Vec<Fault>) {
    let running = || cx.positions().filter(|node| cx.is_running(*node)).collect();
    let nodes = nodes.map_or_else(running, <[NodeIx]>::to_vec);
    if let Some(stopped) = nodes.iter().find(|node| !cx.is_running(**node)) {
        return (*stopped, not_running(cx.name(*stopped)));
    }
    let pairs = nodes.iter().enumerate().flat_map(|(place, a)| {
        let rest = nodes[place + 1..].iter();
        rest.map(move |b| (*a, *b))
    });
    let apart = pairs.filter(|(a, b)| a != b && !cx.is_connected(*a, *b));
    let apart: Vec<_> = apart.take(NAMED).collect();
    let on = apart.first().map_or(0, |(a, _)| *a);
    let faults = apart.into_iter().map(|pair| {
        let Defect { kind, text, .. } = Defect::apart(pair, cx);
        Fault {
            defect: kind.as_str(),
            text,
            event: None,
        }
    });
    (on, faults.collect())
}

/// A node without a registry has neither what it should nor what it should not.
fn not_running(name: &NodeId) -> Vec<Fault> {
    vec![Fault {
        defect: NOT_RUNNING,
        text: format!("{name} is not running"),
        event: None,
    }]
}

fn check_registry(has: &[ChildId], lacks: &[ChildId], truth: &Truth<'_>) -> Vec<Fault> {
    let Truth { on, cx } = *truth;
    let name = cx.name(on);
    if !cx.is_running(on) {
        return not_running(name);
    }
    let shows = |child: &ChildId| cx.row_of(on, child).is_some_and(|row| !row.is_empty());
    let missing = has.iter().filter(|child| !shows(child)).map(|child| Fault {
        defect: truth.lack(child, None),
        text: format!("{name} lacks {child}"),
        event: cx.last_row_event(on, child),
    });
    let extra = lacks
        .iter()
        .filter(|child| shows(child))
        .map(|child| Fault {
            defect: truth.excess(child, None),
            text: format!("{name} has {child}"),
            event: cx.last_row_event(on, child),
        });
    missing.chain(extra).take(NAMED).collect()
}

struct WantedEntry<'a> {
    nodes: Option<&'a [NodeId]>,
    pids: Option<&'a [(NodeId, Pid)]>,
    metadata: Option<&'a Metadata>,
    first: Option<&'a NodeId>,
}

fn check_entry(child: &ChildId, wanted: &WantedEntry<'_>, truth: &Truth<'_>) -> Vec<Fault> {
    let Truth { on, cx } = *truth;
    let name = cx.name(on);
    if !cx.is_running(on) {
        return not_running(name);
    }
    let row = cx.row_of(on, child);
    let entries = row.map_or(&[][..], |row| &row.entries);
    let event = cx.last_row_event(on, child);
    let mut found = Vec::new();
    let mut add = |defect, text| {
        found.push(Fault {
            defect,
            text,
            event,
        });
    };
    if let Some(nodes) = wanted.nodes {
        let shown: BTreeSet<&NodeId> = entries.iter().map(|entry| &entry.node).collect();
        let expected: BTreeSet<&NodeId> = nodes.iter().collect();
        if shown != expected {
            let missing = expected.difference(&shown).next();
            let extra = shown.difference(&expected).next();
            let defect = match missing {
                Some(owner) => truth.lack(child, Some(owner)),
                None => truth.excess(child, extra.copied()),
            };
            let text = format!("{name} shows {child} on {shown:?}, expected {expected:?}");
            add(defect, text);
        }
    }
    for (node, pid) in wanted.pids.unwrap_or_default() {
        match entries.iter().find(|entry| entry.node == *node) {
            None => {
                let text = format!("{name} has no entry of {child} on {node}");
                add(truth.lack(child, Some(node)), text);
            }
            Some(entry) if entry.pid.as_ref() != Some(pid) => {
                let shown = entry.pid.as_ref().map_or("nil", Pid::as_str);
                let text = format!("{name} has pid {shown} for {child} on {node}, expected {pid}");
                let pid = entry.pid.as_ref();
                let is_true =
                    |owner, running: &Child| cx.name(owner) == node && Some(&running.pid) == pid;
                add(truth.mistake(child, Kind::Wrong, is_true), text);
            }
            Some(_) => {}
        }
    }
    if let Some(metadata) = wanted.metadata {
        match row {
            None => add(
                truth.lack(child, None),
                format!("{name} has no row of {child}"),
            ),
            Some(row) if row.metadata != *metadata => {
                let shown = &row.metadata;
                let text =
                    format!("{name} has metadata {shown:?} for {child}, expected {metadata:?}");
                let is_true = |_, running: &Child| running.metadata == *shown;
                add(truth.mistake(child, Kind::Metadata, is_true), text);
            }
            Some(_) => {}
        }
    }
    if let Some(first) = wanted.first
        && entries.first().map(|entry| &entry.node) != Some(first)
    {
        let shown = entries
            .first()
            .map_or("nobody", |entry| entry.node.as_str());
        let text = format!("{shown} stands first for {child} at {name}, expected {first}");
        add("wrong order", text);
    }
    found
}

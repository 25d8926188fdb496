//! Claims about one instant: what a registry, an entry or a pair is like then.

use std::collections::{BTreeMap, BTreeSet};

use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Time};

use super::{Judged, NAMED, Verdict};
use crate::model::{Claim, NodeIx, On};
use crate::node::Child;
use crate::trace::event::EventId;
use crate::watch::ObserverContext;
use crate::watch::defect::{Defect, Kind};

/// One thing that is not as a claim has it.
#[derive(Debug)]
struct Fault {
    defect: &'static str,
    text: String,
    /// The node that it is about, if it is one.
    node: Option<NodeIx>,
    /// The child that it is about, if it is one.
    child: Option<ChildId>,
    /// The event that made it so, if one did.
    event: Option<EventId>,
}

/// The cluster views of the nodes that claims are about.
pub(super) type Views = BTreeMap<NodeIx, BTreeSet<NodeId>>;

/// Judges a claim about the instant that is just over.
pub(super) fn check_instant(
    claim: &Claim,
    at: Time,
    cx: &ObserverContext,
    views: &Views,
) -> Judged {
    let each = |on: &On, check: &dyn Fn(NodeIx) -> Vec<Fault>| -> Vec<Fault> {
        match on {
            On::One(node) if !cx.is_running(*node) => not_running(*node, cx),
            On::One(node) => check(*node),
            On::Each(nodes) => {
                let running = nodes.iter().filter(|node| cx.is_running(**node));
                running.flat_map(|node| check(*node)).take(NAMED).collect()
            }
        }
    };
    let faults = match claim {
        Claim::Registry { on, has, lacks, .. } => {
            each(on, &|on| check_registry(has, lacks, &Truth { on, cx }))
        }
        Claim::Entry {
            on,
            child,
            nodes,
            pids,
            metadata,
            first,
            count,
            ..
        } => {
            let wanted = WantedEntry {
                nodes: nodes.as_deref(),
                pids: pids.as_deref(),
                metadata: metadata.as_ref(),
                first: first.as_ref(),
                count: *count,
            };
            each(on, &|on| check_entry(child, &wanted, &Truth { on, cx }))
        }
        Claim::View {
            on, is, has, lacks, ..
        } => each(on, &|on| {
            let none = BTreeSet::new();
            let shown = views.get(&on).unwrap_or(&none);
            check_view(on, shown, (is.as_deref(), has, lacks), cx)
        }),
        Claim::Connected { nodes, .. } => check_connected(nodes.as_deref(), cx),
        Claim::Owners {
            child, min, max, ..
        } => check_owners(child, (*min, *max), cx),
        Claim::Converged { .. }
        | Claim::Sometimes { .. }
        | Claim::Always(_)
        | Claim::Violates(_)
        | Claim::Metric { .. } => {
            return Judged::new(Verdict::Pass, String::new());
        }
    };
    let Some(first) = faults.first() else {
        return Judged::new(Verdict::Pass, "as expected".to_owned()).at(at);
    };
    let defect = first.defect.to_owned();
    let node = first.node.map(|node| cx.name(node).to_string());
    let child = first.child.as_ref().map(ChildId::to_string);
    let event = faults.iter().find_map(|fault| fault.event);
    let texts: Vec<String> = faults.into_iter().map(|fault| fault.text).collect();
    Judged {
        event,
        node: node.unwrap_or_default(),
        child: child.unwrap_or_default(),
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

/// Each pair of the nodes that is not connected.
fn check_connected(nodes: Option<&[NodeIx]>, cx: &ObserverContext) -> Vec<Fault> {
    let running = || cx.positions().filter(|node| cx.is_running(*node)).collect();
    let nodes = nodes.map_or_else(running, <[NodeIx]>::to_vec);
    if let Some(stopped) = nodes.iter().find(|node| !cx.is_running(**node)) {
        return not_running(*stopped, cx);
    }
    let pairs = nodes.iter().enumerate().flat_map(|(place, a)| {
        let rest = nodes[place + 1..].iter();
        rest.map(move |b| (*a, *b))
    });
    let apart = pairs.filter(|(a, b)| a != b && !cx.is_connected(*a, *b));
    let faults = apart.take(NAMED).map(|pair| {
        let Defect { kind, text, .. } = Defect::apart(pair, cx);
        Fault {
            defect: kind.as_str(),
            text,
            node: Some(pair.0),
            child: None,
            event: None,
        }
    });
    faults.collect()
}

/// A node without a registry has neither what it should nor what it should not.
fn not_running(node: NodeIx, cx: &ObserverContext) -> Vec<Fault> {
    vec![Fault {
        defect: NOT_RUNNING,
        text: format!("{} is not running", cx.name(node)),
        node: Some(node),
        child: None,
        event: None,
    }]
}

/// The nodes that are not in a view and should be, and those that should not.
fn check_view(
    on: NodeIx,
    shown: &BTreeSet<NodeId>,
    (is, has, lacks): (Option<&[NodeIx]>, &[NodeIx], &[NodeIx]),
    cx: &ObserverContext,
) -> Vec<Fault> {
    let name = cx.name(on);
    let wanted = is.unwrap_or_default().iter().chain(has);
    let missing = wanted.filter(|node| !shown.contains(cx.name(**node)));
    let missing = missing.map(|node| {
        (
            "no member",
            format!("the view of {name} lacks {}", cx.name(*node)),
        )
    });
    let unwanted = lacks.iter().map(|node| cx.name(*node));
    let beyond = shown.iter().filter(|node| {
        let listed = |is: &[NodeIx]| is.iter().any(|one| cx.name(*one) == *node);
        is.is_some_and(|is| !listed(is))
    });
    let extra = unwanted.filter(|node| shown.contains(*node)).chain(beyond);
    let extra = extra.map(|node| ("member", format!("the view of {name} has {node}")));
    let fault = |(defect, text)| Fault {
        defect,
        text,
        node: Some(on),
        child: None,
        event: None,
    };
    missing.chain(extra).take(NAMED).map(fault).collect()
}

/// Too few or too many nodes that run a child.
fn check_owners(
    child: &ChildId,
    (min, max): (Option<u32>, Option<u32>),
    cx: &ObserverContext,
) -> Vec<Fault> {
    let owners: Vec<NodeIx> = cx
        .positions()
        .filter(|node| cx.views().running(*node, child).is_some())
        .collect();
    let count = owners.len();
    let (defect, bound) = match (min, max) {
        (Some(min), _) if count < min as usize => ("too few owners", format!("fewer than {min}")),
        (_, Some(max)) if count > max as usize => ("too many owners", format!("more than {max}")),
        (_, _) => return Vec::new(),
    };
    let names: Vec<&str> = owners
        .iter()
        .take(NAMED)
        .map(|node| cx.name(*node).as_str())
        .collect();
    let on = match names.as_slice() {
        [] => "no node".to_owned(),
        names if count > NAMED => format!("{} and {} more", names.join(", "), count - NAMED),
        names => names.join(", "),
    };
    vec![Fault {
        defect,
        text: format!("{child} runs on {on}: {bound}"),
        node: owners.first().copied(),
        child: None,
        event: None,
    }]
}

fn check_registry(has: &[ChildId], lacks: &[ChildId], truth: &Truth<'_>) -> Vec<Fault> {
    let Truth { on, cx } = *truth;
    let name = cx.name(on);
    let shows = |child: &ChildId| cx.row_of(on, child).is_some_and(|row| !row.is_empty());
    let missing = has.iter().filter(|child| !shows(child)).map(|child| Fault {
        defect: truth.lack(child, None),
        text: format!("{name} lacks {child}"),
        node: Some(on),
        child: Some(child.clone()),
        event: cx.last_row_event(on, child),
    });
    let extra = lacks
        .iter()
        .filter(|child| shows(child))
        .map(|child| Fault {
            defect: truth.excess(child, None),
            text: format!("{name} has {child}"),
            node: Some(on),
            child: Some(child.clone()),
            event: cx.last_row_event(on, child),
        });
    missing.chain(extra).take(NAMED).collect()
}

struct WantedEntry<'a> {
    nodes: Option<&'a [NodeId]>,
    pids: Option<&'a [(NodeId, Pid)]>,
    metadata: Option<&'a Metadata>,
    first: Option<&'a NodeId>,
    count: Option<u32>,
}

fn check_entry(child: &ChildId, wanted: &WantedEntry<'_>, truth: &Truth<'_>) -> Vec<Fault> {
    let Truth { on, cx } = *truth;
    let name = cx.name(on);
    let row = cx.row_of(on, child);
    let entries = row.map_or(&[][..], |row| &row.entries);
    let event = cx.last_row_event(on, child);
    let mut found = Vec::new();
    let mut add = |defect, text| {
        found.push(Fault {
            defect,
            text,
            node: Some(on),
            child: Some(child.clone()),
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
    if let Some(count) = wanted.count
        && entries.len() != count as usize
    {
        let kind = if entries.len() < count as usize {
            truth.lack(child, None)
        } else {
            truth.excess(child, None)
        };
        let text = format!(
            "{name} has {} entries of {child}, expected {count}",
            entries.len()
        );
        add(kind, text);
    }
    found
}

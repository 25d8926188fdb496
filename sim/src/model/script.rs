//! The script of a resolved scenario: which step is due when, and the command that a step gives to a
//! node. Pure functions, for the simulator and for live runs.

use hublab_strategies::hub::Command;
use hublab_strategies::time::micros;
use hublab_strategies::{
    ChildSpec, EntryMetadata, Members, NodeId, Registration, Request, Row, Time, Unregistration,
};

use super::{Action, Audience, NodeIx, RawRequest, RawRow, Scenario};

/// The kind of program that scripted children run.
pub const CHILD_KIND: &str = "child";

/// One entry of the script: a step, or the healing that belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at: Time,
    /// The position of the step in the file, from 0.
    pub step: u32,
    /// True if it is the step's `heal_after`.
    pub healing: bool,
}

/// The steps of a resolved scenario, and the healings that belong to them, in the order in which
/// they happen. A range that was not drawn counts from its beginning.
#[must_use]
pub fn planned(scenario: &Scenario) -> Vec<Planned> {
    let mut queue = Vec::new();
    for (step, number) in scenario.steps.iter().zip(0..) {
        let at = Time(micros(step.at.first()));
        queue.push(Planned {
            at,
            step: number,
            healing: false,
        });
        if let Some(after) = step.action.heal_after() {
            queue.push(Planned {
                at: Time(at.0 + micros(after.first())),
                step: number,
                healing: true,
            });
        }
    }
    queue.sort_by_key(|entry| (entry.at, entry.step, entry.healing));
    queue
}

/// A step that is a command to a node, which waits for it while it is paused: which node, and which
/// command. `None` for the steps that change the world around nodes, or their inside. `ticket` comes
/// back in answers; `names` are those of the file's nodes.
#[must_use]
pub fn command(action: &Action, ticket: u64, names: &[NodeId]) -> Option<(NodeIx, Command)> {
    let name = |node: NodeIx| names[node as usize].clone();
    let named = |nodes: &[NodeIx]| nodes.iter().copied().map(name).collect::<Vec<_>>();
    let told = match action {
        Action::StartChildren {
            on,
            children,
            metadata,
            replicas,
            announce,
            via,
        } => {
            let targets = std::iter::once(on).chain(replicas);
            let ids = children.ids().into_iter();
            let command = Command::StartChildren {
                ticket,
                specs: ids.map(|id| ChildSpec::new(id, CHILD_KIND)).collect(),
                metadata: metadata.clone(),
                targets: targets.copied().map(name).collect(),
                announce: *announce,
            };
            (via.unwrap_or(*on), command)
        }
        Action::StopChildren { on, children, via } => {
            let command = Command::StopChildren {
                ticket,
                children: children.ids(),
                target: name(*on),
            };
            (via.unwrap_or(*on), command)
        }
        Action::RestartChild { on, child } => (*on, Command::RestartChild(child.clone())),
        Action::Propagate {
            from,
            members,
            requests,
        } => {
            let members = match members {
                Audience::Global => Members::Global,
                Audience::Local => Members::Local,
                Audience::External => Members::External,
                Audience::Nodes(nodes) => Members::Nodes(named(nodes)),
            };
            let requests = requests.iter().map(request).collect();
            (*from, Command::Propagate { requests, members })
        }
        Action::Sync(on) => (*on, Command::Sync),
        Action::Broadcast { on, to } => (*on, Command::Broadcast(named(to))),
        Action::Join(_)
        | Action::Leave(_)
        | Action::Crash(_)
        | Action::Restart { .. }
        | Action::Pause(_)
        | Action::Resume(_)
        | Action::Partition { .. }
        | Action::Cut { .. }
        | Action::Heal
        | Action::Link(_)
        | Action::Hold { .. }
        | Action::Release { .. }
        | Action::Clock { .. }
        | Action::Rows { .. }
        | Action::View { .. }
        | Action::LeftOut { .. } => return None,
    };
    Some(told)
}

/// The row that a `rows` step puts into a registry.
#[must_use]
pub fn row(raw: &RawRow) -> Row {
    Row {
        spec: ChildSpec::new(raw.child.clone(), CHILD_KIND),
        entries: raw.entries.clone(),
        metadata: raw.metadata.clone(),
        entry_metadata: EntryMetadata::NONE,
        expires_at: None,
    }
}

fn request(raw: &RawRequest) -> Request {
    match raw {
        RawRequest::Register(rows) => Request::Register(
            rows.iter()
                .map(|raw| Registration {
                    spec: ChildSpec::new(raw.child.clone(), CHILD_KIND),
                    entries: raw.entries.clone(),
                    metadata: raw.metadata.clone(),
                })
                .collect(),
        ),
        RawRequest::Unregister(rows) => Request::Unregister(
            rows.iter()
                .map(|(child, nodes)| Unregistration {
                    child: child.clone(),
                    nodes: nodes.clone(),
                })
                .collect(),
        ),
        RawRequest::PidUpdate { child, node, pid } => Request::PidUpdate {
            child: child.clone(),
            node: node.clone(),
            pid: Some(pid.clone()),
        },
    }
}

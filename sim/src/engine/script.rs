//! The steps of the file, each at its instant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hublab_strategies::hub::Command;
use hublab_strategies::time::micros;
use hublab_strategies::{
    ChildSpec, Members, NodeId, Registration, Request, Row, Time, Unregistration,
};

use super::Engine;
use crate::network::cut::{CutId, Reach};
use crate::node::NodeInput;
use crate::scenario::model::{Action, Audience, NodeIx, RawRequest, RawRow, Scenario, Step, When};
use crate::trace::event::{EventId, Payload, WORLD};

/// The kind of program that scripted children run.
pub const CHILD_KIND: &str = "child";

/// One entry of the script: a step, or the healing that belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub at: Time,
    /// The position of the step in the file, from 0.
    pub step: u32,
    /// Whether it is the step's `heal_after`.
    pub healing: bool,
}

/// The steps of a resolved scenario, and the healings that belong to them, in the order in which
/// they happen.
#[must_use]
pub fn planned(scenario: &Scenario) -> Vec<Planned> {
    let mut queue = Vec::new();
    for (step, number) in scenario.steps.iter().zip(0..) {
        let at = fixed(step.at);
        queue.push(Planned {
            at,
            step: number,
            healing: false,
        });
        if let Some(after) = step.action.heal_after() {
            queue.push(Planned {
                at: Time(at.0 + fixed(after).0),
                step: number,
                healing: true,
            });
        }
    }
    queue.sort_by_key(|entry| (entry.at, entry.step, entry.healing));
    queue
}

/// What is still to be done.
#[derive(Debug)]
pub(super) struct Script {
    steps: Arc<[Step]>,
    start: Vec<NodeIx>,
    queue: VecDeque<Planned>,
    /// The cut that a step made, so that its `heal_after` mends just that one.
    cuts: BTreeMap<u32, CutId>,
}

impl Script {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            steps: scenario.steps.clone().into(),
            start: scenario.cluster.start.clone(),
            queue: planned(scenario).into(),
            cuts: BTreeMap::new(),
        }
    }

    pub(super) fn next_at(&self) -> Option<Time> {
        self.queue.front().map(|entry| entry.at)
    }
}

/// The instant of a resolved step. A range that was not drawn counts from its beginning.
fn fixed(when: When) -> Time {
    match when {
        When::Fixed(at) | When::Between(at, _) => Time(micros(at)),
    }
}

impl Engine {
    /// Boots the nodes of `start`; the first thing that happens in a run.
    pub fn start(&mut self) {
        let mut start = std::mem::take(&mut self.script.start);
        // In the order of the file, however `start` lists them.
        start.sort_unstable();
        self.boot(&start, 0);
    }

    /// Carries out the next step of the script.
    pub(super) fn run_step(&mut self) {
        let Some(Planned {
            step: number,
            healing,
            ..
        }) = self.script.queue.pop_front()
        else {
            return;
        };
        let steps = Arc::clone(&self.script.steps);
        let action = &steps[number as usize].action;
        self.observers.step_begins(self.now);
        let payload = Payload::Step {
            index: number,
            healing,
            action: action.name().into(),
        };
        let cause = self.record(WORLD, 0, payload);
        if healing {
            if let Some(cut) = self.script.cuts.remove(&number) {
                self.note_healing();
                self.network.mend(cut);
                self.after_mending();
            }
        } else {
            self.act(number, action, cause);
        }
        self.drain_immediate();
    }

    /// Tells the observers that cuts are about to be mended, if there are any.
    fn note_healing(&mut self) {
        if self.network.has_cuts() {
            self.observers.healed(self.now);
        }
    }

    fn act(&mut self, number: u32, action: &Action, cause: EventId) {
        match action {
            Action::Join(nodes) | Action::Restart(nodes) => {
                let down: Vec<NodeIx> = nodes
                    .iter()
                    .copied()
                    .filter(|node| !self.nodes[*node as usize].is_running())
                    .collect();
                self.boot(&down, cause);
            }
            Action::Leave(nodes) => nodes.iter().for_each(|node| self.leave(*node, cause)),
            Action::Crash(nodes) => nodes.iter().for_each(|node| self.crash(*node, cause)),
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.pause(*node, cause)),
            Action::Resume(nodes) => nodes.iter().for_each(|node| self.resume(*node, cause)),
            Action::Partition {
                groups, in_flight, ..
            } => {
                let cut = self.apply_cut(Reach::groups(self.nodes.len(), groups), *in_flight);
                self.script.cuts.insert(number, cut);
            }
            Action::Cut {
                from,
                to,
                in_flight,
                ..
            } => {
                let cut = self.apply_cut(Reach::directed(self.nodes.len(), from, to), *in_flight);
                self.script.cuts.insert(number, cut);
            }
            Action::Heal => {
                self.note_healing();
                self.network.mend_all();
                self.network.restore_links();
                self.keep_all_orders();
                self.after_mending();
            }
            Action::Link(change) => {
                self.network.change_links(change);
                self.keep_all_orders();
            }
            Action::Clock { nodes, change } => {
                for node in nodes {
                    self.nodes[*node as usize].clock.change(self.now, *change);
                }
            }
            Action::StartChildren { .. }
            | Action::StopChildren { .. }
            | Action::RestartChild { .. }
            | Action::Propagate { .. }
            | Action::Sync(_)
            | Action::Broadcast { .. } => {
                // The ticket travels in messages: with the number of an event in it, their sizes
                // would differ between strategies.
                let ticket = u64::from(number);
                if let Some((node, command)) = command(action, ticket, &self.names) {
                    self.command(node, cause, command);
                }
            }
            Action::Rows { on, rows } => {
                let rows = rows.iter().map(row).collect();
                self.step(*on, cause, 0, NodeInput::Command(Command::PutRows(rows)));
            }
            Action::View { on, nodes } => {
                let view = nodes.iter().map(|node| self.name(*node).clone()).collect();
                self.observers.view_overwritten(*on);
                self.step(*on, cause, 0, NodeInput::Command(Command::SetView(view)));
            }
        }
    }
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
        | Action::Restart(_)
        | Action::Pause(_)
        | Action::Resume(_)
        | Action::Partition { .. }
        | Action::Cut { .. }
        | Action::Heal
        | Action::Link(_)
        | Action::Clock { .. }
        | Action::Rows { .. }
        | Action::View { .. } => return None,
    };
    Some(told)
}

fn row(raw: &RawRow) -> Row {
    Row {
        spec: ChildSpec::new(raw.child.clone(), CHILD_KIND),
        entries: raw.entries.clone(),
        metadata: raw.metadata.clone(),
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

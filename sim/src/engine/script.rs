//! The steps of the file, each at its instant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hublab_strategies::Time;
use hublab_strategies::hub::Command;

use super::Engine;
use crate::model::script::{Planned, command, planned, row};
use crate::model::{Action, NodeIx, Scenario, Step};
use crate::network::cut::{CutId, Reach};
use crate::node::NodeInput;
use crate::trace::event::{EventId, Payload, WORLD};

/// The mark of a node that a step was not possible on.
const LEFT_OUT: &str = "step.left_out";

/// The steps that are still to be done.
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

impl Engine {
    /// Boots the nodes of `start`; the first thing that happens in a run.
    pub fn start(&mut self) {
        let mut start = std::mem::take(&mut self.script.start);
        // In the order of the file, however `start` lists them.
        start.sort_unstable();
        self.boot(&start, 0);
        self.run_programs();
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
        let payload = Payload::Step {
            index: number,
            healing,
            action: action.name().into(),
        };
        let cause = self.record(WORLD, 0, payload);
        if healing {
            if let Some(cut) = self.script.cuts.remove(&number) {
                self.mend(cut, cause);
            }
        } else {
            self.act(number, action, cause);
        }
        self.drain_immediate();
    }

    fn act(&mut self, number: u32, action: &Action, cause: EventId) {
        match action {
            Action::Join(nodes) | Action::Restart { nodes, .. } => {
                let down: Vec<NodeIx> = nodes
                    .iter()
                    .copied()
                    .filter(|node| !self.nodes[*node as usize].is_running())
                    .collect();
                for node in &down {
                    self.factories.restarted(number, *node);
                }
                self.boot(&down, cause);
            }
            Action::Leave(nodes) => nodes.iter().for_each(|node| self.leave(*node, cause)),
            Action::Crash(nodes) => nodes.iter().for_each(|node| self.crash(*node, cause)),
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.pause(*node, cause)),
            Action::Resume(nodes) => nodes.iter().for_each(|node| self.resume(*node, cause)),
            Action::Partition {
                groups, in_flight, ..
            } => {
                let reach = Reach::groups(self.nodes.len(), groups);
                let cut = self.apply_cut(reach, *in_flight, cause);
                self.script.cuts.insert(number, cut);
            }
            Action::Cut {
                from,
                to,
                in_flight,
                ..
            } => {
                let reach = Reach::directed(self.nodes.len(), from, to);
                let cut = self.apply_cut(reach, *in_flight, cause);
                self.script.cuts.insert(number, cut);
            }
            Action::Heal => {
                if self.network.restore_links() {
                    self.keep_all_orders();
                }
                self.mend_all(cause);
            }
            Action::Link(change) => {
                self.network.change_links(change);
                for from in &change.from {
                    for to in &change.to {
                        self.keep_order((*from, *to));
                    }
                }
            }
            Action::Hold {
                from,
                to,
                channels,
                count,
            } => self.network.holds.begin((from, to), *channels, *count),
            Action::Release { from, to, order } => self.deliver_withheld((from, to), *order),
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
                self.step(*on, cause, 0, NodeInput::Command(Command::SetView(view)));
            }
            Action::LeftOut { nodes, .. } => {
                for node in nodes {
                    self.record(*node, cause, Payload::Mark(LEFT_OUT.into()));
                }
            }
        }
    }
}

//! [`Witness`]: the observers of a run that the engine does not make. Real hubs run elsewhere, in
//! real time; whoever runs them tells the witness what happens, and asks it what the network does to
//! a message. Convergence, oracles and expectations are judged by the code that judges simulated
//! runs, and the report has the same shape.
//!
//! The parts that cannot be observed from outside are missing: timers, commands as causes, and the state of nodes
//! beside registry and view. All that observers get is the trace that the witness makes.
//!
//! | module | owns |
//! | --- | --- |
//! | `connections` | who is connected, who is to be, how long silences last |
//! | `traffic` | what the network does to messages |

mod connections;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::BTreeMap;

use hublab_strategies::{ChildId, Metadata, NodeId, Pid, Row, Time};

use crate::catalog::{Catalog, CatalogEntry};
use crate::engine::Finished;
use crate::metric::Measures;
use crate::model::script::Planned;
use crate::model::{Action, Claim, InFlight, Lifecycle, NodeIx, Scenario, Transition};
use crate::network::Network;
use crate::network::cut::{CutId, Reach};
use crate::report::Report;
use crate::run;
use crate::trace::event::{EventId, Payload, StopReason, WORLD};
use crate::trace::recorder::{Recorder, Sink};
use crate::watch::Observers;

use connections::Connections;
pub use traffic::{Fate, Reception};
use traffic::{Flights, PastCut};

/// Oracles that go by what cannot be told from outside.
const BLIND: [&str; 1] = ["bounded_state"];

/// The state of one node.
#[derive(Debug, Default)]
struct WitnessedNode {
    life: Lifecycle,
    incarnation: u32,
    /// The children that run on it.
    children: BTreeMap<ChildId, (Pid, Metadata)>,
    /// The rows that it shows.
    rows: BTreeMap<ChildId, Row>,
}

/// Watches one run of real hubs, on a clock that only moves when it is told.
pub struct Witness {
    now: Time,
    scenario: Scenario,
    strategy: String,
    nodes: Vec<WitnessedNode>,
    network: Network,
    observers: Observers,
    measures: Measures,
    recorder: Recorder,
    connections: Connections,
    flights: Flights,
    /// Every cut so far, in the order of their beginnings, with the step that made it.
    cuts: Vec<((u32, CutId), PastCut)>,
    /// By node: the event of the input that it handles now, or next.
    causes: Vec<EventId>,
    /// A node did what no node may.
    has_failed: bool,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Why a scenario cannot be judged from outside, one reason per line; empty if it can.
#[must_use]
pub fn unwitnessed(scenario: &Scenario) -> Vec<String> {
    let claims = scenario.expectations.iter().map(|it| &it.claim);
    claims
        .filter_map(|claim| match claim {
            Claim::Always(name) | Claim::Violates(name) if BLIND.contains(&name.as_str()) => {
                Some(format!("the oracle `{name}` needs the inside of nodes"))
            }
            Claim::Metric { name, .. } if name == "events" => {
                Some("the metric `events` counts those of a simulated run".to_owned())
            }
            Claim::Always(_)
            | Claim::Violates(_)
            | Claim::Metric { .. }
            | Claim::Converged { .. }
            | Claim::Registry { .. }
            | Claim::Entry { .. }
            | Claim::View { .. }
            | Claim::Connected { .. }
            | Claim::Owners { .. }
            | Claim::Sometimes { .. } => None,
        })
        .collect()
}

impl Witness {
    /// The witness of a resolved scenario, at time 0, with no node up.
    /// The trace goes to `sinks`, too.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        entry: &dyn CatalogEntry,
        catalog: &Catalog,
        mut sinks: Vec<Box<dyn Sink>>,
    ) -> Self {
        let names = &scenario.cluster.nodes;
        let oracles = catalog.watching(scenario, entry.name(), Vec::new());
        let measures = Measures::new(catalog.metrics());
        sinks.extend(measures.sink());
        let facts = entry.facts(scenario);
        Self {
            now: Time::ZERO,
            strategy: entry.name().to_owned(),
            nodes: names.iter().map(|_| WitnessedNode::default()).collect(),
            network: Network::new(scenario),
            observers: Observers::new(scenario, &facts, oracles).measuring(&facts),
            measures,
            recorder: Recorder::new(sinks),
            connections: Connections::default(),
            flights: Flights::new(),
            cuts: Vec::new(),
            causes: vec![0; names.len()],
            has_failed: false,
            scenario: scenario.clone(),
        }
    }

    fn record(&mut self, node: NodeIx, cause: EventId, payload: Payload) -> EventId {
        let observers = &mut self.observers;
        let place = (self.now, node, cause);
        self.recorder
            .record(place, payload, |event| observers.event(event))
    }

    /// Records what a node is about to handle.
    fn cause(&mut self, node: NodeIx, payload: Payload) {
        self.causes[node as usize] = self.record(node, 0, payload);
    }

    /// Records what comes of what a node handles.
    fn effect(&mut self, node: NodeIx, payload: Payload) {
        self.record(node, self.causes[node as usize], payload);
    }

    /// Moves the clock. It never goes back.
    pub fn advance(&mut self, to: Time) {
        self.now = self.now.max(to);
    }

    /// A step of a node, with all that it changed, is over.
    pub fn step_done(&mut self, node: NodeIx) {
        self.causes[node as usize] = 0;
    }

    /// The script acts. Cuts, links and pauses change here; all else happens outside.
    pub fn step(&mut self, entry: Planned) {
        let Some(step) = self.scenario.steps.get(entry.step as usize) else {
            return;
        };
        let action = step.action.clone();
        let payload = Payload::Step {
            index: entry.step,
            healing: entry.healing,
            action: action.name().into(),
        };
        self.record(WORLD, 0, payload);
        if entry.healing {
            for ((step, id), cut) in &mut self.cuts {
                if *step == entry.step {
                    cut.is_mended = true;
                    self.network.mend(*id);
                }
            }
        } else {
            self.act(entry.step, &action);
        }
        self.refresh_silences();
    }

    fn act(&mut self, number: u32, action: &Action) {
        let count = self.nodes.len();
        match action {
            Action::Partition {
                groups, in_flight, ..
            } => self.cut(number, Reach::groups(count, groups), *in_flight),
            Action::Cut {
                from,
                to,
                in_flight,
                ..
            } => self.cut(number, Reach::directed(count, from, to), *in_flight),
            Action::Heal => {
                self.network.mend_all();
                self.network.restore_links();
                self.cuts
                    .iter_mut()
                    .for_each(|(_, cut)| cut.is_mended = true);
            }
            Action::Link(change) => self.network.change_links(change),
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.pause(*node)),
            Action::Resume(nodes) => nodes.iter().for_each(|node| self.resume(*node)),
            Action::Join(_)
            | Action::Restart { .. }
            | Action::Leave(_)
            | Action::Crash(_)
            | Action::Hold { .. }
            | Action::Release { .. }
            | Action::Clock { .. }
            | Action::StartChildren { .. }
            | Action::StopChildren { .. }
            | Action::RestartChild { .. }
            | Action::Propagate { .. }
            | Action::Sync(_)
            | Action::Broadcast { .. }
            | Action::Rows { .. }
            | Action::View { .. }
            | Action::LeftOut { .. } => {}
        }
    }

    fn cut(&mut self, number: u32, reach: Reach, in_flight: InFlight) {
        if in_flight == InFlight::Drop {
            reach
                .links()
                .for_each(|link| self.network.forget_order(link));
        }
        let id = self.network.cut(reach.clone());
        let cut = PastCut {
            since: self.now,
            reach,
            in_flight,
            is_mended: false,
        };
        self.cuts.push(((number, id), cut));
    }

    fn pause(&mut self, node: NodeIx) {
        self.change(node, Transition::Pause, Payload::Paused);
    }

    fn resume(&mut self, node: NodeIx) {
        self.change(node, Transition::Resume, Payload::Resumed);
    }

    /// Makes a transition where it is possible.
    fn change(&mut self, node: NodeIx, transition: Transition, payload: Payload) {
        let state = &mut self.nodes[node as usize];
        if let Some(life) = state.life.after(transition) {
            state.life = life;
            self.record(node, 0, payload);
        }
    }

    /// True if a node runs.
    #[must_use]
    pub fn is_running(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].life.runs()
    }

    /// True if a node runs in this incarnation.
    #[must_use]
    pub fn runs(&self, node: NodeIx, incarnation: u32) -> bool {
        self.is_running(node) && self.nodes[node as usize].incarnation == incarnation
    }

    /// The incarnation that a node's next boot will have, counted from 1.
    #[must_use]
    pub fn next_incarnation(&self, node: NodeIx) -> u32 {
        self.nodes[node as usize].incarnation.saturating_add(1)
    }

    /// A node that does not run boots, with its [next incarnation](Self::next_incarnation).
    pub fn booted(&mut self, node: NodeIx) {
        let name = self.scenario.cluster.nodes[node as usize].clone();
        let incarnation = self.next_incarnation(node);
        self.nodes[node as usize] = WitnessedNode {
            life: Lifecycle::Up,
            incarnation,
            ..WitnessedNode::default()
        };
        self.network.set_free(node);
        let incarnation = incarnation.into();
        self.cause(node, Payload::Booted { name, incarnation });
    }

    /// A node that runs stops, and its children with it.
    pub fn stopped(&mut self, node: NodeIx, reason: StopReason) {
        if !self.is_running(node) {
            return;
        }
        self.cause(node, Payload::Stopped(reason));
        let state = &mut self.nodes[node as usize];
        let incarnation = state.incarnation;
        let before = std::mem::replace(
            state,
            WitnessedNode {
                life: reason.transition().target(),
                incarnation,
                ..WitnessedNode::default()
            },
        );
        for (child, (pid, _)) in before.children {
            self.effect(node, Payload::ChildStopped { child, pid });
        }
        self.step_done(node);
        self.disconnect(node);
    }

    /// A node's cluster view changed.
    pub fn view(&mut self, node: NodeIx, view: Vec<NodeId>) {
        if self.is_running(node) {
            self.effect(node, Payload::View(view));
        }
    }

    /// A node's row changed to this; one without entries is gone.
    pub fn row(&mut self, node: NodeIx, row: Row) {
        if !self.is_running(node) {
            return;
        }
        let child = row.spec.id().clone();
        let rows = &mut self.nodes[node as usize].rows;
        let after = (!row.is_empty()).then_some(row);
        let before = match &after {
            Some(row) => rows.insert(child.clone(), row.clone()),
            None => rows.remove(&child),
        };
        if before != after {
            let payload = Payload::Row {
                child,
                before: before.map(Box::new),
                after: after.map(Box::new),
            };
            self.effect(node, payload);
        }
    }

    /// A child runs on a node; what ran there under its id no longer does.
    pub fn child_started(&mut self, node: NodeIx, child: &ChildId, pid: Pid, metadata: Metadata) {
        if !self.is_running(node) {
            return;
        }
        self.child_stopped(node, child);
        let children = &mut self.nodes[node as usize].children;
        children.insert(child.clone(), (pid.clone(), metadata.clone()));
        let payload = Payload::ChildStarted {
            child: child.clone(),
            pid,
            metadata,
        };
        self.effect(node, payload);
    }

    /// A child has a new process; it keeps its metadata.
    pub fn child_restarted(&mut self, node: NodeIx, child: &ChildId, pid: Pid) {
        let known = self.nodes[node as usize].children.get(child);
        let metadata = known.map(|(_, metadata)| metadata.clone());
        let metadata = metadata.unwrap_or_default();
        self.child_started(node, child, pid, metadata);
    }

    /// A child no longer runs on a node.
    pub fn child_stopped(&mut self, node: NodeIx, child: &ChildId) {
        let removed = self.nodes[node as usize].children.remove(child);
        if let Some((pid, _)) = removed {
            let child = child.clone();
            self.effect(node, Payload::ChildStopped { child, pid });
        }
    }

    /// The run is over: returns its report. `is_whole` says that it came to its end, which is that of
    /// the file or later; `wall_us` is how long it took.
    #[must_use]
    pub fn finish(mut self, is_whole: bool, wall_us: u64) -> Report {
        let end = Time(hublab_strategies::time::micros(self.scenario.run.duration));
        if is_whole {
            self.now = self.now.max(end);
        }
        let outcome = self.observers.finish(self.now, !is_whole);
        self.recorder.finish();
        let finished = Finished {
            now: self.now,
            stopped_early: !is_whole,
            is_told_to_stop: false,
            unmet: Vec::new(),
            outcome,
            digest: self.recorder.digest().to_hex().to_string(),
        };
        let seed = self.scenario.run.seed;
        let report = run::report_of(
            (&self.scenario, &self.strategy, seed),
            &self.measures,
            finished,
            Vec::new(),
            wall_us,
        );
        Report {
            digest: None,
            ..report
        }
    }
}

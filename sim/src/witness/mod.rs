//! [`Witness`]: the observers of a run that the engine does not make. Real hubs run elsewhere, in
//! real time; whoever runs them tells the witness what happens, and asks it what the network does to
//! a message. Convergence, oracles and expectations are judged by the code that judges simulated
//! runs, and the report has the same shape.
//!
//! What cannot be told from outside is missing: timers, commands as causes, and the state of nodes
//! beside registry and view.
//!
//! | module | owns |
//! | --- | --- |
//! | `connections` | who is connected, who is to be, how long silences last |
//! | `traffic` | what the network does to messages |
//! | `shadow` | what a node shows |

mod connections;
mod shadow;
#[cfg(test)]
mod tests;
mod traffic;

use hublab_strategies::hub::Command;
use hublab_strategies::{ChildId, Event as HubEvent, Metadata, NodeId, Pid, Row, Time};

use crate::engine::{Child, Finished, NodeState};
use crate::model::script::Planned;
use crate::model::{Action, Claim, InFlight, NodeIx, Scenario};
use crate::network::Network;
use crate::network::cut::{CutId, Reach};
use crate::node::NodeInput;
use crate::node::effects::{Effect, EffectBuffers, Effects, Positions};
use crate::run;
use crate::run::report::Report;
use crate::trace::event::{EventId, Payload, StopReason, WORLD};
use crate::trace::recorder::Recorder;
use crate::watch::{Observers, Scene};

use connections::Connections;
use shadow::Shadow;
pub use traffic::{Fate, Reception};
use traffic::{Flights, PastCut};

/// Oracles that go by what cannot be told from outside.
const BLIND: [&str; 1] = ["bounded_state"];

/// Watches one run of real hubs, on a clock that only moves when it is told.
pub struct Witness {
    now: Time,
    scenario: Scenario,
    strategy: String,
    nodes: Vec<NodeState>,
    network: Network,
    observers: Observers,
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
            | Claim::Entry { .. } => None,
        })
        .collect()
}

impl Witness {
    /// The witness of a resolved scenario, at time 0, with no node up.
    #[must_use]
    pub fn new(scenario: &Scenario, strategy: &str) -> Self {
        let names = &scenario.cluster.nodes;
        Self {
            now: Time::ZERO,
            strategy: strategy.to_owned(),
            nodes: names.iter().map(|_| NodeState::new()).collect(),
            network: Network::new(&scenario.network, names, scenario.run.seed),
            observers: Observers::new(scenario, strategy, Vec::new()),
            recorder: Recorder::new(Vec::new()),
            connections: Connections::default(),
            flights: Flights::new(),
            cuts: Vec::new(),
            causes: vec![0; names.len()],
            has_failed: false,
            scenario: scenario.clone(),
        }
    }

    fn record(&mut self, node: NodeIx, cause: EventId, payload: Payload) -> EventId {
        let id = self.recorder.record(self.now, node, cause, payload);
        self.show_last();
        id
    }

    /// Records what a node is about to handle.
    fn cause(&mut self, node: NodeIx, payload: Payload) {
        self.causes[node as usize] = self.record(node, 0, payload);
    }

    /// Records what comes of what a node handles.
    fn effect(&mut self, node: NodeIx, payload: Payload) {
        self.record(node, self.causes[node as usize], payload);
    }

    fn show_last(&mut self) {
        if let Some(event) = self.recorder.last() {
            let scene = Scene {
                nodes: &self.nodes,
                network: &self.network,
            };
            self.observers.event(event, scene);
        }
    }

    /// Moves the clock; what is claimed of instants passed over is judged. It never goes back.
    pub fn advance(&mut self, to: Time) {
        if to > self.now {
            let scene = Scene {
                nodes: &self.nodes,
                network: &self.network,
            };
            self.observers.settle(self.now, to, scene);
            self.now = to;
        }
    }

    /// A step of a node, with all that it changed, is over.
    pub fn step_done(&mut self, node: NodeIx) {
        self.causes[node as usize] = 0;
        let scene = Scene {
            nodes: &self.nodes,
            network: &self.network,
        };
        self.observers.truth_settled(scene);
        self.observers.step_done(self.now, scene);
    }

    /// The script acts. Cuts, links and pauses change here; all else happens outside.
    pub fn step(&mut self, entry: Planned) {
        let Some(step) = self.scenario.steps.get(entry.step as usize) else {
            return;
        };
        let action = step.action.clone();
        self.observers.step_begins(self.now);
        let payload = Payload::Step {
            index: entry.step,
            healing: entry.healing,
            action: action.name().into(),
        };
        self.record(WORLD, 0, payload);
        if entry.healing {
            self.note_healing();
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

    fn note_healing(&mut self) {
        if self.network.has_cuts() {
            self.observers.healed(self.now);
        }
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
                self.note_healing();
                self.network.mend_all();
                self.network.restore_links();
                self.cuts
                    .iter_mut()
                    .for_each(|(_, cut)| cut.is_mended = true);
            }
            Action::Link(change) => self.network.change_links(change),
            Action::Pause(nodes) => nodes.iter().for_each(|node| self.pause(*node, true)),
            Action::Resume(nodes) => nodes.iter().for_each(|node| self.pause(*node, false)),
            Action::Join(_)
            | Action::Restart(_)
            | Action::Leave(_)
            | Action::Crash(_)
            | Action::Clock { .. }
            | Action::StartChildren { .. }
            | Action::StopChildren { .. }
            | Action::RestartChild { .. }
            | Action::Propagate { .. }
            | Action::Sync(_)
            | Action::Broadcast { .. }
            | Action::Rows { .. }
            | Action::View { .. } => {}
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

    fn pause(&mut self, node: NodeIx, pause: bool) {
        let state = &mut self.nodes[node as usize];
        if state.is_running() && state.paused != pause {
            state.paused = pause;
            let payload = if pause {
                Payload::Paused
            } else {
                Payload::Resumed
            };
            self.record(node, 0, payload);
        }
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_running(&self, node: NodeIx) -> bool {
        self.nodes[node as usize].is_running()
    }

    /// Whether a node runs in this incarnation.
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
        let state = &mut self.nodes[node as usize];
        state.incarnation = incarnation;
        self.network.set_free(node);
        state.node = Some(Box::new(Shadow::new(name.clone())));
        self.observers.node_up(node);
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
        state.node = None;
        state.paused = false;
        state.pids.clear();
        for (child, Child { pid, .. }) in std::mem::take(&mut state.children) {
            self.observers.child_stopped(self.now, node, &child, &pid);
            self.effect(node, Payload::ChildStopped { child, pid });
        }
        self.step_done(node);
        self.observers.node_down(node);
        self.disconnect(node);
    }

    /// A node's cluster view changed.
    pub fn view(&mut self, node: NodeIx, view: Vec<NodeId>) {
        self.tell(node, Command::SetView(view));
    }

    /// A node's row changed to this; one without entries is gone.
    pub fn row(&mut self, node: NodeIx, row: Row) {
        self.tell(node, Command::PutRows(vec![row]));
    }

    /// Has the shadow of a node that runs show something.
    fn tell(&mut self, node: NodeIx, command: Command) {
        let state = &mut self.nodes[node as usize];
        let Some(shadow) = state.node.as_mut() else {
            return;
        };
        let (mut buffers, positions) = (EffectBuffers::default(), Positions::default());
        let stream = &mut state.stream;
        let mut effects = Effects::new(self.now, &state.clock, 0, stream, &positions, &mut buffers);
        shadow.handle(NodeInput::Command(command), &mut effects);
        for effect in buffers.effects {
            let Effect::Emit(event) = effect else {
                continue;
            };
            if let HubEvent::Row(change) = event {
                self.observers.row_changed(self.now, node, &change);
                let payload = Payload::Row {
                    child: change.child,
                    before: change.before,
                    after: change.after,
                };
                self.effect(node, payload);
            } else if let HubEvent::View(view) = event {
                self.effect(node, Payload::View(view));
            }
        }
    }

    /// A child runs on a node; what ran there under its id no longer does.
    pub fn child_started(&mut self, node: NodeIx, child: &ChildId, pid: Pid, metadata: Metadata) {
        if !self.is_running(node) {
            return;
        }
        self.child_stopped(node, child);
        let running = Child {
            pid: pid.clone(),
            metadata: metadata.clone(),
            since: self.now,
        };
        self.observers
            .child_started(self.now, node, child, &running);
        let children = &mut self.nodes[node as usize].children;
        children.insert(child.clone(), running);
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
        let metadata = known.map(|it| it.metadata.clone()).unwrap_or_default();
        self.child_started(node, child, pid, metadata);
    }

    /// A child no longer runs on a node.
    pub fn child_stopped(&mut self, node: NodeIx, child: &ChildId) {
        let removed = self.nodes[node as usize].children.remove(child);
        if let Some(Child { pid, .. }) = removed {
            self.observers.child_stopped(self.now, node, child, &pid);
            let child = child.clone();
            self.effect(node, Payload::ChildStopped { child, pid });
        }
    }

    /// The run is over: what it came to, if it came to its end; `wall_us` is how long it took.
    #[must_use]
    pub fn finish(mut self, is_whole: bool, wall_us: u64) -> Report {
        let end = Time(hublab_strategies::time::micros(self.scenario.run.duration));
        if is_whole {
            self.advance(Time(end.0 + 1));
            self.now = end;
        }
        let scene = Scene {
            nodes: &self.nodes,
            network: &self.network,
        };
        let outcome = self
            .observers
            .finish(self.now, !is_whole, scene, &self.recorder);
        let finished = Finished {
            now: self.now,
            stopped_early: !is_whole,
            is_told_to_stop: false,
            outcome,
            recorder: self.recorder,
        };
        let seed = self.scenario.run.seed;
        let run = run::make(
            &self.scenario,
            &self.strategy,
            seed,
            finished,
            self.has_failed,
            wall_us,
        );
        Report {
            digest: None,
            ..run.report
        }
    }
}

//! Counters of what a run exercised, over its events.
//!
//! A campaign that injects faults which never touch anything proves nothing. So a fault counts
//! here when it really dropped, delayed or repeated something, not when the script asked for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use hublab_strategies::DownReason;
use hublab_strategies::time::micros;
use rustc_hash::FxHashMap;

use crate::model::{Action, Latency, LinkChange, NodeIx, Scenario, Step};
use crate::network::LinkKey;
use crate::network::overrides::Overrides;
use crate::trace::event::{DropReason, Event, KindIx, Payload, StopReason};
use crate::trace::program::counted_as;
use crate::trace::recorder::Sink;

/// Counters by name: `step.crash` (steps carried out), `fault.loss` (messages lost, late, doubled,
/// overtaken; nodes stopped, paused, stepped; peers declared down), `kind.pubsub.sync` (messages
/// handled), `mark.gossip.invalidated` (branches that the strategy marks, and claims of programs).
pub type Reach = BTreeMap<String, u64>;

/// Counts while a run goes on; what it counted can be [taken](Counter::take) once the run is over.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<Mutex<Reach>>);

impl Counter {
    /// The sink for the run of a resolved scenario.
    #[must_use]
    pub fn sink(&self, scenario: &Scenario) -> Box<dyn Sink> {
        Box::new(Listener {
            delays: Delays::new(scenario),
            steps: BTreeMap::new(),
            marks: BTreeMap::new(),
            kinds: Vec::new(),
            faults: [0; FAULTS.len()],
            drops: [0; DropReason::ALL.len()],
            newest: FxHashMap::default(),
            result: self.0.clone(),
        })
    }

    /// The counters. Empty while the run goes on.
    #[must_use]
    pub fn take(self) -> Reach {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A fault that did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Duplication,
    Reorder,
    Delay,
    Crash,
    Leave,
    Pause,
    Clock,
    View,
    PeerDown,
    Reboot,
    LateJoin,
}

/// Their names, in the order of the variants.
const FAULTS: [&str; 11] = [
    "fault.duplication",
    "fault.reorder",
    "fault.delay",
    "fault.crash",
    "fault.leave",
    "fault.pause",
    "fault.clock",
    "fault.view",
    "fault.peer_down",
    "fault.restart",
    "fault.late_join",
];

/// Which links an override or a limit makes slower than the file's latency.
struct Delays {
    /// The latency that most messages stay within on links without either, in microseconds.
    usual_us: u64,
    /// Every sender or every link has a limit.
    is_limited: bool,
    overrides: Overrides,
    steps: Vec<Step>,
}

impl Delays {
    fn new(scenario: &Scenario) -> Self {
        let network = &scenario.network;
        let usual = match network.base.latency {
            Latency::Constant(latency) => latency,
            Latency::Uniform(_, most) => most,
            Latency::Exponential { mean, .. } => mean.saturating_mul(5),
            Latency::Lognormal { p99, .. } => p99,
            Latency::Bimodal { fast, .. } => fast,
        };
        let settings = scenario.node_settings();
        let limits =
            network.base.bytes_per_second > 0 || settings.iter().any(|of| !of.send_gap.is_zero());
        Self {
            usual_us: micros(usual),
            is_limited: limits,
            overrides: Overrides::new(scenario.cluster.nodes.len(), &network.links),
            steps: scenario.steps.clone(),
        }
    }

    fn step(&mut self, index: u32, healing: bool) {
        match self.steps.get(index as usize).map(|step| &step.action) {
            Some(Action::Link(change)) if !healing => self.overrides.push(change),
            Some(Action::Heal) => drop(self.overrides.restore()),
            _ => {}
        }
    }

    /// True if a message that takes so long is late for another reason than chance.
    fn is_late(&self, link: LinkKey, takes_us: u64) -> bool {
        let slows = |change: &LinkChange| {
            change.latency.is_some() || change.bytes_per_second.is_some_and(|limit| limit > 0)
        };
        takes_us > self.usual_us && (self.is_limited || self.overrides.of(link).any(slows))
    }
}

struct Listener {
    delays: Delays,
    steps: BTreeMap<String, u64>,
    marks: BTreeMap<String, u64>,
    /// Name and messages handled, by number.
    kinds: Vec<(String, u64)>,
    faults: [u64; FAULTS.len()],
    /// By reason: messages that were lost.
    drops: [u64; DropReason::ALL.len()],
    /// The highest number delivered, by sender, receiver and kind.
    newest: FxHashMap<(NodeIx, NodeIx, KindIx), u64>,
    result: Arc<Mutex<Reach>>,
}

impl Listener {
    fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    fn delivered(&mut self, from: NodeIx, to: NodeIx, kind: KindIx, number: u64) {
        if let Some((_, count)) = self.kinds.get_mut(usize::from(kind)) {
            *count += 1;
        }
        let newest = self.newest.entry((from, to, kind)).or_insert(number);
        if number < *newest {
            self.fault(Fault::Reorder);
        } else {
            *newest = number;
        }
    }

    fn step(&mut self, action: &str, healing: bool) {
        let name = if healing { "heal_after" } else { action };
        match self.steps.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.steps.insert(name.to_owned(), 1);
            }
        }
        match action {
            "clock" => self.fault(Fault::Clock),
            "view" => self.fault(Fault::View),
            _ => {}
        }
    }
}

impl Sink for Listener {
    fn reads_contents(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        match &event.payload {
            Payload::Step {
                index,
                action,
                healing,
            } => {
                self.delays.step(*index, *healing);
                self.step(action, *healing);
            }
            Payload::Kind { name, .. } => self.kinds.push((name.clone(), 0)),
            Payload::Sent {
                to, due: Some(due), ..
            } => {
                let takes = due.0.saturating_sub(event.at.0);
                if self.delays.is_late((event.node, *to), takes) {
                    self.fault(Fault::Delay);
                }
            }
            Payload::Duplicated { .. } => self.fault(Fault::Duplication),
            Payload::Delivered {
                from, kind, number, ..
            } => {
                self.delivered(*from, event.node, *kind, *number);
            }
            Payload::Dropped { reason, .. } => self.drops[usize::from(reason.code())] += 1,
            Payload::Stopped(StopReason::Crash) => self.fault(Fault::Crash),
            Payload::Stopped(StopReason::Leave) => self.fault(Fault::Leave),
            Payload::Paused => self.fault(Fault::Pause),
            Payload::PeerDown { reason, .. } => match reason {
                DownReason::Silent => self.fault(Fault::PeerDown),
                DownReason::Closed | DownReason::Restarted | DownReason::Left => {}
            },
            Payload::Booted { incarnation, .. } => {
                if *incarnation > 1 {
                    self.fault(Fault::Reboot);
                } else if event.at.0 > 0 {
                    self.fault(Fault::LateJoin);
                }
            }
            Payload::Mark(name) => {
                let name = counted_as(name);
                match self.marks.get_mut(name) {
                    Some(count) => *count += 1,
                    None => {
                        self.marks.insert(name.to_owned(), 1);
                    }
                }
            }
            Payload::Sent { due: None, .. }
            | Payload::Resumed
            | Payload::PeerUp { .. }
            | Payload::Timer(_)
            | Payload::Row { .. }
            | Payload::View(_)
            | Payload::ChildStarted { .. }
            | Payload::ChildStopped { .. }
            | Payload::Fact(_)
            | Payload::Answered { .. }
            | Payload::Skipped { .. }
            | Payload::Panicked(_)
            | Payload::Connected { .. }
            | Payload::Disconnected { .. }
            | Payload::Queued { .. }
            | Payload::Sizes(_)
            | Payload::Injected { .. } => {}
        }
    }

    fn finish(&mut self) {
        let mut reach = Reach::new();
        let named = |prefix: &'static str| {
            move |(name, count): (String, u64)| (format!("{prefix}.{name}"), count)
        };
        reach.extend(
            std::mem::take(&mut self.steps)
                .into_iter()
                .map(named("step")),
        );
        reach.extend(
            std::mem::take(&mut self.marks)
                .into_iter()
                .map(named("mark")),
        );
        reach.extend(self.kinds.drain(..).map(named("kind")));
        reach.extend(
            FAULTS
                .iter()
                .map(|name| (*name).to_owned())
                .zip(self.faults),
        );
        let drops = DropReason::ALL.map(DropReason::key);
        reach.extend(drops.into_iter().zip(self.drops).map(named("fault")));
        reach.retain(|_, count| *count > 0);
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = reach;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::run::Simulation;
    use crate::scenario::resolve;

    fn reach(text: &str) -> Reach {
        let catalog = Catalog::default();
        let scenario = Scenario::read("reach.toml", text.as_bytes(), &catalog).expect("a scenario");
        let counter = Counter::default();
        Simulation::new(&scenario, &catalog)
            .strategy("pubsub")
            .expect("a known strategy")
            .seed(1)
            .sinks([counter.sink(&resolve(&scenario, 1, &catalog))])
            .run()
            .expect("a known strategy");
        counter.take()
    }

    const QUIET: &str = "schema = 1\n[run]\nduration = '20s'\n[cluster]\nnodes = 3\ndiscovery_interval = '100ms'\n\
        [[step]]\nat = '2s'\nstart_children = { on = 'n1', ids = ['a'] }\n";

    #[test]
    fn a_run_without_faults_has_no_counter_of_one() {
        let reach = reach(QUIET);
        assert_eq!(reach["step.start_children"], 1);
        assert!(reach["kind.pubsub.requests"] >= 2, "{reach:?}");
        assert!(
            !reach.keys().any(|name| name.starts_with("fault.")),
            "{reach:?}"
        );
    }

    #[test]
    fn latency_that_the_law_itself_draws_is_no_delay() {
        let heavy = "[network]\nlatency = { bimodal = { fast = '1ms', slow = '90ms', slow_share = 0.5 } }\n";
        let quiet = format!("{QUIET}{heavy}");
        assert!(!reach(&quiet).contains_key("fault.delay"));
        for slows in [
            "bytes_per_second = 1000\n",
            "send_gap = '5ms'\n",
            "[[network.link]]\nfrom = ['n1']\nto = ['n2']\nlatency = { constant = '200ms' }\n",
            "[[step]]\nat = '7s'\nlink = { from = ['n1'], to = ['n2'], bytes_per_second = 500 }\n",
        ] {
            let reach = reach(&format!("{quiet}{slows}"));
            assert!(reach.contains_key("fault.delay"), "{slows}: {reach:?}");
        }
        let elsewhere = "[[step]]\nat = '7s'\nlink = { from = ['n1'], to = ['n2'], loss = 0.1 }\n";
        assert!(!reach(&format!("{quiet}{elsewhere}")).contains_key("fault.delay"));
    }

    #[test]
    fn faults_count_by_what_they_did() {
        let faults = "[[step]]\nat = '3s'\ncrash = { nodes = ['n2'] }\n\
            [[step]]\nat = '4s'\nrestart = { nodes = ['n2'] }\n\
            [[step]]\nat = '5s'\npause = { nodes = ['n3'] }\n\
            [[step]]\nat = '6s'\nresume = { nodes = ['n3'] }\n\
            [[step]]\nat = '7s'\nlink = { from = ['n1'], to = ['n2'], latency = { constant = '80ms' }, loss = 0.5, duplicate = 0.5 }\n";
        let reach = reach(&format!("{QUIET}{faults}"));
        for name in ["crash", "restart", "pause", "loss", "duplication", "delay"] {
            assert!(
                reach.contains_key(&format!("fault.{name}")),
                "{name}: {reach:?}"
            );
        }
        assert!(!reach.contains_key("fault.clock"), "{reach:?}");
    }
}

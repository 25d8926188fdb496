//! [`Lab`]: a scenario put together line by line, and [`Past`]: what happened in a run of it.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};

use hublab_sim::catalog::Catalog;
use hublab_sim::engine::inject::Injection;
use hublab_sim::model::Scenario;
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::simulation::Handle;
use hublab_sim::trace::event::{DropReason, Event, EventId, Payload};
use hublab_sim::trace::recorder::Sink;
use hublab_sim::watch::judge::Verdict;
use hublab_sim::world::Stepping;
use hublab_strategies::hub::Command;
use hublab_strategies::{Entry, NodeId, Row, Time};

/// One millisecond, in microseconds.
pub(crate) const MS: u64 = 1_000;
/// One second, in microseconds.
pub(crate) const S: u64 = 1_000_000;

/// A scenario in the making. It starts with nodes n1 to nN, a run of 60 s, and a constant
/// latency of 5 ms; everything else is the format's default.
#[derive(Clone)]
pub(crate) struct Lab {
    tables: BTreeMap<String, BTreeMap<String, String>>,
    lists: Vec<String>,
    strategy: String,
    seed: u64,
    stepping: Stepping,
}

impl Lab {
    /// A cluster of this many nodes.
    pub(crate) fn of(nodes: usize) -> Self {
        let lab = Self {
            tables: BTreeMap::new(),
            lists: Vec::new(),
            strategy: "pubsub".to_owned(),
            seed: 1,
            stepping: Stepping::Slice,
        };
        lab.set(&format!("cluster.nodes = {nodes}"))
            .set("run.duration = '60s'")
            .set("network.latency = { constant = '5ms' }")
    }

    /// Sets one value: `network.loss = 0.5`.
    pub(crate) fn set(mut self, line: &str) -> Self {
        let (path, value) = line.split_once('=').expect("`table.key = value`");
        let (table, key) = path.trim().rsplit_once('.').expect("`table.key = value`");
        let (key, value) = (key.to_owned(), value.trim().to_owned());
        self.tables
            .entry(table.to_owned())
            .or_default()
            .insert(key, value);
        self
    }

    /// Adds a step.
    pub(crate) fn step(mut self, at: &str, action: &str) -> Self {
        self.lists
            .push(format!("[[step]]\nat = '{at}'\n{action}\n"));
        self
    }

    /// Takes away the step or expectation added as the `n`-th, from 0.
    pub(crate) fn without(mut self, n: usize) -> Self {
        self.lists.remove(n);
        self
    }

    /// Adds an expectation.
    pub(crate) fn expect(mut self, claim: &str) -> Self {
        self.lists.push(format!("[[expect]]\n{claim}\n"));
        self
    }

    /// Adds an override of links.
    pub(crate) fn link(mut self, lines: &str) -> Self {
        self.lists.push(format!("[[network.link]]\n{lines}\n"));
        self
    }

    /// Under `gossip` instead of `pubsub`.
    pub(crate) fn gossip(mut self) -> Self {
        self.strategy = "gossip".to_owned();
        self
    }

    /// With another seed than 1.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With madsim's clock at every event.
    pub(crate) fn exact(mut self) -> Self {
        self.stepping = Stepping::Exact;
        self
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = "schema = 1\n".to_owned();
        for (table, values) in &self.tables {
            text.push_str(&format!("[{table}]\n"));
            for (key, value) in values {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
        text + &self.lists.concat()
    }

    /// The scenario that the file is.
    pub(crate) fn scenario(&self) -> Scenario {
        let text = self.text();
        Scenario::read("lab.toml", text.as_bytes(), &Catalog::default())
            .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"))
    }

    /// Runs the scenario.
    pub(crate) fn run(&self) -> Past {
        self.run_scenario(&self.scenario())
    }

    /// Runs a scenario in place of this lab's own, under its strategy and seed.
    pub(crate) fn run_scenario(&self, scenario: &Scenario) -> Past {
        let (tape, catalog) = (Tape::default(), Catalog::default());
        let run = self.simulation(scenario, &catalog, &tape);
        Past::new(run.run().expect("a run"), &tape, scenario)
    }

    /// Runs the scenario with a job beside it; answers what the job did.
    pub(crate) fn run_with<T, F>(
        &self,
        job: impl FnOnce(Handle) -> F + Send + 'static,
    ) -> (Past, Option<T>)
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let (tape, catalog) = (Tape::default(), Catalog::default());
        let scenario = self.scenario();
        let run = self.simulation(&scenario, &catalog, &tape);
        let (report, value) = run.run_with(job).expect("a run");
        (Past::new(report, &tape, &scenario), value)
    }

    fn simulation<'a>(
        &'a self,
        scenario: &'a Scenario,
        catalog: &'a Catalog,
        tape: &Tape,
    ) -> Simulation<'a> {
        Simulation::new(scenario, catalog)
            .strategy(&self.strategy)
            .expect("a strategy of the catalog")
            .seed(self.seed)
            .stepping(self.stepping)
            .sink(tape.clone())
    }
}

/// Keeps every event.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<Event>>>);

impl Sink for Tape {
    fn event(&mut self, event: &Event) {
        self.0.lock().expect("one thread").push(event.clone());
    }
}

/// One message and what became of it and of its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Msg {
    /// The event of its sending: messages are in the order of these.
    pub(crate) id: EventId,
    /// The event that made the sender send it.
    pub(crate) cause: EventId,
    pub(crate) at: u64,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) kind: String,
    pub(crate) channel: u8,
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) due: Option<u64>,
    /// When the receiver handled it, and in which event.
    pub(crate) arrivals: Vec<(u64, EventId)>,
    /// When and why it was lost.
    pub(crate) losses: Vec<(u64, DropReason)>,
    /// When the copy is due that the network made.
    pub(crate) copy: Option<u64>,
}

impl Msg {
    /// When it was handled: exactly once, or not at all.
    pub(crate) fn arrived(&self) -> Option<u64> {
        assert!(self.arrivals.len() <= 1, "more than once: {self:?}");
        self.arrivals.first().map(|(at, _)| *at)
    }

    /// Why it was lost.
    pub(crate) fn lost(&self) -> Option<DropReason> {
        self.losses.first().map(|(_, reason)| *reason)
    }
}

/// A run that is over.
pub(crate) struct Past {
    pub(crate) report: Report,
    pub(crate) events: Vec<Event>,
    names: Vec<String>,
    kinds: HashMap<u8, String>,
    messages: Vec<Msg>,
}

impl Past {
    fn new(report: Report, tape: &Tape, scenario: &Scenario) -> Self {
        let events = std::mem::take(&mut *tape.0.lock().expect("one thread"));
        let mut past = Self {
            report,
            events: Vec::new(),
            names: scenario
                .cluster
                .nodes
                .iter()
                .map(ToString::to_string)
                .collect(),
            kinds: HashMap::new(),
            messages: Vec::new(),
        };
        let mut by_id = HashMap::new();
        for event in &events {
            past.read(event, &mut by_id);
        }
        past.events = events;
        past
    }

    fn read(&mut self, event: &Event, by_id: &mut HashMap<EventId, usize>) {
        let Event {
            id,
            at: Time(at),
            node,
            cause,
            ..
        } = *event;
        if let Payload::Kind { kind, name } = &event.payload {
            self.kinds.insert(*kind, name.clone());
        } else if let Payload::Sent {
            to,
            kind,
            channel,
            number,
            bytes,
            due,
            ..
        } = event.payload
        {
            by_id.insert(id, self.messages.len());
            self.messages.push(Msg {
                id,
                cause,
                at,
                from: self.names[node as usize].clone(),
                to: self.names[to as usize].clone(),
                kind: self.kinds[&kind].clone(),
                channel,
                number,
                bytes,
                due: due.map(|Time(us)| us),
                arrivals: Vec::new(),
                losses: Vec::new(),
                copy: None,
            });
        } else if let Some(message) = by_id.get(&cause).map(|ix| &mut self.messages[*ix]) {
            if let Payload::Delivered { .. } = event.payload {
                message.arrivals.push((at, id));
            } else if let Payload::Dropped { reason, .. } = event.payload {
                message.losses.push((at, reason));
            } else if let Payload::Duplicated { due: Time(due), .. } = event.payload {
                message.copy = Some(due);
            }
        }
    }

    /// The messages that `FROM>TO KIND` names, in the order of sending; `*` is any.
    pub(crate) fn msgs(&self, pattern: &str) -> Vec<Msg> {
        let (link, kind) = pattern.split_once(' ').expect("`FROM>TO KIND`");
        let (from, to) = link.split_once('>').expect("`FROM>TO KIND`");
        let fits = |wanted: &str, value: &str| wanted == "*" || wanted == value;
        let wanted = |message: &&Msg| {
            fits(from, &message.from) && fits(to, &message.to) && fits(kind, &message.kind)
        };
        self.messages.iter().filter(wanted).cloned().collect()
    }

    /// [`Self::msgs`] that were sent at one instant.
    pub(crate) fn msgs_at(&self, at: u64, pattern: &str) -> Vec<Msg> {
        self.msgs(pattern)
            .into_iter()
            .filter(|message| message.at == at)
            .collect()
    }

    /// What happened on a node, as lines `TIME VERB ...`, of those verbs.
    pub(crate) fn lines(&self, node: &str, verbs: &[&str]) -> Vec<String> {
        let on_node = self.events.iter().filter(|event| {
            self.names
                .get(event.node as usize)
                .is_some_and(|name| name == node)
        });
        on_node
            .filter_map(|event| self.words(event).map(|words| (event.at, words)))
            .filter(|(_, words)| verbs.contains(&words.split(' ').next().unwrap_or_default()))
            .map(|(at, words)| format!("{at} {words}"))
            .collect()
    }

    /// [`Self::lines`] of all nodes, the node's name in front.
    pub(crate) fn all_lines(&self, verbs: &[&str]) -> Vec<String> {
        let line = |event: &Event| {
            let words = self
                .words(event)
                .filter(|words| verbs.contains(&words.split(' ').next().unwrap_or_default()))?;
            let name = self
                .names
                .get(event.node as usize)
                .map_or("-", String::as_str);
            Some(format!("{} {name} {words}", event.at))
        };
        self.events.iter().filter_map(line).collect()
    }

    /// The steps and healings of the script.
    pub(crate) fn events_of_script(&self) -> Vec<String> {
        self.all_lines(&["step", "heals"])
    }

    fn words(&self, event: &Event) -> Option<String> {
        let name = |ix: u32| self.names[ix as usize].as_str();
        let kind = |ix: &u8| self.kinds[ix].as_str();
        Some(match &event.payload {
            Payload::Step {
                index,
                healing,
                action,
            } if *healing => format!("heals {index} {action}"),
            Payload::Step { index, action, .. } => format!("step {index} {action}"),
            Payload::Booted { incarnation, .. } => format!("boots {incarnation}"),
            Payload::Stopped(reason) => format!("stops {reason:?}").to_lowercase(),
            Payload::Paused => "pauses".to_owned(),
            Payload::Resumed => "resumes".to_owned(),
            Payload::PeerUp { peer, incarnation } => format!("up {}/{incarnation}", name(*peer)),
            Payload::PeerDown { peer, reason } => format!("down {} {reason:?}", name(*peer)),
            Payload::Sent { to, kind: ix, .. } => format!("sends {} {}", kind(ix), name(*to)),
            Payload::Delivered { from, kind: ix, .. } => {
                format!("gets {} {}", kind(ix), name(*from))
            }
            Payload::Dropped {
                from,
                kind: ix,
                reason,
                ..
            } => format!("loses {} {} {reason:?}", kind(ix), name(*from)),
            Payload::Timer(key) => format!("timer {key:?}"),
            Payload::Row { child, after, .. } => {
                format!("row {child} {}", row_words(after.as_deref()))
            }
            Payload::View(view) => format!(
                "view {}",
                view.iter()
                    .map(NodeId::as_str)
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            Payload::ChildStarted { child, pid, .. } => format!("starts {child} {pid}"),
            Payload::ChildStopped { child, pid } => format!("ends {child} {pid}"),
            Payload::Answered { by, results } => {
                let results = results.iter().map(|(child, result)| match result {
                    Ok(pid) => format!("{child}={pid}"),
                    Err(_) => format!("{child}!"),
                });
                format!("answer {by} {}", results.collect::<Vec<_>>().join(","))
            }
            Payload::Skipped { child, action } => format!("skips {action} {child}"),
            Payload::Kind { .. }
            | Payload::Duplicated { .. }
            | Payload::Connected { .. }
            | Payload::Disconnected { .. }
            | Payload::Queued { .. }
            | Payload::Sizes(_)
            | Payload::Injected { .. }
            | Payload::Fact(_)
            | Payload::Mark(_)
            | Payload::Panicked(_) => {
                return None;
            }
        })
    }

    /// The cluster view of a node at the end of an instant, as `n1,n2`.
    pub(crate) fn view_of(&self, node: &str, at: u64) -> String {
        let mut view = String::new();
        for event in self.on(node, at) {
            if let Payload::Booted { name, .. } = &event.payload {
                view = name.to_string();
            } else if let Payload::View(nodes) = &event.payload {
                view = nodes
                    .iter()
                    .map(NodeId::as_str)
                    .collect::<Vec<_>>()
                    .join(",");
            }
        }
        view
    }

    /// A node's row of a child at the end of an instant, as `n1=p1,n2=p2`; empty if there is none.
    pub(crate) fn row_of(&self, node: &str, child: &str, at: u64) -> String {
        let mut row = String::new();
        for event in self.on(node, at) {
            if let Payload::Booted { .. } = &event.payload {
                row.clear();
            } else if let Payload::Row {
                child: id, after, ..
            } = &event.payload
                && id.as_str() == child
            {
                row = row_words(after.as_deref());
            }
        }
        row
    }

    fn on<'a>(&'a self, node: &'a str, until: u64) -> impl Iterator<Item = &'a Event> {
        let is_there = move |event: &&Event| {
            self.names
                .get(event.node as usize)
                .is_some_and(|name| name == node)
        };
        self.events
            .iter()
            .filter(is_there)
            .take_while(move |event| event.at.0 <= until)
    }

    /// The verdict of each expectation.
    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.report
            .expectations
            .iter()
            .map(|judgement| judgement.verdict)
            .collect()
    }

    /// Whether every expectation held.
    pub(crate) fn holds(&self) -> bool {
        self.report.verdict == Verdict::Pass
    }

    /// The reasons of the verdicts.
    pub(crate) fn details(&self) -> Vec<&str> {
        self.report
            .expectations
            .iter()
            .map(|judgement| judgement.detail.as_str())
            .collect()
    }

    /// The digest.
    pub(crate) fn digest(&self) -> &str {
        self.report.digest.as_deref().expect("a digest")
    }
}

fn row_words(row: Option<&Row>) -> String {
    let entry = |entry: &Entry| {
        format!(
            "{}={}",
            entry.node,
            entry.pid.as_ref().map_or("nil", |pid| pid.as_str())
        )
    };
    row.map_or(String::new(), |row| {
        row.entries.iter().map(entry).collect::<Vec<_>>().join(",")
    })
}

/// A command that starts one child on the node itself.
pub(crate) fn start(child: &str, on: &str) -> Injection {
    Injection::Command(Command::StartChildren {
        ticket: 0,
        specs: vec![hublab_strategies::ChildSpec::new(child, "child")],
        metadata: hublab_strategies::Metadata::default(),
        targets: vec![NodeId::from(on)],
        announce: true,
    })
}

//! Workloads of the two ports.

use std::fmt::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use cpu_time::ProcessTime;
use hublab_sim::catalog::Catalog;
use hublab_sim::model::{Action, Audience, RawRequest, RawRow, Step, When};
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::trace::{Event, Payload, Sink};
use hublab_strategies::{ChildId, Entry, Metadata, NodeId, Pid, Time};

use crate::table::{Table, float, least_us};

fn read(text: &str) -> Scenario {
    Scenario::read("bench.toml", text.as_bytes(), &Catalog::default()).expect("a valid scenario")
}

fn once(scenario: &Scenario, strategy: &str) -> Report {
    Simulation::new(scenario, &Catalog::default())
        .strategy(strategy)
        .expect("a known strategy")
        .seed(1)
        .run()
        .expect("a known strategy")
}

/// The least processor time of three runs in microseconds, and the report.
fn timed(scenario: &Scenario, strategy: &str) -> (f64, Report) {
    let mut report = None;
    let time = least_us(3, || report = Some(once(scenario, strategy)));
    (time, report.expect("three runs"))
}

pub(crate) fn measure(table: &mut Table) {
    // First, while the peak memory is theirs alone.
    boot(table, 2_000);
    rounds(table, 1_000, 10, 6.0, 3.5);
    rounds(table, 100, 100, 0.5, 0.25);
    gossip_propagate(table);
    pubsub_requests(table);
    small_runs(table);
    scaling(table);
}

/// A cluster that boots, announces itself every 10 s, and makes one PubSub round.
fn boot(table: &mut Table, nodes: u32) {
    let name = format!("boot {nodes}");
    if !table.wants(&name) {
        return;
    }
    let scenario = read(&format!(
        "schema = 1\n[run]\nduration = \"31s\"\n[cluster]\nnodes = {nodes}\n\
         [[step]]\nat = \"1s\"\nstart_children = {{ on = \"n1\", ids = [\"a\"] }}\n\
         [[expect]]\nmetric = {{ name = \"events\", min = 1 }}\n"
    ));
    let time = least_us(1, || drop(once(&scenario, "pubsub")));
    table.at_most(
        &format!("{name}: boot and first round"),
        time / 1e6,
        30.0,
        "s",
    );
    table.at_most(
        &format!("{name}: peak memory so far"),
        peak_gib(),
        1.0,
        "GiB",
    );
}

/// One request under Gossip at 100 nodes, everything in.
fn gossip_propagate(table: &mut Table) {
    if !table.wants("gossip propagate") {
        return;
    }
    let text = |propagates: u32| {
        let mut text = String::from(
            "schema = 1\n[run]\nduration = \"60s\"\n[cluster]\nnodes = 100\ndiscovery_interval = \"1h\"\n\
             [strategy.gossip]\nsync_interval = \"1h\"\n[[expect]]\nmetric = { name = \"events\", min = 1 }\n",
        );
        for number in 0..propagates {
            let at = 20 + 3 * number;
            let _ = writeln!(
                text,
                "[[step]]\nat = \"{at}s\"\npropagate = {{ from = \"n7\", requests = [{{ register = [{{ child = \"x\", nodes = {{ n7 = \"p{number}\" }} }}] }}] }}"
            );
        }
        text
    };
    let (base, _) = timed(&read(&text(0)), "gossip");
    let (one, report) = timed(&read(&text(10)), "gossip");
    let sent = report
        .messages
        .by_kind
        .get("gossip.propagate")
        .map_or(0, |kind| kind.sent);
    table.note(
        "gossip propagate, 100 nodes: messages each",
        float(sent) / 10.0,
        "",
    );
    table.at_most(
        "gossip propagate, 100 nodes: time per message",
        (one - base) / float(sent),
        4.0,
        "us",
    );
}

/// Requests under PubSub: trace events per second.
fn pubsub_requests(table: &mut Table) {
    if !table.wants("pubsub requests") {
        return;
    }
    let mut text = String::from(
        "schema = 1\n[run]\nduration = \"120s\"\n[cluster]\nnodes = 10\n[[expect]]\nmetric = { name = \"events\", min = 1 }\n",
    );
    for step in 0..5_000 {
        let node = step % 10 + 1;
        text.push_str(&format!(
            "[[step]]\nat = \"{}ms\"\nstart_children = {{ on = \"n{node}\", ids = [\"c{step}\"] }}\n",
            1_000 + step * 20
        ));
    }
    let (wall, report) = timed(&read(&text), "pubsub");
    table.at_least(
        "pubsub requests: trace events per second",
        float(report.events) / wall * 1e6,
        1e6,
        "/s",
    );
}

/// Many small runs, thread start included.
fn small_runs(table: &mut Table) {
    if !table.wants("small runs") {
        return;
    }
    let scenario = read(
        "schema = 1\n[run]\nduration = \"60s\"\n[cluster]\nnodes = 5\n\
         [[step]]\nat = \"1s\"\nstart_children = { on = \"n1\", ids = [\"a\", \"b\"] }\n\
         [[step]]\nat = \"5s\"\nstart_children = { on = \"n2\", count = 3, prefix = \"x\" }\n\
         [[step]]\nat = \"20s\"\nrestart_child = { on = \"n1\", id = \"a\" }\n\
         [[step]]\nat = \"25s\"\nstop_children = { on = \"n2\", ids = [\"x-1\"] }\n\
         [[step]]\nat = \"30s\"\ncrash = { nodes = [\"n5\"] }\n\
         [[step]]\nat = \"40s\"\nrestart = { nodes = [\"n5\"] }\n\
         [[expect]]\nconverged = { within = \"20s\" }\n",
    );
    let messages = once(&scenario, "pubsub").messages.sent;
    let runs = 2_000;
    let time = least_us(3, || {
        for seed in 0..runs {
            Simulation::new(&scenario, &Catalog::default())
                .strategy("pubsub")
                .expect("a known strategy")
                .seed(seed)
                .run()
                .expect("a known strategy");
        }
    });
    table.note("small runs: messages each", float(messages), "");
    table.at_least(
        "small runs: per second on one core",
        float(runs) / time * 1e6,
        1_000.0,
        "/s",
    );
}

/// The cost of an event must not depend on the size of the cluster.
fn scaling(table: &mut Table) {
    if !table.wants("scaling") {
        return;
    }
    let cost = |nodes: u32, duration: u32| {
        let mut scenario = read(&format!(
            "schema = 1\n[run]\nduration = \"{duration}s\"\n[cluster]\nnodes = {nodes}\ndiscovery_interval = \"1h\"\n\
             [strategy.pubsub]\nsync_interval = \"1h\"\n[[expect]]\nmetric = {{ name = \"events\", min = 1 }}\n"
        ));
        let (without, quiet) = timed(&scenario, "pubsub");
        // Each node sends to its two neighbours twice a second, whatever the size.
        scenario.steps = (0..nodes * (duration - 2) * 2)
            .map(|number| to_neighbours(number, nodes))
            .collect();
        let (with, loaded) = timed(&scenario, "pubsub");
        (with - without) / float(loaded.events - quiet.events) * 1e3
    };
    let (small, large) = (cost(10, 1_000), cost(1_000, 60));
    table.note("scaling: cost per event at 10 nodes", small, "ns");
    table.note("scaling: cost per event at 1,000 nodes", large, "ns");
    table.at_most("scaling: 1,000 nodes / 10 nodes", large / small, 3.0, "x");
}

/// The `number`-th propagation: the nodes take turns, all of them twice a second.
fn to_neighbours(number: u32, nodes: u32) -> Step {
    let from = number % nodes;
    let row = RawRow {
        child: ChildId::new("c"),
        entries: [Entry {
            node: NodeId::new("n1"),
            pid: Some(Pid::from(format!("p{number}"))),
        }]
        .into_iter()
        .collect(),
        metadata: Metadata::default(),
    };
    let at = Duration::from_millis(1_000 + u64::from(number / nodes) * 500);
    let propagate = Action::Propagate {
        from,
        members: Audience::Nodes(vec![(from + 1) % nodes, (from + 2) % nodes]),
        requests: vec![RawRequest::Register(vec![row])],
    };
    Step::new(When::Fixed(at), propagate)
}

/// Full PubSub rounds: the first into empty registries, then a steady one.
fn rounds(table: &mut Table, nodes: u32, children: u32, first: f64, steady: f64) {
    let name = format!("rounds {nodes} x {children}");
    if !table.wants(&name) {
        return;
    }
    let mut text = format!(
        "schema = 1\n[run]\nduration = \"62s\"\n[cluster]\nnodes = {nodes}\ndiscovery_interval = \"1h\"\n\
         [[expect]]\nmetric = {{ name = \"events\", min = 1 }}\n"
    );
    for node in 1..=nodes {
        let _ = writeln!(
            text,
            "[[step]]\nat = \"1s\"\nstart_children = {{ on = \"n{node}\", count = {children}, prefix = \"c{node}\", announce = false }}"
        );
    }
    // The rounds are at 30 s and 60 s. A step that does nothing stands before and behind each.
    let marks = [29, 31, 59, 61];
    for at in marks {
        let _ = writeln!(text, "[[step]]\nat = \"{at}s\"\nheal = true");
    }
    let (note, notes) = mpsc::channel();
    // Inside a run every clock is the run's: the time is taken out here.
    let clock = std::thread::spawn(move || -> Vec<f64> {
        let read = |()| ProcessTime::now().as_duration().as_secs_f64();
        notes.into_iter().map(read).collect()
    });
    Simulation::new(&read(&text), &Catalog::default())
        .strategy("pubsub")
        .expect("a known strategy")
        .seed(1)
        .sink(Laps { note, last: None })
        .run()
        .expect("a known strategy");
    let laps = clock.join().expect("the clock only reads");
    let laps = &laps[laps.len() - marks.len()..];
    table.at_most(
        &format!("{name}: first round"),
        laps[1] - laps[0],
        first,
        "s",
    );
    table.at_most(
        &format!("{name}: steady round"),
        laps[3] - laps[2],
        steady,
        "s",
    );
    table.at_most(
        &format!("{name}: peak memory so far"),
        peak_gib(),
        1.2,
        "GiB",
    );
}

/// Tells of each instant of the script.
struct Laps {
    note: mpsc::Sender<()>,
    last: Option<Time>,
}

impl Sink for Laps {
    fn event(&mut self, event: &Event) {
        if matches!(event.payload, Payload::Step { .. })
            && self.last.replace(event.at) != Some(event.at)
        {
            self.note
                .send(())
                .expect("the clock listens until the run is over");
        }
    }
}

/// The peak resident memory of this process.
fn peak_gib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("0 kB");
    let kib: u64 = line
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .unwrap_or(0);
    float(kib) / 1024.0 / 1024.0
}

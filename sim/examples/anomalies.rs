//! The measured tables of `docs/anomalies.md`: prints one of them, as Markdown.
//!
//! ```text
//! cargo run --release -p hublab-sim --example anomalies -- met 0..2000
//! cargo run --release -p hublab-sim --example anomalies -- lasts 0..100
//! cargo run --release -p hublab-sim --example anomalies -- traffic 0..20
//! ```
//!
//! `met`: in how many generated runs, with all oracles on, some failure has the name of an anomaly.
//! `lasts`: how long the entry is wrong that the scenario of an anomaly is about.
//! `traffic`: what a request and a round cost, by the size of the cluster.

#![expect(
    clippy::print_stdout,
    reason = "a program whose output is what it is for"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use hublab_sim::anomaly::Shown;
use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::processhub::{Classifier, anomaly};
use hublab_sim::report::Report;
use hublab_sim::run::Simulation;
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::resolve::resolve;
use hublab_sim::scenario::{Claim, Instants, On, Scenario, load};
use hublab_sim::trace::{Event, Sink};
use hublab_sim::watch::oracle::{self, Violation};
use hublab_strategies::Time;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: anomalies met|lasts|traffic FIRST..END";
    let [table, seeds] = words.as_slice() else {
        return Err(usage.into());
    };
    let (first, end) = seeds.split_once("..").ok_or(usage)?;
    let seeds = first.parse()?..end.parse()?;
    match table.as_str() {
        "met" => met(seeds),
        "lasts" => lasts(seeds),
        "traffic" => traffic(seeds),
        _ => Err(usage.into()),
    }
}

struct Collector(Arc<Mutex<Vec<Event>>>);

impl Sink for Collector {
    fn event(&mut self, event: &Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event.clone());
    }
}

fn traced(
    scenario: &Scenario,
    strategy: &str,
    oracles: Vec<Box<dyn oracle::Oracle>>,
    catalog: &Catalog,
) -> Outcome<(Report, Vec<Event>)> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let report = Simulation::new(scenario, catalog)
        .strategy(strategy)?
        .seed(scenario.run.seed)
        .budget(1_000_000)
        .sink(Collector(Arc::clone(&events)))
        .oracles(oracles)
        .run()?;
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((report, events))
}

/// What a campaign met: runs by name, and the first seed of each.
#[derive(Default)]
struct Met {
    runs: BTreeMap<&'static str, (u64, u64)>,
    oracles: BTreeMap<&'static str, BTreeSet<String>>,
    nameless: BTreeMap<Signature, (u64, u64)>,
    failed: u64,
}

impl Met {
    fn take_in(&mut self, seed: u64, scenario: &Scenario, report: &Report, trace: &[Event]) {
        let Some(classifier) = Classifier::new(scenario, &report.strategy, trace) else {
            return;
        };
        let mut firsts: BTreeMap<Signature, &Violation> = BTreeMap::new();
        for violation in &report.violations {
            firsts
                .entry(Signature::of(&report.strategy, violation))
                .or_insert(violation);
        }
        self.failed += u64::from(!firsts.is_empty());
        let mut names = BTreeSet::new();
        for (signature, violation) in firsts {
            match classifier.name(violation) {
                Some(named) => {
                    names.insert(named.id);
                    let oracles = self.oracles.entry(named.id).or_default();
                    oracles.insert(signature.oracle);
                }
                None => self.nameless.entry(signature).or_insert((0, seed)).0 += 1,
            }
        }
        for name in names {
            self.runs.entry(name).or_insert((0, seed)).0 += 1;
        }
    }
}

fn met(seeds: Range<u64>) -> Outcome<()> {
    let catalog = Catalog::default();
    let mut all = BTreeMap::new();
    for entry in catalog.entries() {
        let mut met = Met::default();
        for seed in seeds.clone() {
            let scenario = generate(seed, entry, &generate::Options::default()).scenario;
            let scenario = resolve(&scenario, seed, &catalog);
            let (report, trace) = traced(&scenario, entry.name(), oracle::all(), &catalog)?;
            met.take_in(seed, &scenario, &report, &trace);
        }
        all.insert(entry.name(), met);
    }
    let strategies: Vec<&str> = all.keys().copied().collect();
    let runs = seeds.end - seeds.start;
    println!("| anomaly | {} | seen by |", strategies.join(" | "));
    println!("| --- |{} --- |", " --- |".repeat(strategies.len()));
    for anomaly in anomaly::LIST {
        let cell = |met: &Met| match met.runs.get(anomaly.id) {
            Some((count, first)) => format!("{count} of {runs}, first at {first}"),
            None => "-".to_owned(),
        };
        if all.values().any(|met| met.runs.contains_key(anomaly.id)) {
            let cells: Vec<String> = all.values().map(cell).collect();
            let sets = all.values().filter_map(|met| met.oracles.get(anomaly.id));
            let oracles: BTreeSet<&str> = sets.flatten().map(String::as_str).collect();
            let oracles: Vec<&str> = oracles.into_iter().collect();
            let (id, cells, oracles) = (anomaly.id, cells.join(" | "), oracles.join(", "));
            println!("| {id} {} | {cells} | {oracles} |", anomaly.title);
        }
    }
    println!();
    for (strategy, met) in &all {
        let nameless: u64 = met.nameless.values().map(|(count, _)| count).sum();
        println!(
            "{strategy}: {} of {runs} runs fail; {nameless} signatures without a name",
            met.failed
        );
        for (signature, (count, first)) in &met.nameless {
            println!("- {signature}: {count}, first at {first}");
        }
    }
    Ok(())
}

/// How long entries were wrong, in microseconds; `None`: to the end of the run.
type Spells = BTreeSet<Option<u64>>;

fn lasts(seeds: Range<u64>) -> Outcome<()> {
    let catalog = Catalog::default();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/anomalies");
    println!("| anomaly | strategy | wrong for |");
    println!("| --- | --- | --- |");
    let files = load::find(&[directory]).map_err(|problems| format!("{problems:?}"))?;
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let name = path.display().to_string();
        let scenario = Scenario::read(&name, text.as_bytes(), &catalog)
            .map_err(|problems| format!("{name}: {problems:?}"))?;
        let Some(anomaly) = anomaly::LIST
            .iter()
            .find(|anomaly| matches!(anomaly.shown, Shown::By(name) if name == scenario.name))
        else {
            continue;
        };
        for strategy in &scenario.run.strategies {
            let mut spells = Spells::new();
            for seed in seeds.clone() {
                spells.extend(spells_of(&scenario, strategy, seed, anomaly.id, &catalog)?);
            }
            if let Some(text) = told(&spells) {
                println!("| {} {} | {strategy} | {text} |", anomaly.id, anomaly.title);
            }
        }
    }
    Ok(())
}

fn spells_of(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    id: &str,
    catalog: &Catalog,
) -> Outcome<Spells> {
    let mut scenario = resolve(scenario, seed, catalog);
    scenario.run.seed = seed;
    let (_, trace) = traced(&scenario, strategy, Vec::new(), catalog)?;
    let Some(classifier) = Classifier::new(&scenario, strategy, &trace) else {
        return Ok(Spells::new());
    };
    let mut spells = Spells::new();
    for expectation in &scenario.expectations {
        let (Claim::Registry { when, on, .. } | Claim::Entry { when, on, .. }) = &expectation.claim
        else {
            continue;
        };
        let (On::One(on), Instants::At(at)) = (on, when) else {
            continue;
        };
        for oracle in ["convergence", "membership_containment"] {
            let node = scenario.cluster.nodes[*on as usize].as_str();
            let complaint = Violation::new(oracle, *at, node, String::new());
            let named = classifier.name(&complaint).filter(|named| named.id == id);
            spells.extend(named.map(|named| Some(named.until_us? - named.from_us)));
        }
    }
    Ok(spells)
}

fn told(spells: &Spells) -> Option<String> {
    let (first, last) = (spells.first()?, spells.last()?);
    let text = |spell: &u64| {
        let rounded = spell.div_ceil(1_000) * 1_000;
        Time(rounded).to_string()
    };
    let ended: Vec<&u64> = spells.iter().flatten().collect();
    Some(match (first, ended.as_slice()) {
        (_, []) => "to the end of the run".to_owned(),
        (None, [.., longest]) => format!("{} to the end of the run", text(longest)),
        (Some(shortest), [.., longest]) if text(shortest) != text(longest) => {
            format!("{} to {}", text(shortest), text(longest))
        }
        (Some(_), _) => last.as_ref().map_or_else(String::new, text),
    })
}

/// One child on n1 at 5 s, one round at 15 s, nothing else.
fn quiet(nodes: usize, recipients: u32) -> String {
    format!(
        "schema = 1\n[run]\nduration = '29s'\n[cluster]\nnodes = {nodes}\n[strategy.pubsub]\n\
         sync_interval = '15s'\n[strategy.gossip]\nrecipients = {recipients}\n[[step]]\nat = '5s'\n\
         start_children = {{ on = 'n1', ids = ['a'] }}\n"
    )
}

fn traffic(seeds: Range<u64>) -> Outcome<()> {
    let catalog = Catalog::default();
    println!(
        "| nodes | recipients | request, Gossip | request, PubSub | round, Gossip | round of one node, PubSub |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for nodes in [3, 5, 7, 10, 20] {
        for recipients in [3, 1] {
            let text = quiet(nodes, recipients);
            let scenario = Scenario::read("quiet", text.as_bytes(), &catalog)
                .map_err(|problems| format!("{problems:?}"))?;
            let mut columns: [Vec<u64>; 4] = Default::default();
            for seed in seeds.clone() {
                for (strategy, kinds) in [
                    ("gossip", [(0, "gossip.propagate"), (2, "gossip.sync")]),
                    ("pubsub", [(1, "pubsub.requests"), (3, "pubsub.sync")]),
                ] {
                    let report = Simulation::new(&scenario, &catalog)
                        .strategy(strategy)?
                        .seed(seed)
                        .run()?;
                    for (column, kind) in kinds {
                        let counts = report.messages.by_kind.get(kind);
                        columns[column].push(counts.map_or(0, |counts| counts.sent));
                    }
                }
            }
            let cells: Vec<String> = columns.into_iter().map(median).collect();
            println!("| {nodes} | {recipients} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

/// `median (least..most)`.
fn median(mut counts: Vec<u64>) -> String {
    counts.sort_unstable();
    match (counts.first(), counts.get(counts.len() / 2), counts.last()) {
        (Some(least), Some(_), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(median), Some(most)) => format!("{median} ({least}..{most})"),
        _ => "-".to_owned(),
    }
}

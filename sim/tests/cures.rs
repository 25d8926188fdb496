//! Names confirmed by their cures: a failure that lasts is given the name of an anomaly only if the same
//! scenario passes without what that anomaly needs.
//!
//! `HUBLAB_SEEDS` is the number of generated scenarios per port.

#[path = "seeds/mod.rs"]
mod seeds;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hublab_sim::anomaly::{Anomaly, Classify, Cure, Shown};
use hublab_sim::campaign::oracles::OracleSet;
use hublab_sim::campaign::record::Record;
use hublab_sim::campaign::shrinking::{Shrinking, ShrunkFailure, ShrunkLine};
use hublab_sim::campaign::{Campaign, Observer};
use hublab_sim::catalog::Catalog;
use hublab_sim::classify::candidates;
use hublab_sim::run::Simulation;
use hublab_sim::run::failure::Signature;
use hublab_sim::scenario::{Action, Scenario};
use hublab_sim::shrink::cured::cured;
use hublab_sim::shrink::{Budget, Target, findings, shrink};
use hublab_sim::trace::Event;
use hublab_sim::watch::judge::Verdict;
use hublab_sim::watch::oracle::Violation;
use hublab_strategies::pubsub::PubSub;

use seeds::seeds;

/// Oracles whose failures last.
const LASTING: [&str; 4] = [
    "convergence",
    "no_permanent_ghost",
    "repair_progress",
    "clock_independence",
];

/// Other draws of the network that a confirmed name is tried with.
const DRAWS: u64 = 20;

/// Keeps the hints of failures, and what they were shrunk to.
#[derive(Default)]
struct Kept {
    hints: BTreeMap<(u64, Signature), Option<String>>,
    shrunk: Vec<(u64, Signature, ShrunkFailure)>,
}

impl Observer for Kept {
    fn record(&mut self, record: &Record) -> ControlFlow<()> {
        for finding in &record.findings {
            let key = (record.seed, finding.signature.clone());
            self.hints.insert(key, finding.hint.clone());
        }
        ControlFlow::Continue(())
    }

    fn shrunk(&mut self, line: &ShrunkLine) -> ControlFlow<()> {
        if let Some(shrunk) = &line.shrunk {
            let of = &line.of;
            let kept = (of.run.seed, of.signature.clone(), shrunk.clone());
            self.shrunk.push(kept);
        }
        ControlFlow::Continue(())
    }
}

fn passes(scenario: &Scenario, strategy: &str, seed: u64, catalog: &Catalog) -> bool {
    let run = Simulation::new(scenario, catalog).strategy(strategy);
    let report = run.expect("a strategy").seed(seed).run().expect("it runs");
    report.verdict == Verdict::Pass
}

#[test]
fn what_a_hint_says_is_confirmed_by_its_cure_and_holds_under_other_draws() {
    let catalog = Catalog::default();
    let oracles = OracleSet::Named(LASTING.map(str::to_owned).to_vec());
    let mut kept = Kept::default();
    let count = seeds(200);
    for strategy in catalog.default_names() {
        let campaign = Campaign::new(strategy)
            .seeds(0..count)
            .oracles(oracles.clone())
            .shrink(Shrinking {
                per_signature: 2,
                most: 1_000,
            });
        campaign.run(&mut kept).expect("it runs");
    }
    let (mut hinted, mut confirmed, mut as_named) = (0_u64, 0_u64, 0_u64);
    let mut by_name: BTreeMap<String, [u64; 4]> = BTreeMap::new();
    for (seed, signature, shrunk) in &kept.shrunk {
        let key = (*seed, signature.clone());
        let Some(hint) = kept.hints.get(&key).expect("it has a record") else {
            continue;
        };
        let name = shrunk.fingerprint.anomaly.as_deref();
        let line = by_name.entry(hint.clone()).or_default();
        hinted += 1;
        line[0] += 1;
        if name != Some(hint) {
            println!("{hint} became {name:?}: seed {seed}, {signature}");
            continue;
        }
        confirmed += 1;
        line[1] += 1;
        let text = shrunk.file.as_bytes();
        let scenario = Scenario::read("shrunk.toml", text, &catalog).expect("a scenario");
        let strategy = signature.strategy.as_str();
        let told = &scenario.run.strategies;
        assert_eq!(told, &[strategy.to_owned()]);
        // The cures that pass with the seed of the failure, under other draws.
        let words = shrunk
            .file
            .lines()
            .skip_while(|line| !line.starts_with("# It passes if "));
        let words = words.take_while(|line| !line.starts_with("# Found with"));
        let words: Vec<&str> = words.map(|line| line.trim_start_matches("# ")).collect();
        let words = words.join(" ");
        let said = words
            .trim_start_matches("It passes if ")
            .trim_end_matches('.');
        assert!(
            !said.is_empty(),
            "it says what confirmed it: {}",
            shrunk.file
        );
        let all = candidates(&scenario, strategy, shrunk.seed, signature, &catalog);
        let known = all.iter().flat_map(|one| one.cures.unwrap_or_default());
        let known: Vec<&Cure> = known.collect();
        let cures: Vec<&Cure> = said
            .split(" and ")
            .map(|what| {
                let mut known = known.iter().copied();
                let one = known.find(|cure| cure.what == what);
                one.unwrap_or_else(|| panic!("there is no cure `{what}`"))
            })
            .collect();
        let cure = cured(&scenario, cures).expect("it changes something");
        let draws = (1..=DRAWS).map(|draw| shrunk.seed + 1_000 * draw);
        let held = draws
            .clone()
            .filter(|draw| passes(&cure, strategy, *draw, &catalog));
        let fails = draws.filter(|draw| !passes(&scenario, strategy, *draw, &catalog));
        let (cured, fails) = (held.count() as u64, fails.count() as u64);
        if cured < DRAWS || fails == 0 {
            println!(
                "{hint}: seed {seed}, {signature}: of {DRAWS} draws {fails} fail, {cured} pass if {said}"
            );
        }
        line[2] += fails;
        line[3] += cured;
        as_named += u64::from(cured == DRAWS && fails > 0);
    }
    for (name, [hints, confirmed, fails, cured]) in &by_name {
        println!(
            "{name}: {confirmed} of {hints} hints confirmed; of {} other draws {fails} fail as they are, \
             {cured} pass cured",
            confirmed * DRAWS
        );
    }
    println!("{confirmed} of {hinted} hints confirmed; {as_named} of them under other draws, too");
    assert!(hinted >= 10, "only {hinted} failures last and have a hint");
    assert!(confirmed * 100 >= hinted * 80, "{confirmed} of {hinted}");
    assert!(
        as_named * 100 >= confirmed * 95,
        "{as_named} of {confirmed}"
    );
}

/// Takes every failure for X1, whose cure is of no use, or else for X2, whose cure is to take the crash
/// away.
struct Doubtful;

const DOUBTFUL: &[Anomaly] = &[
    Anomaly {
        id: "X1",
        title: "the wrong one",
        summary: "blames a start",
        shown: Shown::Never("a test's"),
        seen_by: &[],
    },
    Anomaly {
        id: "X2",
        title: "the right one",
        summary: "blames the loss",
        shown: Shown::Never("a test's"),
        seen_by: &[],
    },
];

impl Classify for Doubtful {
    fn anomalies(&self) -> &'static [Anomaly] {
        DOUBTFUL
    }

    fn classify(
        &self,
        _scenario: &Scenario,
        _strategy: &str,
        _violation: &Violation,
        _trace: &[Event],
    ) -> Option<&'static str> {
        Some("X1")
    }

    fn candidates(
        &self,
        scenario: &Scenario,
        _strategy: &str,
        _violation: &Violation,
        _trace: &[Event],
    ) -> Vec<&'static str> {
        // Without a rows step the second one is no candidate.
        let is_row = |action: &Action| matches!(action, Action::Rows { .. });
        let rows = scenario.steps.iter().any(|step| is_row(&step.action));
        if rows { vec!["X1", "X2"] } else { vec!["X1"] }
    }

    fn cures(&self, id: &str, _violation: &Violation) -> Option<&'static [Cure]> {
        Some(match id {
            "X1" => &[SUMMARY],
            _ => &[NO_ROWS],
        })
    }
}

/// Changes nothing that matters.
const SUMMARY: Cure = Cure::new("it has a summary", |scenario| {
    scenario.summary = Some("a summary".to_owned());
});

const NO_ROWS: Cure = Cure::new("no row is written", |scenario| {
    let is_row = |action: &Action| matches!(action, Action::Rows { .. });
    scenario.steps.retain(|step| !is_row(&step.action));
});

fn named(text: &str) -> (Option<&'static str>, Vec<&'static str>) {
    let catalog = Catalog::empty().with_classified::<PubSub>(&Doubtful);
    let scenario = Scenario::read("t.toml", text.as_bytes(), &catalog).expect("a scenario");
    let found = findings(&scenario, "pubsub", 7, &[], &catalog).expect("it runs");
    let target = Target::new(&scenario, "pubsub", 7, &found[0]);
    let shrunk = shrink(&target, &catalog, Budget::default(), &mut ()).expect("it shrinks");
    (shrunk.anomaly.map(|one| one.id), shrunk.cures)
}

#[test]
fn the_name_is_that_of_the_first_whose_cure_passes_or_there_is_none() {
    let rows = r#"
        schema = 1
        [cluster]
        nodes = 3
        [[step]]
        at = "1s"
        start_children = { on = "n1", ids = ["a"] }
        [[step]]
        at = "3s"
        rows = { on = "n1", rows = [{ child = "ghost", nodes = { n3 = "p" } }] }
    "#;
    assert_eq!(named(rows), (Some("X2"), vec!["no row is written"]));
    let lost = r#"
        schema = 1
        [cluster]
        nodes = 3
        [run]
        duration = "20s"
        [strategy.pubsub]
        sync_interval = "100s"
        [[step]]
        at = "5s"
        cut = { from = ["n1"], to = ["n2"] }
        [[step]]
        at = "5s"
        start_children = { on = "n1", ids = ["a"] }
        [[step]]
        at = "6s"
        heal = true
        [[expect]]
        converged = { within = "10s" }
    "#;
    assert_eq!(named(lost), (None, Vec::new()));
}

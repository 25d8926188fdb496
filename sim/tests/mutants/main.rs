//! Whether the oracles notice: each mutant is a strategy or a hub with one thing wrong with it, and
//! is run in generated scenarios, against its base in the same ones.
//!
//! An oracle *reports* a mutant if it is violated by the mutant in a scenario in which it is not
//! violated by the base. Oracles only watch, so that one run with all of them on says what each
//! says alone; for the oracle that a mutant is aimed at, the run is made again with it alone.
//!
//! `HUBLAB_SEEDS` is the number of scenarios per mutant for the matrix.

#[path = "../around/mod.rs"]
mod around;
mod dotted;
mod flaws;
#[path = "../gauge/mod.rs"]
mod gauge;
mod leaky;
#[path = "../seeds/parallel.rs"]
mod parallel;
mod patient;
#[path = "../reference/mod.rs"]
mod reference;
mod rumoured;
mod scuttled;
#[path = "../seeds/mod.rs"]
mod seeds;
mod tracked;
mod twisted;
mod versioned;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Once;
use std::time::Instant;

use hublab_sim::catalog::Catalog;
use hublab_sim::generate::{self, generate};
use hublab_sim::run::Simulation;
use hublab_sim::scenario::Scenario;
use hublab_sim::watch::oracle::{self, Oracle, OracleEntry};

use flaws::LIST;
use patient::{Base, Mutant};
use seeds::seeds;

/// Seeds after which a mutant counts as not found by the oracle it is aimed at.
const SEEDS_MAX: u64 = 2_000;

/// Panics of mutants are verdicts: only those of the tests are told. And the memory of nodes is looked
/// at.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gauge::install();
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some("hublab-run") {
                tell(panic);
            }
        }));
    });
}

/// The oracles that a run violates.
fn violated(
    scenario: &Scenario,
    strategy: &str,
    catalog: &Catalog,
    oracles: Vec<Box<dyn Oracle>>,
) -> BTreeSet<String> {
    prepare();
    let seed = scenario.run.seed;
    let report = Simulation::new(scenario, catalog)
        .strategy(strategy)
        .expect("it runs")
        .seed(seed)
        .oracles(oracles)
        .budget(200_000)
        .run()
        .expect("it runs");
    report
        .violations
        .into_iter()
        .map(|violation| violation.oracle)
        .collect()
}

/// The scenarios in which a mutant may show, by seed.
fn scenarios(mutant: &Mutant, seeds: std::ops::Range<u64>) -> impl Iterator<Item = Scenario> {
    let catalog = Base::catalog();
    seeds.filter_map(move |seed| {
        let entry = catalog
            .get(mutant.base.name())
            .expect("the base is in the catalog");
        let made = generate(seed, entry, &generate::Options::default());
        mutant
            .fits(&made.scenario, &made.families)
            .then_some(made.scenario)
    })
}

/// Which oracles report a mutant in a scenario.
fn reporting(mutant: &Mutant, scenario: &Scenario) -> BTreeSet<String> {
    let name = mutant.base.name();
    let mut reporting = violated(scenario, name, &mutant.catalog(), oracle::all());
    // The reference violates nothing: that is what it is for (`false_alarms`).
    if mutant.base != Base::Reference && !reporting.is_empty() {
        for known in violated(scenario, name, &Base::catalog(), oracle::all()) {
            reporting.remove(&known);
        }
    }
    reporting
}

/// Whether an oracle reports a mutant in a scenario when no other is on.
fn reports_alone(name: &str, mutant: &Mutant, scenario: &Scenario) -> bool {
    let catalog = Base::catalog();
    let alone = catalog.oracle(name).map(OracleEntry::make);
    let alone = alone.into_iter().collect();
    violated(scenario, mutant.base.name(), &mutant.catalog(), alone).contains(name)
}

#[test]
fn every_oracle_has_two_mutants_aimed_at_it() {
    let catalog = Base::catalog();
    for name in catalog.oracle_names() {
        let aimed = LIST.iter().filter(|mutant| mutant.aim == name).count();
        assert!(aimed >= 2, "{name} has {aimed}");
    }
    let aims: BTreeSet<&str> = LIST.iter().map(|mutant| mutant.aim).collect();
    assert!(
        aims.iter().all(|aim| catalog.oracle(aim).is_some()),
        "{aims:?}"
    );
}

/// The oracles that report a mutant, in so many scenarios or until its own one has.
#[expect(clippy::print_stdout, reason = "the matrix is to be printed")]
fn column(mutant: &Mutant, scenarios_each: usize) -> BTreeSet<String> {
    let begun = Instant::now();
    let (mut column, mut taken, mut hit) = (BTreeSet::new(), 0, None);
    for scenario in scenarios(mutant, 0..SEEDS_MAX) {
        let reporting = reporting(mutant, &scenario);
        let is_hit =
            || reporting.contains(mutant.aim) && reports_alone(mutant.aim, mutant, &scenario);
        if hit.is_none() && is_hit() {
            hit = Some(scenario.run.seed);
        }
        column.extend(reporting);
        taken += 1;
        if hit.is_some() && taken >= scenarios_each {
            break;
        }
    }
    let ms = begun.elapsed().as_millis();
    let (aim, name) = (mutant.aim, mutant.name);
    let Some(seed) = hit else {
        panic!("{aim} does not report \"{name}\"");
    };
    println!("{aim:<24} {name:<52} seed {seed:>4}, {taken:>4} scenarios {ms:>6} ms");
    column
}

/// The row of each oracle: the mutants that it reports.
fn matrix(scenarios_each: usize) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let columns = parallel::each(LIST, |mutant| column(mutant, scenarios_each));
    let row = |name: &'static str| {
        let columns = LIST.iter().zip(&columns);
        let hit = columns.filter(|(_, column)| column.contains(name));
        (name, hit.map(|(mutant, _)| mutant.name).collect())
    };
    Base::catalog().oracle_names().map(row).collect()
}

#[test]
fn every_mutant_is_reported_by_the_oracle_it_is_aimed_at_and_no_two_oracles_are_the_same() {
    let rows = matrix(usize::try_from(seeds(3)).unwrap_or(usize::MAX));
    println!("\nmutants, in this order:");
    for (number, mutant) in LIST.iter().enumerate() {
        println!("{number:>4} {}", mutant.name);
    }
    for (name, row) in &rows {
        let marks: String = LIST
            .iter()
            .map(|mutant| if row.contains(mutant.name) { 'x' } else { '.' })
            .collect();
        println!("{name:<24} {marks}");
    }
    let caught: BTreeSet<&str> = rows.values().flatten().copied().collect();
    assert_eq!(caught.len(), LIST.len(), "mutation score 1");
    let distinct: BTreeSet<&BTreeSet<&str>> = rows.values().collect();
    assert_eq!(
        distinct.len(),
        rows.len(),
        "two oracles report the same mutants: {rows:?}"
    );
}

#[test]
fn one_lost_row_in_a_thousand_merges_is_found_within_five_thousand_seeds() {
    let catalog = Base::catalog().with::<leaky::Leaky>();
    let found = (0..seeds(5_000).clamp(1, 5_000)).find(|seed| {
        let entry = catalog.get(leaky::NAME).expect("it is in the catalog");
        let mut scenario = generate(*seed, entry, &generate::Options::default()).scenario;
        let leaky = violated(&scenario, leaky::NAME, &catalog, oracle::all());
        if leaky.is_empty() {
            return false;
        }
        // The base in the same scenario: the parameters go by the strategy's name.
        if let Some(params) = scenario.strategies.remove(leaky::NAME) {
            scenario
                .strategies
                .insert(Base::PubSub.name().to_owned(), params);
        }
        let healthy = violated(&scenario, Base::PubSub.name(), &catalog, oracle::all());
        !leaky.is_subset(&healthy)
    });
    println!("found with seed {found:?}");
    assert!(found.is_some(), "not found");
}

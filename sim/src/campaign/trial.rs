//! One run of a campaign: scenario source, strategy, seed and oracles in; a [`Record`] out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::oracles::OracleSet;
use super::reach::Counter;
use super::record::Record;
use crate::catalog::{Catalog, CatalogEntry};
use crate::claims::claims_met;
use crate::generate::{self, Generated};
use crate::model::Scenario;
use crate::report::Report;
use crate::run::{EVENT_BUDGET, RunError, Simulation};
use crate::scenario::{Problems, resolve};
use crate::watch::judge::Verdict;
use crate::watch::oracle::OracleEntry;

/// [`Record::scenario`] of a generated scenario.
pub const GENERATED: &str = "generated";

/// Where the scenarios of a campaign come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Generated from the seed.
    Generated(generate::Options),
    /// A scenario file.
    File {
        /// Its path, as it was given.
        path: String,
        /// Its text.
        text: String,
        /// Its text.
        scenario: Box<Scenario>,
    },
}

/// One run of a campaign, by what makes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// Its source, by its place in the campaign's list.
    pub source: usize,
    /// The strategy.
    pub strategy: String,
    /// The seed.
    pub seed: u64,
}

/// A scenario ready to run, and the families that the generator had switched on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prepared {
    /// Resolved.
    pub scenario: Scenario,
    /// Empty for files.
    pub families: Vec<String>,
    /// The most events of the run.
    pub budget: u64,
    /// How far a generated one was thinned.
    pub(super) level: u8,
}

impl Source {
    /// The source that a file is; `path` is what records will say.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn file(path: &str, text: String, catalog: &Catalog) -> Result<Self, Problems> {
        let scenario = Scenario::read(path, text.as_bytes(), catalog)?;
        Ok(Self::File {
            path: path.to_owned(),
            text,
            scenario: Box::new(scenario),
        })
    }

    /// [`Record::scenario`].
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Generated(_) => GENERATED,
            Self::File { path, .. } => path,
        }
    }

    /// The resolved scenario of a seed. That of a generated one is found by running it:
    /// [`generate::fitting`].
    ///
    /// # Errors
    /// The catalog has no such strategy.
    pub fn prepare(
        &self,
        strategy: &str,
        seed: u64,
        catalog: &Catalog,
    ) -> Result<Prepared, RunError> {
        Ok(match self {
            Self::Generated(options) => {
                let entry = entry(strategy, catalog)?;
                let generated = generate::fitting(seed, entry, options, catalog);
                Prepared::of_generated(&generated, seed, catalog)
            }
            Self::File { .. } => self.thinned(strategy, seed, 0, catalog)?,
        })
    }

    /// The parameters that a strategy has with a seed, those that differ from its defaults at least.
    ///
    /// # Errors
    /// The catalog has no such strategy.
    pub(super) fn parameters(
        &self,
        strategy: &str,
        seed: u64,
        level: u8,
        catalog: &Catalog,
    ) -> Result<Map<String, Value>, RunError> {
        let entry = entry(strategy, catalog)?;
        let mut strategies = match self {
            Self::Generated(options) => {
                let generated = generate::thinned(seed, entry, options, level);
                generated.scenario.strategies
            }
            Self::File { scenario, .. } => scenario.strategies.clone(),
        };
        Ok(strategies.remove(strategy).unwrap_or_default())
    }

    /// The resolved scenario of a seed, a generated one at a level of [`generate::thinned`].
    fn thinned(
        &self,
        strategy: &str,
        seed: u64,
        level: u8,
        catalog: &Catalog,
    ) -> Result<Prepared, RunError> {
        let entry = entry(strategy, catalog)?;
        Ok(match self {
            Self::Generated(options) => {
                let generated = generate::thinned(seed, entry, options, level);
                Prepared::of_generated(&generated, seed, catalog)
            }
            Self::File { scenario, .. } => Prepared {
                scenario: resolve(scenario, seed, catalog),
                families: Vec::new(),
                budget: EVENT_BUDGET,
                level: 0,
            },
        })
    }
}

fn entry<'c>(strategy: &str, catalog: &'c Catalog) -> Result<&'c dyn CatalogEntry, RunError> {
    let unknown = || RunError::UnknownStrategy(strategy.to_owned());
    catalog.get(strategy).ok_or_else(unknown)
}

impl Prepared {
    fn of_generated(generated: &Generated, seed: u64, catalog: &Catalog) -> Self {
        let families = generated.families.iter();
        Self {
            scenario: resolve(&generated.scenario, seed, catalog),
            families: families.map(|one| one.name().to_owned()).collect(),
            budget: generate::EVENTS_MAX,
            level: generated.level,
        }
    }
}

/// A run that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// How far its scenario was thinned.
    pub(super) level: u8,
    /// The most events that it might have.
    pub(super) budget: u64,
    /// Its line of `results.ndjson`.
    pub(super) record: Record,
    /// All that is known of it.
    pub(super) report: Report,
    /// Its scenario, resolved.
    pub(super) scenario: Scenario,
}

/// Makes one run and says what came of it. A generated one that has too many events is thinned until it
/// has not.
///
/// # Errors
/// The strategy is unknown or refuses its parameters; nothing has run.
pub(super) fn make(
    source: &Source,
    strategy: &str,
    seed: u64,
    oracles: &OracleSet,
    catalog: &Catalog,
) -> Result<Made, RunError> {
    let mut level = 0;
    loop {
        let prepared = source.thinned(strategy, seed, level, catalog)?;
        let made = run(source, prepared, strategy, seed, oracles, catalog)?;
        let may_thin = matches!(source, Source::Generated(_)) && level < generate::THINNEST;
        if !(may_thin && generate::outgrows(&made.report)) {
            return Ok(made);
        }
        level += 1;
    }
}

/// Makes one run and says what came of it.
///
/// # Errors
/// The strategy is unknown or refuses its parameters; nothing has run.
///
/// # Panics
/// Only for a bug of the simulator itself, or where a strategy panics outside of a run. A panic in
/// a run is a finding.
pub fn trial(
    source: &Source,
    strategy: &str,
    seed: u64,
    oracles: &OracleSet,
    catalog: &Catalog,
) -> Result<(Record, Report), RunError> {
    let made = make(source, strategy, seed, oracles, catalog)?;
    Ok((made.record, made.report))
}

fn run(
    source: &Source,
    prepared: Prepared,
    strategy: &str,
    seed: u64,
    oracles: &OracleSet,
    catalog: &Catalog,
) -> Result<Made, RunError> {
    let Prepared {
        scenario: resolved,
        families,
        budget,
        level,
    } = prepared;
    let scenario = &resolved;
    let claimed = claimed(scenario, strategy, catalog);
    let names = oracles.names(&claimed, catalog);
    let counter = Counter::default();
    let report = Simulation::new(scenario, catalog)
        .strategy(strategy)?
        .seed(seed)
        .budget(budget)
        .sinks([counter.sink(scenario)])
        .oracles(
            names
                .iter()
                .filter_map(|name| catalog.oracle(name))
                .map(OracleEntry::make),
        )
        .unmeasured()
        .run()?;
    let mut record = Record::of_run(source.name(), scenario, &report);
    if matches!(source, Source::Generated(_)) {
        // The default expectations of a generated scenario are not those that the campaign is about.
        record
            .findings
            .retain(|finding| !finding.signature.is_of_claim());
        record.verdict = match (record.findings.is_empty(), &report.reason) {
            (false, _) => Verdict::Fail,
            (true, Some(_)) => Verdict::Inconclusive,
            (true, None) => Verdict::Pass,
        };
        record.note = report
            .reason
            .as_ref()
            .filter(|_| record.verdict == Verdict::Inconclusive)
            .map(|reason| format!("{reason}, after {} events", report.events));
    }
    record.reach = counter.take();
    record.families = families;
    record.claimed = claimed;
    Ok(Made {
        level,
        budget,
        record,
        report,
        scenario: resolved,
    })
}

/// Oracles that the strategy claims and whose condition the scenario meets, in order.
#[must_use]
pub fn claimed(scenario: &Scenario, strategy: &str, catalog: &Catalog) -> Vec<String> {
    let met = catalog
        .get(strategy)
        .map(|entry| claims_met(entry, scenario))
        .unwrap_or_default();
    let names: BTreeSet<String> = met.iter().map(|claim| claim.oracle.to_owned()).collect();
    names.into_iter().collect()
}

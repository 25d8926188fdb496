//! Shrinking: from a scenario that fails to the smallest one found that fails the same way.
//!
//! It works on the resolved scenario. Each pass proposes changes that make it simpler; a change is
//! kept if the run still fails with the same [`Signature`]: the same claim or oracle, the same kind of
//! defect, the same kind of cause. Faults get weaker, never stronger: no message is more likely to be
//! lost, late or doubled than before. Passes are repeated until none of them helps. *Simpler* is an order: fewer steps, then fewer nodes, then less left to chance, then a
//! shorter file, then shorter times. Every candidate is written as a file and read back before it
//! runs, so what comes out is a file that passes the checks and fails alone.
//!
//! | module | what it takes away |
//! | --- | --- |
//! | `passes::end` | what comes after the failure |
//! | `passes::steps` | steps, nodes, children; two steps that one can say |
//! | `passes::details` | parts of steps, options, raw requests |
//! | `passes::network` | loss, laws, links, delays |
//! | `passes::settings` | parameters that need not differ from their defaults |
//! | `passes::times` | waiting, and digits |
//! | `passes::names` | gaps in the numbering of nodes, long names of children, the seed |
//!
//! Streams of chance are keyed by purpose, so to take a step away leaves the draws of the rest as
//! they were: most steps can go one by one.
//!
//! The result is a function of scenario, strategy, seed, signature and [`Budget`], which counts
//! runs and events: the same capsule shrinks to the same file. Only a [`Watcher`] that says stop
//! makes an exception, and [`Shrunk::ended`] tells of it.

mod cost;
pub mod cured;
mod file;
mod mend;
mod parts;
mod passes;
mod search;

use serde::{Deserialize, Serialize};

use crate::anomaly::Anomaly;
use crate::catalog::Catalog;
use crate::model::Scenario;
use crate::report::Report;
use crate::run::failure::{Failure, Signature, always, claim_of, failures};
use crate::run::{RunError, Simulation};
use crate::scenario::resolve::resolve;
use crate::watch::judge::applying;
use search::{Search, failure_like, forget_defaults};

/// A failure to be shrunk.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The scenario that fails, resolved or not.
    pub scenario: &'a Scenario,
    /// The strategy under which it fails.
    pub strategy: &'a str,
    /// The seed.
    pub seed: u64,
    /// How it fails. An oracle is the only one that watches while shrinking; of expectations, the one
    /// of this claim is kept as it stands.
    pub signature: &'a Signature,
    /// The anomaly that the failure is, as `A5`, if it has a name that is to be kept: one signature
    /// can have several causes, and the simplest of them would take the place of all others.
    pub anomaly: Option<&'a str>,
    /// True if faults may also become stronger, where that makes the scenario simpler; default: no.
    pub stronger: bool,
}

impl<'a> Target<'a> {
    /// A failure without a name, whose faults may only get weaker.
    #[must_use]
    pub fn new(
        scenario: &'a Scenario,
        strategy: &'a str,
        seed: u64,
        signature: &'a Signature,
    ) -> Self {
        Self {
            scenario,
            strategy,
            seed,
            signature,
            anomaly: None,
            stronger: false,
        }
    }

    /// The same failure, which is known to be that anomaly.
    #[must_use]
    pub fn named(self, anomaly: Option<&'a str>) -> Self {
        Self { anomaly, ..self }
    }
}

/// How much may be spent on one failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most runs; default 3,000.
    pub runs: u64,
    /// The most events of all runs together; default 20,000,000, which take less than a minute.
    pub events: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            runs: 3_000,
            events: 20_000_000,
        }
    }
}

/// Decides on candidates while a failure shrinks. `()` accepts all.
pub trait Watcher {
    /// True if a candidate that fails with the signature counts. A campaign checks here that the
    /// condition of a violated claim is still met.
    fn accepts(&mut self, _scenario: &Scenario, _report: &Report) -> bool {
        true
    }

    /// Called after each run; `false` ends the search with what was found.
    fn go_on(&mut self, _progress: &Progress) -> bool {
        true
    }
}

impl Watcher for () {}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Runs so far.
    pub runs: u64,
    /// The best scenario so far.
    pub size: Size,
}

/// How large a scenario is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Size {
    /// Its steps.
    pub steps: usize,
    /// Its nodes.
    pub nodes: usize,
}

impl Size {
    /// That of a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            steps: scenario.steps.len(),
            nodes: scenario.cluster.nodes.len(),
        }
    }
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// No pass makes it any simpler.
    Smallest,
    /// The budget is spent.
    OutOfBudget,
    /// The watcher said stop: another search of the same failure may come to another end.
    Stopped,
}

/// A shrunk failure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Shrunk {
    /// The scenario. It holds its seed, its one strategy, and the one expectation that fails.
    pub scenario: Scenario,
    /// The seed that it fails with: the scenario's own. Another than the failure's if that made the
    /// scenario simpler.
    pub seed: u64,
    /// The seed that the failure was found with.
    pub found_with: u64,
    /// The failure in it, and the anomaly that it is, if it has a name.
    pub finding: Failure,
    /// The anomaly that it is, if it has a name.
    pub anomaly: Option<&'static Anomaly>,
    /// What must hold for it to pass, and confirms the name: one thing that the anomaly needs, or one of
    /// each of two anomalies at once. Empty if it has no name, or one that needs no cure.
    pub cures: Vec<&'static str>,
    /// How large the scenario was.
    pub before: Size,
    /// How large it is.
    pub after: Size,
    /// How many runs it took.
    pub runs: u64,
    /// Why the search ended.
    pub ended: Ended,
}

/// Why nothing could be shrunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShrinkError {
    /// The run could not begin.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The failure is not there when the scenario is run with this program.
    #[error("the run does not fail with: {wanted}")]
    NotThere {
        /// The failure that was to be shrunk.
        wanted: Box<Signature>,
        /// The failure found instead.
        found: Vec<Signature>,
    },
}

/// Shrinks a failure.
///
/// ```
/// use hublab_sim::catalog::Catalog;
/// use hublab_sim::scenario::Scenario;
/// use hublab_sim::shrink::{Budget, Target, findings, shrink};
///
/// let text = r#"
/// schema = 1
/// [cluster]
/// nodes = 4
/// [[step]]
/// at = "1s"
/// start_children = { on = "n1", ids = ["a", "b"] }
/// [[step]]
/// at = "2s"
/// restart_child = { on = "n1", id = "b" }
/// [[step]]
/// at = "3s"
/// rows = { on = "n1", rows = [{ child = "a", nodes = { n3 = "p" } }] }
/// "#;
/// let catalog = Catalog::default();
/// let scenario = Scenario::read("rows.toml", text.as_bytes(), &catalog).expect("a good file");
/// // The file expects nothing, so by default its views must converge; a wrong row keeps them from it.
/// let found = findings(&scenario, "pubsub", 7, &[], &catalog)?;
/// let target = Target::new(&scenario, "pubsub", 7, &found[0]);
/// let shrunk = shrink(&target, &catalog, Budget::default(), &mut ())?;
/// assert_eq!((shrunk.after.steps, shrunk.after.nodes), (2, 1));
/// # Ok::<(), hublab_sim::shrink::ShrinkError>(())
/// ```
///
/// # Errors
/// The strategy is unknown or refuses its parameters, or the run does not fail this way.
pub fn shrink(
    target: &Target<'_>,
    catalog: &Catalog,
    budget: Budget,
    watcher: &mut dyn Watcher,
) -> Result<Shrunk, ShrinkError> {
    let (scenario, report) = prepare(target, catalog)?;
    let before = Size::of(&scenario);
    let mut search = Search::new(target, catalog, budget, watcher, (scenario, report));
    while passes::all(&mut search) {}
    let (runs, ended) = (search.runs, search.ended.unwrap_or(Ended::Smallest));
    let best = search.best;
    let named = cured::name(&best.scenario, target.strategy, target.signature, catalog);
    let found = failure_like(&best.scenario, &best.report, target.signature);
    Ok(Shrunk {
        seed: best.scenario.run.seed,
        found_with: target.seed,
        anomaly: named
            .as_ref()
            .and_then(|named| catalog.anomaly(target.strategy, named.id)),
        finding: Failure {
            // The claim is the one that was to be shrunk, whatever its text has become.
            signature: target.signature.clone(),
            anomaly: named.as_ref().map(|named| named.id.to_owned()),
            line: 0,
            ..found.ok_or_else(|| not_there(target.signature, &best.scenario, &best.report))?
        },
        before,
        after: Size::of(&best.scenario),
        scenario: best.scenario,
        runs,
        ended,
        cures: named.map(|named| named.cures).unwrap_or_default(),
    })
}

/// Everything that fails when a scenario is run with its own expectations and, beside them, the
/// named oracles; names that no oracle has are left out. The first to fail is the first. What the
/// scenario says is violated, and is, is no failure, unless it is named.
///
/// # Errors
/// The strategy is unknown or refuses its parameters.
pub fn findings(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    oracles: &[&str],
    catalog: &Catalog,
) -> Result<Vec<Signature>, ShrinkError> {
    let mut watched = resolve(scenario, seed, catalog);
    let known = oracles.iter().filter(|name| catalog.oracle(name).is_some());
    watched.expectations.extend(known.map(|name| always(name)));
    let report = Simulation::new(&watched, catalog)
        .strategy(strategy)?
        .seed(seed)
        .run()?;
    let found = failures(&watched, &report);
    Ok(found.into_iter().map(|failure| failure.signature).collect())
}

/// The kinds of a scenario's steps, each once, in alphabetical order.
#[must_use]
pub(crate) fn step_kinds(scenario: &Scenario) -> Vec<&'static str> {
    let mut kinds: Vec<&str> = scenario
        .steps
        .iter()
        .map(|step| step.action.name())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The resolved scenario with nothing but what fails, and its run.
fn prepare(target: &Target<'_>, catalog: &Catalog) -> Result<(Scenario, Report), ShrinkError> {
    let Target {
        strategy,
        seed,
        signature,
        ..
    } = *target;
    let mut scenario = resolve(target.scenario, seed, catalog);
    scenario.run.strategies = vec![strategy.to_owned()];
    scenario.run.seeds = 0..200;
    scenario.summary = None;
    if signature.is_of_claim() {
        keep_failing_claim(&mut scenario, target, catalog)?;
    } else {
        scenario.expectations = vec![always(&signature.oracle)];
    }
    mend::mend(&mut scenario);
    forget_defaults(&mut scenario, catalog);
    let report = Simulation::new(&scenario, catalog)
        .strategy(strategy)?
        .seed(seed)
        .run()?;
    if failure_like(&scenario, &report, signature).is_some() {
        Ok((scenario, report))
    } else {
        Err(not_there(signature, &scenario, &report))
    }
}

fn not_there(signature: &Signature, scenario: &Scenario, report: &Report) -> ShrinkError {
    ShrinkError::NotThere {
        wanted: Box::new(signature.clone()),
        found: Signature::all(scenario, report),
    }
}

/// Leaves only the expectation that the signature is of.
fn keep_failing_claim(
    scenario: &mut Scenario,
    target: &Target<'_>,
    catalog: &Catalog,
) -> Result<(), ShrinkError> {
    let Target {
        strategy,
        seed,
        signature,
        ..
    } = *target;
    let kept = applying(scenario, strategy)
        .find(|expectation| claim_of(expectation, scenario) == signature.claim)
        .cloned();
    let Some(mut kept) = kept else {
        let report = Simulation::new(scenario, catalog)
            .strategy(strategy)?
            .seed(seed)
            .run()?;
        return Err(not_there(signature, scenario, &report));
    };
    kept.strategy = None;
    scenario.expectations = vec![kept];
    Ok(())
}

//! The run and the failure that are asked about.

use std::collections::BTreeSet;
use std::time::Duration;

use hublab_strategies::Time;

use super::{Job, Outcome};
use crate::capsule::replay::ReplayError;
use crate::capsule::twice::record;
use crate::capsule::why::{WhyError, why};
use crate::capsule::{Build, CapsuleError, MemoryCapsule};
use crate::catalog::Catalog;
use crate::classify::EVENTS_MAX;
use crate::model::{Claim, Scenario};
use crate::report::Report;
use crate::run::Simulation;
use crate::run::failure::{Failure, Signature, always, failures};
use crate::scenario::render::{Style, render};
use crate::scenario::resolve::resolve;
use crate::trace::event::{Event, EventId, Payload};
use crate::trace::text::Names;

/// Why a question cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlameError {
    /// The scenario cannot be run, or its run not recorded.
    #[error(transparent)]
    Run(#[from] ReplayError),
    /// The recorded run cannot be read.
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    /// The run has too many events to be made thousands of times.
    #[error(
        "the run has more than {EVENTS_MAX} events; `hublab shrink` makes a smaller one that fails the same way"
    )]
    TooLong,
    /// Nothing fails in the run.
    #[error("nothing fails in this run{0}")]
    NothingFails(String),
    /// The run does not fail that way.
    #[error("the run does not fail with {0}; {1}")]
    NoSuchFailure(String, String),
}

/// How many events a chain may have.
const CHAIN_MAX: usize = 10_000;

/// A failure of a run.
#[derive(Debug, Clone)]
pub struct Question {
    scenario: Scenario,
    strategy: String,
    seed: u64,
    failure: Failure,
    trace: Vec<Event>,
    names: Names,
    digest: Option<String>,
    /// What led to the event that broke it; or what `why` tells of the row.
    chain: Vec<EventId>,
    /// Everything that `why` tells of the row, with its causes, and the chain.
    causes: BTreeSet<EventId>,
}

impl Question {
    /// Asks about a failure of a run: the one with that number, from 1, as `run` tells them; the first of
    /// an oracle, documented or not, or of that kind of expectation; or the first. In a run without one,
    /// the first violation that its scenario documents.
    ///
    /// # Errors
    /// There is no such failure, the run has more than 200,000 events, or it cannot be made.
    pub fn new(
        scenario: &Scenario,
        (strategy, seed): (&str, u64),
        number: Option<usize>,
        oracle: Option<&str>,
        catalog: &Catalog,
    ) -> Result<Self, BlameError> {
        let mut asked = resolve(scenario, seed, catalog);
        asked.run.strategies = vec![strategy.to_owned()];
        let mut watched = asked.clone();
        let named = oracle.filter(|name| catalog.oracle(name).is_some());
        watched.expectations.extend(named.map(always));
        let documented: Vec<String> = asked.expectations.iter().filter_map(violated).collect();
        let run = |scenario: &Scenario| {
            let (report, capsule) = record(scenario, strategy, seed, catalog)?;
            if report.events > EVENTS_MAX as u64 {
                return Err(BlameError::TooLong);
            }
            let found = failures(scenario, &report);
            Ok((report, capsule, found))
        };
        let (mut report, mut capsule, mut found) = run(&watched)?;
        if found.is_empty() && oracle.is_none() && !documented.is_empty() {
            let forbidden = documented.iter().map(|name| always(name));
            watched.expectations.extend(forbidden);
            (report, capsule, found) = run(&watched)?;
        }
        if found.is_empty() && oracle.is_none() {
            return Err(BlameError::NothingFails(broken(&asked, run, catalog)?));
        }
        let failure = choose(found, number, oracle)?;
        if !failure.signature.is_of_claim() {
            asked.expectations = vec![always(&failure.signature.oracle)];
        }
        let trace: Vec<Event> = capsule.events().collect::<Result<_, _>>()?;
        let told = told(&mut capsule, &report, &failure)?;
        let mut names = Names::of_nodes(&asked.cluster.nodes);
        trace.iter().for_each(|event| names.learn(event));
        let mut question = Self {
            scenario: asked,
            strategy: strategy.to_owned(),
            seed,
            failure,
            trace,
            names,
            digest: report.digest,
            chain: Vec::new(),
            causes: BTreeSet::new(),
        };
        question.chain = match question.failure.event {
            Some(event) => question.causes_of(event),
            None => told.iter().copied().collect(),
        };
        let all = told.iter().flat_map(|event| question.causes_of(*event));
        question.causes = all.chain(question.chain.iter().copied()).collect();
        Ok(question)
    }

    /// The failure.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        &self.failure
    }

    /// The name of its scenario.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.scenario.name
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The identity of the question: a hash of the scenario, the failure, the run and the build. Another build
    /// may make other runs of the same branches.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let parts = [
            render(&self.scenario, Style::Full),
            self.strategy.clone(),
            self.seed.to_string(),
            self.failure.signature.to_string(),
            self.digest.clone().unwrap_or_default(),
            Build::current().to_string(),
        ];
        for part in &parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The events that led to the one that broke it, the first cause first; if no event did, those by
    /// which [`why`] explains the row that is wrong. Empty if the failure is of no row and no event.
    #[must_use]
    pub fn chain(&self) -> Vec<&Event> {
        let chain = self.chain.iter();
        chain.filter_map(|event| self.event(*event)).collect()
    }

    /// True if an event is told by [`why`] of the row that is wrong, or led to one that is.
    pub(super) fn is_cause(&self, event: EventId) -> bool {
        self.causes.contains(&event)
    }

    /// An event and what led to it, the first cause first.
    fn causes_of(&self, event: EventId) -> Vec<EventId> {
        let next = |event: &&Event| self.event(event.cause);
        let chain = std::iter::successors(self.event(event), next).take(CHAIN_MAX);
        let mut chain: Vec<EventId> = chain.map(|event| event.id).collect();
        chain.reverse();
        chain
    }

    /// An event of the run.
    pub(super) fn event(&self, id: EventId) -> Option<&Event> {
        let at = self
            .trace
            .binary_search_by_key(&id, |event| event.id)
            .ok()?;
        self.trace.get(at)
    }

    /// The names in the events.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The scenario of a branch or a change, resolved: it can be rendered, run and recorded as any other.
    #[must_use]
    pub fn scenario(&self, job: &Job) -> Scenario {
        let mut scenario = self.scenario.clone();
        scenario.run.branch = job.branch.or(scenario.run.branch);
        scenario.run.changes.extend(job.changes.iter().copied());
        scenario
    }

    /// Makes a run. One that has four times as many events as the run that is asked about, or that
    /// cannot be made, counts as one without the failure.
    #[must_use]
    pub fn run(&self, job: &Job, catalog: &Catalog) -> Outcome {
        let scenario = self.scenario(job);
        let budget = (self.trace.len() as u64)
            .saturating_mul(4)
            .saturating_add(10_000);
        let report = Simulation::new(&scenario, catalog)
            .strategy(&self.strategy)
            .and_then(|run| run.seed(self.seed).budget(budget).unmeasured().run());
        let Ok(report) = report else {
            return Outcome {
                fails: false,
                same: false,
            };
        };
        let found = failures(&scenario, &report);
        Outcome {
            fails: found.iter().any(|one| self.is_it(&one.signature)),
            same: report.digest == self.digest,
        }
    }

    pub(super) fn trace(&self) -> &[Event] {
        &self.trace
    }

    /// The instants of the run in which something happened, ascending, in microseconds.
    pub(super) fn instants(&self) -> Vec<u64> {
        // Sizes are looked at, and kinds numbered: nothing happens by that.
        let happened =
            |event: &&Event| !matches!(event.payload, Payload::Sizes(_) | Payload::Kind { .. });
        let mut instants: Vec<u64> = self
            .trace
            .iter()
            .filter(happened)
            .map(|event| event.at.0)
            .collect();
        instants.dedup();
        instants
    }

    /// True if a failure is the one that is asked about. An expectation may fail in several ways, worse ones
    /// among them; of an oracle, another way is another failure.
    fn is_it(&self, other: &Signature) -> bool {
        let own = &self.failure.signature;
        *other == *own
            || own.is_of_claim() && (&other.oracle, &other.claim) == (&own.oracle, &own.claim)
    }

    /// When it has failed: nothing later can have decided it.
    pub(super) fn failed_at(&self) -> Time {
        Time(self.failure.at_us)
    }

    /// The duration of an instant.
    pub(super) fn since_start(at: Time) -> Duration {
        Duration::from_micros(at.0)
    }
}

/// What can be asked about in a run without a failure: the oracles that it breaks.
fn broken<T>(
    asked: &Scenario,
    run: impl Fn(&Scenario) -> Result<(Report, T, Vec<Failure>), BlameError>,
    catalog: &Catalog,
) -> Result<String, BlameError> {
    let mut watched = asked.clone();
    watched
        .expectations
        .extend(catalog.oracle_names().map(always));
    let (_, _, found) = run(&watched)?;
    let broken: BTreeSet<&str> = found
        .iter()
        .map(|one| one.signature.oracle.as_str())
        .collect();
    Ok(if broken.is_empty() {
        ", and it breaks no oracle".to_owned()
    } else {
        let list: Vec<&str> = broken.into_iter().collect();
        format!(
            "; it breaks oracles that it does not forbid: --oracle {}",
            list.join(", --oracle ")
        )
    })
}

/// The oracle that an expectation says is violated.
fn violated(expectation: &crate::model::Expectation) -> Option<String> {
    if let Claim::Violates(oracle) = &expectation.claim {
        Some(oracle.clone())
    } else {
        None
    }
}

fn choose(
    found: Vec<Failure>,
    number: Option<usize>,
    oracle: Option<&str>,
) -> Result<Failure, BlameError> {
    let told = match &found[..] {
        [] => "nothing fails in it".to_owned(),
        some => {
            let all: Vec<String> = (1..)
                .zip(some)
                .map(|(number, one)| format!("{number}: {}", one.signature))
                .collect();
            format!("it fails with {}", all.join("; "))
        }
    };
    let mut of_oracle = found
        .into_iter()
        .filter(|one| oracle.is_none_or(|name| one.signature.oracle == name));
    let chosen = of_oracle.nth(number.unwrap_or(1).saturating_sub(1));
    chosen.ok_or_else(|| {
        let asked = match (number, oracle) {
            (Some(number), Some(oracle)) => format!("{oracle} {number} times"),
            (Some(number), None) => format!("{number} failures"),
            (None, oracle) => oracle.unwrap_or_default().to_owned(),
        };
        BlameError::NoSuchFailure(asked, told)
    })
}

/// The events by which `why` explains the row that a failure is about: those of its last change, and
/// those that show why it is wrong.
fn told(
    capsule: &mut MemoryCapsule,
    report: &Report,
    failure: &Failure,
) -> Result<BTreeSet<EventId>, CapsuleError> {
    let mut told = BTreeSet::new();
    let is_of_failure =
        |at: Option<u64>, node: &str| at == Some(failure.at_us) && node == failure.node;
    let mut judged = report.expectations.iter();
    let Some(judgement) =
        judged.find(|it| is_of_failure(it.at_us, &it.node) && !it.child.is_empty())
    else {
        return Ok(told);
    };
    let at = Some(Time(failure.at_us));
    match why(capsule, &judgement.node, &judgement.child, at) {
        Ok(why) => {
            let last = why.changes.last().into_iter();
            told.extend(last.flat_map(|change| &change.chain).map(|event| event.id));
            let shown = why.mismatches.iter().flat_map(|mismatch| &mismatch.events);
            told.extend(shown.map(|event| event.id));
            Ok(told)
        }
        Err(WhyError::Capsule(error)) => Err(error),
        Err(WhyError::UnknownNode(..) | WhyError::UnknownChild(..)) => Ok(told),
    }
}

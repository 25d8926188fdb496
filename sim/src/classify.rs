//! Failures by name: runs a scenario again, with its trace, and asks the [`Classify`] that the
//! strategy's catalog entry names.
//!
//! [`Classify`]: crate::anomaly::Classify

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hublab_strategies::Time;

use crate::anomaly::{Classify, Cure};
use crate::catalog::{Catalog, CatalogEntry};
use crate::model::Scenario;
use crate::report::Report;
use crate::run::Simulation;
use crate::run::failure::{Signature, always, failures};
use crate::scenario::resolve::resolve;
use crate::trace::event::Event;
use crate::trace::recorder::Sink;
use crate::watch::judge::LATE;
use crate::watch::oracle::Violation;

/// The most events of a run that is looked at; a longer one gets no name. Looking takes longer than
/// the run: at this size a second or two, well within the wall-clock limit of a campaign's run.
pub const EVENTS_MAX: usize = 200_000;

/// Runs a scenario again and classifies its first failure of that signature; `None` as well if
/// there is none, if the strategy has no known anomalies, or if the run has more than [`EVENTS_MAX`]
/// events.
///
/// It costs one run with a trace in memory, and about as much again to read it.
#[must_use]
pub fn of_run(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    signature: &Signature,
    catalog: &Catalog,
) -> Option<&'static str> {
    let names = of_failures(scenario, strategy, seed, &[signature], catalog);
    names.into_iter().next().flatten()
}

/// Runs a scenario again and classifies its first failure of each signature, as [`of_run`] does: one run
/// for all.
#[must_use]
pub(crate) fn of_failures(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    signatures: &[&Signature],
    catalog: &Catalog,
) -> Vec<Option<&'static str>> {
    let ask: Ask<'_, _> = &|anomalies, scenario, violation, trace| {
        anomalies.classify(scenario, strategy, violation, trace)
    };
    let looked = look(scenario, strategy, seed, signatures, catalog, ask);
    looked.into_iter().map(Option::flatten).collect()
}

/// An anomaly that may be behind a failure.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Candidate {
    /// Its id.
    pub id: &'static str,
    /// The changes of the scenario that prevent it; `None` if its predicate is enough.
    pub cures: Option<&'static [Cure]>,
}

/// The anomalies that may be behind the first failure of that signature, the likeliest first. Otherwise
/// as [`of_run`].
#[must_use]
pub fn candidates(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    signature: &Signature,
    catalog: &Catalog,
) -> Vec<Candidate> {
    let ask: Ask<'_, _> = &|anomalies, scenario, violation, trace| {
        let ids = anomalies.candidates(scenario, strategy, violation, trace);
        let candidate = |id| Candidate {
            id,
            cures: anomalies.cures(id, violation),
        };
        ids.into_iter().map(candidate).collect::<Vec<_>>()
    };
    let looked = look(scenario, strategy, seed, &[signature], catalog, ask);
    looked.into_iter().flatten().flatten().collect()
}

/// A question about one failure of a run: resolved scenario, violation, whole trace.
type Ask<'a, T> = &'a dyn Fn(&dyn Classify, &Scenario, &Violation, &[Event]) -> T;

/// Runs a scenario again, and asks something of its first failure of each signature. `None` for those
/// that it does not have.
fn look<T>(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    signatures: &[&Signature],
    catalog: &Catalog,
    ask: Ask<'_, T>,
) -> Vec<Option<T>> {
    let none = || signatures.iter().map(|_| None).collect();
    let Some(anomalies) = catalog.get(strategy).and_then(CatalogEntry::anomalies) else {
        return none();
    };
    let mut scenario = resolve(scenario, seed, catalog);
    let oracles: BTreeSet<&str> = signatures
        .iter()
        .filter(|signature| !signature.is_of_claim())
        .map(|signature| signature.oracle.as_str())
        .collect();
    scenario
        .expectations
        .extend(oracles.into_iter().map(always));
    let Some((report, trace)) = trace_of(&scenario, strategy, seed, catalog) else {
        return none();
    };
    let asked = signatures.iter().map(|signature| {
        let violation = violation(&scenario, &report, signature)?;
        Some(ask(anomalies, &scenario, &violation, &trace))
    });
    asked.collect()
}

/// The subject of a signature's failure. That of an expectation about views stands for what is
/// wrong at its node at the instant when it was broken; that of another one for nothing.
fn violation(scenario: &Scenario, report: &Report, signature: &Signature) -> Option<Violation> {
    let all = failures(scenario, report);
    let same = all.iter().find(|one| one.signature == *signature);
    // A shrunk scenario has one expectation, whose text may have changed.
    let like = || all.iter().find(|one| one.signature.is_like(signature));
    let failure = same.or_else(like)?;
    if signature.is_of_claim() && !signature.is_of_view() {
        return None;
    }
    let Signature {
        oracle,
        defect,
        cause,
        ..
    } = &failure.signature;
    let at = Time(failure.at_us);
    let violation = Violation::new(oracle, at, &failure.node, failure.detail.clone());
    let kind = defect.strip_prefix(LATE).unwrap_or(defect);
    Some(violation.with_defect(kind).with_cause(cause.clone()))
}

/// One run with its trace; `None` if it cannot be run, or has more than [`EVENTS_MAX`] events.
fn trace_of(
    scenario: &Scenario,
    strategy: &str,
    seed: u64,
    catalog: &Catalog,
) -> Option<(Report, Vec<Event>)> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let report = Simulation::new(scenario, catalog)
        .strategy(strategy)
        .and_then(|run| {
            let sink = Collector(Arc::clone(&events));
            run.seed(seed).sink(sink).unmeasured().run()
        })
        .ok()?;
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    (events.len() <= EVENTS_MAX).then_some((report, events))
}

/// Keeps the trace, up to one event more than are looked at.
struct Collector(Arc<Mutex<Vec<Event>>>);

impl Sink for Collector {
    fn reads_contents(&self) -> bool {
        false
    }

    fn event(&mut self, event: &Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() <= EVENTS_MAX {
            events.push(event.clone());
        }
    }
}

//! Judging a recorded trace again: the observers of a run, fed from a capsule.
//!
//! Nothing is run. The verdicts are those of the recorded run, for the same observers see the same
//! events; other oracles can be asked as well. What the run without clock steps said is taken from
//! the capsule: if that was not asked then, `clock_independence` cannot be judged.

use std::io::{Read, Seek};
use std::time::Instant;

use hublab_strategies::Time;

use super::{Capsule, CapsuleError};
use crate::catalog::Catalog;
use crate::engine::Finished;
use crate::metric::Measures;
use crate::model::{Claim, Expectation, NodeIx};
use crate::report::Report;
use crate::run::{RunError, judge_clock_independence, report_of};
use crate::scenario::{Problems, Scenario};
use crate::trace::event::{Event, Payload, WORLD};
use crate::watch::Observers;
use crate::watch::findings::ClockTwin;

/// Result of judging a capsule again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rejudged {
    /// The report, with the verdicts of now.
    pub report: Report,
    /// The scenario in the capsule, with a claim for each oracle that was asked for.
    pub scenario: Scenario,
}

/// Why a capsule was not judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The capsule cannot be read.
    #[error(transparent)]
    Capsule(#[from] CapsuleError),
    /// The capsule's scenario is not accepted: another program wrote it.
    #[error("the scenario in the capsule is not accepted")]
    Scenario(#[source] Box<Problems>),
    /// The catalog lacks the capsule's strategy.
    #[error(transparent)]
    Strategy(#[from] RunError),
    /// An event is about a node that the scenario does not have.
    #[error("event {0} does not fit the scenario in the capsule")]
    Event(u64),
}

/// Judges the trace of a capsule by its scenario's expectations, and by `always` of each of these
/// oracles that no expectation names.
///
/// # Errors
/// The capsule cannot be read, or its scenario is not accepted with this catalog.
pub fn judge<R: Read + Seek>(
    capsule: &mut Capsule<R>,
    catalog: &Catalog,
    oracles: &[String],
) -> Result<Rejudged, JudgeError> {
    let begun = Instant::now();
    let header = capsule.header().clone();
    let recorded = capsule.footer().report.clone();
    let text = header.scenario.as_bytes();
    let mut scenario = Scenario::read("the scenario in the capsule", text, catalog)
        .map_err(|problems| JudgeError::Scenario(Box::new(problems)))?;
    scenario.name.clone_from(&header.name);
    claim(&mut scenario, &header.strategy, oracles);
    let entry = catalog
        .get(&header.strategy)
        .ok_or_else(|| RunError::UnknownStrategy(header.strategy.clone()))?;
    let watching = catalog.watching(&scenario, &header.strategy, Vec::new());
    let facts = entry.facts(&scenario);
    let mut observers = Observers::new(&scenario, &facts, watching).measuring(&facts);
    let measures = Measures::new(catalog.metrics());
    let mut sink = measures.sink();
    let nodes = NodeIx::try_from(scenario.cluster.nodes.len()).unwrap_or(NodeIx::MAX);
    for event in capsule.events() {
        let event = event?;
        if !fits(&event, nodes) {
            return Err(JudgeError::Event(event.id));
        }
        observers.event(&event);
        if let Some(sink) = &mut sink {
            sink.event(&event);
        }
    }
    if let Some(sink) = &mut sink {
        sink.finish();
    }
    let (now, stopped_early) = (Time(recorded.virtual_us), recorded.ended_early);
    let mut outcome = observers.finish(now, stopped_early);
    if outcome.findings.clocks_are_suspect() {
        let unasked = || {
            ClockTwin::Open(
                "the capsule does not tell what the run without clock steps came to".to_owned(),
            )
        };
        let twin = recorded.clock_twin.clone().unwrap_or_else(unasked);
        judge_clock_independence(&mut outcome, twin, &scenario, &header.strategy);
    }
    let finished = Finished {
        now,
        stopped_early,
        is_told_to_stop: false,
        unmet: Vec::new(),
        outcome,
        digest: capsule.footer().digest.clone(),
    };
    let wall_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    let strategy = &header.strategy;
    let mut report = report_of(
        (&scenario, strategy, header.seed),
        &measures,
        finished,
        // The trace does not show which changes of `[run] changes` had nothing to change.
        recorded.unmet_changes.clone(),
        wall_us,
    );
    // The lines of the file that was run, not of its text in the capsule.
    for (judged, recorded) in report.expectations.iter_mut().zip(&recorded.expectations) {
        judged.line = recorded.line;
    }
    Ok(Rejudged { report, scenario })
}

/// Adds `always` of each oracle that no expectation about the strategy names.
fn claim(scenario: &mut Scenario, strategy: &str, oracles: &[String]) {
    for oracle in oracles {
        let names = |expectation: &Expectation| {
            let only = expectation.strategy.as_deref();
            only.is_none_or(|only| only == strategy)
                && matches!(&expectation.claim, Claim::Always(name) | Claim::Violates(name) if name == oracle)
        };
        if !scenario.expectations.iter().any(names) {
            scenario.expectations.push(Expectation {
                strategy: None,
                claim: Claim::Always(oracle.clone()),
                line: 0,
            });
        }
    }
}

/// True if an event is about nodes that there are: observers may be given no other.
#[must_use]
pub fn fits(event: &Event, nodes: NodeIx) -> bool {
    let is_of_world = matches!(event.payload, Payload::Step { .. } | Payload::Kind { .. });
    let is_known = event.node < nodes || (is_of_world && event.node == WORLD);
    is_known && event.payload.peer().is_none_or(|peer| peer < nodes)
}

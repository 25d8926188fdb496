//! The search: candidates are made, weighed, read back as the files they would be, and run.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use hublab_strategies::time::micros;

use super::cost::Cost;
use super::mend::mend;
use super::{Budget, Ended, Progress, Size, Target, Watcher};
use crate::catalog::Catalog;
use crate::classify;
use crate::model::{Action, Scenario};
use crate::report::Report;
use crate::run::Simulation;
use crate::run::failure::{Failure, Signature, failures};
use crate::scenario::render::{Style, render};

/// A change of a scenario that may make it simpler.
pub(super) type Edit = Box<dyn Fn(&mut Scenario)>;

/// How many candidates may be looked at for each that may be run.
const CANDIDATES_PER_RUN: u64 = 20;

/// A scenario that fails as it should.
#[derive(Debug)]
pub(super) struct Best {
    pub(super) scenario: Scenario,
    pub(super) report: Report,
    cost: Cost,
}

/// The state of the search.
pub(super) struct Search<'a> {
    target: &'a Target<'a>,
    catalog: &'a Catalog,
    watcher: &'a mut dyn Watcher,
    budget: Budget,
    pub(super) best: Best,
    /// Hashes of the files that were tried: none is run twice.
    seen: BTreeSet<[u8; 32]>,
    /// How long a candidate must go on after its last step: what is to last must be seen to.
    quiet_min: Duration,
    /// The most events of one candidate: one that runs wild is no simplification.
    events_max: u64,
    pub(super) runs: u64,
    events: u64,
    candidates: u64,
    /// How many candidates became the best.
    pub(super) accepted: u64,
    pub(super) ended: Option<Ended>,
}

impl<'a> Search<'a> {
    /// A search that begins at a scenario that is known to fail.
    pub(super) fn new(
        target: &'a Target<'a>,
        catalog: &'a Catalog,
        budget: Budget,
        watcher: &'a mut dyn Watcher,
        (scenario, report): (Scenario, Report),
    ) -> Self {
        let text = render(&scenario, Style::Brief);
        Self {
            target,
            catalog,
            watcher,
            budget,
            seen: BTreeSet::from([*blake3::hash(text.as_bytes()).as_bytes()]),
            quiet_min: if target.signature.is_lasting() {
                quiet(&scenario)
            } else {
                Duration::ZERO
            },
            events_max: report.events.saturating_mul(2).saturating_add(10_000),
            best: Best {
                cost: Cost::of(&scenario, &text),
                scenario,
                report,
            },
            runs: 0,
            events: 0,
            candidates: 0,
            accepted: 0,
            ended: None,
        }
    }

    /// True if faults may become stronger than they were.
    pub(super) fn may_strengthen(&self) -> bool {
        self.target.stronger
    }

    /// Tries an edit of the best scenario; `true` if the result is the new best.
    pub(super) fn attempt(&mut self, edit: &dyn Fn(&mut Scenario)) -> bool {
        if self.is_over() {
            return false;
        }
        self.candidates += 1;
        let mut candidate = self.best.scenario.clone();
        edit(&mut candidate);
        mend(&mut candidate);
        forget_defaults(&mut candidate, self.catalog);
        let text = render(&candidate, Style::Brief);
        let cost = Cost::of(&candidate, &text);
        if cost >= self.best.cost || !self.seen.insert(*blake3::hash(text.as_bytes()).as_bytes()) {
            return false;
        }
        let Ok(scenario) = Scenario::read("candidate", text.as_bytes(), self.catalog) else {
            return false;
        };
        if quiet(&scenario) < self.quiet_min {
            return false;
        }
        let Some(report) = self.fails(&scenario) else {
            return false;
        };
        self.best = Best {
            scenario,
            report,
            cost,
        };
        self.accepted += 1;
        true
    }

    /// Runs a candidate; its report, if it fails as it should.
    fn fails(&mut self, scenario: &Scenario) -> Option<Report> {
        let strategy = self.target.strategy;
        let report = Simulation::new(scenario, self.catalog)
            .strategy(strategy)
            .and_then(|run| {
                let run = run.seed(scenario.run.seed).budget(self.events_max);
                run.unmeasured().run()
            })
            .ok()?;
        self.runs += 1;
        self.events += report.events;
        let fails = failure_like(scenario, &report, self.target.signature).is_some()
            && self.watcher.accepts(scenario, &report)
            && self.is_named(scenario);
        let progress = Progress {
            runs: self.runs,
            size: Size::of(if fails { scenario } else { &self.best.scenario }),
        };
        if !self.watcher.go_on(&progress) {
            self.ended = Some(Ended::Stopped);
        }
        fails.then_some(report)
    }

    /// True if a candidate is still the anomaly that it has to be.
    fn is_named(&self, scenario: &Scenario) -> bool {
        let Target {
            strategy,
            signature,
            anomaly,
            ..
        } = *self.target;
        let named = || {
            classify::of_run(
                scenario,
                strategy,
                scenario.run.seed,
                signature,
                self.catalog,
            )
        };
        anomaly.is_none_or(|anomaly| named() == Some(anomaly))
    }

    /// True if nothing may be tried any more.
    pub(super) fn is_over(&mut self) -> bool {
        let Budget { runs, events } = self.budget;
        if self.runs >= runs
            || self.events >= events
            || self.candidates >= runs.saturating_mul(CANDIDATES_PER_RUN)
        {
            self.ended.get_or_insert(Ended::OutOfBudget);
        }
        self.ended.is_some()
    }

    /// Delta debugging: takes away long stretches of a list of parts first, then shorter ones.
    pub(super) fn drop_parts<P: Clone + 'static>(
        &mut self,
        parts: impl Fn(&Scenario) -> Vec<P>,
        without: impl Fn(&mut Scenario, &[P]),
    ) {
        let mut stretch = parts(&self.best.scenario).len();
        while stretch > 0 && !self.is_over() {
            let mut first = 0;
            loop {
                let all = parts(&self.best.scenario);
                let Some(range) = clamp(first..first + stretch, all.len()) else {
                    break;
                };
                let gone = &all[range];
                if !self.attempt(&|scenario| without(scenario, gone)) {
                    first += stretch;
                }
                if self.is_over() {
                    return;
                }
            }
            stretch /= 2;
        }
    }

    /// Tries edits one after the other; those behind one that helps are made anew.
    pub(super) fn edit(&mut self, edits: impl Fn(&Scenario, &Report) -> Vec<Edit>) {
        let mut at = 0;
        let mut current = edits(&self.best.scenario, &self.best.report);
        while let Some(edit) = current.get(at) {
            if self.is_over() {
                return;
            }
            if self.attempt(edit) {
                current = edits(&self.best.scenario, &self.best.report);
            } else {
                at += 1;
            }
        }
    }
}

fn clamp(range: Range<usize>, len: usize) -> Option<Range<usize>> {
    (range.start < len).then(|| range.start..range.end.min(len))
}

/// The failure of a run with a signature, whatever has become of the text of its claim: of a scenario
/// that is shrunk, only one expectation is left.
pub(super) fn failure_like(
    scenario: &Scenario,
    report: &Report,
    signature: &Signature,
) -> Option<Failure> {
    let mut found = failures(scenario, report).into_iter();
    found.find(|failure| failure.signature.is_like(signature))
}

/// Takes out the parameters that say what holds without them.
pub(super) fn forget_defaults(scenario: &mut Scenario, catalog: &Catalog) {
    let used = scenario.run.strategies.clone();
    for of_nodes in &mut scenario.cluster.overrides {
        of_nodes.strategy.retain(|name, _| used.contains(name));
    }
    for step in &mut scenario.steps {
        if let Action::Restart { strategy, .. } = &mut step.action {
            strategy.retain(|name, _| used.contains(name));
        }
    }
    scenario.strategies.retain(|name, parameters| {
        let defaults = catalog
            .get(name)
            .map(|entry| entry.defaults())
            .unwrap_or_default();
        parameters.retain(|key, value| defaults.get(key) != Some(value));
        used.contains(name) && !parameters.is_empty()
    });
}

/// How long a scenario goes on after its last step.
fn quiet(scenario: &Scenario) -> Duration {
    scenario.run.duration.saturating_sub(scenario.last_step())
}

/// The sum of all instants of a scenario, in microseconds.
pub(super) fn total_time(scenario: &Scenario) -> u64 {
    scenario
        .steps
        .iter()
        .flat_map(|step| [Some(step.at), step.action.heal_after()])
        .flatten()
        .map(|when| micros(when.first()))
        .fold(micros(scenario.run.duration), u64::saturating_add)
}

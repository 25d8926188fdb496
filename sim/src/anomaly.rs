//! Known anomalies: what one is, and the trait that finds them in runs.
//!
//! A strategy's catalog entry names its [`Classify`]; a strategy without one gets no anomaly's name.

use crate::model::Scenario;
use crate::trace::Event;
use crate::watch::oracle::Violation;

/// One known anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly {
    /// Its id: one letter or more for the family, and a number.
    pub id: &'static str,
    /// Its name.
    pub title: &'static str,
    /// Its mechanism, in one line.
    pub summary: &'static str,
    /// Where it can be seen.
    pub shown: Shown,
    /// The oracles that report it, in campaigns or in its scenario; none for what no view shows.
    pub seen_by: &'static [&'static str],
}

/// Where an anomaly can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// In the scenario of this name, under `scenarios/anomalies/`.
    By(&'static str),
    /// In no scenario, for this reason.
    Never(&'static str),
}

/// A scenario in which an anomaly cannot happen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cure {
    /// The difference to the scenario in which it happens, as a statement: "no clock is changed".
    pub what: &'static str,
    /// The scenario. Steps that are no longer possible in it are left out before it is run.
    pub scenario: Scenario,
}

impl Cure {
    /// A change of a scenario, in words, and the scenario as changed.
    #[must_use]
    pub fn new(what: &'static str, scenario: Scenario) -> Self {
        Self { what, scenario }
    }
}

/// Names the failures of a strategy.
pub trait Classify: Send + Sync {
    /// The anomalies that it knows, in the order of ids.
    fn anomalies(&self) -> &'static [Anomaly];

    /// The id of the anomaly behind one failure of a run; `None` if none explains it.
    ///
    /// `scenario` is resolved, `trace` the whole trace of its run, and `violation` one of the
    /// violations in its report.
    fn classify(
        &self,
        scenario: &Scenario,
        strategy: &str,
        violation: &Violation,
        trace: &[Event],
    ) -> Option<&'static str>;

    /// The ids of all anomalies that may be behind a failure, the likeliest first; default: that of
    /// [`Self::classify`].
    fn candidates(
        &self,
        scenario: &Scenario,
        strategy: &str,
        violation: &Violation,
        trace: &[Event],
    ) -> Vec<&'static str> {
        let first = self.classify(scenario, strategy, violation, trace);
        first.into_iter().collect()
    }

    /// Scenarios in which an anomaly cannot happen and nothing else differs. A failure that was shrunk
    /// is given the anomaly's name only if one of them passes. `None`, the default: a failure needs no
    /// cure to be named.
    ///
    /// `scenario` is resolved, and its run has the failure that `violation` describes.
    fn cures(&self, _id: &str, _scenario: &Scenario, _violation: &Violation) -> Option<Vec<Cure>> {
        None
    }
}

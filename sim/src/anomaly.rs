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
}

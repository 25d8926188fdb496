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

/// A change of a scenario after which an anomaly cannot happen, and that leaves all else as it was.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Cure {
    /// A sentence that is true of the changed scenario, for the text "It passes if ...": "no clock is
    /// changed".
    pub what: &'static str,
    /// Changes a resolved scenario. Steps that are no longer possible in it are left out before it is run.
    pub change: fn(&mut Scenario),
}

impl Cure {
    /// A change of scenarios, and a sentence that is true of the changed one.
    #[must_use]
    pub const fn new(what: &'static str, change: fn(&mut Scenario)) -> Self {
        Self { what, change }
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

    /// The changes of a scenario each of which prevents an anomaly. A failure that was shrunk is given the
    /// anomaly's name only if the scenario passes with one of them. `None`, the default: a failure like
    /// that needs no cure to be named.
    fn cures(&self, _id: &str, _violation: &Violation) -> Option<&'static [Cure]> {
        None
    }
}

//! Oracles: what must hold in every run, judged from trace and truth alone.
//!
//! One file per oracle, one line in [`LIST`]. An oracle sees every event as it is recorded, is
//! asked after each step of a node (with all that follows from it in the same instant) and at the
//! end of each instant, and concludes at the end of the run.
//!
//! *Truth* is which children run where; the *view* of a node is its registry. A defect at observer
//! j about node i is *absent* (true, not in view), *ghost* (in view, not true) or *wrong* (another
//! pid or other metadata). Children named in raw requests or `rows` are outside every oracle that
//! compares with the truth.
//!
//! Safety oracles hold at every instant. Liveness oracles look at the quiet phase: from the last
//! step (or injection) to the end, with nothing cut, paused or losing messages any more. Its bounds
//! are those of [`Times`](crate::watch::facts::Times); a quiet phase shorter than the bound, or
//! none, makes them inconclusive.

mod bounded_state;
mod clock_independence;
mod convergence;
mod invariant;
mod join_prompt;
mod membership_containment;
mod metadata_agreement;
mod no_crash;
mod no_false_absence;
mod no_invention;
mod no_permanent_ghost;
mod no_resurrection;
mod own_truth;
mod program;
mod quiet;
mod repair_progress;
mod single_writer;
mod stability;
mod suspect;
mod unique_entry;

use hublab_strategies::Time;
use serde::{Deserialize, Serialize};

use crate::model::NodeIx;
use crate::trace::event::{Event, EventId};
use crate::watch::ObserverContext;
use crate::watch::causes::{Causes, Origin};
use crate::watch::changed::Changed;

pub use clock_independence::NAME as CLOCK_INDEPENDENCE;
pub use convergence::NAME as CONVERGENCE;
pub use invariant::invariant;
pub use no_crash::NAME as NO_CRASH;
pub(crate) use program::NAME as PROGRAM;
pub(crate) use program::broken as broken_claim;

/// A rule that runs are held to.
pub trait Oracle: Send {
    /// Its name in scenario files.
    fn name(&self) -> &'static str;

    /// Something happened that is no change of a row.
    fn event(&mut self, _event: &Event, _cx: &ObserverContext) {}

    /// A row changed.
    fn row(&mut self, _changed: &Changed<'_>, _cx: &ObserverContext) {}

    /// The memory that a node held when it stopped, or at the end of the run; told only where the
    /// program has a gauge of it ([`memory`](crate::memory)).
    fn state_bytes(&mut self, _at: Time, _node: NodeIx, _bytes: u64, _cx: &ObserverContext) {}

    /// A step of the script, or an injection, begins.
    fn step_begins(&mut self, _now: Time) {}

    /// A step of a node is over, and all that followed from it in the same instant.
    fn step_done(&mut self, _now: Time, _cx: &ObserverContext, _found: &mut Vec<Violation>) {}

    /// The instant `now` is over, and nothing happens before `next`.
    fn settle(
        &mut self,
        _now: Time,
        _next: Time,
        _cx: &ObserverContext,
        _found: &mut Vec<Violation>,
    ) {
    }

    /// True if it reads rows ([`ObserverContext::row_of`], [`ObserverContext::rows_of`]): they are
    /// kept for it then, which large runs feel.
    fn reads_rows(&self) -> bool {
        true
    }

    /// For liveness: why it does not hold yet; `None` if it does. Told beside why a verdict is open.
    fn pending(&self, _cx: &ObserverContext) -> Option<String> {
        None
    }

    /// For liveness: the bound it goes by, in words.
    fn bound(&self, _cx: &ObserverContext) -> Option<String> {
        None
    }

    /// The run came to `end`.
    fn finish(&mut self, _end: Time, _cx: &ObserverContext) -> Conclusion {
        Conclusion::Held
    }
}

/// The conclusion of an oracle at the end of a run, beside what it has found before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conclusion {
    /// Nothing more was broken.
    Held,
    /// These were.
    Violated(Vec<Violation>),
    /// It cannot be judged, for this reason.
    Inconclusive(String),
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Violation {
    /// Which.
    pub oracle: String,
    /// When, in microseconds.
    pub at_us: u64,
    /// Where; empty if on no node.
    pub node: String,
    /// How, in words.
    pub detail: String,
    /// The kind of defect: `absent`, `ghost`, `wrong`, ...; one of a few words per oracle.
    #[serde(default)]
    pub defect: String,
    /// The kind of event that made it, as `deliver pubsub.sync`; empty if none did.
    #[serde(default)]
    pub cause: String,
    /// The event that made it; `None` if no single one did.
    #[serde(default)]
    pub event: Option<EventId>,
}

impl Violation {
    /// A violation of a rule at an instant on a node (empty for none), with what happened in words.
    #[must_use]
    pub fn new(oracle: &str, at: Time, node: &str, detail: String) -> Self {
        Self {
            oracle: oracle.to_owned(),
            at_us: at.0,
            node: node.to_owned(),
            detail,
            defect: String::new(),
            cause: String::new(),
            event: None,
        }
    }

    /// With its kind of defect: one of a few words per oracle.
    #[must_use]
    pub fn with_defect(self, defect: &str) -> Self {
        let defect = defect.to_owned();
        Self { defect, ..self }
    }

    /// With the kind of event that made it, such as `deliver pubsub.sync`.
    #[must_use]
    pub fn with_cause(self, cause: String) -> Self {
        Self { cause, ..self }
    }

    /// With the event that made it.
    #[must_use]
    pub fn with_event(self, event: EventId) -> Self {
        let event = Some(event);
        Self { event, ..self }
    }

    /// With the event that made it, and its kind, as far as they are known.
    pub(crate) fn with_origin(self, origin: Origin, causes: &Causes) -> Self {
        let event = (origin.event != 0).then_some(origin.event);
        let cause = causes.text(origin.cause);
        Self {
            cause,
            event,
            ..self
        }
    }

    /// One at a node, at the instant and by the cause of what happened there.
    fn at(
        oracle: &str,
        (at, node, origin): (Time, NodeIx, Origin),
        defect: &str,
        detail: String,
        cx: &ObserverContext,
    ) -> Self {
        Self::new(oracle, at, cx.name(node).as_str(), detail)
            .with_defect(defect)
            .with_origin(origin, &cx.history().causes)
    }
}

/// Makes an oracle for one run.
pub type MakeOracle = fn() -> Box<dyn Oracle>;

/// One oracle as a catalog knows it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct OracleEntry {
    /// Its name in scenario files.
    pub name: &'static str,
    /// When it holds, in one line.
    pub summary: &'static str,
    /// True if it is judged in the quiet phase, and may be inconclusive.
    pub is_liveness: bool,
    make: MakeOracle,
}

impl std::fmt::Debug for OracleEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl OracleEntry {
    /// An oracle that holds at every instant.
    #[must_use]
    pub const fn safety(name: &'static str, summary: &'static str, make: MakeOracle) -> Self {
        Self {
            name,
            summary,
            is_liveness: false,
            make,
        }
    }

    /// An oracle that is judged in the quiet phase.
    #[must_use]
    pub const fn liveness(name: &'static str, summary: &'static str, make: MakeOracle) -> Self {
        Self {
            is_liveness: true,
            ..Self::safety(name, summary, make)
        }
    }

    /// The oracle, new, for one run.
    #[must_use]
    pub fn make(&self) -> Box<dyn Oracle> {
        (self.make)()
    }
}

/// The oracles of every catalog: safety first, then liveness.
pub const LIST: &[OracleEntry] = &[
    OracleEntry::safety(
        own_truth::NAME,
        "a child running on a node stands in that node's own registry with its pid",
        || Box::<own_truth::OwnTruth>::default(),
    ),
    OracleEntry::safety(
        single_writer::NAME,
        "no message from another node, hub.children excepted, touches the receiver's own entries",
        || Box::<single_writer::SingleWriter>::default(),
    ),
    OracleEntry::safety(
        no_invention::NAME,
        "every entry in a view was once true at its owner, with that pid",
        || Box::<no_invention::NoInvention>::default(),
    ),
    OracleEntry::safety(
        metadata_agreement::NAME,
        "every entry in a view carries metadata that its owner gave that child",
        || Box::<metadata_agreement::MetadataAgreement>::default(),
    ),
    OracleEntry::safety(
        no_resurrection::NAME,
        "a dead pid that a view has lost or replaced does not come back there",
        || Box::<no_resurrection::NoResurrection>::default(),
    ),
    OracleEntry::safety(
        no_false_absence::NAME,
        "a true entry is not removed while observer and owner are connected",
        || Box::<no_false_absence::NoFalseAbsence>::default(),
    ),
    OracleEntry::safety(
        membership_containment::NAME,
        "a view holds no entry of a node that has long been outside the cluster view",
        || Box::<membership_containment::MembershipContainment>::default(),
    ),
    OracleEntry::safety(
        unique_entry::NAME,
        "a view has at most one entry per child and node",
        || Box::<unique_entry::UniqueEntry>::default(),
    ),
    OracleEntry::safety(
        bounded_state::NAME,
        "rows, tombstones, references and queues stay below a bound computed from the workload",
        || Box::<bounded_state::BoundedState>::default(),
    ),
    OracleEntry::safety(no_crash::NAME, "no step panics; always counts", || {
        Box::new(no_crash::NoCrash)
    }),
    OracleEntry::liveness(
        convergence::NAME,
        "within the bound, every live view equals the truth it can reach, and stays so",
        || Box::<convergence::Convergence>::default(),
    ),
    OracleEntry::liveness(
        no_permanent_ghost::NAME,
        "entries of nodes that are gone for good are gone within detection + bound",
        || Box::<no_permanent_ghost::NoPermanentGhost>::default(),
    ),
    OracleEntry::liveness(
        join_prompt::NAME,
        "a node that boots has what all others had within the join bound, not only after a round",
        || Box::<join_prompt::JoinPrompt>::default(),
    ),
    OracleEntry::liveness(
        repair_progress::NAME,
        "a silent member does not keep new children from reaching the others",
        || Box::<repair_progress::RepairProgress>::default(),
    ),
    OracleEntry::liveness(
        stability::NAME,
        "queues of busy receivers do not grow from one interval to the next under constant load",
        || Box::<stability::Stability>::default(),
    ),
    OracleEntry::liveness(
        clock_independence::NAME,
        "if the same run without clock steps converges, this one does",
        || Box::<clock_independence::ClockIndependence>::default(),
    ),
];

/// The oracle of catalogs with programs.
pub(crate) const OF_PROGRAMS: OracleEntry = OracleEntry::safety(
    program::NAME,
    "what the programs of nodes claim holds, and they end well; always counts",
    || Box::new(program::Program),
);

/// Every oracle of [`LIST`], new, for one run.
#[must_use]
pub fn all() -> Vec<Box<dyn Oracle>> {
    LIST.iter().map(OracleEntry::make).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_list_are_those_of_the_oracles() {
        let listed: Vec<_> = LIST.iter().map(|entry| entry.name).collect();
        let made: Vec<_> = all().iter().map(|oracle| oracle.name()).collect();
        assert_eq!(listed, made);
    }
}

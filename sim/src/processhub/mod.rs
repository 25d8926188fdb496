//! ProcessHub's two strategies in [`Catalog::default`], and their failures by name: which anomaly of
//! [`anomaly::LIST`] a run shows.
//!
//! A failure is an oracle's complaint about a node's view at an instant. Its *cases* are the
//! entries of that view, or the lack of them, that differ from the truth. Each anomaly has a
//! predicate over a case and the trace: which message or timer made the row what it is, what that
//! carried, who was a member of what, and what did not come since. The first predicate that holds
//! names the failure; a failure that none explains has no name, as a bug that is not one of the
//! known anomalies should have.
//!
//! A predicate looks for the mechanism, not for the steps of a scenario: it holds on any run in
//! which that mechanism is at work. Predicates about one message that made the row (`MADE`) come
//! first, then those about what keeps it wrong (`KEPT`); within each group the more specific one
//! is in front. An oracle that complains of a change asks only the first group.
//!
//! It is meant for shrunk runs, where there is little else to see. On other runs it is a hint: it
//! names the first case that has a name, and another cause may hide behind it.

pub mod anomaly;
mod case;
mod cure;
mod late;
mod log;
mod members;
mod messages;
mod rounds;

use hublab_strategies::builtin::{self, Visitor};
use hublab_strategies::gossip::Gossip;
use hublab_strategies::pubsub::PubSub;
use hublab_strategies::{ChildId, NodeId, Strategy};

use crate::anomaly::{Anomaly, Classify, Cure};
use crate::catalog::Catalog;
use crate::model::{NodeIx, Scenario};
use crate::trace::event::{Event, Payload};
use crate::watch::facts::raw_children;
use crate::watch::oracle::{CLOCK_INDEPENDENCE, Violation};

use case::{Case, Defect};
use log::Log;

/// The most cases of one failure that are looked at.
const CASES_MAX: usize = 64;

type Rule = (&'static str, fn(&Case<'_>) -> bool);

/// The effect of one message on a row. In the order in which they are looked for.
const MADE: &[Rule] = &[
    ("G6", late::g6),
    ("G5", late::g5),
    ("A18", late::a18),
    ("M4", late::m4),
    ("A14", members::a14),
    ("A5", members::a5),
    ("A1", late::a1),
    ("A3", late::a3),
    ("A2", late::a2),
    ("G10", late::g10),
    ("A4", late::a4),
    ("A6", late::a6_brought),
    ("A9", members::a9),
];

/// The reason why a view stays wrong. Messages that came and were refused go before those that never came.
const KEPT: &[Rule] = &[
    ("A8", members::a8),
    ("M3", members::m3),
    ("A7", rounds::a7),
    ("G11", rounds::g11),
    ("M1", members::m1),
    ("A6", late::a6_left),
    ("G9", rounds::g9),
    ("G1", rounds::g1),
    ("M2", rounds::m2),
    ("G8", rounds::g8),
    ("G7", rounds::g7),
    ("M2", members::m2_overwritten),
    ("A10", rounds::a10),
];

/// Which cases and which predicates a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Entries that changed in the instant of the failure, and who made them so.
    Changes,
    /// The node's own entries that another one changed: only requests explain that.
    Own,
    /// Whatever is wrong in the view at the end of that instant, and why it is.
    View,
    /// [`Self::View`], where the clocks are to blame.
    Clocks,
    /// No entry is at fault.
    Nothing,
}

impl Scope {
    /// That of an oracle; the claims of files are about views.
    fn of(oracle: &str) -> Self {
        match oracle {
            "no_false_absence" | "no_resurrection" | "metadata_agreement" | "own_truth" => {
                Self::Changes
            }
            "single_writer" => Self::Own,
            "no_crash" | "bounded_state" | "stability" | "unique_entry" | "no_invention" => {
                Self::Nothing
            }
            CLOCK_INDEPENDENCE => Self::Clocks,
            _ => Self::View,
        }
    }

    fn rules(self) -> impl Iterator<Item = &'static Rule> {
        let (made, kept): (&[Rule], &[Rule]) = match self {
            Self::Changes | Self::Own => (MADE, &[]),
            Self::View | Self::Clocks => (MADE, KEPT),
            Self::Nothing => (&[], &[]),
        };
        let is_asked = move |(id, _): &&Rule| match self {
            Self::Changes | Self::View => true,
            Self::Own => matches!(*id, "G6" | "A18"),
            Self::Clocks => matches!(*id, "A7" | "G11"),
            Self::Nothing => false,
        };
        made.iter().chain(kept).filter(is_asked)
    }
}

/// A failure by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The id of the anomaly.
    pub id: &'static str,
    /// The node whose view shows it.
    pub observer: NodeIx,
    /// The node that the entry is about.
    pub owner: NodeIx,
    /// The child that the entry is about.
    pub child: ChildId,
    /// Since when the entry is not as it should be, in microseconds.
    pub from_us: u64,
    /// When it was right again; `None` if it is not by the end of the trace.
    pub until_us: Option<u64>,
}

/// The failures of one run by name. Costs one pass over the trace, whatever is asked of it.
pub struct Classifier<'a>(Log<'a>);

impl std::fmt::Debug for Classifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Classifier").field(&self.0.strategy).finish()
    }
}

impl<'a> Classifier<'a> {
    /// Reads the whole trace of a run of a resolved scenario; `None` if its beginning is missing.
    #[must_use]
    pub fn new(scenario: &'a Scenario, strategy: &'a str, trace: &'a [Event]) -> Option<Self> {
        Log::new(scenario, strategy, trace).map(Self)
    }

    /// The name of one failure of the run; `None` if no predicate holds.
    #[must_use]
    pub fn name(&self, violation: &Violation) -> Option<Named> {
        let rules: Vec<&Rule> = Scope::of(&violation.oracle).rules().collect();
        cases(&self.0, violation).iter().find_map(|case| {
            let (id, _) = rules.iter().find(|(_, holds)| holds(case))?;
            let time = |event| self.0.event(event).map(|event| event.at.0);
            Some(Named {
                id,
                observer: case.observer,
                owner: case.owner,
                child: case.child.clone(),
                from_us: time(case.since()).unwrap_or(0),
                until_us: case.until().and_then(time),
            })
        })
    }

    /// The anomalies whose predicate holds for a failure of the run, that of [`Self::name`] first.
    fn all(&self, violation: &Violation) -> Vec<&'static str> {
        let rules: Vec<&Rule> = Scope::of(&violation.oracle).rules().collect();
        let cases = cases(&self.0, violation);
        let mut ids = Vec::new();
        // Of each case the first name, then of each case the second, and so on.
        let mut named: Vec<_> = cases
            .iter()
            .map(|case| rules.iter().filter(|(_, holds)| holds(case)))
            .collect();
        loop {
            let round: Vec<&str> = named
                .iter_mut()
                .filter_map(|names| names.next().map(|(id, _)| *id))
                .collect();
            if round.is_empty() {
                return ids;
            }
            for id in round {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
    }
}

/// The anomalies of ProcessHub, for the ports.
#[derive(Debug, Clone, Copy)]
pub struct ProcessHub;

impl Classify for ProcessHub {
    fn anomalies(&self) -> &'static [Anomaly] {
        anomaly::LIST
    }

    fn classify(
        &self,
        scenario: &Scenario,
        strategy: &str,
        violation: &Violation,
        trace: &[Event],
    ) -> Option<&'static str> {
        let named = Classifier::new(scenario, strategy, trace)?.name(violation)?;
        Some(named.id)
    }

    fn candidates(
        &self,
        scenario: &Scenario,
        strategy: &str,
        violation: &Violation,
        trace: &[Event],
    ) -> Vec<&'static str> {
        let classifier = Classifier::new(scenario, strategy, trace);
        classifier.map_or_else(Vec::new, |all| all.all(violation))
    }

    /// Only what stays wrong has cures: of a change that a message made, the trace tells all.
    fn cures(&self, id: &str, violation: &Violation) -> Option<&'static [Cure]> {
        match Scope::of(&violation.oracle) {
            Scope::View | Scope::Clocks => Some(cure::of(id)),
            Scope::Changes | Scope::Own | Scope::Nothing => None,
        }
    }
}

impl Default for Catalog {
    /// The two ports, with ProcessHub's anomalies, and the specimens, which run only where they are
    /// named.
    fn default() -> Self {
        let ports = Self::empty()
            .with_classified::<PubSub>(&ProcessHub)
            .with_classified::<Gossip>(&ProcessHub);
        builtin::SPECIMENS.iter().fold(ports, |catalog, name| {
            builtin::visit(name, Specimen(catalog)).expect("it is listed")
        })
    }
}

/// Adds a specimen to a catalog.
struct Specimen(Catalog);

impl Visitor for Specimen {
    type Output = Catalog;

    fn visit<S: Strategy>(self) -> Catalog {
        self.0.with_specimen::<S>()
    }
}

/// The cases of a failure, at its node or, if it names none, at all of them.
fn cases<'a>(log: &'a Log<'a>, violation: &Violation) -> Vec<Case<'a>> {
    let observers: Vec<NodeIx> = match log.position(&NodeId::new(&violation.node)) {
        Some(node) => vec![node],
        None => log.nodes().collect(),
    };
    let raw = raw_children(log.scenario);
    let mut all = Vec::new();
    let scope = Scope::of(&violation.oracle);
    for observer in &observers {
        match scope {
            Scope::Changes | Scope::Own => changed(log, *observer, violation, &mut all),
            Scope::View | Scope::Clocks => standing(log, *observer, violation, &mut all),
            Scope::Nothing => {}
        }
    }
    let is_compared = |case: &Case<'_>| {
        let is_about_rows = scope == Scope::Own || violation.oracle == "membership_containment";
        is_about_rows || !raw.contains(case.child)
    };
    all.retain(|case| is_compared(case) && is_meant(case, violation));
    let is_of_cause = |case: &&Case<'a>| match violation.cause.strip_prefix("deliver ") {
        Some(kind) => case.message().is_some_and(|message| message.kind == kind),
        None => !violation.cause.is_empty() || case.made.is_none(),
    };
    let of_cause: Vec<_> = all.iter().filter(is_of_cause).copied().collect();
    let mut meant = if of_cause.is_empty() { all } else { of_cause };
    meant.truncate(CASES_MAX);
    meant
}

/// The entries that changed at a node in the instant of a failure.
fn changed<'a>(log: &'a Log<'a>, observer: NodeIx, violation: &Violation, all: &mut Vec<Case<'a>>) {
    for event in log.during(violation.at_us) {
        let Payload::Row {
            child,
            before,
            after,
        } = &event.payload
        else {
            continue;
        };
        if event.node != observer {
            continue;
        }
        for owner in log.nodes() {
            let entry = |row: &'a Option<Box<hublab_strategies::Row>>| {
                log::shown(row.as_deref()?, log.name(owner))
            };
            let (before, after) = (entry(before), entry(after));
            if before == after {
                continue;
            }
            let subject = (child, owner);
            let case = match violation.oracle.as_str() {
                "metadata_agreement" => Some(Case::new(
                    log,
                    event.id,
                    observer,
                    subject,
                    Defect::Metadata,
                )),
                // Whatever the message did to the node's own entry, it had no business there.
                "single_writer" if owner == observer => Some(
                    Case::defect_at(log, event.id, observer, subject).unwrap_or_else(|| {
                        Case::new(log, event.id, observer, subject, Defect::Foreign)
                    }),
                ),
                _ => Case::defect_at(log, event.id, observer, subject),
            };
            all.extend(case);
        }
    }
}

/// The defect at a node at the end of the instant of a failure.
fn standing<'a>(
    log: &'a Log<'a>,
    observer: NodeIx,
    violation: &Violation,
    all: &mut Vec<Case<'a>>,
) {
    let at = log.last_at(violation.at_us);
    if log.boot_at(observer, at).is_none() {
        return;
    }
    for child in log.children() {
        for owner in log.nodes() {
            // The ghost of an expectation may be a running child of a node that cannot be reached.
            let is_suspect = violation.oracle == "membership_containment"
                || violation.oracle == "converged" && violation.defect == "ghost";
            let is_foreign = is_suspect
                && log.shown_at(observer, child, owner, at).is_some()
                && !log.is_member(observer, owner, at);
            all.extend(if is_foreign {
                Some(Case::new(
                    log,
                    at,
                    observer,
                    (child, owner),
                    Defect::Foreign,
                ))
            } else {
                Case::defect_at(log, at, observer, (child, owner))
            });
        }
    }
}

/// True if a case is of the kind that the failure is about.
fn is_meant(case: &Case<'_>, violation: &Violation) -> bool {
    let oracle = violation.oracle.as_str();
    if oracle == "membership_containment" {
        return case.defect == Defect::Foreign;
    }
    // The kinds of defect below are those of views; here any change of an own entry is one.
    if Scope::of(oracle) == Scope::Own {
        return true;
    }
    match (violation.defect.as_str(), case.defect) {
        // An entry that was replaced by another one is gone as well.
        ("absent", defect) => matches!(defect, Defect::Absent | Defect::Pid),
        ("ghost", defect) => matches!(defect, Defect::Ghost | Defect::Foreign | Defect::Pid),
        ("wrong", defect) => matches!(defect, Defect::Pid | Defect::Foreign),
        ("wrong metadata", defect) => defect == Defect::Metadata,
        (_, _) => true,
    }
}

//! Oracles: what must hold in every run, judged from trace and truth alone.
//!
//! One file per oracle, one line in [`LIST`]. An oracle sees every event as it is recorded, is
//! asked after each step of a node (with all that follows from it in the same instant), and at
//! the end of each instant.

mod membership_containment;
mod own_truth;
mod unique_entry;

use hublab_strategies::Time;
use serde::{Deserialize, Serialize};

use crate::observe::{Facts, World};
use crate::scenario::model::NodeIx;
use crate::trace::event::Event;

/// A rule that runs are held to.
pub trait Oracle: Send {
    /// Its name in scenario files.
    fn name(&self) -> &'static str;

    /// Something happened.
    fn event(&mut self, _event: &Event, _world: &World<'_>) {}

    /// A `view` step is about to overwrite a node's cluster view.
    fn view_overwritten(&mut self, _node: NodeIx) {}

    /// A step of a node is over, and all that followed from it in the same instant.
    fn step_done(&mut self, _now: Time, _world: &World<'_>, _found: &mut Vec<Violation>) {}

    /// The instant `now` is over, and nothing happens before `next`.
    fn settle(&mut self, _now: Time, _next: Time, _world: &World<'_>, _found: &mut Vec<Violation>) {
    }
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Violation {
    pub(crate) fn new(oracle: &str, at: Time, node: &str, detail: String) -> Self {
        Self {
            oracle: oracle.to_owned(),
            at_us: at.0,
            node: node.to_owned(),
            detail,
            defect: String::new(),
            cause: String::new(),
        }
    }
}

/// `no_crash`, which the engine judges itself: it is the one that sees a step panic.
pub const NO_CRASH: &str = "no_crash";

/// Makes an oracle for one run.
type Make = fn(&Facts) -> Box<dyn Oracle>;

/// One oracle of the list.
pub struct OracleEntry {
    /// Its name in scenario files.
    pub name: &'static str,
    /// When it holds, in one line.
    pub summary: &'static str,
    make: Option<Make>,
}

impl std::fmt::Debug for OracleEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Every oracle.
pub const LIST: &[OracleEntry] = &[
    OracleEntry {
        name: own_truth::NAME,
        summary: "a child running on a node stands in that node's own registry with its pid",
        make: Some(|_| Box::<own_truth::OwnTruth>::default()),
    },
    OracleEntry {
        name: unique_entry::NAME,
        summary: "a view has at most one entry per child and node",
        make: Some(|_| Box::<unique_entry::UniqueEntry>::default()),
    },
    OracleEntry {
        name: membership_containment::NAME,
        summary: "a view holds no entry of a node that has long been outside the cluster view",
        make: Some(|facts| Box::new(membership_containment::MembershipContainment::new(facts))),
    },
    OracleEntry {
        name: NO_CRASH,
        summary: "no step panics; always counts",
        make: None,
    },
];

/// Every oracle, by the name that scenario files use.
pub const NAMES: &[&str] = &[
    own_truth::NAME,
    unique_entry::NAME,
    membership_containment::NAME,
    NO_CRASH,
];

/// The oracle of a name; `None` for an unknown one, and for `no_crash`, which always counts.
#[must_use]
pub fn by_name(name: &str, facts: &Facts) -> Option<Box<dyn Oracle>> {
    let entry = LIST.iter().find(|entry| entry.name == name)?;
    entry.make.map(|make| make(facts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_list() {
        assert_eq!(
            NAMES,
            LIST.iter().map(|entry| entry.name).collect::<Vec<_>>()
        );
    }
}

//! Suspects, which are noted when a row changes and judged when its step is over: the truth may change in the
//! same step.

use hublab_strategies::{ChildId, Time};

use super::Violation;
use crate::model::NodeIx;
use crate::watch::ObserverContext;
use crate::watch::causes::Origin;
use crate::watch::changed::Changed;

/// An entry that may be wrong, with what it shows: a pid, or metadata.
#[derive(Debug)]
pub(super) struct Suspect<T> {
    pub(super) at: Time,
    pub(super) node: NodeIx,
    cause: Origin,
    pub(super) child: ChildId,
    pub(super) owner: NodeIx,
    pub(super) shown: T,
}

impl<T> Suspect<T> {
    /// One that came or went in a change of a row.
    pub(super) fn new(changed: &Changed<'_>, owner: NodeIx, shown: T) -> Self {
        Self {
            at: changed.at,
            node: changed.node,
            cause: changed.origin,
            child: changed.child.clone(),
            owner,
            shown,
        }
    }

    /// It was wrong.
    pub(super) fn violation(
        &self,
        oracle: &str,
        defect: &str,
        detail: String,
        cx: &ObserverContext,
    ) -> Violation {
        let place = (self.at, self.node, self.cause);
        Violation::at(oracle, place, defect, detail, cx)
    }
}

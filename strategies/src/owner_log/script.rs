//! What an owner did, as step tests of strategies write it: shared by those whose rows follow an owner's
//! numbered changes.

use std::collections::BTreeMap;

use super::{Operation, Running};
use crate::child::{ChildSpec, Metadata};
use crate::name::{ChildId, Pid};

/// What an owner does, one child per change: it runs under a new pid, or no longer.
pub(crate) type Script = Vec<(u8, bool)>;

pub(crate) fn running(seq: u64, child: u8) -> Running {
    Running {
        seq,
        spec: ChildSpec::new(format!("c{child}"), ""),
        pid: Pid::from(format!("p{seq}")),
        metadata: Metadata::default(),
    }
}

pub(crate) fn operation(seq: u64, child: u8, runs: bool) -> Operation {
    if runs {
        Operation::Runs(running(seq, child))
    } else {
        let child = format!("c{child}").into();
        Operation::Gone { seq, child }
    }
}

pub(crate) fn operations(script: &[(u8, bool)]) -> Vec<Operation> {
    let numbered = (1..).zip(script);
    numbered
        .map(|(seq, (child, runs))| operation(seq, *child, *runs))
        .collect()
}

/// The rows after a script: the model.
pub(crate) fn model(script: &[(u8, bool)]) -> BTreeMap<ChildId, Running> {
    let mut rows = BTreeMap::new();
    for (seq, (child, runs)) in (1..).zip(script) {
        let id = ChildId::from(format!("c{child}"));
        match runs {
            true => rows.insert(id, running(seq, *child)),
            false => rows.remove(&id),
        };
    }
    rows
}

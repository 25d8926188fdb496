//! Raw requests and rows: what a plan has of them, with names and pids filled in.

use hublab_strategies::{ChildId, Entry, NodeId, Pid};

use super::assemble::ix;
use super::plan::{PlanRequest, Recipients, Row};
use super::script::{Walk, metadata};
use crate::model::{Action, Audience, NodeIx, RawRequest, RawRow};

impl Walk<'_> {
    pub(super) fn propagate(
        &self,
        from: u8,
        audience: Recipients,
        requests: &[PlanRequest],
    ) -> Option<Action> {
        let from = self.runner(from)?;
        let members = match audience {
            Recipients::Global => Audience::Global,
            Recipients::Local => Audience::Local,
            Recipients::External => Audience::External,
            Recipients::Some(mask) => Audience::Nodes(self.some(mask)),
        };
        let request = |request: &PlanRequest| match request {
            PlanRequest::Register(rows) => RawRequest::Register(self.rows(rows)),
            PlanRequest::Unregister { child, nodes } => {
                let nodes = self.some(*nodes).into_iter().map(name).collect();
                RawRequest::Unregister(vec![(self.raw_id(*child), nodes)])
            }
            PlanRequest::PidUpdate { child, node, pid } => RawRequest::PidUpdate {
                child: self.raw_id(*child),
                node: name(ix(self.plan, *node)),
                pid: raw_pid(*pid),
            },
        };
        let requests = requests.iter().map(request).collect();
        Some(Action::Propagate {
            from,
            members,
            requests,
        })
    }

    pub(super) fn rows(&self, rows: &[Row]) -> Vec<RawRow> {
        let row = |row: &Row| RawRow {
            child: self.raw_id(row.child),
            entries: self
                .some(row.nodes)
                .into_iter()
                .take(2)
                .map(|node| Entry {
                    node: name(node),
                    pid: Some(raw_pid(row.pid)),
                })
                .collect(),
            metadata: metadata(row.version),
        };
        rows.iter().map(row).collect()
    }

    /// An id for raw rows: mostly one that no started child has.
    fn raw_id(&self, child: u8) -> ChildId {
        match child % 3 {
            0 => ChildId::from("r"),
            1 => ChildId::from("s"),
            _ => ChildId::from(self.id(ix(self.plan, child), child)),
        }
    }
}

fn name(node: NodeIx) -> NodeId {
    NodeId::from(format!("n{}", node + 1))
}

fn raw_pid(number: u8) -> Pid {
    Pid::from(format!("p{number}"))
}

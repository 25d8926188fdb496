//! Raw requests and rows: what a plan has of them, with names and pids filled in.

use hublab_strategies::{ChildId, Entry, NodeId, Pid};

use super::assemble::ix;
use super::plan::{Listeners, Row, Wish};
use super::script::{Walk, metadata};
use crate::model::{Action, Audience, NodeIx, RawRequest, RawRow};

impl Walk<'_> {
    pub(super) fn propagate(
        &self,
        from: u8,
        audience: Listeners,
        requests: &[Wish],
    ) -> Option<Action> {
        let from = self.runner(from)?;
        let members = match audience {
            Listeners::Global => Audience::Global,
            Listeners::Local => Audience::Local,
            Listeners::External => Audience::External,
            Listeners::Some(mask) => Audience::Nodes(self.some(mask)),
        };
        let request = |wish: &Wish| match wish {
            Wish::Register(rows) => RawRequest::Register(self.rows(rows)),
            Wish::Unregister { child, nodes } => {
                let nodes = self.some(*nodes).into_iter().map(name).collect();
                RawRequest::Unregister(vec![(self.raw_id(*child), nodes)])
            }
            Wish::PidUpdate { child, node, pid } => RawRequest::PidUpdate {
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

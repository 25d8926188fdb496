//! Raw rows and requests: what `rows` and `propagate` hand to a registry or a strategy.

use hublab_strategies::{ChildId, Entry, NodeId, Pid};

use super::Reader;
use super::syntax::Value;
use super::table::Table;
use crate::model::{RawRequest, RawRow};
use crate::scenario::shape::{PID_UPDATE, ROW, UNREGISTER};

impl<'t> Reader<'_> {
    /// `{ child, nodes = { n1 = "p1" }, metadata }`.
    pub(super) fn row(&mut self, table: &Table<'t>) -> Option<RawRow> {
        let child = self.need(table, "child", Self::name).map(ChildId::new);
        let entries = self.need(table, "nodes", Self::node_texts);
        let metadata = self
            .may(table, "metadata", Self::metadata)
            .unwrap_or_default();
        let entry = |(node, pid): (NodeId, &str)| Entry {
            node,
            pid: Some(Pid::new(pid)),
        };
        Some(RawRow {
            child: child?,
            entries: entries?.into_iter().map(entry).collect(),
            metadata,
        })
    }

    /// One of `register`, `unregister` and `pid_update`.
    pub(super) fn request(&mut self, table: &Table<'t>) -> Option<RawRequest> {
        match self.choose(table)? {
            "register" => {
                let rows = self.need(table, "register", |reader, value| {
                    reader.tables(value, &ROW, Self::row)
                });
                rows.map(RawRequest::Register)
            }
            "unregister" => {
                let children = self.need(table, "unregister", |reader, value| {
                    reader.tables(value, &UNREGISTER, Self::unregister)
                });
                children.map(RawRequest::Unregister)
            }
            _ => self.need(table, "pid_update", Self::pid_update),
        }
    }

    fn unregister(&mut self, table: &Table<'t>) -> Option<(ChildId, Vec<NodeId>)> {
        let child = self.need(table, "child", Self::name).map(ChildId::new);
        let nodes = self.need(table, "nodes", Self::node_ids);
        Some((child?, nodes?))
    }

    fn pid_update(&mut self, value: &'t Value<'t>) -> Option<RawRequest> {
        let table = self.open(value, &PID_UPDATE)?;
        let child = self.need(&table, "child", Self::name).map(ChildId::new);
        let node = self.need(&table, "node", Self::node);
        let pid = self.need(&table, "pid", Self::name).map(Pid::new);
        Some(RawRequest::PidUpdate {
            child: child?,
            node: self.node_id(node?),
            pid: pid?,
        })
    }

    /// A list of nodes, as their ids.
    pub(super) fn node_ids(&mut self, value: &'t Value<'t>) -> Option<Vec<NodeId>> {
        let named = self.nodes(value)?;
        Some(
            named
                .nodes
                .into_iter()
                .map(|node| self.node_id(node))
                .collect(),
        )
    }
}

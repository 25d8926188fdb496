//! Fields whose form in the tree is not that of their type: tables of the file that the model keeps
//! without their keys, and durations.

use std::borrow::Cow;

use hublab_strategies::{ChildId, Entries, Entry, NodeId, Pid};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::NodeIx;

/// True if a field has its default, and so no key.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A duration, in microseconds.
pub(super) mod us {
    use std::time::Duration;

    use hublab_strategies::time::micros;

    use super::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(micros(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

/// A duration or none, in microseconds.
pub(super) mod maybe_us {
    use std::time::Duration;

    use hublab_strategies::time::micros;

    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(micros).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<u64>::deserialize(from).map(|us| us.map(Duration::from_micros))
    }
}

/// `{ nodes = [...] }`.
pub(super) mod nodes {
    use super::{Cow, Deserialize, Deserializer, NodeIx, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Form<'a> {
        nodes: Cow<'a, [NodeIx]>,
    }

    pub(crate) fn serialize<S: Serializer>(nodes: &[NodeIx], to: S) -> Result<S::Ok, S::Error> {
        let nodes = Cow::Borrowed(nodes);
        Form { nodes }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<NodeIx>, D::Error> {
        Form::deserialize(from).map(|form| form.nodes.into_owned())
    }
}

/// The groups of a partition, as the alternative that lists them.
pub(super) mod groups {
    use super::{Cow, Deserialize, Deserializer, NodeIx, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Form<'a> {
        groups: Cow<'a, [Vec<NodeIx>]>,
    }

    pub(crate) fn serialize<S: Serializer>(
        groups: &[Vec<NodeIx>],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let groups = Cow::Borrowed(groups);
        Form { groups }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<NodeIx>>, D::Error> {
        Form::deserialize(from).map(|form| form.groups.into_owned())
    }
}

impl Serialize for super::On {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(node) => node.serialize(to),
            Self::Each(nodes) => nodes.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for super::On {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let tree = serde_json::Value::deserialize(from)?;
        let read = if tree.is_array() {
            serde_json::from_value(tree).map(Self::Each)
        } else {
            serde_json::from_value(tree).map(Self::One)
        };
        read.map_err(D::Error::custom)
    }
}

/// `{ on = "n1" }`.
pub(super) mod on {
    use super::{Deserialize, Deserializer, NodeIx, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Form {
        on: NodeIx,
    }

    pub(crate) fn serialize<S: Serializer>(on: &NodeIx, to: S) -> Result<S::Ok, S::Error> {
        Form { on: *on }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NodeIx, D::Error> {
        Form::deserialize(from).map(|form| form.on)
    }
}

/// `[{ child = "x", nodes = [...] }]`.
pub(super) mod unregistered {
    use super::{ChildId, Cow, Deserialize, Deserializer, NodeId, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Form<'a> {
        child: Cow<'a, ChildId>,
        nodes: Cow<'a, [NodeId]>,
    }

    pub(crate) fn serialize<S: Serializer>(
        rows: &[(ChildId, Vec<NodeId>)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(rows.iter().map(|(child, nodes)| Form {
            child: Cow::Borrowed(child),
            nodes: Cow::Borrowed(nodes),
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(ChildId, Vec<NodeId>)>, D::Error> {
        let rows = Vec::<Form<'_>>::deserialize(from)?;
        let pair = |row: Form<'_>| (row.child.into_owned(), row.nodes.into_owned());
        Ok(rows.into_iter().map(pair).collect())
    }
}

/// `{ n1 = "p1" }`, in the order of the file.
struct Pids(Vec<(NodeId, Pid)>);

impl<'de> Deserialize<'de> for Pids {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pids;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table from node to pid")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Pids, M::Error> {
                let mut pids = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pids.push(pair);
                }
                Ok(Pids(pids))
            }
        }
        from.deserialize_map(Visitor)
    }
}

/// The entries of a row: `{ n1 = "p1" }`.
pub(super) mod entries {
    use super::{Deserialize, Deserializer, Entries, Entry, Pid, Pids, Serializer};

    pub(crate) fn serialize<S: Serializer>(entries: &Entries, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(entries.iter().map(|entry| {
            let pid = entry.pid.as_ref().map_or("", Pid::as_str);
            (entry.node.as_str(), pid)
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Entries, D::Error> {
        let entry = |(node, pid)| Entry {
            node,
            pid: Some(pid),
        };
        Pids::deserialize(from).map(|pids| pids.0.into_iter().map(entry).collect())
    }
}

/// `{ n1 = "p1" }`, or nothing.
pub(super) mod maybe_pids {
    use super::{Deserialize, Deserializer, NodeId, Pid, Pids, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        pids: &Option<Vec<(NodeId, Pid)>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match pids {
            Some(pids) => to.collect_map(pids.iter().map(|(node, pid)| (node, pid))),
            None => None::<()>.serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<(NodeId, Pid)>>, D::Error> {
        Option::<Pids>::deserialize(from).map(|pids| pids.map(|pids| pids.0))
    }
}

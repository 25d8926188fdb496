//! [`Map`]: the add-wins map of one node. Pure: no clock, no network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{ChildId, NodeId};
use crate::owner_log::{NUMBERS, Ranges, Running, cover, covers, mix};
use crate::wire;

/// What a map has an entry of: a child on a node.
pub type Key = (NodeId, ChildId);

/// One addition, by a node in one of its boots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dot {
    /// The node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: u64,
    /// The how many-th addition of that boot it was, from 1 on.
    pub counter: u64,
}

/// What is told of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The key.
    pub key: Key,
    /// The values that were added and not removed; `seq` is when they were written, in microseconds since
    /// the boot.
    pub values: BTreeMap<Dot, Running>,
    /// Other dots of the key that were seen.
    pub removed: Vec<Dot>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Map {
    /// The values of each key that were added at once.
    entries: BTreeMap<Key, BTreeMap<Dot, Running>>,
    /// The counters that were seen, of each node in each boot: the causal context.
    context: BTreeMap<(NodeId, u64), Ranges>,
    /// The sum of the hashes of the entries.
    root: u64,
    /// The bytes of the entries.
    bytes: u64,
}

impl Map {
    /// The value of a key: the last one written, by the clocks of those who wrote.
    pub(super) fn get(&self, key: &Key) -> Option<&Running> {
        let values = self.entries.get(key)?.iter();
        let last = values.max_by_key(|(dot, value)| (value.seq, *dot));
        last.map(|(_, value)| value)
    }

    /// The keys of a node.
    pub(super) fn of<'a>(&'a self, node: &NodeId) -> impl Iterator<Item = &'a Key> + use<'a> {
        let node = node.clone();
        let from = self.entries.range((node.clone(), ChildId::from(""))..);
        let keys = from.map(|(key, _)| key);
        keys.take_while(move |key| key.0 == node)
    }

    /// Replaces the values of a key that are here, by none or by one that a node adds.
    pub(super) fn put(&mut self, key: &Key, by: (NodeId, u64), value: Option<Running>) {
        let mut values = BTreeMap::new();
        if let Some(value) = value {
            let seen = self.context.get(&by).and_then(|seen| seen.last());
            let dot = Dot {
                node: by.0,
                incarnation: by.1,
                counter: seen.map_or(0, |(_, last)| *last) + 1,
            };
            self.see(&dot, dot.counter - 1);
            values.insert(dot, value);
        }
        self.set(key, values);
    }

    /// The dots above `after` and up to this one were seen.
    fn see(&mut self, dot: &Dot, after: u64) {
        let origin = (dot.node.clone(), dot.incarnation);
        if after < dot.counter {
            let ranges = self.context.entry(origin).or_default();
            cover(ranges, [(after, dot.counter)]);
        }
    }

    fn has_seen(&self, dot: &Dot) -> bool {
        let ranges = self.context.get(&(dot.node.clone(), dot.incarnation));
        ranges.is_some_and(|ranges| covers(ranges, dot.counter))
    }

    /// The last dot of each origin that was seen: the whole context, made small.
    pub(super) fn context(&self) -> Vec<Dot> {
        let last = |((node, incarnation), ranges): (&(NodeId, u64), &Ranges)| Dot {
            node: node.clone(),
            incarnation: *incarnation,
            counter: ranges.last().map_or(0, |(_, last)| *last),
        };
        self.context.iter().map(last).collect()
    }

    /// The dots of a key that are here.
    pub(super) fn dots(&self, key: &Key) -> Vec<Dot> {
        let values = self.entries.get(key).into_iter();
        values.flat_map(BTreeMap::keys).cloned().collect()
    }

    /// What there is to tell of a key to somebody who has these dots of it.
    pub(super) fn tell(&self, key: &Key, dots: &[Dot]) -> Told {
        let values = self.entries.get(key).cloned().unwrap_or_default();
        let is_removed = |dot: &&Dot| !values.contains_key(*dot) && self.has_seen(dot);
        let removed = dots.iter().filter(is_removed).cloned().collect();
        let key = key.clone();
        Told {
            key,
            values,
            removed,
        }
    }

    /// Joins what is told of some keys, by somebody who has seen everything up to `context`. A value stays
    /// if both have it, or if one has it and the other has not seen its dot. Returns the keys that changed.
    pub(super) fn join(&mut self, told: &[Told], context: &[Dot]) -> Vec<Key> {
        let mut changed = Vec::new();
        for it in told {
            let is_before = |last: &Dot, dot: &Dot| {
                (&last.node, last.incarnation) == (&dot.node, dot.incarnation)
                    && dot.counter <= last.counter
            };
            let ours = self.entries.get(&it.key).cloned().unwrap_or_default();
            let mut joined = ours.clone();
            joined.retain(|dot, _| {
                let is_seen = context.iter().any(|last| is_before(last, dot));
                it.values.contains_key(dot) || !is_seen && !it.removed.contains(dot)
            });
            let news = it.values.iter().filter(|(dot, _)| !self.has_seen(dot));
            joined.extend(news.map(|(dot, value)| (dot.clone(), value.clone())));
            for dot in it.values.keys().chain(&it.removed) {
                self.see(dot, dot.counter.saturating_sub(1));
            }
            if joined != ours {
                self.set(&it.key, joined);
                changed.push(it.key.clone());
            }
        }
        for last in context {
            self.see(last, 0);
        }
        changed
    }

    fn set(&mut self, key: &Key, values: BTreeMap<Dot, Running>) {
        let bytes = |values: &BTreeMap<Dot, Running>| wire::encoded_len(values);
        if let Some(old) = self.entries.remove(key) {
            self.bytes -= bytes(&old);
            self.root = self.root.wrapping_sub(hash(key, &old));
        }
        if !values.is_empty() {
            self.bytes += bytes(&values);
            self.root = self.root.wrapping_add(hash(key, &values));
            self.entries.insert(key.clone(), values);
        }
    }

    /// The hash of everything.
    pub(super) fn root(&self) -> u64 {
        self.root
    }

    /// The hashes of the buckets that are not empty.
    pub(super) fn buckets(&self) -> BTreeMap<u8, u64> {
        let mut buckets: BTreeMap<_, u64> = BTreeMap::new();
        for (key, values) in &self.entries {
            let sum = buckets.entry(bucket(key)).or_default();
            *sum = sum.wrapping_add(hash(key, values));
        }
        buckets
    }

    /// The keys of some buckets, with their hashes.
    pub(super) fn keys(&self, buckets: &[u8]) -> BTreeMap<Key, u64> {
        let entries = self.entries.iter();
        let entries = entries.filter(|(key, _)| buckets.contains(&bucket(key)));
        let hashed = entries.map(|(key, values)| (key.clone(), hash(key, values)));
        hashed.collect()
    }

    pub(super) fn state_bytes(&self) -> u64 {
        let ranges = self.context.values().map(|ranges| ranges.len() as u64 + 1);
        self.bytes + NUMBERS * ranges.sum::<u64>()
    }
}

fn mixed(key: &Key) -> u64 {
    mix(key.0.text_hash() ^ mix(key.1.text_hash()))
}

fn bucket(key: &Key) -> u8 {
    mixed(key).to_le_bytes()[0]
}

fn hash(key: &Key, values: &BTreeMap<Dot, Running>) -> u64 {
    let of_dot = |dot: &Dot| {
        let origin = mix(dot.node.text_hash() ^ mix(dot.incarnation));
        mix(mixed(key) ^ mix(origin ^ mix(dot.counter)))
    };
    values.keys().map(of_dot).fold(0, u64::wrapping_add)
}

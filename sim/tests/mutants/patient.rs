//! Mutants: a node of a base strategy, and something that goes wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hublab_sim::catalog::{Catalog, CatalogEntry, NodeFactory, ParameterError, Params};
use hublab_sim::generate::Family;
use hublab_sim::node::effects::Effects;
use hublab_sim::node::{Node, NodeInput};
use hublab_sim::scenario::Scenario;
use hublab_strategies::hub::{Command, Sizes};
use hublab_strategies::message::SizeModel;
use hublab_strategies::strategy::{Bounds, Claim, Conditions, Limits, Variation};
use hublab_strategies::{
    ChildId, DeltaCrdt, Entry, Gossip, Message, NodeId, OwnerBroadcast, Pid, PubSub,
    PubSubVersioned, Registry, Row, RowRef, Rumour, Runtime, Scuttlebutt, Strategy, Time, Tracker,
    WallTime,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reference::{self, Reference};

/// What a mutant is made of: something that violates nothing, or only what it is known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    Reference,
    PubSub,
    Gossip,
    OwnerBroadcast,
    PubSubVersioned,
    Rumour,
    DeltaCrdt,
    Scuttlebutt,
    Tracker,
}

impl Base {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reference => reference::NAME,
            Self::PubSub => PubSub::NAME,
            Self::Gossip => Gossip::NAME,
            Self::OwnerBroadcast => OwnerBroadcast::NAME,
            Self::PubSubVersioned => PubSubVersioned::NAME,
            Self::Rumour => Rumour::NAME,
            Self::DeltaCrdt => DeltaCrdt::NAME,
            Self::Scuttlebutt => Scuttlebutt::NAME,
            Self::Tracker => Tracker::NAME,
        }
    }

    pub(crate) fn catalog() -> Catalog {
        Catalog::default().with_entry(Box::new(Reference))
    }
}

/// What goes wrong: it gets each input instead of the node, and may hand it on, or not.
pub(crate) type Flaw = fn(&mut Case<'_, '_, '_>, NodeInput<'_>);

/// How a mutant differs from its base.
pub(crate) enum How {
    /// A flaw of its nodes.
    Flaw(Flaw),
    /// Its entry in the catalog, with the base's name, is another strategy.
    Strategy(fn(Catalog) -> Catalog),
}

/// One mutant.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// The oracle that is to report it when no other is on.
    pub(crate) aim: &'static str,
    pub(crate) base: Base,
    /// It shows only in scenarios with one of these; none: in any.
    pub(crate) families: &'static [Family],
    pub(crate) how: How,
}

impl Mutant {
    /// Whether it can show in a scenario.
    pub(crate) fn fits(&self, scenario: &Scenario, families: &BTreeSet<Family>) -> bool {
        let asked =
            self.families.is_empty() || self.families.iter().any(|one| families.contains(one));
        let (cluster, network) = (&scenario.cluster, &scenario.network);
        let needs = |family| self.families.contains(&family);
        // Queues of receivers that are hardly busy stay short whatever is sent.
        let is_busy = !needs(Family::ServiceTime) || network.service_time.as_micros() >= 500;
        // A silence that is noticed at once leaves the others no time.
        let is_long = !needs(Family::Pause)
            || (cluster.nodes.len() > 2
                && cluster.down_after.as_secs() >= 6
                && !families.contains(&Family::Loss));
        asked && is_busy && is_long
    }

    /// A catalog whose entry of the base's name is the mutant.
    pub(crate) fn catalog(&self) -> Catalog {
        let (base, catalog) = (self.base, Base::catalog());
        match self.how {
            How::Flaw(flaw) => catalog.with_entry(Box::new(Ill { base, flaw })),
            How::Strategy(with) => with(catalog),
        }
    }
}

/// The entry of a mutant. It has the name and the parameters of its base, so that the base's
/// scenarios are its own.
struct Ill {
    base: Base,
    flaw: Flaw,
}

impl Ill {
    fn ask<T>(&self, question: impl FnOnce(&dyn CatalogEntry) -> T) -> T {
        let catalog = Base::catalog();
        question(
            catalog
                .get(self.base.name())
                .expect("the base is in the catalog"),
        )
    }
}

impl CatalogEntry for Ill {
    fn name(&self) -> &'static str {
        self.base.name()
    }

    fn summary(&self) -> &'static str {
        "a mutant"
    }

    fn defaults(&self) -> Params {
        self.ask(|base| base.defaults())
    }

    fn check_key(&self, key: &str, value: &Value) -> Result<(), ParameterError> {
        self.ask(|base| base.check_key(key, value))
    }

    fn configure(&self, params: &Params) -> Result<NodeFactory, ParameterError> {
        let make = self.ask(|base| base.configure(params))?;
        let flaw = self.flaw;
        Ok(Box::new(move |node, incarnation, common| {
            let inner = make(node, incarnation, common);
            let memory = Memory::default();
            Box::new(Patient {
                me: node.clone(),
                inner,
                memory,
                flaw,
            })
        }))
    }

    fn config_schema(&self) -> Value {
        self.ask(|base| base.config_schema())
    }

    fn claims(&self) -> &'static [Claim] {
        &[]
    }

    fn limits(&self) -> Limits {
        self.ask(|base| base.limits())
    }

    fn varied(&self, by: &Variation) -> Params {
        self.ask(|base| base.varied(by))
    }

    fn kinds(&self) -> Option<Vec<&'static str>> {
        self.ask(|base| base.kinds())
    }

    fn round_interval(&self, params: &Params) -> Option<Duration> {
        self.ask(|base| base.round_interval(params))
    }

    fn bounds(&self, params: &Params, conditions: &Conditions) -> Bounds {
        self.ask(|base| base.bounds(params, conditions))
    }
}

/// A node with a flaw.
struct Patient {
    me: NodeId,
    inner: Box<dyn Node>,
    memory: Memory,
    flaw: Flaw,
}

impl Node for Patient {
    fn handle(&mut self, input: NodeInput<'_>, effects: &mut Effects<'_>) {
        let mut case = Case {
            me: &self.me,
            inner: self.inner.as_mut(),
            memory: &mut self.memory,
            effects,
        };
        (self.flaw)(&mut case, input);
    }

    fn registry(&self) -> &Registry {
        self.inner.registry()
    }

    fn cluster_view(&self) -> &[NodeId] {
        self.inner.cluster_view()
    }

    fn sizes(&self) -> Sizes {
        let sizes = self.inner.sizes();
        Sizes {
            refs: sizes.refs + self.memory.leaked,
            ..sizes
        }
    }
}

/// What flaws remember.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) count: u64,
    pub(crate) leaked: usize,
    pub(crate) entries: BTreeMap<(ChildId, NodeId), Row>,
    pub(crate) heard: BTreeMap<NodeId, Time>,
    pub(crate) announced: Time,
    /// In microseconds.
    pub(crate) interval: u64,
    pub(crate) wall: WallTime,
    pub(crate) lead: Option<u64>,
}

/// An entry of another node, or an own one, as flaws look at it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) row: Row,
    pub(crate) entry: Entry,
}

/// One step of a node with a flaw.
pub(crate) struct Case<'a, 'e, 'w> {
    pub(crate) me: &'a NodeId,
    pub(crate) inner: &'a mut dyn Node,
    pub(crate) memory: &'a mut Memory,
    pub(crate) effects: &'e mut Effects<'w>,
}

impl Case<'_, '_, '_> {
    /// What the node would have done.
    pub(crate) fn pass(&mut self, input: NodeInput<'_>) {
        self.inner.handle(input, self.effects);
    }

    /// Whether this is the `every`-th thing it was asked about, and so on.
    pub(crate) fn each(&mut self, every: u64) -> bool {
        self.memory.count += 1;
        self.memory.count.is_multiple_of(every)
    }

    /// The other members, as this node sees them.
    pub(crate) fn peers(&self) -> Vec<NodeId> {
        let view = self.inner.cluster_view().iter();
        view.filter(|node| *node != self.me).cloned().collect()
    }

    /// Every entry, by child and place in the row.
    pub(crate) fn entries(&self) -> Vec<Found> {
        let of_row = |row: RowRef<'_>| {
            let owned = row.to_row();
            let found = move |entry: &Entry| Found {
                row: owned.clone(),
                entry: entry.clone(),
            };
            row.entries.iter().map(found).collect::<Vec<_>>()
        };
        self.inner.registry().rows().flat_map(of_row).collect()
    }

    /// The entries of this node.
    pub(crate) fn own(&self) -> Vec<Found> {
        let mut all = self.entries();
        all.retain(|found| found.entry.node == *self.me);
        all
    }

    /// The entries of other nodes.
    pub(crate) fn others(&self) -> Vec<Found> {
        let mut all = self.entries();
        all.retain(|found| found.entry.node != *self.me);
        all
    }

    pub(crate) fn put(&mut self, row: Row) {
        self.pass(NodeInput::Command(Command::PutRows(vec![row])));
    }

    /// Takes an entry out of its row.
    pub(crate) fn drop_entry(&mut self, found: &Found) {
        let mut row = found.row.clone();
        row.entries.retain(|entry| *entry != found.entry);
        self.put(row);
    }

    /// Gives an entry another pid.
    pub(crate) fn set_pid(&mut self, found: &Found, pid: &str) {
        let mut row = found.row.clone();
        for entry in row
            .entries
            .as_mut_slice()
            .iter_mut()
            .filter(|entry| **entry == found.entry)
        {
            entry.pid = Some(Pid::new(pid));
        }
        self.put(row);
    }

    /// Puts an entry that was there once back into its row.
    pub(crate) fn put_back(&mut self, old: &Row, owner: &NodeId) {
        let Some(entry) = old
            .entries
            .iter()
            .find(|entry| entry.node == *owner)
            .cloned()
        else {
            return;
        };
        let mut row = self
            .inner
            .registry()
            .get(old.spec.id())
            .map_or_else(|| old.clone(), |row| row.to_row());
        row.entries.retain(|other| other.node != *owner);
        row.entries.push(entry);
        row.expires_at = None;
        self.put(row);
    }

    pub(crate) fn now(&self) -> Time {
        Runtime::<Junk>::now(self.effects)
    }

    pub(crate) fn wall_clock(&self) -> WallTime {
        Runtime::<Junk>::wall_clock(self.effects)
    }
}

/// A message of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Junk;

impl Message for Junk {
    const KINDS: &'static [&'static str] = &["mutant.junk"];

    fn kind(&self) -> &'static str {
        "mutant.junk"
    }

    fn size_model(&self) -> SizeModel {
        SizeModel::default()
    }
}

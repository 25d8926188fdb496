//! The network: what each directed link is like, which links are cut, and which pairs are
//! connected.
//!
//! This module owns the state; the engine decides when it changes and moves the messages. State
//! of a pair of nodes is created when one first needs it.

pub mod cut;
pub mod latency;
pub mod link;

use hublab_strategies::NodeId;
use hublab_strategies::time::micros;

use crate::scenario::model::{LinkChange, LinkParams, Network as NetworkModel, NodeIx, Order};
use crate::stream::{self, Purpose};

use cut::{Cut, CutId, NodeSet, Reach};
use latency::Law;
use link::Link;

/// The position of a pair in [`Network::pairs`].
pub(crate) type PairIx = u32;

/// Two nodes and what is between them. A node and itself are a pair too: always up, never cut.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The nodes, the lower position first.
    pub(crate) nodes: [NodeIx; 2],
    /// Whether the two are connected, as far as at least one of them knows.
    pub(crate) up: bool,
    /// The incarnations that connected.
    pub(crate) incarnations: [u32; 2],
    /// The queue number of the end of the silence that runs.
    pub(crate) silence: Option<u64>,
    /// How many silences have begun: the position in their stream.
    pub(crate) silences: u32,
    /// The two directions: from the lower to the higher, and back.
    pub(crate) links: [Link; 2],
}

/// A [`LinkParams`] made ready for use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prepared {
    pub(crate) law: Law,
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) fifo: bool,
    pub(crate) bytes_per_second: u64,
}

impl Prepared {
    fn new(params: &LinkParams) -> Self {
        Self {
            law: Law::new(&params.latency),
            loss: params.loss,
            duplicate: params.duplicate,
            fifo: params.order == Order::Fifo,
            bytes_per_second: params.bytes_per_second,
        }
    }
}

#[derive(Debug)]
struct Override {
    from: NodeSet,
    to: NodeSet,
    change: LinkChange,
}

/// The network of one run.
#[derive(Debug)]
pub(crate) struct Network {
    seed: u64,
    names: Vec<NodeId>,
    base: LinkParams,
    /// Overrides in the order in which they apply; those of the file come first.
    overrides: Vec<Override>,
    from_file: usize,
    /// Counts the changes of `overrides`; a link that is older looks its values up again.
    epoch: u32,
    prepared: Vec<Prepared>,
    rows: Vec<Box<[PairIx]>>,
    /// Every pair that was ever used, in the order of first use.
    pub(crate) pairs: Vec<Pair>,
    cuts: Vec<Cut>,
    next_cut: u32,
    /// Time a sender is busy per message, in microseconds.
    pub(crate) send_gap: u64,
    /// Time a receiver is busy per message, in microseconds.
    pub(crate) service_time: u64,
}

const UNUSED: PairIx = PairIx::MAX;

impl Network {
    pub(crate) fn new(model: &NetworkModel, names: &[NodeId], seed: u64) -> Self {
        let mut network = Self {
            seed,
            names: names.to_vec(),
            base: model.base,
            overrides: Vec::new(),
            from_file: 0,
            epoch: 0,
            prepared: Vec::new(),
            rows: vec![Box::default(); names.len()],
            pairs: Vec::new(),
            cuts: Vec::new(),
            next_cut: 0,
            send_gap: micros(model.send_gap),
            service_time: micros(model.service_time),
        };
        for change in &model.links {
            network.change_links(change);
        }
        network.from_file = network.overrides.len();
        network
    }

    /// Changes some links from now on.
    pub(crate) fn change_links(&mut self, change: &LinkChange) {
        let count = self.names.len();
        self.overrides.push(Override {
            from: NodeSet::new(count, &change.from),
            to: NodeSet::new(count, &change.to),
            change: change.clone(),
        });
        self.epoch += 1;
    }

    /// Undoes every link change that is not the file's.
    pub(crate) fn restore_links(&mut self) {
        if self.overrides.len() > self.from_file {
            self.overrides.truncate(self.from_file);
            self.epoch += 1;
        }
    }

    /// The pair of two nodes, created if it was never used.
    pub(crate) fn pair_ix(&mut self, a: NodeIx, b: NodeIx) -> PairIx {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let count = self.names.len();
        let row = &mut self.rows[low as usize];
        if row.is_empty() {
            *row = vec![UNUSED; count - low as usize].into();
        }
        let slot = &mut row[(high - low) as usize];
        if *slot == UNUSED {
            *slot = PairIx::try_from(self.pairs.len()).expect("fewer than 2^32 pairs");
            let (low_name, high_name) = (self.names[low as usize].as_str(), self.names[high as usize].as_str());
            let key = |from, to| stream::key(self.seed, Purpose::Link, &[from, to]);
            self.pairs.push(Pair {
                nodes: [low, high],
                up: low == high,
                incarnations: [0; 2],
                silence: None,
                silences: 0,
                links: [Link::new(key(low_name, high_name)), Link::new(key(high_name, low_name))],
            });
        }
        *slot
    }

    /// The pair of two nodes, if it was ever used.
    pub(crate) fn find_pair(&self, a: NodeIx, b: NodeIx) -> Option<&Pair> {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let ix = *self.rows[low as usize].get((high - low) as usize)?;
        self.pairs.get(ix as usize)
    }

    /// What a link is like now.
    pub(crate) fn params(&mut self, pair: PairIx, from: NodeIx, to: NodeIx) -> Prepared {
        let epoch = self.epoch;
        let link = self.pairs[pair as usize].link(from, to);
        if link.epoch == epoch {
            return self.prepared[link.params as usize];
        }
        let prepared = Prepared::new(&self.look_up(from, to));
        let ix = self.prepared.iter().position(|known| *known == prepared).unwrap_or_else(|| {
            self.prepared.push(prepared);
            self.prepared.len() - 1
        });
        let link = self.pairs[pair as usize].link_mut(from, to);
        link.params = u32::try_from(ix).expect("fewer than 2^32 kinds of links");
        link.epoch = epoch;
        prepared
    }

    fn look_up(&self, from: NodeIx, to: NodeIx) -> LinkParams {
        let mut params = self.base;
        if from == to {
            // A node reaches itself as the file's `[network]` says, and never loses a message.
            params.loss = 0.0;
            return params;
        }
        for Override { change, .. } in
            self.overrides.iter().filter(|entry| entry.from.has(from) && entry.to.has(to))
        {
            params.latency = change.latency.unwrap_or(params.latency);
            params.loss = change.loss.unwrap_or(params.loss);
            params.duplicate = change.duplicate.unwrap_or(params.duplicate);
            params.order = change.order.unwrap_or(params.order);
            params.bytes_per_second = change.bytes_per_second.unwrap_or(params.bytes_per_second);
        }
        params
    }

    /// Adds a cut.
    pub(crate) fn cut(&mut self, reach: Reach) -> CutId {
        let id = CutId(self.next_cut);
        self.next_cut += 1;
        self.cuts.push(Cut { id, reach });
        id
    }

    /// Removes a cut; one that was healed before is left alone.
    pub(crate) fn mend(&mut self, id: CutId) {
        self.cuts.retain(|cut| cut.id != id);
    }

    /// Removes every cut.
    pub(crate) fn mend_all(&mut self) {
        self.cuts.clear();
    }

    /// Whether a link is held by any cut.
    pub(crate) fn is_cut(&self, from: NodeIx, to: NodeIx) -> bool {
        from != to && self.cuts.iter().any(|cut| cut.reach.holds(from, to))
    }

    /// A value that all but one in 10,000 messages over any link of the file stay within, in
    /// microseconds.
    pub(crate) fn latency_bound(&self) -> u64 {
        let laws = self.overrides.iter().filter_map(|entry| entry.change.latency);
        laws.chain([self.base.latency]).map(|latency| Law::new(&latency).bound()).max().unwrap_or(0)
    }
}

impl Pair {
    fn direction(from: NodeIx, to: NodeIx) -> usize {
        usize::from(from > to)
    }

    pub(crate) fn link(&self, from: NodeIx, to: NodeIx) -> &Link {
        &self.links[Self::direction(from, to)]
    }

    pub(crate) fn link_mut(&mut self, from: NodeIx, to: NodeIx) -> &mut Link {
        &mut self.links[Self::direction(from, to)]
    }
}

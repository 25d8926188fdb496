//! The network: what each directed link is like, which links are cut, and which pairs are
//! connected.
//!
//! This module owns the state; the engine decides when it changes and moves the messages. State
//! of a pair of nodes is created when one first needs it.

pub mod cut;
pub mod latency;
pub mod link;
pub(crate) mod silence;

use std::collections::BTreeMap;

use hublab_strategies::NodeId;
use hublab_strategies::time::micros;

use crate::model::{LinkChange, LinkParams, Network as NetworkModel, NodeIx, Order};
use crate::stream::{self, Purpose};

use cut::{Cut, CutId, NodeSet, Reach};
use latency::Law;
use link::Lanes;

/// The position of a pair in [`Network::pairs`].
pub(crate) type PairIx = u32;

/// A directed link: from whom, to whom.
pub(crate) type LinkKey = (NodeIx, NodeIx);

/// The connection of two nodes: what is rarely looked at.
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
    /// By node: the key of its name, from which those of its links are made.
    keys: Vec<u64>,
    base: LinkParams,
    /// Overrides in the order in which they apply; those of the file come first.
    overrides: Vec<Override>,
    from_file: usize,
    /// Counts the changes of `overrides`; a link that is older looks its values up again.
    epoch: u32,
    prepared: Vec<Prepared>,
    /// The values of a link without an override; and of a node's link to itself, which is as the
    /// file's `[network]` says but never loses a message.
    plain: [Prepared; 2],
    /// With overrides: each link's values, by sender and receiver; a row is made when first
    /// needed.
    values: Vec<Box<[Values]>>,
    /// By channel, in the order of first use.
    lanes: Vec<Lanes>,
    /// By node, a bit for each node: whether the two are connected, both as they run now.
    connected: Vec<NodeSet>,
    /// By node, a bit for each receiver: whether a message may be on the way.
    busy: Vec<NodeSet>,
    pair_rows: Vec<Box<[PairIx]>>,
    /// Every pair that was ever used, in the order of first use.
    pub(crate) pairs: Vec<Pair>,
    /// By link under a bandwidth limit: when the last byte of its last message is out.
    busy_until: BTreeMap<LinkKey, u64>,
    cuts: Vec<Cut>,
    next_cut: u32,
    /// Time a sender is busy per message, in microseconds.
    pub(crate) send_gap: u64,
    /// Time a receiver is busy per message, in microseconds.
    pub(crate) service_time: u64,
}

/// Where the values of a link stand in [`Network::prepared`], as of an epoch.
#[derive(Debug, Clone, Copy)]
struct Values {
    epoch: u32,
    at: u16,
}

/// In an index: not used yet.
const UNUSED: u32 = u32::MAX;

impl Network {
    pub(crate) fn new(model: &NetworkModel, names: &[NodeId], seed: u64) -> Self {
        let mut network = Self {
            keys: names
                .iter()
                .map(|name| stream::key(seed, Purpose::Link, &[name.as_str()]))
                .collect(),
            base: model.base,
            overrides: Vec::new(),
            from_file: 0,
            epoch: 0,
            prepared: Vec::new(),
            plain: [
                Prepared::new(&model.base),
                Prepared::new(&LinkParams {
                    loss: 0.0,
                    ..model.base
                }),
            ],
            values: vec![Box::default(); names.len()],
            lanes: Vec::new(),
            connected: vec![NodeSet::new(names.len(), &[]); names.len()],
            busy: vec![NodeSet::new(names.len(), &[]); names.len()],
            pair_rows: vec![Box::default(); names.len()],
            pairs: Vec::new(),
            busy_until: BTreeMap::new(),
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
        let count = self.keys.len();
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

    /// The lanes of a channel.
    pub(crate) fn lanes_mut(&mut self, channel: u8) -> &mut Lanes {
        let known = self
            .lanes
            .iter()
            .position(|lanes| lanes.channel() == channel);
        let at = known.unwrap_or_else(|| {
            self.lanes.push(Lanes::new(channel, self.keys.len()));
            self.lanes.len() - 1
        });
        &mut self.lanes[at]
    }

    /// Whether nothing can be on the way between two nodes any more; not every idle pair is seen
    /// to be idle.
    pub(crate) fn is_idle(&self, a: NodeIx, b: NodeIx) -> bool {
        !self.busy[a as usize].has(b) && !self.busy[b as usize].has(a)
    }

    /// Notes that a message is on its way over a link.
    pub(crate) fn set_busy(&mut self, (from, to): LinkKey) {
        self.busy[from as usize].set(to, true);
    }

    /// Notes that messages are on their way over these links and no others.
    pub(crate) fn set_all_busy(&mut self, links: impl Iterator<Item = LinkKey>) {
        self.busy = vec![NodeSet::new(self.keys.len(), &[]); self.keys.len()];
        links.for_each(|link| self.set_busy(link));
    }

    /// Whether two nodes are connected, both of them as they run now; a node always is with
    /// itself.
    pub(crate) fn is_connected(&self, from: NodeIx, to: NodeIx) -> bool {
        from == to || self.connected[from as usize].has(to)
    }

    /// Notes whether two nodes are connected, both of them as they run now.
    pub(crate) fn set_connected(&mut self, [a, b]: [NodeIx; 2], connected: bool) {
        self.connected[a as usize].set(b, connected);
        self.connected[b as usize].set(a, connected);
    }

    /// The key of the stream of a link.
    pub(crate) fn link_key(&self, from: NodeIx, to: NodeIx) -> u64 {
        stream::pair_key(self.keys[from as usize], self.keys[to as usize])
    }

    /// The pair of two nodes, created if it was never used.
    pub(crate) fn pair_ix(&mut self, a: NodeIx, b: NodeIx) -> PairIx {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let count = self.keys.len();
        let row = &mut self.pair_rows[low as usize];
        if row.is_empty() {
            *row = vec![UNUSED; count - low as usize].into();
        }
        let slot = &mut row[(high - low) as usize];
        if *slot == UNUSED {
            *slot = PairIx::try_from(self.pairs.len()).expect("fewer than 2^32 pairs");
            self.pairs.push(Pair {
                nodes: [low, high],
                up: false,
                incarnations: [0; 2],
                silence: None,
                silences: 0,
            });
        }
        *slot
    }

    /// The pair of two nodes, if it was ever used.
    pub(crate) fn find_pair(&self, a: NodeIx, b: NodeIx) -> Option<&Pair> {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let ix = *self.pair_rows[low as usize].get((high - low) as usize)?;
        self.pairs.get(ix as usize)
    }

    /// What a link is like now.
    pub(crate) fn params(&mut self, (from, to): LinkKey) -> Prepared {
        if self.overrides.is_empty() || from == to {
            return self.plain[usize::from(from == to)];
        }
        let count = self.keys.len();
        let row = &mut self.values[from as usize];
        if row.is_empty() {
            let unknown = Values {
                epoch: UNUSED,
                at: 0,
            };
            *row = vec![unknown; count].into();
        }
        let values = row[to as usize];
        if values.epoch == self.epoch {
            return self.prepared[usize::from(values.at)];
        }
        let prepared = Prepared::new(&self.look_up(from, to));
        let known = self.prepared.iter().position(|known| *known == prepared);
        let at = known
            .and_then(|at| u16::try_from(at).ok())
            .unwrap_or_else(|| self.prepare(prepared));
        let epoch = self.epoch;
        self.values[from as usize][to as usize] = Values { epoch, at };
        prepared
    }

    /// Adds values to the table. A full one, after 65,536 different changes of links, is begun
    /// anew: every link then looks its values up again.
    fn prepare(&mut self, prepared: Prepared) -> u16 {
        let at = u16::try_from(self.prepared.len()).unwrap_or_else(|_| {
            self.prepared.clear();
            self.epoch += 1;
            0
        });
        self.prepared.push(prepared);
        at
    }

    /// Puts a message on the wire of a link with limited bandwidth, behind those before it, for
    /// `takes` microseconds; answers when its last byte is out.
    pub(crate) fn occupy(&mut self, link: LinkKey, leaves: u64, takes: u64) -> u64 {
        let busy_until = self.busy_until.entry(link).or_insert(0);
        *busy_until = leaves.max(*busy_until).saturating_add(takes);
        *busy_until
    }

    /// Forgets who is on the way over a link: what was dropped holds nobody back. The engine then
    /// notes those who remain with [`Self::keep_order`].
    pub(crate) fn forget_order(&mut self, link: LinkKey) {
        for lanes in &mut self.lanes {
            lanes.forget_order(link);
        }
        self.busy_until.remove(&link);
    }

    /// Notes that a message, whose last byte is out at `out`, is on its way to arrive at `due`.
    pub(crate) fn keep_order(&mut self, link: LinkKey, channel: u8, out: u64, due: u64) {
        self.lanes_mut(channel).note(link, due);
        self.busy_until
            .entry(link)
            .and_modify(|until| *until = out.max(*until))
            .or_insert(out);
    }

    fn look_up(&self, from: NodeIx, to: NodeIx) -> LinkParams {
        let mut params = self.base;
        for Override { change, .. } in self
            .overrides
            .iter()
            .filter(|entry| entry.from.has(from) && entry.to.has(to))
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

    /// Whether any cut is in force.
    pub(crate) fn has_cuts(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Whether any link may lose messages; a quick look that may be wrong.
    pub(crate) fn may_lose(&self) -> bool {
        let changes = self.overrides.iter().filter_map(|entry| entry.change.loss);
        changes.chain([self.base.loss]).any(|loss| loss > 0.0)
    }

    /// Whether a link loses messages.
    pub(crate) fn loses(&self, from: NodeIx, to: NodeIx) -> bool {
        self.look_up(from, to).loss > 0.0
    }
}

//! The network: what each directed link is like, which links are cut, and which pairs are
//! connected.
//!
//! This module owns the state; the engine decides when it changes and moves the messages. State
//! of a pair of nodes is created when one first needs it.

pub mod cut;
mod fate;
pub(crate) mod hold;
pub(crate) mod judge;
pub mod latency;
pub mod link;
pub(crate) mod overrides;
pub(crate) mod pairs;
pub(crate) mod silence;

use std::collections::BTreeMap;
use std::time::Duration;

use hublab_strategies::Channel;
use hublab_strategies::time::micros;

use crate::model::{LinkChange, LinkParams, NodeIx, NodeSettings, Order, Scenario};
use crate::stream::{self, Purpose};

use cut::{Cut, CutId, NodeSet, Reach};
use fate::Fates;
use hold::Holds;
use latency::Law;
use link::{Draw, Draws, Lanes, place};
use overrides::Overrides;
use pairs::Pairs;
use silence::Silences;

/// A directed link: from whom, to whom.
pub(crate) type LinkKey = (NodeIx, NodeIx);

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

/// The network of one run.
#[derive(Debug)]
pub(crate) struct Network {
    /// By node: the key of its name, from which those of its links are made.
    keys: Vec<u64>,
    base: LinkParams,
    overrides: Overrides,
    /// Counts the changes of `overrides`; a link that is older looks its values up again.
    epoch: u32,
    prepared: Vec<Prepared>,
    /// The values of a link without an override; and of a node's link to itself, which is as the
    /// file's `[network]` says but never loses a message.
    plain: [Prepared; 2],
    /// With overrides: each link's values, by channel, sender and receiver; a row is made when first
    /// needed. Channels that are not told apart have one table.
    values: BTreeMap<Option<u8>, Vec<Box<[Values]>>>,
    /// True if a change is about some channels only.
    tells_channels_apart: bool,
    /// By channel, in the order of first use.
    lanes: Vec<Lanes>,
    /// By node, a bit for each node: whether the two are connected, both as they run now.
    connected: Vec<NodeSet>,
    pub(crate) pairs: Pairs,
    pub(crate) silences: Silences,
    /// By link under a bandwidth limit: when the last byte of its last message is out.
    busy_until: BTreeMap<LinkKey, u64>,
    cuts: Vec<Cut>,
    next_cut: u32,
    /// By sender, then by receiver: how many cuts hold the link. A row is made when a cut first
    /// holds a link of its sender.
    cut_counts: Vec<Box<[u32]>>,
    /// By node: time that it is busy per message that it sends, in microseconds.
    send_gap: Vec<u64>,
    /// By node: time that it is busy per message that it receives, in microseconds.
    service_time: Vec<u64>,
    /// The largest message that arrives; 0 is unlimited.
    max_message_bytes: u64,
    /// By node: how many messages may wait for it; 0 is unlimited.
    queue_limit: Vec<u64>,
    /// By node: when it may send its next message.
    free_to_send: Vec<u64>,
    /// By node: when it has handled the messages it has received.
    free_to_serve: Vec<u64>,
    pub(crate) holds: Holds,
    /// What happens to some messages otherwise than their draws say.
    fates: Fates,
}

/// Where the values of a link stand in [`Network::prepared`], as of an epoch.
#[derive(Debug, Clone, Copy)]
struct Values {
    epoch: u32,
    at: u16,
}

/// The epoch of values that were never looked up.
const UNKNOWN: u32 = u32::MAX;

impl Network {
    /// That of a resolved scenario.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let (model, names) = (&scenario.network, &scenario.cluster.nodes);
        let seed = scenario.run.seed;
        let settings = scenario.node_settings();
        let by_node = |time: fn(&NodeSettings) -> Duration| {
            settings.iter().map(|of| micros(time(of))).collect()
        };
        let overrides = Overrides::new(names.len(), &model.links);
        Self {
            keys: names
                .iter()
                .map(|name| stream::key(seed, Purpose::Link, &[name.as_str()]))
                .collect(),
            base: model.base,
            epoch: 0,
            prepared: Vec::new(),
            plain: [
                Prepared::new(&model.base),
                Prepared::new(&LinkParams {
                    loss: 0.0,
                    ..model.base
                }),
            ],
            values: BTreeMap::new(),
            tells_channels_apart: overrides.tell_channels_apart(),
            overrides,
            lanes: Vec::new(),
            connected: vec![NodeSet::new(names.len(), &[]); names.len()],
            pairs: Pairs::new(names.len()),
            silences: Silences::new(scenario, &settings),
            busy_until: BTreeMap::new(),
            cuts: Vec::new(),
            next_cut: 0,
            cut_counts: vec![Box::default(); names.len()],
            send_gap: by_node(|of| of.send_gap),
            service_time: by_node(|of| of.service_time),
            max_message_bytes: model.max_message_bytes,
            queue_limit: settings.iter().map(|of| of.queue_limit).collect(),
            free_to_send: vec![0; names.len()],
            free_to_serve: vec![0; names.len()],
            holds: Holds::default(),
            fates: Fates::new(&scenario.run.changes),
        }
    }

    /// Changes some links from now on.
    pub(crate) fn change_links(&mut self, change: &LinkChange) {
        self.overrides.push(change);
        self.tells_channels_apart |= !change.channels.is_all();
        self.epoch += 1;
    }

    /// Undoes every link change that is not the file's. Returns whether there was one.
    pub(crate) fn restore_links(&mut self) -> bool {
        let is_changed = self.overrides.restore();
        self.tells_channels_apart = self.overrides.tell_channels_apart();
        self.epoch += u32::from(is_changed);
        is_changed
    }

    /// The lanes of a channel.
    /// How many messages were sent over a link and channel, those that were lost among them.
    pub(crate) fn sent(&self, link: LinkKey, channel: u8) -> u32 {
        let mut lanes = self.lanes.iter();
        let lanes = lanes.find(|lanes| lanes.channel() == channel);
        lanes.map_or(0, |lanes| lanes.count(link))
    }

    fn lanes_mut(&mut self, channel: u8) -> &mut Lanes {
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

    /// True if two nodes are connected, both of them as they run now; a node always is with
    /// itself.
    pub(crate) fn is_connected(&self, from: NodeIx, to: NodeIx) -> bool {
        from == to || self.connected[from as usize].has(to)
    }

    /// Notes whether two nodes are connected, both of them as they run now.
    pub(crate) fn set_connected(&mut self, [a, b]: [NodeIx; 2], connected: bool) {
        self.connected[a as usize].set(b, connected);
        self.connected[b as usize].set(a, connected);
    }

    /// Goes on with other draws: those of a branch.
    pub(crate) fn branch(&mut self, number: u64) {
        for key in &mut self.keys {
            *key = stream::sub_key(*key, number);
        }
        self.silences.branch(number);
    }

    /// The key of the stream of a link.
    fn link_key(&self, from: NodeIx, to: NodeIx) -> u64 {
        stream::pair_key(self.keys[from as usize], self.keys[to as usize])
    }

    /// The parameters of a link now, for a channel; `None`: for none in particular.
    pub(crate) fn params(&mut self, (from, to): LinkKey, channel: Option<u8>) -> Prepared {
        if self.overrides.is_empty() || from == to {
            return self.plain[usize::from(from == to)];
        }
        let count = self.keys.len();
        let channel = channel.filter(|_| self.tells_channels_apart);
        let tables = &mut self.values;
        let table = tables
            .entry(channel)
            .or_insert_with(|| vec![Box::default(); count]);
        let row = &mut table[from as usize];
        if row.is_empty() {
            let unknown = Values {
                epoch: UNKNOWN,
                at: 0,
            };
            *row = vec![unknown; count].into();
        }
        let values = row[to as usize];
        if values.epoch == self.epoch {
            return self.prepared[usize::from(values.at)];
        }
        let prepared = Prepared::new(&self.look_up((from, to), channel));
        let known = self.prepared.iter().position(|known| *known == prepared);
        let at = known
            .and_then(|at| u16::try_from(at).ok())
            .unwrap_or_else(|| self.prepare(prepared));
        let epoch = self.epoch;
        if let Some(table) = self.values.get_mut(&channel) {
            table[from as usize][to as usize] = Values { epoch, at };
        }
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
    /// `takes` microseconds. Returns when its last byte is out.
    fn occupy(&mut self, link: LinkKey, leaves: u64, takes: u64) -> u64 {
        let busy_until = self.busy_until.entry(link).or_insert(0);
        *busy_until = leaves.max(*busy_until).saturating_add(takes);
        *busy_until
    }

    /// Forgets the messages on the way over a link: those that were dropped hold none back. The
    /// engine then notes those that remain with [`Self::keep_order`].
    pub(crate) fn forget_order(&mut self, link: LinkKey) {
        for lanes in &mut self.lanes {
            lanes.forget_order(link);
        }
        self.busy_until.remove(&link);
    }

    /// Notes a message on the way that arrives at `due` and whose last byte is out at `out`.
    pub(crate) fn keep_order(&mut self, link: LinkKey, channel: u8, out: u64, due: u64) {
        self.note_due(link, channel, due);
        self.busy_until
            .entry(link)
            .and_modify(|until| *until = out.max(*until))
            .or_insert(out);
    }

    /// Notes that a message is on the way to arrive at `due`: later ones that keep the order do not
    /// arrive before it.
    pub(crate) fn note_due(&mut self, link: LinkKey, channel: u8, due: u64) {
        self.lanes_mut(channel).note(link, due);
    }

    /// The draw of a message for its place among those that are released with it.
    pub(crate) fn release_draw(&self, (from, to): LinkKey, channel: u8, number: u32) -> u64 {
        Draws::new(self.link_key(from, to), channel, number).get(Draw::Release)
    }

    fn look_up(&self, link: LinkKey, channel: Option<u8>) -> LinkParams {
        let mut params = self.base;
        let is_meant = |change: &&LinkChange| {
            change.channels.is_all() || channel.is_some_and(|id| change.channels.has(id))
        };
        for change in self.overrides.of(link).filter(is_meant) {
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
        for link in reach.links() {
            *place(&mut self.cut_counts, link) += 1;
        }
        self.cuts.push(Cut { id, reach });
        id
    }

    /// Removes a cut and returns the links it held; one that was mended before held none.
    pub(crate) fn mend(&mut self, id: CutId) -> Option<Reach> {
        let at = self.cuts.iter().position(|cut| cut.id == id)?;
        let Cut { reach, .. } = self.cuts.remove(at);
        for link in reach.links() {
            *place(&mut self.cut_counts, link) -= 1;
        }
        Some(reach)
    }

    /// Removes every cut.
    pub(crate) fn mend_all(&mut self) {
        self.cuts.clear();
        self.cut_counts.fill(Box::default());
    }

    /// True if a link is held by any cut.
    pub(crate) fn is_cut(&self, from: NodeIx, to: NodeIx) -> bool {
        !self.cuts.is_empty()
            && self.cut_counts[from as usize]
                .get(to as usize)
                .is_some_and(|count| *count > 0)
    }

    /// True if any cut is in force.
    pub(crate) fn has_cuts(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// True if any link may lose messages; a quick look that may be wrong.
    pub(crate) fn may_lose(&self) -> bool {
        let changes = self.overrides.all().filter_map(|change| change.loss);
        changes.chain([self.base.loss]).any(|loss| loss > 0.0)
    }

    /// True if a link loses messages of any channel; a node's link to itself never does.
    pub(crate) fn loses(&self, from: NodeIx, to: NodeIx) -> bool {
        let listed = Channel::ALL.map(|channel| Some(channel.id));
        let mut channels = listed.into_iter().chain([None]);
        from != to && channels.any(|channel| self.look_up((from, to), channel).loss > 0.0)
    }
}
